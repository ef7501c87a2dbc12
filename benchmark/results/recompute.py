"""Predictions of a result, computed again from its features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from ...builders.targets import PARAMETERS
from ...errors import EmobenchError
from ...protocols import regressors
from ..features.columns import float32_sha256
from ..features.extraction import Places
from ..scoring.gaussians import repaired
from ..scoring.leakage import targets_in
from ..scoring.regression import Regression, closed_form, regress
from ..scoring.regressors.stored import Arrays
from ..scoring.scores import Predictions, prediction_table, score
from ..scoring.task import Task
from .beside import Float32Array, compact_path, features_path, parameters_path, read_features, read_parameters
from .checks import Check, short
from .model import Result
from .predictions import KEYS
from .recompute_features import extraction_of

# Largest difference between predictions that are stored and computed again; of large ones, relative to them.
TOLERANCE = 1e-6

NAME = "regression"


@dataclass(frozen=True)
class Recomputed:
    """Outcome of computing predictions again.

    Attributes
    ----------
    check : Check
        The check.
    features : list of ndarray or None
        Features that are stored beside the result.
    open : list of str
        What the check does not show.
    """

    check: Check
    features: list[Float32Array] | None = None
    open: list[str] = field(default_factory=list)


def check_regression(result: Result, predictions: pl.DataFrame, task: Task, *, retrain: bool) -> Recomputed:
    """Compute the predictions of a result again from the features beside it, and compare them with those stored.

    Closed-form regressors are fitted again, what they choose on the verification part included. Of others, the stored
    parameters are applied to the features; with ``retrain`` they are fitted again too. References are computed from
    the dataset.
    """
    if result.external:
        return _not_possible("the predictions were made elsewhere")
    if not result.reference and result.regressor is None:
        return Recomputed(Check(NAME, ["has no regressor; only external predictions have none"], required=True))
    damage: list[str] = []
    try:
        if result.reference:
            again = prediction_table(task, _reference_predictions(result, task))
            lines = _differences(predictions, again, "the dataset gives")
            return Recomputed(Check(NAME, lines, ["computed again from the dataset"], required=True))
        values, damage = read_features(result, task)
        if values is None:
            return _not_possible(_lacking(result), damage)
        damage += _other_values(result, values)
        if not result.config.leakage:
            damage += dict.fromkeys(line for each in values for line in targets_in(each.astype(np.float64), task))
        return _fitted_again(result, predictions, task, values, damage, retrain=retrain)
    except EmobenchError as error:
        return Recomputed(Check(NAME, [*damage, str(error)], required=True))


def _fitted_again(
    result: Result,
    predictions: pl.DataFrame,
    task: Task,
    values: list[Float32Array],
    damage: list[str],
    *,
    retrain: bool,
) -> Recomputed:
    name = cast("str", result.regressor)
    if name not in regressors:
        return _not_possible(f"the regressor {name} is not installed", damage)
    if closed_form(name):
        done = _all_folds(result, task, values)
        lines = [*damage, *_compared(result, predictions, task, done)]
        return Recomputed(Check(NAME, lines, [f"{name} fitted again, equal to {TOLERANCE:g}"], required=True), values)
    notes, still, lines, done = [], [], damage, None
    parameters, more = read_parameters(result)
    lines += more
    restorable = hasattr(regressors[name], "restore")
    if parameters is not None and restorable:
        try:
            done = _all_folds(result, task, values, [parameters(fold.repeat) for fold in task.folds])
        except (EmobenchError, KeyError, ValueError, TypeError, RuntimeError, IndexError) as error:
            lines.append(f"{parameters_path(result.path).name}: does not fit the regressor {name} ({short(error)})")
        else:
            lines += _compared(result, predictions, task, done)
            notes.append(f"parameters of {name} applied to the features, equal to {TOLERANCE:g}")
    if retrain:
        again = _all_folds(result, task, values)
        apart = _largest(predictions, _table(task, again))
        distance = score(task, _predictions(again), seed=0)["mean_distance"].mean
        stored = result.scores["mean_distance"].mean
        found = f"predictions of a second fit differ by at most {apart:.2g}; mean distance {distance}, stored {stored}"
        notes.append(found)
        if done is None and apart <= TOLERANCE:
            done = again
        if not apart <= TOLERANCE:
            still.append(f"the parameters are not shown to be fitted on the training part ({found})")
    elif done is not None:
        still.append("the parameters are not shown to be fitted on the training part (`retrain` fits them again)")
    if done is None and not lines:
        why = f"there is no {parameters_path(result.path).name}" if restorable else f"{name} stores no parameters"
        return Recomputed(Check(NAME, [], [why, *notes], done=False, required=True), values, still)
    return Recomputed(Check(NAME, lines, notes, required=True), values, still)


def _not_possible(reason: str, damage: Sequence[str] = ()) -> Recomputed:
    return Recomputed(Check(NAME, list(damage), [reason], done=False, required=True))


def _lacking(result: Result) -> str:
    if compact_path(result.path).is_file():
        return "the features were published as float16; float32 is needed"
    return f"there is no {features_path(result.path).name}"


def _other_values(result: Result, values: list[Float32Array]) -> list[str]:
    """Name each feature whose values have another hash than the configuration, which the signature covers."""
    widths, hashes = result.config.widths, result.config.values
    name = features_path(result.path).name
    if len(widths) != len(hashes) or sum(widths) != values[0].shape[1] or result.dims != sum(widths):
        return [
            f"{name}: has {values[0].shape[1]} columns; dims is {result.dims}, config.widths {short(widths)} for "
            f"{len(hashes)} features"
        ]
    lines = []
    parts = [np.split(each, np.cumsum(widths)[:-1], axis=1) for each in values]
    for place, recorded in enumerate(hashes):
        own = [each[place] for each in parts]
        # Values that are the same in all repeats may be stored, and hashed, once or for each repeat.
        repeats = own * len(result.scores["mean_distance"].per_repeat) if len(own) == 1 else own
        same = all(np.array_equal(each, own[0]) for each in own[1:])
        candidates = [float32_sha256(repeats), *([float32_sha256(own[:1])] if same else [])]
        if recorded not in candidates:
            lines.append(f"{name}: the values of feature {place + 1} have another SHA-256 than config.values records")
    return lines


def _all_folds(
    result: Result, task: Task, values: list[Float32Array], parameters: Sequence[Arrays] | None = None
) -> list[Regression]:
    residuals = result.config.residual_covariance
    every = values if len(values) > 1 else values * len(task.folds)
    given: Sequence[Arrays | None] = parameters or [None] * len(task.folds)
    with threadpool_limits(1), np.errstate(over="ignore", invalid="ignore"):
        return [
            regress(task, fold, cast("str", result.regressor), own, residuals=residuals, parameters=each)
            for fold, own, each in zip(task.folds, every, given, strict=True)
        ]


def _predictions(done: Sequence[Regression]) -> list[Predictions]:
    return [each.predictions for each in done]


def _table(task: Task, done: Sequence[Regression]) -> pl.DataFrame:
    return prediction_table(task, _predictions(done))


def _compared(result: Result, predictions: pl.DataFrame, task: Task, done: Sequence[Regression]) -> list[str]:
    """Compare predictions, and what the result records of the regression, with what was computed again."""
    recorded: dict[str, tuple[Any, Any]] = {
        "config.different_rows": (result.config.different_rows, min(each.different_rows for each in done)),
    }
    if result.regressor == "ridge":
        recorded["config.ridge_strength"] = (result.config.ridge_strength, tuple(each.strength for each in done))
    lines = _differences(predictions, _table(task, done), "the features give")
    share = float(np.mean([each.repaired for each in done]))
    if abs(result.covariance_repaired - share) > TOLERANCE:
        recorded["covariance_repaired"] = (result.covariance_repaired, share)
    return lines + [
        f"{name}: is {short(stored)}; the features give {short(again)}"
        for name, (stored, again) in recorded.items()
        if stored != again
    ]


def _joined(predictions: pl.DataFrame, again: pl.DataFrame) -> pl.DataFrame:
    return predictions.join(again.select(*KEYS, *PARAMETERS), on=KEYS, suffix="_again", maintain_order="left")


def _largest(predictions: pl.DataFrame, again: pl.DataFrame) -> float:
    both = _joined(predictions, again)
    found = [(both[name] - both[f"{name}_again"]).abs().max() for name in PARAMETERS]
    return max((float(cast("float", each)) for each in found if each is not None), default=np.nan)


def _differences(predictions: pl.DataFrame, again: pl.DataFrame, source: str) -> list[str]:
    """Name the first prediction that differs from the one computed again, and the columns with such differences."""
    both = _joined(predictions, again)
    wrong = {}
    for name in PARAMETERS:
        stored, made = pl.col(name), pl.col(f"{name}_again")
        close = (stored - made).abs() <= TOLERANCE * pl.max_horizontal(made.abs(), 1.0)
        known = stored.is_not_null() & made.is_not_null()
        rows = both.filter(~pl.when(known).then(close).otherwise(stored.is_null() & made.is_null()))
        if len(rows):
            wrong[name] = rows
    if not wrong:
        return []
    name, rows = next(iter(wrong.items()))
    row = rows.row(0, named=True)
    also = f"; also in {', '.join(list(wrong)[1:])}" if len(wrong) > 1 else ""
    return [
        f"predictions: column {name}, repeat {row['repeat']}, clip {row['clip_id']}, {row['time']:g} s: is "
        f"{row[name]!r}; {source} {row[f'{name}_again']!r} ({len(rows)} of {len(both)} rows differ{also})"
    ]


def _reference_predictions(result: Result, task: Task) -> list[Predictions]:
    folder = task.dataset.folder
    extraction, entry = extraction_of(result, task, Places(folder, folder, folder))
    (columns,) = extraction.columns(entry)
    made = []
    with threadpool_limits(1):
        for fold in task.folds:
            if columns.predicted is None:
                found = regress(task, fold, result.regressor or "mlr", columns.values(fold), residuals=False)
                made.append(found.predictions)
            else:
                values, _ = repaired(columns.predicted(fold)[fold.test])
                true = None if columns.true is None else columns.true(fold)[fold.test]
                made.append(Predictions(fold.repeat, fold.test, values, true))
    return made
