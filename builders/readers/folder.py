"""Folders of files without metadata, one for each track."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from ...errors import InputError
from ...runtime.csv_files import is_pointer
from ...runtime.text import counted
from ..tree import files_below


def list_tracks(folder: Path, extensions: tuple[str, ...], kind: str) -> pl.DataFrame:
    """List the files in a folder and its subfolders as tracks.

    Parameters
    ----------
    folder : Path
        Folder. The track id of a file is its relative path, its title its name without the extension, its album the
        name of the subfolder that contains it, and its artist the name of the subfolder above that; both may be empty.
        Nothing above the folder is named, because a dataset must not depend on its place.
    extensions : tuple of str
        Extensions of the files.
    kind : str
        What the files contain, for messages.

    Returns
    -------
    DataFrame
        ``track_id, artist, album, title, seven_digital_id, audio``; ``audio`` is the relative path, too.

    Raises
    ------
    InputError
        If the folder does not exist or contains no such files, a name is not valid UTF-8, or a file is a Git LFS
        pointer.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected a folder with {kind} files.")
    problems: list[str] = []
    paths = files_below(folder, extensions, problems)
    if problems:
        raise InputError(f"{problems[0]}.")
    if not paths:
        *others, last = extensions
        raise InputError(
            f"{folder}: contains no {kind} files; expected files that end with {', '.join(others)} or {last}."
        )
    pointers = [path for path in paths if (folder / path).is_file() and is_pointer(folder / path)]
    if pointers:
        raise InputError(
            f"{folder}: {counted(len(pointers), 'file is a Git LFS pointer', 'files are Git LFS pointers')} instead of "
            f"{kind}, such as {pointers[0]}; run 'git lfs pull' there."
        )
    parents = [("", "", *Path(path).parts[:-1]) for path in paths]
    return pl.DataFrame(
        {
            "track_id": paths,
            "artist": [names[-2] for names in parents],
            "album": [names[-1] for names in parents],
            "title": [Path(path).stem for path in paths],
            "seven_digital_id": pl.Series([None] * len(paths), dtype=pl.String),
            "audio": paths,
        }
    )
