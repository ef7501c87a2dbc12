"""Search for files in a folder and its subfolders."""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path

from ..runtime.text import escaped, few


def files_below(folder: Path, suffixes: tuple[str, ...], problems: list[str]) -> list[str]:
    """List the files in a folder and its subfolders.

    Parameters
    ----------
    folder : Path
        Folder. Links to folders are followed last, and each folder is searched only once, so links may be circular.
    suffixes : tuple of str
        Suffixes of the files in lower case; their case in file names is ignored.
    problems : list of str
        List to which names that are not valid UTF-8 are added, since tables cannot contain them.

    Returns
    -------
    list of str
        Relative paths with slashes, sorted.
    """
    paths: list[str] = []
    waiting, seen = deque([""]), set()
    while waiting:
        for place, folders, names in os.walk(folder / waiting.popleft()):
            status = Path(place).stat()
            if (status.st_dev, status.st_ino) in seen:
                folders.clear()
                continue
            seen.add((status.st_dev, status.st_ino))
            folders.sort()
            below = os.path.relpath(place, folder)
            before = "" if below == "." else f"{below}/"
            waiting += [before + name for name in folders if Path(place, name).is_symlink()]
            paths += [before + name for name in names if name.lower().endswith(suffixes)]
    odd = {path: escaped(path) for path in paths if not path.isascii() and escaped(path) != path}
    if odd:
        problems.append(
            f"{folder}: names of files or folders that are not valid UTF-8: {few(sorted(odd.values()))}. Rename them"
        )
    return sorted(path for path in paths if path not in odd)
