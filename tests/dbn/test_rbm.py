"""RBM against enumeration of all states, integration and the equations of the paper written out as loops."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
import scipy.integrate
import torch
from emobench.dbn.rbm import RBM


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Matrices this small are slower on several threads."""
    kept = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(kept)


def _machine(n_visible: int, n_hidden: int, *, gaussian: bool, seed: int = 0) -> RBM:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    return RBM(draw(n_visible, n_hidden), draw(n_visible), draw(n_hidden), gaussian)


def _states(count: int) -> np.ndarray:
    return np.array(list(itertools.product((0.0, 1.0), repeat=count)))


def _energy(machine: RBM, v: np.ndarray, h: np.ndarray) -> float:
    """Equations (3) and (4) of the paper, term by term."""
    w, b, c = (part.numpy() for part in (machine.weight, machine.visible_bias, machine.hidden_bias))
    total = 0.0
    for i in range(len(b)):
        total += (v[i] - b[i]) ** 2 / 2 if machine.gaussian else -b[i] * v[i]
    for j in range(len(c)):
        total -= c[j] * h[j]
    for i in range(len(b)):
        for j in range(len(c)):
            total -= v[i] * h[j] * w[i, j]
    return total


def _joint(machine: RBM) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All visible states, all hidden states, and exp(-E) of each pair, for binary visibles."""
    n_visible, n_hidden = machine.weight.shape
    visible, hidden = _states(n_visible), _states(n_hidden)
    return visible, hidden, np.array([[np.exp(-_energy(machine, v, h)) for h in hidden] for v in visible])


def _log_partition(machine: RBM) -> float:
    """Of a Gaussian machine: the visibles integrated by completing the square, the hiddens enumerated."""
    w, b, c = (part.numpy() for part in (machine.weight, machine.visible_bias, machine.hidden_bias))
    exponents = [h @ c + b @ w @ h + (w @ h) @ (w @ h) / 2 for h in _states(len(c))]
    return float(np.logaddexp.reduce(exponents) + len(b) / 2 * np.log(2 * np.pi))


def _log_likelihood(machine: RBM, data: np.ndarray) -> float:
    """Exact, summed over the data, without the machine's own formulas."""
    hidden = _states(machine.weight.shape[1])
    scores = np.array([np.logaddexp.reduce([-_energy(machine, v, h) for h in hidden]) for v in data])
    normaliser = _log_partition(machine) if machine.gaussian else np.log(_joint(machine)[2].sum())
    return float(scores.sum() - len(data) * normaliser)


def _tensor(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.asarray(values, np.float64))


# Energies and conditionals


@pytest.mark.parametrize("gaussian", [True, False])
def test_energy_is_the_papers(gaussian: bool) -> None:
    machine = _machine(4, 3, gaussian=gaussian)
    rng = np.random.default_rng(0)
    visible = rng.normal(size=(9, 4)) if gaussian else rng.integers(0, 2, (9, 4)).astype(float)
    hidden = rng.integers(0, 2, (9, 3)).astype(float)
    wanted = [_energy(machine, v, h) for v, h in zip(visible, hidden, strict=True)]
    np.testing.assert_allclose(machine.energy(_tensor(visible), _tensor(hidden)).numpy(), wanted, rtol=1e-12)


def test_energy_of_a_case_by_hand() -> None:
    weight = torch.tensor([[2.0], [3.0]])
    visible, hidden = torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0]])
    biases = torch.tensor([0.5, -1.0]), torch.tensor([0.25])
    # (1 - 0.5)^2 / 2 + (0 + 1)^2 / 2 - 0.25 - 2 and -0.5 - 0.25 - 2.
    assert RBM(weight, *biases, True).energy(visible, hidden).item() == pytest.approx(0.625 - 2.25)
    assert RBM(weight, *biases, False).energy(visible, hidden).item() == pytest.approx(-2.75)


@pytest.mark.parametrize("gaussian", [True, False])
def test_free_energy_sums_over_all_hidden_states(gaussian: bool) -> None:
    machine = _machine(3, 4, gaussian=gaussian, seed=1)
    visible = np.random.default_rng(1).normal(size=(6, 3)) if gaussian else _states(3)
    wanted = [-np.log(sum(np.exp(-_energy(machine, v, h)) for h in _states(4))) for v in visible]
    np.testing.assert_allclose(machine.free_energy(_tensor(visible)).numpy(), wanted, rtol=1e-10)


def test_free_energy_does_not_overflow() -> None:
    machine = RBM(torch.full((1, 2), 100.0), torch.zeros(1), torch.zeros(2), True)
    # v = 50: each hidden unit gives log(1 + exp(5000)) = 5000.
    assert machine.free_energy(torch.tensor([[50.0]])).item() == pytest.approx(50**2 / 2 - 2 * 5000.0)


@pytest.mark.parametrize("gaussian", [True, False])
def test_hidden_conditional_from_the_joint(gaussian: bool) -> None:
    machine = _machine(3, 3, gaussian=gaussian, seed=2)
    hidden = _states(3)
    visible = np.random.default_rng(2).normal(size=(5, 3)) if gaussian else _states(3)
    for v, found in zip(visible, machine.hidden(_tensor(visible)).numpy(), strict=True):
        weights = np.array([np.exp(-_energy(machine, v, h)) for h in hidden])
        np.testing.assert_allclose(found, weights @ hidden / weights.sum(), rtol=1e-12)


def test_binary_visible_conditional_from_the_joint() -> None:
    machine = _machine(4, 2, gaussian=False, seed=3)
    visible, hidden, joint = _joint(machine)
    wanted = (joint.T @ visible) / joint.sum(axis=0)[:, None]
    np.testing.assert_allclose(machine.visible(_tensor(hidden)).numpy(), wanted, rtol=1e-12)


def test_gaussian_visible_conditional_by_integration() -> None:
    machine = _machine(2, 2, gaussian=True, seed=4)
    axis = np.arange(-14.0, 14.0, 0.1)
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    for h in _states(2):
        # exp(-E(v, h)) as a function of v, up to its normaliser, is the conditional.
        density = np.exp(-machine.energy(_tensor(grid), _tensor(np.tile(h, (len(grid), 1)))).numpy())
        density /= density.sum()
        mean = density @ grid
        covariance = (grid - mean).T @ ((grid - mean) * density[:, None])
        np.testing.assert_allclose(machine.visible(_tensor(h[None])).numpy()[0], mean, atol=1e-9)
        np.testing.assert_allclose(covariance, np.eye(2), atol=1e-9)


def test_gaussian_partition_function_by_integration() -> None:
    machine = _machine(1, 3, gaussian=True, seed=5)
    mass, _ = scipy.integrate.quad(
        lambda v: float(np.exp(-machine.free_energy(torch.tensor([[v]], dtype=torch.float64)).item())), -20, 20
    )
    assert np.log(mass) == pytest.approx(_log_partition(machine), rel=1e-8)


# Gradients


@pytest.mark.parametrize("gaussian", [True, False])
def test_gradient_is_positive_minus_negative_phase(gaussian: bool) -> None:
    machine = _machine(2, 2, gaussian=gaussian, seed=7)
    rng = np.random.default_rng(7)
    data = rng.normal(size=(5, 2)) if gaussian else rng.integers(0, 2, (5, 2)).astype(float)
    # Model expectation: over all states, or over a fine grid.
    if gaussian:
        axis = np.arange(-14.0, 14.0, 0.1)
        states = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    else:
        states = _states(2)
    density = np.exp(-machine.free_energy(_tensor(states)).numpy())
    density /= density.sum()
    on_data, on_states = (machine.hidden(_tensor(part)).numpy() for part in (data, states))
    shift = machine.visible_bias.numpy() if gaussian else 0.0
    analytic = {
        "weight": data.T @ on_data - len(data) * (states * density[:, None]).T @ on_states,
        "visible_bias": (data - shift).sum(axis=0) - len(data) * density @ (states - shift),
        "hidden_bias": on_data.sum(axis=0) - len(data) * density @ on_states,
    }
    step = 1e-5
    for name, wanted in analytic.items():
        parameter = getattr(machine, name)
        numeric = np.empty(parameter.shape)
        for place in np.ndindex(*parameter.shape):
            kept = parameter[place].item()
            parameter[place] = kept + step
            above = _log_likelihood(machine, data)
            parameter[place] = kept - step
            below = _log_likelihood(machine, data)
            parameter[place] = kept
            numeric[place] = (above - below) / (2 * step)
        np.testing.assert_allclose(wanted, numeric, atol=1e-6, err_msg=name)


# Beginnings


def test_fresh_machine() -> None:
    machine = RBM.create(200, 150, gaussian=False, scale=0.01, generator=torch.Generator().manual_seed(0))
    assert machine.weight.shape == (200, 150)
    assert machine.weight.dtype == torch.float32
    assert abs(machine.weight.mean().item()) < 5 * 0.01 / np.sqrt(30_000)
    assert machine.weight.std().item() == pytest.approx(0.01, rel=0.03)
    assert not machine.visible_bias.any()
    assert not machine.hidden_bias.any()
    assert machine.visible_bias.shape == (200,)
    assert machine.hidden_bias.shape == (150,)
