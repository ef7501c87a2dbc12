"""Tables of tracks of the Million Song Dataset, in each form that is distributed.

These are ``track_metadata.db`` (SQLite), ``msd_summary_file.h5``, ``unique_tracks.txt`` with a list of 7digital ids in
the same folder, or a tree of per-track ``.h5`` files. With a million rows, files are read by columns.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import polars as pl

from ....errors import InputError
from ....runtime.csv_files import check_not_pointer, is_pointer
from ....runtime.files import digest, sha256_file
from ....runtime.progress import progress
from ....runtime.sizes import open_dataset
from ....runtime.text import few
from ...corpus import as_problem
from ...tree import files_below
from .ids import TRACK_ID, first_line, read_ids, scan_lines, with_ids

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = ("track_id", "artist", "album", "title", "seven_digital_id")

# Rows of the summary file read at a time; each takes 5,540 bytes.
_BLOCK = 8192

# Limits: rows of the whole dataset, rows of a per-track file (which has one), and bytes per row.
_MSD_ROWS = 1_000_000
_FILE_ROWS = 10_000
_ROW_BYTES = 8192

# Number of per-track files whose rows are joined at a time.
_FILES_AT_ONCE = 1000

_DATABASE = {
    "track_id": "track_id",
    "artist": "artist_name",
    "album": "release",
    "title": "title",
    "seven_digital_id": "track_7digitalid",
}
_SONGS = {name: column for name, column in _DATABASE.items() if name != "track_id"}

# Errors that reading another kind of file, or a damaged one, may raise.
_UNREADABLE = (OSError, KeyError, ValueError, TypeError, RuntimeError, MemoryError)

_EXPECTED = (
    "expected track_metadata.db, msd_summary_file.h5, unique_tracks.txt or per-track files TR….h5 of the Million "
    "Song Dataset"
)


@dataclass(frozen=True)
class Metadata:
    """Tracks of the dataset.

    Attributes
    ----------
    tracks : DataFrame
        ``track_id, artist, album, title, seven_digital_id`` as strings, sorted by ``track_id``; ``seven_digital_id``
        is null where there is none.
    source : dict
        Form of the metadata and its SHA-256.
    """

    tracks: pl.DataFrame
    source: dict[str, Any]


_Reader = Callable[[Path, list[str]], Metadata | None]


def read(place: Path, problems: list[str]) -> Metadata | None:
    """Read the tracks.

    Parameters
    ----------
    place : Path
        A file, or a folder with one or with a tree of per-track files. If a folder has several forms, the first one
        in the order of this module's docstring is read.
    problems : list of str
        List to which problems are added.

    Returns
    -------
    Metadata or None
        None if nothing can be read.
    """
    if not place.exists():
        problems.append(f"{place}: no such file or folder; {_EXPECTED}")
        return None
    for reader, names in _FORMS:
        for path in [place] if place.is_file() else sorted(place.iterdir()):
            named = path.is_file() and any(fnmatchcase(path.name.lower(), name) for name in names)
            if named or (path == place and reader is _form_of(path)):
                before = len(problems)
                metadata = _read_file(reader, path, problems)
                return None if metadata is None or len(problems) > before else _checked(path, metadata, problems)
    before = len(problems)
    paths = [place] if place.is_file() else [place / path for path in files_below(place, (".h5",), problems)]
    if len(problems) > before:
        return None
    if not paths or (place.is_file() and place.suffix.lower() != ".h5"):
        problems.append(f"{place}: {'not metadata' if place.is_file() else 'contains no metadata'}; {_EXPECTED}")
        return None
    metadata = _read_tree(place, paths, problems)
    return None if metadata is None else _checked(place, metadata, problems)


def _read_file(reader: _Reader, path: Path, problems: list[str]) -> Metadata | None:
    try:
        check_not_pointer(path)
    except InputError as error:
        problems.append(as_problem(error))
        return None
    return reader(path, problems)


def _form_of(path: Path) -> _Reader | None:
    """Return the reader of a file, judged by its content."""
    with path.open("rb") as file:
        start = file.read(64)
    if start.startswith(b"SQLite format 3\0"):
        return _read_database
    if start.startswith(b"\x89HDF"):
        with suppress(OSError, KeyError, ValueError, RuntimeError), h5py.File(path) as file:
            return _read_summary if len(_opened(file, "metadata/songs", _MSD_ROWS)) > 1 else None
        return None
    return _read_lines if re.match(rb"[^\n]*<SEP>", start) else None


def _checked(path: Path, metadata: Metadata, problems: list[str]) -> Metadata | None:
    """Sort the tracks and check their ids; adds a problem for each kind of error."""
    tracks = metadata.tracks
    if tracks.is_empty():
        problems.append(f"{path}: has no tracks")
        return None
    sound = tracks["track_id"].str.contains(f"^{TRACK_ID}$").fill_null(False)
    if not sound.all():
        wrong = tracks.filter(~sound)["track_id"]
        problems.append(f"{path}: invalid track ids: {few(map(repr, wrong))}; expected ids such as TRAAAAW128F429D538")
    doubled = tracks.filter(pl.col("track_id").is_duplicated())["track_id"].unique().sort()
    if len(doubled):
        problems.append(f"{path}: duplicate track ids: {few(doubled)}")
    return Metadata(with_ids(path, tracks, problems).sort("track_id"), metadata.source)


def _source(form: str, path: Path) -> dict[str, Any]:
    return {"type": "msd", "metadata": form, "sha256": sha256_file(path)}


def _read_database(path: Path, problems: list[str]) -> Metadata | None:
    from adbc_driver_manager import Error
    from adbc_driver_sqlite import dbapi

    try:
        with dbapi.connect(f"file:{_escaped(path)}?mode=ro") as connection, connection.cursor() as cursor:
            cursor.execute("SELECT name FROM pragma_table_info('songs')")
            present = cursor.fetch_arrow_table().column(0).to_pylist()
            lacking = [column for column in _DATABASE.values() if column not in present]
            if lacking:
                what = f"lacks the columns {', '.join(lacking)}" if present else "does not exist"
                problems.append(f"{path}: table songs {what}; expected track_metadata.db of the Million Song Dataset")
                return None
            columns = ", ".join(f"COALESCE(CAST({old} AS TEXT), '') AS {new}" for new, old in _DATABASE.items())
            cursor.execute(f"SELECT {columns} FROM songs")
            table = cursor.fetch_arrow_table()
    except (Error, OSError) as error:
        problems.append(f"{path}: not readable as SQLite ({str(error).splitlines()[0]})")
        return None
    # SQLite stores any bytes as text; the libraries that read them next assume UTF-8.
    if wrong := _undecodable(table):
        problems.append(
            f"{path}: cells of the table songs that are not UTF-8 text: {few(wrong)}. Correct or remove them"
        )
        return None
    tracks = pl.from_arrow(table)
    assert isinstance(tracks, pl.DataFrame)
    return Metadata(tracks.cast(pl.String), _source("track_metadata.db", path))


def _undecodable(table: pa.Table) -> list[str]:
    """List track, column and bytes of each cell that is not UTF-8."""
    import pyarrow as pa

    wrong = []
    with suppress(pa.ArrowInvalid):
        table.validate(full=True)
        return wrong
    columns = {name: table[name].cast(pa.binary()).to_pylist() for name in _DATABASE}
    for name, cells in columns.items():
        for track, cell in zip(columns["track_id"], cells, strict=True):
            try:
                cell.decode()
            except UnicodeDecodeError:
                wrong.append(f"track {track.decode(errors='backslashreplace')}: {_DATABASE[name]} {cell[:40]!r}")
    return wrong


def _escaped(path: Path) -> str:
    """Escape a path for a URI of SQLite."""
    return re.sub("[%?#]", lambda match: f"%{ord(match[0]):02x}", str(path.resolve()))


def _read_summary(path: Path, problems: list[str]) -> Metadata | None:
    parts = []
    try:
        with h5py.File(path) as file:
            songs, analysis = _songs(file, _MSD_ROWS)
            if len(songs) != len(analysis):
                problems.append(
                    f"{path}: {len(songs)} rows of metadata, but {len(analysis)} rows of analysis; expected the same "
                    "number"
                )
                return None
            # Cells have 1,024 bytes of text, so only the columns needed are copied.
            wanted = songs.fields(list(_SONGS.values()))
            starts = range(0, len(songs), _BLOCK)
            for first in progress(starts, "metadata", "block"):
                last = min(first + _BLOCK, len(songs))
                parts.append(_columns(wanted[first:last], analysis.fields("track_id")[first:last]))
    except _UNREADABLE as error:
        problems.append(f"{path}: not readable as a summary file of the Million Song Dataset ({first_line(error)})")
        return None
    return Metadata(pl.concat(parts) if parts else _empty(), _source("msd_summary_file.h5", path))


def _opened(file: h5py.File, name: str, rows: int) -> h5py.Dataset:
    return open_dataset(file, name, max_rows=rows, max_row_bytes=_ROW_BYTES)


def _songs(file: h5py.File, rows: int) -> tuple[Any, Any]:
    """Open ``/metadata/songs`` and ``/analysis/songs``; raises KeyError if a table or column is missing."""
    songs: Any = _opened(file, "metadata/songs", rows)
    analysis: Any = _opened(file, "analysis/songs", rows)
    lacking = [name for name in _SONGS.values() if name not in (songs.dtype.names or ())]
    lacking += [] if "track_id" in (analysis.dtype.names or ()) else ["track_id"]
    if lacking:
        raise KeyError(f"no column {', '.join(lacking)}")
    return songs, analysis


def _columns(songs: Any, track_ids: Any) -> pl.DataFrame:
    """Convert rows of the HDF5 tables, whose text is UTF-8 of fixed width."""
    text = {"track_id": _text(track_ids)}
    text |= {name: _text(songs[column]) for name, column in _SONGS.items() if name != "seven_digital_id"}
    ids = pl.Series(np.ascontiguousarray(songs["track_7digitalid"])).cast(pl.String)
    return pl.DataFrame({**text, "seven_digital_id": ids})


def _text(values: Any) -> pl.Series:
    import pyarrow as pa

    return pl.Series(pl.from_arrow(pa.array(np.ascontiguousarray(values)).cast(pa.string())))


def _empty() -> pl.DataFrame:
    return pl.DataFrame(schema=dict.fromkeys(COLUMNS, pl.String))


def _read_lines(path: Path, problems: list[str]) -> Metadata | None:
    tracks = _read_parts(path, problems)
    if tracks is None:
        return None
    source = _source("unique_tracks.txt", path)
    ids, lists = read_ids(path.parent, problems)
    if ids is None:
        return Metadata(tracks.with_columns(seven_digital_id=pl.lit("")), source)
    # A file of another name may be an excerpt, with other tracks than an excerpt of the list.
    if path.name.lower() == "unique_tracks.txt" and not ids["track_id"].is_in(tracks["track_id"].implode()).any():
        problems.append(
            f"{lists[0]}: none of its {len(ids)} ids belongs to a track of {path.name} "
            f"(such as {tracks['track_id'][0]}); use the list for these tracks, or remove it"
        )
    source["seven_digital_ids_sha256"] = digest([[path.name, sha256_file(path)] for path in lists])
    tracks = tracks.join(ids, on="track_id", how="left", maintain_order="left")
    return Metadata(tracks, source)


def _read_parts(path: Path, problems: list[str]) -> pl.DataFrame | None:
    """Read the tracks of ``unique_tracks.txt``, without 7digital ids; None if a line is malformed."""
    parts = pl.col("line").str.split("<SEP>")
    tracks = scan_lines(
        path,
        problems,
        track_id=parts.list.get(0),
        artist=parts.list.get(2, null_on_oob=True),
        album=pl.lit(""),
        title=pl.when(parts.list.len() == 4).then(parts.list.get(3, null_on_oob=True)),
        number="number",
    )
    if tracks is None:
        return None
    wrong = tracks.filter(pl.col("title").is_null())["number"]
    if len(wrong):
        problems.append(
            f"{path}: lines that do not have four parts separated by <SEP>: {few(map(str, wrong))}; expected "
            "unique_tracks.txt of the Million Song Dataset"
        )
        return None
    return tracks.drop("number")


def _read_tree(place: Path, paths: Sequence[Path], problems: list[str]) -> Metadata | None:
    # A frame takes 40 kB more than its row, so frames are joined as they are read.
    joined, recent, damaged, misnamed = _empty(), [], [], []
    for path in progress(paths, "metadata", "file"):
        try:
            with h5py.File(path) as file:
                songs, analysis = _songs(file, _FILE_ROWS)
                recent.append(_columns(songs[:], analysis.fields("track_id")[:]))
            content = recent[-1]["track_id"].to_list()
            if re.fullmatch(TRACK_ID, path.stem) and content and content != [path.stem]:
                misnamed.append(f"{path.name}: {few(content, 2)}")
            if len(recent) == _FILES_AT_ONCE:
                joined = joined.extend(pl.concat(recent))
                recent.clear()
        except _UNREADABLE as error:
            damaged.append(f"{path.name}: {'a Git LFS pointer' if is_pointer(path) else first_line(error)}")
    if damaged:
        problems.append(
            f"{place}: .h5 files that are damaged or not from the Million Song Dataset: {few(damaged)}. Remove or "
            "replace them"
        )
    if misnamed:
        problems.append(
            f"{place}: .h5 files that contain another track than their names say: {few(misnamed)}. Rename them"
        )
    if len(damaged) == len(paths):
        return None
    tracks = pl.concat([joined, *recent]).sort("track_id", *COLUMNS[1:])
    digested = hashlib.sha256(tracks.write_csv().encode()).hexdigest()
    return Metadata(tracks, {"type": "msd", "metadata": "per-track .h5", "sha256": digested})


_FORMS: tuple[tuple[_Reader, tuple[str, ...]], ...] = (
    (_read_database, ("track_metadata.db", "subset_track_metadata.db")),
    (_read_summary, ("msd_summary_file.h5", "subset_msd_summary_file.h5")),
    (_read_lines, ("unique_tracks*.txt", "subset_unique_tracks*.txt")),
)
