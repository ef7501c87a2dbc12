"""Multiple linear regression (Schmidt and Kim 2013, section 6, equation (6)).

Each of ``[mu_a, mu_v, var_a, var_v, cov_av]`` is a linear function of the features, with an intercept. numpy's least
squares is used rather than scikit-learn's estimator: the same solver, without an import that takes a second.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ....protocols import regressors

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Linear:
    """A fitted linear map ``y = ((x - mean) / scale) W + b``.

    Attributes
    ----------
    mean, scale : ndarray, shape (d,)
        Mean and scale of the features in the training part.
    weight : ndarray, shape (d, k)
        W.
    bias : ndarray, shape (k,)
        b.
    chosen : mapping
        Settings that were chosen on the verification part.
    """

    mean: FloatArray
    scale: FloatArray
    weight: FloatArray
    bias: FloatArray
    chosen: Mapping[str, float] = field(default_factory=dict)

    def __call__(self, features: FloatArray) -> FloatArray:
        """Predict targets, shape (n, k), from features of shape (n, d)."""
        return ((features - self.mean) / self.scale) @ self.weight + self.bias


def standardised(features: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Standardise features of shape (n, d); return them with their mean and scale.

    Columns that are constant up to rounding become zero: dividing by their spread would amplify the rounding.
    """
    mean = features.mean(axis=0)
    scale = features.std(axis=0)
    constant = scale <= 1e-12 * np.maximum(np.abs(mean), 1.0)
    scale = np.where(constant, 1.0, scale)
    return np.where(constant, 0.0, (features - mean) / scale), mean, scale


def fit_mlr(features: FloatArray, targets: FloatArray) -> Linear:
    """Fit targets by least squares.

    Parameters
    ----------
    features : ndarray, shape (n, d)
        Features; without columns the prediction is the training mean.
    targets : ndarray, shape (n, k)
        Targets.

    Returns
    -------
    Linear
        The solution of smallest norm where columns depend on each other.
    """
    centred, mean, scale = standardised(features)
    bias = targets.mean(axis=0)
    if not features.shape[1]:
        return Linear(mean, scale, np.zeros((0, targets.shape[1])), bias)
    weight = np.linalg.lstsq(centred, targets - bias, rcond=None)[0]
    return Linear(mean, scale, weight, bias)


class MultipleLinear:
    """Least squares, as in the paper."""

    name, title = "mlr", "multiple linear regression"
    order = 1
    # Its numbers are the paper's.
    residual_covariance = False

    def fit(self, features: FloatArray, targets: FloatArray, verification: tuple[FloatArray, FloatArray]) -> Linear:
        """Fit the training part; nothing is chosen on the verification part."""
        return fit_mlr(features, targets)


regressors.register(MultipleLinear())
