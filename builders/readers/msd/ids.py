"""Ids of the Million Song Dataset and of 7digital, and the lists that say which belongs to which.

``7digital_ids.csv`` (``track_id,seven_digital_id``), or ``msd_id.txt`` and ``7digital_id.txt``, line by line.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from ....runtime.text import few

# Nothing but these letters and digits can become a part of a path.
TRACK_ID = "TR[A-Z]{5}[0-9A-F]{11}"
SEVEN_DIGITAL_ID = "[1-9][0-9]{0,11}"

_IDS = "7digital_ids.csv"
_ID_LINES = ("msd_id.txt", "7digital_id.txt")


def first_line(error: BaseException) -> str:
    """What an error says, in one line."""
    return (str(error).strip("'\"") or type(error).__name__).splitlines()[0]


def with_ids(path: Path, tracks: pl.DataFrame, problems: list[str]) -> pl.DataFrame:
    """The same with null where there is no 7digital id; adds a problem if others are none."""
    # MSD writes 0 or -1 where there is no id.
    ids = pl.col("seven_digital_id").str.strip_chars().replace(["", "0", "-1"], None)
    tracks = tracks.with_columns(ids)
    wrong = tracks.filter(~pl.col("seven_digital_id").str.contains(f"^{SEVEN_DIGITAL_ID}$"))
    if len(wrong):
        row = wrong.row(0, named=True)
        problems.append(
            f"{path}: {len(wrong)} 7digital ids are no numbers (track {row['track_id']}: {row['seven_digital_id']!r})"
        )
    return tracks


def collected(path: Path, problems: list[str], **columns: pl.Expr | str) -> pl.DataFrame | None:
    """Columns made of the ``line`` and ``number`` of each line; None where the file is no text in UTF-8."""
    lines = pl.scan_csv(
        path,
        has_header=False,
        schema={"line": pl.String},
        # No text has this character, so a line is one cell.
        separator="\x01",
        quote_char=None,
        row_index_name="number",
        row_index_offset=1,
    )
    try:
        # In one go, the parts of all lines would take a gigabyte.
        return (
            lines.with_columns(pl.col("line").str.strip_chars_end("\r")).select(**columns).collect(engine="streaming")
        )
    except (pl.exceptions.PolarsError, OSError) as error:
        problems.append(f"{path}: not readable as text in UTF-8 without the character U+0001 ({first_line(error)})")
        return None


def read_ids(folder: Path, problems: list[str]) -> tuple[pl.DataFrame | None, list[Path]]:
    """Columns ``track_id, seven_digital_id`` of the list beside ``unique_tracks.txt``, and its files; None if none."""
    lists = [folder / _IDS] if (folder / _IDS).is_file() else [folder / name for name in _ID_LINES]
    ids = _read_id_table(lists[0], problems) if len(lists) == 1 else _read_id_lines(lists, problems)
    if ids is None:
        return None, lists
    doubled = ids.filter(pl.col("track_id").is_duplicated())["track_id"].unique().sort()
    if len(doubled):
        problems.append(f"{folder}: the list of 7digital ids names {len(doubled)} tracks twice ({few(doubled)})")
        return None, lists
    return with_ids(lists[-1], ids, problems), lists


def _read_id_table(path: Path, problems: list[str]) -> pl.DataFrame | None:
    try:
        return pl.read_csv(path, infer_schema=False).select("track_id", "seven_digital_id")
    except (pl.exceptions.PolarsError, OSError) as error:
        problems.append(f"{path}: expected a CSV with the columns track_id, seven_digital_id ({first_line(error)})")
        return None


def _read_id_lines(paths: Sequence[Path], problems: list[str]) -> pl.DataFrame | None:
    """Two files that belong together line by line: tracks, and their 7digital ids."""
    lacking = [path for path in paths if not path.is_file()]
    if len(lacking) == 1:
        problems.append(f"{lacking[0]}: missing; {' and '.join(_ID_LINES)} belong together, line by line")
    if lacking:
        return None
    tracks, numbers = (collected(path, problems, line="line") for path in paths)
    if tracks is None or numbers is None:
        return None
    if len(tracks) != len(numbers):
        problems.append(
            f"{paths[0]}: {len(tracks)} lines, {paths[1].name} has {len(numbers)}; expected as many, line by line"
        )
        return None
    return pl.DataFrame({"track_id": tracks["line"], "seven_digital_id": numbers["line"]})
