"""Functions that numba compiles, with a private cache on disk.

Importing numba takes half a second, and most commands compute nothing. It is therefore imported, and a function
compiled, when the function is first called.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, update_wrapper
from types import FunctionType
from typing import Any, TypeVar, cast

from ..runtime.jit_cache import set_numba_cache

_F = TypeVar("_F", bound=Callable[..., Any])


class Kernel:
    """A function that is compiled when it is first called."""

    def __init__(self, function: FunctionType) -> None:
        self._function = function
        update_wrapper(self, function)

    def __call__(self, *arguments: Any) -> Any:
        """Call the compiled function."""
        return self.compiled(*arguments)

    @cached_property
    def compiled(self) -> Callable[..., Any]:
        """Function compiled by numba, with the kernels that it calls."""
        # Numba reads the variable when it is imported.
        set_numba_cache()
        import numba

        function = self._function
        scope = function.__globals__
        called = {name: scope[name] for name in function.__code__.co_names if isinstance(scope.get(name), Kernel)}
        if called:
            scope = {**scope, **{name: kernel.compiled for name, kernel in called.items()}}
            function = FunctionType(function.__code__, scope, function.__name__, None, function.__closure__)
        return numba.njit(cache=True, nogil=True, error_model="numpy")(function)


def njit(function: _F) -> _F:
    """Compile a function for one thread, without the GIL, with a cache on disk and numpy's division by 0."""
    return cast(_F, Kernel(cast(FunctionType, function)))
