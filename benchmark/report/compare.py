"""Two results side by side: their scores, the paired difference, and everything else in which they differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...cards.tables import Table
from ...errors import InputError
from ..results.predictions import BY_SECOND, Stored, StoredError, check_means, read_stored
from ..results.seals import broken
from ..results.store import DRAWS, dataset_key, read_result
from ..scoring.metrics import NAMES
from ..scoring.pairs import contributions, pair_p
from ..scoring.significance import difference_intervals
from .tables import INTERVAL, dataset_title, difference, interval, number, row_label

FLIPS = 9999

# Sections of a result by what they say; scores, cost and times are no cause of a difference.
_SECTIONS = {
    "configuration": ("features", "layer", "phase", "regressor", "dims", "config", "model"),
    "data": ("dataset", "n_clips", "excluded", "albums"),
    "versions": ("environment",),
}

# What training reached is no setting, and the versions stand in ``environment`` too.
_LEFT_OUT = ("config.training", "config.versions", "config.decoder")

_NOTHING = "nothing"


@dataclass(frozen=True)
class Difference:
    """One value in which two results differ; ``what`` is ``configuration``, ``data`` or ``versions``."""

    what: str
    key: str
    first: Any
    second: Any


@dataclass(frozen=True)
class Comparison:
    """Two results side by side.

    Attributes
    ----------
    results : tuple of dict
        Both.
    apart : str or None
        Why their scores cannot be compared; None where they can.
    scores : dict
        Score to ``first``, ``second``, ``difference`` (second less first), ``ci95`` of it by the paired
        bootstrap over albums, and ``p`` of the randomisation test over albums, for the means over seconds;
        the last three are None where there is none.
    differences : list of Difference
        In configuration, data and versions.
    """

    results: tuple[dict[str, Any], dict[str, Any]]
    apart: str | None
    scores: dict[str, dict[str, Any]]
    differences: list[Difference]

    def record(self) -> dict[str, Any]:
        """All of it as plain data."""
        first, second = (
            {name: result[name] for name in ("signature", "dataset", "features", "layer", "phase", "regressor")}
            for result in self.results
        )
        return {
            "first": first,
            "second": second,
            "comparable": self.apart is None,
            "reason": self.apart,
            "scores": self.scores,
            "differences": [vars(each) for each in self.differences],
        }


def find_result(named: str, results: Path) -> Path:
    """The file of a result.

    Parameters
    ----------
    named : str
        A file, or what its name below ``results`` or its signature begins with.
    results : Path
        Folder of results.

    Raises
    ------
    InputError
        If there is none, or more than one.
    """
    if Path(named).is_file():
        return Path(named)
    found = [
        path
        for path in sorted(results.glob("*/*.json"))
        if path.stem.startswith(named) or path.stem.rpartition("-")[2].startswith(named)
    ]
    if not found:
        raise InputError(
            f"{named}: no such result, neither a file nor the beginning of a name or signature below {results}; "
            "'emobench list results' shows what there is."
        )
    if len(found) > 1:
        names = ", ".join(path.stem for path in found[:4]) + (" …" if len(found) > 4 else "")
        raise InputError(f"{named}: stands for {len(found)} results below {results} ({names}); name one.")
    return found[0]


def compare(first: Path, second: Path, *, flips: int = FLIPS, draws: int = DRAWS, seed: int = 0) -> Comparison:
    """Lay two results side by side.

    Parameters
    ----------
    first, second : Path
        Their files; the predictions lie beside them.
    flips, draws, seed : int
        Of the randomisation test and the bootstrap over albums.

    Raises
    ------
    InputError
        If one is no result.
    """
    paths = (first, second)
    one, other = map(read_result, paths)
    stored: list[Stored] = []
    apart = _other_data(one, other)
    if apart is None:
        try:
            for result, path in zip((one, other), paths, strict=True):
                stored.append(read_stored(result, path))
            apart = _other_seconds(*stored) or _changed(paths, (one, other), stored)
        except StoredError as error:
            apart = f"{paths[len(stored)]}: {error}"
    scores = {
        name: {
            "first": one["scores"].get(name),
            "second": other["scores"].get(name),
            "difference": None,
            "ci95": None,
            "p": None,
        }
        for name in NAMES
    }
    if apart is None:
        _fill(scores, *stored, flips=flips, draws=draws, seed=seed)
    return Comparison((one, other), apart, scores, list(_differences(one, other)))


def _changed(paths: Sequence[Path], results: Sequence[dict[str, Any]], stored: Sequence[Stored]) -> str | None:
    """What of a result is not as it was written, so that its scores would not be those of its predictions."""
    for path, result, each in zip(paths, results, stored, strict=True):
        try:
            check_means(result, each)
        except StoredError as error:
            return f"{path}: {error}"
        if "seals" in result and (changed := broken(result, None)[0]):
            return f"{path}: {changed[0]}; emobench verify says more"
    return None


def _other_data(one: dict[str, Any], other: dict[str, Any]) -> str | None:
    keys = dataset_key(one), dataset_key(other)
    if keys[0] == keys[1]:
        return None
    titles = [dataset_title(result, keys) for result in (one, other)]
    return f"they are of different datasets or folds, {titles[0]} and {titles[1]}"


def _other_seconds(one: Stored, other: Stored) -> str | None:
    if one.layout != other.layout:
        return "they were tested on different clips, seconds or albums"
    truth = [np.array([part.album_sums(column) for column in part.true.T]) for part in (one, other)]
    same = np.allclose(truth[0], truth[1], rtol=1e-9, atol=1e-9, equal_nan=True)
    return None if same else "they were tested against different targets"


def _fill(scores: dict[str, dict[str, Any]], one: Stored, other: Stored, *, flips: int, draws: int, seed: int) -> None:
    """Add differences, intervals and p-values."""
    intervals = difference_intervals(one.by_repeat(), other.by_repeat(), draws=draws, seed=seed)
    seconds = one.album_sums(np.ones(len(one.albums)))
    sums = [part.scores() for part in (one, other)]
    for name, score in scores.items():
        before, after = ((score[side] or {}).get("mean") for side in ("first", "second"))
        if before is not None and after is not None:
            score["difference"] = after - before
            score["ci95"] = list(intervals[name] or ()) or None
        if name in BY_SECOND and score["difference"] is not None:
            shares = contributions(np.array([part[name] for part in sums]), seconds)
            score["p"] = pair_p(shares[1] - shares[0], draws=flips, seed=seed)


def _differences(one: dict[str, Any], other: dict[str, Any]) -> Iterator[Difference]:
    for what, sections in _SECTIONS.items():
        flat = [dict(_flat({name: result.get(name) for name in sections})) for result in (one, other)]
        for key in dict.fromkeys([*flat[0], *flat[1]]):
            values = [part.get(key, _NOTHING) for part in flat]
            if values[0] != values[1]:
                yield Difference(what, key, *values)


def _flat(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Leaves of nested mappings and lists under dotted keys."""
    if key in _LEFT_OUT:
        return
    if not isinstance(value, (dict, list)):
        yield key, value
        return
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for name, part in inner:
        yield from _flat(part, f"{key}.{name}" if key else str(name))


def comparison_table(found: Comparison) -> Table:
    """Scores and differences as a table."""
    one, other = found.results
    rows = []
    for name, score in found.scores.items():
        if score["first"] is None or score["second"] is None:
            continue
        low, high = score["ci95"] or (None, None)
        rows.append(
            (
                name,
                number(score["first"]),
                interval(score["first"]),
                number(score["second"]),
                interval(score["second"]),
                difference(score["difference"]),
                "–" if low is None else f"{difference(low)} to {difference(high)}",
                "–" if score["p"] is None else f"{score['p']:.4f}",
            )
        )
    notes = [f"{name}: {row_label(each)}, {each['signature']}." for name, each in (("A", one), ("B", other))]
    if found.apart is None:
        notes += [
            "Differences are B less A; their intervals hold 95 %, by a paired bootstrap over albums.",
            f"p: randomisation test over albums ({FLIPS} flips, or all there are), for the means over seconds.",
        ]
    titles = dict.fromkeys(dataset_title(each, [dataset_key(one), dataset_key(other)]) for each in (one, other))
    return Table(
        title=f"A and B on {' and '.join(titles)}",
        slug=f"compare-{one['signature']}-{other['signature']}",
        columns=("Score", "A", f"A {INTERVAL}", "B", f"B {INTERVAL}", "B−A", INTERVAL, "p"),
        rows=rows,
        notes=notes,
        optional=[4, 2],
    )
