"""Network that outputs the mean and covariance of a Gaussian, trained by likelihood.

The outputs are a mean and the Cholesky factor of the inverse covariance, so every covariance is positive definite.
Where covariances are known, the expected negative log-likelihood of a rating drawn from the target Gaussian is
minimised; up to the entropy of the target this is KL(target || prediction), the score of the benchmark. It uses the
spread of the ratings as well as their mean, and its minimum is the Gaussian with the moments of all ratings of rows
with these features, so the error of the predicted mean is part of the predicted covariance. Where covariances are
unknown, the likelihood of the target means is all that can be maximised; the networks then predict means alone, and
ridge regression the variances that are known.

Three networks from different seeds predict the Gaussian with the moments of their mixture (Lakshminarayanan, Pritzel
and Blundell, NeurIPS 2017).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ....protocols import regressors
from .mlr import Linear, fit_mlr
from .networks import Networks, train
from .ridge import fit_ridge
from .scaling import FloatArray, Scaling
from .stored import Arrays, joined, part

if TYPE_CHECKING:
    from torch import Tensor

# Two means, two variances and their covariance.
PARAMETERS = 5


def negative_log_likelihood(output: Tensor, target: Tensor) -> Tensor:
    """Return the mean expected negative log-likelihood, without constants.

    Parameters
    ----------
    output : Tensor, shape (n, 5)
        Mean, logarithms of the diagonal of the lower triangular L with inverse covariance L L^T, and its other element.
    target : Tensor, shape (n, 5) or (n, 2)
        Target Gaussians ``[mu_a, mu_v, var_a, var_v, cov_av]``, or their means, which are then the ratings.
    """
    first, second = output[:, 2].exp(), output[:, 3].exp()
    other = output[:, 4]
    a, v = (target[:, :2] - output[:, :2]).unbind(1)
    # tr(L L^T M) of the second moments M of the ratings about the predicted mean.
    aa, vv, av = a * a, v * v, a * v
    if target.shape[1] > 2:
        aa, vv, av = aa + target[:, 2], vv + target[:, 3], av + target[:, 4]
    squared = first**2 * aa + 2 * first * other * av + (other**2 + second**2) * vv
    return (0.5 * squared - output[:, 2] - output[:, 3]).mean()


@dataclass(frozen=True)
class Mixture:
    """Networks whose mixture has the predicted moments.

    Attributes
    ----------
    networks : Networks
        Networks.
    outputs : Scaling
        Standardisation of the means.
    others : Linear or None
        Map to all targets, from which those beside the means are taken if covariances are unknown.
    """

    networks: Networks
    outputs: Scaling
    others: Linear | None

    @property
    def chosen(self) -> Mapping[str, float]:
        """Number of epochs."""
        return self.networks.chosen

    def __call__(self, features: FloatArray) -> FloatArray:
        """Predict targets, shape (n, k), from features of shape (n, d)."""
        found = np.array([output.double().numpy() for output in self.networks(features)])
        means = self.outputs.inverse(found[..., :2])
        average = means.mean(axis=0)
        if self.others is not None:
            return np.hstack([average, self.others(features)[:, 2:]])
        first, second, other = np.exp(found[..., 2]), np.exp(found[..., 3]), found[..., 4]
        scale_a, scale_v = self.outputs.scale
        # Inverse of [[first, 0], [other, second]] times its transpose.
        var_a = (1 / first**2 + (other / (first * second)) ** 2) * scale_a**2
        var_v = scale_v**2 / second**2
        cov = -other / (first * second**2) * scale_a * scale_v
        apart = means - average
        spread = np.stack([var_a, var_v, cov], axis=-1)
        spread += np.stack([apart[..., 0] ** 2, apart[..., 1] ** 2, apart[..., 0] * apart[..., 1]], axis=-1)
        return np.hstack([average, spread.mean(axis=0)])

    def arrays(self) -> dict[str, Any]:
        """Return the fitted parameters."""
        others = {} if self.others is None else self.others.arrays()
        return joined({"networks": self.networks.arrays(), "outputs": vars(self.outputs), "others": others})


class Gaussian:
    """Network that predicts a Gaussian."""

    name, title = "gaussian", "network with Gaussian output"
    order = 5
    # The predicted covariance contains the error of the predicted mean.
    residual_covariance = False

    def fit(
        self, features: FloatArray, targets: FloatArray, verification: tuple[FloatArray, FloatArray]
    ) -> Mixture | Linear:
        """Fit the training part; training stops at the best likelihood of the verification part."""
        if not features.shape[1]:
            return fit_mlr(features, targets)
        whole = targets.shape[1] == PARAMETERS
        outputs = Scaling.of(targets[:, :2])
        scale = np.array([*outputs.scale**2, outputs.scale.prod()])

        def standard(rows: FloatArray) -> FloatArray:
            means = (rows[:, :2] - outputs.mean) / outputs.scale
            return np.hstack([means, rows[:, 2:] / scale]) if whole else means

        networks = train(
            features,
            standard(targets),
            (verification[0], standard(verification[1])),
            outputs=PARAMETERS,
            loss=negative_log_likelihood,
            score=negative_log_likelihood,
        )
        return Mixture(networks, outputs, None if whole else fit_ridge(features, targets, verification))

    def restore(self, arrays: Arrays, features: FloatArray) -> Mixture | Linear:
        """Restore networks from their parameters."""
        if "weight" in arrays:
            return Linear.of(arrays)
        others = part(arrays, "others")
        networks, outputs = Networks.of(part(arrays, "networks")), Scaling(**part(arrays, "outputs"))
        return Mixture(networks, outputs, Linear.of(others) if others else None)


regressors.register(Gaussian())
