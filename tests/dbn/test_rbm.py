"""RBM against enumeration of all states, integration and the equations of the paper written out as loops."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest
import scipy.integrate
import torch
from emobench.dbn.rbm import RBM, ContrastiveDivergence


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


def test_drawn_visibles_follow_the_conditional() -> None:
    count = 20_000
    hidden = torch.tensor([[1.0, 0.0]], dtype=torch.float64).repeat(count, 1)
    for gaussian in (True, False):
        machine = _machine(3, 2, gaussian=gaussian, seed=6)
        drawn = machine.sample_visible(hidden, torch.Generator().manual_seed(1)).numpy()
        w, b = machine.weight.numpy(), machine.visible_bias.numpy()
        activation = b + w[:, 0]
        mean = activation if gaussian else 1 / (1 + np.exp(-activation))
        deviation = np.ones(3) if gaussian else np.sqrt(mean * (1 - mean))
        assert drawn.dtype == np.float64
        assert np.all(np.abs(drawn.mean(axis=0) - mean) < 5 * deviation / np.sqrt(count))
        assert np.allclose(drawn.std(axis=0), deviation, rtol=0.05)
        assert gaussian or set(np.unique(drawn)) <= {0.0, 1.0}


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


def test_positive_phase_is_exact() -> None:
    machine = _machine(3, 2, gaussian=False, seed=8)
    data, hidden = _states(3), _states(2)
    learner = ContrastiveDivergence(machine, rate=1.0, sample_visible=False, generator=torch.Generator().manual_seed(0))
    found = data.T @ learner.statistics(_tensor(data))[0].numpy()
    wanted = np.zeros((3, 2))
    for v in data:
        weights = np.array([np.exp(-_energy(machine, v, h)) for h in hidden])
        wanted += sum(p * np.outer(v, h) for p, h in zip(weights / weights.sum(), hidden, strict=True))
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


@pytest.mark.parametrize("sample_visible", [False, True])
def test_negative_phase_is_one_gibbs_step_on_average(sample_visible: bool) -> None:
    machine = _machine(3, 2, gaussian=False, seed=9)
    w, b, c = (part.numpy() for part in (machine.weight, machine.visible_bias, machine.hidden_bias))
    start = np.array([1.0, 0.0, 1.0])

    def sigmoid(x: np.ndarray) -> np.ndarray:
        return 1 / (1 + np.exp(-x))

    def chance(state: np.ndarray, p: np.ndarray) -> float:
        return float(np.prod(np.where(state == 1, p, 1 - p)))

    wanted = np.zeros((3, 2))
    for h in _states(2):
        mean = sigmoid(b + w @ h)
        if sample_visible:
            again = sum((chance(v, mean) * np.outer(v, sigmoid(c + v @ w)) for v in _states(3)), np.zeros((3, 2)))
        else:
            again = np.outer(mean, sigmoid(c + mean @ w))
        wanted += chance(h, sigmoid(c + start @ w)) * again
    count = 40_000
    learner = ContrastiveDivergence(
        machine, rate=1.0, sample_visible=sample_visible, generator=torch.Generator().manual_seed(3)
    )
    _, reconstruction, hidden_again = learner.statistics(_tensor(np.tile(start, (count, 1))))
    found = (reconstruction.T @ hidden_again).numpy() / count
    # A mean of numbers in [0, 1] has a standard deviation of at most 0.5 / sqrt(n).
    np.testing.assert_allclose(found, wanted, atol=5 * 0.5 / np.sqrt(count))


def test_a_step_is_the_difference_of_its_statistics() -> None:
    data = _tensor(np.random.default_rng(0).normal(size=(7, 3)))
    machine, twin = (_machine(3, 2, gaussian=True, seed=10) for _ in range(2))
    learners = [
        ContrastiveDivergence(each, rate=0.25, sample_visible=True, generator=torch.Generator().manual_seed(4))
        for each in (machine, twin)
    ]
    hidden, reconstruction, hidden_again = (part.numpy() for part in learners[1].statistics(data))
    error = learners[0].step(data)
    v = data.numpy()
    np.testing.assert_allclose(
        machine.weight - twin.weight, 0.25 * (v.T @ hidden - reconstruction.T @ hidden_again), rtol=1e-10
    )
    np.testing.assert_allclose(
        machine.visible_bias - twin.visible_bias, 0.25 * (v - reconstruction).sum(axis=0), rtol=1e-10
    )
    np.testing.assert_allclose(
        machine.hidden_bias - twin.hidden_bias, 0.25 * (hidden - hidden_again).sum(axis=0), rtol=1e-10
    )
    assert error.item() == pytest.approx(((v - reconstruction) ** 2).sum())


@pytest.mark.parametrize("gaussian", [True, False])
def test_many_steps_raise_the_exact_likelihood(gaussian: bool) -> None:
    rng = np.random.default_rng(11)
    patterns = np.array([[1.0, 1, 0, 0], [0, 0, 1, 1]])
    data = patterns[rng.integers(0, 2, 60)]
    if gaussian:
        data = 4 * data - 2 + rng.normal(size=data.shape)
    generator = torch.Generator().manual_seed(5)
    machine = RBM.create(4, 3, gaussian=gaussian, scale=0.05, generator=generator)
    learner = ContrastiveDivergence(machine, rate=2e-3, sample_visible=False, generator=generator)
    before = _log_likelihood(machine, data) / len(data)
    batch = torch.from_numpy(data).float()
    for _ in range(600):
        learner.step(batch)
    after = _log_likelihood(machine, data) / len(data)
    # The best that units without any dependence between them can do, fitted to the data in closed form.
    if gaussian:
        independent = -0.5 * (((data - data.mean(axis=0)) ** 2).sum(axis=1).mean() + 4 * np.log(2 * np.pi))
    else:
        share = data.mean(axis=0)
        independent = float((share * np.log(share) + (1 - share) * np.log(1 - share)).sum())
    assert after > before + 0.5
    assert after > independent + 0.5


# The sum over the batch


def _saturated(gaussian: bool) -> RBM:
    """Hidden units that are surely on or off, so that a step has no chance in it."""
    machine = _machine(3, 4, gaussian=gaussian, seed=12)
    machine.hidden_bias[:] = torch.tensor([400.0, -400.0, 400.0, -400.0])
    return machine


def _moves(gaussian: bool, data: torch.Tensor) -> list[np.ndarray]:
    machine, start = _saturated(gaussian), _saturated(gaussian)
    learner = ContrastiveDivergence(
        machine, rate=1e-3, sample_visible=False, generator=torch.Generator().manual_seed(0)
    )
    learner.step(data)
    return [
        (getattr(machine, name) - getattr(start, name)).numpy() for name in ("weight", "visible_bias", "hidden_bias")
    ]


@pytest.mark.parametrize("gaussian", [True, False])
def test_identical_examples_move_as_often_as_they_stand(gaussian: bool) -> None:
    one = torch.tensor([[0.5, -1.0, 2.0]], dtype=torch.float64)
    single, many = _moves(gaussian, one), _moves(gaussian, one.repeat(17, 1))
    assert np.abs(single[0]).max() > 1e-5
    for alone, together in zip(single, many, strict=True):
        np.testing.assert_allclose(together, 17 * alone, rtol=1e-8, atol=1e-14)


@pytest.mark.parametrize("gaussian", [True, False])
def test_half_batches_add_up_to_the_whole(gaussian: bool) -> None:
    data = _tensor(np.random.default_rng(13).normal(size=(10, 3)))
    whole, left, right = (_moves(gaussian, part) for part in (data, data[:4], data[4:]))
    for together, first, second in zip(whole, left, right, strict=True):
        np.testing.assert_allclose(together, first + second, rtol=1e-8, atol=1e-14)


def test_an_empty_batch_changes_nothing() -> None:
    for move in _moves(True, torch.zeros(0, 3, dtype=torch.float64)):
        assert not move.any()


# Randomness and wrong input


def _trained(seed: int, *, sample_visible: bool) -> RBM:
    generator = torch.Generator().manual_seed(seed)
    machine = RBM.create(5, 4, gaussian=True, scale=0.1, generator=generator)
    learner = ContrastiveDivergence(machine, rate=0.01, sample_visible=sample_visible, generator=generator)
    data = torch.linspace(-1, 1, 50).reshape(10, 5)
    # Batches of two sizes, as the last one of an epoch has another.
    for batch in (data[:4], data[4:8], data[8:], data[:4]):
        learner.step(batch)
    return machine


@pytest.mark.parametrize("sample_visible", [False, True])
def test_the_seed_decides(sample_visible: bool) -> None:
    first, again, other = (_trained(seed, sample_visible=sample_visible) for seed in (3, 3, 4))
    for name in ("weight", "visible_bias", "hidden_bias"):
        assert torch.equal(getattr(first, name), getattr(again, name))
        assert not torch.equal(getattr(first, name), getattr(other, name))


def test_the_global_generator_is_neither_used_nor_moved() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = _trained(3, sample_visible=True)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(first.weight, _trained(3, sample_visible=True).weight)


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


def test_data_of_another_width_are_refused() -> None:
    machine = _machine(3, 2, gaussian=True)
    learner = ContrastiveDivergence(machine, rate=0.1, sample_visible=False, generator=torch.Generator())
    kept = machine.weight.clone()
    with pytest.raises(RuntimeError):
        learner.step(torch.zeros(5, 4, dtype=torch.float64))
    assert torch.equal(machine.weight, kept)
