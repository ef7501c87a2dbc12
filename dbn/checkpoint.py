"""Tensors on disk, written beside their place and renamed; the state of a training that may end at any moment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ..runtime.files import replacing

NAME = ".checkpoint.safetensors"


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write tensors by name, whole or not at all; what the disk refuses is an OSError."""
    from safetensors.torch import save

    with replacing(path) as temporary:
        temporary.write_bytes(save({name: tensor.cpu().contiguous() for name, tensor in tensors.items()}, metadata))


def save(folder: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Write the state: tensors by name, and facts that JSON can hold."""
    write_tensors(folder / NAME, tensors, {"facts": json.dumps(facts)})


def load(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Read the state; None where there is none or it cannot be read."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(folder / NAME, framework="pt") as stored:
            names = list(stored.keys())
            return {name: stored.get_tensor(name) for name in names}, json.loads(stored.metadata()["facts"])
    except (OSError, SafetensorError, ValueError, KeyError, TypeError):
        return None


def remove(folder: Path) -> None:
    """Remove the state, and what an end in the middle of writing it left."""
    for path in (folder / NAME, *folder.glob(f".{NAME}.*.tmp")):
        path.unlink(missing_ok=True)
