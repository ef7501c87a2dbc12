"""Content of the cache: what is in it, and how to delete it."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ..errors import EmobenchError, InputError
from .files import cache_folder

# Folders of the cache by their names, and what they hold.
KINDS = {
    "analysis": "beats, timbre and pitch of clips",
    "baselines": "standard features of clips",
    "features": "features of other packages",
    "values": "hashes of feature values",
    "fingerprints": "acoustic fingerprints of clips",
    "recordings": "comparisons of recordings",
    "finetuned": "networks fine-tuned for a fold",
    "shards": "features of pre-training clips",
    "pretrained": "weights of pretrained models",
    "numba": "compiled code",
}

_ARRAYS = r"[0-9a-f]{2}/[0-9a-f]{64}\.npz"
_SHARD = r"[0-9a-f]{16}/\d{5}-[0-9a-f]{16}-[0-9a-f]+\.parquet"
_COMPILED = r"[^/]+_[0-9a-f]{40}/[^/]+\.nb[ic]"
_TEMPORARY = r"[0-9a-f]+/\.[^/]+\.[0-9a-f]{8}\.tmp"
_WEIGHTS = r"[0-9a-f]{2}/[0-9a-f]{64}\.safetensors"
_OWN = {
    "shards": re.compile(f"{_SHARD}|{_TEMPORARY}"),
    "pretrained": re.compile(f"{_WEIGHTS}|{_TEMPORARY}"),
    "numba": re.compile(_COMPILED),
}
_OWN_ARRAYS = re.compile(f"{_ARRAYS}|{_TEMPORARY}")

_LOCK = ".lock"


@dataclass(frozen=True)
class Kind:
    """Files of one kind in the cache.

    Attributes
    ----------
    name, title : str
        Name of their folder, and what they hold.
    files : int
        Number of files.
    size : int
        Size in bytes.
    """

    name: str
    title: str
    files: int
    size: int


def content() -> list[Kind]:
    """List the kinds of files in the cache, the largest first; kinds without files are left out."""
    found = []
    for name, title in KINDS.items():
        sizes = [path.lstat().st_size for path in _files(name)]
        if sizes:
            found.append(Kind(name, title, len(sizes), sum(sizes)))
    return sorted(found, key=lambda kind: -kind.size)


def clear() -> list[Kind]:
    """Delete the files that emobench wrote to the cache, and return what was deleted.

    Other files and links are left, and nothing outside the folder is touched.

    Raises
    ------
    InputError
        If the folder holds files, but none of them was written by emobench.
    EmobenchError
        If another process uses the cache.
    """
    folder = cache_folder()
    if not folder.is_dir():
        return []
    deleted = content()
    if not deleted and any(path.name != _LOCK and path.name not in KINDS for path in folder.iterdir()):
        raise InputError(f"{folder}: is not a cache of emobench, so nothing was deleted. Check EMOBENCH_CACHE.")
    with _locked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB) as alone:
        if not alone:
            raise EmobenchError(f"{folder}: another process uses the cache; wait until it ends and rerun the command.")
        for name in KINDS:
            for path in list(_files(name)):
                path.unlink(missing_ok=True)
            for place, _, _ in () if (folder / name).is_symlink() else os.walk(folder / name, topdown=False):
                # A folder with other files remains.
                with suppress(OSError):
                    Path(place).rmdir()
    return deleted


@contextmanager
def using_cache() -> Iterator[None]:
    """Keep other processes from clearing the cache during the block."""
    folder = cache_folder()
    # A cache that cannot be written to is reported when something is to be written to it.
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder, fcntl.LOCK_SH):
        yield


@contextmanager
def _locked(folder: Path, how: int) -> Iterator[bool]:
    """Lock the cache; yield False if another process holds it, and True also where there are no locks."""
    try:
        descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError:
        yield True
        return
    try:
        try:
            fcntl.flock(descriptor, how)
            alone = True
        except BlockingIOError:
            alone = False
        except OSError:
            alone = True
        yield alone
    finally:
        os.close(descriptor)


def _files(kind: str) -> Iterator[Path]:
    """Find the files of a kind that emobench wrote; links are not followed."""
    top = cache_folder() / kind
    if top.is_symlink():
        return
    own = _OWN.get(kind, _OWN_ARRAYS)
    for place, _, names in os.walk(top):
        for name in names:
            path = Path(place, name)
            if own.fullmatch(path.relative_to(top).as_posix()) and not path.is_symlink():
                yield path


def size_shown(size: int) -> str:
    """Write a number of bytes with a unit, such as ``25.2 MB``."""
    value, unit = float(size), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 999.95:
            break
        value, unit = value / 1000, larger
    return f"{size} bytes" if unit == "bytes" else f"{value:.1f} {unit}"
