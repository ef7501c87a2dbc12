"""Statistics of contrastive divergence (Hinton, Neural Computation 14(8), 2002) for a part of a batch.

Two implementations of the same arithmetic, with the same random numbers: :class:`CompiledPhases` calls compiled code on
the CPU and reuses its buffers; :func:`tensor_phases` works on any device. :class:`Threads` divides a batch among
threads, and :func:`reduced` adds up the sums of several processes. With CD-k the Gibbs chain takes k steps; with
persistent chains (Tieleman, ICML 2008) it continues from the last batch instead of starting at the data.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

from . import kernels

if TYPE_CHECKING:
    from .rbm import RBM

FloatArray = npt.NDArray[np.float32]

# Starts of the random number streams, shape (steps + 1, 3): for each Gibbs step, those of these uses.
Streams = npt.NDArray[np.uint64]
USES = ("hidden", "visible", "angle")

# Sums over the examples: gradient of the weights, of the visible and of the hidden biases; hidden probabilities given
# the data; squared reconstruction error of each visible unit.
Sums = list[Tensor]


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit BLAS to one thread: the matrices are small, and the number of threads would change the rounding."""
    # Overflow shows in the reconstruction error.
    with threadpool_limits(1), np.errstate(over="ignore", invalid="ignore"):
        yield


class CompiledPhases:
    """Both phases in compiled code, for float32 on the CPU.

    The sums that a call returns are overwritten by the next call.
    """

    def __init__(self, n_visible: int, n_hidden: int) -> None:
        self._weight = np.empty((2, n_visible, n_hidden), np.float32)
        self._visible, self._hidden = np.empty((2, n_visible), np.float32), np.empty((2, n_hidden), np.float32)
        visible, error = torch.from_numpy(self._visible)
        hidden, active = torch.from_numpy(self._hidden)
        self._sums = [torch.from_numpy(self._weight[0]), visible, hidden, active, error]
        self._states = np.empty((4, 0, n_hidden), np.float32)
        self._model = np.empty((0, n_visible), np.float32)

    def __call__(self, rbm: RBM, data: FloatArray, streams: Streams, first: int, chains: Tensor | None) -> Sums:
        """Compute the sums, as :func:`tensor_phases` does."""
        count = len(data)
        if count != len(self._model):
            self._states = np.empty((4, count, self._hidden.shape[1]), np.float32)
            self._model = np.empty((count, self._visible.shape[1]), np.float32)
        kernels.phases(
            data,
            (rbm.weight_.numpy(), rbm.visible_bias_.numpy(), rbm.hidden_bias_.numpy()),
            rbm.visible == "gaussian",
            rbm.sample_visible,
            chains is not None,
            streams,
            first,
            self._states[0] if chains is None else chains.numpy(),
            self._states[1:],
            self._model,
            self._weight,
            self._visible,
            self._hidden,
        )
        return self._sums


def tensor_phases(rbm: RBM, data: Any, streams: Streams, first: int, chains: Tensor | None) -> Sums:
    """Compute both phases in tensors, on the device of the RBM.

    Parameters
    ----------
    rbm : RBM
        The model.
    data : Tensor or ndarray, shape (n, n_visible)
        Examples.
    streams : ndarray of uint64, shape (steps + 1, 3)
        Starts of the random number streams.
    first : int
        Position of the first example in the epoch.
    chains : Tensor or None, shape (n, n_hidden)
        Hidden states of persistent chains, updated in place.

    Returns
    -------
    list of Tensor
        The sums.
    """

    def uniform(use: str, step: int, like: Tensor) -> Tensor:
        return kernels.uniform_tensor(streams[step, USES.index(use)], first, like)

    def draw(use: str, step: int, mean: Tensor) -> Tensor:
        return (uniform(use, step, mean) < mean).to(mean.dtype)

    data = torch.as_tensor(data, device=rbm.weight_.device)
    positive = rbm.transform(data)
    states = draw("hidden", 0, positive) if chains is None else chains
    model, negative = data, positive
    steps = len(streams) - 1
    for step in range(1, steps + 1):
        model = rbm.inverse_transform(states)
        if rbm.sample_visible and rbm.visible == "gaussian":
            # Box and Muller's transform.
            radius = torch.sqrt(-2.0 * torch.log1p(-uniform("visible", step, model)))
            model = model + radius * torch.cos(2.0 * math.pi * uniform("angle", step, model))
        elif rbm.sample_visible:
            model = draw("visible", step, model)
        negative = rbm.transform(model)
        if step < steps or chains is not None:
            states = draw("hidden", step, negative)
    if chains is not None:
        chains.copy_(states)
    return [
        data.T @ positive - model.T @ negative,
        data.sum(0) - model.sum(0),
        positive.sum(0) - negative.sum(0),
        positive.sum(0),
        ((data - model) ** 2).sum(0),
    ]


class Threads:
    """Threads, each of which computes the sums of a part of every batch.

    Parameters
    ----------
    make_phases : callable
        Makes the function that computes the sums of a part, such as :func:`tensor_phases`; called for each thread.
    count : int
        Number of threads.
    """

    def __init__(self, make_phases: Callable[[], Callable[..., Sums]], count: int) -> None:
        self._phases = [make_phases() for _ in range(count)]
        self._pool = ThreadPoolExecutor(count)

    def __call__(
        self,
        rbm: RBM,
        fetch: Callable[[int, int], Any],
        streams: Streams,
        first: int,
        last: int,
        chains: Tensor | None,
    ) -> Sums:
        """Compute the sums of the examples from ``first`` to ``last``; each thread fetches its own part."""
        count, parts = last - first, len(self._phases)

        def part(number: int) -> Sums:
            low, high = (first + count * place // parts for place in (number, number + 1))
            own = None if chains is None else chains[low - first : high - first]
            return self._phases[number](rbm, fetch(low, high), streams, low, own)

        sums, *others = self._pool.map(part, range(parts)) if parts > 1 else [part(0)]
        for other in others:
            for own, their in zip(sums, other, strict=True):
                own.add_(their)
        return sums


def reduced(sums: Sums, reduce: Callable[[Tensor], object]) -> Sums:
    """Add up the sums of all processes in one exchange."""
    flat = torch.cat([each.reshape(-1) for each in sums])
    reduce(flat)
    parts = flat.split([each.numel() for each in sums])
    return [part.reshape(like.shape) for part, like in zip(parts, sums, strict=True)]
