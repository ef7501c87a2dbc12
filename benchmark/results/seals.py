"""Seals of a result: short digests by which a later change of any field or cell is found and named.

They detect accidental changes. A deliberate change can be sealed anew; it is found by the scores, the dataset and the
signature instead (:mod:`emobench.benchmark.results.verify`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from ...runtime.files import digest
from .model import Result, Seals

# Sections whose fields are sealed one by one, so that a message can name the field.
SECTIONS = ("dataset", "scores", "cost", "config", "environment")


def seal(fields: Mapping[str, Any], predictions: pl.DataFrame) -> Seals:
    """Seal a result and its predictions.

    Parameters
    ----------
    fields : mapping
        All fields of the result except the seals, as plain data.
    predictions : DataFrame
        Predictions as they are written.
    """
    sealed = {"fields": _fields(fields), **_cells(predictions)}
    return Seals(**sealed, seals=_short(sealed))


def broken(result: Result, predictions: pl.DataFrame | None = None) -> tuple[list[str], list[str]]:
    """Name the fields and cells that differ from what was sealed.

    Parameters
    ----------
    result : Result
        Result to check.
    predictions : DataFrame or None
        Predictions, if these are to be checked too.

    Returns
    -------
    fields, cells : list of str
        One line for each field of the result and each column of the predictions that was changed.
    """
    stored = result.seals.model_dump(exclude={"seals"})
    # If the seals are intact, what does not fit them was changed; otherwise the seal itself may have been.
    intact = _short(stored) == result.seals.seals
    which = "was changed after it was written" if intact else "or its seal was changed after it was written"
    fields = [] if intact else ["seals: were changed after they were written"]
    now = _fields(result.model_dump(by_alias=True, exclude={"seals"}))
    fields += [f"{name}: {which}" for name in _differing(result.seals.fields, now)]
    if predictions is None:
        return fields, []
    cells = _cells(predictions)
    columns = _differing(result.seals.columns, cells["columns"])
    repeats = _differing(result.seals.repeats, cells["repeats"])
    where = f" in repeat {', '.join(repeats)}" if repeats else ""
    lines = [f"column {name}{where}: {which}" for name in columns]
    if repeats and not columns:
        lines.append(f"repeat {', '.join(repeats)}: {which}")
    return fields, lines


def _differing(stored: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    return [name for name in {**stored, **now} if stored.get(name) != now.get(name)]


def _short(value: object) -> str:
    return digest(value)[:12]


def _fields(result: Mapping[str, Any]) -> dict[str, str]:
    sealed = {}
    for name, value in result.items():
        if name in SECTIONS:
            sealed |= {f"{name}.{field}": _short(part) for field, part in value.items()}
        else:
            sealed[name] = _short(value)
    return sealed


def _cells(predictions: pl.DataFrame) -> dict[str, dict[str, str]]:
    repeats = {}
    if "repeat" in predictions.columns:
        for (number,), rows in predictions.group_by("repeat", maintain_order=True):
            repeats[str(number)] = _short([_column(rows[name]) for name in rows.columns])
    return {"columns": {name: _column(predictions[name]) for name in predictions.columns}, "repeats": repeats}


def _column(values: pl.Series) -> str:
    """Return a digest of a column's name, type and values to the last bit."""
    # Hexadecimal distinguishes numbers that print alike, such as 0 and -0.
    listed = [value.hex() if isinstance(value, float) else value for value in values.to_list()]
    return _short([values.name, str(values.dtype), listed])
