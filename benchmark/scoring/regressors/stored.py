"""Fitted regressors as named arrays, which are stored beside a result, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt

Arrays = Mapping[str, npt.NDArray[Any]]


def joined(parts: Mapping[str, Arrays]) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of several parts, each named by its part: ``{"inputs": {"mean": …}}`` as ``inputs.mean``."""
    return {f"{name}.{key}": array for name, arrays in parts.items() for key, array in arrays.items()}


def part(arrays: Arrays, name: str) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of one part, by their names in it."""
    return {key.removeprefix(f"{name}."): array for key, array in arrays.items() if key.startswith(f"{name}.")}
