"""Standardisation of features for regressors that are not linear."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

# Float32 values of a constant differ by rounding; smaller spreads relative to the mean are not divided by.
FLOOR = 1e-6
# Standard deviations from the mean at which values are clipped.
LIMIT = 10.0


@dataclass(frozen=True)
class Scaling:
    """Standardisation by the mean and the floored standard deviation of a training part.

    Values far outside of the training part are clipped. Otherwise a column that is almost constant in training, such
    as a tag that occurs once, would dominate every distance in which it does occur.

    Attributes
    ----------
    mean, scale : ndarray, shape (d,)
        Mean and floored standard deviation.
    """

    mean: FloatArray
    scale: FloatArray

    @classmethod
    def of(cls, values: FloatArray) -> Scaling:
        """Measure the mean and standard deviation of values of shape (n, d)."""
        mean = values.mean(axis=0)
        floor = np.maximum(FLOOR * np.abs(mean), np.finfo(np.float32).tiny)
        return cls(mean, np.maximum(values.std(axis=0), floor))

    def __call__(self, values: FloatArray) -> FloatArray:
        """Standardise and clip values, shape (n, d)."""
        return np.clip((values - self.mean) / self.scale, -LIMIT, LIMIT)

    def inverse(self, values: FloatArray) -> FloatArray:
        """Return standardised values to their scale."""
        return values * self.scale + self.mean
