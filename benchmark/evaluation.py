"""Evaluation of predictions that were made elsewhere, on the folds of a dataset."""

from __future__ import annotations

import math
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from ..builders.labelled_dataset import load
from ..builders.targets import PARAMETERS
from ..errors import EmobenchWarning, InputError
from ..protocols import features
from ..runtime.csv_files import read_csv
from ..runtime.environment import decoder_version, package_versions
from ..runtime.sizes import check_parquet
from ..runtime.text import counted
from .features.columns import float32_sha256
from .results.config import SCHEMA, Config, Decided
from .results.model import Cost, Entry, Leakage, Result
from .results.predictions import KEYS
from .results.store import ResultStore
from .scoring.gaussians import indefinite, repaired
from .scoring.leakage import shared_with_training
from .scoring.scorer import dataset_ref
from .scoring.scores import Predictions, prediction_table, score
from .scoring.task import Task, load_task

if TYPE_CHECKING:
    from .features.extraction import Places

MEANS = PARAMETERS[:2]
SPREADS = PARAMETERS[2:]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")

# Column with the number of each row in its file.
_ROW = "row number"

# Targets are in [-0.5, 0.5]. A poor model may leave this range, but not by this much.
_LARGEST = 5.0

_EXPECTED = {
    "repeat": "a whole number",
    "clip_id": "the id of a clip",
    "time": "a time in seconds",
    **dict.fromkeys(MEANS, "a number on the scale of the targets, -0.5 to 0.5"),
    **dict.fromkeys(SPREADS, "a finite number, or nothing where it is unknown"),
}

# Times of predictions and targets that differ by less are the same second.
_SAME_TIME = 1e-3


def evaluate(
    predictions: pl.DataFrame | Path, places: Places, *, name: str, task_kind: str | None = None, seed: int = 0
) -> Result:
    """Score predictions that were made elsewhere, and write them as a result.

    Parameters
    ----------
    predictions : DataFrame or Path
        Columns ``clip_id``, ``time``, ``arousal`` and ``valence``; optionally ``arousal_var``, ``valence_var`` and
        ``covariance``, which may be null; and ``repeat``, without which the same predictions are used in every repeat.
        A Parquet or CSV file with these columns. Only predictions for test clips are used.
    places : Places
        Dataset, and folder of results.
    name : str
        Name of the entry.
    task_kind : {"second", "clip"}, optional
        Whether seconds or clips are predicted. For clips, ``time`` may be left out.
    seed : int
        Seed of the bootstrap.

    Returns
    -------
    Result
        Marked as external.

    Raises
    ------
    InputError
        If the name is taken by a feature, a column is missing or has wrong values, a clip is unknown, a test second
        has no prediction, or one has two.
    """
    if not _NAME.fullmatch(name):
        raise InputError(f"`name` {name!r}: expected letters, digits and . _ -, beginning with a letter or digit.")
    if name in features:
        raise InputError(f"`name` {name}: is the name of a feature of emobench; choose another.")
    if isinstance(predictions, Path):
        where, table = str(predictions), _read(predictions)
    else:
        where, table = "predictions", predictions
    task = load_task(load(places.dataset), task_kind)
    if task.kind == "clip" and "time" not in table.columns and "clip_id" in table.columns:
        ends = task.dataset.clips.select("clip_id", time="duration")
        table = table.join(ends, on="clip_id", how="left", maintain_order="left")
        table = table.with_columns(pl.col("time").fill_null(0.0))
    parts = _parts(_checked(table, task, where), task, where)
    reference = dataset_ref(task, places)
    values = float32_sha256(part.values for part in parts)
    made, shares = [], []
    for part in parts:
        fixed, share = repaired(part.values)
        made.append(Predictions(part.repeat, part.rows, fixed))
        shares.append(share)
    decided = Decided(
        schema=SCHEMA,
        manifest=reference.manifest_sha256,
        entry=(name, None, None),
        parts=({"predictions": values},),
        values=(values,),
        regressor=None,
        task=task.kind,
        bootstrap_seed=seed,
        versions=package_versions(),
        decoder=decoder_version(),
    )
    store = ResultStore(places.out)
    path = store.path(reference.label, decided)
    found = store.finished(path)
    if found is not None:
        return found
    with threadpool_limits(1):
        scores = score(task, made, seed=seed)
    entry = Entry(
        schema=SCHEMA,
        signature=decided.signature,
        dataset=reference,
        features=name,
        layer=None,
        phase=None,
        dims=None,
        task=task.kind,
        regressor=None,
        n_clips=len(task.clips),
        excluded=dict(task.dataset.manifest.excluded),
        albums=task.album_by_clip,
        scores=scores,
        covariance_repaired=float(np.mean(shares)),
        targets_repaired=task.targets_repaired,
        cost=Cost(),
        leakage=Leakage(
            not_checked=("predictions made elsewhere: the training data are not known",),
            shared_with_training=shared_with_training(task.dataset),
        ),
        config=Config(**{field.alias or key: getattr(decided, key) for key, field in Decided.model_fields.items()}),
        external=True,
        environment={**package_versions(), "libsndfile": decoder_version()},
    )
    return store.write(path, entry, prediction_table(task, made))


def _read(path: Path) -> pl.DataFrame:
    """Read a Parquet or CSV file."""
    if path.suffix.lower() not in (".parquet", ".csv"):
        raise InputError(f"{path}: expected a file that ends in .parquet or .csv.")
    if path.suffix.lower() == ".csv":
        table = read_csv(path, (*KEYS, *PARAMETERS)).rename({"row": _ROW})
        return table.with_columns(pl.col(pl.String).replace("", None))
    if not path.is_file():
        raise InputError(f"{path}: no such file.")
    check_parquet(path)
    try:
        return pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise InputError(f"{path}: not readable as Parquet ({str(error).splitlines()[0]}).") from error


def _checked(table: pl.DataFrame, task: Task, where: str) -> pl.DataFrame:
    """Return the columns of predictions with their types, or raise InputError for the first wrong value."""
    missing = [name for name in (*KEYS[1:], *MEANS) if name not in table.columns]
    if missing:
        raise InputError(
            f"{where}: has no column {missing[0]}; expected {', '.join((*KEYS, *PARAMETERS))}, of which repeat and "
            f"{', '.join(SPREADS)} may be left out."
        )
    if table.is_empty():
        raise InputError(f"{where}: has no rows; expected a prediction for every test second.")
    if _ROW not in table.columns:
        table = table.with_row_index(_ROW, 1)
    for name in (name for name in PARAMETERS if name not in table.columns):
        table = table.with_columns(pl.lit(None, pl.Float64).alias(name))
    kinds = {"repeat": pl.Int64, "clip_id": pl.String, "time": pl.Float64, **dict.fromkeys(PARAMETERS, pl.Float64)}
    for name in (name for name in kinds if name in table.columns):
        try:
            cast = table[name].cast(kinds[name], strict=False)
        except pl.exceptions.PolarsError:
            raise InputError(f"{where}: column {name} is {table[name].dtype}; expected {_EXPECTED[name]}.") from None
        wrong = (cast.is_null() & table[name].is_not_null()) | (cast.is_null() if name not in SPREADS else False)
        if kinds[name] == pl.Float64:
            # NaN stands for an unknown variance, as null does.
            wrong |= (cast.is_nan() & (name not in SPREADS)).fill_null(False) | cast.is_infinite().fill_null(False)
        if name in MEANS:
            wrong |= (cast.abs() > _LARGEST).fill_null(False)
        if wrong.any():
            place = int(wrong.arg_max() or 0)
            value = "empty" if table[name][place] is None else repr(table[name][place])
            raise InputError(f"{where}: row {table[_ROW][place]}: {name} is {value}; expected {_EXPECTED[name]}.")
        table = table.with_columns(cast.alias(name))
    known = table.filter(pl.col("clip_id").is_in(task.dataset.clips["clip_id"].to_list()))
    if len(known) < len(table):
        first = table.join(known, on=_ROW, how="anti").row(0, named=True)
        raise InputError(
            f"{where}: row {first[_ROW]}: there is no clip {first['clip_id']} in {task.dataset.name}; expected the "
            "dataset's own clip ids."
        )
    outside = float(np.mean(np.abs(table.select(MEANS).to_numpy()).max(axis=1) > 0.5))
    if outside > 0.5:
        warnings.warn(
            f"{where}: {outside:.0%} of the predicted means are outside -0.5 to 0.5, the range of the targets; check "
            "their scale.",
            EmobenchWarning,
            stacklevel=2,
        )
    wrong = indefinite(table.select(PARAMETERS).to_numpy())
    if wrong.any():
        row = table[_ROW][int(np.argmax(wrong))]
        raise InputError(
            f"{where}: row {row}: the covariance is not positive definite; expected positive variances, and a "
            "covariance smaller than the product of the standard deviations."
        )
    return table


def _parts(table: pl.DataFrame, task: Task, where: str) -> list[Predictions]:
    """Return the predictions of the test part of every repeat, in the order of the task."""
    clips = pl.DataFrame({"clip_id": task.clips, "clip": range(len(task.clips))})
    table = table.join(clips, on="clip_id", how="inner")
    parts = []
    for fold in task.folds:
        own = table.filter(pl.col("repeat") == fold.repeat) if "repeat" in table.columns else table
        wanted = pl.DataFrame(
            {"clip": task.clip_index[fold.test].astype(np.int64), "time": task.times[fold.test], "place": fold.test}
        )
        found = own.sort("time").join_asof(
            wanted.sort("time"), on="time", by="clip", strategy="nearest", tolerance=_SAME_TIME, check_sortedness=False
        )
        found = found.filter(pl.col("place").is_not_null())
        if len(twice := found.filter(found["place"].is_duplicated())):
            first = twice.sort(_ROW).row(1, named=True)
            raise InputError(
                f"{where}: row {first[_ROW]}: clip {first['clip_id']} at {first['time']:g} s has two predictions"
                f"{_in_repeat(fold.repeat, task)}; expected one."
            )
        lacking = np.setdiff1d(fold.test, found["place"].to_numpy())
        if len(lacking):
            number = counted(len(fold.test), "prediction")
            clip, time = task.clips[task.clip_index[lacking[0]]], task.times[lacking[0]]
            raise InputError(
                f"{where}: lacks {len(lacking)} of {number}{_in_repeat(fold.repeat, task)}, "
                f"the first for clip {clip} at {time:g} s; expected one for every test {task.kind}."
            )
        values = found.sort("place").select(pl.col(PARAMETERS).fill_null(math.nan)).to_numpy()
        parts.append(Predictions(fold.repeat, np.sort(fold.test), values))
    return parts


def _in_repeat(repeat: int, task: Task) -> str:
    return f" in repeat {repeat}" if len(task.folds) > 1 else ""
