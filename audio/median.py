"""Running medians of odd length along one axis, bit-equal to ``scipy.ndimage.median_filter``."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..runtime.jit_cache import set_numba_cache

# Rows that are transposed and filtered at once along the second axis, so that they stay in the processor's cache.
_BLOCK = 64

FloatArray = npt.NDArray[np.float32]


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
    # Numba, which is imported here, reads where compiled code is kept.
    set_numba_cache()
    from .median_kernel import VECTOR, kernel

    fewest, run = kernel(size)
    source, target = (values, out) if axis == 0 else (values.T, out.T)
    rows, columns = source.shape
    index = _reflected(rows, size // 2)
    step = columns if axis == 0 else _BLOCK
    padded = np.zeros((max(rows, fewest) + size - 1, max(min(step, columns), VECTOR)), np.float32)
    medians = np.empty((max(rows, fewest), padded.shape[1]), np.float32)
    for first in range(0, columns, step):
        width = min(step, columns - first)
        padded[: len(index), :width] = np.ascontiguousarray(source[:, first : first + width])[index]
        run(padded, medians)
        target[:, first : first + width] = medians[:rows, :width]
    return out
