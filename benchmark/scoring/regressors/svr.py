"""Support vector regression with a Gaussian kernel (Drucker et al. 1997), one machine for each target.

It assumes a smooth function of the features in which rows that are alike have targets that are alike. C, gamma and
epsilon are the same for all targets, which are standardised, and chosen on the verification part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from ....protocols import regressors
from .mlr import Linear, fit_mlr
from .ridge import mean_distance
from .scaling import FloatArray, Scaling
from .stored import Arrays, joined, part

C = (0.1, 1.0, 10.0)
# Multiples of 1 / d, with which the exponent does not depend on the number of features d.
GAMMA = (0.1, 0.3, 1.0)
# Standard deviations of a target.
EPSILON = (0.1, 0.5)
# Training grows with more than the square of the number of rows; of more rows, as many are used, evenly spaced.
ROWS = 4000


@dataclass(frozen=True)
class SupportVectors:
    """A fitted machine for each target.

    Attributes
    ----------
    rows : ndarray, shape (n, d)
        Standardised features of the training part.
    inputs, outputs : Scaling
        Standardisation of features and targets.
    dual : ndarray, shape (n, k)
        Coefficient of each row for each target, 0 where it is not a support vector.
    offset : ndarray, shape (k,)
        Intercepts.
    chosen : mapping
        C, gamma and epsilon.
    """

    rows: FloatArray
    inputs: Scaling
    outputs: Scaling
    dual: FloatArray
    offset: FloatArray
    chosen: Mapping[str, float]

    def __call__(self, features: FloatArray) -> FloatArray:
        """Predict targets, shape (n, k), from features of shape (n, d)."""
        kernel = np.exp(-self.chosen["gamma"] * _distances(self.inputs(features), self.rows))
        return self.outputs.inverse(kernel @ self.dual + self.offset)

    def arrays(self) -> dict[str, FloatArray]:
        """Return the fitted parameters, without the rows, which are features of the training part."""
        scales = joined({"inputs": vars(self.inputs), "outputs": vars(self.outputs)})
        return {**scales, "dual": self.dual, "offset": self.offset, "gamma": np.array([self.chosen["gamma"]])}


def _distances(one: FloatArray, other: FloatArray) -> FloatArray:
    """Return squared Euclidean distances between rows, shape (len(one), len(other))."""
    squares = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1) - 2 * one @ other.T
    return np.maximum(squares, 0.0)


def _kept(rows: int) -> npt.NDArray[np.intp]:
    """Return the rows of the training part that are used."""
    return np.linspace(0, rows - 1, min(rows, ROWS)).astype(np.intp)


class SupportVector:
    """Support vector regression, the field's standard."""

    name, title = "svr", "support vector regression (RBF)"
    order = 3

    def fit(
        self, features: FloatArray, targets: FloatArray, verification: tuple[FloatArray, FloatArray]
    ) -> SupportVectors | Linear:
        """Fit the training part; the setting with the smallest mean distance on the verification part is chosen."""
        from sklearn.svm import SVR

        if not features.shape[1]:
            return fit_mlr(features, targets)
        kept = _kept(len(features))
        features, targets = features[kept], targets[kept]
        inputs, outputs = Scaling.of(features), Scaling.of(targets)
        rows, wanted = inputs(features), (targets - outputs.mean) / outputs.scale
        apart, checked = _distances(rows, rows), _distances(inputs(verification[0]), rows)

        def machine(kernel: FloatArray, target: FloatArray, c: float, epsilon: float) -> Any:
            return SVR(kernel="precomputed", C=c, epsilon=epsilon, cache_size=500).fit(kernel, target)

        best = (np.inf, {"c": np.nan, "gamma": np.nan, "epsilon": np.nan})
        for gamma in np.array(GAMMA) / features.shape[1]:
            kernel, against = np.exp(-gamma * apart), np.exp(-gamma * checked)
            for c, epsilon in product(C, EPSILON):
                pair = [machine(kernel, wanted[:, axis], c, epsilon).predict(against) for axis in range(2)]
                means = np.column_stack(pair) * outputs.scale[:2] + outputs.mean[:2]
                distance = mean_distance(means, verification[1])
                if distance < best[0]:
                    best = distance, {"c": c, "gamma": float(gamma), "epsilon": epsilon}
        chosen = best[1]
        kernel = np.exp(-chosen["gamma"] * apart)
        machines = [machine(kernel, target, chosen["c"], chosen["epsilon"]) for target in wanted.T]
        dual = np.zeros(wanted.shape)
        for place, each in enumerate(machines):
            dual[each.support_, place] = each.dual_coef_[0]
        offset = np.array([float(each.intercept_[0]) for each in machines])
        return SupportVectors(rows, inputs, outputs, dual, offset, chosen)

    def restore(self, arrays: Arrays, features: FloatArray) -> SupportVectors | Linear:
        """Restore machines from their parameters and the features of the training part."""
        if "weight" in arrays:
            return Linear.of(arrays)
        inputs, outputs = (Scaling(**part(arrays, name)) for name in ("inputs", "outputs"))
        rows = inputs(features[_kept(len(features))])
        chosen = {"gamma": float(arrays["gamma"].item())}
        return SupportVectors(rows, inputs, outputs, arrays["dual"], arrays["offset"], chosen)


regressors.register(SupportVector())
