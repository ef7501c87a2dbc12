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
from pathlib import Path, PurePosixPath
from typing import Any

import polars as pl

from ..errors import EmobenchError, InputError
from ..runtime.environment import package_versions
from ..runtime.files import digest, locked, plain, read_json, sha256_file, write_json, write_parquet, write_text
from ..runtime.sizes import MAX_VALUES, ParquetSize, check_parquet

SCHEMA = 1
MANIFEST = "manifest.json"
LOCAL = "local.json"

_VERSION = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+")

# Names and versions become parts of paths, here and in folders of results.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_NAME_RULE = "letters, digits, '.', '_' and '-', beginning with a letter or a digit"


def check_version(version: str) -> None:
    """Raise InputError unless ``version`` has the form X.Y.Z."""
    if not _VERSION.fullmatch(version):
        raise InputError(f"`version` {version}: expected three numbers such as 1.0.0.")


def recipe(
    *, name: str, version: str, kind: str, source: Mapping[str, Any], config: Mapping[str, Any]
) -> dict[str, Any]:
    """What decides a dataset's content: its name, version, source, settings and package versions.

    Raises
    ------
    InputError
        If the name cannot be that of a dataset.
    """
    if not _NAME.fullmatch(name):
        raise InputError(f"dataset name {name!r}: expected {_NAME_RULE}; choose another name for its folder.")
    return plain(
        {
            "schema": SCHEMA,
            "name": name,
            "version": version,
            "kind": kind,
            "source": source,
            "config": config,
            "packages": package_versions(heavy=False),
        }
    )


def already_built(out: Path, wanted: Mapping[str, Any]) -> bool:
    """Whether ``out`` holds this very dataset, complete and unchanged.

    Parameters
    ----------
    out : Path
        Folder of the dataset.
    wanted : mapping
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
    label = f"{manifest.get('name')} {manifest.get('version')}"
    if (manifest.get("name"), manifest.get("version")) != (wanted["name"], wanted["version"]):
        raise InputError(
            f"{out}: contains {label}, which is not overwritten; write {wanted['name']} {wanted['version']} "
            "to another folder with `out`."
        )
    differing = sorted(key for key in wanted if manifest.get(key) != wanted[key])
    if differing:
        raise InputError(
            f"{out}: {label} exists with other content ({', '.join(differing)} differ) and is not "
            "overwritten; choose another `version` and `out`, or remove the folder first."
        )
    return True


@contextmanager
def building(out: Path, wanted: Mapping[str, Any]) -> Iterator[Path | None]:
    """Give the folder to build in; rename it to ``out`` when the block ends well.

    Parameters
    ----------
    out : Path
        Where the dataset shall be.
    wanted : mapping
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
        folder = out.with_name(f".{out.name}.building-{digest(wanted)[:12]}")
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


def write_manifest(folder: Path, wanted: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
    """Write the manifest: the recipe, the facts, and each published file with its SHA-256 and rows."""
    files = {}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder).as_posix()
        if not path.is_file() or relative in (MANIFEST, LOCAL) or relative.startswith("audio/"):
            continue
        entry: dict[str, Any] = {"sha256": sha256_file(path)}
        if path.suffix == ".parquet":
            entry["rows"] = pl.scan_parquet(path).select(pl.len()).collect().item()
        files[relative] = entry
    write_json(folder / MANIFEST, {**wanted, **plain(facts), "files": files})


def write_card(folder: Path, text: str) -> None:
    """Write the card."""
    write_text(folder / "README.md", text)


def write_local(folder: Path, audio: Path | None) -> None:
    """Keep where the audio lies on this machine; never published."""
    if audio is not None:
        write_json(folder / LOCAL, {"audio": str(audio)})


def load_manifest(folder: Path) -> dict[str, Any]:
    """Read a dataset's manifest.

    Raises
    ------
    InputError
        If the folder or its manifest is missing or of another schema, the name or the version could lead out of a
        folder, or a file lies outside the dataset's folder, links resolved.
    """
    if not (folder / MANIFEST).is_file():
        raise InputError(
            f"{folder}: no dataset there (no {MANIFEST}); build one with 'emobench build-data', or name another folder."
        )
    try:
        manifest = read_json(folder / MANIFEST, "manifest")
    except EmobenchError as error:
        raise InputError(str(error)) from error
    if manifest.get("schema") != SCHEMA or not isinstance(manifest.get("files"), dict):
        raise InputError(
            f"{folder / MANIFEST}: schema {manifest.get('schema')!r}; this emobench reads schema {SCHEMA}."
        )
    for field in ("name", "version"):
        if not isinstance(manifest.get(field), str) or not _NAME.fullmatch(manifest[field]):
            raise InputError(f"{folder / MANIFEST}: {field} is {manifest.get(field)!r}; expected {_NAME_RULE}.")
    root = _root(folder)
    for name in manifest["files"]:
        inside = PurePosixPath(name)
        if inside.is_absolute() or ".." in inside.parts or "\\" in name or inside.name in ("", MANIFEST, LOCAL):
            raise InputError(
                f"{folder / MANIFEST}: files: {name!r} is not a path of a file inside the dataset's folder."
            )
        if not (folder / name).resolve().is_relative_to(root):
            raise InputError(f"{folder / name}: a link leads out of the dataset's folder; expected a file inside it.")
    return manifest


def _root(folder: Path) -> Path:
    """The folder that the files of a dataset may not leave."""
    # In the cache of the Hub, a snapshot's files are links to the blobs of its repository.
    place = folder.resolve()
    cached = place.parent.name == "snapshots" and (place.parents[1] / "blobs").is_dir()
    return place.parents[1] if cached else place


def check_files(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Compare every file with the manifest.

    Raises
    ------
    InputError
        If a file is missing or differs, naming it.
    """
    for name, entry in manifest["files"].items():
        path = folder / name
        if not path.is_file():
            raise InputError(f"{path}: missing though the manifest lists it; build the dataset again.")
        if sha256_file(path) != entry["sha256"]:
            raise InputError(
                f"{path}: changed after it was built (its SHA-256 is not the manifest's); build the dataset "
                "again, under a new version if the change is wanted."
            )


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


def table_files(folder: Path, config: str, manifest: Mapping[str, Any]) -> dict[Path, ParquetSize]:
    """Parquet files of one of a dataset's tables and their declared sizes; nothing else of them is read.

    Raises
    ------
    InputError
        If a file declares other rows than the manifest, or more than can be read at once.
    """
    sizes = {}
    for path in sorted((folder / config).glob("*.parquet")):
        entry = manifest["files"].get(f"{config}/{path.name}")
        if not isinstance(entry, dict):
            raise InputError(f"{path}: not in the manifest; remove the file or build the dataset again.")
        sizes[path] = check_parquet(path)
        if sizes[path].rows != entry.get("rows"):
            raise InputError(
                f"{path}: declares {sizes[path].rows:,} rows; the manifest says {entry.get('rows')}. Build the dataset "
                "again."
            )
    return sizes
