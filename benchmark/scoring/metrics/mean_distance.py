"""Mean distance (Schmidt and Kim 2013, section 6): how far predicted means are from those of the annotators."""

from __future__ import annotations

import numpy as np

from ....protocols import Metric, metrics
from ..gaussians import FloatArray


def mean_distances(true: FloatArray, predicted: FloatArray) -> FloatArray:
    """Return the Euclidean distance of the means of each row, shape (n,)."""
    return np.hypot(true[:, 0] - predicted[:, 0], true[:, 1] - predicted[:, 1])


metrics.register(
    Metric(
        "mean_distance",
        "Mean Distance",
        statistics=lambda true, predicted: mean_distances(true, predicted)[:, None],
        score=lambda sums: sums[..., 1] / sums[..., 0],
        order=1,
    )
)
