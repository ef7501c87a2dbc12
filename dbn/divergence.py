"""Contrastive divergence (Hinton, Neural Computation 14(8), 2002), the gradient summed over the batch.

Also with more steps of Gibbs sampling (CD-k), and with chains that persist from batch to batch (Tieleman, ICML
2008). On the processor a step is one call of compiled code: five matrix products, and a few passes over buffers
that are used again; on a GPU the same arithmetic in tensors, with the same random numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from . import kernels
from .rbm import RBM

FloatArray = npt.NDArray[np.float32]

# Where the random numbers of each Gibbs step begin, shape (steps + 1, 3): of hidden units, visible ones, and angles.
_Streams = npt.NDArray[np.uint64]
_USES = ("hidden", "visible", "angle")


# Beyond them float32 ends, the second times a number of examples.
_LARGEST, _LARGEST_COST = 1e38, 1e30


@dataclass(frozen=True)
class DivergenceConfig:
    """Settings of contrastive divergence, the paper's by default.

    Attributes
    ----------
    rate : float
        Learning rate of the summed gradient.
    steps : int
        Steps of Gibbs sampling (CD-k).
    persistent : bool
        Whether the chains go on from batch to batch, instead of beginning at the data.
    sample_visible : bool
        Draw reconstructions instead of taking their mean (Hinton 2010, section 3.2, advises the mean).
    momentum : float
        Share of the last change that is added to the next (Hinton 2010, section 9).
    weight_decay : float
        Of the squared weights, for each example (Hinton 2010, section 10).
    sparsity_target : float, optional
        Mean activation towards which the hidden biases are drawn (Lee, Ekanadham and Ng, NIPS 2007).
    sparsity_cost : float
        How strongly, for each example.
    """

    rate: float = 1e-5
    steps: int = 1
    persistent: bool = False
    sample_visible: bool = False
    momentum: float = 0.0
    weight_decay: float = 0.0
    sparsity_target: float | None = None
    sparsity_cost: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.rate <= _LARGEST or self.steps < 1:
            raise ValueError(f"rate={self.rate}, steps={self.steps}: expected a rate above 0 and at least 1 step")
        if not 0 <= self.momentum < 1 or not 0 <= self.weight_decay <= _LARGEST_COST:
            raise ValueError(
                f"momentum={self.momentum}, weight_decay={self.weight_decay}: expected from 0 to below 1, and from 0 on"
            )
        if self.sparsity_target is not None and not 0 < self.sparsity_target < 1:
            raise ValueError(f"sparsity_target={self.sparsity_target}: expected a number between 0 and 1")
        if not 0 <= self.sparsity_cost <= _LARGEST_COST:
            raise ValueError(f"sparsity_cost={self.sparsity_cost}: expected a number from 0 on")


class _Statistics(Protocol):
    """Both phases for a part of a batch.

    ``weight``, ``visible`` and ``hidden`` are the sums of the gradient, ``active`` that of the hidden probabilities
    on the data, ``error`` the squared error of the reconstruction of each visible unit. ``chains`` (n, n_hidden) are
    the hidden states that persist.
    """

    weight: Tensor
    visible: Tensor
    hidden: Tensor
    active: Tensor
    error: Tensor

    def __call__(self, data: Any, first: int, chains: Tensor | None) -> None: ...


class _CompiledStatistics:
    """On the processor: BLAS and compiled passes."""

    def __init__(self, machine: RBM, config: DivergenceConfig, streams: Callable[[], _Streams]) -> None:
        self._config, self._streams, self._gaussian = config, streams, machine.gaussian
        self._parameters = (machine.weight.numpy(), machine.visible_bias.numpy(), machine.hidden_bias.numpy())
        n_visible, n_hidden = machine.weight.shape
        self._weight = np.empty((2, n_visible, n_hidden), np.float32)
        self._visible, self._hidden = np.empty((2, n_visible), np.float32), np.empty((2, n_hidden), np.float32)
        self.weight = torch.from_numpy(self._weight[0])
        self.visible, self.error = torch.from_numpy(self._visible)
        self.hidden, self.active = torch.from_numpy(self._hidden)
        self._rows = -1

    def _room(self, rows: int) -> None:
        if rows != self._rows:
            self._rows = rows
            self._states, *_ = self._room_hidden = np.empty((4, rows, self._hidden.shape[1]), np.float32)
            self._model = np.empty((rows, self._visible.shape[1]), np.float32)

    def __call__(self, data: FloatArray, first: int, chains: Tensor | None) -> None:
        self._room(len(data))
        kernels.phases(
            data,
            self._parameters,
            self._gaussian,
            self._config.sample_visible,
            chains is not None,
            self._streams(),
            first,
            self._states if chains is None else chains.numpy(),
            self._room_hidden[1:],
            self._model,
            self._weight,
            self._visible,
            self._hidden,
        )


class _TensorStatistics:
    """On any device, in tensors."""

    def __init__(self, machine: RBM, config: DivergenceConfig, streams: Callable[[], _Streams]) -> None:
        self._machine, self._config, self._streams = machine, config, streams

    def _uniforms(self, use: str, step: int, first: int, like: Tensor) -> Tensor:
        return kernels.uniform_tensor(self._streams()[step, _USES.index(use)], first, like)

    def _draw(self, use: str, step: int, first: int, mean: Tensor) -> Tensor:
        return (self._uniforms(use, step, first, mean) < mean).to(mean.dtype)

    def __call__(self, data: Tensor, first: int, chains: Tensor | None) -> None:
        machine, config = self._machine, self._config
        positive = machine.hidden(data)
        states = self._draw("hidden", 0, first, positive) if chains is None else chains
        model, negative = data, positive
        for step in range(1, config.steps + 1):
            model = machine.visible(states)
            if config.sample_visible and machine.gaussian:
                uniform = self._uniforms("visible", step, first, model)
                angle = self._uniforms("angle", step, first, model)
                model = model + torch.sqrt(-2.0 * torch.log1p(-uniform)) * torch.cos(2.0 * np.pi * angle)
            elif config.sample_visible:
                model = self._draw("visible", step, first, model)
            negative = machine.hidden(model)
            if step < config.steps or chains is not None:
                states = self._draw("hidden", step, first, negative)
        if chains is not None:
            chains.copy_(states)
        self.weight = data.T @ positive - model.T @ negative
        self.visible = data.sum(0) - model.sum(0)
        self.hidden, self.active = positive.sum(0) - negative.sum(0), positive.sum(0)
        self.error = ((data - model) ** 2).sum(0)


class ContrastiveDivergence:
    """Trains one machine, changed in place.

    Parameters
    ----------
    machine : RBM
        In float32 on the processor it is trained by compiled code, else by tensors.
    config : DivergenceConfig
        Settings.
    seed : int
        Of all samples.
    name : str
        Tells the samples of this machine from those of others.
    threads : int
        Each takes a part of every batch; on the processor only.
    reduce : callable, optional
        Sums a tensor over processes, in place; each of them has a part of every batch.
    compiled : bool, optional
        Whether to use compiled code; by default where that is possible.

    Attributes
    ----------
    velocity : list of Tensor
        Last changes of weights, visible and hidden biases.
    chains : Tensor or None
        Hidden states that persist, one row for each example of a full batch.
    """

    def __init__(
        self,
        machine: RBM,
        config: DivergenceConfig,
        *,
        seed: int,
        name: str = "",
        threads: int = 1,
        reduce: Callable[[Tensor], object] | None = None,
        compiled: bool | None = None,
    ) -> None:
        self.machine = machine
        self.config = config
        self.velocity = [torch.zeros_like(part) for part in self._parameters]
        self.chains: Tensor | None = None
        self._seed, self._name, self._reduce = seed, name, reduce
        self.begin_epoch(0)
        able = machine.weight.device.type == "cpu" and machine.weight.dtype == torch.float32
        self.compiled = able if compiled is None else compiled
        kind = _CompiledStatistics if self.compiled else _TensorStatistics
        self._parts: list[_Statistics] = [kind(machine, config, lambda: self._streams) for _ in range(threads)]
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None

    @property
    def _parameters(self) -> list[Tensor]:
        return [self.machine.weight, self.machine.visible_bias, self.machine.hidden_bias]

    def begin_epoch(self, epoch: int) -> None:
        """Take the random numbers of another epoch."""
        self._epoch = epoch
        self._streams = np.array(
            [[self._stream(f"{use} {step}") for use in _USES] for step in range(self.config.steps + 1)]
        )

    def _stream(self, use: str) -> np.uint64:
        return kernels.stream(self._seed, self._name, self._epoch, use)

    def step(
        self, fetch: Callable[[int, int], Any], first: int, last: int, *, total: int = 0, rate: float | None = None
    ) -> Tensor:
        """Take one step up the approximate gradient.

        Parameters
        ----------
        fetch : callable
            Gives the examples from one place of the epoch up to another, float32 (n, n_visible): an array where
            the machine is trained by compiled code, else a tensor.
        first, last : int
            Places of this process's part of the batch in the epoch.
        total : int
            Examples of the batch in all processes; by default those from ``first`` to ``last``.
        rate : float
            Learning rate of this step; by default the configured one.

        Returns
        -------
        Tensor
            Squared error of the reconstruction, summed over units and examples, of all processes.
        """
        if self.config.persistent and self.chains is None:
            self.chains = self._first_chains(fetch, first, last)

        count, parts = last - first, len(self._parts)

        def part(number: int) -> None:
            low, high = first + count * number // parts, first + count * (number + 1) // parts
            chains = None if self.chains is None else self.chains[low - first : high - first]
            self._parts[number](fetch(low, high), low, chains)

        if self._pool:
            list(self._pool.map(part, range(parts)))
        else:
            part(0)
        sums = [[each.weight, each.visible, each.hidden, each.active, each.error] for each in self._parts]
        for others in sums[1:]:
            for mine, theirs in zip(sums[0], others, strict=True):
                mine.add_(theirs)
        *gradient, active, error = self._reduced(sums[0]) if self._reduce else sums[0]
        self._apply(gradient, active, total or count, self.config.rate if rate is None else rate)
        return error.sum()

    def _reduced(self, sums: list[Tensor]) -> list[Tensor]:
        """The sums over all processes, which meet once."""
        assert self._reduce
        flat = torch.cat([each.reshape(-1) for each in sums])
        self._reduce(flat)
        parts = flat.split([each.numel() for each in sums])
        return [part.reshape(like.shape) for part, like in zip(parts, sums, strict=True)]

    def _first_chains(self, fetch: Callable[[int, int], Any], first: int, last: int) -> Tensor:
        data = torch.as_tensor(fetch(first, last))
        hidden = self.machine.hidden(data)
        return (kernels.uniform_tensor(self._stream("chains"), first, hidden) < hidden).to(hidden.dtype)

    def _apply(self, gradient: list[Tensor], active: Tensor, count: int, rate: float) -> None:
        config = self.config
        if config.weight_decay:
            gradient[0].add_(self.machine.weight, alpha=-config.weight_decay * count)
        if config.sparsity_target is not None:
            gradient[2].add_(count * config.sparsity_target - active, alpha=config.sparsity_cost)
        for parameter, change, velocity in zip(self._parameters, gradient, self.velocity, strict=True):
            if config.momentum:
                velocity.mul_(config.momentum).add_(change, alpha=rate)
                parameter.add_(velocity)
            else:
                parameter.add_(change, alpha=rate)

    def close(self) -> None:
        """End the threads."""
        if self._pool:
            self._pool.shutdown()
