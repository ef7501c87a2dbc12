"""Sizes that files declare, checked before they are read: a few megabytes can expand to many gigabytes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from .csv_files import check_not_pointer

if TYPE_CHECKING:
    import h5py

# Most values of a Parquet file, or of tables that are read together: 1 GiB of float64.
MAX_VALUES = 2**27

# Most bytes of a Parquet file's uncompressed pages, for each value allowed.
_VALUE_BYTES = 16

# Most bytes of a chunk of an HDF5 dataset, which is read as a whole. Real files have less than one megabyte.
_CHUNK_BYTES = 2**26


@dataclass(frozen=True)
class ParquetSize:
    """Size that a Parquet file declares.

    Attributes
    ----------
    rows : int
        Number of rows.
    values : int
        Number of values in all columns, elements of lists included.
    """

    rows: int
    values: int


def check_parquet(path: Path, *, max_values: int = MAX_VALUES) -> ParquetSize:
    """Read the size of a Parquet file from its metadata.

    Parameters
    ----------
    path : Path
        File to check.
    max_values : int
        Most values that it may declare.

    Returns
    -------
    ParquetSize

    Raises
    ------
    InputError
        If the file is not Parquet or declares more values or bytes than allowed.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if path.is_file():
        check_not_pointer(path)
    try:
        metadata = pq.read_metadata(path)
        groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
        columns = [group.column(number) for group in groups for number in range(group.num_columns)]
    except (OSError, pa.ArrowException) as error:
        first = (str(error).splitlines() or [""])[0]
        raise InputError(f"{path}: not readable as Parquet ({first}).") from error
    rows = max(metadata.num_rows, sum(group.num_rows for group in groups))
    values = max(rows * metadata.num_columns, sum(column.num_values for column in columns))
    if values > max_values:
        raise InputError(
            f"{path}: declares {rows:,} rows with {values:,} values in all; expected at most {max_values:,} values."
        )
    size = sum(column.total_uncompressed_size for column in columns)
    if size > max_values * _VALUE_BYTES:
        raise InputError(f"{path}: declares {size:,} bytes of data; expected at most {max_values * _VALUE_BYTES:,}.")
    return ParquetSize(rows, values)


def open_dataset(file: h5py.File, name: str, *, max_rows: int, max_row_bytes: int) -> h5py.Dataset:
    """Open a dataset of an HDF5 file after checking its declared size.

    Parameters
    ----------
    file : h5py.File
        An open file.
    name : str
        Path of the dataset, such as ``analysis/songs``.
    max_rows, max_row_bytes : int
        Most rows, and most bytes per row.

    Returns
    -------
    h5py.Dataset
        A dataset with values of fixed size, all of them in this file.

    Raises
    ------
    KeyError
        If there is no such dataset.
    ValueError
        If it is larger than allowed or refers to other files. The message does not name the file.
    """
    import h5py

    found: h5py.Group | h5py.Dataset | h5py.Datatype = file
    for part in name.split("/"):
        if not isinstance(found, h5py.Group) or (link := found.get(part, getlink=True)) is None:
            raise KeyError(f"no dataset /{name}")
        if not isinstance(link, h5py.HardLink):
            raise ValueError(f"/{name} is a link; expected the dataset itself")
        found = found[part]
    if not isinstance(found, h5py.Dataset) or found.shape is None:
        raise KeyError(f"no dataset /{name}")
    if found.is_virtual or found.external:
        raise ValueError(f"/{name} has its values in other files; expected them in this file")
    if found.dtype.hasobject:
        raise ValueError(f"/{name} has values of variable length; expected numbers or text of fixed width")
    rows, row_bytes = found.shape[0] if found.shape else 1, math.prod(found.shape[1:]) * found.dtype.itemsize
    if rows > max_rows or row_bytes > max_row_bytes:
        raise ValueError(
            f"/{name} declares {rows:,} rows of {row_bytes:,} bytes; expected at most {max_rows:,} of {max_row_bytes:,}"
        )
    _check_storage(found, name, rows * row_bytes)
    return found


def _check_storage(dataset: h5py.Dataset, name: str, size: int) -> None:
    """Raise ValueError if filters could expand the stored bytes beyond the declared size."""
    stored, filters = dataset.id.get_storage_size(), dataset.id.get_create_plist()
    if dataset.chunks:
        chunk = math.prod(dataset.chunks) * dataset.dtype.itemsize
        if chunk > _CHUNK_BYTES:
            raise ValueError(f"/{name} declares chunks of {chunk:,} bytes; expected at most {_CHUNK_BYTES:,}")
        size = chunk * math.prod(-(-n // m) for n, m in zip(dataset.shape, dataset.chunks, strict=True))
    kinds = [filters.get_filter(number)[0] for number in range(filters.get_nfilters())]
    if len(set(kinds)) < len(kinds):
        raise ValueError(f"/{name} is compressed more than once; expected at most one compression filter")
    # Incompressible data grow a little when compressed.
    if stored > 2 * size + 2**16:
        raise ValueError(f"/{name} stores {stored:,} bytes for the {size:,} that it declares")
