"""Ridge regression (Hoerl and Kennard 1970), its penalty chosen on the verification part.

The penalties share one singular value decomposition, which scikit-learn's ``Ridge`` would repeat for each of them.
"""

from __future__ import annotations

import numpy as np

from ....protocols import regressors
from .mlr import FloatArray, Linear, fit_mlr, standardised

STRENGTHS = tuple(10.0**power for power in range(-3, 6))


def mean_distance(predicted: FloatArray, targets: FloatArray) -> float:
    """Return the mean distance between the means, the first two columns of both."""
    error = predicted[:, :2] - targets[:, :2]
    return float(np.hypot(error[:, 0], error[:, 1]).mean())


def fit_ridge(features: FloatArray, targets: FloatArray, verification: tuple[FloatArray, FloatArray]) -> Linear:
    """Fit targets with a penalty on the squared weights; the intercept is not penalised.

    Parameters
    ----------
    features : ndarray, shape (n, d)
        Features.
    targets : ndarray, shape (n, k)
        Targets.
    verification : tuple of ndarray
        Features and targets of the verification part. The strength that predicts their means, the first two targets,
        at the smallest mean distance is chosen.

    Returns
    -------
    Linear
    """
    if not features.shape[1]:
        return fit_mlr(features, targets)
    centred, inputs = standardised(features)
    bias = targets.mean(axis=0)
    left, singular, right = np.linalg.svd(centred, full_matrices=False)
    projected = left.T @ (targets - bias)

    def fitted(strength: float) -> Linear:
        weight = right.T @ ((singular / (singular**2 + strength))[:, None] * projected)
        return Linear(inputs, weight, bias, {"strength": strength})

    return min(map(fitted, STRENGTHS), key=lambda linear: mean_distance(linear(verification[0]), verification[1]))


class Ridge:
    """Least squares with a penalty on the weights."""

    name, title = "ridge", "ridge regression"
    order = 2
    closed_form = True

    def fit(self, features: FloatArray, targets: FloatArray, verification: tuple[FloatArray, FloatArray]) -> Linear:
        """Fit the training part; the penalty is chosen on the verification part."""
        return fit_ridge(features, targets, verification)


regressors.register(Ridge())
