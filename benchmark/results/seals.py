"""Seals of a result: short digests by which a later change of any field or cell is found and named.

They tell a slip from what was written; whoever changes a result on purpose can write new ones, and is found
by the scores, the dataset and the signature instead (:mod:`emobench.benchmark.results.verify`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from ...runtime.files import digest

# Sections whose fields are sealed each, so that the field is named.
SECTIONS = ("dataset", "scores", "cost", "config", "environment")

# What of ``config`` decides a row's numbers: the signature is the digest of these alone.
DECIDES = (
    "carry_over",
    "leakage",
    "schema",
    "manifest",
    "row",
    "parts",
    "values",
    "regressor",
    "bootstrap_seed",
    "versions",
    "decoder",
)

# Of these, what may differ when an entry is computed again with other code: it stays the same entry.
VERSIONS = ("versions", "decoder", "values")


def signature_of(config: Mapping[str, Any]) -> str:
    """Short hash over everything that decides a row's numbers, as its ``config`` records it."""
    return digest({name: config[name] for name in DECIDES if name in config})[:12]


def seals_of(result: Mapping[str, Any], predictions: pl.DataFrame) -> dict[str, Any]:
    """Seals of a result and its predictions.

    Parameters
    ----------
    result : mapping
        All of it but the seals.
    predictions : DataFrame
        As they are written.

    Returns
    -------
    dict
        ``fields``: field to digest; ``columns`` and ``repeats`` of the predictions; ``seals`` over these three.
    """
    sealed = {"fields": _fields(result), **_cells(predictions)}
    return {**sealed, "seals": _short(sealed)}


def broken(result: Mapping[str, Any], predictions: pl.DataFrame | None) -> tuple[list[str], list[str]]:
    """Name what is not as it was sealed.

    Parameters
    ----------
    result : mapping
        With its ``seals``.
    predictions : DataFrame or None
        None where they cannot be read.

    Returns
    -------
    fields, cells : list of str
        A line for each field of the result, and for each column of the predictions, that was changed.
    """
    seals = result["seals"]
    if not isinstance(seals, Mapping):
        return ["seals: are no object"], []
    stored = {name: part for name, part in seals.items() if name != "seals"}
    # Where the seals are as they were, what they do not fit was changed; else a seal may have been.
    intact = _short(stored) == seals.get("seals")
    which = "was changed after it was written" if intact else "or its seal was changed after it was written"
    fields = [] if intact else ["seals: were changed after they were written"]
    whole = {name: value for name, value in result.items() if name != "seals"}
    fields += [f"{name}: {which}" for name in _differing(stored.get("fields"), _fields(whole))]
    if predictions is None:
        return fields, []
    now = _cells(predictions)
    columns, repeats = (_differing(stored.get(part), now[part]) for part in ("columns", "repeats"))
    where = f" in repeat {', '.join(repeats)}" if repeats else ""
    cells = [f"column {name}{where}: {which}" for name in columns]
    if repeats and not columns:
        cells.append(f"repeat {', '.join(repeats)}: {which}")
    return fields, cells


def _differing(stored: object, now: Mapping[str, str]) -> list[str]:
    known = stored if isinstance(stored, Mapping) else {}
    return [str(name) for name in {**known, **now} if known.get(name) != now.get(name)]


def _short(value: object) -> str:
    return digest(value)[:12]


def _fields(result: Mapping[str, Any]) -> dict[str, str]:
    sealed = {}
    for name, value in result.items():
        if name in SECTIONS and isinstance(value, Mapping):
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
    """Digest of a column's name, type and values to the last bit."""
    # Hexadecimal tells numbers apart that print alike, such as 0 and -0.
    listed = [value.hex() if isinstance(value, float) else value for value in values.to_list()]
    return _short([values.name, str(values.dtype), listed])
