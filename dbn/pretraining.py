"""Greedy pre-training: each machine on the hidden probabilities of the one below (section 5).

One run of the lowest machine gives its weights after 5, 10, 20 and 50 epochs; the machines above are
trained for as many epochs on each of these.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from tqdm import tqdm

from ..errors import EmobenchError, InputError
from ..files import digest
from ..parallel import bars_wanted
from .domains import Domain, Examples, examples
from .network import WEIGHTS, Layer, Network, save_model
from .rbm import RBM, ContrastiveDivergence

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class PretrainingConfig:
    """Settings of pre-training, the paper's by default.

    Attributes
    ----------
    window : int
        Beats an input window.
    layers : tuple of int
        Hidden units from the bottom up.
    epochs : tuple of int
        After how many epochs weights are kept.
    rate : float
        Learning rate of the summed gradient.
    batch : int
        Examples a step; with a summed gradient a matter of speed.
    init_scale : float
        Standard deviation of the first weights (Hinton 2010, section 8).
    sample_visible : bool
        Draw reconstructions instead of taking their mean.
    held_out : float
        Share of the clips kept from training to watch the free-energy gap.
    seed : int
        Of weights, order and sampling.
    """

    window: int = 4
    layers: tuple[int, ...] = (75, 50, 25)
    epochs: tuple[int, ...] = (5, 10, 20, 50)
    rate: float = 1e-5
    batch: int = 100
    init_scale: float = 0.01
    sample_visible: bool = False
    held_out: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.layers or min(self.layers) < 1:
            raise ValueError(f"layers={self.layers}: expected at least one, each of at least one unit")
        if not self.epochs or min(self.epochs) < 1 or sorted(set(self.epochs)) != list(self.epochs):
            raise ValueError(f"epochs={self.epochs}: expected rising numbers of at least 1")
        if not self.rate > 0 or self.batch < 1 or not self.init_scale > 0 or not 0 <= self.held_out < 1:
            raise ValueError("rate, batch and init_scale must be above 0 and held_out from 0 to below 1")


def model_folder(models: Path, domain: Domain, config: PretrainingConfig, data: str) -> Path:
    """Folder of the model that this domain, these settings and data of this digest make."""
    return models / f"{domain.name}-{digest([domain, config, data])[:12]}"


def input_statistics(data: Examples) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation of each input dimension over all examples, shapes (dims,).

    A dimension that never changes gets the scale 1.
    """
    means, scales = [], []
    for position in range(data.window):
        rows = data.rows[data.starts + position]
        means.append(rows.mean(axis=0, dtype=np.float64))
        scales.append(rows.std(axis=0, dtype=np.float64))
    scale = np.concatenate(scales)
    return np.concatenate(means).astype(np.float32), np.where(scale > 1e-8, scale, 1.0).astype(np.float32)


def pretrain(
    clips: Sequence[FloatArray],
    domain: Domain,
    config: PretrainingConfig,
    *,
    folder: Path,
    provenance: dict[str, Any],
    device: torch.device,
) -> None:
    """Train a deep belief network greedily and write its folder.

    Parameters
    ----------
    clips : sequence of ndarray of float32, shape (B, bands)
        Beat-synchronous features of the pre-training set.
    domain : Domain
        What the network is shown.
    config : PretrainingConfig
        Settings.
    folder : Path
        Where the model goes; a model that is there already is kept as it is.
    provenance : dict
        What the data were, for the model's config.
    device : torch.device
        Where to compute.

    Raises
    ------
    InputError
        If the clips hold no example.
    EmobenchError
        If training diverges, with the epoch.
    """
    if (folder / WEIGHTS).is_file():
        return
    nothing = InputError(
        f"{domain.name}: no clip of the pre-training set has the {domain.context + 1} beats of one example."
    )
    if not clips:
        raise nothing
    order = np.random.default_rng(config.seed).permutation(len(clips))
    held = set(order[: min(round(config.held_out * len(clips)), len(clips) - 1)].tolist())
    training = examples(domain, [clip for number, clip in enumerate(clips) if number not in held])
    if len(training) == 0:
        raise nothing
    held_out = examples(domain, [clips[number] for number in sorted(held)]) if held else None
    mean, scale = (torch.from_numpy(part).to(device) for part in input_statistics(training))
    inputs = _Inputs(training, mean, scale)
    watched = _Inputs(held_out, mean, scale).block(0, 5000) if held_out is not None and len(held_out) else None
    generator = torch.Generator(device=device).manual_seed(config.seed)
    last = max(config.epochs)
    total = last + (len(config.layers) - 1) * sum(config.epochs)
    with tqdm(total=total, desc=f"pre-training {domain.name}", unit="epoch", disable=not bars_wanted()) as bar:
        control = _random_layers(training.dims, config, device)
        networks = {0: Network(mean, scale, control)}
        bottom, kept = _train(
            inputs.batch,
            len(training),
            watched,
            training.dims,
            config.layers[0],
            True,
            config,
            last,
            generator,
            "layer 0",
            bar.update,
        )
        logs = {"layer 0": bottom}
        for epochs in config.epochs:
            layers = [kept[epochs]]
            below, watched_below = inputs, watched
            for number, width in enumerate(config.layers[1:], start=1):
                below = _Stored(below, len(training), layers[-1])
                watched_below = layers[-1](watched_below) if watched_below is not None else None
                label = f"layer {number} on {epochs} epochs"
                above, kept_above = _train(
                    below.batch,
                    len(training),
                    watched_below,
                    config.layers[number - 1],
                    width,
                    False,
                    config,
                    epochs,
                    generator,
                    label,
                    bar.update,
                )
                logs[label] = above
                layers.append(kept_above[epochs])
            networks[epochs] = Network(mean, scale, tuple(layers))
    save_model(
        folder,
        domain=domain,
        config={"training": config, "examples": len(training), "device": device.type, **provenance},
        networks=networks,
        log={"machines": logs},
    )


class _Inputs:
    """Examples on the device, normalised as they are taken."""

    def __init__(self, data: Examples, mean: Tensor, scale: Tensor) -> None:
        rows = torch.from_numpy(data.rows).to(mean.device)
        width = rows.shape[1]
        self._views = rows.as_strided((max(len(rows) - data.window + 1, 0), data.dims), (width, 1))
        self._starts = torch.from_numpy(data.starts).to(mean.device)
        self._mean, self._rate = mean, 1.0 / scale

    def batch(self, chosen: Tensor) -> Tensor:
        return self._views.index_select(0, self._starts[chosen]).sub_(self._mean).mul_(self._rate)

    def block(self, first: int, last: int) -> Tensor:
        last = min(last, len(self._starts))
        return self.batch(torch.arange(first, last, device=self._starts.device))


class _Stored:
    """Activations of a layer over all examples, computed once in blocks."""

    def __init__(self, below: _Inputs | _Stored, count: int, layer: Layer) -> None:
        self._values = torch.cat([layer(below.block(first, first + 8192)) for first in range(0, count, 8192)])

    def batch(self, chosen: Tensor) -> Tensor:
        return self._values.index_select(0, chosen)

    def block(self, first: int, last: int) -> Tensor:
        return self._values[first:last]


def _random_layers(dims: int, config: PretrainingConfig, device: torch.device) -> tuple[Layer, ...]:
    """Layers that were never trained: the control, scaled as Glorot and Bengio (2010)."""
    generator = torch.Generator(device=device).manual_seed(config.seed + 1)
    widths = [dims, *config.layers]
    layers = []
    for below, above in pairwise(widths):
        bound = (6.0 / (below + above)) ** 0.5
        weight = (torch.rand(below, above, generator=generator, device=device) * 2 - 1) * bound
        layers.append(Layer(weight, torch.zeros(above, device=device)))
    return tuple(layers)


def _train(
    batch: Callable[[Tensor], Tensor],
    count: int,
    watched: Tensor | None,
    n_visible: int,
    n_hidden: int,
    gaussian: bool,
    config: PretrainingConfig,
    epochs: int,
    generator: torch.Generator,
    label: str,
    tick: Callable[[], object],
) -> tuple[list[dict[str, float]], dict[int, Layer]]:
    """Train one machine; its log and its forward weights after each number of epochs wanted."""
    device = generator.device
    machine = RBM.create(n_visible, n_hidden, gaussian=gaussian, scale=config.init_scale, generator=generator)
    learner = ContrastiveDivergence(
        machine, rate=config.rate, sample_visible=config.sample_visible, generator=generator
    )
    log: list[dict[str, float]] = []
    kept: dict[int, Layer] = {}
    seen = batch(torch.arange(min(count, 5000), device=device))
    for epoch in range(1, epochs + 1):
        began = time.perf_counter()
        error = torch.zeros((), device=device)
        for chosen in torch.randperm(count, generator=generator, device=device).split(config.batch):
            error += learner.step(batch(chosen))
        reconstruction = error.item() / (count * n_visible)
        if not np.isfinite(reconstruction) or not torch.isfinite(machine.weight).all():
            raise EmobenchError(
                f"{label}: diverged in epoch {epoch} (reconstruction error {reconstruction}); lower the learning rate."
            )
        entry = {
            "epoch": epoch,
            "reconstruction_error": reconstruction,
            "seconds": time.perf_counter() - began,
        }
        if watched is not None:
            gap = machine.free_energy(watched).mean() - machine.free_energy(seen).mean()
            entry["free_energy_gap"] = gap.item()
        log.append(entry)
        if epoch in config.epochs:
            kept[epoch] = Layer(machine.weight.clone(), machine.hidden_bias.clone())
        tick()
    return log, kept
