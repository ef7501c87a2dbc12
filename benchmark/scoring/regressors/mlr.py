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
from .stored import Arrays, joined, part

FloatArray = npt.NDArray[np.float64]


# Spreads below this part of the mean are roundings of float32, in which regressors receive features. Around a mean of
# zero, spreads below the second number are roundings of what computed the feature.
FLOOR, SMALLEST = 1e-7, 1e-8
# Training ranges outside of the training range at which values are bounded; ordinary features stay within.
MARGIN = 3.0


@dataclass(frozen=True)
class Standardisation:
    """Standardisation by the training part, ``(x - mean) / scale``, within bounds.

    Columns that are constant up to rounding become zero. Values that are more than three training ranges outside of the
    training range are moved to this bound. Without both, a unit of a network that is almost silent on the training part
    would have any influence on a clip in which it is active.

    Attributes
    ----------
    mean, scale : ndarray, shape (d,)
        Mean and standard deviation.
    low, high : ndarray, shape (d,)
        Bounds of the standardised values.
    """

    mean: FloatArray
    scale: FloatArray
    low: FloatArray
    high: FloatArray

    def __call__(self, features: FloatArray) -> FloatArray:
        """Standardise features, shape (n, d)."""
        return np.clip((features - self.mean) / self.scale, self.low, self.high)


@dataclass(frozen=True)
class Linear:
    """A fitted linear map ``y = z W + b`` of standardised features ``z``.

    Attributes
    ----------
    inputs : Standardisation
        Standardisation of the features.
    weight : ndarray, shape (d, k)
        W.
    bias : ndarray, shape (k,)
        b.
    chosen : mapping
        Settings that were chosen on the verification part.
    """

    inputs: Standardisation
    weight: FloatArray
    bias: FloatArray
    chosen: Mapping[str, float] = field(default_factory=dict)

    def __call__(self, features: FloatArray) -> FloatArray:
        """Predict targets, shape (n, k), from features of shape (n, d)."""
        return self.inputs(features) @ self.weight + self.bias

    def arrays(self) -> dict[str, FloatArray]:
        """Return the fitted parameters."""
        return {**joined({"inputs": vars(self.inputs)}), "weight": self.weight, "bias": self.bias}

    @classmethod
    def of(cls, arrays: Arrays) -> Linear:
        """Restore a map from its parameters."""
        return cls(Standardisation(**part(arrays, "inputs")), arrays["weight"], arrays["bias"])


def standardised(features: FloatArray) -> tuple[FloatArray, Standardisation]:
    """Standardise features of shape (n, d), the training part; return them with their standardisation."""
    mean = features.mean(axis=0)
    scale = features.std(axis=0)
    constant = scale <= np.maximum(FLOOR * np.abs(mean), SMALLEST)
    scale = np.where(constant, 1.0, scale)
    centred = np.where(constant, 0.0, (features - mean) / scale)
    low, high = centred.min(axis=0), centred.max(axis=0)
    margin = MARGIN * (high - low)
    return centred, Standardisation(mean, scale, low - margin, high + margin)


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
    centred, inputs = standardised(features)
    bias = targets.mean(axis=0)
    if not features.shape[1]:
        return Linear(inputs, np.zeros((0, targets.shape[1])), bias)
    # Features are float32, so singular values below its precision are rounding and would only be amplified.
    weight = np.linalg.lstsq(centred, targets - bias, rcond=float(np.finfo(np.float32).eps))[0]
    return Linear(inputs, weight, bias)


class MultipleLinear:
    """Least squares, as in the paper."""

    name, title = "mlr", "multiple linear regression"
    order = 1
    closed_form = True
    # Its numbers are the paper's.
    residual_covariance = False

    def fit(self, features: FloatArray, targets: FloatArray, verification: tuple[FloatArray, FloatArray]) -> Linear:
        """Fit the training part; nothing is chosen on the verification part."""
        return fit_mlr(features, targets)


regressors.register(MultipleLinear())
