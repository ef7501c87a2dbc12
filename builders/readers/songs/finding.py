"""Find files by their names in a folder as published, and recognise the folders of other corpora."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from ....runtime.files import sha256_file
from ....runtime.text import counted, few
from ...tree import files_below
from .tables import AXES, Grid, only, read_songs

# Names of files that only one corpus has, in lower case.
_SIGNS = {
    "deam": ("static_annotations_averaged_songs", "metadata_2014.csv", "metadata_2015.csv", "arousal.csv"),
    "emomusic": ("songs_info.csv", "arousal_cont_average.csv", "valence_cont_average.csv"),
    "pmemo": ("dynamic_annotations.csv", "static_annotations_std.csv", "dynamic_annotations_std.csv"),
    "vgmidi": ("vgmidi_raw_", "vgmidi_labelled"),
    "moodswings": ("msliteturk",),
    "fma": ("raw_tracks.csv", "tracks.csv"),
}


def other_corpus(folder: Path, source: str) -> str:
    """Return the end of a message that names the corpus that a folder seems to contain, unless it is ``source``."""
    names = [Path(path).name.lower() for path in files_below(folder, (".csv", ".json", ".mat"), [])]
    for other, signs in _SIGNS.items():
        if other != source and any(name.startswith(signs) for name in names):
            return f". It looks like the folder of another corpus; use the source {other}"
    return ""


def find_named(folder: Path, kind: Callable[[str], str | None], title: str, problems: list[str]) -> dict[str, Path]:
    """Find files in a folder and its subfolders.

    Parameters
    ----------
    folder : Path
        The folder.
    kind : callable
        Returns the kind of a file from its name in lower case, or None for other files.
    title : str
        Title of the corpus.
    problems : list of str
        List to which problems are added, such as two files of one kind.

    Returns
    -------
    dict
        Kind to path.
    """
    found: dict[str, Path] = {}
    if not folder.is_dir():
        problems.append(f"{folder}: no such folder; expected the annotations of {title}")
        return found
    for below in files_below(folder, (".csv",), problems):
        path = folder / below
        if each := kind(path.name.lower()):
            only(found, each, path, problems)
    return found


def check_found(
    folder: Path, found: Collection[str], expected: Mapping[str, str], source: str, problems: list[str]
) -> None:
    """Check that all expected files were found.

    Parameters
    ----------
    folder : Path
        The folder.
    found : collection of str
        Kinds of the files that were found.
    expected : mapping
        Name of each expected file by kind.
    source : str
        Name of the source.
    problems : list of str
        List to which problems are added.
    """
    lacking = [name for kind, name in expected.items() if kind not in found]
    if lacking and folder.is_dir():
        problems.append(f"{folder}: contains no {' and no '.join(lacking)}{other_corpus(folder, source)}")


def check_known(paths: Sequence[Path], songs: Collection[str], metadata: Collection[str], problems: list[str]) -> None:
    """Check that the metadata contain all songs; ids of another corpus often overlap."""
    strange = sorted(set(songs) - set(metadata), key=int)
    if strange and metadata:
        problems.append(
            f"{' and '.join(map(str, paths))}: {counted(len(strange), 'song')} that the metadata do not contain "
            f"({few(strange)}); expected files of one corpus, completely downloaded"
        )


def incomplete(title: str, songs: int, expected: int) -> list[str]:
    """Remark that the files contain fewer songs than published."""
    if not 0 < songs < expected:
        return []
    return [f"The files contain {songs} of the {expected} songs of {title}; the download may be incomplete."]


def check_same(paths: Sequence[Path], first: Collection[str], second: Collection[str], problems: list[str]) -> None:
    """Check that two files contain the same songs, if both could be read."""
    differing = sorted(set(first) ^ set(second), key=int)
    if first and second and differing:
        one, other = paths
        problems.append(f"{one} and {other.name}: songs that only one of them contains: {few(differing)}")


def check_means(means: Mapping[str, Grid], paths: Mapping[str, Path], problems: list[str]) -> bool:
    """Check the tables of means of both axes; returns whether they contain different numbers of the same songs."""
    arousal, valence = (means[axis] for axis in AXES)
    files = [paths[axis] for axis in AXES]
    before = len(problems)
    check_same(files, arousal.names, valence.names, problems)
    if arousal.names == valence.names and np.array_equal(arousal.values, valence.values, equal_nan=True):
        problems.append(f"{files[0]} and {files[1].name}: contain the same numbers; expected those of two axes")
    return len(problems) == before


def hashes(folder: Path, found: Mapping[str, Path]) -> list[tuple[str, str]]:
    """Compute the SHA-256 of each file; returns pairs of relative path and hash."""
    return sorted((path.relative_to(folder).as_posix(), sha256_file(path)) for path in found.values())


def read_axes(found: Mapping[str, Path], problems: list[str]) -> tuple[dict[str, Grid], dict[str, Grid]]:
    """Read means and standard deviations with one file per axis; their kinds are ``arousal``, ``arousal_std`` etc.

    Each file of standard deviations must contain the songs of its file of means.
    """
    means = {axis: grid for axis in AXES if axis in found and (grid := read_songs(found[axis], problems))}
    deviations = {
        axis: grid
        for axis in AXES
        if f"{axis}_std" in found and (grid := read_songs(found[f"{axis}_std"], problems, low=0.0))
    }
    for axis in set(means) & set(deviations):
        check_same([found[axis], found[f"{axis}_std"]], means[axis].names, deviations[axis].names, problems)
    return means, deviations
