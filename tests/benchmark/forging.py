"""Forged results, made with the package's own functions as an attacker would."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from emobench.benchmark.results.beside import features_path, parameters_path
from emobench.benchmark.results.config import Config
from emobench.benchmark.results.model import Entry, Result
from emobench.benchmark.results.store import ResultStore
from emobench.benchmark.scoring.scores import Predictions, prediction_table, score
from emobench.benchmark.scoring.task import Task


def own_predictions(result: Result) -> list[np.ndarray]:
    """Return the predictions of each repeat of a result."""
    table = result.predictions
    columns = ("arousal", "valence", "arousal_var", "valence_var", "covariance")
    return [rows.select(columns).to_numpy() for _, rows in table.group_by("repeat", maintain_order=True)]


def forged(
    result: Result,
    task: Task,
    out: Path,
    values: Sequence[np.ndarray],
    *,
    rows: Sequence[np.ndarray] | None = None,
    seed: int = 0,
    config: dict[str, Any] | None = None,
    stored: pl.DataFrame | None = None,
    parameters: dict[int, Any] | None = None,
    **changes: Any,
) -> Path:
    """Score other predictions, and write them as the result of an entry with a matching signature and digests."""
    tested = rows or [fold.test for fold in task.folds]
    made = [Predictions(fold.repeat, own, each) for fold, own, each in zip(task.folds, tested, values, strict=True)]
    fields = fields_of(result) | changes
    fields["config"] |= config or {}
    fields["signature"] = Config.model_validate_json(json.dumps(fields["config"])).signature
    fields["scores"] = {name: each.model_dump() for name, each in score(task, made, seed=seed).items()}
    entry = Entry.model_validate_json(json.dumps(fields))
    store = ResultStore(out)
    beside: dict[str, Any] = {
        "features": stored if stored is not None else _existing(features_path(result.path)),
        "parameters": parameters or _existing(parameters_path(result.path)),
    }
    path = store.path(entry.dataset.label, entry.config)
    return store.write(path, entry, prediction_table(task, made), **beside).path


def fields_of(result: Result) -> dict[str, Any]:
    """Return the fields of a result that its entry holds."""
    names = [field.alias or name for name, field in Entry.model_fields.items()]
    return {name: value for name, value in json.loads(result.text).items() if name in names}


def _existing(path: Path) -> Path | None:
    return path if path.is_file() else None
