"""Tables of labels of numbered songs, as published. Problems are collected in a list, not raised.

Ratings of every half second are columns such as ``sample_15000ms`` of one row per song, or one row per song and time.
Ratings of whole songs are a mean and a standard deviation of each axis.
"""

from __future__ import annotations

import csv
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ....runtime.csv_files import find_separator
from ....runtime.text import few
from ...corpus import reading_csv
from ...folds import normalised

AXES = ("arousal", "valence")

# Seven digits of milliseconds are almost three hours.
_SAMPLE = re.compile(r"sample_([0-9]{1,7})ms")
_SONG = re.compile(r"0*([0-9]{1,9})(\.0*)?")

# Number of problems of one file that a message lists.
LISTED = 3

# Spellings of the column of song ids.
SONG_ID = ("songid", "musicid")

# Duration of a label in milliseconds, and the end of the last label that a table may contain.
STEP = 500
_LONGEST = 3 * 3600


@dataclass(frozen=True)
class Grid:
    """A table of labels every half second.

    Attributes
    ----------
    names : list of str
        Names of the rows, song ids or workers; empty if the workers are anonymous.
    stamps : ndarray of int, shape (s,)
        Times in the excerpt in milliseconds, increasing.
    values : ndarray, shape (r, s)
        Labels on the scale of the file; NaN for missing ones.
    """

    names: list[str]
    stamps: npt.NDArray[np.int64]
    values: npt.NDArray[np.float64]


def song_id(text: str) -> str | None:
    """Parse a song id, removing leading zeros; None if it is not a number, since ids become parts of paths."""
    match = _SONG.fullmatch(text.strip())
    return match[1] if match else None


def only(places: dict[str, Path], key: str, path: Path, problems: list[str]) -> None:
    """Add a path to those found, or a problem if there already is a file of that kind."""
    if key in places:
        problems.append(f"{places[key]} and {path}: two files for {key}; expected one")
    places.setdefault(key, path)


def read_rows(path: Path, problems: list[str], prepare: Callable[[str], str] | None = None) -> list[list[str]]:
    """Read the rows of a CSV file in UTF-8, or else in Windows-1252, with cells stripped of surrounding spaces.

    The metadata were written by hand in spreadsheets, which save in the code page of the machine. ``prepare`` changes
    the text of a file separated by commas before it is split into cells.
    """
    with reading_csv(path, problems):
        separator = find_separator(path)
        content = path.read_bytes()
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = content.decode("cp1252")
        text = prepare(text) if prepare and separator == "," else text
        lines = csv.reader(StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
        rows = [stripped for row in lines if any(stripped := [cell.strip() for cell in row])]
        if len(rows) >= 2:
            return rows
        problems.append(f"{path}: has no rows; expected a header and at least one row")
    return []


def read_songs(path: Path, problems: list[str], *, low: float = -1.0) -> Grid | None:
    """Read a table with one row per song and columns such as ``sample_15000ms``.

    Parameters
    ----------
    path : Path
        The table.
    problems : list of str
        List to which problems are added.
    low : float
        Lowest possible value; the highest is 1.

    Returns
    -------
    Grid or None
        None if the table is invalid.
    """
    rows = read_rows(path, problems)
    grid = read_grid(path, rows, SONG_ID, (low, 1.0), problems) if rows else None
    if grid is None:
        return None
    if not grid.names:
        problems.append(f"{path}: lacks the column song_id")
        return None
    songs = [song_id(name) for name in grid.names]
    wrong = [repr(name[:40]) for name, song in zip(grid.names, songs, strict=True) if song is None]
    doubled = [song for song, count in Counter(songs).items() if song and count > 1]
    if wrong:
        problems.append(f"{path}: invalid song_id: {few(wrong)}; expected numbers")
    if doubled:
        problems.append(f"{path}: duplicate song_id: {few(doubled)}")
    return None if wrong or doubled else Grid([song or "" for song in songs], grid.stamps, grid.values)


def read_grid(
    path: Path, rows: list[list[str]], keys: Sequence[str], scale: tuple[float, float], problems: list[str]
) -> Grid | None:
    """Convert rows with columns such as ``sample_15000ms``, named by one of the columns ``keys``; None if invalid."""
    low, high = scale
    header, *body = rows
    samples = {place: int(match[1]) for place, cell in enumerate(header) if (match := _SAMPLE.fullmatch(cell.lower()))}
    named = next((place for place, cell in enumerate(header) if normalised(cell) in keys), None)
    odd = [cell for place, cell in enumerate(header) if cell.lower().startswith("sample_") and place not in samples]
    if odd:
        problems.append(f"{path}: column {odd[0][:40]!r}: expected sample_<milliseconds>ms within three hours")
        return None
    if not samples or len(set(samples.values())) < len(samples):
        problems.append(f"{path}: expected the columns sample_15000ms, sample_15500ms and so on, once each")
        return None
    places = sorted(samples, key=samples.__getitem__)
    values = np.full((len(body), len(places)), np.nan)
    wrong: list[str] = []
    for number, row in enumerate(body):
        if any(row[len(header) :]):
            wrong.append(f"row {number + 2}: {len(row)} cells, but {len(header)} columns")
        for column, place in enumerate(places):
            cell = row[place] if place < len(row) else ""
            if not cell or cell.lower() == "nan":
                continue
            value = number_in(cell)
            # Averages may exceed the scale by a rounding error.
            if low - 1e-6 <= value <= high + 1e-6:
                values[number, column] = min(max(value, low), high)
            else:
                wrong.append(f"row {number + 2}, {header[place]}: {cell!r}")
    if wrong:
        problems.append(f"{path}: expected numbers from {low:g} to {high:g}, one per column ({few(wrong, LISTED)})")
        return None
    names = [row[named] if named < len(row) else "" for row in body] if named is not None else []
    # An empty column does not identify workers.
    names = names if any(names) else []
    return Grid(names, np.array([samples[place] for place in places], np.int64), values)


def read_long(path: Path, columns: Mapping[str, Sequence[str]], problems: list[str]) -> dict[str, Grid] | None:
    """Read a table with one row per song and half second, whose column ``frameTime`` is the end of the half second.

    Values are on 0 to 1.

    Parameters
    ----------
    path : Path
        The table.
    columns : mapping
        Spellings of the column of each axis, without case and punctuation.
    problems : list of str
        List to which problems are added.

    Returns
    -------
    dict or None
        Table of each axis; None if the file is invalid.
    """
    before = len(problems)
    found: dict[tuple[str, int], list[float]] = {}
    wrong: list[str] = []
    for number, cells in records(path, {"song id": SONG_ID, "frameTime": ("frametime",), **columns}, problems):
        song, time = song_id(cells["song id"]), number_in(cells["frameTime"])
        values = [number_in(cells[axis]) for axis in columns]
        if song is None:
            wrong.append(f"row {number}: song id {cells['song id'][:40]!r} is not a number")
        elif not (0.5 <= time <= _LONGEST and (2 * time).is_integer()):
            wrong.append(f"row {number}: frameTime {cells['frameTime'][:40]!r}; expected multiples of 0.5 s")
        elif (song, int(1000 * time)) in found:
            wrong.append(f"row {number}: song {song} and frameTime {time:g} appear twice")
        elif not all(0 <= value <= 1 for value in values):
            shown = ", ".join(f"{axis} {cells[axis][:40]!r}" for axis in columns)
            wrong.append(f"row {number}: song {song}: expected numbers from 0 to 1 ({shown})")
        else:
            found[song, int(1000 * time)] = values
    if wrong:
        problems.append(f"{path}: {few(wrong, LISTED)}")
    if len(problems) > before:
        return None
    songs = {song: row for row, song in enumerate(sorted({song for song, _ in found}, key=int))}
    stamps = {end: column for column, end in enumerate(sorted({end for _, end in found}))}
    table = np.full((len(columns), len(songs), len(stamps)), np.nan)
    for (song, end), values in found.items():
        table[:, songs[song], stamps[end]] = values
    starts = np.array(list(stamps), np.int64) - STEP
    return {axis: Grid(list(songs), starts, table[place]) for place, axis in enumerate(columns)}


def static_columns(*what: str) -> dict[str, tuple[str, str]]:
    """Return the spellings of columns of whole-song ratings: ``arousal_mean`` and so on."""
    return {f"{axis}_{each}": (f"{axis}{each}", f"{each}{axis}") for axis in AXES for each in what}


def read_static(paths: Sequence[Path], problems: list[str]) -> dict[str, dict[str, float]]:
    """Read whole-song ratings, on 1 to 9: ``arousal_mean, arousal_std, valence_mean, valence_std``."""
    songs: dict[str, dict[str, float]] = {}
    columns = {"song_id": SONG_ID, **static_columns("mean", "std")}
    for path in paths:
        rows = records(path, columns, problems)
        songs |= parse_static(path, rows, {"mean": (1, 9), "std": (0, 8)}, problems, known=songs)
    return songs


def parse_static(
    path: Path,
    rows: Sequence[tuple[int, Mapping[str, str]]],
    bounds: Mapping[str, tuple[float, float]],
    problems: list[str],
    known: Mapping[str, object] | None = None,
) -> dict[str, dict[str, float]]:
    """Parse whole-song ratings.

    Parameters
    ----------
    path : Path
        Table of the rows.
    rows : sequence
        Row numbers and cells of :func:`records`, with the columns ``song_id`` and those of :func:`static_columns`.
    bounds : mapping
        Lowest and highest value of each kind of column, ``mean`` and ``std``.
    problems : list of str
        List to which problems are added.
    known : mapping, optional
        Songs of other files, which this one must not contain.

    Returns
    -------
    dict
        Values by song and column.
    """
    names = {"mean": "means", "std": "deviations"}
    expected = ", ".join(f"{names[what]} from {low:g} to {high:g}" for what, (low, high) in bounds.items())
    songs: dict[str, dict[str, float]] = {}
    wrong: list[str] = []
    for number, cells in rows:
        song = song_id(cells["song_id"])
        values = {f"{axis}_{what}": number_in(cells[f"{axis}_{what}"]) for axis in AXES for what in bounds}
        outside = [
            f"{name} {cells[name][:40]!r}"
            for name, value in values.items()
            if not (limits := bounds[name.rpartition("_")[2]])[0] <= value <= limits[1]
        ]
        if song is None or song in songs or song in (known or ()):
            wrong.append(f"row {number}: song_id {cells['song_id'][:40]!r} is not a number, or a duplicate")
        elif outside:
            wrong.append(f"row {number}: song {song}: expected {expected} ({', '.join(outside)})")
        else:
            songs[song] = values
    if wrong:
        problems.append(f"{path}: {few(wrong, LISTED)}")
    return songs


def records(path: Path, columns: Mapping[str, Sequence[str]], problems: list[str]) -> list[tuple[int, dict[str, str]]]:
    """Read a table as pairs of row number and cells by column; cells missing in short rows are empty."""
    rows = read_rows(path, problems)
    if not rows:
        return []
    header = [normalised(cell) for cell in rows[0]]
    places = {
        name: next((header.index(spelling) for spelling in spellings if spelling in header), None)
        for name, spellings in columns.items()
    }
    lacking = [name for name, place in places.items() if place is None]
    if lacking:
        problems.append(f"{path}: lacks the column {', '.join(lacking)}")
        return []
    longer = [
        f"row {number}: {len(row)} cells, but {len(header)} columns"
        for number, row in enumerate(rows[1:], start=2)
        if any(row[len(header) :])
    ]
    if longer:
        problems.append(f"{path}: expected one cell per column ({few(longer, LISTED)})")
        return []
    return [
        (
            number,
            {name: row[place] if place is not None and place < len(row) else "" for name, place in places.items()},
        )
        for number, row in enumerate(rows[1:], start=2)
    ]


def number_in(text: str) -> float:
    """Parse a number; returns NaN, which is outside all bounds, for other text."""
    try:
        return float(text)
    except ValueError:
        return math.nan
