"""Ranks of results: entries of the same dataset and folds, compared in pairs on the same seconds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...runtime.progress import progress
from ..results.model import Result
from ..results.predictions import BY_SECOND, PredictionsError
from ..results.store import ResultStore
from . import annotators
from .pairs import LEVEL, bootstrap_scores, contributions, corrected_p
from .scores import DRAWS

FloatArray = npt.NDArray[np.float64]
Key = tuple[str, ...]

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
        Signature to the reason why an entry has no rank.
    counts : dict
        Board (:attr:`.Entry.board`) to the number of its ranked entries, without external ones.
    """

    standings: dict[str, dict[str, Standing]]
    unranked: dict[str, str]
    counts: dict[Key, int]


@dataclass(frozen=True)
class _Sums:
    """Sums of an entry over the albums of each repeat."""

    signature: str
    constant: bool
    external: bool
    scores: Mapping[str, FloatArray]
    seconds: FloatArray
    truth: FloatArray
    layout: tuple[object, ...]


def ranking(store: ResultStore, *, flips: int = FLIPS, draws: int = DRAWS, seed: int = 0) -> Ranking:
    """Rank the entries of a store, those of each dataset and set of folds separately.

    An entry is ranked if its predictions are complete, cover the same seconds as the others' and give the scores that
    the result records, and if it has seen nothing of its test data. The training mean is an entry like any other.
    External entries are ranked among all entries, but do not count in the ranks of the others.

    Parameters
    ----------
    store : ResultStore
        Results.
    flips, draws, seed : int
        Number of flips of the randomisation test, number of bootstrap draws over albums, and seed of both.

    Returns
    -------
    Ranking
        Each entry is either in ``standings`` or in ``unranked``.
    """
    made = Ranking({name: {} for name in BY_SECOND}, {}, {})
    groups: dict[Key, list[_Sums]] = {}
    for result in progress(store.entries, "predictions", "entry", leave=False):
        reason = _leaks(result)
        if reason is None:
            try:
                sums = _sums(result, store)
                groups.setdefault(result.board, []).append(sums)
            except PredictionsError as error:
                reason = str(error)
        if reason is not None:
            made.unranked[result.signature] = reason
    for key, entries in groups.items():
        same = _same_seconds(entries, made.unranked)
        own = [entry for entry in same if not entry.external]
        made.counts[key] = len(own)
        for name in BY_SECOND:
            # Predictions made elsewhere cannot be computed again, so they do not count in the ranks of other entries.
            own_standings = _standings(own, name, flips=flips, draws=draws, seed=seed)
            if len(own) < len(same):
                made.standings[name] |= _standings(same, name, flips=flips, draws=draws, seed=seed)
            made.standings[name] |= own_standings
    return made


def beating_constant(
    store: ResultStore, results: Sequence[Result], *, flips: int = FLIPS, seed: int = 0
) -> dict[str, bool | None]:
    """Say which results of one dataset are significantly better than the training mean, by mean distance.

    They are tested, and the tests corrected, as on a leaderboard of these results alone.

    Parameters
    ----------
    store : ResultStore
        Store of the results.
    results : sequence of Result
        Results of one dataset and set of folds.
    flips, seed : int
        As for :func:`ranking`.

    Returns
    -------
    dict of str to (bool or None)
        By signature; None for the training mean itself, and for all where it is missing. Results that would have no
        rank are left out.
    """
    entries = []
    for result in results:
        if _leaks(result) is None:
            # Damage is for the verification to report.
            with suppress(PredictionsError):
                entries.append(_sums(result, store))
    same = _same_seconds(entries, {}) if entries else []
    if not same:
        return {}
    shares = contributions(np.array([entry.scores["mean_distance"] for entry in same]), same[0].seconds)
    beats = _beats_constant(same, shares, flips=flips, seed=seed)
    return {entry.signature: each for entry, each in zip(same, beats, strict=True)}


def _leaks(result: Result) -> str | None:
    """Say what an entry has seen of its test data."""
    if result.features == "oracle":
        return "uses the targets of the test part"
    if result.features in annotators.NAMES:
        return "uses the ratings of the test part"
    if result.config.carry_over:
        return "weights were carried over from fold to fold (leaks)"
    return "leakage was allowed" if result.config.leakage else None


def _sums(result: Result, store: ResultStore) -> _Sums:
    found = store.predictions(result)
    seconds = found.album_sums(np.ones(len(found.albums)))
    truth = np.array([found.album_sums(column) for column in found.true.T])
    return _Sums(
        result.signature, result.features == "constant", result.external, found.scores(), seconds, truth, found.layout
    )


def _same_seconds(entries: Sequence[_Sums], unranked: dict[str, str]) -> list[_Sums]:
    """Keep the entries that were tested on the same data as most of them; add the others to ``unranked``."""
    layout = Counter(entry.layout for entry in entries).most_common(1)[0][0]
    first = next(entry for entry in entries if entry.layout == layout)
    kept = []
    for entry in entries:
        if entry.layout != layout:
            unranked[entry.signature] = "was tested on other clips, seconds or albums than the other entries"
        elif not np.allclose(entry.truth, first.truth, rtol=1e-9, atol=1e-9, equal_nan=True):
            unranked[entry.signature] = "was tested against other targets than the other entries"
        else:
            kept.append(entry)
    return kept


def _standings(entries: Sequence[_Sums], name: str, *, flips: int, draws: int, seed: int) -> dict[str, Standing]:
    # KL is undefined without predicted covariances, or for all entries if the targets have none.
    entries = [entry for entry in entries if np.isfinite(entry.scores[name]).all()]
    if not entries:
        return {}
    sums = np.array([entry.scores[name] for entry in entries])
    seconds = entries[0].seconds
    shares = contributions(sums, seconds)
    scores = shares.sum(axis=1)
    differ = corrected_p(shares, draws=flips, seed=seed) < LEVEL
    beats_constant = _beats_constant(entries, shares, flips=flips, seed=seed)
    best = int(scores.argmin())
    drawn = bootstrap_scores(sums, seconds, draws=draws, seed=seed)
    low, high = np.percentile(drawn - drawn[:, [best]], [2.5, 97.5], axis=0)
    standings = {}
    for place, entry in enumerate(entries):
        better = int((differ[place] & (scores < scores[place])).sum())
        standings[entry.signature] = Standing(
            rank=1 + better,
            better_than=int((differ[place] & (scores > scores[place])).sum()),
            worse_than=better,
            beats_constant=beats_constant[place],
            behind=float(scores[place] - scores[best]),
            behind_ci95=(float(low[place]), float(high[place])),
        )
    return standings


def _beats_constant(entries: Sequence[_Sums], shares: FloatArray, *, flips: int, seed: int) -> list[bool | None]:
    """Say whether each entry is significantly better than the training mean; None if there is no such comparison."""
    constant = next((place for place, entry in enumerate(entries) if entry.constant), None)
    if constant is None:
        return [None] * len(entries)
    family = np.zeros((len(entries), len(entries)), bool)
    family[constant] = family[:, constant] = [not entry.constant for entry in entries]
    p = corrected_p(shares, draws=flips, seed=seed, family=family)[constant]
    scores = shares.sum(axis=1)
    beats = (p < LEVEL) & (scores < scores[constant])
    return [None if entry.constant else bool(beats[place]) for place, entry in enumerate(entries)]
