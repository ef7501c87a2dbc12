"""numba's ``njit`` with a cache on disk that is always writable."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar, cast

from ..files import cache_folder

_F = TypeVar("_F", bound=Callable[..., Any])


def _writable_folder() -> Path:
    preferred = cache_folder() / "numba"
    try:
        preferred.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=preferred):
            return preferred
    except OSError:
        return _private_folder(Path(tempfile.gettempdir(), f"emobench-numba-{os.getuid()}"))


def _private_folder(folder: Path) -> Path:
    """Return ``folder`` if only this user can write to it, else a new folder.

    numba unpickles what is in its cache, and anybody can create a folder of a known name in ``/tmp``.
    """
    with suppress(OSError):
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
        if stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o022:
            return folder
    return Path(tempfile.mkdtemp(prefix="emobench-numba-"))


os.environ.setdefault("NUMBA_CACHE_DIR", str(_writable_folder()))

import numba  # noqa: E402  (reads NUMBA_CACHE_DIR when it is imported)


def njit(function: _F) -> _F:
    """Compile ``function`` without the interpreter, one thread, cached on disk; division by 0 as numpy does it."""
    return cast(_F, numba.njit(cache=True, nogil=True, error_model="numpy")(function))
