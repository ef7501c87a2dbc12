"""Unpacking of downloaded archives, whose names and sizes are not trusted."""

from __future__ import annotations

import shutil
import tarfile
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING

from ..errors import EmobenchError
from .cache_content import size_shown
from .files import replacing
from .progress import progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Most bytes that an archive may unpack to: this many times its own size, but at least one gibibyte; and most files.
_RATIO, _LEAST, _MOST_FILES = 100, 2**30, 10**6

_CHUNK = 2**20


@dataclass(frozen=True)
class _Member:
    """A file in an archive."""

    name: str
    size: int
    open: Callable[[], IO[bytes] | None]


def unpack(archive: Path, folder: Path, *, version: str) -> None:
    """Unpack a zip or tar archive into a folder, which appears when it is complete.

    Files that an interrupted call has unpacked are kept and not unpacked again. Folders ``__MACOSX``, in which macOS
    keeps its attributes of files, are left out.

    Parameters
    ----------
    archive : Path
        Archive; its name ends in ``.zip``, or it is a tar archive in any compression that :mod:`tarfile` knows.
    folder : Path
        New folder; an existing one is replaced.
    version : str
        What identifies the content of the archive, so that files of another version are not kept.

    Raises
    ------
    EmobenchError
        If the archive is damaged, contains links or paths outside of the folder, or would unpack to much more than
        its own size.
    """
    begun = folder.with_name(f".{folder.name}.unpacking-{version[-8:]}")
    for old in folder.parent.glob(f".{folder.name}.unpacking-*"):
        if old != begun:
            shutil.rmtree(old)
    most = max(_RATIO * archive.stat().st_size, _LEAST)
    total = 0
    with _reading(archive, begun) as (members, count):
        for number, member in enumerate(progress(members, f"unpacking {archive.name}", "file", count)):
            total += member.size
            if total > most or number >= _MOST_FILES:
                raise EmobenchError(
                    f"{archive}: unpacks to more than {size_shown(most)} or {_MOST_FILES:,} files; expected a "
                    "published archive. Delete it and rerun the command."
                )
            target = begun / _place(archive, member.name)
            if not (target.is_file() and target.stat().st_size == member.size):
                _write(archive, member, target)
    begun.mkdir(parents=True, exist_ok=True)
    if folder.exists():
        shutil.rmtree(folder)
    begun.rename(folder)


def content(folder: Path) -> list[int]:
    """Count the files in a folder and its subfolders, and their bytes."""
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return [len(sizes), sum(sizes)]


def _write(archive: Path, member: _Member, target: Path) -> None:
    with replacing(target) as temporary, temporary.open("wb") as file:
        source = member.open()
        if source is None:
            raise tarfile.ReadError(f"{member.name} is not a file")
        with source:
            shutil.copyfileobj(source, file, _CHUNK)
        if file.tell() != member.size:
            raise EmobenchError(_damaged(archive, f"{member.name} is incomplete"))


def _place(archive: Path, name: str) -> PurePosixPath:
    """Return the relative path of a member."""
    # Some programs for Windows write backslashes.
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or not path.parts or "\0" in name:
        raise EmobenchError(f"{archive}: contains {name!r}, a path outside of its folder; nothing of it was used.")
    return path


@contextmanager
def _reading(archive: Path, begun: Path) -> Iterator[tuple[Iterator[_Member], int | None]]:
    """Open an archive; yields its files, and their number if it is known. Damage raises EmobenchError."""
    import lzma
    import zlib

    try:
        if archive.suffix == ".zip":
            with zipfile.ZipFile(archive) as file:
                infos = [info for info in file.infolist() if not info.is_dir() and _wanted(info.filename)]
                _check_space(archive, sum(info.file_size for info in infos) - content(begun)[1])
                yield iter([_Member(info.filename, info.file_size, _opener(file, info)) for info in infos]), len(infos)
        else:
            with tarfile.open(archive) as file:
                yield _tar_members(archive, file), None
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError) as error:
        raise EmobenchError(_damaged(archive, str(error))) from error
    except (NotImplementedError, RuntimeError) as error:
        raise EmobenchError(f"{archive}: cannot be unpacked ({error}); unpack it by hand.") from error
    except OSError as error:
        # Those of the system have a number; others are raised by decompressors.
        if error.errno is not None:
            raise
        raise EmobenchError(_damaged(archive, str(error))) from error


def _opener(file: zipfile.ZipFile, info: zipfile.ZipInfo) -> Callable[[], IO[bytes]]:
    return lambda: file.open(info)


def _tar_members(archive: Path, file: tarfile.TarFile) -> Iterator[_Member]:
    for info in file:
        if info.isdir() or not _wanted(info.name):
            continue
        if not info.isreg():
            raise EmobenchError(f"{archive}: contains {info.name!r}, a link or device; expected files only.")
        yield _Member(info.name, info.size, lambda info=info: file.extractfile(info))
    # The checksum of a compressed archive is at its end, where tarfile does not read.
    while file.fileobj and file.fileobj.read(_CHUNK):
        pass


def _wanted(name: str) -> bool:
    path = PurePosixPath(name)
    return "__MACOSX" not in path.parts and not path.name.startswith("._")


def _damaged(archive: Path, reason: str) -> str:
    return f"{archive}: damaged or incomplete ({reason}); delete it and rerun the command to download it again."


def _check_space(archive: Path, needed: int) -> None:
    free = shutil.disk_usage(archive.parent).free
    if needed > free:
        raise EmobenchError(
            f"{archive}: {size_shown(needed)} are to be unpacked, but only {size_shown(free)} are free there; free "
            "some space, or unpack it elsewhere and pass that folder."
        )
