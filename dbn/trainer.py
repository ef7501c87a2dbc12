"""Greedy training of a deep belief network: a loop over RBMs, each on the hidden probabilities of the one below.

One run of the lowest RBM yields its weights after each number of epochs, by default 5, 10, 20 and 50; the RBMs above
are trained for as many epochs on each of these. A checkpoint follows every epoch: an interrupted training continues
there and ends with the same bits.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..runtime.progress import progress
from . import checkpoint
from .batches import Batches, normalisation
from .distributed import ProcessGroup
from .divergence import one_thread
from .domains import Examples
from .network import Layer, Network, layer_tensors, layers_in
from .pretraining import PretrainingConfig
from .rbm import RBM, DivergedError

# Examples on which the quantities in the log are computed after every epoch.
_WATCHED = 5000

# Epochs that end sooner after a checkpoint write none.
_SECONDS_BETWEEN_CHECKPOINTS = 1.0

# Prefix of the state of the RBM in training.
_TRAINING = "training."


class Trainer:
    """Trains the RBMs of a deep belief network one after another.

    Parameters
    ----------
    training, held_out : Examples
        Training examples, and those of the clips that only the free-energy gap sees.
    config : PretrainingConfig
        Settings.
    title : str
        Name in messages and the progress bar.
    folder : Path
        Folder of the checkpoint.
    device : torch.device
        Device.
    threads : int
        Threads per process; on the CPU only.
    group : ProcessGroup
        Processes that train together.

    Attributes
    ----------
    logs : dict
        For each RBM, by its name, what was measured after each epoch.
    layers : dict
        Forward weights by epochs and number of the layer.

    Raises
    ------
    InputError
        If the examples are not finite.
    """

    def __init__(
        self,
        training: Examples,
        held_out: Examples,
        config: PretrainingConfig,
        *,
        title: str,
        folder: Path,
        device: torch.device,
        threads: int,
        group: ProcessGroup,
    ) -> None:
        self.training, self.held_out, self.config = training, held_out, config
        self.folder, self.device, self.threads, self.group = folder, device, threads, group
        self.mean, self.scale = normalisation(training, title, device)
        tensors, facts = checkpoint.load(folder) or ({}, {})
        self.logs: dict[str, list[dict[str, float]]] = facts.get("logs", {})
        self.layers = {place: layer.to(device) for place, layer in layers_in(tensors).items()}
        self._interrupted = facts.get("training")
        self._state = {name[len(_TRAINING) :]: part for name, part in tensors.items() if name.startswith(_TRAINING)}
        # If nothing is left to train, the first process would remove the checkpoint before the others have read it.
        group.wait()
        self._progress = progress(
            description=f"pre-training {title}",
            unit="epoch",
            total=max(config.epochs) + (len(config.layers) - 1) * sum(config.epochs),
            disable=group.rank > 0,
        )

    def train(self) -> dict[int, Network]:
        """Train all RBMs.

        Returns
        -------
        dict
            Number of epochs to the network after them; 0 is the control, random weights.

        Raises
        ------
        DivergedError
            If training diverges. The checkpoint keeps the state before that epoch.
        """
        config = self.config
        networks = {0: Network(self.mean, self.scale, random_layers(self.training.dims, config, self.device))}
        with self._progress:
            self._train_rbm("layer 0", [], max(config.epochs), keep=config.epochs)
            for epochs in config.epochs:
                layers = [self.layers[epochs, 0]]
                for number in range(1, len(config.layers)):
                    self._train_rbm(f"layer {number} on {epochs} epochs", layers, epochs, keep=(epochs,))
                    layers.append(self.layers[epochs, number])
                networks[epochs] = Network(self.mean, self.scale, tuple(layers))
        return networks

    def _train_rbm(self, name: str, below: Sequence[Layer], epochs: int, *, keep: Sequence[int]) -> None:
        """Train one RBM on top of other layers, and keep its forward weights after some numbers of epochs."""
        log = self.logs.setdefault(name, [])
        self._progress.update(len(log))
        if len(log) == epochs:
            return
        number = len(below)
        rbm = self._rbm(name, number, epochs).initialize(below[-1].bias.shape[0] if below else self.training.dims)
        if self._interrupted == name:
            rbm.load_state(self._state, len(log))
        batches = Batches(self.training, self.mean, self.scale, below)
        seen = batches.tensor(np.arange(min(_WATCHED, batches.count)))
        held_out = None
        if len(self.held_out):
            inputs = Batches(self.held_out, self.mean, self.scale, below)
            held_out = inputs.tensor(np.arange(min(_WATCHED, inputs.count)))
        saved = time.monotonic()
        with one_thread():
            while rbm.n_iter_ < epochs:
                before = {name: part.clone() for name, part in rbm.state().items()}
                began = time.perf_counter()
                try:
                    error = rbm.fit_epoch(batches, self.group)
                    seconds = time.perf_counter() - began
                    entry = {"epoch": rbm.n_iter_, "reconstruction_error": error, **measure(rbm, seen, held_out)}
                    if not np.isfinite(list(entry.values())).all():
                        raise DivergedError.at(rbm.name, rbm.n_iter_, float("inf"))
                except DivergedError as diverged:
                    rbm.load_state(before, len(log))
                    self._save(rbm)
                    raise DivergedError(f"{diverged} The checkpoint keeps the state before that epoch.") from diverged
                log.append(entry | {"examples_per_second": batches.count / seconds, "seconds": seconds})
                if rbm.n_iter_ in keep:
                    self.layers[rbm.n_iter_, number] = Layer(rbm.weight_.clone(), rbm.hidden_bias_.clone())
                if time.monotonic() - saved > _SECONDS_BETWEEN_CHECKPOINTS:
                    self._save(rbm)
                    saved = time.monotonic()
                self._progress.set_postfix_str(f"{name}, error {entry['reconstruction_error']:.4f}", refresh=False)
                self._progress.update()

    def _rbm(self, name: str, number: int, epochs: int) -> RBM:
        config = self.config
        return RBM(
            config.layers[number],
            visible="binary" if number else "gaussian",
            learning_rate=config.rate,
            schedule=config.schedule,
            batch_size=config.batch,
            n_iter=epochs,
            n_gibbs=config.steps,
            persistent=config.persistent,
            sample_visible=config.sample_visible,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
            sparsity_target=config.sparsity_target,
            sparsity_cost=config.sparsity_cost,
            init_scale=config.init_scale,
            n_threads=self.threads,
            device=self.device,
            random_state=config.seed,
            name=name,
        )

    def _save(self, rbm: RBM) -> None:
        if self.group.rank > 0:
            return
        training = {_TRAINING + name: part for name, part in rbm.state().items()}
        facts = {"training": rbm.name, "logs": self.logs}
        checkpoint.save(self.folder, layer_tensors(self.layers) | training, facts)


def measure(rbm: RBM, seen: Tensor, held_out: Tensor | None) -> dict[str, float]:
    """Measure an RBM after an epoch.

    Parameters
    ----------
    rbm : RBM
        The RBM.
    seen, held_out : Tensor, shape (n, n_visible)
        Training inputs, and held-out ones if there are any.

    Returns
    -------
    dict
        Mean and standard deviation of the hidden probabilities, the norm of the weights, and with held-out inputs the
        free-energy gap: their mean free energy minus that of the training inputs. It rises when the RBM overfits
        (Hinton 2010, section 6). With persistent chains, which reconstruct no examples, also the reconstruction error.
    """
    hidden = rbm.transform(seen)
    found = {
        "hidden_mean": hidden.mean().item(),
        "hidden_std": hidden.std(correction=0).item(),
        "weight_norm": rbm.weight_.norm().item(),
    }
    if held_out is not None:
        found["free_energy_gap"] = (rbm.free_energy(held_out).mean() - rbm.free_energy(seen).mean()).item()
    if rbm.persistent:
        found["reconstruction_error"] = torch.mean((seen - rbm.reconstruct(seen)) ** 2).item()
    return found


def random_layers(dims: int, config: PretrainingConfig, device: torch.device) -> tuple[Layer, ...]:
    """Draw the layers of the control, which are never trained; scaled as by Glorot and Bengio (2010)."""
    generator = torch.Generator().manual_seed(config.seed + 1)
    layers = []
    for below, above in pairwise([dims, *config.layers]):
        bound = (6.0 / (below + above)) ** 0.5
        weight = (torch.rand(below, above, generator=generator) * 2 - 1) * bound
        layers.append(Layer(weight.to(device), torch.zeros(above, device=device)))
    return tuple(layers)
