"""Results made without a run: valid fields, and files that are changed and sealed again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
from emobench.benchmark.results.beside import features_path, parameters_path
from emobench.benchmark.results.model import Entry, Result, predictions_path
from emobench.benchmark.results.store import ResultStore
from emobench.runtime.files import digest


def plain(**changes: Any) -> dict[str, Any]:
    """Return a valid result as JSON has it; its digests fit nothing."""
    score = {"mean": 0.1404, "std": 0.0042, "per_repeat": [0.14], "ci95": [0.13, 0.15]}
    undefined = {"mean": None, "std": None, "per_repeat": [None], "ci95": None}
    entry = [changes.get(name) for name in ("layer", "phase")]
    return {
        "schema": 2,
        "signature": digest(changes)[:12],
        "dataset": {"name": "d", "version": "1.0.0", "manifest_sha256": "1" * 64, "folds_sha256": "2" * 64},
        "features": "mfcc",
        "layer": None,
        "phase": None,
        "dims": 20,
        "regressor": "mlr",
        "n_clips": 237,
        "excluded": {},
        "albums": {"c1": 0},
        "scores": {"mean_distance": score, "kl_divergence": {**score, "mean": 0.642}, "ccc_arousal": undefined},
        "covariance_repaired": 0.0,
        "targets_repaired": 0.0,
        "cost": {"seconds_per_clip": 0.1, "train_seconds": 1.0, "peak_rss_mb": 300.0, "processor": "AMD EPYC"},
        "leakage": {},
        "config": {
            "schema": 2,
            "manifest": "1" * 64,
            "entry": [changes.get("features", "mfcc"), *entry],
            "parts": [],
            "values": [],
            "regressor": "mlr",
            "bootstrap_seed": 0,
            "versions": {},
            "decoder": "1.2.2",
        },
        "environment": {},
        "sequence": 1,
        "files": {"predictions": "3" * 64},
        "created": "2026-01-01T00:00:00+00:00",
        "digests": {},
    } | changes


def change(path: Path, how: Callable[[dict[str, Any]], object], to: str | None = None) -> Path:
    """Change a result in place, or write it under another name with a copy of its predictions."""
    result = json.loads(path.read_text())
    how(result)
    other = path if to is None else path.with_name(f"{to}.json")
    other.write_text(json.dumps(result))
    if to is not None:
        predictions_path(other).write_bytes(predictions_path(path).read_bytes())
    return other


def rewrite(path: Path, result: dict[str, Any], predictions: pl.DataFrame | None = None) -> Result:
    """Write a changed result as somebody would who knows how to."""
    table = pl.read_parquet(predictions_path(path)) if predictions is None else predictions
    fields = {field.alias or name for name, field in Entry.model_fields.items()}
    entry = Entry.model_validate_json(json.dumps({name: result[name] for name in fields if name in result}))
    features, parameters = (
        place if place.is_file() else None for place in (features_path(path), parameters_path(path))
    )
    return ResultStore(path.parents[1]).write(path, entry, table, features=features, parameters=parameters)


def signature(result: dict[str, Any]) -> str:
    """Return the signature that a result's configuration gives."""
    whole = plain() | {"config": result["config"]}
    return Result.model_validate_json(json.dumps(whole)).config.signature
