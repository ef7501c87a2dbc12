"""Write and read the files of a dataset: Parquet tables, manifest and card.

Building is all or nothing: a dataset is built in a hidden folder beside its final one, which is renamed when it is
complete. The manifest lists every file with its SHA-256 and number of rows, so that later changes are noticed. The same
inputs, settings and versions give the same bytes, so the files contain neither times nor paths of the machine.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import polars as pl
from pydantic import ValidationError

from ..cards.dataset import About
from ..errors import EmobenchError, InputError
from ..runtime.environment import package_versions
from ..runtime.files import digest, locked, plain, sha256_file, write_json, write_parquet, write_text
from ..runtime.sizes import MAX_VALUES, ParquetSize, check_parquet
from .croissant import CROISSANT, croissant
from .manifest import (
    LOCAL,
    MANIFEST,
    NAME_RULE,
    SCHEMA,
    File,
    Manifest,
    Recipe,
    Settings,
    check_files,
    load_manifest,
)

__all__ = ["LOCAL", "MANIFEST", "check_files", "load_manifest"]

_VERSION = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+")


def check_version(version: str) -> None:
    """Raise InputError unless ``version`` has the form X.Y.Z."""
    if not _VERSION.fullmatch(version):
        raise InputError(f"`version` {version}: expected three numbers such as 1.0.0.")


def recipe(
    *, name: str, version: str, kind: Literal["labelled", "pretrain"], source: Mapping[str, Any], config: Settings
) -> Recipe:
    """Collect what determines a dataset's content: name, version, source, settings and package versions.

    Raises
    ------
    InputError
        If the name is not allowed for a dataset.
    """
    try:
        facts = {"schema": SCHEMA, "name": name, "version": version, "kind": kind, "source": plain(source)}
        return Recipe(**facts, config=config, packages=package_versions(heavy=False))
    except ValidationError as error:
        raise InputError(f"dataset name {name!r}: expected {NAME_RULE}; choose another name for its folder.") from error


def settings(source: Mapping[str, Any], dataset: object) -> Settings:
    """Convert the settings of a source and of a builder for the manifest."""
    return Settings(source=plain(source), dataset=plain(dataset))


def already_built(out: Path, wanted: Recipe) -> bool:
    """Whether ``out`` contains this dataset.

    Parameters
    ----------
    out : Path
        Folder of the dataset.
    wanted : Recipe
        Recipe of the dataset.

    Returns
    -------
    bool
        False if the folder does not exist or is empty.

    Raises
    ------
    InputError
        If the folder contains something else: other files, another dataset or version, or the same version with
        other content.
    """
    if not out.exists():
        return False
    if not (out / MANIFEST).is_file():
        if out.is_dir() and not any(out.iterdir()):
            return False
        raise InputError(f"{out}: exists but is not a dataset; choose another folder with `out`.")
    manifest = load_manifest(out)
    label = f"{manifest.name} {manifest.version}"
    if (manifest.name, manifest.version) != (wanted.name, wanted.version):
        raise InputError(
            f"{out}: contains {label}, which is not overwritten; write {wanted.name} {wanted.version} "
            "to another folder with `out`."
        )
    own, other = manifest.plain(), wanted.plain()
    differing = sorted(key for key in other if own.get(key) != other[key])
    if differing:
        raise InputError(
            f"{out}: {label} exists with other content (different {', '.join(differing)}) and is not overwritten; "
            "choose another `version` and `out`, or remove the folder first."
        )
    return True


@contextmanager
def building(out: Path, wanted: Recipe) -> Iterator[Path | None]:
    """Provide a folder to build in, which is renamed to ``out`` when the block succeeds.

    Parameters
    ----------
    out : Path
        Folder of the dataset.
    wanted : Recipe
        Recipe of the dataset. The same recipe gets the same building folder, so that an interrupted build resumes.

    Yields
    ------
    Path or None
        Folder to build in, which is kept after an exception. None if another process has completed this dataset in the
        meantime.

    Raises
    ------
    EmobenchError
        If another process is building a dataset in this folder.
    InputError
        If another process has built something else in this folder.
    """
    with locked(out.with_name(f".{out.name}.building.lock"), f"{out}: another process is building this dataset"):
        if already_built(out, wanted):
            yield None
            return
        folder = out.with_name(f".{out.name}.building-{digest(wanted.plain())[:12]}")
        folder.mkdir(parents=True, exist_ok=True)
        try:
            yield folder
        except BaseException:
            if not any(folder.iterdir()):
                folder.rmdir()
            raise
        try:
            # This replaces an empty folder.
            folder.rename(out)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
            raise EmobenchError(
                f"{out}: created by something else during the build ({error.strerror}). Remove it and rerun the "
                "command to resume; finished work is kept."
            ) from error


def write_table(folder: Path, config: str, table: pl.DataFrame, number: int = 0) -> None:
    """Write a table, or part of one, as ``<config>/train-<number>.parquet``."""
    write_parquet(folder / config / f"train-{number:05}.parquet", table)


def write_manifest(folder: Path, wanted: Recipe, about: About, **facts: Any) -> None:
    """Write the manifest (the recipe, further fields, each published file) and ``croissant.json``, which it lists."""
    files = {}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder).as_posix()
        if not path.is_file() or relative in (MANIFEST, LOCAL, CROISSANT) or relative.startswith("audio/"):
            continue
        rows = {"rows": pl.scan_parquet(path).select(pl.len()).collect().item()} if path.suffix == ".parquet" else {}
        files[relative] = File(sha256=sha256_file(path), **rows)
    manifest = Manifest(**wanted.plain(), **facts, files=files)
    write_json(folder / CROISSANT, croissant(folder, manifest, about))
    files[CROISSANT] = File(sha256=sha256_file(folder / CROISSANT))
    manifest = Manifest(**wanted.plain(), **facts, files=dict(sorted(files.items())))
    write_json(folder / MANIFEST, manifest.plain())


def column_types(folder: Path) -> dict[str, dict[str, str]]:
    """Map each table of a dataset to its columns and their types as the Hub's cards name them."""
    types = {}
    for path in sorted(folder.glob("*/*.parquet")):
        if path.parent.name not in types:
            schema = pl.read_parquet_schema(path)
            types[path.parent.name] = {name: _card_type(kind) for name, kind in schema.items()}
    return types


def _card_type(kind: object) -> str:
    if isinstance(kind, pl.List):
        return f"list: {_card_type(kind.inner)}"
    name = str(kind).lower()
    return "bool" if name == "boolean" else name


def write_card(folder: Path, text: str) -> None:
    """Write the card."""
    write_text(folder / "README.md", text)


def write_local(folder: Path, audio: Path) -> None:
    """Store the location of the audio on this machine, which is never published."""
    write_json(folder / LOCAL, {"audio": str(audio)})


def read_table(folder: Path, config: str) -> pl.DataFrame:
    """Read all Parquet files of a table.

    Raises
    ------
    InputError
        If a file declares another number of rows than the manifest, or the table is too large.
    """
    sizes = table_files(folder, config, load_manifest(folder))
    values = sum(size.values for size in sizes.values())
    if values > MAX_VALUES:
        raise InputError(f"{folder / config}: declares {values:,} values; expected at most {MAX_VALUES:,}.")
    return pl.read_parquet(list(sizes))


def table_files(folder: Path, config: str, manifest: Manifest) -> dict[Path, ParquetSize]:
    """List the Parquet files of a table with their declared sizes, without reading their content.

    Raises
    ------
    InputError
        If a file declares another number of rows than the manifest, or is too large.
    """
    sizes = {}
    for path in sorted((folder / config).glob("*.parquet")):
        entry = manifest.files.get(f"{config}/{path.name}")
        if entry is None:
            raise InputError(f"{path}: not in the manifest; remove the file or build the dataset again.")
        sizes[path] = check_parquet(path)
        if sizes[path].rows != entry.rows:
            raise InputError(
                f"{path}: declares {sizes[path].rows:,} rows, but the manifest lists {entry.rows}. Build the dataset "
                "again."
            )
    return sizes
