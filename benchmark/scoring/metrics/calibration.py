r"""Calibration of predicted Gaussians against the distribution of the annotators' ratings.

All are expectations over a rating :math:`y` drawn from the true Gaussian :math:`p = N(m, S)`, given the predicted one
:math:`q = N(\mu, \Sigma)`. So they need no single ratings, exist for corpora that published statistics only, and can
be verified from the predictions. With unbiased covariances they are the expectations for an annotator who was not
asked; the ratings that were given have :math:`(n - 1)/n` of that covariance. Where ratings are not Gaussian, coverage
is that of the Gaussian with their moments, while the likelihood depends on these moments alone:

.. math:: -E \ln q(y) = \frac{1}{2} \left[\ln |2 \pi \Sigma| + \mathrm{tr}\,\Sigma^{-1}
          \left(S + (m - \mu)(m - \mu)^T\right)\right].

The energy score (Gneiting and Raftery, JASA 2007) is :math:`E|x - y| - \frac{1}{2} E|x - x'|` with independent
:math:`x, x' \sim q`; smaller is better. Coverage is the share of ratings in the ellipse that contains 50 % or 90 % of
the predicted distribution; the nominal share is best.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import scipy

from ....protocols import Metric, metrics
from ..gaussians import AXES, FloatArray, covariances
from .agreement import moments, r2
from .kl_divergence import kl_divergences

LEVELS = (50, 90)

# Levels of a reliability diagram in percent, and the rows that it is computed from at most.
DIAGRAM = tuple(range(10, 100, 10))
_ROWS = 2000

# Nodes of the quadratures, which are exact to about 1e-9 for covariances above the eigenvalue floor.
_DIRECTIONS = 128
_NODES = 96


def expected_nll(true: FloatArray, predicted: FloatArray) -> FloatArray:
    """Return the expected negative log-likelihood of a rating in nats, shape (n,); NaN where covariance is unknown."""
    determinant = true[:, 2] * true[:, 3] - true[:, 4] ** 2
    entropy = 1 + np.log(2 * np.pi) + 0.5 * np.log(determinant)
    return kl_divergences(true, predicted) + entropy


def _expected_length(mean: FloatArray, covariance: FloatArray) -> FloatArray:
    """Return E|z| of two-dimensional Gaussians, from means of shape (n, 2) and covariances of shape (n, 2, 2).

    The length of a vector is a quarter of the integral of its absolute projections over all directions, and the
    expectation of each of those has a closed form. The trapezoidal rule is exact to rounding for periodic functions.
    """
    angles = np.pi * np.arange(_DIRECTIONS) / _DIRECTIONS
    directions = np.column_stack([np.cos(angles), np.sin(angles)])
    projected = mean @ directions.T
    variance = np.einsum("di,nij,dj->nd", directions, covariance, directions)
    deviation = np.sqrt(variance)
    folded = deviation * np.sqrt(2 / np.pi) * np.exp(-(projected**2) / (2 * variance))
    folded += projected * scipy.special.erf(projected / (deviation * np.sqrt(2)))
    return 0.5 * np.pi * folded.mean(axis=1)


def energy_scores(true: FloatArray, predicted: FloatArray) -> FloatArray:
    """Return the expected energy score of each row, shape (n,); NaN where a covariance is unknown."""
    own, other = covariances(predicted), covariances(true)
    between = _expected_length(predicted[:, :2] - true[:, :2], own + other)
    return between - 0.5 * _expected_length(np.zeros((len(own), 2)), 2 * own)


def coverages(true: FloatArray, predicted: FloatArray, levels: Sequence[int] = LEVELS) -> FloatArray:
    """Return the expected share of ratings in the ellipses of some levels, shape (n, levels); NaN where unknown."""
    known = np.isfinite(true).all(axis=1) & np.isfinite(predicted).all(axis=1)
    found = np.full((len(true), len(levels)), np.nan)
    # In coordinates in which the ellipses are circles, and the axes those of the ratings.
    root = np.linalg.inv(np.linalg.cholesky(covariances(predicted[known])))
    spread, axes = np.linalg.eigh(root @ covariances(true[known]) @ root.transpose(0, 2, 1))
    offset = np.einsum("nji,njk,nk->ni", axes, root, true[known, :2] - predicted[known, :2])
    deviation = np.sqrt(np.maximum(spread, np.finfo(float).tiny))
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    angles = nodes * np.pi / 2
    for place, level in enumerate(levels):
        radius = np.sqrt(-2 * np.log(1 - level / 100))
        # Along the long axis numerically, across it in closed form.
        along, half = radius * np.sin(angles), radius * np.cos(angles)
        density = np.exp(-0.5 * ((along - offset[:, 1:]) / deviation[:, 1:]) ** 2)
        density /= deviation[:, 1:] * np.sqrt(2 * np.pi)
        across = scipy.special.ndtr((half - offset[:, :1]) / deviation[:, :1])
        across -= scipy.special.ndtr((-half - offset[:, :1]) / deviation[:, :1])
        found[known, place] = (density * across * half) @ weights * np.pi / 2
    return found


def reliability(true: FloatArray, predicted: FloatArray) -> list[float] | None:
    """Return the expected share of ratings in the ellipses of ``DIAGRAM``; None if a covariance is unknown.

    Of many rows, evenly spaced ones are used.
    """
    rows = slice(None, None, -(-len(true) // _ROWS))
    shares = coverages(true[rows], predicted[rows], DIAGRAM).mean(axis=0)
    return [round(float(share), 3) for share in shares] if np.isfinite(shares).all() else None


def _average(place: int) -> Callable[[FloatArray], FloatArray]:
    return lambda sums: sums[..., place] / sums[..., 0]


metrics.register(
    Metric(
        "nll",
        "NLL",
        statistics=lambda true, predicted: expected_nll(true, predicted)[:, None],
        score=_average(1),
        column=False,
        order=30,
    )
)
metrics.register(
    Metric(
        "energy_score",
        "Energy Score",
        statistics=lambda true, predicted: energy_scores(true, predicted)[:, None],
        score=_average(1),
        column=False,
        order=31,
    )
)
for place, level in enumerate(LEVELS):
    metrics.register(
        Metric(
            f"coverage_{level}",
            f"Coverage of the {level} % Ellipse",
            statistics=coverages,
            score=_average(1 + place),
            # The nominal share is best.
            column=False,
            order=32 + place,
        )
    )
for place, axis in enumerate(AXES, 2):
    metrics.register(
        Metric(
            f"r2_{axis}_var",
            f"R² of the Variance of {axis.title()}",
            statistics=moments(place),
            score=r2,
            higher_is_better=True,
            column=False,
            order=34,
        )
    )
