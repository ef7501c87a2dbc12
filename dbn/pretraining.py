"""Pre-training of a deep belief network without labels (Schmidt and Kim 2013, section 5)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from ..cards.model import ModelFacts, model_card
from ..errors import InputError
from ..runtime.files import digest, plain, write_text
from . import checkpoint
from .distributed import ProcessGroup
from .domains import Domain, examples
from .network import WEIGHTS, save_model
from .parameters import check_ranges


class Clips(Sized, Iterable[npt.NDArray[np.float32]], Protocol):
    """Beat-synchronous features of each clip, in an iterable that can be iterated more than once."""


@dataclass(frozen=True)
class PretrainingConfig:
    """Settings of pre-training. The defaults are the paper's.

    Attributes
    ----------
    window : int
        Beats per input window, 1 to 16.
    layers : tuple of int
        Hidden units of each layer, from the bottom up.
    epochs : tuple of int
        Numbers of epochs after which weights are kept.
    rate : float
        Learning rate of the gradient summed over a batch.
    schedule : {"constant", "linear", "cosine"}
        Decay of the learning rate to 0 over the epochs of an RBM.
    batch : int
        Examples per batch. As the gradient is summed, mostly a matter of speed.
    init_scale : float
        Standard deviation of the initial weights (Hinton 2010, section 8).
    steps : int
        Steps of Gibbs sampling (CD-k).
    persistent, sample_visible, momentum, weight_decay, sparsity_target, sparsity_cost
        As in :class:`.rbm.RBM`.
    held_out : float
        Fraction of the clips that is not trained on, for the free-energy gap.
    seed : int
        Seed of the weights, the order of the examples and the samples.
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
        check_ranges(vars(self))
        if not 0 <= self.seed < 2**63 - 1:
            raise ValueError(f"`seed` {self.seed}: expected a whole number from 0 to below {2**63 - 1}.")


def model_folder(models: Path, domain: Domain, config: PretrainingConfig, data: str) -> Path:
    """Return the folder of the model of a domain with these settings, trained on data with this digest."""
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
    group: ProcessGroup | None = None,
) -> None:
    """Train a deep belief network greedily and write its folder.

    An existing model is kept, and a checkpoint of an interrupted training is continued.

    Parameters
    ----------
    clips : iterable of ndarray of float32, shape (B, bands), with a length
        Beat-synchronous features of the pre-training set.
    domain : Domain
        Input of the network.
    config : PretrainingConfig
        Settings.
    folder : Path
        Folder of the model.
    provenance : dict
        Description of the data, for the configuration of the model.
    device : torch.device
        Device.
    lengths : sequence of int, optional
        Beats of each clip. With these the clips are read one by one and not held in memory.
    threads : int
        Threads, each of which computes a part of every batch. On the CPU only.
    group : ProcessGroup, optional
        Processes that train together.

    Raises
    ------
    InputError
        If the clips contain no example.
    EmobenchError
        If training diverges.
    """
    # Imports scikit-learn, which takes longer than reading a model.
    from .trainer import Trainer

    if (folder / WEIGHTS).is_file():
        return
    group = group or ProcessGroup()
    too_short = InputError(
        f"{domain.name}: no clip of the pre-training set has the {domain.context + 1} beats of one example."
    )
    if not len(clips):
        raise too_short
    if group.size > 1 and config.persistent:
        raise InputError("`persistent` chains need a single process; run without torchrun or without `persistent`.")
    order = np.random.default_rng(config.seed).permutation(len(clips))
    held = np.zeros(len(clips), bool)
    held[order[: min(round(config.held_out * len(clips)), len(clips) - 1)]] = True
    everything = examples(domain, clips, lengths=lengths)
    training, held_out = everything.of_clips(~held), everything.of_clips(held)
    if not len(training):
        raise too_short
    trainer = Trainer(
        training, held_out, config, title=domain.name, folder=folder, device=device, threads=threads, group=group
    )
    networks = trainer.train()
    if group.rank == 0:
        described = {"training": config, "examples": len(training), "device": device.type, **provenance}
        log = {"rbms": trainer.logs}
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
    group.wait()
