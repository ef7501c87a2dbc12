"""Kullback-Leibler divergence of Gaussians (Schmidt and Kim 2013, equation (7))."""

from __future__ import annotations

import numpy as np

from ....protocols import Metric, metrics
from ..gaussians import FloatArray


def kl_divergences(true: FloatArray, predicted: FloatArray) -> FloatArray:
    """Return KL(p || q) in nats of each row, with p the true Gaussian and q the predicted one.

    Parameters
    ----------
    true, predicted : ndarray, shape (n, 5)
        Rows with positive definite covariances.

    Returns
    -------
    ndarray, shape (n,)
        NaN where a covariance is unknown.
    """
    p_a, p_v, p_c = true[:, 2], true[:, 3], true[:, 4]
    q_a, q_v, q_c = predicted[:, 2], predicted[:, 3], predicted[:, 4]
    p_det, q_det = p_a * p_v - p_c**2, q_a * q_v - q_c**2
    a, v = predicted[:, 0] - true[:, 0], predicted[:, 1] - true[:, 1]
    trace = (q_v * p_a + q_a * p_v - 2.0 * q_c * p_c) / q_det
    distance = (q_v * a**2 + q_a * v**2 - 2.0 * q_c * a * v) / q_det
    return 0.5 * (np.log(q_det / p_det) + trace + distance - 2.0)


metrics.register(
    Metric(
        "kl_divergence",
        "KL Divergence",
        statistics=lambda true, predicted: kl_divergences(true, predicted)[:, None],
        score=lambda sums: sums[..., 1] / sums[..., 0],
        order=2,
    )
)
