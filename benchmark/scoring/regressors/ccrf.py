r"""Continuous conditional random field over predictions (Imbrasaitė, Baltrušaitis and Robinson, ICMEW 2013).

Each target of the seconds :math:`i` of a clip has the density

.. math:: p(y | x) \propto \exp\Big(-\sum_k \alpha_k \sum_i (y_i - x_{ik})^2
          - \sum_g \beta_g \frac{1}{2} \sum_{ij} S^g_{ij} (y_i - y_j)^2\Big),

where :math:`x_k` are the predictions of ridge and support vector regression, :math:`S^1` joins neighbouring seconds and
:math:`S^2` all pairs of seconds of a clip, with weight :math:`1/(L - 1)` in a clip of L seconds. (The paper joins all
pairs by the similarity of their features.) It assumes that targets change slowly and stay near a level of the clip.
The density is Gaussian; its mean is predicted, and the logarithms of :math:`\alpha` and :math:`\beta` maximise the
likelihood of the verification part, since the predictions of the training part are too good.

Both Laplacians have the eigenvectors of the discrete cosine transform, in which the seconds are independent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import scipy

from ....protocols import Fitted, regressors
from .mlr import Linear
from .ridge import fit_ridge
from .scaling import FloatArray, Scaling
from .sequences import Groups, by_length
from .stored import Arrays, joined, part
from .svr import SupportVector, SupportVectors

EDGES = 2
LIMIT = 12.0


def _basis(length: int) -> tuple[FloatArray, FloatArray]:
    """Return the orthonormal cosines (length, length), and eigenvalues of both Laplacians (2, length)."""
    order = np.arange(length)
    cosines = np.cos(np.pi * order[:, None] * (order + 0.5) / length)
    cosines /= np.linalg.norm(cosines, axis=1, keepdims=True)
    pairs = np.where(order > 0, length / max(1, length - 1), 0.0)
    return cosines, np.array([2 - 2 * np.cos(np.pi * order / length), pairs])


def transformed(values: FloatArray, groups: Groups) -> tuple[FloatArray, FloatArray]:
    """Transform each sequence of values; return the coefficients and their eigenvalues, shape (2, n_rows)."""
    found, eigenvalues = np.empty_like(values), np.empty((EDGES, len(values)))
    for rows in by_length(groups):
        cosines, own = _basis(rows.shape[1])
        found[rows] = np.einsum("cl,nl...->nc...", cosines, values[rows])
        eigenvalues[:, rows] = own[:, None]
    return found, eigenvalues


def field(logs: FloatArray, x: FloatArray, eigenvalues: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return mean and precision of the coefficients.

    Parameters
    ----------
    logs : ndarray, shape (k + 2,)
        Logarithms of alpha and beta.
    x : ndarray, shape (n_rows, k)
        Coefficients of the predictions.
    eigenvalues : ndarray, shape (2, n_rows)
        Their eigenvalues.
    """
    alpha, beta = np.exp(logs[:-EDGES]), np.exp(logs[-EDGES:])
    precision = 2 * (alpha.sum() + beta @ eigenvalues)
    return 2 * x @ alpha / precision, precision


def loss(logs: FloatArray, x: FloatArray, y: FloatArray, eigenvalues: FloatArray) -> tuple[float, FloatArray]:
    """Return the mean negative log-likelihood of coefficients y, shape (n_rows,), and its gradient."""
    mean, precision = field(logs, x, eigenvalues)
    error = y - mean
    value = 0.5 * (precision * error**2 - np.log(precision / (2 * np.pi))).mean()
    # With the precision p and p * mean linear in alpha and beta.
    by_precision = 0.5 * (error**2 - 1 / precision) + error * mean
    alpha = 2 * (by_precision[:, None] - error[:, None] * x).mean(axis=0)
    beta = 2 * (eigenvalues * by_precision).mean(axis=1)
    return float(value), np.concatenate([alpha, beta]) * np.exp(logs)


@dataclass(frozen=True)
class Field:
    """Fitted fields, one for each target.

    Attributes
    ----------
    bases : tuple of Fitted
        Regressors whose predictions are smoothed.
    scaling : Scaling
        Standardisation of the targets.
    logs : ndarray, shape (k, 4)
        Logarithms of alpha and beta of each target.
    chosen : mapping
        Settings of the regressors, and alpha and beta of arousal and valence.
    """

    bases: tuple[Linear, SupportVectors | Linear]
    scaling: Scaling
    logs: FloatArray
    chosen: Mapping[str, float]

    def __call__(self, features: FloatArray, groups: Groups) -> FloatArray:
        """Predict targets, shape (n, k), from features of shape (n, d) and the sequence of each row."""
        x, eigenvalues = transformed(standardised(self.bases, self.scaling, features), groups)
        pairs = zip(self.logs, x.transpose(1, 0, 2), strict=True)
        found = np.column_stack([field(logs, own, eigenvalues)[0] for logs, own in pairs])
        for rows in by_length(groups):
            found[rows] = np.einsum("cl,nc...->nl...", _basis(rows.shape[1])[0], found[rows])
        return self.scaling.inverse(found)

    def arrays(self) -> dict[str, FloatArray]:
        """Return the fitted parameters."""
        ridge, svr = self.bases
        return {
            **joined({"ridge": ridge.arrays(), "svr": svr.arrays(), "scaling": vars(self.scaling)}),
            "logs": self.logs,
        }


def standardised(bases: tuple[Fitted, ...], scaling: Scaling, features: FloatArray) -> FloatArray:
    """Return the predictions of several regressors in standard deviations, shape (n_rows, k, n_regressors)."""
    return np.stack([(base(features) - scaling.mean) / scaling.scale for base in bases], axis=-1)


class RandomField:
    """Continuous conditional random field over ridge and support vector regression."""

    name, title = "ccrf", "continuous conditional random field"
    order = 7
    sequential = True

    def fit(
        self,
        features: FloatArray,
        targets: FloatArray,
        verification: tuple[FloatArray, FloatArray],
        *,
        groups: tuple[Groups, Groups],
    ) -> Field:
        """Fit the training part; alpha and beta are chosen on the verification part."""
        bases = (fit_ridge(features, targets, verification), SupportVector().fit(features, targets, verification))
        scaling = Scaling.of(targets)
        x, eigenvalues = transformed(standardised(bases, scaling, verification[0]), groups[1])
        y, _ = transformed((verification[1] - scaling.mean) / scaling.scale, groups[1])
        start = np.array([0.0] * len(bases) + [-1.0] * EDGES)
        fits = [
            scipy.optimize.minimize(
                loss,
                start,
                (x[:, place], y[:, place], eigenvalues),
                method="L-BFGS-B",
                jac=True,
                bounds=[(-LIMIT, LIMIT)] * len(start),
            )
            for place in range(targets.shape[1])
        ]
        logs = np.array([each.x for each in fits])
        names = ("alpha_ridge", "alpha_svr", "beta_neighbours", "beta_pairs")
        chosen = {
            f"{name}_{axis}": float(np.exp(value))
            for axis, own in zip(("arousal", "valence"), logs, strict=False)
            for name, value in zip(names, own, strict=True)
        }
        return Field(bases, scaling, logs, {**bases[0].chosen, **bases[1].chosen, **chosen})

    def restore(self, arrays: Arrays, features: FloatArray) -> Field:
        """Restore the fields from their parameters and the features of the training part."""
        bases = Linear.of(part(arrays, "ridge")), SupportVector().restore(part(arrays, "svr"), features)
        return Field(bases, Scaling(**part(arrays, "scaling")), arrays["logs"], {})


regressors.register(cast("Any", RandomField()))
