"""Features computed elsewhere: CSV or Parquet, ``clip_id[,time],<numbers...>``.

A CSV file may come without a header: then the first column is the clip, as ``<clip_id>`` or
``<clip_id>.mat`` (the form in which the MoodSwings features are published), and all others are numbers.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from ...errors import InputError
from ...runtime.csv_files import find_separator, not_utf8
from ...runtime.sizes import MAX_VALUES, check_parquet
from ..scoring.task import Task

FloatArray = npt.NDArray[np.float64]

# Rows, columns, and bytes of a clip's name in a Parquet file; more rows where the task has many seconds.
_MAX_ROWS = 1_000_000
_MAX_COLUMNS = 16_384
_MAX_NAME = 1000


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text  # float() takes 1_0 for 10


def _read_csv(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the header, and rows with the number of their line."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as handle:
            reader = csv.reader(handle, delimiter=find_separator(path))
            lines = [(reader.line_num, line) for line in reader if any(cell.strip() for cell in line)]
    except UnicodeDecodeError as error:
        raise not_utf8(path, error) from None
    except (OSError, csv.Error) as error:
        raise InputError(f"{path}: not readable as CSV ({error}).") from error
    if not lines:
        raise InputError(f"{path}: is empty; expected the columns clip_id, optionally time, and one for each value.")
    first = lines[0][1]
    if len(first) > 1 and all(_is_number(cell) for cell in first[1:]):
        return ["clip_id", *(f"x{place}" for place in range(1, len(first)))], lines
    known = {"clip_id", "time"}  # in any case, as in other tables
    return [name.lower() if name.lower() in known else name for name in map(str.strip, first)], lines[1:]


@dataclass(frozen=True)
class _Rows:
    """Rows of a file: line number, clip and time (0 where there is none) of each, and values (n, d) by name."""

    names: list[str]
    lines: list[int]
    clips: list[str]
    times: FloatArray | None
    values: FloatArray


def _read_parquet(path: Path, seconds: int) -> tuple[list[str], pl.DataFrame]:
    """Read header and table, unless the file declares far more than a task of so many seconds can need."""
    try:
        schema = pl.read_parquet_schema(path)
        header = list(schema)
        _check_header(path, header)
        wrong = next((name for name in header if name != "clip_id" and not schema[name].is_numeric()), None)
        if wrong is not None:
            raise InputError(f"{path}: column {wrong} is {schema[wrong]}; expected numbers.")
        if len(header) > _MAX_COLUMNS:
            raise InputError(f"{path}: declares {len(header):,} columns; expected at most {_MAX_COLUMNS:,}.")
        rows = check_parquet(path, max_values=max(MAX_VALUES, seconds * len(header))).rows
        if rows > (allowed := max(_MAX_ROWS, 10 * seconds)):
            raise InputError(
                f"{path}: declares {rows:,} rows; expected at most {allowed:,} for the dataset's {seconds:,} seconds."
            )
        # Alone at first: few bytes can name every clip by a text of many megabytes.
        clips = pl.read_parquet(path, columns=["clip_id"])["clip_id"].cast(pl.String)
        if (longest := clips.str.len_bytes().max() or 0) > _MAX_NAME:  # pyright: ignore[reportOperatorIssue]
            raise InputError(f"{path}: a clip_id of {longest:,} bytes; expected at most {_MAX_NAME}.")
        return header, pl.read_parquet(path).with_columns(clips)
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise InputError(f"{path}: not readable as Parquet ({error}).") from error


def _table(path: Path, seconds: int) -> _Rows:
    """Read a file of either kind."""
    if path.suffix.lower() == ".parquet":
        header, frame = _read_parquet(path, seconds)
        numeric = [name for name in header if name != "clip_id"]
        clips = frame["clip_id"].fill_null("").to_list()
        values = frame.select(pl.col(numeric).cast(pl.Float64).fill_null(np.nan)).to_numpy()
        numbers = list(range(1, len(clips) + 1))
    else:
        header, lines = _read_csv(path)
        _check_header(path, header)
        numeric = [name for name in header if name != "clip_id"]
        place = header.index("clip_id")
        rows = []
        for number, line in lines:
            if len(line) != len(header):
                raise InputError(
                    f"{path}: line {number} has {len(line)} columns; expected {len(header)} as in the first."
                )
            cells = line[:place] + line[place + 1 :]
            wrong = [cell for cell in cells if not _is_number(cell)]
            if wrong:
                raise InputError(
                    f"{path}: line {number}: {wrong[0]!r} is not a number; expected numbers in all columns but clip_id."
                )
            rows.append([float(cell) for cell in cells])
        numbers = [number for number, _ in lines]
        clips = [line[place].strip() for _, line in lines]
        values = np.array(rows, np.float64).reshape(len(rows), len(numeric))
    if "" in clips:
        raise InputError(f"{path}: line {numbers[clips.index('')]}: clip_id is empty; expected a clip.")
    wrong = np.argwhere(~(np.abs(values) <= np.finfo(np.float32).max))
    if len(wrong):
        row, column = wrong[0]
        raise InputError(
            f"{path}: line {numbers[row]} (clip {clips[row]}): {numeric[column]} is {values[row, column]}; "
            "expected a finite number within the range of float32."
        )
    times = values[:, numeric.index("time")] if "time" in numeric else None
    kept = [column for column, name in enumerate(numeric) if name != "time"]
    return _Rows([numeric[column] for column in kept], numbers, clips, times, values[:, kept])


def _check_header(path: Path, header: list[str]) -> None:
    if "clip_id" not in header or len(set(header) - {"time"}) < 2 or len(set(header)) != len(header):
        raise InputError(
            f"{path}: columns {', '.join(header[:5])}...; expected clip_id[,time],<numbers...>, each once."
        )


def read_features(path: Path, task: Task) -> FloatArray:
    """Return the values of a feature file for a task, as :func:`read_columns` does."""
    return read_columns(path, task)[1]


def read_columns(path: Path, task: Task) -> tuple[list[str], FloatArray, bool]:
    """Read a feature file for a task.

    Parameters
    ----------
    path : Path
        ``.csv`` or ``.parquet``. Without a column ``time``, a clip's vector holds for all its rows; with it, times are
        the ends of seconds as in the dataset's targets. Clips that the task does not have are ignored.
    task : Task
        Which clips and seconds are wanted.

    Returns
    -------
    names : list of str
        Of the columns.
    values : ndarray of float64, shape (n, d)
        One row per second of each clip; without a column ``time``, one per row of the task.
    pooled : bool
        Whether there is one row per row of the task.

    Raises
    ------
    InputError
        If the file is unreadable, lacks a clip or a second, names one twice, changes its width, or holds
        text or NaN, naming the line.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such feature file.")
    rows = _table(path, len(task.targets))
    wanted = set(task.clips)
    where: dict[tuple[str, float], int] = {}
    for row, clip in enumerate(rows.clips):
        name = clip if clip in wanted else clip.removesuffix(".mat")
        if name not in wanted:
            continue
        key = (name, 0.0 if rows.times is None else round(float(rows.times[row]), 6))
        if key in where:
            at = "" if rows.times is None else f" at {key[1]:g} s"
            raise InputError(
                f"{path}: line {rows.lines[row]}: clip {name}{at} appears twice (first in line "
                f"{rows.lines[where[key]]}); expected it once."
            )
        where[key] = row
    lacking = sorted(wanted - {clip for clip, _ in where})
    if lacking:
        raise InputError(
            f"{path}: lacks {len(lacking)} of the dataset's {len(wanted)} clips ({', '.join(lacking[:5])}"
            f"{', ...' if len(lacking) > 5 else ''}); expected a vector for every clip in the folds."
        )
    if rows.times is None:
        index = np.array([where[task.clips[clip], 0.0] for clip in task.clip_index], np.intp)
        return rows.names, rows.values[index], True
    index = []
    for clip, seconds in zip(task.clips, task.seconds, strict=True):
        for second in seconds:
            key = (clip, round(float(second), 6))
            if key not in where:
                raise InputError(
                    f"{path}: clip {clip} lacks second {second:g}; expected {', '.join(f'{t:g}' for t in seconds)}."
                )
            index.append(where[key])
    return rows.names, rows.values[np.array(index, np.intp)], False
