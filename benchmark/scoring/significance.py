"""Uncertainty of scores: a bootstrap that resamples albums (Efron and Tibshirani 1993, chapter 8).

Seconds of a clip and clips of an album are not independent, so whole albums are drawn with replacement. Each draw is
the same in all repeats, and its score is the mean over the repeats.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .weighting import weighted_scores

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class RepeatPredictions:
    """Test predictions of one repeat.

    Attributes
    ----------
    true, predicted : ndarray, shape (n, 5)
        Targets and predictions of all test seconds.
    clips : ndarray of int, shape (n,)
        Clip of each row, 0 to n_clips - 1.
    albums : ndarray of int, shape (n_clips,)
        Album of each clip, numbered alike in all repeats.
    """

    true: FloatArray
    predicted: FloatArray
    clips: npt.NDArray[np.intp]
    albums: npt.NDArray[np.intp]


def album_intervals(
    repeats: Sequence[RepeatPredictions], *, draws: int, seed: int, level: float = 0.95
) -> dict[str, tuple[float, float] | None]:
    """Compute a percentile interval of every metric.

    Parameters
    ----------
    repeats : sequence of RepeatPredictions
        Predictions of one entry.
    draws, seed : int
        Number of bootstrap draws, and their seed.
    level : float
        Confidence level.

    Returns
    -------
    dict
        Metric to (low, high); None where the score is undefined.
    """
    found = _album_draws(repeats, draws=draws, seed=seed)
    return {name: _percentiles(values, level) for name, values in found.items()}


def difference_intervals(
    first: Sequence[RepeatPredictions],
    second: Sequence[RepeatPredictions],
    *,
    draws: int,
    seed: int,
    level: float = 0.95,
) -> dict[str, tuple[float, float] | None]:
    """Compute a percentile interval of the difference of two entries (second minus first) by a paired bootstrap.

    Parameters
    ----------
    first, second : sequence of RepeatPredictions
        Predictions of two entries for the same repeats and seconds; the same albums are drawn for both.
    draws, seed, level
        As for :func:`album_intervals`.

    Returns
    -------
    dict
        Metric to (low, high); None where the difference is not defined in any draw.
    """
    one, other = (_album_draws(repeats, draws=draws, seed=seed) for repeats in (first, second))
    return {name: _percentiles(other[name] - values, level) for name, values in one.items()}


def _album_draws(repeats: Sequence[RepeatPredictions], *, draws: int, seed: int) -> dict[str, FloatArray]:
    """Compute every metric for every draw of albums; NaN where it is undefined."""
    n_albums = 1 + max(int(repeat.albums.max()) for repeat in repeats)
    generator = np.random.default_rng(seed)
    counts = generator.multinomial(n_albums, np.full(n_albums, 1.0 / n_albums), size=draws).astype(np.float64)
    totals: dict[str, list[FloatArray]] = {}
    for repeat in repeats:
        scores = weighted_scores(repeat.true, repeat.predicted, repeat.clips, counts[:, repeat.albums])
        for name, values in scores.items():
            totals.setdefault(name, []).append(values)
    found = {}
    for name, values in totals.items():
        # A draw may leave a small test part empty; the mean is then over the other repeats.
        stacked = np.array(values)
        defined = np.isfinite(stacked)
        with np.errstate(invalid="ignore"):
            found[name] = np.where(defined, stacked, 0.0).sum(axis=0) / defined.sum(axis=0)
    return found


def _percentiles(values: FloatArray, level: float) -> tuple[float, float] | None:
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    edges = [100 * (1 - level) / 2, 100 * (1 + level) / 2]
    return float(np.percentile(values, edges[0])), float(np.percentile(values, edges[1]))
