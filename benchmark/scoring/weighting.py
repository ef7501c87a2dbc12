"""Scores under many weightings of the clips at once.

Every metric is a function of weighted sums over seconds or clips, so all draws of a bootstrap are one matrix product;
see :mod:`emobench.benchmark.scoring.significance`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ...protocols import metrics
from .gaussians import FloatArray


def weighted_scores(
    true: FloatArray, predicted: FloatArray, clips: npt.NDArray[np.intp], weights: FloatArray
) -> dict[str, FloatArray]:
    """Compute all metrics under several weightings of the clips.

    Parameters
    ----------
    true, predicted : ndarray, shape (n, 5)
        Rows with positive definite covariances.
    clips : ndarray of int, shape (n,)
        Clip of each row, 0 to n_clips - 1.
    weights : ndarray, shape (k, n_clips)
        How often each clip counts; a row of ones gives the plain scores.

    Returns
    -------
    dict of str to ndarray, shape (k,)
        Score of each registered metric; NaN where it is undefined.
    """
    n_clips = weights.shape[1]
    known = metrics.all()
    found: dict[str, FloatArray] = {}
    seconds = np.ones((len(true), 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        # Metrics that share statistics share their sums.
        for statistics in dict.fromkeys(metric.statistics for metric in known):
            values = np.hstack([seconds, statistics(true, predicted)])
            sums = [np.bincount(clips, column, minlength=n_clips) for column in values.T]
            by_clip = np.column_stack(sums).astype(np.float64)
            pooled = weights @ by_clip
            for metric in known:
                if metric.statistics is not statistics:
                    continue
                if not metric.per_clip:
                    found[metric.name] = metric.score(pooled)
                    continue
                own = metric.score(by_clip)
                defined = np.isfinite(own)
                count = weights @ defined
                found[metric.name] = np.where(count > 0, weights @ np.where(defined, own, 0.0) / count, np.nan)
    return {metric.name: found[metric.name] for metric in known}
