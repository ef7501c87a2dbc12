"""Read the labels, metadata and audio of PMEmo, see :mod:`emobench.builders.sources.pmemo`.

Ratings are on 0 to 1, which is (x − 1) / 8 of the raters' scale from 1 to 9. Means and standard deviations are in files
of their own. A widely used copy of the ratings of whole choruses (Music2Emo's) has both in one file, the means on 1 to
9 but the standard deviations on 0 to 1; its scales are recognised by their medians.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
import numpy.typing as npt

from ...cards.dataset import About
from ...runtime.text import few
from ..corpus import LabelledCorpus, refuse
from ..folds import normalised
from .songs.audio import check_ids, find_audio
from .songs.corpus import dynamic_labels, rated_seconds, rated_songs, song_corpus, unknown_spread
from .songs.finding import check_found, check_known, check_same, find_named, hashes, incomplete
from .songs.metadata import read_metadata
from .songs.ratings import Tables, lacks_spread
from .songs.splits import Design
from .songs.tables import (
    AXES,
    LISTED,
    SONG_ID,
    STEP,
    Grid,
    number_in,
    parse_static,
    read_long,
    read_rows,
    records,
    song_id,
    static_columns,
)

ABOUT = About(
    title="PMEmo",
    summary="Arousal and valence of the choruses of popular songs, rated every half second and as a whole by students.",
    license="other",
    citation="""@inproceedings{zhang2018pmemo,
  author    = {Zhang, Kejun and Zhang, Hui and Li, Simeng and Yang, Changyuan and Sun, Lingyun},
  title     = {The PMEmo dataset for music emotion recognition},
  booktitle = {Proceedings of the 2018 ACM International Conference on Multimedia Retrieval},
  pages     = {135--142},
  year      = {2018}
}""",
    terms="The labels were published by their authors for research, under the terms stated with them at "
    "https://github.com/HuiZhangDB/PMEmo; cite them. The music is commercial and not part of this dataset.",
)

SONGS = 767

_METADATA = {"metadata": "metadata.csv"}
_DYNAMIC = {"dynamic": "dynamic_annotations.csv"}
_STATIC = {"static": "static_annotations.csv"}
_NAMES = {name: kind for kind, name in (_METADATA | _DYNAMIC | _STATIC).items()} | {
    "dynamic_annotations_std.csv": "dynamic_std",
    "static_annotations_std.csv": "static_std",
}

# Largest difference of two copies of a mean on 1 to 9; they are given with all digits.
_SAME = 0.01

# Raters of a song, at least. With n of them, the largest standard deviation on 0 to 1 is that of ratings that are all 0
# or 1, even if it divides by n - 1: sqrt(mean (1 - mean) n / (n - 1)).
_FEWEST = 10

# Share of standard deviations above that bound from which the whole file is on another scale: 2.6 % in the published
# file, all of which are below it if halved. A smaller share are errors of single rows.
_FREQUENT = 0.015

# Longest chorus in seconds.
_LONGEST = 3600

_NOTES = {
    "dynamic": """## Labels of PMEmo

PMEmo labels every half second of a chorus from the 15th second on, on a scale from 0 to 1. `frameTime` is the end of a
half second. The clip is the rated part: `start` is the time in the audio file at which the first label begins, and the
`time` of an annotation is the end of its half second. Half a second that remains at the end is dropped.

- Single ratings are not in these files: the means are the ratings of one annotator named `mean`. A target averages the
  means and the variances of its two half seconds. Whether the published standard deviations divide by n or n − 1 is not
  stated; they are squared as they are.
- Covariances and the numbers of ratings are not published and null.""",
    "static": """## Labels of PMEmo

The ratings of a whole chorus on a scale from 0 to 1, that is, (x − 1) / 8 of the raters' scale from 1 to 9. The clip is
the whole audio file, with one target at its end, and the mean is the rating of one annotator named `mean`.

- The published standard deviations divide by n, the number of ratings, so the variances of the targets are (n − 1)/n of
  unbiased ones.
- Covariances and the numbers of ratings are not published and null.""",
}


def load(annotations: Path, audio: Path | None, design: Design | None = None) -> LabelledCorpus:
    """Read the labels and find the audio of each song.

    Parameters
    ----------
    annotations : Path
        Folder of the annotations and the metadata, in any subfolders.
    audio : Path, optional
        Folder of ``<musicId>.mp3``, or another audio format, in any subfolders.
    design : Design, optional
        Labels and folds; by default dynamic labels and folds by album.

    Returns
    -------
    LabelledCorpus
        Songs sorted by number, with means, and variances as far as known.

    Raises
    ------
    InputError
        If there are problems; the message lists all of them.
    """
    design = design or Design()
    problems: list[str] = []
    remarks: list[str] = []
    found = find_named(annotations, _kind, "PMEmo", problems)
    labelled = _STATIC if design.static and "copy" not in found else {} if design.static else _DYNAMIC
    check_found(annotations, found, labelled | _METADATA, "pmemo", problems)
    kinds = ("static", "static_std", "copy") if design.static else ("dynamic", "dynamic_std")
    paths = {kind: found[kind] for kind in kinds if kind in found}
    music = find_audio(audio, problems)
    metadata, durations = {}, {}
    if "metadata" in found:
        metadata = read_metadata([found["metadata"]], problems)
        durations = _durations(found["metadata"], problems)
    static = _static(paths, problems, remarks) if design.static else {}
    means, deviations = _dynamic(paths, problems, remarks) if not design.static else ({}, {})
    songs = sorted(static or {song for grid in means.values() for song in grid.names}, key=int)
    check_known(list(paths.values()), songs, metadata, problems)
    check_ids(annotations, songs, music, metadata, problems)
    remarks += incomplete("PMEmo", len(songs), SONGS)
    songs = design.split.songs(songs, problems, remarks) if design.split and songs else songs
    if design.static:
        labels, unusable = rated_songs(static, songs, music, durations.get, problems)
        unknown = [song for song in songs if "arousal_std" not in static[song]]
    else:
        rated, unusable = rated_seconds(annotations, Tables(means, deviations, {}), songs, music, problems)
        unknown = [song for song, each in rated.items() if lacks_spread(each)]
        labels = dynamic_labels(rated)
    refuse("build-data pmemo", problems)
    return song_corpus(
        "pmemo",
        replace(ABOUT, notes=_NOTES[design.labels]),
        labels,
        design,
        metadata=metadata,
        audio=music,
        unusable=unusable,
        hashes=hashes(annotations, paths | {"metadata": found["metadata"]}),
        facts={"songs": len(labels.spans)},
        remarks=remarks + unknown_spread(unknown),
    )


def _kind(name: str) -> str | None:
    return _NAMES.get(name) or ("copy" if name.endswith("static_annotations.csv") else None)


def _durations(path: Path, problems: list[str]) -> dict[str, float]:
    """Read the durations of the choruses in seconds."""
    found: dict[str, float] = {}
    wrong: list[str] = []
    for number, cells in records(path, {"song_id": SONG_ID, "duration": ("duration",)}, problems):
        song, duration = song_id(cells["song_id"]), number_in(cells["duration"])
        if song is None or not 0 < duration <= _LONGEST:
            wrong.append(f"row {number}: duration {cells['duration'][:40]!r}; expected seconds")
        else:
            found[song] = duration
    if wrong:
        problems.append(f"{path}: {few(wrong, LISTED)}")
    return found


def _dynamic(
    paths: Mapping[str, Path], problems: list[str], remarks: list[str]
) -> tuple[dict[str, Grid], dict[str, Grid]]:
    """Read means on -1 to 1, and standard deviations on that scale."""
    means = deviations = None
    if "dynamic" in paths:
        means = read_long(paths["dynamic"], _columns("mean"), problems)
    if "dynamic_std" in paths:
        deviations = read_long(paths["dynamic_std"], _columns("std"), problems)
    if not means or not deviations:
        return _rescaled(means or {}, 2, -1), {}
    check_same([paths[kind] for kind in paths], means["arousal"].names, deviations["arousal"].names, problems)
    excess = _excess(means, deviations)
    if len(excess) > _FREQUENT * sum(int(np.isfinite(grid.values).sum()) for grid in deviations.values()):
        remarks.append(
            f"{paths['dynamic_std'].name}: {len(excess)} of the standard deviations exceed the largest one that "
            "ratings with that mean on 0 to 1 can have, so they are on a scale from -1 to 1 and are halved."
        )
        deviations = _rescaled(deviations, 0.5)
        excess = _excess(means, deviations)
    if excess:
        problems.append(
            f"{paths['dynamic_std']}: standard deviations that exceed the largest one that ratings with that mean can "
            f"have: {few(excess, LISTED)}"
        )
    return _rescaled(means, 2, -1), _rescaled(deviations, 2)


def _rescaled(grids: Mapping[str, Grid], factor: float, shift: float = 0.0) -> dict[str, Grid]:
    return {axis: replace(grid, values=factor * grid.values + shift) for axis, grid in grids.items()}


def _excess(means: Mapping[str, Grid], deviations: Mapping[str, Grid]) -> list[str]:
    """List the standard deviations that exceed the bound of ratings on 0 to 1, all of which would be 0 or 1."""
    found = []
    for axis, grid in means.items():
        other = deviations[axis]
        _, ours, theirs = np.intersect1d(grid.names, other.names, return_indices=True)
        stamps, own, given = np.intersect1d(grid.stamps, other.stamps, return_indices=True)
        mean = grid.values[np.ix_(ours, own)]
        spread = other.values[np.ix_(theirs, given)]
        found += [
            f"song {grid.names[ours[row]]}, frameTime {(stamps[column] + STEP) / 1000:g}, {axis}"
            for row, column in np.argwhere(spread > _largest(mean))
        ]
    return found


def _largest(mean: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the largest standard deviation of ratings on 0 to 1 with a mean."""
    return np.sqrt(mean * (1 - mean) * _FEWEST / (_FEWEST - 1)) + 1e-6


def _columns(what: str) -> dict[str, tuple[str, ...]]:
    columns = static_columns(what)
    return {axis: columns[f"{axis}_{what}"] for axis in AXES}


def _static(paths: Mapping[str, Path], problems: list[str], remarks: list[str]) -> dict[str, dict[str, float]]:
    """Read the ratings of whole choruses on 1 to 9, from the published files or copies of them."""
    published: dict[str, dict[str, float]] = {}
    copied: dict[str, dict[str, float]] = {}
    spreads: dict[str, dict[str, float]] = {}
    means = Path()
    for kind, path in paths.items():
        header = [normalised(cell) for cell in next(iter(read_rows(path, [])), [])]
        if kind == "static_std":
            spreads = _read(path, ("std",), problems)
        elif any("std" in cell for cell in header):
            copied = _read_copy(path, problems, remarks)
        elif published:
            problems.append(f"{path}: is a second file of means; expected one")
        else:
            published, means = _read(path, ("mean",), problems), path
    if published and copied:
        differing = [
            song
            for song in sorted(set(published) & set(copied), key=int)
            if any(abs(published[song][f"{axis}_mean"] - copied[song][f"{axis}_mean"]) > _SAME for axis in AXES)
        ]
        if differing:
            problems.append(
                f"{' and '.join(map(str, paths.values()))}: different means of {few(differing)}; expected copies of "
                "the same ratings. Remove one of the files"
            )
    if published and spreads:
        check_same([means, paths["static_std"]], published, spreads, problems)
    static = {
        song: {name: value for name, value in copied.get(song, {}).items() if name.endswith("std")}
        | spreads.get(song, {})
        | {name: value for name, value in row.items() if name.endswith("mean")}
        for song, row in (published or copied).items()
    }
    excess = [song for song, row in static.items() if _exceeds(row)]
    if excess:
        problems.append(
            f"{' and '.join(map(str, paths.values()))}: standard deviations that exceed the largest one that ratings "
            f"with that mean can have: songs {few(excess)}; expected both on one scale"
        )
    return static


def _exceeds(row: Mapping[str, float]) -> bool:
    """Whether a standard deviation on 1 to 9 exceeds the largest one of ratings with that mean."""
    means = np.array([(row[f"{axis}_mean"] - 1) / 8 for axis in AXES])
    spread = np.array([row.get(f"{axis}_std", 0.0) / 8 for axis in AXES])
    return bool((spread > _largest(means)).any())


def _read(path: Path, what: tuple[str, ...], problems: list[str]) -> dict[str, dict[str, float]]:
    rows = records(path, {"song_id": SONG_ID, **static_columns(*what)}, problems)
    return _widened(parse_static(path, rows, dict.fromkeys(what, (0.0, 1.0)), problems), dict.fromkeys(what, 8.0))


def _read_copy(path: Path, problems: list[str], remarks: list[str]) -> dict[str, dict[str, float]]:
    """Read a copy with means and standard deviations, each on 0 to 1 or on 1 to 9."""
    columns = static_columns("mean", "std")
    rows = records(path, {"song_id": SONG_ID, **columns}, problems)
    narrow = {what: _median(rows, what) <= bound for what, bound in (("mean", 1.0), ("std", 0.5))}
    bounds = {"mean": (0.0, 1.0) if narrow["mean"] else (1.0, 9.0), "std": (0.0, 1.0 if narrow["std"] else 8.0)}
    if narrow["std"] and not narrow["mean"]:
        remarks.append(
            f"{path.name} mixes two scales: means on 1 to 9, standard deviations on 0 to 1; the latter are multiplied "
            "by 8."
        )
    return _widened(parse_static(path, rows, bounds, problems), {what: 8.0 if narrow[what] else 1.0 for what in narrow})


def _median(rows: Sequence[tuple[int, Mapping[str, str]]], what: str) -> float:
    values = [number_in(cells[f"{axis}_{what}"]) for _, cells in rows for axis in AXES]
    return median([value for value in values if math.isfinite(value)] or [0.0])


def _widened(static: Mapping[str, Mapping[str, float]], factors: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Convert values on 0 to 1, where the factor is 8, to 1 to 9."""
    return {
        song: {
            name: value * (factor := factors[name.rpartition("_")[2]])
            + (1 if name.endswith("mean") and factor > 1 else 0)
            for name, value in row.items()
        }
        for song, row in static.items()
    }
