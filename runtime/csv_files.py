"""CSV files as people save them: separated by commas, semicolons or tabs, with headers in any case."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError

if TYPE_CHECKING:
    import polars as pl

_SEPARATORS = (",", ";", "\t")

# Bytes of the first line in which separators are counted.
_LONGEST_HEADER = 2**20

# First bytes of files that are often named instead of the file that was meant.
_OTHER_KINDS = {
    b"PK\x03\x04": "is an Excel workbook (.xlsx) or another ZIP archive; open it and save it as CSV in UTF-8",
    b"\xd0\xcf\x11\xe0": "is an old Excel workbook (.xls); open it and save it as CSV in UTF-8",
    b"\xff\xfe": "is encoded in UTF-16; save it as CSV in UTF-8",
    b"PAR1": "is a Parquet file; expected CSV",
}
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"


def is_pointer(path: Path) -> bool:
    """Whether a file is a Git LFS pointer instead of the content it stands for."""
    with path.open("rb") as file:
        return file.read(len(_LFS_POINTER)) == _LFS_POINTER


def check_not_pointer(path: Path) -> None:
    """Raise InputError if a file is a Git LFS pointer instead of the content it stands for."""
    if is_pointer(path):
        raise InputError(f"{path}: is a Git LFS pointer, not the file itself; run 'git lfs pull' in its folder.")


def find_separator(path: Path) -> str:
    """Return the separator of a CSV file, judged by its first line.

    Raises
    ------
    InputError
        If there is no such file, or it is a Git LFS pointer, a workbook, a Parquet file or encoded in UTF-16.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file.")
    check_not_pointer(path)
    with path.open("rb") as file:
        header = file.readline(_LONGEST_HEADER)
    for start, kind in _OTHER_KINDS.items():
        if header.startswith(start):
            raise InputError(f"{path}: {kind}.")
    return max(_SEPARATORS, key=lambda separator: header.count(separator.encode()))


def not_utf8(path: Path, error: UnicodeDecodeError) -> InputError:
    """Return the error of a file that is not UTF-8."""
    return InputError(
        f"{path}: byte {error.object[error.start]:#04x} is not UTF-8; the file is probably encoded in Latin-1 or "
        "Windows-1252. Save it as CSV in UTF-8."
    )


def read_csv(path: Path, columns: Collection[str] = ()) -> pl.DataFrame:
    """Read a CSV file as text.

    Parameters
    ----------
    path : Path
        The file, in UTF-8, separated by commas, semicolons or tabs.
    columns : collection of str
        Names of the expected columns; headers that differ from them in case only are renamed.

    Returns
    -------
    DataFrame
        ``row`` (row number in the file; the header is row 1) and the columns of the file as text without surrounding
        spaces, empty where a cell is. Rows of empty cells are left out.

    Raises
    ------
    InputError
        If the file is missing or is not such a file.
    """
    import polars as pl

    separator = find_separator(path)
    content = path.read_bytes()
    try:
        content.decode()
    except UnicodeDecodeError as error:
        raise not_utf8(path, error) from None
    try:
        table = pl.read_csv(content, infer_schema=False, separator=separator).with_columns(pl.all().fill_null(""))
    except pl.exceptions.PolarsError as error:
        raise InputError(f"{path}: not readable as CSV ({str(error).splitlines()[0]}).") from error
    found = [name.strip().removeprefix("\ufeff") for name in table.columns]
    known = {name.lower(): name for name in columns}
    renamed = [name if name in columns else known.get(name.lower(), name) for name in found]
    if doubled := [name for name in renamed if renamed.count(name) > 1]:
        raise InputError(f"{path}: has the column {doubled[0]} more than once; expected it once.")
    table.columns = renamed
    table = table.with_columns(pl.all().str.strip_chars()).with_row_index("row", offset=2)
    return table.filter(pl.any_horizontal(pl.exclude("row") != ""))
