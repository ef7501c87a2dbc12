"""Running medians compared with sorted windows and scipy."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
from emobench.audio.median import running_median
from emobench.audio.median_kernel import Network
from hypothesis import given, settings
from hypothesis import strategies as st

# Code is compiled for each size, so properties draw from a few.
SIZES = (3, 5, 9, 17, 31)


def _sorted_windows(values: np.ndarray, size: int, axis: int) -> np.ndarray:
    half = size // 2
    pad = [(0, 0), (0, 0)]
    pad[axis] = (half, half)
    padded = np.pad(values, pad, mode="symmetric")
    return np.median(np.lib.stride_tricks.sliding_window_view(padded, size, axis=axis), axis=-1)


def _check(values: np.ndarray, size: int, axis: int) -> None:
    found = running_median(values, size=size, axis=axis)
    assert found.dtype == np.float32
    assert found.shape == values.shape
    assert found.tobytes() == _sorted_windows(values, size, axis).astype(np.float32).tobytes()


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(1, 80),
    columns=st.integers(1, 140),
    size=st.sampled_from(SIZES),
    axis=st.sampled_from([0, 1]),
    seed=st.integers(0, 1000),
    ties=st.booleans(),
)
def test_sorted_windows(rows: int, columns: int, size: int, axis: int, seed: int, ties: bool) -> None:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 4, (rows, columns)) if ties else rng.normal(size=(rows, columns))
    _check(values.astype(np.float32) + np.float32(0), size, axis)


@pytest.mark.parametrize("size", range(3, 256, 2))
def test_the_network_of_every_odd_length(size: int) -> None:
    network = Network(size)
    inputs = np.random.default_rng(size).integers(0, size, (network.count + size - 1, 20)).astype(np.float32)
    values = dict(enumerate(inputs))
    for one, other, low, high in network.comparators:
        pair = values[one], values[other]
        if low is not None:
            values[low] = np.minimum(*pair)
        if high is not None:
            values[high] = np.maximum(*pair)
    found = np.array([values[median] for median in network.medians])
    windows = np.lib.stride_tricks.sliding_window_view(inputs, size, axis=0)
    np.testing.assert_array_equal(found, np.median(windows, axis=-1))


def test_no_comparator_of_a_network_can_be_left_out() -> None:
    network = Network(9)
    used = {value for each in network.comparators for value in (each.one, each.other)} | set(network.medians)
    made = {value for each in network.comparators for value in (each.low, each.high) if value is not None}
    assert made <= used
    # Sorting each window takes 25.
    assert len(network.comparators) / network.count < 10


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("shape", [(1, 1), (1, 200), (200, 1), (2, 2), (63, 64), (64, 65), (128, 129)])
def test_shapes_about_the_block_of_lanes(shape: tuple[int, int], axis: int) -> None:
    _check(np.random.default_rng(0).exponential(size=shape).astype(np.float32), 31, axis)


@pytest.mark.parametrize("size", range(3, 64, 2))
def test_scipy(size: int) -> None:
    for length in (1, 2, 3, 4, 5, 8, 16, 31, 32, 33, 70):
        for axis, shape in enumerate([(length, 66), (66, length)]):
            values = np.random.default_rng(length).exponential(size=shape).astype(np.float32)
            window = (size, 1) if axis == 0 else (1, size)
            expected = scipy.ndimage.median_filter(values, size=window, mode="reflect")
            if size > 8 * length:
                # scipy 1.17 is wrong on lines of 2, 4 and 6 here.
                expected = _sorted_windows(values, size, axis)
            assert running_median(values, size=size, axis=axis).tobytes() == expected.tobytes()


@pytest.mark.parametrize("axis", [0, 1])
def test_extreme_numbers(axis: int) -> None:
    info = np.finfo(np.float32)
    choice = np.array([0, info.tiny, info.smallest_subnormal, info.max, -info.max, np.inf, -np.inf, 1], np.float32)
    values = np.random.default_rng(2).choice(choice, (40, 40))
    with np.errstate(invalid="ignore"):
        _check(values, 9, axis)


@pytest.mark.parametrize("axis", [0, 1])
def test_by_hand(axis: int) -> None:
    line = np.array([5, 1, 4, 2, 3], np.float32)
    # Reflected: 5 | 5 1 4 2 3 | 3.
    expected = np.array([5, 4, 2, 3, 3], np.float32)
    values, expected = (np.expand_dims(part, 1 - axis) for part in (line, expected))
    np.testing.assert_array_equal(running_median(values, size=3, axis=axis), expected)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("order", ["C", "F", "strided", "reversed"])
def test_memory_layout_does_not_matter(axis: int, order: str) -> None:
    whole = np.random.default_rng(3).normal(size=(60, 80)).astype(np.float32)
    values = {
        "C": whole,
        "F": np.asfortranarray(whole),
        "strided": whole[::2, 1::3],
        "reversed": whole[::-1, ::-1],
    }[order]
    kept = values.copy()
    _check(values, 9, axis)
    np.testing.assert_array_equal(values, kept)


def test_a_window_of_one_copies_the_input() -> None:
    values = np.random.default_rng(4).normal(size=(4, 5)).astype(np.float32)
    found = running_median(values, size=1, axis=0)
    np.testing.assert_array_equal(found, values)
    found[0, 0] = 99
    assert values[0, 0] != 99


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (0, 0)])
def test_empty_matrices(shape: tuple[int, int]) -> None:
    assert running_median(np.zeros(shape, np.float32), size=9, axis=0).shape == shape


@pytest.mark.parametrize("size", [-3, 0, 2, 30, 256, 257])
def test_wrong_sizes(size: int) -> None:
    with pytest.raises(ValueError, match=f"size={size}.*odd.*1 to 255"):
        running_median(np.zeros((4, 4), np.float32), size=size, axis=0)


@pytest.mark.parametrize(
    "values",
    [
        np.zeros((4, 4)),
        np.zeros((4, 4), np.int32),
        np.zeros((4, 4), np.float16),
        np.zeros(4, np.float32),
        np.zeros((2, 2, 2), np.float32),
    ],
)
def test_wrong_matrices(values: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"values: expected a float32 matrix"):
        running_median(values, size=3, axis=0)


@pytest.mark.parametrize("axis", [2, -2])
def test_wrong_axis(axis: int) -> None:
    with pytest.raises(ValueError, match="axis"):
        running_median(np.arange(12, dtype=np.float32).reshape(3, 4), size=3, axis=axis)
