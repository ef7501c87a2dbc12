"""Contrastive pre-training: an encoder learns which two windows are from the same clip (van den Oord et al. 2018).

Both windows of a pair are disturbed. The encoder is used with a projector on top in training only (Chen et al., ICML
2020). Every update draws its clips, windows and disturbances from a generator that is seeded by the number of the
update, so that an interrupted training continues with the same bits.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from hashlib import sha256
from itertools import pairwise, zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ..audio.texture import DIFFERENCES
from ..cards.model import ContrastiveFacts, contrastive_card
from ..errors import EmobenchError, InputError
from ..runtime.files import plain, write_text
from ..runtime.progress import progress
from . import checkpoint
from .batches import normalisation
from .config import CONTRASTIVE, ContrastiveConfig
from .divergence import one_thread
from .domains import Domain, Examples, examples
from .encoder import Encoder
from .model import WEIGHTS, save_model
from .network import Layer, Network
from .parameters import decay
from .pretraining import Clips

# Updates between two entries of the log.
_LOGGED = 50

_SECONDS_BETWEEN_CHECKPOINTS = 5.0

# Examples from which batch normalisation takes its final statistics.
_CALIBRATED = 8192


def pretrain_encoder(
    clips: Clips,
    domain: Domain,
    config: ContrastiveConfig,
    *,
    folder: Path,
    provenance: dict[str, Any],
    device: torch.device,
    lengths: Sequence[int] | None = None,
) -> None:
    """Train a contrastive encoder and write its folder.

    An existing model is kept, and a checkpoint of an interrupted training is continued.

    Parameters
    ----------
    config : ContrastiveConfig
        Settings.
    clips, domain, folder, provenance, device, lengths
        As for :func:`emobench.dbn.pretraining.pretrain`.

    Raises
    ------
    InputError
        If fewer than two clips have a window.
    EmobenchError
        If training diverges.
    """
    if (folder / WEIGHTS).is_file():
        return
    data = examples(domain, clips, lengths=lengths) if len(clips) else None
    if data is None or np.count_nonzero(data.counts) < 2:
        raise InputError(
            f"{CONTRASTIVE}: expected at least two clips of {domain.context + 1} beats in the pre-training set."
        )
    trainer = EncoderTrainer(data, config, folder=folder, device=device)
    with one_thread():
        networks = trainer.train()
    described = {"kind": CONTRASTIVE, "training": config, "examples": len(data), "device": device.type, **provenance}
    facts = ContrastiveFacts(
        name=folder.name,
        window=domain.window,
        clips=int(np.count_nonzero(data.counts)),
        examples=len(data),
        data=str(provenance.get("data", "unknown")),
        settings=plain(config),
        log=trainer.log,
        data_sha256=provenance.get("manifest_sha256") or provenance.get("clips_sha256"),
    )
    write_text(folder / "README.md", contrastive_card(facts))
    save_model(folder, domain=domain, config=described, networks=networks, log={"updates": trainer.log})
    checkpoint.remove(folder)


class EncoderTrainer:
    """Trains a contrastive encoder.

    Parameters
    ----------
    data : Examples
        Windows of all clips.
    config : ContrastiveConfig
        Settings.
    folder : Path
        Folder of the checkpoint.
    device : torch.device
        Device.

    Attributes
    ----------
    log : list of dict
        Mean loss and accuracy of some updates: ``step`` (the last of them), ``loss``, ``accuracy`` (how often the
        window of the same clip is the most similar one) and ``seconds``.

    Raises
    ------
    InputError
        If the inputs are not finite.
    """

    def __init__(self, data: Examples, config: ContrastiveConfig, *, folder: Path, device: torch.device) -> None:
        self.data, self.config, self.folder, self.device = data, config, folder, device
        self.mean, self.scale = normalisation(data, CONTRASTIVE, device)
        self.bands = data.rows.shape[1]
        self.counts = torch.from_numpy(data.counts)
        self.firsts = torch.cumsum(self.counts, 0) - self.counts
        # Clips that have a window.
        self.clips = torch.nonzero(self.counts)[:, 0]
        width = data.rows.shape[1]
        rows = torch.from_numpy(data.rows)
        self._views = rows.as_strided((max(len(rows) - data.window + 1, 0), data.dims), (width, 1))
        self._starts = torch.from_numpy(data.starts)
        generator = _generator(config.seed, "weights")
        self.encoder = nn.Sequential(*_blocks([data.dims, *config.layers], generator)).to(device)
        sizes = [config.layers[-1], config.projector, config.projector]
        top = [nn.BatchNorm1d(sizes[0]), nn.ReLU(), *_blocks(sizes, generator)]
        self.projector = nn.Sequential(*top).to(device)
        self.log: list[dict[str, float]] = []
        self.step = 0

    def train(self) -> dict[int, Network]:
        """Train the encoder; return the untrained one, the control, under 0 and the trained one under its updates."""
        config = self.config
        networks: dict[int, Network] = {0: self._folded()}
        parameters = [*self.encoder.parameters(), *self.projector.parameters()]
        optimizer = torch.optim.AdamW(parameters, lr=config.rate)
        self._resume(optimizer)
        bar = progress(description=f"pre-training {CONTRASTIVE}", unit="update", total=config.steps)
        bar.update(self.step)
        saved = began = time.monotonic()
        sums, count = torch.zeros(2, dtype=torch.float64), 0
        with bar:
            while self.step < config.steps:
                for group in optimizer.param_groups:
                    group["lr"] = config.rate * decay("cosine", self.step / config.steps)
                optimizer.zero_grad()
                loss, hit = self._loss()
                loss.backward()
                optimizer.step()
                self.step += 1
                sums += torch.tensor([loss.item(), hit.item()], dtype=torch.float64)
                count += 1
                bar.update()
                if self.step % _LOGGED and self.step < config.steps:
                    continue
                now = time.monotonic()
                mean = (sums / count).tolist()
                if not np.isfinite(mean[0]):
                    raise EmobenchError(
                        f"{CONTRASTIVE}: training diverges before update {self.step}; lower `rate` {config.rate:g}."
                    )
                self.log.append({"step": self.step, "loss": mean[0], "accuracy": mean[1], "seconds": now - began})
                sums.zero_()
                count, began = 0, now
                bar.set_postfix_str(f"loss {mean[0]:.3f}", refresh=False)
                if now - saved > _SECONDS_BETWEEN_CHECKPOINTS and self.step < config.steps:
                    self._save(optimizer)
                    saved = began = time.monotonic()
        networks[self.step] = self._folded()
        return networks

    def _loss(self) -> tuple[Tensor, Tensor]:
        """Compute the loss of the next update, and how often the other window of a clip is the most similar one."""
        config, generator = self.config, _generator(self.config.seed, str(self.step))
        chosen = self.clips[torch.randperm(len(self.clips), generator=generator)[: config.batch]]
        counts = self.counts[chosen]
        first = (torch.rand(len(chosen), generator=generator) * counts).long().clamp(max=counts - 1)
        # Another window where the clip has one.
        others = torch.rand(len(chosen), generator=generator) * (counts - 1)
        second = (first + 1 + others.long().clamp(max=(counts - 2).clamp(min=0))) % counts
        places = self.firsts[chosen].repeat(2) + torch.cat([first, second])
        inputs = (self._inputs(places) - self.mean) / self.scale
        projected = self.projector(self.encoder(self._disturbed(inputs, generator)))
        one, two = functional.normalize(projected, dim=1).split(len(chosen))
        similar = one @ two.t() / config.temperature
        same = torch.arange(len(chosen), device=self.device)
        loss = (functional.cross_entropy(similar, same) + functional.cross_entropy(similar.t(), same)) / 2
        return loss, (similar.detach().argmax(1) == same).double().mean()

    def _inputs(self, places: Tensor) -> Tensor:
        return self._views.index_select(0, self._starts[places]).to(self.device)

    def _disturbed(self, inputs: Tensor, generator: torch.Generator) -> Tensor:
        """Shift the level of windows, add noise, mask bands and drop inputs."""
        config, count = self.config, len(inputs)
        window = self.data.window
        shift = torch.randn(count, 1, generator=generator) * config.level_shift
        levels = torch.ones(self.bands)
        levels[-DIFFERENCES:] = 0.0
        added = torch.randn(inputs.shape, generator=generator) * config.noise + shift * levels.repeat(window)
        kept = (torch.rand(count, self.bands, generator=generator) >= config.masked).float().repeat(1, window)
        kept *= (torch.rand(inputs.shape, generator=generator) >= config.dropout).float() / (1.0 - config.dropout)
        return (inputs + added.to(self.device)) * kept.to(self.device)

    def _folded(self) -> Encoder:
        """Return the encoder with batch normalisation, by the statistics of undisturbed windows, in its weights."""
        places = torch.linspace(0, len(self.data) - 1, min(len(self.data), _CALIBRATED)).long()
        hidden = (self._inputs(places) - self.mean) / self.scale
        linears = [module for module in self.encoder if isinstance(module, nn.Linear)]
        norms = [module for module in self.encoder if isinstance(module, nn.BatchNorm1d)]
        layers = []
        with torch.no_grad():
            for linear, norm in zip_longest(linears, norms):
                weight, bias = linear.weight.t(), linear.bias
                if norm is not None:
                    hidden = hidden @ weight + bias
                    mean, factor = hidden.mean(0), norm.weight / (hidden.var(0, correction=0) + norm.eps).sqrt()
                    hidden = ((hidden - mean) * factor + norm.bias).relu_()
                    weight, bias = weight * factor, (bias - mean) * factor + norm.bias
                layers.append(Layer(weight.clone().contiguous(), bias.clone()))
        return Encoder(self.mean, self.scale, tuple(layers))

    def _state(self, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
        """Name the tensors of the training: both networks and the moments of the optimiser."""
        networks = {"encoder": self.encoder, "projector": self.projector}
        found = {f"{name}.{key}": part for name, net in networks.items() for key, part in net.state_dict().items()}
        for number, moments in optimizer.state_dict()["state"].items():
            found |= {f"optimizer.{number}.{name}": part for name, part in moments.items()}
        return {name: part.detach() for name, part in found.items()}

    def _save(self, optimizer: torch.optim.Optimizer) -> None:
        checkpoint.save(self.folder, self._state(optimizer), {"step": self.step, "log": self.log})

    def _resume(self, optimizer: torch.optim.Optimizer) -> None:
        tensors, facts = checkpoint.load(self.folder) or ({}, {})
        if not tensors:
            return
        for name, network in (("encoder", self.encoder), ("projector", self.projector)):
            prefix = f"{name}."
            own = {key[len(prefix) :]: part for key, part in tensors.items() if key.startswith(prefix)}
            network.load_state_dict(own)
        moments: dict[int, dict[str, Tensor]] = {}
        for key, part in tensors.items():
            if key.startswith("optimizer."):
                _, number, name = key.split(".")
                moments.setdefault(int(number), {})[name] = part
        optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
        self.step, self.log = facts["step"], facts["log"]


def _generator(seed: int, place: str) -> torch.Generator:
    """Return a generator for one place in the training."""
    hashed = sha256(f"{seed} {place}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(hashed[:8]) >> 1)


def _blocks(sizes: Sequence[int], generator: torch.Generator) -> list[nn.Module]:
    """Make linear layers with batch normalisation and rectification between them, scaled as by He et al. (2015)."""
    modules: list[nn.Module] = []
    for below, above in pairwise(sizes):
        linear = nn.Linear(below, above)
        with torch.no_grad():
            linear.weight.normal_(0.0, (2.0 / below) ** 0.5, generator=generator)
            linear.bias.zero_()
        modules += [linear, nn.BatchNorm1d(above), nn.ReLU()]
    return modules[:-2]
