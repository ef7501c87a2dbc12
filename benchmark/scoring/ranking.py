"""Ranks of results: the rows of one dataset and one set of folds, compared in pairs on the same seconds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...runtime.progress import progress
from ..results.predictions import BY_SECOND, StoredError, check_means, read_stored
from ..results.store import CARRIED, DRAWS, Results, carried_over, dataset_key
from .pairs import LEVEL, bootstrap_scores, contributions, corrected_p

FloatArray = npt.NDArray[np.float64]
Key = tuple[str, str, str, str]

# Flips of the randomisation test over all pairs.
FLIPS = 4999


@dataclass(frozen=True)
class Standing:
    """Standing of an entry by one score.

    Attributes
    ----------
    rank : int
        1 plus the number of entries that are significantly better.
    better_than, worse_than : int
        Number of entries that are significantly worse, and significantly better.
    beats_constant : bool or None
        Whether the entry is significantly better than the training mean, corrected for these comparisons alone;
        None for the training mean itself and where it was not compared.
    behind : float
        Difference to the best score.
    behind_ci95 : tuple of float
        Its 95 % interval by the paired bootstrap over albums, not corrected for the number of pairs.
    """

    rank: int
    better_than: int
    worse_than: int
    beats_constant: bool | None
    behind: float
    behind_ci95: tuple[float, float]


@dataclass(frozen=True)
class Ranking:
    """Ranks of results.

    Attributes
    ----------
    standings : dict
        Score (``mean_distance``, ``kl_divergence``) to signature to :class:`Standing`.
    unranked : dict of str to str
        Signature to the reason why a row has no rank.
    rows : dict
        :func:`.results.dataset_key` to the number of its rows that were compared.
    """

    standings: dict[str, dict[str, Standing]]
    unranked: dict[str, str]
    rows: dict[Key, int]


@dataclass(frozen=True)
class _Sums:
    """Sums of a row over the albums of each repeat."""

    signature: str
    constant: bool
    scores: Mapping[str, FloatArray]
    seconds: FloatArray
    truth: FloatArray
    layout: tuple[object, ...]


def ranking(results: Results, *, flips: int = FLIPS, draws: int = DRAWS, seed: int = 0) -> Ranking:
    """Rank results, those of each dataset and set of folds by themselves.

    Ranked are the rows that can be: whose predictions are there and whole, cover the same seconds as the others'
    and give the score that the result says, and which saw nothing of what they are tested on. The training
    mean is a row like others.

    Parameters
    ----------
    results : Results
        As :func:`.results.read_results` gives them.
    flips, draws, seed : int
        Of the randomisation test and the bootstrap over albums.

    Returns
    -------
    Ranking
        Each row stands in ``standings`` or in ``unranked``.
    """
    made = Ranking({name: {} for name in BY_SECOND}, {}, {})
    groups: dict[Key, list[_Sums]] = {}
    for result in progress(results.rows, "predictions", "row", leave=False):
        signature = result["signature"]
        reason = _leaks(result)
        if reason is None:
            try:
                sums = _sums(result, results)
                groups.setdefault(dataset_key(result), []).append(sums)
            except StoredError as error:
                reason = str(error)
        if reason is not None:
            made.unranked[signature] = reason
    for key, rows in groups.items():
        same = _same_seconds(rows, made.unranked)
        made.rows[key] = len(same)
        for name in BY_SECOND:
            # A score is undefined for all of them or for none, for they were tested on the same targets.
            if same and all(np.isfinite(row.scores[name]).all() for row in same):
                made.standings[name] |= _standings(same, name, flips=flips, draws=draws, seed=seed)
    return made


def _leaks(result: dict[str, Any]) -> str | None:
    """What a row saw of what it is tested on."""
    if result["features"] == "oracle":
        return "sees the targets"
    if carried_over(result):
        return CARRIED
    return "leakage allowed" if result.get("config", {}).get("leakage") else None


def _sums(result: dict[str, Any], results: Results) -> _Sums:
    stored = read_stored(result, results.paths[result["signature"]])
    seconds = stored.album_sums(np.ones(len(stored.albums)))
    scores = check_means(result, stored)
    truth = np.array([stored.album_sums(column) for column in stored.true.T])
    return _Sums(result["signature"], result["features"] == "constant", scores, seconds, truth, stored.layout)


def _same_seconds(rows: Sequence[_Sums], unranked: dict[str, str]) -> list[_Sums]:
    """The rows that were tested on what most of them were; adds the others to ``unranked``."""
    layout = Counter(row.layout for row in rows).most_common(1)[0][0]
    first = next(row for row in rows if row.layout == layout)
    kept = []
    for row in rows:
        if row.layout != layout:
            unranked[row.signature] = "was tested on other clips, seconds or albums than the other rows"
        elif not np.allclose(row.truth, first.truth, rtol=1e-9, atol=1e-9, equal_nan=True):
            unranked[row.signature] = "was tested against other targets than the other rows"
        else:
            kept.append(row)
    return kept


def _standings(rows: Sequence[_Sums], name: str, *, flips: int, draws: int, seed: int) -> dict[str, Standing]:
    sums = np.array([row.scores[name] for row in rows])
    seconds = rows[0].seconds
    shares = contributions(sums, seconds)
    scores = shares.sum(axis=1)
    differ = corrected_p(shares, draws=flips, seed=seed) < LEVEL
    beats_constant = _beats_constant(rows, shares, flips=flips, seed=seed)
    best = int(scores.argmin())
    drawn = bootstrap_scores(sums, seconds, draws=draws, seed=seed)
    low, high = np.percentile(drawn - drawn[:, [best]], [2.5, 97.5], axis=0)
    standings = {}
    for place, row in enumerate(rows):
        better = int((differ[place] & (scores < scores[place])).sum())
        standings[row.signature] = Standing(
            rank=1 + better,
            better_than=int((differ[place] & (scores > scores[place])).sum()),
            worse_than=better,
            beats_constant=beats_constant[place],
            behind=float(scores[place] - scores[best]),
            behind_ci95=(float(low[place]), float(high[place])),
        )
    return standings


def _beats_constant(rows: Sequence[_Sums], shares: FloatArray, *, flips: int, seed: int) -> list[bool | None]:
    """Whether each row is significantly better than the training mean; None where there is no such comparison."""
    constant = next((place for place, row in enumerate(rows) if row.constant), None)
    if constant is None:
        return [None] * len(rows)
    family = np.zeros((len(rows), len(rows)), bool)
    family[constant] = family[:, constant] = [not row.constant for row in rows]
    p = corrected_p(shares, draws=flips, seed=seed, family=family)[constant]
    scores = shares.sum(axis=1)
    beats = (p < LEVEL) & (scores < scores[constant])
    return [None if row.constant else bool(beats[place]) for place, row in enumerate(rows)]
