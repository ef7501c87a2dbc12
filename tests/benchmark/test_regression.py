"""Regressors compared with scikit-learn, and on unsuitable features."""

from __future__ import annotations

import numpy as np
import pytest
from emobench.benchmark.scoring.regressors.mlr import fit_mlr
from emobench.benchmark.scoring.regressors.ridge import STRENGTHS, fit_ridge
from emobench.protocols import regressors
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.preprocessing import StandardScaler


def _data(count: int, dims: int, seed: int, *, noise: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    weight = np.random.default_rng(99).normal(size=(dims, 5))
    features = rng.normal(size=(count, dims)) * 10.0 ** (np.arange(dims) % 5 - 2) + np.arange(dims)
    standard = (features - np.arange(dims)) / 10.0 ** (np.arange(dims) % 5 - 2)
    return features, 0.1 * (standard @ weight) + 0.2 + noise * rng.normal(size=(count, 5))


# Multiple linear regression


def test_mlr_is_least_squares_with_an_intercept() -> None:
    features, targets = _data(200, 7, 0)
    fresh, _ = _data(50, 7, 1)
    reference = LinearRegression().fit(features, targets)
    model = fit_mlr(features, targets)
    np.testing.assert_allclose(model(fresh), reference.predict(fresh), rtol=1e-9, atol=1e-12)
    assert model.chosen == {}
    # Residuals are orthogonal to the features and to the constant.
    residual = targets - model(features)
    np.testing.assert_allclose(residual.sum(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose((features - features.mean(axis=0)).T @ residual, 0, atol=1e-7)


def test_mlr_of_a_line_by_hand() -> None:
    features = np.array([[1.0], [2.0], [3.0]])
    targets = np.array([[1.0], [2.0], [2.0]])
    # Slope 1/2, intercept 2/3.
    np.testing.assert_allclose(fit_mlr(features, targets)(np.array([[0.0], [9.0]])), [[2 / 3], [4.5 + 2 / 3]])


def test_mlr_with_large_offsets_loses_no_precision() -> None:
    features, targets = _data(200, 4, 2)
    # Spreads from 0.01 on, which float32 would still tell from the offset.
    moved = features + 1e4
    np.testing.assert_allclose(fit_mlr(moved, targets)(moved), fit_mlr(features, targets)(features), atol=1e-6)


def test_mlr_of_dependent_columns() -> None:
    features, targets = _data(80, 5, 3)
    fresh, _ = _data(30, 5, 4)

    def widened(table: np.ndarray) -> np.ndarray:
        return np.column_stack([table, table[:, 0], 2 * table[:, 1] - table[:, 2], -3 * table[:, 4] + 7])

    plain = LinearRegression().fit(features, targets)
    model = fit_mlr(widened(features), targets)
    np.testing.assert_allclose(model(widened(fresh)), plain.predict(fresh), rtol=1e-7, atol=1e-9)
    assert np.abs(model.weight).max() < 10


def test_mlr_takes_the_smallest_solution_of_the_standardised_problem() -> None:
    # More columns than rows: of all exact fits the one with the smallest weights.
    features, targets = np.random.default_rng(5).normal(size=(6, 10)), _data(6, 10, 5)[1]
    standard = StandardScaler().fit_transform(features)
    expected = np.linalg.pinv(standard, rcond=1e-10) @ (targets - targets.mean(axis=0))
    model = fit_mlr(features, targets)
    np.testing.assert_allclose(model.weight, expected, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(model(features), targets, atol=1e-9)


@pytest.mark.parametrize("level", [0.0, 1.0, 0.1, 1 / 3, 123456.789, -1e9])
def test_a_constant_column_has_no_influence(level: float) -> None:
    features, targets = _data(60, 3, 6)
    reference = LinearRegression().fit(features, targets)
    fresh, _ = _data(20, 3, 7)
    for fit in (fit_mlr, lambda x, y: fit_ridge(x, y, (x, y))):
        model = fit(np.insert(features, 1, level, axis=1), targets)
        same = model(np.insert(fresh, 1, level, axis=1))
        other = model(np.insert(fresh, 1, level + 1e3, axis=1))
        np.testing.assert_allclose(same, other, atol=1e-8)
        assert np.isfinite(same).all()
    model = fit_mlr(np.insert(features, 1, level, axis=1), targets)
    np.testing.assert_allclose(
        model(np.insert(fresh, 1, level, axis=1)), reference.predict(fresh), rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize("level", [0.0, -0.3, 25.0])
@pytest.mark.parametrize("regressor", ["mlr", "ridge"])
def test_units_that_are_almost_constant_in_training_do_not_explode(regressor: str, level: float) -> None:
    features, targets = _data(120, 3, 11)
    fresh, _ = _data(40, 3, 12)
    noise = np.random.default_rng(13)
    silent = np.column_stack([features, level + 1e-9 * noise.standard_normal((120, 20))])
    active = np.column_stack([fresh, level + noise.uniform(0.5, 1, (40, 20))])
    fit = regressors[regressor].fit
    found, alone = (fit(x, targets, (x, targets))(y) for x, y in ((silent, active), (features, fresh)))
    np.testing.assert_allclose(found, alone, atol=1e-9)


@pytest.mark.parametrize("regressor", ["mlr", "ridge"])
def test_a_unit_that_is_rare_in_training_does_not_explode(regressor: str) -> None:
    features, targets = _data(120, 3, 11)
    fresh, expected = _data(40, 3, 12)
    # It is active in one row of the training part, and a thousand times as much in the test part.
    rare, active = np.column_stack([features, 1e-3 * np.eye(120)[:, 0]]), np.column_stack([fresh, np.ones(40)])
    found = regressors[regressor].fit(rare, targets, (rare, targets))(active)
    unlimited = LinearRegression().fit(rare, targets).predict(active)
    errors = [np.abs(each - expected).mean(axis=0) / targets.std(axis=0) for each in (found, unlimited)]
    assert errors[0].max() < 10
    assert errors[1].max() > 500


@pytest.mark.parametrize("regressor", ["mlr", "ridge"])
def test_predictions_are_linear_up_to_three_training_ranges_outside(regressor: str) -> None:
    features, targets = _data(60, 1, 14)
    model = regressors[regressor].fit(features, targets, (features, targets))
    low, high = features.min(), features.max()
    reach = high - low
    steps = (high, high + 1.5 * reach, high + 3 * reach, high + 9 * reach, low - 3 * reach, low - 9 * reach)
    at = np.array(steps)[:, None]
    found = model(at)
    np.testing.assert_allclose(found[1] - found[0], found[2] - found[1], rtol=1e-9)
    np.testing.assert_allclose(found[3], found[2], rtol=1e-12)
    np.testing.assert_allclose(found[5], found[4], rtol=1e-12)
    np.testing.assert_allclose((found[2] - found[0]) / 3, (found[0] - found[4]) / 4, rtol=1e-9)


def test_only_constant_columns_predict_the_training_mean() -> None:
    targets = _data(30, 2, 8)[1]
    features = np.tile([0.1, -7.0, 1e8], (30, 1))
    for model in (fit_mlr(features, targets), fit_ridge(features, targets, (features, targets))):
        found = model(np.random.default_rng(0).normal(size=(4, 3)))
        np.testing.assert_allclose(found, np.tile(targets.mean(axis=0), (4, 1)), rtol=1e-12)


def test_no_columns_predict_the_training_mean() -> None:
    targets = _data(30, 2, 9)[1]
    nothing = np.zeros((30, 0))
    for model in (fit_mlr(nothing, targets), fit_ridge(nothing, targets, (nothing, targets))):
        assert model(np.zeros((4, 0))).shape == (4, 5)
        np.testing.assert_allclose(model(np.zeros((4, 0))), np.tile(targets.mean(axis=0), (4, 1)), rtol=1e-12)


def test_a_single_row_predicts_itself() -> None:
    model = fit_mlr(np.array([[1.0, 2.0]]), np.array([[0.1, 0.2, 0.3, 0.4, 0.5]]))
    np.testing.assert_allclose(model(np.array([[5.0, 5.0], [1.0, 2.0]])), np.tile([0.1, 0.2, 0.3, 0.4, 0.5], (2, 1)))


def test_fitting_does_not_change_its_inputs() -> None:
    features, targets = _data(40, 3, 10)
    kept = features.copy(), targets.copy()
    fit_mlr(features, targets)
    fit_ridge(features, targets, (features, targets))
    np.testing.assert_array_equal(features, kept[0])
    np.testing.assert_array_equal(targets, kept[1])


# Ridge


def _reference(features: np.ndarray, targets: np.ndarray, strength: float, fresh: np.ndarray) -> np.ndarray:
    scaler = StandardScaler().fit(features)
    model = Ridge(alpha=strength, solver="svd").fit(scaler.transform(features), targets)
    return np.asarray(model.predict(scaler.transform(fresh)))


@pytest.mark.parametrize("seed", range(6))
def test_ridge_equals_scikit_learn_at_the_best_strength(seed: int) -> None:
    noise = (0.01, 0.1, 0.3, 1.0, 3.0, 10.0)[seed]
    features, targets = _data(40, 30, 20 + seed, noise=noise)
    checked, expected = _data(60, 30, 40 + seed, noise=noise)
    fresh, _ = _data(10, 30, 60)
    distances = [
        np.linalg.norm(_reference(features, targets, strength, checked)[:, :2] - expected[:, :2], axis=1).mean()
        for strength in STRENGTHS
    ]
    best = STRENGTHS[int(np.argmin(distances))]
    model = fit_ridge(features, targets, (checked, expected))
    assert model.chosen["strength"] == best
    np.testing.assert_allclose(model(fresh), _reference(features, targets, best, fresh), rtol=1e-7, atol=1e-9)


def test_strength_depends_only_on_the_verification_part() -> None:
    features, targets = _data(60, 8, 11, noise=0.01)
    checked, expected = _data(40, 8, 12, noise=0.0)
    assert fit_ridge(features, targets, (checked, expected)).chosen["strength"] in STRENGTHS[:3]
    # If all verification targets are the training mean, the largest strength is best.
    flat = np.tile(targets.mean(axis=0), (40, 1))
    assert fit_ridge(features, targets, (checked, flat)).chosen["strength"] == STRENGTHS[-1]
    # Only the means of arousal and valence are used.
    covariances = expected.copy()
    covariances[:, 2:] = 1e6
    model, other = (fit_ridge(features, targets, (checked, part)) for part in (expected, covariances))
    assert model.chosen["strength"] == other.chosen["strength"]
    np.testing.assert_array_equal(model.weight, other.weight)


def test_range_of_strengths() -> None:
    np.testing.assert_allclose(STRENGTHS, [1e-3, 1e-2, 1e-1, 1, 10, 100, 1e3, 1e4, 1e5])


def test_ridge_with_more_columns_than_rows_and_copied_columns() -> None:
    features, targets = _data(10, 20, 13)
    doubled = np.hstack([features, features])
    model = fit_ridge(doubled, targets, (doubled, targets))
    assert np.isfinite(model(doubled)).all()
    np.testing.assert_allclose(model.weight[:20], model.weight[20:], rtol=1e-6, atol=1e-12)


def test_wrong_width() -> None:
    features, targets = _data(20, 4, 14)
    with pytest.raises(ValueError):
        fit_mlr(features, targets)(np.zeros((3, 5)))
    with pytest.raises(ValueError):
        fit_mlr(features, targets[:10])


def test_least_squares_does_not_amplify_the_rounding_of_float32() -> None:
    generator = np.random.default_rng(5)
    features, targets = generator.normal(size=(60, 3)), generator.normal(size=(60, 5)) / 10
    # Four columns that depend on the others but for the precision of float32.
    whole = np.hstack([features, features @ generator.normal(size=(3, 4))]).astype(np.float32).astype(float)
    fitted = fit_mlr(whole[:40], targets[:40])
    expected = LinearRegression().fit(features[:40], targets[:40]).predict(features[40:])
    np.testing.assert_allclose(fitted(whole[40:]), expected, atol=1e-5)
    assert np.abs(fitted.weight).max() < 1.0
