"""Ids of the Million Song Dataset and of 7digital, and the lists that map one to the other.

A list is ``7digital_ids.csv`` (``track_id,seven_digital_id``), or ``msd_id.txt`` and ``7digital_id.txt``, whose lines
correspond.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from ....errors import InputError
from ....runtime.csv_files import check_not_pointer, read_csv
from ....runtime.text import few
from ...corpus import as_problem

# Ids become parts of paths, so nothing but these letters and digits is accepted.
TRACK_ID = "TR[A-Z]{5}[0-9A-F]{11}"
SEVEN_DIGITAL_ID = "[1-9][0-9]{0,11}"

_IDS = "7digital_ids.csv"
_ID_LINES = ("msd_id.txt", "7digital_id.txt")


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its type if it has none."""
    return (str(error).strip("'\"") or type(error).__name__).splitlines()[0]


def with_ids(path: Path, tracks: pl.DataFrame, problems: list[str]) -> pl.DataFrame:
    """Replace absent 7digital ids by null; adds a problem if others are invalid."""
    # MSD writes 0 or -1 where there is no id.
    ids = pl.col("seven_digital_id").str.strip_chars().replace(["", "0", "-1"], None)
    tracks = tracks.with_columns(ids)
    wrong = tracks.filter(~pl.col("seven_digital_id").str.contains(f"^{SEVEN_DIGITAL_ID}$"))
    if len(wrong):
        listed = (f"{id!r} (track {track})" for track, id in wrong.select("track_id", "seven_digital_id").iter_rows())
        problems.append(f"{path}: 7digital ids that are not numbers: {few(listed)}")
    return tracks


def scan_lines(path: Path, problems: list[str], **columns: pl.Expr | str) -> pl.DataFrame | None:
    """Compute columns from the ``line`` and ``number`` of each line; None if the file is not UTF-8 text."""
    lines = pl.scan_csv(
        path,
        has_header=False,
        schema={"line": pl.String},
        # A character that text does not contain, so that each line is one cell.
        separator="\x01",
        quote_char=None,
        row_index_name="number",
        row_index_offset=1,
    )
    try:
        check_not_pointer(path)
        # Without streaming, the parts of all lines would take a gigabyte.
        return (
            lines.with_columns(pl.col("line").str.strip_chars_end("\r")).select(**columns).collect(engine="streaming")
        )
    except InputError as error:
        problems.append(as_problem(error))
    except (pl.exceptions.PolarsError, OSError) as error:
        problems.append(f"{path}: not readable as text in UTF-8 without the character U+0001 ({first_line(error)})")
    return None


def read_ids(folder: Path, problems: list[str]) -> tuple[pl.DataFrame | None, list[Path]]:
    """Read the list of 7digital ids in a folder.

    Returns
    -------
    ids : DataFrame or None
        ``track_id, seven_digital_id``; None without a usable list.
    paths : list of Path
        Files of the list.
    """
    paths = [folder / _IDS] if (folder / _IDS).is_file() else [folder / name for name in _ID_LINES]
    ids = _read_id_table(paths[0], problems) if len(paths) == 1 else _read_id_lines(paths, problems)
    if ids is None:
        return None, paths
    doubled = ids.filter(pl.col("track_id").is_duplicated())["track_id"].unique().sort()
    if len(doubled):
        problems.append(f"{folder}: duplicate tracks in the list of 7digital ids: {few(doubled)}")
        return None, paths
    return with_ids(paths[-1], ids, problems), paths


def _read_id_table(path: Path, problems: list[str]) -> pl.DataFrame | None:
    columns = ("track_id", "seven_digital_id")
    try:
        return read_csv(path, columns).select(columns)
    except pl.exceptions.ColumnNotFoundError:
        problems.append(f"{path}: expected the columns {', '.join(columns)}")
    except InputError as error:
        problems.append(as_problem(error))
    return None


def _read_id_lines(paths: Sequence[Path], problems: list[str]) -> pl.DataFrame | None:
    """Read a file of tracks and a file of their 7digital ids, whose lines correspond."""
    lacking = [path for path in paths if not path.is_file()]
    if len(lacking) == 1:
        problems.append(f"{lacking[0]}: missing; the lines of {' and '.join(_ID_LINES)} correspond, so both are needed")
    if lacking:
        return None
    tracks, numbers = (scan_lines(path, problems, line="line") for path in paths)
    if tracks is None or numbers is None:
        return None
    if len(tracks) != len(numbers):
        problems.append(
            f"{paths[0]}: {len(tracks)} lines, but {paths[1].name} has {len(numbers)}; expected the same number, since "
            "their lines correspond"
        )
        return None
    return pl.DataFrame({"track_id": tracks["line"], "seven_digital_id": numbers["line"]})
