"""Paired comparison of two results: scores, differences, and how the results were made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from pydantic import JsonValue

from ...cards.tables import Table
from ...protocols import metrics
from ..results.model import MetricScore, Result
from ..results.predictions import BY_SECOND, PredictionsError, TestPredictions
from ..results.seeds import SeedGroup
from ..results.store import ResultStore
from ..scoring.pairs import contributions, pair_p
from ..scoring.scores import DRAWS
from ..scoring.significance import difference_intervals
from .labels import DASH, board_title, difference, entry_label, interval, number, plain, shared_notes
from .notes import seed_notes
from .tables import INTERVAL

FLIPS = 9999

# Sections of a result by topic; scores, cost and times do not explain a difference.
_SECTIONS = {
    "configuration": ("features", "layer", "phase", "task", "context", "regressor", "dims", "config", "model"),
    "data": ("dataset", "n_clips", "excluded", "albums"),
    "versions": ("environment",),
}

# The outcome of training is not a setting, and the versions are in ``environment`` too.
_LEFT_OUT = ("config.training", "config.versions", "config.decoder")

_NOTHING = "nothing"


@dataclass(frozen=True)
class Difference:
    """One value that differs; ``what`` is ``configuration``, ``data`` or ``versions``."""

    what: str
    key: str
    first: JsonValue
    second: JsonValue


@dataclass(frozen=True)
class ScorePair:
    """One score of two results.

    Attributes
    ----------
    first, second : MetricScore or None
        Score of each result, if it has one.
    difference : float or None
        Second minus first.
    ci95 : tuple of float or None
        95 % interval of the difference, from a paired bootstrap over albums.
    p : float or None
        p-value of the randomisation test over albums, for scores that are means over seconds.
    """

    first: MetricScore | None
    second: MetricScore | None
    difference: float | None = None
    ci95: tuple[float, float] | None = None
    p: float | None = None

    def record(self) -> dict[str, JsonValue]:
        """Return the score as plain data."""
        return {
            "first": self.first.model_dump(mode="json") if self.first else None,
            "second": self.second.model_dump(mode="json") if self.second else None,
            "difference": self.difference,
            "ci95": list(self.ci95) if self.ci95 else None,
            "p": self.p,
        }


@dataclass(frozen=True)
class Comparison:
    """Two results side by side.

    Attributes
    ----------
    results : (Result, Result)
        Results.
    reason : str or None
        Why their scores cannot be compared; None if they can.
    scores : dict of str to ScorePair
        Every score of both, and its difference.
    differences : list of Difference
        Differences in configuration, data and versions.
    """

    results: tuple[Result, Result]
    reason: str | None
    scores: dict[str, ScorePair]
    differences: list[Difference]

    def table(self) -> Table:
        """Return scores and differences as a table."""
        return _table(self)

    def __repr__(self) -> str:
        first, second = self.results
        return f"Comparison({first.name!r}, {second.name!r}{'' if self.reason is None else ', not comparable'})"

    def __str__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()

    def record(self) -> dict[str, JsonValue]:
        """Return the comparison as plain data."""
        shown = {"signature", "dataset", "features", "layer", "phase", "regressor"}
        first, second = (result.model_dump(mode="json", include=shown) for result in self.results)
        for result, plain_data in zip(self.results, (first, second), strict=True):
            if isinstance(result, SeedGroup):
                plain_data["seeds"] = list(result.seeds)
        return {
            "first": first,
            "second": second,
            "comparable": self.reason is None,
            "reason": self.reason,
            "scores": {name: score.record() for name, score in self.scores.items()},
            "differences": [dict(vars(each)) for each in self.differences],
        }


def compare(
    first: Result, second: Result, store: ResultStore, *, flips: int = FLIPS, draws: int = DRAWS, seed: int = 0
) -> Comparison:
    """Compare two results.

    Parameters
    ----------
    first, second : Result
        Results that the store has read.
    store : ResultStore
        Store, for their predictions.
    flips, draws, seed : int
        Number of flips of the randomisation test, number of bootstrap draws over albums, and seed of both.
    """
    reason, found = _other_data(first, second), []
    for result in (first, second) if reason is None else ():
        try:
            found.append(store.predictions(result))
        except PredictionsError as error:
            reason = reason or f"{result.path}: {error}"
    reason = reason or _other_seconds(*found) or _changed(first) or _changed(second)
    scores = {name: ScorePair(first.scores.get(name), second.scores.get(name)) for name in metrics.names()}
    if reason is None:
        scores = _compared(scores, *found, flips=flips, draws=draws, seed=seed)
    return Comparison((first, second), reason, scores, list(_differences(first, second)))


def _changed(result: Result) -> str | None:
    return f"{result.path}: {result.changed[0]}; see 'emobench verify'" if result.changed else None


def _other_data(first: Result, second: Result) -> str | None:
    keys = first.board, second.board
    if keys[0] == keys[1]:
        return None
    titles = [board_title(result, keys) for result in (first, second)]
    what = "datasets or folds" if first.task == second.task else "datasets, folds or tasks"
    return f"they are of different {what}, {titles[0]} and {titles[1]}"


def _other_seconds(first: TestPredictions, second: TestPredictions) -> str | None:
    if first.layout != second.layout:
        return "they were tested on different clips, seconds or albums"
    truth = [np.array([part.album_sums(column) for column in part.true.T]) for part in (first, second)]
    same = np.allclose(truth[0], truth[1], rtol=1e-9, atol=1e-9, equal_nan=True)
    return None if same else "they were tested against different targets"


def _compared(
    scores: dict[str, ScorePair],
    first: TestPredictions,
    second: TestPredictions,
    *,
    flips: int,
    draws: int,
    seed: int,
) -> dict[str, ScorePair]:
    """Add differences, intervals and p-values."""
    intervals = difference_intervals(first.by_repeat(), second.by_repeat(), draws=draws, seed=seed)
    seconds = first.album_sums(np.ones(len(first.albums)))
    sums = [part.scores() for part in (first, second)]
    made = {}
    for name, score in scores.items():
        made[name] = score
        if score.first is None or score.second is None or score.first.mean is None or score.second.mean is None:
            continue
        p = None
        if name in BY_SECOND:
            shares = contributions(np.array([part[name] for part in sums]), seconds)
            p = pair_p(shares[1] - shares[0], draws=flips, seed=seed)
        apart = score.second.mean - score.first.mean
        made[name] = ScorePair(score.first, score.second, apart, intervals[name], p)
    return made


def _differences(first: Result, second: Result) -> Iterator[Difference]:
    for what, sections in _SECTIONS.items():
        flat = [dict(_flat(result.model_dump(mode="json", include=set(sections)))) for result in (first, second)]
        for key in dict.fromkeys([*flat[0], *flat[1]]):
            values = [part.get(key, _NOTHING) for part in flat]
            if values[0] != values[1]:
                yield Difference(what, key, *values)


def _flat(value: JsonValue, key: str = "") -> Iterator[tuple[str, JsonValue]]:
    """Yield the leaves of nested mappings and lists with dotted keys."""
    if key in _LEFT_OUT:
        return
    if not isinstance(value, (dict, list)):
        yield key, value
        return
    for name, part in value.items() if isinstance(value, dict) else enumerate(value):
        yield from _flat(part, f"{key}.{name}" if key else str(name))


def _table(found: Comparison) -> Table:
    """Arrange scores and differences as a table."""
    first, second = found.results
    rows = []
    for name, score in found.scores.items():
        if score.first is None or score.second is None:
            continue
        low, high = score.ci95 or (None, None)
        rows.append(
            (
                name,
                number(score.first),
                interval(score.first.ci95),
                number(score.second),
                interval(score.second.ci95),
                difference(score.difference),
                DASH if low is None else f"{difference(low)} to {difference(high)}",
                plain(score.p, ".4f"),
            )
        )
    notes = [f"{name}: {entry_label(each)}, {each.signature}." for name, each in (("A", first), ("B", second))]
    if found.reason is None:
        notes += [
            "B−A and its 95 % interval: paired bootstrap over albums.",
            f"p: randomisation test over albums with {FLIPS} flips (all flips if there are fewer), for scores that are "
            "means over seconds.",
        ]
    notes += seed_notes(found.results)
    notes += dict.fromkeys(note for each in found.results for note in shared_notes([each]))
    keys = [first.board, second.board]
    titles = dict.fromkeys(board_title(each, keys) for each in (first, second))
    return Table(
        title=f"A and B on {' and '.join(titles)}",
        slug=f"compare-{first.signature}-{second.signature}",
        columns=("Score", "A", f"A {INTERVAL}", "B", f"B {INTERVAL}", "B−A", INTERVAL, "p"),
        rows=rows,
        notes=notes,
        optional=[(2, 4)],
    )
