"""Features computed elsewhere, in a file: ``file:PATH.csv`` or ``file:PATH.parquet``."""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from ....errors import InputError
from ....protocols import features
from ....runtime.files import sha256_file
from ..columns import Columns, TaskFeature

if TYPE_CHECKING:
    from ..extraction import Extraction
    from ..spec import Entry

ENDINGS = (".csv", ".parquet")


class FileFeature(TaskFeature):
    """Columns of a file, joined to the task by clip and time.

    Parameters
    ----------
    name : str
        ``file:`` and a path, or ``file:`` alone as the entry of the registry.
    """

    order = 80
    origin = "CSV or Parquet file"

    def __init__(self, name: str) -> None:
        self.name = name
        self.path = Path(name.removeprefix("file:"))
        # The folder is particular to this machine.
        self.title = f"file:{PurePath(self.path).name}" if self.path.name else "features computed elsewhere"

    def with_argument(self, argument: str) -> FileFeature:
        """Return the feature of a path.

        Raises
        ------
        InputError
            If its ending is unknown.
        """
        if not argument.lower().endswith(ENDINGS):
            raise InputError(f"`features` file:{argument}: expected a file that ends in {' or '.join(ENDINGS)}.")
        return FileFeature(f"file:{argument}")

    def columns(self, extraction: Extraction, entry: Entry) -> Columns:
        """Read the file."""
        from ..files import read_columns

        names, values, pooled = extraction.once(self.name, lambda: read_columns(self.path, extraction.task))
        return Columns(lambda fold: values, ["file", sha256_file(self.path)], pooled=pooled, names=names)


features.register(FileFeature("file:"))
