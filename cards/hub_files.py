"""What a release sends: files with their hashes, and the check that no secret and no machine's path is in them."""

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

# Shorter values would be found by chance.
_SECRET_LENGTH = 6


@dataclass(frozen=True)
class Upload:
    """A file of a release.

    Attributes
    ----------
    path : str
        In the repository, with slashes.
    source : Path or bytes
        Its content.
    """

    path: str
    source: Path | bytes

    @cached_property
    def size(self) -> int:
        """Bytes."""
        return len(self.source) if isinstance(self.source, bytes) else self.source.stat().st_size

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the content, by which the Hub knows large files."""
        return hashlib.sha256(self.source).hexdigest() if isinstance(self.source, bytes) else sha256_file(self.source)

    @cached_property
    def git_oid(self) -> str:
        """SHA-1 of the content as a blob of git, by which the Hub knows small files."""
        return hashlib.sha1(b"blob %d\0" % self.size + self.content(), usedforsecurity=False).hexdigest()

    def content(self) -> bytes:
        """The bytes."""
        return self.source if isinstance(self.source, bytes) else self.source.read_bytes()


@dataclass(frozen=True)
class Forbidden:
    """What must not be in a release.

    Attributes
    ----------
    name : str
        What it is, in words that may be shown.
    pattern : re.Pattern
        How it looks.
    parts : tuple of str
        One of them is in every match; they are looked for first, as columns may be long.
    """

    name: str
    pattern: re.Pattern[str]
    parts: tuple[str, ...]


# Where machines keep what is theirs.
_TOPS = ("home", "Users", "root", "mnt", "media", "srv", "tmp", "var", "private")

_ALWAYS = (
    Forbidden("a token of the Hub", re.compile(r"\bhf_[A-Za-z0-9]{16,}"), ("hf_",)),
    Forbidden(
        "a path of a machine",
        re.compile(rf"(?:(?<![\w.:/-])|file://)/(?:{'|'.join(_TOPS)})/[^/\s\"']+/|\b[A-Za-z]:(?:\\+|/)Users(?:\\+|/)"),
        (*(f"/{top}/" for top in _TOPS), ":\\Users", ":\\\\Users", ":/Users"),
    ),
)


def forbidden_values(folder: Path, secrets: Mapping[str, str | None]) -> list[Forbidden]:
    """What must not be in any file of a release: secrets, paths of machines, above all those of this one.

    Parameters
    ----------
    folder : Path
        Where the release lies on this machine.
    secrets : mapping
        Name to value; one without a value is left out.
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
    # What says less comes last.
    return [*found, *_ALWAYS]


def refuse_secrets(uploads: Sequence[Upload], forbidden: Sequence[Forbidden]) -> None:
    """Look through every file of a release.

    Text is read as text, Parquet by its strings, column names and metadata, anything else byte by byte.

    Raises
    ------
    InputError
        At the first find, naming the file, the place in it and what it is, never the value.
    """
    for upload in uploads:
        for place, text in _texts(upload, forbidden):
            for each in forbidden:
                match = each.pattern.search(text)
                if match is not None:
                    line = text.count("\n", 0, match.start()) + 1
                    raise InputError(
                        f"{upload.path}, {place or f'line {line}'}: holds {each.name}, which is never published; "
                        "nothing was sent. Make the file again without it (relative paths are fine)."
                    )


def _texts(upload: Upload, forbidden: Sequence[Forbidden]) -> Iterator[tuple[str, str]]:
    """Texts in a file and where each is; the place is empty for a text as a whole."""
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
        raise InputError(f"{upload.path}: not readable as Parquet ({error}); make it again.") from error
    for key, value in metadata.items():
        # The schema of Arrow, in base64: names and types, which are looked at below.
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
