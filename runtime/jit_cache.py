"""Folder of numba's compiled code. No other user may write to it, because numba unpickles the files in it."""

from __future__ import annotations

import atexit
import grp
import os
import pwd
import shutil
import stat
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

from ..errors import EmobenchError, EmobenchWarning
from .files import cache_folder

_VARIABLE = "NUMBA_CACHE_DIR"


def set_numba_cache() -> None:
    """Set ``NUMBA_CACHE_DIR`` for this process and its children, unless it is set.

    The folder is ``numba`` in the cache. If another user could put files there, or it is not writable, a folder of
    this user in the temporary directory is used instead, also by later commands, and a warning says why.

    Raises
    ------
    EmobenchError
        If other users can replace folders in the temporary directory as well.
    """
    if os.environ.get(_VARIABLE):
        return
    folder = cache_folder().absolute() / "numba"
    problem = _problem(folder)
    if problem:
        folder = _temporary_folder(problem)
        warnings.warn(
            f"{problem}, so compiled code is kept in {folder} instead. Set EMOBENCH_CACHE, or NUMBA_CACHE_DIR for "
            "compiled code alone, to a folder that only you can write to.",
            EmobenchWarning,
            stacklevel=2,
        )
    os.environ[_VARIABLE] = str(folder)


def _temporary_folder(problem: str) -> Path:
    base = Path(tempfile.gettempdir()).absolute()
    folder = base / f"emobench-numba-{os.getuid()}"
    if _problem(folder) is None:
        return folder
    if (unsafe := _exposure(base)) is not None:
        raise EmobenchError(
            f"{problem}, and {unsafe}, so there is no safe folder for compiled code. Set NUMBA_CACHE_DIR to a folder "
            "that only you can write to."
        )
    folder = Path(tempfile.mkdtemp(prefix="emobench-numba-", dir=base))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _problem(folder: Path) -> str | None:
    """Create a private folder; say why that is impossible or its content cannot be trusted, or return None."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if (exposure := _exposure(folder)) is not None:
            return exposure
        status = folder.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
            return f"{folder} is not a folder that belongs to this user"
        # If only the owner can enter the folder, the permissions of the files in it do not matter.
        entered = bool(status.st_mode & 0o077)
        for place in folder.rglob("*"):
            inner = place.lstat()
            if inner.st_uid not in (0, os.getuid()):
                return f"{place} belongs to another user"
            if entered and not stat.S_ISLNK(inner.st_mode) and _others_write(inner):
                return f"{place} can be changed by other users"
        if entered:
            folder.chmod(0o700)
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return f"{folder} is not writable ({error.strerror or error})"


def _exposure(folder: Path) -> str | None:
    """Describe how another user could replace this folder or put files into it, or return None."""
    for place in _steps(folder):
        status = place.lstat()
        if status.st_uid not in (0, os.getuid()):
            return f"{place} belongs to another user"
        if stat.S_ISLNK(status.st_mode) or not _others_write(status):
            continue
        # In a sticky folder such as /tmp, users cannot rename or remove the files of others.
        if not status.st_mode & stat.S_ISVTX:
            return f"{place} can be written to by other users"
    return None


def _steps(path: Path) -> Iterator[Path]:
    """Yield every folder and symbolic link on the way to ``path``."""
    for place in [*reversed(path.parents), path]:
        yield place
        if place.is_symlink():
            yield from _steps(place.parent / place.readlink())


def _others_write(status: os.stat_result) -> bool:
    if status.st_mode & stat.S_IWOTH:
        return True
    return bool(status.st_mode & stat.S_IWGRP) and not _is_private(status.st_gid)


def _is_private(group: int) -> bool:
    """Whether this user is the only member of a group, as on systems with private groups and umask 002."""
    user = os.getuid()
    if user == 0:
        return False
    try:
        name, entry = pwd.getpwuid(user).pw_name, grp.getgrgid(group)
    except KeyError:
        return False
    alone = all(other.pw_uid == user for other in pwd.getpwall() if other.pw_gid == group)
    return alone and entry.gr_name == name and set(entry.gr_mem) <= {name}
