"""Metrics of predicted arousal-valence Gaussians. Each module registers its own.

A target or prediction is a row ``[mu_a, mu_v, var_a, var_v, cov_av]``, or ``[mu_a, mu_v]`` where no variances are
known, with means in [-0.5, 0.5]; one row per second.

>>> from emobench import metrics
>>> metrics.mean_distance([[0.1, 0.2]], [[0.4, 0.6]])
0.5
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..gaussians import FloatArray, validate
from ..weighting import weighted_scores
from .kl_divergence import kl_divergences
from .mean_distance import mean_distances

__all__ = ["kl_divergence", "kl_divergences", "mean_distance", "mean_distances", "scores"]


def as_rows(values: Any) -> FloatArray:
    """Return Gaussians as an array of shape (n, 5), with NaN for what is unknown.

    Parameters
    ----------
    values : array_like or DataFrame
        Rows of two or five numbers, or a DataFrame with the columns of predictions.
    """
    if hasattr(values, "columns"):
        from ....builders.targets import PARAMETERS

        values = values.select(PARAMETERS if PARAMETERS[-1] in values.columns else PARAMETERS[:2]).to_numpy()
    rows = np.asarray(values, np.float64)
    if rows.ndim == 2 and rows.shape[1] == 2:
        rows = np.hstack([rows, np.full((len(rows), 3), np.nan)])
    return rows


def mean_distance(true: Any, predicted: Any) -> float:
    """Compute the average Euclidean distance between the means of targets and predictions.

    Parameters
    ----------
    true, predicted : array_like, shape (n, 5) or (n, 2), or DataFrame
        Targets and predictions.

    Raises
    ------
    ValueError
        If they are not pairs of valid Gaussians.

    References
    ----------
    .. [1] E. M. Schmidt and Y. E. Kim, "Learning Rhythm and Melody Features with Deep Belief Networks", ISMIR 2013,
       section 6.
    """
    return scores(true, predicted)["mean_distance"]


def kl_divergence(true: Any, predicted: Any) -> float:
    """Compute the average Kullback-Leibler divergence KL(true || predicted), in nats.

    Parameters
    ----------
    true, predicted : array_like, shape (n, 5), or DataFrame
        Targets and predictions.

    Returns
    -------
    float
        NaN if any covariance is unknown.

    Raises
    ------
    ValueError
        If they are not pairs of valid Gaussians.

    References
    ----------
    .. [1] E. M. Schmidt and Y. E. Kim, "Learning Rhythm and Melody Features with Deep Belief Networks", ISMIR 2013,
       equation (7).
    """
    return scores(true, predicted)["kl_divergence"]


def scores(true: Any, predicted: Any, clips: npt.ArrayLike | None = None) -> dict[str, float]:
    """Compute every registered metric.

    Parameters
    ----------
    true, predicted : array_like, shape (n, 5) or (n, 2), or DataFrame
        Targets and predictions.
    clips : array_like, shape (n,), optional
        Clip of each row, for the metrics that are averaged over clips; by default all rows are one clip.

    Returns
    -------
    dict of str to float
        Score of each metric; NaN where it is undefined.

    Raises
    ------
    ValueError
        If they are not pairs of valid Gaussians.
    """
    targets, predictions = as_rows(true), as_rows(predicted)
    validate(targets, predictions)
    numbers = np.zeros(len(targets), np.intp) if clips is None else np.unique(clips, return_inverse=True)[1]
    found = weighted_scores(targets, predictions, numbers, np.ones((1, 1 + int(numbers.max()))))
    return {name: float(value[0]) for name, value in found.items()}


def __dir__() -> list[str]:
    return sorted(__all__)
