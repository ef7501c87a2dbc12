"""Content-addressed cache of arrays.

An entry is an uncompressed ``.npz`` file under :func:`emobench.runtime.files.cache_folder`, named by the SHA-256 of
everything that determines the arrays. The folder may be deleted at any time; damaged entries are computed again.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..runtime.cache_content import KINDS
from ..runtime.files import cache_folder, digest, replacing

Arrays = dict[str, npt.NDArray]


def entry(kind: str, key: object) -> Path:
    """Path of an entry; the key may be anything that :func:`emobench.runtime.files.plain` accepts."""
    if kind not in KINDS:
        raise ValueError(f"{kind}: name the content of this folder in runtime/cache_content.py, too")
    name = digest(key)
    return cache_folder() / kind / name[:2] / f"{name}.npz"


def read(path: Path) -> Arrays | None:
    """Read an entry; return None if it is missing or damaged."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
        return None


def write(path: Path, arrays: Arrays) -> None:
    """Write an entry, atomically."""
    with replacing(path) as temporary, temporary.open("wb") as handle:
        np.savez(handle, **arrays)  # pyright: ignore[reportArgumentType]


def cached(kind: str, key: object, compute: Callable[[], Arrays], *, holding: str | None = None) -> Arrays:
    """Read an entry, or compute and store it, also where the entry does not hold an array of the name ``holding``."""
    path = entry(kind, key)
    arrays = read(path)
    if arrays is None or (holding is not None and holding not in arrays):
        arrays = compute()
        write(path, arrays)
    return arrays
