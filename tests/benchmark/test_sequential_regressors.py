"""Kalman smoothing and conditional random fields compared with dense Gaussians, and on processes of known kinds."""

from __future__ import annotations

from concurrent.futures import Executor
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import scipy.optimize
import scipy.stats
from emobench.benchmark import runs
from emobench.benchmark.features.network_config import NetworkConfig
from emobench.benchmark.scoring.regressors.ccrf import field, loss, transformed
from emobench.benchmark.scoring.regressors.kalman import Dynamics, estimate
from emobench.benchmark.scoring.regressors.sequences import by_length
from emobench.benchmark.scoring.task import load_task
from emobench.builders import labelled_dataset
from emobench.errors import InputError
from emobench.protocols import regressors

SEQUENTIAL = ("kalman", "ccrf")


def _positive(generator: np.random.Generator, size: int) -> np.ndarray:
    root = generator.normal(size=(size, size))
    return root @ root.T + 0.1 * np.eye(size)


def test_smoothing_is_conditioning_of_the_joint_gaussian() -> None:
    generator = np.random.default_rng(0)
    size, length = 2, 5
    system = Dynamics(
        transition=0.5 * generator.normal(size=(size, size)),
        innovation=_positive(generator, size),
        initial=_positive(generator, size),
        observation=generator.normal(size=(size, size)),
        offset=generator.normal(size=size),
        noise=_positive(generator, size),
    )
    # Covariance of all states, block by block.
    blocks = np.zeros((length, length, size, size))
    blocks[0, 0] = system.initial
    for time in range(1, length):
        blocks[time, time] = system.transition @ blocks[time - 1, time - 1] @ system.transition.T + system.innovation
    for first in range(length):
        for later in range(first + 1, length):
            blocks[later, first] = system.transition @ blocks[later - 1, first]
            blocks[first, later] = blocks[later, first].T
    states = blocks.transpose(0, 2, 1, 3).reshape(length * size, length * size)
    observe = np.kron(np.eye(length), system.observation)
    seen = observe @ states @ observe.T + np.kron(np.eye(length), system.noise)
    values = generator.normal(size=(3, length, size))
    centred = (values - system.offset).reshape(3, -1)
    expected = (states @ observe.T @ np.linalg.solve(seen, centred.T)).T.reshape(3, length, size)
    np.testing.assert_allclose(system.smooth(values), expected, rtol=1e-8, atol=1e-10)


def _process(clips: int, seed: int, *, decay: float, length: int = 15) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw targets of AR(1) within each clip, features with much noise that tell them, and the clip of each row."""
    generator = np.random.default_rng(seed)
    states = np.empty((clips, length, 2))
    states[:, 0] = generator.normal(size=(clips, 2))
    for time in range(1, length):
        states[:, time] = decay * states[:, time - 1] + np.sqrt(1 - decay**2) * generator.normal(size=(clips, 2))
    means = 0.1 * states.reshape(-1, 2)
    noise = generator.normal(0, 1.5, size=(clips * length, 4))
    features = 10 * means @ np.array([[1.0, 0, 1, 0.5], [0, 1, -0.5, 1]]) + noise
    spread = np.tile([0.04, 0.05, 0.01], (len(means), 1)) + 1e-3 * generator.normal(size=(len(means), 3))
    return features, np.hstack([means, spread]), np.repeat(np.arange(clips), length)


def _distances(name: str, decay: float) -> tuple[float, float]:
    """Return the mean distance of a regressor on fresh clips, and that of the best regressor that smooths nothing."""
    train, checked, fresh = (_process(count, seed, decay=decay) for seed, count in enumerate((60, 30, 60)))
    fitted = cast("Any", regressors[name]).fit(*train[:2], checked[:2], groups=(train[2], checked[2]))
    plain = [regressors[each].fit(*train[:2], checked[:2])(fresh[0]) for each in ("ridge", "svr")]
    found = fitted(fresh[0], fresh[2])
    assert found.shape == fresh[1].shape

    def distance(predicted: np.ndarray) -> float:
        return float(np.linalg.norm((predicted - fresh[1])[:, :2], axis=1).mean())

    return distance(found), min(map(distance, plain))


@pytest.mark.parametrize("name", SEQUENTIAL)
def test_smoothing_wins_where_targets_move_slowly(name: str) -> None:
    found, plain = _distances(name, 0.95)
    # The field cannot undo that noisy features shrink predictions; the observation matrix of the system does.
    assert found < {"kalman": 0.85, "ccrf": 0.92}[name] * plain


@pytest.mark.parametrize("name", SEQUENTIAL)
def test_smoothing_does_not_win_on_white_noise(name: str) -> None:
    found, plain = _distances(name, 0.0)
    assert 0.98 * plain < found < 1.03 * plain


@pytest.mark.parametrize("columns", [0, 1, 4])
@pytest.mark.parametrize("length", [5, 15, 100])
def test_targets_that_are_linear_in_each_other(columns: int, length: int) -> None:
    linear = np.array([[0.5, 0.01, 0.03, 0.02]])
    for repeat in range(4):
        parts = []
        for seed, count in enumerate((6, 4, 5)):
            features, targets, groups = _process(count, 3 * repeat + seed, decay=0.9, length=length)
            targets[:, 1:] = targets[:, :1] @ linear + [0.1, 0.04, 0.05, 0.01]
            parts.append((features if columns == 4 else np.ones((len(features), columns)), targets, groups))
        train, checked, fresh = parts
        fitted = cast("Any", regressors["kalman"]).fit(*train[:2], checked[:2], groups=(train[2], checked[2]))
        found = fitted(fresh[0], fresh[2])
        if columns == 4:
            # Predictions and smoothing are linear, so the relation of the targets holds for what is predicted.
            assert found[:, 0].std() > 0.01
            np.testing.assert_allclose(found[:, 1:], found[:, :1] @ linear + [0.1, 0.04, 0.05, 0.01], atol=1e-5)
        else:
            # Nothing is known but the mean, and no smoothing improves on it.
            np.testing.assert_allclose(found, np.tile(train[1].mean(axis=0), (len(found), 1)), atol=1e-9)


def test_estimates_of_a_long_sequence() -> None:
    _, targets, groups = _process(400, 3, decay=0.8)
    states = targets[:, :2] / 0.1
    observed = 0.5 * states + 0.2 + np.random.default_rng(4).normal(0, 0.3, states.shape)
    system = estimate(states, groups, observed, states)
    np.testing.assert_allclose(system.transition, 0.8 * np.eye(2), atol=0.03)
    np.testing.assert_allclose(system.innovation, 0.36 * np.eye(2), atol=0.03)
    np.testing.assert_allclose(system.initial, np.eye(2), atol=0.08)
    np.testing.assert_allclose(system.observation, 0.5 * np.eye(2), atol=0.02)
    np.testing.assert_allclose(system.offset, 0.2, atol=0.02)
    np.testing.assert_allclose(system.noise, 0.09 * np.eye(2), atol=0.01)
    # Steps from one clip to the next are no steps of the process.
    backwards = estimate(states, np.arange(len(states)), observed, states)
    np.testing.assert_allclose(backwards.transition, 0, atol=1e-12)


def _dense(logs: np.ndarray, length: int) -> np.ndarray:
    """Build the precision of a clip from the definition of the density."""
    alpha, beta = np.exp(logs[:-2]), np.exp(logs[-2:])
    neighbours = np.eye(length, k=1) + np.eye(length, k=-1)
    pairs = (1 - np.eye(length)) / (length - 1)
    laplacians = [np.diag(each.sum(axis=1)) - each for each in (neighbours, pairs)]
    return 2 * (alpha.sum() * np.eye(length) + beta[0] * laplacians[0] + beta[1] * laplacians[1])


def test_ccrf_is_the_dense_gaussian_of_its_definition() -> None:
    generator = np.random.default_rng(5)
    logs = np.array([0.3, -0.4, 0.8, -1.0])
    groups = np.repeat([0, 1, 2], [6, 4, 6])
    x, y = generator.normal(size=(16, 2)), generator.normal(size=16)
    coefficients, eigenvalues = transformed(x, groups)
    means, densities = [], []
    for group in range(3):
        own = groups == group
        precision = _dense(logs, int(own.sum()))
        mean = np.linalg.solve(precision, 2 * x[own] @ np.exp(logs[:2]))
        means.append(mean)
        distribution: Any = scipy.stats.multivariate_normal
        densities.append(distribution(mean, np.linalg.inv(precision)).logpdf(y[own]))
    found, _ = field(logs, coefficients, eigenvalues)
    expected, _ = transformed(np.concatenate(means), groups)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    value, gradient = loss(logs, coefficients, transformed(y, groups)[0], eigenvalues)
    assert value == pytest.approx(-sum(densities) / 16, rel=1e-10)

    def only_value(changed: np.ndarray) -> float:
        return loss(changed, coefficients, transformed(y, groups)[0], eigenvalues)[0]

    np.testing.assert_allclose(gradient, cast("Any", scipy.optimize.approx_fprime(logs, only_value, 1e-7)), atol=1e-5)


def test_ccrf_of_single_seconds_is_the_average_of_its_predictions() -> None:
    x = np.random.default_rng(6).normal(size=(5, 2))
    coefficients, eigenvalues = transformed(x, np.arange(5))
    np.testing.assert_allclose(coefficients, x)
    found, _ = field(np.log([1.0, 3.0, 5.0, 7.0]), coefficients, eigenvalues)
    np.testing.assert_allclose(found, x @ [0.25, 0.75])


def test_sequences_by_length() -> None:
    found = {rows.shape[1]: rows.tolist() for rows in by_length(np.array([4, 4, 2, 2, 2, 9, 9]))}
    assert found == {2: [[0, 1], [5, 6]], 3: [[2, 3, 4]]}
    assert list(by_length(np.zeros(0, np.intp))) == []


@pytest.mark.parametrize("name", SEQUENTIAL)
@pytest.mark.parametrize("columns", [2, 5])
def test_order_of_clips_columns_and_repetition(name: str, columns: int) -> None:
    features, targets, groups = _process(20, 7, decay=0.9, length=4)
    part = (features, targets[:, :columns])
    fitted = [cast("Any", regressors[name]).fit(*part, part, groups=(groups, groups)) for _ in range(2)]
    found = fitted[0](features, groups)
    assert found.shape == (80, columns)
    np.testing.assert_array_equal(fitted[1](features, groups), found)
    one = groups == 3
    np.testing.assert_allclose(fitted[0](features[one], groups[one]), found[one], rtol=1e-9)


def _run(folder: Path, out: Path, pool: Executor, **config: Any) -> Any:
    places = runs.Places(dataset=folder / "data" / "tiny", out=out / "results", models=out / "models")
    feature = f"file:{folder / 'mine.csv'}"
    return runs.run([feature], places, runs.RunConfig(**config), NetworkConfig(), device="cpu", pool=pool)


@pytest.mark.parametrize("name", SEQUENTIAL)
def test_run(name: str, finished_run: Path, tmp_path: Path, pool: Executor) -> None:
    result = _run(finished_run, tmp_path, pool, regressors=(name,)).results[0]
    assert result.name == f"file:mine.csv|{name}"
    assert result.scores["kl_divergence"].mean is not None
    with pytest.raises(InputError, match=f"`regressor` {name}: smooths over the seconds of a clip.* task second"):
        _run(finished_run, tmp_path, pool, regressors=("ridge", name), task="clip")


def test_sequences_of_a_task(finished_run: Path) -> None:
    task = load_task(labelled_dataset.load(finished_run / "data" / "tiny"))
    np.testing.assert_array_equal(task.sequences, task.clip_index)
