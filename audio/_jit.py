"""numba's ``njit`` with a cache on disk that is always writable."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
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
        return Path(tempfile.gettempdir()) / f"emobench-numba-{os.getuid()}"


os.environ.setdefault("NUMBA_CACHE_DIR", str(_writable_folder()))

import numba  # noqa: E402  (reads NUMBA_CACHE_DIR when it is imported)


def njit(function: _F) -> _F:
    """Compile ``function`` without the interpreter, one thread, cached on disk; division by 0 as numpy does it."""
    return cast(_F, numba.njit(cache=True, nogil=True, error_model="numpy")(function))
