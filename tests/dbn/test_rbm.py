"""RBM compared with enumeration of all states, integration, and the equations of the paper as loops."""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import scipy.integrate
import torch
from emobench.dbn.rbm import RBM
from sklearn.base import clone
from sklearn.neural_network import BernoulliRBM
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from .rbms import given

VISIBLE = pytest.mark.parametrize("visible", ["gaussian", "binary"])


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Matrices this small are slower on several threads."""
    kept = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(kept)


def _rbm(n_visible: int, n_hidden: int, *, visible: str, seed: int = 0) -> RBM:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    return given(draw(n_visible, n_hidden), draw(n_visible), draw(n_hidden), visible=visible)


def _states(count: int) -> np.ndarray:
    return np.array(list(itertools.product((0.0, 1.0), repeat=count)))


def _energy(rbm: RBM, v: np.ndarray, h: np.ndarray) -> float:
    """Compute equations (3) and (4) of the paper term by term."""
    w, b, c = (part.numpy() for part in (rbm.weight_, rbm.visible_bias_, rbm.hidden_bias_))
    total = 0.0
    for i in range(len(b)):
        total += (v[i] - b[i]) ** 2 / 2 if rbm.visible == "gaussian" else -b[i] * v[i]
    for j in range(len(c)):
        total -= c[j] * h[j]
    for i in range(len(b)):
        for j in range(len(c)):
            total -= v[i] * h[j] * w[i, j]
    return total


def _joint(rbm: RBM) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return all visible states, all hidden states, and exp(-E) of each pair, for binary visible units."""
    n_visible, n_hidden = rbm.weight_.shape
    visible, hidden = _states(n_visible), _states(n_hidden)
    return visible, hidden, np.array([[np.exp(-_energy(rbm, v, h)) for h in hidden] for v in visible])


def _log_partition(rbm: RBM) -> float:
    """Compute it for Gaussian visible units, integrated by completing the square; hidden units are enumerated."""
    w, b, c = (part.numpy() for part in (rbm.weight_, rbm.visible_bias_, rbm.hidden_bias_))
    exponents = [h @ c + b @ w @ h + (w @ h) @ (w @ h) / 2 for h in _states(len(c))]
    return float(np.logaddexp.reduce(exponents) + len(b) / 2 * np.log(2 * np.pi))


def _log_likelihood(rbm: RBM, data: np.ndarray) -> float:
    """Compute the exact log-likelihood, summed over the data, without the formulas of the RBM."""
    hidden = _states(rbm.weight_.shape[1])
    scores = np.array([np.logaddexp.reduce([-_energy(rbm, v, h) for h in hidden]) for v in data])
    normaliser = _log_partition(rbm) if rbm.visible == "gaussian" else np.log(_joint(rbm)[2].sum())
    return float(scores.sum() - len(data) * normaliser)


def _tensor(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.asarray(values, np.float64))


# Energies and conditionals


@VISIBLE
def test_energy_is_the_papers(visible: str) -> None:
    rbm = _rbm(4, 3, visible=visible)
    rng = np.random.default_rng(0)
    examples = rng.normal(size=(9, 4)) if visible == "gaussian" else rng.integers(0, 2, (9, 4)).astype(float)
    hidden = rng.integers(0, 2, (9, 3)).astype(float)
    expected = [_energy(rbm, v, h) for v, h in zip(examples, hidden, strict=True)]
    np.testing.assert_allclose(rbm.energy(_tensor(examples), _tensor(hidden)).numpy(), expected, rtol=1e-12)


def test_energy_of_a_case_by_hand() -> None:
    weight = torch.tensor([[2.0], [3.0]])
    visible, hidden = torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0]])
    biases = torch.tensor([0.5, -1.0]), torch.tensor([0.25])
    # (1 - 0.5)^2 / 2 + (0 + 1)^2 / 2 - 0.25 - 2 and -0.5 - 0.25 - 2.
    assert given(weight, *biases, visible="gaussian").energy(visible, hidden).item() == pytest.approx(0.625 - 2.25)
    assert given(weight, *biases, visible="binary").energy(visible, hidden).item() == pytest.approx(-2.75)


@VISIBLE
def test_free_energy_sums_over_all_hidden_states(visible: str) -> None:
    rbm = _rbm(3, 4, visible=visible, seed=1)
    examples = np.random.default_rng(1).normal(size=(6, 3)) if visible == "gaussian" else _states(3)
    expected = [-np.log(sum(np.exp(-_energy(rbm, v, h)) for h in _states(4))) for v in examples]
    np.testing.assert_allclose(rbm.free_energy(_tensor(examples)).numpy(), expected, rtol=1e-10)


def test_free_energy_does_not_overflow() -> None:
    rbm = given(torch.full((1, 2), 100.0), torch.zeros(1), torch.zeros(2), visible="gaussian")
    # v = 50: each hidden unit gives log(1 + exp(5000)) = 5000.
    assert rbm.free_energy(torch.tensor([[50.0]])).item() == pytest.approx(50**2 / 2 - 2 * 5000.0)


@VISIBLE
def test_hidden_conditional_from_the_joint(visible: str) -> None:
    rbm = _rbm(3, 3, visible=visible, seed=2)
    hidden = _states(3)
    examples = np.random.default_rng(2).normal(size=(5, 3)) if visible == "gaussian" else _states(3)
    for v, found in zip(examples, rbm.transform(_tensor(examples)).numpy(), strict=True):
        weights = np.array([np.exp(-_energy(rbm, v, h)) for h in hidden])
        np.testing.assert_allclose(found, weights @ hidden / weights.sum(), rtol=1e-12)


def test_binary_visible_conditional_from_the_joint() -> None:
    rbm = _rbm(4, 2, visible="binary", seed=3)
    visible, hidden, joint = _joint(rbm)
    expected = (joint.T @ visible) / joint.sum(axis=0)[:, None]
    np.testing.assert_allclose(rbm.inverse_transform(_tensor(hidden)).numpy(), expected, rtol=1e-12)


def test_gaussian_visible_conditional_by_integration() -> None:
    rbm = _rbm(2, 2, visible="gaussian", seed=4)
    axis = np.arange(-14.0, 14.0, 0.1)
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    for h in _states(2):
        # exp(-E(v, h)) as a function of v, up to its normaliser, is the conditional.
        density = np.exp(-rbm.energy(_tensor(grid), _tensor(np.tile(h, (len(grid), 1)))).numpy())
        density /= density.sum()
        mean = density @ grid
        covariance = (grid - mean).T @ ((grid - mean) * density[:, None])
        np.testing.assert_allclose(rbm.inverse_transform(_tensor(h[None])).numpy()[0], mean, atol=1e-9)
        np.testing.assert_allclose(covariance, np.eye(2), atol=1e-9)


def test_gaussian_partition_function_by_integration() -> None:
    rbm = _rbm(1, 3, visible="gaussian", seed=5)
    mass, _ = scipy.integrate.quad(
        lambda v: float(np.exp(-rbm.free_energy(torch.tensor([[v]], dtype=torch.float64)).item())), -20, 20
    )
    assert np.log(mass) == pytest.approx(_log_partition(rbm), rel=1e-8)


# Gradients


@VISIBLE
def test_gradient_is_positive_minus_negative_phase(visible: str) -> None:
    rbm = _rbm(2, 2, visible=visible, seed=7)
    rng = np.random.default_rng(7)
    data = rng.normal(size=(5, 2)) if visible == "gaussian" else rng.integers(0, 2, (5, 2)).astype(float)
    # Model expectation: over all states, or over a fine grid.
    if visible == "gaussian":
        axis = np.arange(-14.0, 14.0, 0.1)
        states = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    else:
        states = _states(2)
    density = np.exp(-rbm.free_energy(_tensor(states)).numpy())
    density /= density.sum()
    on_data, on_states = (rbm.transform(_tensor(part)).numpy() for part in (data, states))
    shift = rbm.visible_bias_.numpy() if visible == "gaussian" else 0.0
    analytic = {
        "weight_": data.T @ on_data - len(data) * (states * density[:, None]).T @ on_states,
        "visible_bias_": (data - shift).sum(axis=0) - len(data) * density @ (states - shift),
        "hidden_bias_": on_data.sum(axis=0) - len(data) * density @ on_states,
    }
    step = 1e-5
    for name, expected in analytic.items():
        parameter = getattr(rbm, name)
        numeric = np.empty(parameter.shape)
        for place in np.ndindex(*parameter.shape):
            kept = parameter[place].item()
            parameter[place] = kept + step
            above = _log_likelihood(rbm, data)
            parameter[place] = kept - step
            below = _log_likelihood(rbm, data)
            parameter[place] = kept
            numeric[place] = (above - below) / (2 * step)
        np.testing.assert_allclose(expected, numeric, atol=1e-6, err_msg=name)


# Compared with scikit-learn


def test_binary_rbm_against_scikit_learn() -> None:
    rbm = _rbm(5, 4, visible="binary", seed=6)
    states, hidden = _states(5), _states(4)
    theirs = _as_bernoulli(rbm)
    np.testing.assert_allclose(rbm.transform(states), theirs.transform(states), rtol=1e-12)
    np.testing.assert_allclose(rbm.free_energy(states), theirs._free_energy(states), rtol=1e-12)
    drawn = np.mean([theirs._sample_visibles(hidden, np.random.RandomState(seed)) for seed in range(2000)], axis=0)
    np.testing.assert_allclose(rbm.inverse_transform(hidden), drawn, atol=5 * 0.5 / np.sqrt(2000))


def test_a_pseudo_likelihood_as_good_as_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(3)
    patterns = np.repeat(np.eye(4), 3, axis=1)
    data = np.abs(patterns[rng.integers(0, 4, 600)] - (rng.random((600, 12)) < 0.05))
    settings: dict[str, Any] = {"n_components": 8, "batch_size": 10, "n_iter": 40, "random_state": 0}
    # Our learning rate applies to the sum over the batch.
    ours, theirs = RBM(learning_rate=0.005, **settings).fit(data), BernoulliRBM(learning_rate=0.05, **settings)
    scores = [each.score_samples(data).mean() for each in (_as_bernoulli(ours), theirs.fit(data))]
    share = data.mean(axis=0)
    independent = (share * np.log(share) + (1 - share) * np.log(1 - share)).sum()
    assert scores[0] > independent + 1
    assert scores[0] == pytest.approx(scores[1], abs=0.5)


def _as_bernoulli(rbm: RBM) -> BernoulliRBM:
    """Make scikit-learn's RBM with the same parameters."""
    theirs = BernoulliRBM(rbm.n_components, random_state=0, n_iter=1).fit(np.zeros((2, rbm.n_features_in_)))
    theirs.components_ = rbm.weight_.numpy().T
    theirs.intercept_visible_, theirs.intercept_hidden_ = rbm.visible_bias_.numpy(), rbm.hidden_bias_.numpy()
    return theirs


@parametrize_with_checks([RBM(n_components=3, n_iter=2, visible="gaussian")])
def test_estimator_conventions(estimator: RBM, check: Callable[[RBM], None]) -> None:
    check(estimator)


def test_in_a_pipeline_of_two() -> None:
    data = np.random.default_rng(0).normal(size=(30, 6))
    stack = make_pipeline(RBM(5, visible="gaussian", n_iter=2), RBM(3, n_iter=2))
    features = stack.fit_transform(data)
    first, second = (each for _, each in stack.steps)
    np.testing.assert_allclose(features, second.transform(first.transform(data)), rtol=1e-6)
    assert list(second.get_feature_names_out()) == ["rbm0", "rbm1", "rbm2"]
    assert not hasattr(clone(first), "weight_")
    assert (first.n_features_in_, second.n_features_in_, first.n_iter_) == (6, 5, 2)


@VISIBLE
def test_reconstruction_and_kinds_of_input(visible: str) -> None:
    rbm = _rbm(4, 3, visible=visible, seed=8)
    data = np.random.default_rng(8).random((6, 4))
    hidden = 1 / (1 + np.exp(-(data @ rbm.weight_.numpy() + rbm.hidden_bias_.numpy())))
    mean = hidden @ rbm.weight_.numpy().T + rbm.visible_bias_.numpy()
    expected = mean if visible == "gaussian" else 1 / (1 + np.exp(-mean))
    np.testing.assert_allclose(rbm.reconstruct(data), expected, rtol=1e-12)
    for method in (rbm.transform, rbm.reconstruct, rbm.free_energy):
        found = method(_tensor(data))
        assert isinstance(found, torch.Tensor)
        np.testing.assert_array_equal(found.numpy(), method(data))


def test_partial_fit_takes_one_step_at_a_time() -> None:
    data = np.random.default_rng(8).normal(size=(40, 1)).astype(np.float32) * np.ones(4, np.float32)
    rbm = RBM(3, visible="gaussian", learning_rate=1e-3)
    errors = []
    for number in range(1, 200):
        rbm.partial_fit(data)
        assert rbm.n_iter_ == number
        errors.append(((data - rbm.reconstruct(data)) ** 2).mean())
    assert errors[-1] < 0.9 * errors[0]
    # A copy continues as the original does.
    copy = pickle.loads(pickle.dumps(rbm))
    assert torch.equal(copy.partial_fit(data).weight_, rbm.partial_fit(data).weight_)


# Initialization


def test_a_new_rbm() -> None:
    rbm = RBM(150, init_scale=0.01).initialize(200)
    assert rbm.weight_.shape == (200, 150)
    assert rbm.weight_.dtype == torch.float32
    assert abs(rbm.weight_.mean().item()) < 5 * 0.01 / np.sqrt(30_000)
    assert rbm.weight_.std().item() == pytest.approx(0.01, rel=0.03)
    assert not rbm.visible_bias_.any()
    assert not rbm.hidden_bias_.any()
    assert rbm.visible_bias_.shape == (200,)
    assert rbm.hidden_bias_.shape == (150,)
    again, other = RBM(150).initialize(200), RBM(150, name="other").initialize(200)
    assert torch.equal(again.weight_, rbm.weight_)
    assert not torch.equal(other.weight_, rbm.weight_)
