"""The network with Gaussian output compared with scipy, matrix inversion, and data with known covariances."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
import scipy.stats
import torch
from emobench.benchmark.scoring.gaussians import covariances
from emobench.benchmark.scoring.regressors.gaussian import Mixture, negative_log_likelihood
from emobench.benchmark.scoring.regressors.scaling import Scaling
from emobench.protocols import regressors


def _precision(output: np.ndarray) -> np.ndarray:
    lower = np.array([[np.exp(output[2]), 0], [output[4], np.exp(output[3])]])
    return lower @ lower.T


def _density(output: np.ndarray) -> Any:
    distribution: Any = scipy.stats.multivariate_normal
    return distribution(output[:2], np.linalg.inv(_precision(output)))


def test_loss_is_the_likelihood_of_draws() -> None:
    generator = np.random.default_rng(0)
    outputs = generator.normal(0, 0.5, size=(4, 5))
    ratings = generator.normal(0, 0.5, size=(4, 2))
    expected = [
        -_density(output).logpdf(rating) - np.log(2 * np.pi) for output, rating in zip(outputs, ratings, strict=True)
    ]
    found = negative_log_likelihood(torch.from_numpy(outputs), torch.from_numpy(ratings))
    assert float(found) == pytest.approx(np.mean(expected), rel=1e-9)
    # For a target Gaussian it is the average over ratings with its moments.
    spread = np.cov(ratings.T, ddof=0)
    target = np.array([[*ratings.mean(axis=0), spread[0, 0], spread[1, 1], spread[0, 1]]])
    one = negative_log_likelihood(torch.from_numpy(outputs[:1]), torch.from_numpy(target))
    each = negative_log_likelihood(torch.from_numpy(outputs[:1].repeat(4, 0)), torch.from_numpy(ratings))
    assert float(one) == pytest.approx(float(each), rel=1e-9)


def test_predictions_are_the_moments_of_the_mixture() -> None:
    generator = np.random.default_rng(1)
    outputs = generator.normal(0, 0.5, size=(3, 6, 5))
    scaling = Scaling(np.array([0.1, -0.1]), np.array([0.2, 0.3]))
    networks = cast("Any", lambda features: [torch.from_numpy(each) for each in outputs])
    found = Mixture(networks, scaling, None)(np.zeros((6, 1)))
    for row in range(6):
        draws = []
        for output in outputs[:, row]:
            spread = np.diag(scaling.scale) @ np.linalg.inv(_precision(output)) @ np.diag(scaling.scale)
            mean = output[:2] * scaling.scale + scaling.mean
            draws.append((mean, spread + np.outer(mean, mean)))
        mean = np.array([each[0] for each in draws]).mean(axis=0)
        spread = np.array([each[1] for each in draws]).mean(axis=0) - np.outer(mean, mean)
        np.testing.assert_allclose(found[row], [*mean, spread[0, 0], spread[1, 1], spread[0, 1]], rtol=1e-9)


def _data(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw target means that deviate more from what the feature tells where the second feature is large."""
    generator = np.random.default_rng(seed)
    features = generator.uniform(-1, 1, size=(count, 2))
    error = generator.normal(size=(count, 2)) * np.where(features[:, 1:] > 0, 0.2, 0.02)
    means = 0.2 * features[:, :1] + error
    return features, np.hstack([means, np.tile([0.01, 0.02, 0.005], (count, 1))])


def test_the_error_of_the_mean_is_part_of_the_covariance() -> None:
    fitted = regressors["gaussian"].fit(*_data(1500, 2), _data(400, 3))
    found = fitted(np.array([[0.0, 0.5], [0.0, -0.5]]))
    np.testing.assert_allclose(found[:, :2], 0, atol=0.03)
    np.testing.assert_allclose(found[0, 2:4], [0.05, 0.06], rtol=0.3)
    np.testing.assert_allclose(found[1, 2:], [0.0104, 0.0204, 0.005], rtol=0.35)
    assert (np.linalg.eigvalsh(covariances(found)) > 0).all()
    assert getattr(regressors["gaussian"], "residual_covariance") is False  # noqa: B009


@pytest.mark.parametrize("columns", [2, 3, 4])
def test_unknown_covariances(columns: int) -> None:
    features, targets = _data(100, 4)
    fitted = regressors["gaussian"].fit(features, targets[:, :columns], (features, targets[:, :columns]))
    found = fitted(features)
    assert found.shape == (100, columns)
    assert np.corrcoef(found[:, 0], 0.2 * features[:, 0])[0, 1] > 0.8
    np.testing.assert_allclose(found[:, 2:], targets[:, 2:columns], atol=1e-9)
