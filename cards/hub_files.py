"""Files of a release with their hashes, and the check that they contain no secrets or local paths."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import polars as pl

from ..errors import InputError
from ..runtime.files import sha256_file

# Shorter values would match by chance.
_SECRET_LENGTH = 6


@dataclass(frozen=True)
class Upload:
    """A file of a release.

    Attributes
    ----------
    path : str
        Path in the repository, with slashes.
    source : Path or bytes
        File or content.
    """

    path: str
    source: Path | bytes

    @cached_property
    def size(self) -> int:
        """Size in bytes."""
        return len(self.source) if isinstance(self.source, bytes) else self.source.stat().st_size

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the content, which identifies large files on the Hub."""
        return hashlib.sha256(self.source).hexdigest() if isinstance(self.source, bytes) else sha256_file(self.source)

    @cached_property
    def git_oid(self) -> str:
        """SHA-1 of the content as a git blob, which identifies small files on the Hub."""
        return hashlib.sha1(b"blob %d\0" % self.size + self.content(), usedforsecurity=False).hexdigest()

    def content(self) -> bytes:
        """Read the content."""
        return self.source if isinstance(self.source, bytes) else self.source.read_bytes()


@dataclass(frozen=True)
class Forbidden:
    """Text that a release must not contain.

    Attributes
    ----------
    name : str
        Description for messages, without the text itself.
    pattern : re.Pattern
        Pattern of the text.
    parts : tuple of str
        Strings one of which is in every match, for a fast search of long columns.
    """

    name: str
    pattern: re.Pattern[str]
    parts: tuple[str, ...]


# Folders at the root of the file system that have local files.
_TOPS = ("home", "Users", "root", "mnt", "media", "srv", "tmp", "var", "private")

_ALWAYS = (
    Forbidden("a token of the Hub", re.compile(r"\bhf_[A-Za-z0-9]{16,}"), ("hf_",)),
    Forbidden(
        "a local path",
        re.compile(rf"(?:(?<![\w.:/-])|file://)/(?:{'|'.join(_TOPS)})/[^/\s\"']+/|\b[A-Za-z]:(?:\\+|/)Users(?:\\+|/)"),
        (*(f"/{top}/" for top in _TOPS), ":\\Users", ":\\\\Users", ":/Users"),
    ),
)


def forbidden_values(folder: Path, secrets: Mapping[str, str | None]) -> list[Forbidden]:
    """List what no file of a release may contain: secrets and local paths, above all those of this machine.

    Parameters
    ----------
    folder : Path
        Folder of the release on this machine.
    secrets : mapping
        Name to value; secrets without a value are ignored.
    """
    found = []
    for name, value in secrets.items():
        if value and len(value) >= _SECRET_LENGTH:
            found.append(Forbidden(f"the value of {name}", re.compile(re.escape(value)), (value,)))
    places = {"the path of its folder on this machine": folder.resolve(), "the path of your home folder": Path.home()}
    for name, place in places.items():
        if len(place.parts) > 1:
            text = str(place)
            found.append(Forbidden(name, re.compile(rf"(?<![\w.:/-]){re.escape(text)}(?![\w-])"), (text,)))
    # General descriptions last, so that messages name the specific one.
    return [*found, *_ALWAYS]


def refuse_secrets(uploads: Sequence[Upload], forbidden: Sequence[Forbidden]) -> None:
    """Refuse a release that contains forbidden text.

    Text is searched as text, Parquet files by their strings, column names and metadata, other files byte by byte.

    Raises
    ------
    InputError
        If a file contains such text. The message names the file, the place and the kind of text, never the text.
    """
    for upload in uploads:
        for place, text in _texts(upload, forbidden):
            for each in forbidden:
                match = each.pattern.search(text)
                if match is not None:
                    line = text.count("\n", 0, match.start()) + 1
                    raise InputError(
                        f"{upload.path}, {place or f'line {line}'}: contains {each.name}, which is never published; "
                        "nothing was sent. Create the file without it (relative paths are fine)."
                    )


def _texts(upload: Upload, forbidden: Sequence[Forbidden]) -> Iterator[tuple[str, str]]:
    """Yield the texts of a file and their places; the place is empty if the file is one text."""
    yield "its name", upload.path
    if upload.path.endswith(".parquet"):
        yield from _parquet_texts(upload, forbidden)
        return
    content = upload.content()
    try:
        yield "", content.decode()
    except UnicodeDecodeError:
        yield "among its bytes", content.decode("latin-1")


def _parquet_texts(upload: Upload, forbidden: Sequence[Forbidden]) -> Iterator[tuple[str, str]]:
    source = upload.source if isinstance(upload.source, Path) else io.BytesIO(upload.source)
    try:
        metadata = pl.read_parquet_metadata(source)
        table = pl.read_parquet(source)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{upload.path}: not readable as Parquet ({error}). Create it again.") from error
    for key, value in metadata.items():
        # The Arrow schema, in base64, has only names and types; column names are searched below.
        if key != "ARROW:schema":
            yield f"metadata {key}", f"{key} {value}"
    parts = [part for each in forbidden for part in each.parts]
    for name in table.columns:
        yield f"the name of column {name}", name
        column = table[name]
        while isinstance(column.dtype, (pl.List, pl.Array)):
            column = column.explode()
        if isinstance(column.dtype, pl.Struct):
            column = column.struct.json_encode()
        if column.dtype in (pl.String, pl.Categorical, pl.Enum):
            texts = pl.DataFrame({"text": column.cast(pl.String)}).with_row_index("row").drop_nulls()
            for row, text in texts.filter(pl.col("text").str.contains_any(parts)).iter_rows():
                yield f"column {name}, row {row}", text
