"""Regression from features to Gaussians: multiple linear regression, and ridge as an option.

Schmidt and Kim 2013, section 6, equation (6): each of ``[mu_a, mu_v, var_a, var_v, cov_av]`` is a linear
function of the features, with an intercept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

REGRESSORS = ("mlr", "ridge")
STRENGTHS = tuple(10.0**power for power in range(-3, 6))


@dataclass(frozen=True)
class Linear:
    """A fitted linear map ``y = ((x - mean) / scale) W + b``.

    Attributes
    ----------
    mean, scale : ndarray, shape (d,)
        Of the features in the training part.
    weight : ndarray, shape (d, k)
        W.
    bias : ndarray, shape (k,)
        b.
    strength : float or None
        Of the ridge penalty; None for least squares.
    """

    mean: FloatArray
    scale: FloatArray
    weight: FloatArray
    bias: FloatArray
    strength: float | None = None

    def __call__(self, features: FloatArray) -> FloatArray:
        """Predict, shape (n, k), from features of shape (n, d)."""
        return ((features - self.mean) / self.scale) @ self.weight + self.bias


def _standardised(features: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    mean = features.mean(axis=0)
    scale = features.std(axis=0)
    # A dimension that never changes says nothing; what rounding leaves of it must not be blown up.
    constant = scale <= 1e-12 * np.maximum(np.abs(mean), 1.0)
    scale = np.where(constant, 1.0, scale)
    centred = np.where(constant, 0.0, (features - mean) / scale)
    return centred, mean, scale


def fit_mlr(features: FloatArray, targets: FloatArray) -> Linear:
    """Multiple linear regression by least squares.

    Parameters
    ----------
    features : ndarray, shape (n, d)
        May have no columns: then the prediction is the training mean.
    targets : ndarray, shape (n, k)

    Returns
    -------
    Linear
        The solution of smallest norm where columns depend on each other.
    """
    centred, mean, scale = _standardised(features)
    bias = targets.mean(axis=0)
    if not features.shape[1]:
        return Linear(mean, scale, np.zeros((0, targets.shape[1])), bias)
    weight = np.linalg.lstsq(centred, targets - bias, rcond=None)[0]
    return Linear(mean, scale, weight, bias)


def fit_ridge(features: FloatArray, targets: FloatArray, verification: tuple[FloatArray, FloatArray]) -> Linear:
    """Ridge regression, its strength chosen on the verification part.

    Parameters
    ----------
    features : ndarray, shape (n, d)
    targets : ndarray, shape (n, k)
    verification : tuple of ndarray
        Features and targets of the verification part. The strength with the smallest mean distance of
        the predicted means (the first two targets) is taken; the intercept is not penalised.

    Returns
    -------
    Linear
    """
    if not features.shape[1]:
        return fit_mlr(features, targets)
    centred, mean, scale = _standardised(features)
    bias = targets.mean(axis=0)
    left, singular, right = np.linalg.svd(centred, full_matrices=False)
    projected = left.T @ (targets - bias)
    best: tuple[float, Linear] | None = None
    for strength in STRENGTHS:
        weight = right.T @ ((singular / (singular**2 + strength))[:, None] * projected)
        fitted = Linear(mean, scale, weight, bias, strength)
        error = fitted(verification[0])[:, :2] - verification[1][:, :2]
        distance = float(np.hypot(error[:, 0], error[:, 1]).mean())
        if best is None or distance < best[0]:
            best = (distance, fitted)
    assert best is not None
    return best[1]
