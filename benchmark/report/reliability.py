"""Reliability of entries for the card of a leaderboard: nominal and measured coverage, as a table and a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...cards.reliability_plot import Curve, draw_reliability
from ...cards.tables import Table
from ..results.model import Result
from ..results.predictions import PredictionsError
from ..results.store import ResultStore
from ..scoring.metrics.calibration import DIAGRAM, reliability
from .labels import board_title, by_distance, entry_label

# Entries of a board that are shown: the training mean, and this many others.
_BEST = 5

NOTE = (
    "A column stands for the ellipse that contains this share of the predicted distribution, and a cell is the share "
    "of the ratings inside it. Where a cell is lower than its column (below the dashed line of the picture), the "
    "predicted covariances are too small; where it is higher, they are too large. Shares are expectations under the "
    "target Gaussian, over evenly spaced test seconds of all repeats."
)


@dataclass(frozen=True)
class Reliability:
    """Reliability of the entries of a board.

    Attributes
    ----------
    table : Table
        Measured coverage, one column per nominal coverage.
    picture : bytes
        The same as a diagram, in PNG.
    """

    table: Table
    picture: bytes


def reliabilities(store: ResultStore) -> list[Reliability]:
    """Return the reliability of the best entries of each board, and of the training mean.

    Entries whose predictions cannot be read or have unknown covariances are left out, as are boards without any others.
    """
    keys, made = list(dict.fromkeys(result.board for result in store.entries)), []
    for key in keys:
        curves: list[Curve] = []
        own = [result for result in store.entries if result.board == key]
        methods = sorted((result for result in own if not result.reference), key=by_distance)
        for result in [*methods, *(each for each in own if each.features == "constant")]:
            if (len(curves) < _BEST or result.reference) and (shares := _shares(store, result)):
                curves.append((entry_label(result, store.variants.get(result.signature, "")), shares))
        if curves:
            made.append(_made(own[0], board_title(own[0], keys), curves, among=len(methods)))
    return made


def _shares(store: ResultStore, result: Result) -> list[float] | None:
    try:
        stored = store.predictions(result)
    except PredictionsError:
        return None
    return reliability(stored.true, stored.predicted)


def _made(result: Result, name: str, curves: Sequence[Curve], among: int) -> Reliability:
    dataset = result.dataset
    hashes = f"{dataset.manifest_sha256[:8]}-{dataset.folds_sha256[:8]}"
    best = [f"The {_BEST} entries with the lowest mean distance, and the training mean."] if among > _BEST else []
    table = Table(
        title=f"Reliability: {name}",
        slug=f"{dataset.label}-{hashes}-{result.task}-reliability",
        columns=("Feature Type", *(f"{level} %" for level in DIAGRAM)),
        rows=[(label, *(f"{100 * share:.0f} %" for share in shares)) for label, shares in curves],
        notes=[*best, NOTE],
    )
    return Reliability(table, draw_reliability(curves, [level / 100 for level in DIAGRAM], title=table.title))
