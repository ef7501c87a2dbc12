"""Compiled code of training on float32 matrices: products by BLAS, everything else in one pass each.

Random numbers depend on where they are used (seed, RBM, epoch, example, unit), not on what was drawn before. They are
therefore the same for any number of processors, after an interruption, and on a GPU.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

# numba's products use scipy's BLAS; imported here so that threadpoolctl finds it.
import scipy.linalg.cython_blas  # noqa: F401  # pyright: ignore[reportMissingImports]
import torch
from torch import Tensor

from ..audio import _jit
from ..runtime.files import digest

FloatArray = npt.NDArray[np.float32]

_LOG2E = np.float32(np.log2(np.e))
_LARGEST = np.float32(126.0)
_EXPONENT_BIAS = np.float32(127.0)

# 2^f on [0, 1], to the last bit but one of float32: interpolated at Chebyshev's points.
_P0, _P1, _P2, _P3, _P4, _P5, _P6 = (
    np.float32(value)
    for value in np.polynomial.Chebyshev.interpolate(lambda f: 2.0**f, 6, domain=[0, 1])
    .convert(kind=np.polynomial.Polynomial)
    .coef
)

# Values per cache line, and values processed at a time, which stay in the first-level cache.
_LINE = 16
_PART = 1024

_TO_UNIT = np.float32(2.0**-24)
_TURN = np.float32(2.0 * np.pi)


@_jit.njit
def _mixed(value: np.uint32) -> np.uint32:
    """Apply Wellons' integer hash ``lowbias32``: each input bit flips each output bit with probability 1/2."""
    value = np.uint32(value ^ np.uint32(value >> np.uint32(16)))
    value = np.uint32(value * np.uint32(0x7FEB352D))
    value = np.uint32(value ^ np.uint32(value >> np.uint32(15)))
    value = np.uint32(value * np.uint32(0x846CA68B))
    return np.uint32(value ^ np.uint32(value >> np.uint32(16)))


@_jit.njit
def _row_key(start: np.uint64, row: int) -> np.uint64:
    """Return the output of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014) at a position of its sequence."""
    value = np.uint64(start + np.uint64(row + 1) * np.uint64(0x9E3779B97F4A7C15))
    value = np.uint64((value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9))
    value = np.uint64((value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB))
    return np.uint64(value ^ (value >> np.uint64(31)))


@_jit.njit
def _uniform_row(key: np.uint64, out: FloatArray) -> None:
    first = np.uint32(key & np.uint64(0xFFFFFFFF))
    second = np.uint32(key >> np.uint64(32))
    for unit in range(len(out)):
        bits = _mixed(np.uint32(_mixed(np.uint32(np.uint32(unit) * np.uint32(0x9E3779B9) + first)) ^ second))
        out[unit] = np.float32(np.int32(bits >> np.uint32(8))) * _TO_UNIT


@_jit.njit
def fill_uniforms(start: np.uint64, first: int, out: FloatArray) -> None:
    """Fill ``out`` (n, units) with uniform numbers in [0, 1): the rows of a stream from ``first`` on."""
    for row in range(out.shape[0]):
        _uniform_row(_row_key(start, first + row), out[row])


@_jit.njit
def _sigmoid_part(out: FloatArray, powers: npt.NDArray[np.int32]) -> None:
    """Compute ``1 / (1 + exp(-out))`` in place; ``powers`` is a buffer of the same size."""
    scales = powers.view(np.float32)
    for unit in range(len(out)):
        exponent = -out[unit] * _LOG2E
        exponent = exponent if exponent < _LARGEST else _LARGEST
        exponent = exponent if exponent > -_LARGEST else -_LARGEST
        # The conversion rounds towards zero; shifted by float32's own bias, the exponent is above it.
        biased = np.int32(exponent + _EXPONENT_BIAS)
        part = np.float32(exponent - np.float32(np.int32(biased - np.int32(127))))
        powers[unit] = np.int32(biased << np.int32(23))
        power = _P5 + part * _P6
        power = _P4 + part * power
        power = _P3 + part * power
        power = _P2 + part * power
        power = _P1 + part * power
        out[unit] = _P0 + part * power
    for unit in range(len(out)):
        out[unit] = np.float32(1.0) / (np.float32(1.0) + out[unit] * scales[unit])


@_jit.njit
def sigmoid(values: FloatArray, bias: FloatArray, out: FloatArray) -> None:
    """Write ``sigmoid(values + bias)``, shape (n, units), to ``out``, which may be ``values``."""
    for row in range(values.shape[0]):
        for unit in range(values.shape[1]):
            out[row, unit] = values[row, unit] + bias[unit]
    # Not row by row: the remainder of a row that fills no vector register takes longest.
    flat = out.reshape(-1)
    powers = np.empty(min(_PART, len(flat)), np.int32)
    for first in range(0, len(flat), _PART):
        part = flat[first : first + _PART]
        _sigmoid_part(part, powers[: len(part)])


@_jit.njit
def _sample_hidden(
    values: FloatArray, bias: FloatArray, start: np.uint64, first: int, hidden: FloatArray, sample: FloatArray
) -> None:
    """Write ``sigmoid(values + bias)`` to ``hidden`` and a sample from it, 0 or 1, to ``sample``."""
    sigmoid(values, bias, hidden)
    for row in range(values.shape[0]):
        _uniform_row(_row_key(start, first + row), sample[row])
        for unit in range(values.shape[1]):
            sample[row, unit] = np.float32(1.0) if sample[row, unit] < hidden[row, unit] else np.float32(0.0)


@_jit.njit
def _sample_visible(mean: FloatArray, starts: npt.NDArray[np.uint64], first: int, gaussian: bool) -> None:
    """Sample visible units with these means in place; Gaussian ones by Box and Muller's transform."""
    uniform, angle = np.empty(mean.shape[1], np.float32), np.empty(mean.shape[1], np.float32)
    for row in range(mean.shape[0]):
        _uniform_row(_row_key(starts[0], first + row), uniform)
        if gaussian:
            _uniform_row(_row_key(starts[1], first + row), angle)
        for unit in range(mean.shape[1]):
            if gaussian:
                radius = np.sqrt(np.float32(-2.0) * np.log1p(-uniform[unit]))
                mean[row, unit] += radius * np.cos(_TURN * angle[unit])
            else:
                mean[row, unit] = np.float32(1.0) if uniform[unit] < mean[row, unit] else np.float32(0.0)


@_jit.njit
def _reconstruct(means: FloatArray, bias: FloatArray, gaussian: bool) -> None:
    """Turn products into the means of visible units, ``means + bias`` or its sigmoid, in place."""
    if not gaussian:
        sigmoid(means, bias, means)
        return
    for row in range(means.shape[0]):
        for unit in range(means.shape[1]):
            means[row, unit] += bias[unit]


@_jit.njit
def _difference(data: FloatArray, model: FloatArray, squares: FloatArray, total: FloatArray) -> None:
    """Write the column sums of ``data - model`` to ``total`` and of its squares to ``squares``."""
    total[:] = np.float32(0.0)
    squares[:] = np.float32(0.0)
    for row in range(data.shape[0]):
        for unit in range(data.shape[1]):
            own = data[row, unit] - model[row, unit]
            total[unit] += own
            squares[unit] += own * own


@_jit.njit
def _hidden_difference(data: FloatArray, model: FloatArray, active: FloatArray, total: FloatArray) -> None:
    """Write the column sums of ``data - model`` to ``total`` and of ``data`` to ``active``."""
    total[:] = np.float32(0.0)
    active[:] = np.float32(0.0)
    for row in range(data.shape[0]):
        for unit in range(data.shape[1]):
            total[unit] += data[row, unit] - model[row, unit]
            active[unit] += data[row, unit]


@_jit.njit
def phases(
    data: FloatArray,
    parameters: tuple[FloatArray, FloatArray, FloatArray],
    gaussian: bool,
    sample_visible: bool,
    persistent: bool,
    streams: npt.NDArray[np.uint64],
    first: int,
    states: FloatArray,
    hidden: FloatArray,
    model: FloatArray,
    weight: FloatArray,
    visible_sums: FloatArray,
    hidden_sums: FloatArray,
) -> None:
    """Compute both phases of contrastive divergence for a batch.

    Parameters
    ----------
    data : array, shape (n, n_visible)
        Examples.
    parameters : tuple of array
        Weights (n_visible, n_hidden), visible and hidden biases.
    gaussian, sample_visible, persistent : bool
        Whether the visible units are Gaussian, whether they are sampled, and whether ``states`` are persistent chains.
    streams : array, shape (steps + 1, 3)
        Starts of the random number streams of each Gibbs step, for hidden units, visible units and angles.
    first : int
        Position of the first example in the epoch.
    states : array, shape (n, n_hidden)
        Chains, or a buffer for the states.
    hidden : array, shape (3, n, n_hidden)
        Buffer.
    model : array, shape (n, n_visible)
        Buffer for the reconstructions.
    weight : array, shape (2, n_visible, n_hidden)
        Receives the gradient of the weights, in the first matrix; the second is a buffer.
    visible_sums, hidden_sums : array, shape (2, units)
        Receive the gradients of the biases, and the squared errors and summed activations of each unit.
    """
    weights, visible_bias, hidden_bias = parameters
    values, positive, negative = hidden[0], hidden[1], hidden[2]
    steps = len(streams) - 1
    np.dot(data, weights, values)
    # Persistent chains start with their states after the last batch.
    drawn = negative if persistent else states
    _sample_hidden(values, hidden_bias, streams[0, 0], first, positive, drawn)
    for step in range(1, steps + 1):
        np.dot(states, weights.T, model)
        _reconstruct(model, visible_bias, gaussian)
        if sample_visible:
            _sample_visible(model, streams[step, 1:], first, gaussian)
        np.dot(model, weights, values)
        if step < steps or persistent:
            _sample_hidden(values, hidden_bias, streams[step, 0], first, negative, states)
        else:
            sigmoid(values, hidden_bias, negative)
    np.dot(data.T, positive, weight[0])
    np.dot(model.T, negative, weight[1])
    for unit in range(weight.shape[1]):
        for other in range(weight.shape[2]):
            weight[0, unit, other] -= weight[1, unit, other]
    _difference(data, model, visible_sums[1], visible_sums[0])
    _hidden_difference(positive, negative, hidden_sums[1], hidden_sums[0])


@_jit.njit
def gather(
    rows: FloatArray,
    starts: npt.NDArray[np.int64],
    chosen: npt.NDArray[np.int64],
    mean: FloatArray,
    rate: FloatArray,
    out: FloatArray,
) -> None:
    """Write the normalised examples with the indices ``chosen`` to ``out`` (n, dims).

    ``rows`` is flat; ``starts`` are positions in it. An example is ``(x - mean) * rate``.
    """
    # The rows are far apart in memory. Touching all of them first lets their loads overlap.
    for row in range(len(chosen)):
        first = starts[chosen[row]]
        for unit in range(0, out.shape[1], _LINE):
            out[0, 0] += rows[first + unit]
    for row in range(len(chosen)):
        first = starts[chosen[row]]
        for unit in range(out.shape[1]):
            out[row, unit] = (rows[first + unit] - mean[unit]) * rate[unit]


@_jit.njit
def moments(
    rows: FloatArray,
    starts: npt.NDArray[np.int64],
    shift: npt.NDArray[np.float64],
    sums: npt.NDArray[np.float64],
    squares: npt.NDArray[np.float64],
) -> None:
    """Add the sums of ``example - shift`` over all examples to ``sums``, and of its squares to ``squares``."""
    for row in range(len(starts)):
        first = starts[row]
        for unit in range(len(shift)):
            value = rows[first + unit] - shift[unit]
            sums[unit] += value
            squares[unit] += value * value


_MASK = 0xFFFFFFFF


def _mixed_tensor(value: Tensor) -> Tensor:
    value = value ^ (value >> 16)
    value = (value * 0x7FEB352D) & _MASK
    value = value ^ (value >> 15)
    value = (value * 0x846CA68B) & _MASK
    return value ^ (value >> 16)


def uniform_tensor(start: np.uint64, first: int, like: Tensor) -> Tensor:
    """Return the numbers of :func:`fill_uniforms` as a tensor like another (n, units), on its device."""
    count, units = like.shape
    with np.errstate(over="ignore"):
        value = start + np.arange(first + 1, first + count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        value = value ^ (value >> np.uint64(31))
    words = np.stack([value & np.uint64(_MASK), value >> np.uint64(32)], axis=1).astype(np.int64)
    keys = torch.from_numpy(words).to(like.device)
    unit = (torch.arange(units, device=like.device) * 0x9E3779B9) & _MASK
    bits = _mixed_tensor(_mixed_tensor((unit + keys[:, :1]) & _MASK) ^ keys[:, 1:])
    return ((bits >> 8).to(torch.float32) * float(_TO_UNIT)).to(like.dtype)


def stream(*names: object) -> np.uint64:
    """Return the start of a random number stream: a hash of names that identify its use, such as seed and epoch."""
    return np.uint64(int(digest([str(name) for name in names])[:16], 16))
