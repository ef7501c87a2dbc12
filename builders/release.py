"""A dataset on disk: Parquet files, manifest and card, written whole or not at all.

A build works in a hidden folder beside its place and is renamed into it when it is complete. The
manifest names every file with its SHA-256 and rows, so that a later change is noticed; the same inputs,
settings and versions give the same bytes, so nothing in it tells the time or the machine.
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

from ..errors import EmobenchError, InputError
from ..runtime.environment import package_versions
from ..runtime.files import digest, locked, plain, sha256_file, write_json, write_parquet, write_text
from ..runtime.sizes import MAX_VALUES, ParquetSize, check_parquet
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
    """Settings of a source and of a builder, as the manifest holds them."""
    return Settings(source=plain(source), dataset=plain(dataset))


def already_built(out: Path, wanted: Recipe) -> bool:
    """Whether ``out`` holds this very dataset, complete and unchanged.

    Parameters
    ----------
    out : Path
        Folder of the dataset.
    wanted : Recipe
        Its :func:`recipe`.

    Returns
    -------
    bool
        False where the place is free.

    Raises
    ------
    InputError
        If the place is taken by something else: another folder, another dataset or version, the same
        version with other content, or a dataset changed by hand.
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
            f"{out}: {label} exists with other content ({', '.join(differing)} differ) and is not "
            "overwritten; choose another `version` and `out`, or remove the folder first."
        )
    return True


@contextmanager
def building(out: Path, wanted: Recipe) -> Iterator[Path | None]:
    """Give the folder to build in; rename it to ``out`` when the block ends well.

    Parameters
    ----------
    out : Path
        Where the dataset shall be.
    wanted : Recipe
        Its :func:`recipe`; the same recipe gets the same building folder, so that an interrupted build
        goes on with the files that it finds there.

    Yields
    ------
    Path or None
        The building folder. After an exception it stays for the next attempt; ``out`` does not exist.
        None where another process has finished this very dataset since :func:`already_built` was asked.

    Raises
    ------
    EmobenchError
        If another process is building in this place.
    InputError
        If another process has built something else there.
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
            # An empty folder in the place is replaced.
            folder.rename(out)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
            raise EmobenchError(
                f"{out}: something else was put there during the build ({error.strerror}). Remove it and run the same "
                "command again: what was finished is kept."
            ) from error


def write_table(folder: Path, config: str, table: pl.DataFrame, number: int = 0) -> None:
    """Write a table, or a part of it, as ``<config>/train-<number>.parquet``."""
    write_parquet(folder / config / f"train-{number:05}.parquet", table)


def write_manifest(folder: Path, wanted: Recipe, **facts: Any) -> None:
    """Write the manifest: the recipe, the facts, and each published file with its SHA-256 and rows."""
    files = {}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder).as_posix()
        if not path.is_file() or relative in (MANIFEST, LOCAL) or relative.startswith("audio/"):
            continue
        rows = {"rows": pl.scan_parquet(path).select(pl.len()).collect().item()} if path.suffix == ".parquet" else {}
        files[relative] = File(sha256=sha256_file(path), **rows)
    manifest = Manifest(**wanted.plain(), **facts, files=files)
    write_json(folder / MANIFEST, manifest.plain())


def write_card(folder: Path, text: str) -> None:
    """Write the card."""
    write_text(folder / "README.md", text)


def write_local(folder: Path, audio: Path | None) -> None:
    """Keep where the audio lies on this machine; never published."""
    if audio is not None:
        write_json(folder / LOCAL, {"audio": str(audio)})


def read_table(folder: Path, config: str) -> pl.DataFrame:
    """Read all Parquet files of one of a dataset's tables.

    Raises
    ------
    InputError
        If a file declares other rows than the manifest, or all together hold too much to be read at once.
    """
    sizes = table_files(folder, config, load_manifest(folder))
    values = sum(size.values for size in sizes.values())
    if values > MAX_VALUES:
        raise InputError(f"{folder / config}: declares {values:,} values; expected at most {MAX_VALUES:,}.")
    return pl.read_parquet(list(sizes))


def table_files(folder: Path, config: str, manifest: Manifest) -> dict[Path, ParquetSize]:
    """Parquet files of one of a dataset's tables and their declared sizes; nothing else of them is read.

    Raises
    ------
    InputError
        If a file declares other rows than the manifest, or more than can be read at once.
    """
    sizes = {}
    for path in sorted((folder / config).glob("*.parquet")):
        entry = manifest.files.get(f"{config}/{path.name}")
        if entry is None:
            raise InputError(f"{path}: not in the manifest; remove the file or build the dataset again.")
        sizes[path] = check_parquet(path)
        if sizes[path].rows != entry.rows:
            raise InputError(
                f"{path}: declares {sizes[path].rows:,} rows; the manifest says {entry.rows}. Build the dataset again."
            )
    return sizes
