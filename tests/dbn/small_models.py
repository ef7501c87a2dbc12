"""Small pre-training runs for tests."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from emobench.dbn.config import PretrainingConfig
from emobench.dbn.domains import Domain
from emobench.dbn.pretraining import pretrain
from safetensors.numpy import load_file

CPU = torch.device("cpu")
DOMAIN = Domain("rhythm", 2)
WEIGHTS = "weights.safetensors"


def small_clips(count: int = 12, *, bands: int = 3, seed: int = 0) -> list[np.ndarray]:
    """Make clips whose bands follow one hidden switch, so that there is something to learn."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        switch = np.where(rng.random((14, 1)) < 0.5, -1.0, 1.0)
        found.append((5 + 3 * (switch * np.ones(bands) + 0.2 * rng.normal(size=(14, bands)))).astype(np.float32))
    return found


def small_config(**changes: Any) -> PretrainingConfig:
    settings: dict[str, Any] = {
        "window": 2,
        "layers": (5, 4),
        "epochs": (1, 2),
        "rate": 1e-3,
        "batch": 16,
        "held_out": 0.0,
    }
    return PretrainingConfig(**(settings | changes))


def small_pretrain(
    folder: Path, config: PretrainingConfig, clips: Sequence[np.ndarray] | None = None, domain: Domain = DOMAIN
) -> dict[str, np.ndarray]:
    pretrain(
        small_clips() if clips is None else clips,
        domain,
        config,
        folder=folder,
        provenance={"data": "made up"},
        device=CPU,
    )
    return load_file(folder / WEIGHTS)


@dataclass
class Run:
    """A finished training."""

    folder: Path
    config: PretrainingConfig
    tensors: dict[str, np.ndarray] = field(repr=False)

    def errors(self, rbm: str) -> list[float]:
        log = json.loads((self.folder / "training.json").read_text())["rbms"][rbm]
        assert [entry["epoch"] for entry in log] == list(range(1, len(log) + 1))
        return [entry["reconstruction_error"] for entry in log]
