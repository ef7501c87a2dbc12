"""numba's ``njit`` with a private cache on disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from ..runtime.jit_cache import set_numba_cache

_F = TypeVar("_F", bound=Callable[..., Any])

set_numba_cache()

import numba  # noqa: E402  (reads NUMBA_CACHE_DIR when it is imported)


def njit(function: _F) -> _F:
    """Compile a function for one thread, without the GIL, with a cache on disk and numpy's division by 0."""
    return cast(_F, numba.njit(cache=True, nogil=True, error_model="numpy")(function))
