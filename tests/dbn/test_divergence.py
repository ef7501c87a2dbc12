"""Contrastive divergence, compiled and in tensors, against formulas, enumeration and each other."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from emobench.dbn import kernels
from emobench.dbn.divergence import ContrastiveDivergence, DivergenceConfig
from emobench.dbn.rbm import RBM

BOTH = pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "tensors"])
NAMES = ("weight", "visible_bias", "hidden_bias")


def _machine(n_visible: int, n_hidden: int, *, gaussian: bool, seed: int = 0, scale: float = 0.5) -> RBM:
    rng = np.random.default_rng(seed)
    parts = (rng.normal(0, scale, size) for size in ((n_visible, n_hidden), n_visible, n_hidden))
    weight, visible, hidden = (torch.from_numpy(part.astype(np.float32)) for part in parts)
    return RBM(weight, visible, hidden, gaussian)


def _learner(
    machine: RBM, *, compiled: bool, seed: int = 0, threads: int = 1, **settings: Any
) -> ContrastiveDivergence:
    return ContrastiveDivergence(
        machine, DivergenceConfig(**settings), seed=seed, name="test", threads=threads, compiled=compiled
    )


def _fetch(learner: ContrastiveDivergence, data: np.ndarray) -> Callable[[int, int], Any]:
    if learner.compiled:
        return lambda low, high: data[low:high]
    return lambda low, high: torch.from_numpy(data)[low:high]


def _step(learner: ContrastiveDivergence, data: np.ndarray, first: int = 0, last: int | None = None) -> float:
    return learner.step(_fetch(learner, data), first, len(data) if last is None else last).item()


def _moved(
    machine: RBM, settings: dict[str, Any], data: np.ndarray, *, compiled: bool, seed: int = 0
) -> list[np.ndarray]:
    """Changes of weights and biases by one step at the rate 1."""
    before = [getattr(machine, name).clone() for name in NAMES]
    _step(_learner(machine, compiled=compiled, **{"rate": 1.0, **settings}), data)
    return [(getattr(machine, name) - kept).numpy() for name, kept in zip(NAMES, before, strict=True)]


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def _states(count: int) -> np.ndarray:
    return np.array(list(itertools.product([0.0, 1.0], repeat=count)))


# One step


@BOTH
@pytest.mark.parametrize("gaussian", [True, False])
@pytest.mark.parametrize("steps", [1, 3])
def test_a_step_by_the_formula(compiled: bool, gaussian: bool, steps: int) -> None:
    """Every matrix by numpy in float64, with the same uniforms."""
    rng = np.random.default_rng(1)
    data = rng.normal(size=(33, 7)).astype(np.float32) if gaussian else rng.integers(0, 2, (33, 7)).astype(np.float32)
    machine = _machine(7, 5, gaussian=gaussian, seed=2)
    w, b, c = (getattr(machine, name).numpy().astype(np.float64) for name in NAMES)

    def uniforms(use: str) -> np.ndarray:
        found = np.empty((33, 5), np.float32)
        kernels.fill_uniforms(kernels.stream(4, "test", 0, use), 0, found)
        return found

    positive = _sigmoid(data @ w + c)
    negative, model = positive, data
    for step in range(steps):
        sample = (uniforms(f"hidden {step}") < negative).astype(float)
        model = b + sample @ w.T
        model = model if gaussian else _sigmoid(model)
        negative = _sigmoid(model @ w + c)
    learner = _learner(machine, compiled=compiled, seed=4, rate=0.25, steps=steps)
    error = _step(learner, data)
    wanted = (data.T @ positive - model.T @ negative, (data - model).sum(0), (positive - negative).sum(0))
    for name, before, change in zip(NAMES, (w, b, c), wanted, strict=True):
        np.testing.assert_allclose(getattr(machine, name).numpy(), before + 0.25 * change, atol=2e-5, err_msg=name)
    assert error == pytest.approx(((data - model) ** 2).sum(), rel=1e-5)


@BOTH
@pytest.mark.parametrize("sample_visible", [False, True])
def test_negative_phase_is_one_gibbs_step_on_average(compiled: bool, sample_visible: bool) -> None:
    machine = _machine(3, 2, gaussian=False, seed=9)
    w, b, c = (getattr(machine, name).numpy().astype(np.float64) for name in NAMES)
    start = np.array([1.0, 0.0, 1.0])

    def chance(state: np.ndarray, p: np.ndarray) -> float:
        return float(np.prod(np.where(state == 1, p, 1 - p)))

    wanted = np.outer(start, _sigmoid(c + start @ w))
    for h in _states(2):
        mean = _sigmoid(b + w @ h)
        if sample_visible:
            again = sum((chance(v, mean) * np.outer(v, _sigmoid(c + v @ w)) for v in _states(3)), np.zeros((3, 2)))
        else:
            again = np.outer(mean, _sigmoid(c + mean @ w))
        wanted = wanted - chance(h, _sigmoid(c + start @ w)) * again
    count = 40_000
    data = np.tile(start, (count, 1)).astype(np.float32)
    found = _moved(machine, {"sample_visible": sample_visible, "rate": 1 / count}, data, compiled=compiled)[0]
    # A mean of numbers in [0, 1] has a standard deviation of at most 0.5 / sqrt(n).
    np.testing.assert_allclose(found, wanted, atol=5 * 0.5 / np.sqrt(count))


@BOTH
def test_drawn_gaussian_visibles_have_unit_variance(compiled: bool) -> None:
    machine = _machine(3, 1, gaussian=True, seed=1)
    machine.weight.zero_()
    data = np.zeros((40_000, 3), np.float32) + machine.visible_bias.numpy()
    learner = _learner(machine, compiled=compiled, sample_visible=True, rate=1e-12)
    # The squared error is then the sum of the squares of standard normal numbers: mean 3n, variance 6n.
    assert abs(_step(learner, data) - 3 * 40_000) < 5 * np.sqrt(6 * 40_000)


@BOTH
@pytest.mark.parametrize("gaussian", [True, False])
@pytest.mark.parametrize("settings", [{}, {"steps": 4}, {"persistent": True}], ids=str)
def test_many_steps_raise_the_exact_likelihood(compiled: bool, gaussian: bool, settings: dict[str, Any]) -> None:
    rng = np.random.default_rng(11)
    patterns = np.array([[1.0, 1, 0, 0], [0, 0, 1, 1]])
    data = patterns[rng.integers(0, 2, 60)]
    if gaussian:
        data = 4 * data - 2 + rng.normal(size=data.shape)
    machine = RBM.create(4, 3, gaussian=gaussian, scale=0.05, generator=torch.Generator().manual_seed(5))

    def likelihood() -> float:
        h = _states(3)
        w, b, c = (getattr(machine, name).numpy().astype(np.float64) for name in NAMES)
        if gaussian:
            # Integrated over v for every h: a Gaussian about b + W h.
            means = b + h @ w.T
            log_z = np.logaddexp.reduce(h @ c + 0.5 * (means**2 - b**2).sum(1)) + 2 * np.log(2 * np.pi)
        else:
            v = _states(4)
            log_z = np.logaddexp.reduce((v @ b)[:, None] + h @ c + v @ w @ h.T, axis=None)
        return float((-machine.free_energy(torch.from_numpy(data).float()).numpy()).mean() - log_z)

    learner = _learner(machine, compiled=compiled, rate=2e-3, **settings)
    before = likelihood()
    batch = data.astype(np.float32)
    for epoch in range(600):
        learner.begin_epoch(epoch)
        _step(learner, batch)
    after = likelihood()
    # The best that units without any dependence between them can do, fitted to the data in closed form.
    if gaussian:
        independent = -0.5 * (((data - data.mean(axis=0)) ** 2).sum(axis=1).mean() + 4 * np.log(2 * np.pi))
    else:
        share = data.mean(axis=0)
        independent = float((share * np.log(share) + (1 - share) * np.log(1 - share)).sum())
    assert after > before + 0.5
    assert after > independent + 0.4


# Options


@BOTH
def test_momentum_decay_and_sparsity_by_hand(compiled: bool) -> None:
    data = np.random.default_rng(3).normal(size=(20, 6)).astype(np.float32)
    plain, other = (_machine(6, 4, gaussian=True, seed=5) for _ in range(2))
    settings: dict[str, Any] = {"momentum": 0.5, "weight_decay": 0.01, "rate": 0.01}
    settings |= {"sparsity_target": 0.1, "sparsity_cost": 0.3}
    start = {name: getattr(plain, name).clone().numpy() for name in NAMES}
    active = _sigmoid(data @ start["weight"] + start["hidden_bias"]).sum(0)
    change = dict(zip(NAMES, _moved(plain, {"rate": 0.01}, data, compiled=compiled), strict=True))
    learner = _learner(other, compiled=compiled, **settings)
    _step(learner, data)
    change["weight"] = change["weight"] - 0.01 * 20 * 0.01 * start["weight"]
    change["hidden_bias"] = change["hidden_bias"] + 0.01 * 0.3 * (20 * 0.1 - active)
    for name in NAMES:
        np.testing.assert_allclose(getattr(other, name).numpy(), start[name] + change[name], atol=1e-5, err_msg=name)
    # The next step adds half of the last change.
    velocity = [part.clone() for part in learner.velocity]
    before = [getattr(other, name).clone() for name in NAMES]
    twin = RBM(*(part.clone() for part in before), gaussian=True)
    _step(learner, data)
    settings["momentum"] = 0.0
    _step(_learner(twin, compiled=compiled, **settings), data)
    for name, moved, kept in zip(NAMES, velocity, before, strict=True):
        alone = getattr(twin, name) - kept
        torch.testing.assert_close(getattr(other, name), kept + 0.5 * moved + alone, atol=1e-5, rtol=0)


def test_the_sparsity_target_is_reached() -> None:
    data = np.random.default_rng(3).normal(size=(200, 6)).astype(np.float32)
    machine = _machine(6, 10, gaussian=True, seed=5, scale=0.01)
    learner = _learner(machine, compiled=True, rate=1e-3, sparsity_target=0.1, sparsity_cost=1.0)
    for epoch in range(300):
        learner.begin_epoch(epoch)
        _step(learner, data)
    assert machine.hidden(torch.from_numpy(data)).mean().item() == pytest.approx(0.1, abs=0.03)


@BOTH
def test_persistent_chains_go_on(compiled: bool) -> None:
    data = np.random.default_rng(3).normal(size=(14, 6)).astype(np.float32)
    learner = _learner(_machine(6, 4, gaussian=True), compiled=compiled, persistent=True, rate=1e-3)
    _step(learner, data, 0, 10)
    first = learner.chains
    assert first is not None
    kept = first.clone()
    # The last batch of an epoch is smaller: the other chains wait.
    _step(learner, data, 10, 14)
    assert learner.chains is not None
    assert set(learner.chains.unique().tolist()) <= {0.0, 1.0}
    assert torch.equal(learner.chains[4:], kept[4:])
    assert not torch.equal(learner.chains[:4], kept[:4])


@pytest.mark.parametrize(
    "settings",
    [
        {"rate": 0.0},
        {"rate": np.inf},
        {"steps": 0},
        {"momentum": 1.0},
        {"momentum": -0.1},
        {"weight_decay": -1.0},
        {"sparsity_target": 0.0},
        {"sparsity_target": 1.0},
        {"sparsity_cost": -1.0},
    ],
    ids=str,
)
def test_settings_out_of_range(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        DivergenceConfig(**settings)


# The same whatever computes it


SETTINGS = [
    {},
    {"steps": 3},
    {"persistent": True},
    {"sample_visible": True},
    {"momentum": 0.9, "weight_decay": 1e-3},
    {"sparsity_target": 0.2},
]


def _trained(gaussian: bool, settings: dict[str, Any], *, compiled: bool, threads: int = 1, seed: int = 3) -> RBM:
    rng = np.random.default_rng(0)
    data = rng.normal(size=(250, 12)).astype(np.float32)
    data = data if gaussian else (data > 0).astype(np.float32)
    machine = RBM.create(12, 9, gaussian=gaussian, scale=0.1, generator=torch.Generator().manual_seed(1))
    learner = _learner(machine, compiled=compiled, threads=threads, seed=seed, rate=1e-3, **settings)
    for epoch in range(5):
        learner.begin_epoch(epoch)
        for first in range(0, 250, 60):
            _step(learner, data, first, min(first + 60, 250))
    learner.close()
    return machine


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("gaussian", [True, False])
def test_compiled_code_threads_and_tensors_agree(gaussian: bool, settings: dict[str, Any]) -> None:
    first = _trained(gaussian, settings, compiled=True)
    for other in (
        _trained(gaussian, settings, compiled=False),
        _trained(gaussian, settings, compiled=True, threads=3),
    ):
        for name in NAMES:
            torch.testing.assert_close(getattr(other, name), getattr(first, name), atol=1e-5, rtol=0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_a_gpu_agrees(settings: dict[str, Any]) -> None:
    data = np.random.default_rng(0).normal(size=(250, 12)).astype(np.float32)
    machine = RBM.create(12, 9, gaussian=True, scale=0.1, generator=torch.Generator().manual_seed(1))
    machine = RBM(machine.weight.cuda(), machine.visible_bias.cuda(), machine.hidden_bias.cuda(), True)
    learner = _learner(machine, compiled=False, seed=3, rate=1e-3, **settings)
    for epoch in range(5):
        learner.begin_epoch(epoch)
        for first in range(0, 250, 60):
            learner.step(lambda low, high: torch.from_numpy(data)[low:high].cuda(), first, min(first + 60, 250))
    torch.testing.assert_close(machine.weight.cpu(), _trained(True, settings, compiled=True).weight, atol=1e-4, rtol=0)


@BOTH
def test_the_seed_decides(compiled: bool) -> None:
    first, again, other = (_trained(True, {}, compiled=compiled, seed=seed) for seed in (3, 3, 4))
    for name in NAMES:
        assert torch.equal(getattr(first, name), getattr(again, name))
        assert not torch.equal(getattr(first, name), getattr(other, name))


def test_global_generators_are_neither_used_nor_moved() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    _trained(True, {"sample_visible": True}, compiled=False)
    assert torch.equal(torch.get_rng_state(), before)


# The sum over the batch


@BOTH
@pytest.mark.parametrize("gaussian", [True, False])
def test_half_batches_add_up_to_the_whole(compiled: bool, gaussian: bool) -> None:
    data = np.random.default_rng(13).normal(size=(10, 3)).astype(np.float32)

    def saturated() -> RBM:
        # Hidden units that are surely on or off, so that a step has no chance in it.
        machine = _machine(3, 4, gaussian=gaussian, seed=12)
        machine.hidden_bias[:] = torch.tensor([90.0, -90.0, 90.0, -90.0])
        return machine

    parts = (data, data[:4], data[4:])
    whole, left, right = (_moved(saturated(), {"rate": 1e-2}, part, compiled=compiled) for part in parts)
    for together, one, other in zip(whole[:2], left[:2], right[:2], strict=True):
        assert np.abs(together).max() > 1e-3
        np.testing.assert_allclose(together, one + other, atol=1e-5)


@BOTH
def test_an_empty_batch_changes_nothing(compiled: bool) -> None:
    for move in _moved(_machine(3, 4, gaussian=True), {}, np.zeros((0, 3), np.float32), compiled=compiled):
        assert not move.any()


@BOTH
def test_data_of_another_width_are_refused(compiled: bool) -> None:
    machine = _machine(3, 2, gaussian=True)
    kept = machine.weight.clone()
    with pytest.raises((RuntimeError, ValueError)):
        _step(_learner(machine, compiled=compiled), np.zeros((5, 4), np.float32))
    assert torch.equal(machine.weight, kept)
