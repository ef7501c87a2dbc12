"""Metrics of calibration compared with scipy, draws from known Gaussians, and closed forms of special cases."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special
import scipy.stats
from emobench.benchmark.scoring.gaussians import covariances
from emobench.benchmark.scoring.metrics import scores
from emobench.benchmark.scoring.metrics.calibration import coverages, energy_scores, expected_nll, reliability
from emobench.benchmark.scoring.weighting import weighted_scores
from emobench.protocols import metrics

NAMES = ("nll", "energy_score", "coverage_50", "coverage_90", "r2_arousal_var", "r2_valence_var")


def _rows(count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    deviations = rng.uniform(0.05, 0.3, (count, 2))
    correlation = rng.uniform(-0.9, 0.9, count)
    return np.column_stack(
        [rng.uniform(-0.5, 0.5, (count, 2)), deviations**2, correlation * deviations[:, 0] * deviations[:, 1]]
    )


def _inflated(rows: np.ndarray, factor: float) -> np.ndarray:
    return np.hstack([rows[:, :2], rows[:, 2:] * factor])


def _draws(row: np.ndarray, count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).multivariate_normal(row[:2], covariances(row[None])[0], size=count)


def test_nll_is_the_average_over_the_ratings_with_the_moments_of_the_target() -> None:
    generator = np.random.default_rng(0)
    predicted = _rows(5, 1)
    for row in predicted:
        ratings = generator.normal([0.1, -0.2], [0.2, 0.1], size=(17, 2))
        spread = np.cov(ratings.T, ddof=0)
        true = np.array([[*ratings.mean(axis=0), spread[0, 0], spread[1, 1], spread[0, 1]]])
        density = scipy.stats.multivariate_normal(row[:2], covariances(row[None])[0])
        assert expected_nll(true, row[None])[0] == pytest.approx(-density.logpdf(ratings).mean(), rel=1e-10)


def test_nll_of_the_truth_is_its_entropy() -> None:
    rows = _rows(6, 2)
    entropy = [scipy.stats.multivariate_normal(row[:2], covariances(row[None])[0]).entropy() for row in rows]
    np.testing.assert_allclose(expected_nll(rows, rows), entropy, rtol=1e-10)


def test_energy_score_of_concentric_circles() -> None:
    # The length of a circular Gaussian has a Rayleigh distribution: E|z| = s sqrt(pi / 2).
    true, predicted = np.array([[0.1, 0.2, 0.04, 0.04, 0]]), np.array([[0.1, 0.2, 0.09, 0.09, 0]])
    half = np.sqrt(np.pi / 2)
    assert energy_scores(true, predicted)[0] == pytest.approx(half * (np.sqrt(0.13) - 0.5 * np.sqrt(0.18)), rel=1e-12)
    # Elsewhere it has a Rice distribution.
    moved = true + [0.3, -0.4, 0, 0, 0]
    rice = scipy.stats.rice(0.5 / np.sqrt(0.13), scale=np.sqrt(0.13)).mean()
    assert energy_scores(moved, predicted)[0] == pytest.approx(rice - 0.5 * half * np.sqrt(0.18), rel=1e-9)


def test_energy_score_of_a_narrow_ellipse() -> None:
    # Centred: sqrt(2 l / pi) E(1 - s / l) with the complete elliptic integral and eigenvalues s < l.
    rows = np.array([[0, 0, 0.1, 1e-3, 0]], float)

    def length(long: float, short: float) -> float:
        return np.sqrt(2 * long / np.pi) * float(scipy.special.ellipe(1 - short / long))

    expected = length(0.2, 2e-3) - 0.5 * length(0.2, 2e-3)
    assert energy_scores(rows, rows)[0] == pytest.approx(expected, rel=1e-9)


def test_energy_score_and_coverage_against_draws() -> None:
    true, predicted = _rows(4, 3), _rows(4, 4)
    predicted[:, :2] = true[:, :2] + 0.3 * (predicted[:, :2] - true[:, :2])
    for place in range(4):
        ratings, forecasts, others = (
            _draws(row, 200_000, seed) for seed, row in enumerate([true[place], predicted[place], predicted[place]])
        )
        energy = np.linalg.norm(forecasts - ratings, axis=1) - 0.5 * np.linalg.norm(forecasts - others, axis=1)
        assert energy_scores(true, predicted)[place] == pytest.approx(energy.mean(), abs=5 * energy.std() / 447)
        apart = ratings - predicted[place, :2]
        squared = np.einsum("ni,ij,nj->n", apart, np.linalg.inv(covariances(predicted[place][None])[0]), apart)
        inside = [(squared <= scipy.stats.chi2(2).ppf(level)).mean() for level in (0.5, 0.9)]
        np.testing.assert_allclose(coverages(true, predicted)[place], inside, atol=0.006)


def test_known_gaussians_are_covered_as_stated() -> None:
    rows = _rows(50, 5)
    rows[0] = [0.1, 0.1, 0.1, 1e-3, 0]
    np.testing.assert_allclose(coverages(rows, rows), np.tile([0.5, 0.9], (50, 1)), atol=1e-9)
    # A circle of twice the variance: 1 - (1 - p)^2.
    circle = np.array([[0, 0, 0.04, 0.04, 0]], float)
    np.testing.assert_allclose(coverages(circle, _inflated(circle, 2))[0], [0.75, 0.99], atol=1e-9)


def test_a_distant_or_very_narrow_truth_is_covered_or_not() -> None:
    wide, narrow = np.array([[0, 0, 0.1, 0.1, 0.05]]), np.array([[0, 0, 1e-3, 1e-3, 0]])
    np.testing.assert_allclose(coverages(narrow, wide), [[1, 1]], atol=1e-6)
    far = narrow + [0.5, -0.5, 0, 0, 0]
    np.testing.assert_allclose(coverages(far, narrow), [[0, 0]], atol=1e-9)
    # The offset of the ratings against a noncentral chi-square distribution.
    moved = np.array([[0.1, 0.2, 0.04, 0.04, 0]])
    circle = np.array([[0, 0, 0.04, 0.04, 0]])
    expected = scipy.stats.ncx2(2, 0.05 / 0.04).cdf(scipy.stats.chi2(2).ppf([0.5, 0.9]))
    np.testing.assert_allclose(coverages(moved, circle)[0], expected, rtol=1e-9)


def test_false_covariances_worsen_likelihood_and_energy_score() -> None:
    rows = _rows(40, 6)
    best = scores(rows, rows)
    for factor in (0.5, 1.5, 4):
        other = scores(rows, _inflated(rows, factor))
        assert other["nll"] > best["nll"]
        assert other["energy_score"] > best["energy_score"]
        assert (other["coverage_50"] > 0.5) == (factor > 1)
    moved = rows + [0.1, 0, 0, 0, 0]
    assert scores(rows, moved)["energy_score"] > best["energy_score"]


def test_r2_of_variances() -> None:
    true, predicted = _rows(30, 7), _rows(30, 8)
    found = scores(true, predicted)
    error, around = ((true - predicted) ** 2).sum(axis=0), ((true - true.mean(axis=0)) ** 2).sum(axis=0)
    assert found["r2_arousal_var"] == pytest.approx(1 - error[2] / around[2])
    assert found["r2_valence_var"] == pytest.approx(1 - error[3] / around[3])
    assert scores(true, true)["r2_valence_var"] == pytest.approx(1)


def test_weights_count_clips() -> None:
    true, predicted, clips = _rows(12, 9), _rows(12, 10), np.repeat(np.arange(3), 4)
    twice = np.concatenate([np.arange(12), np.arange(4)])
    plain = scores(true[twice], predicted[twice])
    found = weighted_scores(true, predicted, clips, np.array([[2.0, 1.0, 1.0]]))
    for name in NAMES:
        assert found[name][0] == pytest.approx(plain[name], rel=1e-9), name


@pytest.mark.parametrize("unknown", [[2, 3, 4], [4]])
def test_unknown_covariances_have_no_score(unknown: list[int]) -> None:
    rows = _rows(5, 11)
    spoilt = rows.copy()
    spoilt[2, unknown] = np.nan
    for true, predicted in ((spoilt, rows), (rows, spoilt), (spoilt, spoilt)):
        found = scores(true, predicted)
        for name in NAMES:
            if unknown == [4] and name.startswith("r2"):
                continue
            assert np.isnan(found[name]), name
    assert not any(metrics[name].column for name in NAMES)


# Reliability diagram


def _diagram(true: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    found = reliability(true, predicted)
    assert found is not None
    return np.array(found)


def test_a_reliability_diagram_has_the_shares_of_draws() -> None:
    true = _rows(8, 21)
    predicted = _inflated(true, 1.7) + [0.05, -0.02, 0, 0, 0]
    distances = []
    for place, (row, other) in enumerate(zip(true, predicted, strict=True)):
        away = _draws(row, 20_000, place) - other[:2]
        distances.append(np.einsum("ni,ij,nj->n", away, np.linalg.inv(covariances(other[None])[0]), away))
    inside = [np.mean(np.array(distances) <= scipy.stats.chi2(2).ppf(level)) for level in np.arange(1, 10) / 10]
    np.testing.assert_allclose(_diagram(true, predicted), inside, atol=6e-3)


def test_the_diagram_of_the_truth_is_the_diagonal_and_inflated_covariances_are_above_it() -> None:
    rows, nominal = _rows(50, 22), np.arange(1, 10) / 10
    np.testing.assert_allclose(_diagram(rows, rows), nominal, atol=6e-4)
    assert (_diagram(rows, _inflated(rows, 2.0)) > nominal + 0.02).all()
    assert (_diagram(rows, _inflated(rows, 0.5)) < nominal - 0.02).all()


def test_unknown_covariances_have_no_diagram() -> None:
    rows = _rows(5, 23)
    rows[3, 4] = np.nan
    assert reliability(rows, _rows(5, 24)) is None


def test_many_rows_are_thinned_out_evenly() -> None:
    true, predicted = _rows(6001, 25), _rows(6001, 26)
    expected = coverages(true[::4], predicted[::4], (10, 50, 90)).mean(axis=0)
    np.testing.assert_allclose(_diagram(true, predicted)[[0, 4, 8]], expected, atol=6e-4)
