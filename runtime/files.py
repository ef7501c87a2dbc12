"""Atomic writes, locks, hashes and the cache folder."""

from __future__ import annotations

import atexit
import errno
import fcntl
import hashlib
import io
import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from ..errors import EmobenchError

if TYPE_CHECKING:
    import polars as pl

Json = Any

# Disk full, quota exceeded, file too large, I/O error.
WRITE_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path`` and rename it to ``path`` at the end of the block.

    Parameters
    ----------
    path : Path
        File to write. Its folder is created.

    Yields
    ------
    Path
        Path to write to. After an exception it is removed and ``path`` is left unchanged.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid4().hex[:8]}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)
    except OSError as error:
        # A failed write names no file, or the temporary one, which means nothing to the user.
        if error.filename == str(temporary) or (error.filename is None and error.errno in WRITE_ERRORS):
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def locked(path: Path, refusal: str) -> Iterator[None]:
    """Hold a lock that the system releases when this process ends, however it ends.

    Parameters
    ----------
    path : Path
        Lock file. Its folder is created; the file is removed at the end.
    refusal : str
        Start of the error message: what the other process is doing.

    Raises
    ------
    EmobenchError
        If another process holds the lock.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = _lock(path, refusal)
    try:
        with suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        # Remove the file before unlocking it, so that no process locks a file that is about to be removed.
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _lock(path: Path, refusal: str) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The previous holder may have removed the file since it was opened.
            if _is_at(path, descriptor):
                return descriptor
        except BlockingIOError:
            owner = os.pread(descriptor, 20, 0).decode(errors="replace")
            os.close(descriptor)
            process = f" (process {owner})" if owner.isdigit() else ""
            raise EmobenchError(f"{refusal}{process}; wait until it ends and rerun the command.") from None
        except OSError as error:
            # Some network file systems have no locks; proceed without one.
            if error.errno in (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK):
                return descriptor
            os.close(descriptor)
            raise
        os.close(descriptor)


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def temporary_folder() -> Path:
    """Make a folder that is deleted when Python exits."""
    folder = Path(tempfile.mkdtemp(prefix="emobench-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def write_text(path: Path, text: str) -> None:
    """Write text as UTF-8, atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def json_text(value: Json) -> str:
    """Return a value as indented JSON. NaN raises ValueError."""
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def write_json(path: Path, value: Json) -> None:
    """Write a value as indented JSON, atomically. NaN raises ValueError."""
    write_text(path, json_text(value))


def write_parquet(path: Path, table: pl.DataFrame) -> None:
    """Write a table as Parquet, atomically. The same table gives the same bytes."""
    # Encode in memory, because polars hides why a write failed.
    encoded = parquet_bytes(table)
    with replacing(path) as temporary:
        temporary.write_bytes(encoded)


def parquet_bytes(table: pl.DataFrame) -> bytes:
    """Encode a table as Parquet."""
    encoded = io.BytesIO()
    table.write_parquet(encoded, compression="zstd", statistics=True)
    return encoded.getvalue()


def read_json(path: Path, what: str) -> dict[str, Any]:
    """Read a JSON object.

    Parameters
    ----------
    path : Path
        File to read.
    what : str
        Kind of file, for the message.

    Raises
    ------
    EmobenchError
        If the file is missing, is not JSON, or is not an object.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"), parse_float=_finite, parse_constant=_finite)
    except (OSError, ValueError, RecursionError) as error:
        raise EmobenchError(f"{path}: not a readable {what} ({error}).") from error
    if not isinstance(value, dict):
        raise EmobenchError(f"{path}: expected a {what} as a JSON object, found a {type(value).__name__}.")
    return value


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not a finite number")
    return value


def sha256_file(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def plain(value: object) -> Json:
    """Convert dataclasses, paths, tuples and mappings to JSON types."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, Path):
        return value.as_posix()
    return value


def digest(value: object) -> str:
    """Return the hexadecimal SHA-256 of a value's canonical JSON (sorted keys, no spaces)."""
    text = json.dumps(plain(value), sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def cache_folder() -> Path:
    """Return the folder of everything that can be computed again: ``EMOBENCH_CACHE`` or the user's cache folder.

    That is ``~/.cache/emobench`` (or ``$XDG_CACHE_HOME/emobench``) on Linux and ``~/Library/Caches/emobench`` on macOS.
    """
    from platformdirs import user_cache_path

    named = os.environ.get("EMOBENCH_CACHE")
    return Path(named) if named else user_cache_path("emobench")


def data_folder() -> Path:
    """Return the folder of datasets: ``EMOBENCH_DATA``, or ``data`` in the current folder."""
    return Path(os.environ.get("EMOBENCH_DATA", "data"))
