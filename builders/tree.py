"""The files below a folder, as every source looks for them."""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path

from ..runtime.text import escaped, few


def files_below(folder: Path, suffixes: tuple[str, ...], problems: list[str]) -> list[str]:
    """Paths of files below a folder.

    Parameters
    ----------
    folder : Path
        Searched with all folders below it. Links to folders are followed, after all else: each folder is
        searched once, so that links may go in circles.
    suffixes : tuple of str
        How their names end, in small letters; a file's own may have any case.
    problems : list of str
        Takes the names that are no text, which no table could hold.

    Returns
    -------
    list of str
        Relative to the folder, with slashes, sorted.
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
            f"{folder}: {len(odd)} files, or folders that hold them, have names that are no text in UTF-8 "
            f"({few(sorted(odd.values()))}); rename them"
        )
    return sorted(path for path in paths if path not in odd)
