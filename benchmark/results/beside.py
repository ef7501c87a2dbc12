"""Files beside a result from which its predictions are computed again: features, and parameters of the regressor.

Features are the float32 values that the regressor received, one row for each row of the task (and repeat, where they
depend on the fold). Parameters are those of regressors without a closed form, one set for each repeat.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from ...errors import EmobenchError
from ...runtime.files import replacing, sha256_file
from ...runtime.sizes import check_parquet
from ..scoring.regressors.stored import Arrays, joined, part
from ..scoring.task import Task
from .model import Result

Float32Array = npt.NDArray[np.float32]

FEATURES, COMPACT, PARAMETERS = ".features.parquet", ".features-float16.parquet", ".parameters.safetensors"

# Most values of a file of features: 2 GiB of float32.
_MOST_VALUES = 2**29

# Most bytes of a file of parameters. Support vector regression stores 4,000 numbers for each target and repeat.
_MOST_BYTES = 2**28


def features_path(path: Path) -> Path:
    """Return the path of the features beside a result."""
    return path.with_suffix(FEATURES)


def compact_path(path: Path) -> Path:
    """Return the path of features that were rounded to float16 for publication."""
    return path.with_suffix(COMPACT)


def parameters_path(path: Path) -> Path:
    """Return the path of the fitted parameters beside a result."""
    return path.with_suffix(PARAMETERS)


def feature_table(task: Task, values: Sequence[Float32Array]) -> pl.DataFrame:
    """Arrange features as they are stored.

    Parameters
    ----------
    task : Task
        Task with the rows.
    values : sequence of ndarray of float32, shape (n_rows, d)
        Values of each repeat, or one array if they do not depend on the fold.
    """
    tables = []
    for fold, rows in zip(task.folds, values, strict=False):
        listed = pl.Series("values", rows, dtype=pl.Array(pl.Float32, rows.shape[1])).arr.to_list()
        repeat = [] if len(values) == 1 else [pl.repeat(fold.repeat, len(rows), dtype=pl.Int32, eager=True)]
        named = [each.alias("repeat") for each in repeat]
        tables.append(pl.DataFrame([*named, _clips(task), pl.Series("time", task.times), listed]))
    return pl.concat(tables)


def read_features(result: Result, task: Task) -> tuple[list[Float32Array] | None, list[str]]:
    """Read the features beside a result.

    Returns
    -------
    values : list of ndarray of float32, shape (n_rows, d), or None
        Values of each repeat, or one array if they do not depend on the fold; None if they cannot be used.
    damage : list of str
        One line for each problem; empty if there is no such file.
    """
    path = features_path(result.path)
    if not path.is_file():
        return None, []
    damage = _other_hash(path, result.files.features, "features")
    try:
        check_parquet(path, max_values=_MOST_VALUES)
        table = pl.read_parquet(path)
    except EmobenchError as error:
        return None, [*damage, str(error).removeprefix(f"{path.parent}/")]
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        return None, [*damage, f"{path.name}: cannot be read as Parquet ({str(error).strip().splitlines()[0]})"]
    values = _values(table, task)
    if isinstance(values, str):
        return None, [*damage, f"{path.name}: {values}"]
    return values, damage


def _values(table: pl.DataFrame, task: Task) -> list[Float32Array] | str:
    """Return the values of each repeat of a table, or say why it is not a table of features."""
    wanted = {"clip_id": pl.String, "time": pl.Float64, "values": pl.List(pl.Float32)}
    several = "repeat" in table.columns
    if dict(table.schema) != ({"repeat": pl.Int32} if several else {}) | wanted:
        return f"has wrong columns; expected {', '.join(wanted)}, and repeat if the values depend on it"
    repeats = [fold.repeat for fold in task.folds] if several else [task.folds[0].repeat]
    rows = pl.DataFrame([_clips(task), pl.Series("time", task.times)])
    numbers = [pl.lit(each, pl.Int32).alias("repeat") for each in repeats]
    keys = pl.concat([rows.select(number, pl.all()) if several else rows for number in numbers])
    if not table.drop("values").equals(keys):
        return "has other rows than the dataset; expected every second of every clip, in the dataset's order"
    widths = table["values"].list.len().unique()
    if widths.null_count() or len(widths) != 1 or not widths[0]:
        return "the number of values differs from row to row; expected one number"
    flat = table["values"].explode()
    if flat.null_count() or not flat.is_finite().all():
        return "holds values that are not finite"
    return list(flat.to_numpy().reshape(len(repeats), len(task.times), int(widths[0])))


def _clips(task: Task) -> pl.Series:
    return pl.Series("clip_id", task.clips, dtype=pl.String)[task.clip_index]


def write_parameters(path: Path, parameters: Mapping[int, Arrays]) -> None:
    """Write the fitted parameters of each repeat, atomically."""
    from safetensors.numpy import save

    arrays = joined({str(repeat): each for repeat, each in parameters.items()})
    content = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def read_parameters(result: Result) -> tuple[Callable[[int], Arrays] | None, list[str]]:
    """Read the fitted parameters beside a result.

    Returns
    -------
    parameters : callable or None
        Function from a repeat to its parameters; None if they cannot be used.
    damage : list of str
        One line for each problem; empty if there is no such file.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    path = parameters_path(result.path)
    if not path.is_file():
        return None, []
    if (size := path.stat().st_size) > _MOST_BYTES:
        return None, [f"{path.name}: has {size:,} bytes; expected at most {_MOST_BYTES:,}"]
    damage = _other_hash(path, result.files.parameters, "parameters")
    try:
        arrays = load(path.read_bytes())
    except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
        return None, [*damage, f"{path.name}: cannot be read as safetensors ({error})"]
    return lambda repeat: part(arrays, str(repeat)), damage


def _other_hash(path: Path, recorded: str | None, name: str) -> list[str]:
    if sha256_file(path) == recorded:
        return []
    return [f"{path.name}: has another SHA-256 than the result records (files.{name})"]


def link(source: Path, target: Path) -> None:
    """Let a second name stand for a file, so that entries with the same features store them once; copy if need be."""
    if source == target:
        return
    with replacing(target) as temporary:
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)


def compact(path: Path) -> bytes | None:
    """Return a file of features with values rounded to float16; None if a value is outside their range."""
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    column = table["values"].combine_chunks()
    with np.errstate(over="ignore"):
        halves = column.flatten().to_numpy().astype(np.float16)
    if not np.isfinite(halves).all():
        return None
    lists = pa.LargeListArray.from_arrays(pa.array(column.offsets, pa.int64()), pa.array(halves))
    encoded = io.BytesIO()
    pq.write_table(table.set_column(table.column_names.index("values"), "values", lists), encoded, compression="zstd")
    return encoded.getvalue()
