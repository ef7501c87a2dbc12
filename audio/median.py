"""Running medians of odd length along one axis, bit-equal to ``scipy.ndimage.median_filter``.

Each of 64 adjacent lanes keeps its window sorted. One pass over the window removes the oldest value and inserts the
newest without a branch, so that the compiler can vectorise over the lanes. For the same reason the window length and
the number of lanes are compile-time constants.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import numpy.typing as npt

from . import _jit

LANES = 64

FloatArray = npt.NDArray[np.float32]
_Kernel = Callable[[FloatArray, FloatArray], None]


@cache
def _kernel(size: int) -> _Kernel:
    lanes = LANES
    half = size // 2

    @_jit.njit
    def run(padded: FloatArray, out: FloatArray) -> None:
        """Filter ``padded`` (n + size - 1, lanes) along its first axis into ``out`` (n, lanes)."""
        window = np.empty(size * lanes, np.float32)
        below = np.empty(lanes, np.float32)
        for position in range(size):
            for lane in range(lanes):
                window[position * lanes + lane] = padded[position, lane]
        for lane in range(lanes):
            for position in range(1, size):
                value = window[position * lanes + lane]
                place = position
                while place > 0 and window[(place - 1) * lanes + lane] > value:
                    window[place * lanes + lane] = window[(place - 1) * lanes + lane]
                    place -= 1
                window[place * lanes + lane] = value
        count = out.shape[0]
        for lane in range(lanes):
            out[0, lane] = window[half * lanes + lane]
        for row in range(1, count):
            oldest = padded[row - 1]
            newest = padded[row + size - 1]
            for lane in range(lanes):
                below[lane] = -np.inf
            for position in range(size - 1):
                here = position * lanes
                for lane in range(lanes):
                    kept = window[here + lane]
                    following = window[here + lanes + lane]
                    kept = kept if kept < oldest[lane] else following
                    value = newest[lane]
                    value = value if value < kept else kept
                    value = value if value > below[lane] else below[lane]
                    window[here + lane] = value
                    below[lane] = kept
            last = (size - 1) * lanes
            for lane in range(lanes):
                value = newest[lane]
                window[last + lane] = value if value > below[lane] else below[lane]
            for lane in range(lanes):
                out[row, lane] = window[half * lanes + lane]

    return run


def _reflected(length: int, half: int) -> npt.NDArray[np.intp]:
    """Indices that extend 0..length-1 by half-sample reflection on both sides, repeatedly if it is short."""
    index = np.arange(-half, length + half) % (2 * length)
    return np.where(index < length, index, 2 * length - 1 - index)


def running_median(values: FloatArray, *, size: int, axis: int) -> FloatArray:
    """Median over a centred window along one axis of a matrix.

    Parameters
    ----------
    values : ndarray of float32, shape (rows, columns)
        Values without NaN.
    size : int
        Odd window length, 1 to 255.
    axis : {0, 1}
        Axis along which the window moves.

    Returns
    -------
    ndarray of float32, shape (rows, columns)
        Bit-equal to ``scipy.ndimage.median_filter(values, size, mode="reflect")`` with size 1 along the other axis.

    Raises
    ------
    ValueError
        If ``size`` is even or out of range, ``axis`` is not 0 or 1, or ``values`` is not a float32 matrix.
    """
    if size % 2 != 1 or not 1 <= size <= 255:
        raise ValueError(f"size={size}: expected an odd window length from 1 to 255")
    if axis not in (0, 1):
        raise ValueError(f"axis={axis}: expected 0 or 1")
    if values.ndim != 2 or values.dtype != np.float32:
        raise ValueError(f"values: expected a float32 matrix, got {values.dtype} of shape {values.shape}")
    out = np.empty_like(values)
    if values.size == 0 or size == 1:
        out[...] = values
        return out
    kernel = _kernel(size)
    source, target = (values, out) if axis == 0 else (values.T, out.T)
    rows, columns = source.shape
    index = _reflected(rows, size // 2)
    padded = np.zeros((len(index), LANES), np.float32)
    block = np.empty((rows, LANES), np.float32)
    for first in range(0, columns, LANES):
        width = min(LANES, columns - first)
        padded[:, :width] = (
            source[index, first : first + width]
            if axis == 0
            else np.ascontiguousarray(source[:, first : first + width])[index]
        )
        kernel(padded, block)
        target[:, first : first + width] = block[:, :width]
    return out
