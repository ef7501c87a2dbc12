"""Learned features beside their random controls: the difference that training makes, paired."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import numpy as np

from ...cards.tables import Table
from ...dbn.domains import NAMES as DOMAINS
from ..features.spec import parts_of
from ..results.model import Result
from ..results.predictions import PredictionsError
from ..results.seeds import joined_score, stacked
from ..results.store import ResultStore
from ..scoring.pairs import bootstrap_scores, contributions, pair_p
from ..scoring.scores import DRAWS
from .compare import FLIPS
from .labels import board_title, difference, display_name, marks, number, plain
from .tables import INTERVAL

SCORE = "mean_distance"


def control_pairs(results: Sequence[Result]) -> Iterator[tuple[Result, list[tuple[Result, Result]]]]:
    """Yield each entry of a trained network, with its result and that of random weights for each seed that has both."""
    members = [member for result in results for member in result.members]
    controls = {_key(member): member for member in members if (member.phase or "").startswith("random")}
    for result in results:
        if result.phase is None or result.phase.startswith("random") or result.config.carry_over:
            continue
        found = [(member, controls.get(_key(member))) for member in result.members]
        if pairs := [(member, control) for member, control in found if control is not None]:
            yield result, pairs


def _key(result: Result) -> tuple[object, ...]:
    """Return what a trained network shares with its control."""
    config = result.config
    settings = json.dumps([config.networks, config.residual_covariance, config.pretrained_on], sort_keys=True)
    tuned = (result.phase or "").endswith("fine-tuned")
    return (result.board, result.features, result.layer, tuned, result.regressor, result.context, settings)


def control_tables(results: Sequence[Result], store: ResultStore) -> list[Table]:
    """Compare learned features with random weights of the same size, one table per dataset.

    Parameters
    ----------
    results : sequence of Result
        Results to show.
    store : ResultStore
        Store, for their predictions.

    Returns
    -------
    list of Table
        None for datasets without such pairs. They have no records: those of the other tables have the scores.
    """
    rows: dict[object, list[tuple[str, ...]]] = {}
    owners = {}
    for trained, pairs in control_pairs(results):
        try:
            row = _row(trained, pairs, store)
        except PredictionsError:
            continue  # the table of ranks says why
        rows.setdefault(trained.board, []).append(row)
        owners[trained.board] = trained
    keys = list(dict.fromkeys(result.board for result in results))
    notes = [
        "Random: the same network with random weights. Difference: trained minus random, negative if training helps. "
        "Its 95 % interval is from a paired bootstrap over albums and p from a randomisation test over albums; neither "
        "is corrected for the number of rows."
    ]
    if any(len(result.members) > 1 for result in results):
        notes.append(
            "For several seeds, scores and differences are means, followed by the lowest and the highest of a seed in "
            "brackets. Interval and p are those of the mean difference."
        )
    return [
        Table(
            title=f"What training brings: {board_title(owner, keys)}",
            slug=f"{owner.dataset.label}-{owner.dataset.folds_sha256[:8]}-{owner.task}-controls",
            columns=("Layer", "Feature Type", "Phase", "Distance", "Random", "Difference", INTERVAL, "p"),
            rows=rows[board],
            notes=notes,
            text_columns=3,
        )
        for board, owner in owners.items()
    ]


def _row(entry: Result, pairs: Sequence[tuple[Result, Result]], store: ResultStore) -> tuple[str, ...]:
    trained, controls = zip(*pairs, strict=True)
    first, second = (stacked([store.predictions(result) for result in side]) for side in (controls, trained))
    sums = np.array([part.scores()[SCORE] for part in (first, second)])
    seconds = first.album_sums(np.ones(len(first.albums)))
    shares = contributions(sums, seconds)
    drawn = bootstrap_scores(sums, seconds, draws=DRAWS, seed=0)
    low, high = np.percentile(drawn[:, 1] - drawn[:, 0], [2.5, 97.5])
    own, random = (joined_score([result.scores[SCORE] for result in side]) for side in (trained, controls))
    means = np.array([[result.scores[SCORE].mean for result in pair] for pair in pairs], np.float64)
    apart = (means[:, 0] - means[:, 1]).tolist()
    spread = f" ({difference(min(apart))} to {difference(max(apart))})" if len(apart) > 1 else ""
    lacking = f" [{len(pairs)} with random weights]" if len(pairs) < len(entry.members) else ""
    return (
        f"Layer {entry.layer}" if any(part in DOMAINS for part in parts_of(entry.features)) else "Encoder",
        display_name(entry.features, entry.feature_metadata) + marks(entry) + lacking,
        entry.phase or "",
        number(own),
        number(random),
        difference(float(np.mean(apart))) + spread,
        f"{difference(float(low))} to {difference(float(high))}",
        plain(pair_p(shares[1] - shares[0], draws=FLIPS, seed=0), ".4f"),
    )
