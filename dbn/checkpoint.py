"""Tensors on disk, written to a temporary file and renamed; checkpoints of a training that may be interrupted.

One scheme names tensors everywhere: ``epochs5.layer0.weight`` and ``epochs5.layer0.bias`` are the weights and biases of
a layer after 5 epochs, in models and in checkpoints; ``mean`` and ``scale`` normalise the input of a model;
``training.weight``, ``training.velocity.weight`` and so on are the state of the RBM that a checkpoint interrupts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ..runtime.files import replacing

NAME = ".checkpoint.safetensors"


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write tensors by name, completely or not at all; raises OSError where the file cannot be written."""
    from safetensors.torch import save

    with replacing(path) as temporary:
        temporary.write_bytes(save({name: tensor.cpu().contiguous() for name, tensor in tensors.items()}, metadata))


def save(folder: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Write a checkpoint: tensors by name, and facts that JSON can represent."""
    write_tensors(folder / NAME, tensors, {"facts": json.dumps(facts)})


def load(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Read a checkpoint; None where there is none or it is unreadable."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(folder / NAME, framework="pt") as stored:
            names = list(stored.keys())
            return {name: stored.get_tensor(name) for name in names}, json.loads(stored.metadata()["facts"])
    except (OSError, SafetensorError, ValueError, KeyError, TypeError):
        return None


def remove(folder: Path) -> None:
    """Remove the checkpoint and any temporary file that an interrupted write left."""
    for path in (folder / NAME, *folder.glob(f".{NAME}.*.tmp")):
        path.unlink(missing_ok=True)
