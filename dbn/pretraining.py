"""Pre-training of a deep belief network without labels (Schmidt and Kim 2013, section 5)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Sized
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from ..cards.model import ModelFacts, model_card
from ..errors import InputError
from ..runtime.files import plain, write_text
from . import checkpoint
from .config import PretrainingConfig
from .distributed import ProcessGroup
from .domains import Domain, examples
from .model import WEIGHTS, save_model


class Clips(Sized, Iterable[npt.NDArray[np.float32]], Protocol):
    """Beat-synchronous features of each clip, in an iterable that can be iterated more than once."""


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
