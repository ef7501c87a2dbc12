"""Compiled running medians: a sorting network for several adjacent windows, in vector registers.

The windows of adjacent medians share most of their values. These are sorted once, the values that can no longer be a
median are dropped, and the windows are halved; each half adds the values that its windows share, and so on down to
single windows. Comparators on which no median depends are left out. (Adams, "Fast median filters using separable
sorting networks", ACM Transactions on Graphics 40(4), 2021, shares work between two-dimensional windows similarly.)

Numba cannot keep hundreds of values in vector registers, so the network is written as instructions of LLVM.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

# Columns per vector; LLVM divides vectors that are longer than the processor's.
VECTOR = 8

# Medians per network, if the window is long enough. More of them share more work, but take longer to compile.
_MOST_MEDIANS = 64

FloatArray = npt.NDArray[np.float32]


class Comparator(NamedTuple):
    """Puts the smaller of the values ``one`` and ``other`` into ``low`` and the larger into ``high``, unless None."""

    one: int
    other: int
    low: int | None
    high: int | None


class Network:
    """Comparators that find the medians of adjacent windows.

    Parameters
    ----------
    size : int
        Odd length of the windows, at least 3.

    Attributes
    ----------
    count : int
        Number of medians.
    comparators : list of Comparator
        In the order in which they are applied. The values ``0`` to ``count + size - 2`` are the inputs.
    medians : list of int
        Values that are the medians of the windows that start at the inputs ``0`` to ``count - 1``.
    """

    def __init__(self, size: int) -> None:
        self.count = 2
        while 2 * self.count <= min((size + 1) // 2, _MOST_MEDIANS):
            self.count *= 2
        self._size = size
        self._values = self.count + size - 1
        self.comparators: list[Comparator] = []
        self.medians = [0] * self.count
        self._split(0, self.count, self._sort(range(self.count - 1, size)), size // 2)
        self._prune()

    def _split(self, first: int, count: int, shared: Sequence[int], rank: int) -> None:
        """Find the medians of ``count`` windows from their sorted shared values and the rank of the medians in these.

        Each window has ``count - 1`` further values, so its median is not more than that many ranks below ``rank``.
        """
        lowest = max(0, rank - (count - 1))
        shared, rank = shared[lowest : rank + 1], rank - lowest
        if count == 1:
            self.medians[first] = shared[rank]
            return
        half = count // 2
        before = self._sort(range(first + half - 1, first + count - 1))
        after = self._sort(range(first + self._size, first + half + self._size))
        self._split(first, half, self._merge(shared, before), rank)
        self._split(first + half, half, self._merge(shared, after), rank)

    def _sort(self, values: Sequence[int]) -> list[int]:
        if len(values) < 2:
            return list(values)
        half = len(values) // 2
        return self._merge(self._sort(values[:half]), self._sort(values[half:]))

    def _merge(self, one: Sequence[int], other: Sequence[int]) -> list[int]:
        """Merge sorted values by Batcher's odd-even merge (Knuth, The Art of Computer Programming 3, 5.3.4)."""
        if not one or not other:
            return [*one, *other]
        if len(one) == len(other) == 1:
            return self._compare(one[0], other[0])
        even, odd = self._merge(one[::2], other[::2]), self._merge(one[1::2], other[1::2])
        merged = even[:1]
        for low, high in zip(odd, even[1:], strict=False):
            merged += self._compare(low, high)
        pairs = min(len(odd), len(even) - 1)
        return merged + odd[pairs:] + even[1 + pairs :]

    def _compare(self, one: int, other: int) -> list[int]:
        low, high = self._values, self._values + 1
        self._values += 2
        self.comparators.append(Comparator(one, other, low, high))
        return [low, high]

    def _prune(self) -> None:
        """Leave out what no median depends on."""
        used = set(self.medians)
        kept = []
        for one, other, low, high in reversed(self.comparators):
            if low in used or high in used:
                kept.append(Comparator(one, other, low if low in used else None, high if high in used else None))
                used |= {one, other}
        self.comparators = kept[::-1]


@intrinsic(prefer_literal=True)
def _medians(typing: Any, padded: Any, out: Any, first: Any, columns: Any, size: Any) -> Any:
    """Store the medians of a network in one vector of flat matrices, from element ``first`` on.

    ``columns`` is the number of columns of both matrices, and ``size`` a literal.
    """
    network = Network(size.literal_value)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, target = (
            context.make_array(kind)(context, builder, array).data
            for kind, array in zip(signature.args[:2], arguments[:2], strict=True)
        )
        first, columns = arguments[2:4]
        vector = ir.VectorType(ir.FloatType(), VECTOR)

        def place(array: Any, row: int) -> Any:
            offset = builder.add(first, builder.mul(columns, ir.Constant(columns.type, row)))
            return builder.bitcast(builder.gep(array, [offset]), vector.as_pointer())

        values = {
            row: builder.load(place(source, row), align=4) for row in range(network.count + size.literal_value - 1)
        }
        for one, other, low, high in network.comparators:
            less = builder.fcmp_ordered("<", values[one], values[other])
            if low is not None:
                values[low] = builder.select(less, values[one], values[other])
            if high is not None:
                values[high] = builder.select(less, values[other], values[one])
        for row, median in enumerate(network.medians):
            builder.store(values[median], place(target, row), align=4)
        return context.get_dummy_value()

    return types.void(padded, out, first, columns, size), generate


@cache
def kernel(size: int) -> tuple[int, Callable[[FloatArray, FloatArray], None]]:
    """Return the fewest rows, and the function that filters columns by windows of ``size`` rows.

    Its arguments are matrices of shapes (rows + size - 1, columns) and (rows, columns), contiguous, with at least
    ``VECTOR`` columns; it fills the second one.
    """
    count = Network(size).count

    @numba.njit(cache=True, nogil=True, error_model="numpy")
    def run(padded: FloatArray, out: FloatArray) -> None:
        rows, columns = out.shape
        source, target = padded.reshape(-1), out.reshape(-1)
        for row in range(0, rows, count):
            above = min(row, rows - count) * columns
            for column in range(0, columns, VECTOR):
                first = above + min(column, columns - VECTOR)
                _medians(source, target, first, columns, size)  # pyright: ignore[reportCallIssue]

    return count, run
