"""Ranges of the parameters of training, shared by the RBM and the configurations."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

SCHEDULES = ("constant", "linear", "cosine")

# More units are probably a typing error.
_MAX_UNITS = 100_000


def _rate(value: float) -> bool:
    # float32 ends at 3.4e38.
    return 0 < value <= 1e38


def _cost(value: float) -> bool:
    # Leaves room for multiplication by the number of examples in a batch.
    return 0 <= value <= 1e30


_Range = tuple[Callable[[Any], bool], str]

_POSITIVE: _Range = (_rate, "a number above 0")
_COST: _Range = (_cost, "a number of at least 0")
_COUNT: _Range = (lambda value: value >= 1, "a whole number of at least 1")
_FRACTION: _Range = (lambda value: 0 <= value < 1, "a number from 0 to below 1")

_RANGES: Mapping[str, _Range] = {
    "n_components": (lambda value: 1 <= value <= _MAX_UNITS, f"1 to {_MAX_UNITS} hidden units"),
    "layers": (
        lambda value: bool(value) and all(1 <= units <= _MAX_UNITS for units in value),
        f"at least one layer, each of 1 to {_MAX_UNITS} units",
    ),
    "epochs": (
        lambda value: bool(value) and min(value) >= 1 and sorted(set(value)) == list(value),
        "increasing numbers of at least 1",
    ),
    "visible": (lambda value: value in ("binary", "gaussian"), "binary or gaussian"),
    "schedule": (lambda value: value in SCHEDULES, f"one of {', '.join(SCHEDULES)}"),
    "rate": _POSITIVE,
    "learning_rate": _POSITIVE,
    "init_scale": _POSITIVE,
    "batch": _COUNT,
    "batch_size": _COUNT,
    "steps": _COUNT,
    "n_gibbs": _COUNT,
    "n_iter": _COUNT,
    "projector": _COUNT,
    "temperature": _POSITIVE,
    "level_shift": _COST,
    "noise": _COST,
    "masked": _FRACTION,
    "dropout": _FRACTION,
    "n_threads": _COUNT,
    "patience": _COUNT,
    "momentum": _FRACTION,
    "held_out": _FRACTION,
    "weight_decay": _COST,
    "sparsity_cost": _COST,
    "sparsity_target": (lambda value: value is None or 0 < value < 1, "a number between 0 and 1, or None"),
}


def decay(schedule: str, progress: float) -> float:
    """Return the factor of the learning rate after a fraction of the training."""
    if schedule == "linear":
        return 1.0 - progress
    if schedule == "cosine":
        return 0.5 * (1.0 + math.cos(math.pi * progress))
    return 1.0


def check_ranges(values: Mapping[str, Any]) -> None:
    """Raise ValueError naming the first parameter that is out of range; other names are not checked."""
    for name, value in values.items():
        if name in _RANGES:
            within, expected = _RANGES[name]
            if not within(value):
                raise ValueError(f"`{name}` {value}: expected {expected}.")
