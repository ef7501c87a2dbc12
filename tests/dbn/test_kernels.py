"""Random numbers that only depend on their position, and passes of a training step, compared with scipy and numpy."""

from __future__ import annotations

import numpy as np
import torch
from emobench.dbn import kernels
from scipy import stats


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


# Random numbers


def test_uniforms_are_uniform_and_independent() -> None:
    drawn = np.empty((4000, 75), np.float32)
    kernels.fill_uniforms(kernels.stream(0, "a"), 0, drawn)
    assert 0 <= drawn.min() < drawn.max() < 1
    assert stats.kstest(drawn.ravel(), "uniform").pvalue > 1e-4
    # Rows, columns, neighbours, and other streams: correlations of n numbers are within 5 / sqrt(n).
    other = np.empty_like(drawn)
    kernels.fill_uniforms(kernels.stream(0, "b"), 0, other)
    pairs = [(drawn[1:], drawn[:-1]), (drawn[:, 1:], drawn[:, :-1]), (drawn, other), (drawn[:2000], drawn[2000:])]
    for left, right in pairs:
        assert abs(np.corrcoef(left.ravel(), right.ravel())[0, 1]) < 5 / np.sqrt(left.size)
    for axis in (0, 1):
        means = drawn.mean(axis=axis)
        assert np.abs(means - 0.5).max() < 6 * np.sqrt(1 / 12 / drawn.shape[axis])
    bits = (drawn * 2**24).astype(np.int64)
    for bit in range(24):
        assert abs(((bits >> bit) & 1).mean() - 0.5) < 5 * 0.5 / np.sqrt(bits.size)


def test_a_uniform_depends_only_on_its_position_and_is_the_same_in_tensors() -> None:
    start = kernels.stream("seed", 3)
    whole, part = np.empty((50, 9), np.float32), np.empty((20, 9), np.float32)
    kernels.fill_uniforms(start, 7, whole)
    kernels.fill_uniforms(start, 37, part)
    np.testing.assert_array_equal(whole[30:], part)
    tensor = kernels.uniform_tensor(start, 7, torch.empty(50, 9))
    np.testing.assert_array_equal(tensor.numpy(), whole)
    wide = np.empty((50, 12), np.float32)
    kernels.fill_uniforms(start, 7, wide)
    np.testing.assert_array_equal(wide[:, :9], whole)


def test_streams_differ() -> None:
    assert len({int(kernels.stream(*names)) for names in [(0, "a"), (1, "a"), (0, "b"), ("0a",), (0, 1, "a")]}) == 5


# Passes


def test_sigmoid_everywhere() -> None:
    values = np.concatenate([np.linspace(-30, 30, 40_001), [-200.0, -100.0, 100.0, 200.0, -np.inf, np.inf]])
    values = values.astype(np.float32)[None]
    found = np.empty_like(values)
    kernels.sigmoid(values, np.zeros(values.shape[1], np.float32), found)
    with np.errstate(over="ignore"):
        expected = _sigmoid(values.astype(np.float64))
    np.testing.assert_allclose(found, expected, atol=2e-7)
    inside = np.abs(values) < 80
    np.testing.assert_allclose(found[inside], expected[inside], rtol=1e-5)


def test_gather_and_moments() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(3, 2, (40, 5)).astype(np.float32)
    starts, chosen = np.arange(37) * 5, rng.permutation(37)[:11]
    mean, rate = rng.normal(size=(2, 20)).astype(np.float32)
    found = np.empty((11, 20), np.float32)
    kernels.gather(rows.reshape(-1), starts, chosen, mean, rate, found)
    expected = np.stack([(rows[place : place + 4].ravel() - mean) * rate for place in chosen])
    np.testing.assert_allclose(found, expected, rtol=1e-6)
