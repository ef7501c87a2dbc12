"""Support vector regression and networks compared with scikit-learn, closed forms, and data they must or cannot fit."""

from __future__ import annotations

import numpy as np
import pytest
from emobench.benchmark.scoring.regressors.scaling import LIMIT, Scaling
from emobench.benchmark.scoring.regressors.svr import EPSILON, GAMMA, C
from emobench.protocols import regressors
from sklearn.svm import SVR

NONLINEAR = ("svr", "mlp")


def _data(count: int, seed: int, dims: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Draw targets of which no linear function of the features explains a part."""
    generator = np.random.default_rng(seed)
    features = generator.normal(size=(count, dims)) * 10.0 ** np.arange(dims) + 5
    standard = (features - 5) / 10.0 ** np.arange(dims)
    means = 0.15 * np.column_stack([standard[:, 0] ** 2 - 1, np.abs(standard[:, 1]) - 0.8])
    spread = np.column_stack([0.04 + 0.01 * standard[:, 0] ** 2, np.full(count, 0.05), np.zeros(count)])
    return features, np.hstack([means, spread]) + 0.005 * generator.normal(size=(count, 5))


def _distance(predicted: np.ndarray, true: np.ndarray) -> float:
    return float(np.linalg.norm(predicted[:, :2] - true[:, :2], axis=1).mean())


@pytest.mark.parametrize("name", NONLINEAR)
def test_nonlinear_functions_are_learned(name: str) -> None:
    features, targets = _data(400, 0)
    checked, fresh = _data(150, 1), _data(150, 2)
    fitted = regressors[name].fit(features, targets, checked)
    linear = regressors["ridge"].fit(features, targets, checked)
    predicted = fitted(fresh[0])
    assert predicted.shape == (150, 5)
    assert _distance(predicted, fresh[1]) < 0.5 * _distance(linear(fresh[0]), fresh[1])
    # The variance of arousal follows the first feature; the linear model cannot see it.
    assert np.corrcoef(predicted[:, 2], fresh[1][:, 2])[0, 1] > 0.7
    again = regressors[name].fit(features, targets, checked)
    np.testing.assert_array_equal(again(fresh[0]), predicted)


@pytest.mark.parametrize("name", NONLINEAR)
def test_noise_costs_little_against_the_training_mean(name: str) -> None:
    generator = np.random.default_rng(3)
    features, targets = generator.normal(size=(200, 50)), generator.normal(0, 0.1, size=(200, 2))
    checked, fresh = (generator.normal(size=(100, 50)) for _ in range(2))
    wanted = generator.normal(0, 0.1, size=(100, 2))
    predicted = regressors[name].fit(features, targets, (checked, wanted))(fresh)
    against = generator.normal(0, 0.1, size=(100, 2))
    assert predicted.shape == (100, 2)
    assert _distance(predicted, against) < 1.1 * _distance(np.tile(targets.mean(axis=0), (100, 1)), against)


@pytest.mark.parametrize("name", NONLINEAR)
def test_no_columns_and_constant_columns(name: str) -> None:
    targets = _data(40, 4)[1]
    mean = np.tile(targets.mean(axis=0), (3, 1))
    nothing = np.zeros((40, 0))
    fitted = regressors[name].fit(nothing, targets, (nothing, targets))
    np.testing.assert_allclose(fitted(np.zeros((3, 0))), mean, rtol=1e-12)
    constant = np.full((40, 2), 0.1)
    found = regressors[name].fit(constant, targets, (constant, targets))(np.full((3, 2), 0.1))
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found[0], found[1])


@pytest.mark.parametrize("name", NONLINEAR)
def test_an_almost_constant_column_does_not_decide(name: str) -> None:
    features, targets = _data(100, 5)
    tag = np.zeros((100, 1))
    tag[7] = 1e-7
    fitted = regressors[name].fit(np.hstack([features, tag]), targets, (np.hstack([features, tag]), targets))
    present = fitted(np.hstack([features, np.ones((100, 1))]))
    assert np.isfinite(present).all()
    assert np.abs(present[:, :2]).max() < 2


def test_svr_equals_scikit_learn_at_the_best_setting() -> None:
    features, targets = _data(80, 6)
    checked, expected = _data(60, 7)
    fresh, _ = _data(20, 8)
    inputs = (features.mean(axis=0), features.std(axis=0))
    outputs = (targets.mean(axis=0), targets.std(axis=0))
    assert (np.abs((np.vstack([checked, fresh]) - inputs[0]) / inputs[1]) < LIMIT).all()

    def predict(c: float, gamma: float, epsilon: float, rows: np.ndarray) -> np.ndarray:
        found = [
            SVR(C=c, gamma=gamma / 4, epsilon=epsilon)  # pyright: ignore[reportArgumentType]
            .fit((features - inputs[0]) / inputs[1], column)
            .predict((rows - inputs[0]) / inputs[1])
            for column in ((targets - outputs[0]) / outputs[1]).T
        ]
        return np.column_stack(found) * outputs[1] + outputs[0]

    settings = [(c, gamma, epsilon) for gamma in GAMMA for c in C for epsilon in EPSILON]
    best = min(settings, key=lambda each: _distance(predict(*each, checked), expected))
    fitted = regressors["svr"].fit(features, targets, (checked, expected))
    assert (fitted.chosen["c"], fitted.chosen["gamma"] * 4, fitted.chosen["epsilon"]) == pytest.approx(best)
    # Two solvers of the same problem agree to their tolerance.
    np.testing.assert_allclose(fitted(fresh), predict(*best, fresh), atol=2e-3 * outputs[1].max())


def test_the_number_of_epochs_is_chosen_on_the_verification_part() -> None:
    features, targets = _data(120, 9)
    fitting, flat = (features, targets), (features, np.tile(targets.mean(axis=0), (120, 1)))
    longer, shorter = (regressors["mlp"].fit(features, targets, part) for part in (fitting, flat))
    assert longer.chosen["epochs"] > 2 * shorter.chosen["epochs"] > 0


def test_scaling() -> None:
    values = np.array([[1.0, 5.0, 1e5], [3.0, 5.0, 1e5]])
    scaling = Scaling.of(values)
    np.testing.assert_allclose(scaling(values), [[-1, 0, 0], [1, 0, 0]])
    # A rounding of float32 in a constant column stays small, and what lies far outside is clipped.
    np.testing.assert_allclose(scaling(np.array([[2.0, 5.0, 1e5 + 0.01]])), [[0, 0, 0.1]], atol=1e-9)
    np.testing.assert_array_equal(scaling(np.array([[1e6, -5.0, 0.0]])), [[LIMIT, -LIMIT, -LIMIT]])
    np.testing.assert_allclose(scaling.inverse(scaling(values)), values)
