"""Greedy pre-training: each machine on the hidden probabilities of the one below (section 5).

One run of the lowest machine gives its weights after 5, 10, 20 and 50 epochs; the machines above are
trained for as many epochs on each of these. The state is kept after every epoch: a run that ended at any
moment goes on there, and ends with the same bits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Sized
from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from ..cards.model import ModelFacts, model_card
from ..errors import InputError
from ..runtime.files import digest, plain, write_text
from ..runtime.progress import progress
from . import checkpoint
from .batches import Feed, input_statistics
from .distributed import Ranks
from .divergence import DivergenceConfig
from .domains import Domain, Examples, examples
from .network import WEIGHTS, Layer, Network, save_model
from .trainer import Machine, train

FloatArray = npt.NDArray[np.float32]

SCHEDULES = ("constant", "linear", "cosine")

# Examples by which training is watched after every epoch.
_WATCHED = 5000

# Of a layer; more would be a slip of the keyboard.
_MOST_UNITS = 100_000


class Clips(Sized, Iterable[FloatArray], Protocol):
    """Beat-synchronous features of each clip, gone through as often as wanted."""


@dataclass(frozen=True)
class PretrainingConfig:
    """Settings of pre-training, the paper's by default.

    Attributes
    ----------
    window : int
        Beats an input window, 1 to 16.
    layers : tuple of int
        Hidden units from the bottom up.
    epochs : tuple of int
        After how many epochs weights are kept.
    rate : float
        Learning rate of the summed gradient.
    schedule : {"constant", "linear", "cosine"}
        How the rate falls to 0 over the epochs of a machine.
    batch : int
        Examples a step; with a summed gradient a matter of speed.
    init_scale : float
        Standard deviation of the first weights (Hinton 2010, section 8).
    steps, persistent, sample_visible, momentum, weight_decay, sparsity_target, sparsity_cost
        As in :class:`.divergence.DivergenceConfig`.
    held_out : float
        Share of the clips kept from training to watch the free-energy gap.
    seed : int
        Of weights, order and sampling.
    """

    window: int = 4
    layers: tuple[int, ...] = (75, 50, 25)
    epochs: tuple[int, ...] = (5, 10, 20, 50)
    rate: float = 1e-5
    schedule: str = "constant"
    batch: int = 100
    init_scale: float = 0.01
    steps: int = 1
    persistent: bool = False
    sample_visible: bool = False
    momentum: float = 0.0
    weight_decay: float = 0.0
    sparsity_target: float | None = None
    sparsity_cost: float = 0.1
    held_out: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.layers or min(self.layers) < 1 or max(self.layers) > _MOST_UNITS:
            raise ValueError(f"layers={self.layers}: expected at least one, each of 1 to {_MOST_UNITS} units")
        if not self.epochs or min(self.epochs) < 1 or sorted(set(self.epochs)) != list(self.epochs):
            raise ValueError(f"epochs={self.epochs}: expected rising numbers of at least 1")
        if not self.rate > 0 or self.batch < 1 or not self.init_scale > 0 or not 0 <= self.held_out < 1:
            raise ValueError("rate, batch and init_scale must be above 0 and held_out from 0 to below 1")
        if not 0 <= self.seed < 2**63 - 1:
            raise ValueError(f"seed={self.seed}: expected a number from 0 to below {2**63 - 1}")
        if self.schedule not in SCHEDULES:
            raise ValueError(f"schedule={self.schedule!r}: expected one of {', '.join(SCHEDULES)}")
        _ = self.divergence

    @property
    def divergence(self) -> DivergenceConfig:
        """The settings of contrastive divergence among these."""
        return DivergenceConfig(**{each.name: getattr(self, each.name) for each in fields(DivergenceConfig)})


def model_folder(models: Path, domain: Domain, config: PretrainingConfig, data: str) -> Path:
    """Folder of the model that this domain, these settings and data of this digest make."""
    return models / f"{domain.name}-{digest([domain, config, data])[:12]}"


def pretrain(
    clips: Clips,
    domain: Domain,
    config: PretrainingConfig,
    *,
    folder: Path,
    provenance: dict[str, Any],
    device: torch.device,
    lengths: Sequence[int] | None = None,
    threads: int = 1,
    ranks: Ranks | None = None,
) -> None:
    """Train a deep belief network greedily and write its folder.

    Parameters
    ----------
    clips : iterable of ndarray of float32, shape (B, bands), with a length
        Beat-synchronous features of the pre-training set.
    domain : Domain
        What the network is shown.
    config : PretrainingConfig
        Settings.
    folder : Path
        Where the model goes; a model that is there already is kept as it is. What an interrupted training
        left there is gone on with.
    provenance : dict
        What the data were, for the model's config.
    device : torch.device
        Where to compute.
    lengths : sequence of int, optional
        Beats of each clip, where they are known: then no clip is held longer than it takes to read it.
    threads : int
        On the processor; each takes a part of every batch.
    ranks : Ranks, optional
        The processes that train together; this one alone by default.

    Raises
    ------
    InputError
        If the clips hold no example.
    EmobenchError
        If training diverges, with the epoch and the value.
    """
    if (folder / WEIGHTS).is_file():
        return
    nothing = InputError(
        f"{domain.name}: no clip of the pre-training set has the {domain.context + 1} beats of one example."
    )
    if not len(clips):
        raise nothing
    if ranks and ranks.size > 1 and config.persistent:
        raise InputError("persistent chains belong to one process; leave out torchrun, or --persistent.")
    order = np.random.default_rng(config.seed).permutation(len(clips))
    held = np.zeros(len(clips), bool)
    held[order[: min(round(config.held_out * len(clips)), len(clips) - 1)]] = True
    everything = examples(domain, clips, lengths=lengths)
    training, held_out = everything.of_clips(~held), everything.of_clips(held)
    if not len(training):
        raise nothing
    run = _Run(training, held_out, domain, config, folder, device, threads, ranks or Ranks())
    networks, logs = run.machines()
    if run.ranks.rank == 0:
        described = {"training": config, "examples": len(training), "device": device.type, **provenance}
        log = {"machines": logs}
        facts = ModelFacts(
            name=folder.name,
            domain=domain.name,
            window=domain.window,
            layers=config.layers,
            epochs=(0, *config.epochs),
            examples=len(training),
            data=str(provenance.get("data", "unknown")),
            settings=plain(config),
            log=log,
            data_sha256=provenance.get("manifest_sha256") or provenance.get("clips_sha256"),
        )
        write_text(folder / "README.md", model_card(facts))
        save_model(folder, domain=domain, config=described, networks=networks, log=log)
        checkpoint.remove(folder)
    run.ranks.wait()


class _Run:
    """Trains the machines one after another."""

    def __init__(
        self,
        training: Examples,
        held_out: Examples,
        domain: Domain,
        config: PretrainingConfig,
        folder: Path,
        device: torch.device,
        threads: int,
        ranks: Ranks,
    ) -> None:
        self.training, self.held_out, self.domain, self.config = training, held_out, domain, config
        self.folder, self.device, self.threads, self.ranks = folder, device, threads, ranks
        statistics = input_statistics(training)
        if not np.isfinite(statistics).all():
            raise InputError(f"{domain.name}: features of the pre-training set hold numbers that are not finite.")
        self.mean, self.scale = (torch.from_numpy(part).to(device) for part in statistics)
        self.state = checkpoint.load(folder)
        # Where nothing is left to train, the first would write the model and remove the state before others read it.
        ranks.wait()
        self.finished: dict[str, tuple[list[dict[str, float]], dict[int, Layer]]] = {}
        last = max(config.epochs)
        self.bar = progress(
            description=f"pre-training {domain.name}",
            unit="epoch",
            total=last + (len(config.layers) - 1) * sum(config.epochs),
            disable=ranks.rank > 0,
        )

    def machines(self) -> tuple[dict[int, Network], dict[str, list[dict[str, float]]]]:
        """Networks after each number of epochs, and the log of each machine."""
        config = self.config
        networks = {0: Network(self.mean, self.scale, _random_layers(self.training.dims, config, self.device))}
        with self.bar:
            kept = self._machine("layer 0", [], max(config.epochs), config.epochs)
            for epochs in config.epochs:
                layers = [kept[epochs]]
                for number in range(1, len(config.layers)):
                    label = f"layer {number} on {epochs} epochs"
                    layers.append(self._machine(label, layers, epochs, (epochs,))[epochs])
                networks[epochs] = Network(self.mean, self.scale, tuple(layers))
        return networks, {label: log for label, (log, _) in self.finished.items()}

    def _machine(self, label: str, below: list[Layer], epochs: int, keep: Sequence[int]) -> dict[int, Layer]:
        """Layers of one machine after each number of epochs to keep."""
        config = self.config
        compiled = self.device.type == "cpu"

        def feed(data: Examples) -> Feed:
            return Feed(data, self.mean, self.scale, list(below), compiled=compiled)

        source = feed(self.training)
        machine = Machine.create(
            label,
            config.layers[len(below) - 1] if below else self.training.dims,
            config.layers[len(below)],
            gaussian=not below,
            config=config.divergence,
            init_scale=config.init_scale,
            seed=config.seed,
            threads=self.threads,
            ranks=self.ranks,
            device=self.device,
        )
        if self.state is not None:
            machine.restore(*self.state)
        self.bar.update(len(machine.log))
        watched = np.arange(min(_WATCHED, source.count))
        held = np.arange(min(_WATCHED, len(self.held_out)))

        def done(epoch: dict[str, float]) -> None:
            self.bar.set_postfix_str(f"{label}, error {epoch['reconstruction_error']:.4f}", refresh=False)
            self.bar.update()

        train(
            machine,
            source,
            epochs=epochs,
            keep=keep,
            batch=config.batch,
            rate=lambda step: config.rate * _schedule(config.schedule, step),
            seen=source.tensor(watched),
            held_out=feed(self.held_out).tensor(held) if len(held) else None,
            save=lambda: self._save(machine),
            done=done,
        )
        self.finished[label] = machine.log, machine.kept
        return machine.kept

    def _save(self, machine: Machine) -> None:
        """Keep the state of all machines, finished or not."""
        if self.ranks.rank > 0:
            return
        tensors, logs = machine.state()
        for label, (log, kept) in self.finished.items():
            logs[label] = log
            for epochs, layer in kept.items():
                tensors[f"{label}/kept {epochs}/weight"], tensors[f"{label}/kept {epochs}/bias"] = (
                    layer.weight,
                    layer.bias,
                )
        checkpoint.save(self.folder, tensors, logs)


def _schedule(name: str, done: float) -> float:
    """Share of the rate when a share of the training is done."""
    if name == "linear":
        return 1.0 - done
    if name == "cosine":
        return 0.5 * (1.0 + float(np.cos(np.pi * done)))
    return 1.0


def _random_layers(dims: int, config: PretrainingConfig, device: torch.device) -> tuple[Layer, ...]:
    """Layers that were never trained: the control, scaled as Glorot and Bengio (2010)."""
    generator = torch.Generator().manual_seed(config.seed + 1)
    widths = [dims, *config.layers]
    layers = []
    for below, above in pairwise(widths):
        bound = (6.0 / (below + above)) ** 0.5
        weight = (torch.rand(below, above, generator=generator) * 2 - 1) * bound
        layers.append(Layer(weight.to(device), torch.zeros(above, device=device)))
    return tuple(layers)
