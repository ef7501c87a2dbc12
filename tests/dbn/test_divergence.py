"""Contrastive divergence, compiled and in tensors, compared with formulas, enumeration and each other."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from emobench.dbn import kernels
from emobench.dbn.rbm import RBM, DivergedError

from .rbms import NAMES, given, parameters, step

BOTH = pytest.mark.parametrize("compiled", [True, False], ids=["compiled", "tensors"])
VISIBLE = pytest.mark.parametrize("visible", ["gaussian", "binary"])


def _rbm(n_visible: int, n_hidden: int, *, visible: str, seed: int = 0, scale: float = 0.5, **settings: Any) -> RBM:
    rng = np.random.default_rng(seed)
    parts = (rng.normal(0, scale, size) for size in ((n_visible, n_hidden), n_visible, n_hidden))
    weight, visible_bias, hidden_bias = (torch.from_numpy(part.astype(np.float32)) for part in parts)
    return given(weight, visible_bias, hidden_bias, visible=visible, name="test", **settings)


def _moved(rbm: RBM, data: np.ndarray) -> list[np.ndarray]:
    """Return the changes of weights and biases in one step."""
    before = parameters(rbm)
    step(rbm, data)
    return [after - kept for after, kept in zip(parameters(rbm), before, strict=True)]


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def _states(count: int) -> np.ndarray:
    return np.array(list(itertools.product([0.0, 1.0], repeat=count)))


# One step


@BOTH
@VISIBLE
@pytest.mark.parametrize("steps", [1, 3])
def test_a_step_by_the_formula(compiled: bool, visible: str, steps: int) -> None:
    """Compute every matrix with numpy in float64, with the same uniform random numbers."""
    rng = np.random.default_rng(1)
    data = (
        rng.normal(size=(33, 7)).astype(np.float32)
        if visible == "gaussian"
        else rng.integers(0, 2, (33, 7)).astype(np.float32)
    )
    rbm = _rbm(7, 5, visible=visible, seed=2, compiled=compiled, random_state=4, learning_rate=0.25, n_gibbs=steps)
    w, b, c = parameters(rbm)

    def uniforms(use: str) -> np.ndarray:
        found = np.empty((33, 5), np.float32)
        kernels.fill_uniforms(kernels.stream(4, "test", 0, use), 0, found)
        return found

    positive = _sigmoid(data @ w + c)
    negative, model = positive, data
    for number in range(steps):
        sample = (uniforms(f"hidden {number}") < negative).astype(float)
        model = b + sample @ w.T
        model = model if visible == "gaussian" else _sigmoid(model)
        negative = _sigmoid(model @ w + c)
    error = step(rbm, data)
    expected = (data.T @ positive - model.T @ negative, (data - model).sum(0), (positive - negative).sum(0))
    for name, before, change in zip(NAMES, (w, b, c), expected, strict=True):
        np.testing.assert_allclose(getattr(rbm, name).numpy(), before + 0.25 * change, atol=2e-5, err_msg=name)
    assert error == pytest.approx(((data - model) ** 2).sum(), rel=1e-5)


@BOTH
@pytest.mark.parametrize("sample_visible", [False, True])
def test_negative_phase_is_one_gibbs_step_on_average(compiled: bool, sample_visible: bool) -> None:
    count = 40_000
    rbm = _rbm(
        3, 2, visible="binary", seed=9, compiled=compiled, sample_visible=sample_visible, learning_rate=1 / count
    )
    w, b, c = parameters(rbm)
    start = np.array([1.0, 0.0, 1.0])

    def chance(state: np.ndarray, p: np.ndarray) -> float:
        return float(np.prod(np.where(state == 1, p, 1 - p)))

    expected = np.outer(start, _sigmoid(c + start @ w))
    for h in _states(2):
        mean = _sigmoid(b + w @ h)
        if sample_visible:
            again = sum((chance(v, mean) * np.outer(v, _sigmoid(c + v @ w)) for v in _states(3)), np.zeros((3, 2)))
        else:
            again = np.outer(mean, _sigmoid(c + mean @ w))
        expected = expected - chance(h, _sigmoid(c + start @ w)) * again
    data = np.tile(start, (count, 1)).astype(np.float32)
    found = _moved(rbm, data)[0]
    # A mean of numbers in [0, 1] has a standard deviation of at most 0.5 / sqrt(n).
    np.testing.assert_allclose(found, expected, atol=5 * 0.5 / np.sqrt(count))


@BOTH
def test_drawn_gaussian_visibles_have_unit_variance(compiled: bool) -> None:
    rbm = _rbm(3, 1, visible="gaussian", seed=1, compiled=compiled, sample_visible=True, learning_rate=1e-12)
    rbm.weight_.zero_()
    data = np.zeros((40_000, 3), np.float32) + rbm.visible_bias_.numpy()
    # The squared error is then the sum of the squares of standard normal numbers: mean 3n, variance 6n.
    assert abs(step(rbm, data) - 3 * 40_000) < 5 * np.sqrt(6 * 40_000)


@BOTH
@VISIBLE
@pytest.mark.parametrize("settings", [{}, {"n_gibbs": 4}, {"persistent": True}], ids=str)
def test_many_steps_raise_the_exact_likelihood(compiled: bool, visible: str, settings: dict[str, Any]) -> None:
    rng = np.random.default_rng(11)
    patterns = np.array([[1.0, 1, 0, 0], [0, 0, 1, 1]])
    data = patterns[rng.integers(0, 2, 60)]
    if visible == "gaussian":
        data = 4 * data - 2 + rng.normal(size=data.shape)
    rbm = _rbm(4, 3, visible=visible, seed=5, scale=0.05, compiled=compiled, learning_rate=2e-3, **settings)

    def likelihood() -> float:
        h = _states(3)
        w, b, c = parameters(rbm)
        if visible == "gaussian":
            # Integrated over v for every h: a Gaussian about b + W h.
            means = b + h @ w.T
            log_z = np.logaddexp.reduce(h @ c + 0.5 * (means**2 - b**2).sum(1)) + 2 * np.log(2 * np.pi)
        else:
            v = _states(4)
            log_z = np.logaddexp.reduce((v @ b)[:, None] + h @ c + v @ w @ h.T, axis=None)
        return float((-rbm.free_energy(data)).mean() - log_z)

    before = likelihood()
    batch = data.astype(np.float32)
    for epoch in range(600):
        rbm._begin_epoch(epoch)
        step(rbm, batch)
    after = likelihood()
    # The best likelihood of independent units, fitted to the data in closed form.
    if visible == "gaussian":
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
    common: dict[str, Any] = {"visible": "gaussian", "seed": 5, "compiled": compiled, "learning_rate": 0.01}
    penalties: dict[str, Any] = {"weight_decay": 0.01, "sparsity_target": 0.1, "sparsity_cost": 0.3}
    plain, other = _rbm(6, 4, **common), _rbm(6, 4, **common, **penalties, momentum=0.5)
    weight, _, hidden_bias = parameters(plain)
    active = _sigmoid(data @ weight + hidden_bias).sum(0)
    change = _moved(plain, data)
    change[0] = change[0] - 0.01 * 20 * 0.01 * weight
    change[2] = change[2] + 0.01 * 0.3 * (20 * 0.1 - active)
    for found, expected in zip(_moved(other, data), change, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)
    # The next step adds half of the last change.
    twin = _rbm(6, 4, **common, **penalties)
    twin.weight_, twin.visible_bias_, twin.hidden_bias_ = (part.clone() for part in other._parameters())
    alone, both = _moved(twin, data), _moved(other, data)
    for together, moved, own in zip(both, change, alone, strict=True):
        np.testing.assert_allclose(together, 0.5 * moved + own, atol=1e-5)


def test_the_sparsity_target_is_reached() -> None:
    data = np.random.default_rng(3).normal(size=(200, 6)).astype(np.float32)
    settings: dict[str, Any] = {"learning_rate": 1e-3, "sparsity_target": 0.1, "sparsity_cost": 1.0, "n_iter": 300}
    rbm = RBM(10, visible="gaussian", batch_size=200, **settings).fit(data)
    assert rbm.transform(data).mean() == pytest.approx(0.1, abs=0.03)


@BOTH
def test_persistent_chains_continue(compiled: bool) -> None:
    data = np.random.default_rng(3).normal(size=(14, 6)).astype(np.float32)
    rbm = _rbm(6, 4, visible="gaussian", compiled=compiled, persistent=True, learning_rate=1e-3)
    step(rbm, data, 0, 10)
    first = rbm.state()["chains"].clone()
    # The last batch of an epoch is smaller: the other chains stay as they are.
    step(rbm, data, 10, 14)
    chains = rbm.state()["chains"]
    assert set(chains.unique().tolist()) <= {0.0, 1.0}
    assert torch.equal(chains[4:], first[4:])
    assert not torch.equal(chains[:4], first[:4])


@pytest.mark.parametrize(
    "settings",
    [
        {"learning_rate": 0.0},
        {"learning_rate": np.inf},
        {"n_components": 0},
        {"n_gibbs": 0},
        {"n_iter": 0},
        {"batch_size": 0},
        {"momentum": 1.0},
        {"momentum": -0.1},
        {"weight_decay": -1.0},
        {"sparsity_target": 0.0},
        {"sparsity_target": 1.0},
        {"sparsity_cost": -1.0},
        {"visible": "poisson"},
        {"schedule": "square"},
    ],
    ids=str,
)
def test_settings_out_of_range(settings: dict[str, Any]) -> None:
    (name, value), *_ = settings.items()
    with pytest.raises(ValueError, match=f"^`{name}` {value}: expected "):
        RBM(**settings).fit(np.zeros((3, 2)))


# Independence of the implementation


SETTINGS = [
    {},
    {"n_gibbs": 3},
    {"persistent": True},
    {"sample_visible": True},
    {"momentum": 0.9, "weight_decay": 1e-3},
    {"sparsity_target": 0.2},
]


def _trained(visible: str, settings: dict[str, Any], *, compiled: bool, threads: int = 1, seed: int = 3) -> RBM:
    rng = np.random.default_rng(0)
    data = rng.normal(size=(250, 12)).astype(np.float32)
    data = data if visible == "gaussian" else (data > 0).astype(np.float32)
    common: dict[str, Any] = {"random_state": seed, "n_threads": threads, "learning_rate": 1e-3}
    rbm = _rbm(12, 9, visible=visible, seed=1, scale=0.1, compiled=compiled, **common, **settings)
    for epoch in range(5):
        rbm._begin_epoch(epoch)
        for first in range(0, 250, 60):
            step(rbm, data, first, min(first + 60, 250))
    return rbm


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@VISIBLE
def test_compiled_code_threads_and_tensors_agree(visible: str, settings: dict[str, Any]) -> None:
    first = _trained(visible, settings, compiled=True)
    for other in (
        _trained(visible, settings, compiled=False),
        _trained(visible, settings, compiled=True, threads=3),
    ):
        for name in NAMES:
            torch.testing.assert_close(getattr(other, name), getattr(first, name), atol=1e-5, rtol=0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_a_gpu_agrees(settings: dict[str, Any]) -> None:
    data = np.random.default_rng(0).normal(size=(250, 12)).astype(np.float32)
    common: dict[str, Any] = {"visible": "gaussian", "batch_size": 60, "learning_rate": 1e-3, "n_iter": 5}
    fits = [RBM(9, device=device, **common, **settings).fit(data) for device in ("cpu", "cuda")]
    torch.testing.assert_close(fits[1].weight_.cpu(), fits[0].weight_, atol=1e-4, rtol=0)


@BOTH
def test_the_seed_determines_the_result(compiled: bool) -> None:
    first, again, other = (_trained("gaussian", {}, compiled=compiled, seed=seed) for seed in (3, 3, 4))
    for name in NAMES:
        assert torch.equal(getattr(first, name), getattr(again, name))
        assert not torch.equal(getattr(first, name), getattr(other, name))


def test_global_generators_are_not_used() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    _trained("gaussian", {"sample_visible": True}, compiled=False)
    assert torch.equal(torch.get_rng_state(), before)


# The sum over the batch


@BOTH
@VISIBLE
def test_half_batches_add_up_to_the_whole_batch(compiled: bool, visible: str) -> None:
    data = np.random.default_rng(13).normal(size=(10, 3)).astype(np.float32)

    def saturated() -> RBM:
        # Hidden units are always on or off, so that a step is deterministic.
        rbm = _rbm(3, 4, visible=visible, seed=12, compiled=compiled, learning_rate=1e-2)
        rbm.hidden_bias_[:] = torch.tensor([90.0, -90.0, 90.0, -90.0])
        return rbm

    parts = (data, data[:4], data[4:])
    whole, left, right = (_moved(saturated(), part) for part in parts)
    for together, one, other in zip(whole[:2], left[:2], right[:2], strict=True):
        assert np.abs(together).max() > 1e-3
        np.testing.assert_allclose(together, one + other, atol=1e-5)


@BOTH
def test_an_empty_batch_changes_nothing(compiled: bool) -> None:
    for move in _moved(_rbm(3, 4, visible="gaussian", compiled=compiled), np.zeros((0, 3), np.float32)):
        assert not move.any()


@BOTH
def test_data_of_another_width_are_refused(compiled: bool) -> None:
    rbm = _rbm(3, 2, visible="gaussian", compiled=compiled)
    kept = rbm.weight_.clone()
    with pytest.raises((RuntimeError, ValueError)):
        step(rbm, np.zeros((5, 4), np.float32))
    assert torch.equal(rbm.weight_, kept)


# Over epochs


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_fit_is_a_loop_over_batches(schedule: str) -> None:
    """Write out the epochs of ``fit``: the order of the examples, the batches and the learning rate."""
    data = np.random.default_rng(2).normal(size=(23, 5)).astype(np.float32)
    settings: dict[str, Any] = {"visible": "gaussian", "batch_size": 10, "learning_rate": 0.01, "momentum": 0.5}
    fitted = RBM(4, **settings, n_iter=3, schedule=schedule, random_state=8, name="a").fit(data)
    decay = {
        "constant": lambda share: 1.0,
        "linear": lambda share: 1.0 - share,
        "cosine": lambda share: (1.0 + np.cos(np.pi * share)) / 2,
    }[schedule]
    rbm = RBM(4, **settings, random_state=8, name="a").initialize(5)
    for epoch in (1, 2, 3):
        order = np.random.Generator(np.random.Philox(int(kernels.stream(8, "a", epoch, "order")))).permutation(23)
        rbm._begin_epoch(epoch)
        for first, last in ((0, 10), (10, 20), (20, 23)):
            rate = 0.01 * decay((epoch - 1 + first / 23) / 3)
            rbm._step(lambda low, high, order=order: data[order[low:high]], first, last, learning_rate=rate)
    for found, expected in zip(parameters(fitted), parameters(rbm), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_divergence_is_reported() -> None:
    data = np.random.default_rng(2).normal(size=(40, 5))
    with pytest.raises(
        DivergedError, match=r"^mine: diverged in epoch \d+ \(reconstruction error .*lower the learning"
    ):
        RBM(4, visible="gaussian", learning_rate=10.0, name="mine").fit(data)
