"""One machine over its epochs: order, steps, what is watched, what is kept, and when to stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

from ..errors import EmobenchError
from . import kernels
from .batches import Feed
from .distributed import Ranks
from .divergence import ContrastiveDivergence, DivergenceConfig
from .network import Layer
from .rbm import RBM

# A mean squared error that no data of unit variance have unless training runs away.
_RUNAWAY = 1e4

# Epochs that end within so many seconds of a state that was kept are not kept themselves.
_SECONDS_BETWEEN_STATES = 1.0


@dataclass
class Machine:
    """A machine that is trained.

    Attributes
    ----------
    label : str
        Its name in the log.
    rbm : RBM
        Its parameters.
    learner : ContrastiveDivergence
        What changes them.
    log : list of dict
        What was watched after each epoch.
    kept : dict
        Number of epochs to the forward weights after them.
    """

    label: str
    rbm: RBM
    learner: ContrastiveDivergence
    seed: int
    ranks: Ranks
    log: list[dict[str, float]] = field(default_factory=list)
    kept: dict[int, Layer] = field(default_factory=dict)

    @classmethod
    def create(
        cls,
        label: str,
        n_visible: int,
        n_hidden: int,
        *,
        gaussian: bool,
        config: DivergenceConfig,
        init_scale: float,
        seed: int,
        threads: int,
        ranks: Ranks,
        device: torch.device,
    ) -> Machine:
        """Start with random weights, the same on every device."""
        generator = torch.Generator().manual_seed(int(kernels.stream(seed, label, "weights") >> np.uint64(1)))
        rbm = RBM.create(n_visible, n_hidden, gaussian=gaussian, scale=init_scale, generator=generator)
        rbm = RBM(rbm.weight.to(device), rbm.visible_bias.to(device), rbm.hidden_bias.to(device), gaussian)
        learner = ContrastiveDivergence(
            rbm,
            config,
            seed=seed,
            name=label,
            threads=threads,
            reduce=ranks.reduce if ranks.size > 1 else None,
        )
        return cls(label, rbm, learner, seed, ranks)

    def _parts(self) -> dict[str, Tensor]:
        parts = {"weight": self.rbm.weight, "visible": self.rbm.visible_bias, "hidden": self.rbm.hidden_bias}
        return parts | {f"velocity {number}": part for number, part in enumerate(self.learner.velocity)}

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """All that decides how it goes on: tensors and log, by its label."""
        tensors = {f"{self.label}/{name}": part for name, part in self._parts().items()}
        if self.learner.chains is not None:
            tensors[f"{self.label}/chains {self.ranks.rank}"] = self.learner.chains
        for epochs, layer in self.kept.items():
            tensors[f"{self.label}/kept {epochs}/weight"] = layer.weight
            tensors[f"{self.label}/kept {epochs}/bias"] = layer.bias
        return tensors, {self.label: self.log}

    def restore(self, tensors: dict[str, Tensor], logs: dict[str, Any]) -> None:
        """Take up a state, if it has something of this machine."""
        if self.label not in logs:
            return
        self.log = list(logs[self.label])
        device = self.rbm.weight.device
        for name, part in self._parts().items():
            # Of a machine that was finished only what was kept is left.
            if f"{self.label}/{name}" in tensors:
                part.copy_(tensors[f"{self.label}/{name}"])
        chains = tensors.get(f"{self.label}/chains {self.ranks.rank}")
        self.learner.chains = None if chains is None else chains.to(device)
        prefix = f"{self.label}/kept "
        for name in tensors:
            if name.startswith(prefix) and name.endswith("/weight"):
                epochs = name[len(prefix) : -len("/weight")]
                weight, bias = (tensors[f"{prefix}{epochs}/{part}"].to(device) for part in ("weight", "bias"))
                self.kept[int(epochs)] = Layer(weight, bias)

    def watch(self, seen: Tensor, held_out: Tensor | None) -> dict[str, float]:
        """Mean and spread of hidden activations, norm of the weights, and the free-energy gap.

        The gap is the mean free energy of held-out examples less that of training examples: it rises when
        the machine learns the training set by heart (Hinton 2010, section 6).
        """
        hidden = self.rbm.hidden(seen)
        found = {
            "hidden_mean": hidden.mean().item(),
            "hidden_std": hidden.std(correction=0).item(),
            "weight_norm": self.rbm.weight.norm().item(),
        }
        if held_out is not None:
            gap = self.rbm.free_energy(held_out).mean() - self.rbm.free_energy(seen).mean()
            found["free_energy_gap"] = gap.item()
        return found


def train(
    machine: Machine,
    feed: Feed,
    *,
    epochs: int,
    keep: Sequence[int],
    batch: int,
    rate: Callable[[float], float],
    seen: Tensor,
    held_out: Tensor | None,
    save: Callable[[], None],
    done: Callable[[dict[str, float]], None],
) -> None:
    """Train a machine from where it is up to a number of epochs.

    Parameters
    ----------
    machine : Machine
        Changed in place.
    feed : Feed
        Its examples.
    epochs : int
        How many in all.
    keep : sequence of int
        After how many epochs forward weights are kept.
    batch : int
        Examples a step, of all processes together.
    rate : callable
        Gives the learning rate when a share of all epochs is done.
    seen, held_out : Tensor
        Training and held-out inputs by which it is watched.
    save : callable
        Keeps the state.
    done : callable
        Told of every epoch.

    Raises
    ------
    EmobenchError
        If it diverges, with the epoch and the value; the last state that was kept is from before.
    """
    learner, ranks, count = machine.learner, machine.ranks, feed.count
    saved = time.monotonic()
    with ExitStack() as stack:
        if learner.compiled:
            # The matrices are small, and the number of threads would change the rounding.
            stack.enter_context(threadpool_limits(1))
            # Training that runs away is noticed by its error.
            stack.enter_context(np.errstate(over="ignore", invalid="ignore"))
        for epoch in range(len(machine.log) + 1, epochs + 1):
            began, mean = time.perf_counter(), float("nan")
            seed = int(kernels.stream(machine.seed, machine.label, epoch, "order"))
            order = np.random.Generator(np.random.Philox(seed)).permutation(count)
            learner.begin_epoch(epoch)
            error = torch.zeros((), dtype=torch.float64, device=seen.device)
            good = {name: part.clone() for name, part in machine.state()[0].items()}
            for number, first in enumerate(range(0, count, batch)):
                last = min(first + batch, count)
                own = [first + (last - first) * part // ranks.size for part in (ranks.rank, ranks.rank + 1)]
                error += learner.step(
                    lambda low, high: feed(order[low:high]),  # noqa: B023  (called at once)
                    *own,
                    total=last - first,
                    rate=rate((epoch - 1 + first / count) / epochs),
                )
                if number % 256 == 0 or last == count:
                    mean = error.item() / (last * machine.rbm.weight.shape[0])
                    _check(machine, epoch, mean, good, save)
            seconds = time.perf_counter() - began
            entry = {"epoch": epoch, "reconstruction_error": mean, **machine.watch(seen, held_out)}
            if not np.isfinite(list(entry.values())).all():
                _check(machine, epoch, float("inf"), good, save)
            if learner.config.persistent:
                # The chains reconstruct no examples.
                again = machine.rbm.visible(machine.rbm.hidden(seen))
                entry["reconstruction_error"] = torch.mean((seen - again) ** 2).item()
            entry |= {"examples_per_second": count / seconds, "seconds": seconds}
            machine.log.append(entry)
            if epoch in keep:
                machine.kept[epoch] = Layer(machine.rbm.weight.clone(), machine.rbm.hidden_bias.clone())
            if time.monotonic() - saved > _SECONDS_BETWEEN_STATES:
                save()
                saved = time.monotonic()
            done(entry)
    learner.close()


def _check(machine: Machine, epoch: int, error: float, good: dict[str, Tensor], save: Callable[[], None]) -> None:
    """Where training runs away keep the ``good`` state before this epoch, and raise EmobenchError."""
    if np.isfinite(error) and error < _RUNAWAY and torch.isfinite(machine.rbm.weight).all():
        return
    machine.restore(good, {machine.label: machine.log})
    save()
    raise EmobenchError(
        f"{machine.label}: diverged in epoch {epoch} (reconstruction error {error:.4g}); lower the learning rate. "
        "The state before that epoch is kept."
    )
