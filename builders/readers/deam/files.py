"""Find the files of DEAM by their names, read and check them. Problems are collected in a list, not raised."""

from __future__ import annotations

import csv
import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ....runtime.csv_files import find_separator
from ....runtime.files import sha256_file
from ....runtime.text import few
from ...corpus import reading_csv
from ...folds import normalised
from ...tree import files_below

AXES = ("arousal", "valence")

# Seven digits of milliseconds are almost three hours.
_SAMPLE = re.compile(r"sample_([0-9]{1,7})ms")
_SONG = re.compile(r"0*([0-9]{1,9})(\.0*)?")
_WORKER = ("workerid", "worker")

# Number of problems of one file that a message lists.
LISTED = 3

# Scale of the workers' files in some versions; the published means are on -1 to 1.
WIDE = 10.0


@dataclass
class Found:
    """Paths of the files.

    Attributes
    ----------
    means, deviations : dict
        Axis to table of all songs: ``arousal.csv``, and ``arousal_std.csv`` or ``arousal_cont_std.csv``.
    workers : dict
        Axis and song id to table of one song, in a folder named ``arousal`` or ``valence``.
    static : list of Path
        ``static_annotations_averaged_songs_*.csv``.
    metadata : list of Path
        ``metadata*.csv``.
    """

    means: dict[str, Path] = field(default_factory=dict)
    deviations: dict[str, Path] = field(default_factory=dict)
    workers: dict[str, dict[str, Path]] = field(default_factory=lambda: {axis: {} for axis in AXES})
    static: list[Path] = field(default_factory=list)
    metadata: list[Path] = field(default_factory=list)

    def hashes(self, folder: Path) -> list[tuple[str, str]]:
        """Compute the SHA-256 of each file; returns pairs of relative path and hash."""
        owned = [path for songs in self.workers.values() for path in songs.values()]
        paths = [*self.means.values(), *self.deviations.values(), *owned, *self.static, *self.metadata]
        # Metadata beside the annotations get the same relative path as metadata among them.
        beside = _metadata_beside(folder).parent
        places = {path: path.relative_to(folder if path.is_relative_to(folder) else beside) for path in paths}
        return sorted((place.as_posix(), sha256_file(path)) for path, place in places.items())


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


def find_files(folder: Path, problems: list[str]) -> Found:
    """Find the files in a folder and its subfolders, and the metadata also in the folder ``metadata`` beside it."""
    found = Found()
    for path in [folder / below for below in files_below(folder, (".csv",), problems)]:
        name, above = path.stem.lower(), path.parent.name.lower()
        axis = name.split("_")[0]
        if name in AXES:
            _only(found.means, axis, path, problems)
        elif axis in AXES and name in (f"{axis}_std", f"{axis}_cont_std"):
            _only(found.deviations, axis, path, problems)
        elif name.startswith("static_annotations_averaged_songs"):
            found.static.append(path)
        elif name.startswith("metadata"):
            found.metadata.append(path)
        elif above in AXES:
            song = song_id(path.stem)
            if song is None:
                problems.append(f"{path}: expected a song id as the file name")
            else:
                _only(found.workers[above], song, path, problems)
    if not found.metadata:
        beside = _metadata_beside(folder)
        paths = [beside / below for below in files_below(beside, (".csv",), problems)]
        found.metadata = [path for path in paths if path.name.lower().startswith("metadata")]
    return found


def _metadata_beside(folder: Path) -> Path:
    return folder.resolve().parent / "metadata"


def _only(places: dict[str, Path], key: str, path: Path, problems: list[str]) -> None:
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
    grid = _grid(path, rows, ("songid",), (low, 1.0), problems) if rows else None
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


def read_workers(path: Path, problems: list[str]) -> Grid | None:
    """Read the table of one song, with one row per worker and an optional column ``WorkerId``; None if invalid.

    Values may be on the scale -1 to 1 or -10 to 10 and are returned unchanged.
    """
    rows = read_rows(path, problems)
    return _grid(path, rows, _WORKER, (-WIDE, WIDE), problems) if rows else None


def _grid(
    path: Path, rows: list[list[str]], keys: Sequence[str], scale: tuple[float, float], problems: list[str]
) -> Grid | None:
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
            value = _number(cell)
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


def read_static(paths: Sequence[Path], problems: list[str]) -> dict[str, dict[str, float]]:
    """Read whole-song ratings, on 1 to 9: ``arousal_mean, arousal_std, valence_mean, valence_std``."""
    wanted = [f"{axis}_{what}" for axis in AXES for what in ("mean", "std")]
    columns = {name: (normalised(name),) for name in ("song_id", *wanted)}
    songs: dict[str, dict[str, float]] = {}
    for path in paths:
        wrong: list[str] = []
        for number, cells in _records(path, columns, problems):
            song = song_id(cells["song_id"])
            values = {name: _number(cells[name]) for name in wanted}
            if song is None or song in songs:
                wrong.append(f"row {number}: song_id {cells['song_id'][:40]!r} is not a number, or a duplicate")
            elif not all(1 <= values[f"{axis}_mean"] <= 9 and 0 <= values[f"{axis}_std"] <= 8 for axis in AXES):
                wrong.append(f"row {number}: song {song}: expected means from 1 to 9, deviations from 0 to 8")
            else:
                songs[song] = values
        if wrong:
            problems.append(f"{path}: {few(wrong, LISTED)}")
    return songs


def _records(path: Path, columns: dict[str, tuple[str, ...]], problems: list[str]) -> list[tuple[int, dict[str, str]]]:
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
    return [
        (
            number,
            {name: row[place] if place is not None and place < len(row) else "" for name, place in places.items()},
        )
        for number, row in enumerate(rows[1:], start=2)
    ]


def _number(text: str) -> float:
    """Parse a number; returns NaN, which is outside all bounds, for other text."""
    try:
        return float(text)
    except ValueError:
        return math.nan
