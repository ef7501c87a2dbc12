"""Manifest of a dataset: its identity, source and settings, and the SHA-256 of each file."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from ..errors import EmobenchError, InputError
from ..runtime.files import data_folder, read_json, sha256_file

SCHEMA = 1
MANIFEST = "manifest.json"
LOCAL = "local.json"

# Names and versions become parts of paths of datasets and results.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
NAME_RULE = "letters, digits, '.', '_' and '-', beginning with a letter or a digit"


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow", strict=True, serialize_by_alias=True, validate_by_name=True)


class Settings(_Model):
    """Settings of the source and of the builder.

    Attributes
    ----------
    source, dataset : dict
        Settings by name, as in the dataclasses of the source and of the builder.
    """

    source: dict[str, Any] = Field(default_factory=dict)
    dataset: dict[str, Any] = Field(default_factory=dict)


class Recipe(_Model):
    """Everything that determines the content of a dataset.

    Attributes
    ----------
    schema_ : int
        Schema number of the manifest; ``schema`` in the file.
    name, version : str
        Name and version of the dataset.
    kind : {"labelled", "pretrain"}
        Kind of the dataset.
    source : dict
        Description of the source, with SHA-256 of its files.
    config : Settings
        Settings of the source and of the builder.
    packages : dict
        Versions of the packages that compute the content.
    """

    schema_: Literal[1] = Field(SCHEMA, alias="schema")
    name: str
    version: str
    kind: Literal["labelled", "pretrain"]
    source: dict[str, Any] = Field(default_factory=dict)
    config: Settings = Field(default_factory=Settings)
    packages: dict[str, str] = Field(default_factory=dict)

    @field_validator("name", "version", mode="before")
    @classmethod
    def _is_name(cls, value: object) -> object:
        if not isinstance(value, str) or not _NAME.fullmatch(value):
            raise ValueError(f"is {value!r}; expected {NAME_RULE}")
        return value

    def plain(self) -> dict[str, Any]:
        """Return the content of the file as plain data."""
        return self.model_dump(mode="json", exclude_unset=True)


class File(_Model):
    """A file of a dataset.

    Attributes
    ----------
    sha256 : str
        SHA-256 of the file, in hexadecimal.
    rows : int or None
        Number of rows of a Parquet file.
    """

    sha256: str
    rows: int | None = None


class Manifest(Recipe):
    """The manifest of a dataset.

    Attributes
    ----------
    synthetic : bool
        Whether the music or the ratings are synthetic.
    counts : dict
        Numbers of clips, beats and so on; ``rejected`` contains the number of clips by reason.
    excluded : dict
        Reason of each excluded clip of a labelled dataset.
    remarks : tuple of str
        Sentences about what was corrected in the source or could not be checked.
    files : dict
        Files by relative path.
    """

    synthetic: bool = False
    counts: dict[str, Any] = Field(default_factory=dict)
    excluded: dict[str, str] = Field(default_factory=dict)
    remarks: list[str] = Field(default_factory=list)
    files: dict[str, File]

    @field_validator("files")
    @classmethod
    def _are_inside(cls, value: dict[str, File]) -> dict[str, File]:
        for name in value:
            inside = PurePosixPath(name)
            if inside.is_absolute() or ".." in inside.parts or "\\" in name or inside.name in ("", MANIFEST, LOCAL):
                raise ValueError(f"{name!r} is not a path of a file inside the dataset's folder")
        return value

    @property
    def title(self) -> str:
        """Name and version, as in ``mine@1.0.0``."""
        return f"{self.name}@{self.version}"


def load_manifest(folder: Path) -> Manifest:
    """Read a dataset's manifest.

    Raises
    ------
    InputError
        If there is no manifest, it has another schema or an invalid field, or a file is outside the dataset's folder
        after resolving links.
    """
    path = folder / MANIFEST
    if not path.is_file():
        if folder.is_file():
            raise InputError(f"{folder}: is a file; expected the folder of a dataset.")
        known = data_folder() / folder
        hint = f" Did you mean {known}?" if (known / MANIFEST).is_file() else ""
        raise InputError(
            f"{folder}: no dataset there (no {MANIFEST}); build one with 'emobench build-data', or name another folder."
            + hint
        )
    try:
        content = read_json(path, "manifest")
    except EmobenchError as error:
        raise InputError(str(error)) from error
    if content.get("schema") != SCHEMA or not isinstance(content.get("files"), dict):
        raise InputError(f"{path}: schema {content.get('schema')!r}; this emobench reads schema {SCHEMA}.")
    try:
        manifest = Manifest.model_validate(content)
    except ValidationError as error:
        raise InputError(f"{path}: {described(error)}.") from error
    root = _root(folder)
    for name in manifest.files:
        if not (folder / name).resolve().is_relative_to(root):
            raise InputError(
                f"{folder / name}: a link to a file outside the dataset's folder; expected a file inside it."
            )
    return manifest


def described(error: ValidationError) -> str:
    """Describe the first invalid field of a model in one line."""
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    if first["type"] == "value_error":
        message = first["msg"].removeprefix("Value error, ")
        return f"{where}{' ' if message.startswith('is ') else ': '}{message}"
    return f"{where} is {first['input']!r:.60}: {first['msg'][0].lower()}{first['msg'][1:]}"


def _root(folder: Path) -> Path:
    """Return the folder that must contain the files of a dataset."""
    # In the Hub's cache, the files of a snapshot are links to the blobs of its repository.
    place = folder.resolve()
    cached = place.parent.name == "snapshots" and (place.parents[1] / "blobs").is_dir()
    return place.parents[1] if cached else place


def check_files(folder: Path, manifest: Manifest) -> None:
    """Compare every file with the manifest.

    Raises
    ------
    InputError
        If a file is missing or differs.
    """
    for name, entry in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise InputError(f"{path}: missing, although the manifest lists it; build the dataset again.")
        if sha256_file(path) != entry.sha256:
            raise InputError(
                f"{path}: changed after it was built (its SHA-256 differs from the manifest); build the dataset again, "
                "under a new version if the change is intended."
            )
