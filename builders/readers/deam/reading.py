"""Read the labels, metadata and audio of DEAM, see :mod:`emobench.builders.sources.deam`.

Files are found by their names (:mod:`emobench.builders.readers.deam.files`). The column ``sample_15000ms`` contains the
label from 15.0 to 15.5 s of the excerpt, so the 60 labels of a 45-second excerpt reach its end. The clip is the rated
part: it starts in the audio file with the first label, usually at 15 s, and the ``time`` of an annotation is the end of
its half second, from the start of the clip. Each second of the clip thus has two labels, which the target averages, and
no beat precedes the first label. Half a second that remains at the end is dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ....cards.dataset import About
from ....runtime.text import counted, few
from ...corpus import LabelledCorpus, refuse
from ..songs.audio import Audio, check_ids, find_audio
from ..songs.corpus import Labels, dynamic_labels, rated_seconds, rated_songs, song_corpus
from ..songs.finding import check_means, other_corpus
from ..songs.metadata import read_metadata
from ..songs.ratings import Ratings, Tables
from ..songs.splits import Design
from ..songs.tables import AXES, STEP, Grid, read_songs
from .axes import YEARS, averages, swapped, worker_averages
from .files import WIDE, Found, find_files, read_workers
from .static import checked_static, fill_spreads

ABOUT = About(
    title="DEAM",
    summary="Arousal and valence of 45-second excerpts and whole songs, rated every half second by crowd workers.",
    license="other",
    citation="""@article{aljanaki2017developing,
  author  = {Aljanaki, Anna and Yang, Yi-Hsuan and Soleymani, Mohammad},
  title   = {Developing a benchmark for emotional analysis of music},
  journal = {PLOS ONE},
  volume  = {12},
  number  = {3},
  year    = {2017}
}""",
    terms="The labels were published by their authors for research, under the terms stated with them at "
    "https://cvml.unige.ch/databases/DEAM/; cite them. The music is not part of this dataset.",
)


# Songs up to this id are excerpts of 45 seconds.
_LAST_EXCERPT, _EXCERPT = YEARS[2014][1], 45.0


class _Read(NamedTuple):
    """Labels, unusable songs, facts for the manifest, and remarks and notes for the card."""

    labels: Labels
    unusable: dict[str, str]
    facts: dict[str, int]
    remarks: list[str]
    notes: str


def load(annotations: Path, audio: Path | None, design: Design | None = None) -> LabelledCorpus:
    """Read the labels and find the audio of each song.

    Parameters
    ----------
    annotations : Path
        Folder of the annotations and the metadata, in any subfolders; the metadata may also be in a folder
        ``metadata`` beside it.
    audio : Path, optional
        Folder of ``<song_id>.mp3``, or another audio format.
    design : Design, optional
        Labels and folds; by default dynamic labels and folds by album. Songs that a published split does not use are
        left out.

    Returns
    -------
    LabelledCorpus
        Songs sorted by number. Dynamic labels are the ratings of all workers who rated both arousal and valence if
        there are at least two; other songs have means, and variances as far as known, without covariance, as all songs
        with static labels have.

    Raises
    ------
    InputError
        If there are problems; the message lists all of them.
    """
    design = design or Design()
    problems: list[str] = []
    found = Found()
    if annotations.is_dir():
        found = find_files(annotations, problems)
        _check_found(annotations, found, design, problems)
    else:
        problems.append(f"{annotations}: no such folder; expected the annotations of DEAM")
    music = find_audio(audio, problems)
    tables = _read(found, problems)
    metadata = read_metadata(found.metadata, problems)
    songs = sorted({*_songs(tables.means), *_songs(tables.workers)}, key=int)
    check_ids(annotations, songs, music, metadata, problems)
    read = (_read_static if design.static else _read_dynamic)(
        annotations, found, tables, songs, music, design, problems
    )
    refuse("build-data deam", problems)
    return song_corpus(
        "deam",
        replace(ABOUT, notes=read.notes),
        read.labels,
        design,
        metadata=metadata,
        audio=music,
        unusable=read.unusable,
        hashes=found.hashes(annotations),
        facts=read.facts,
        remarks=read.remarks,
    )


def _read_dynamic(
    annotations: Path,
    found: Found,
    tables: Tables,
    songs: list[str],
    music: Audio,
    design: Design,
    problems: list[str],
) -> _Read:
    remarks: list[str] = []
    songs = design.split.songs(songs, problems, remarks) if design.split and songs else songs
    known, unusable = rated_seconds(annotations, tables, songs, music, problems)
    rated, more = fill_spreads(known, tables, found.static, problems)
    by_means = sum(each.variances is not None for each in rated.values())
    facts = {"songs_of_workers": len(rated) - by_means, "songs_of_means": by_means}
    return _Read(dynamic_labels(rated), unusable, facts, remarks + more, _dynamic_notes(rated))


def _read_static(
    annotations: Path,
    found: Found,
    tables: Tables,
    songs: list[str],
    music: Audio,
    design: Design,
    problems: list[str],
) -> _Read:
    static, remarks = checked_static(tables, found.static, None, problems)
    rated = sorted(static, key=int)
    if lacking := [song for song in songs if song not in static]:
        remarks.append(
            f"{counted(len(lacking), 'song')} with dynamic labels but without static ones, left out: {few(lacking)}."
        )
    rated = design.split.songs(rated, problems, remarks) if design.split and rated else rated
    ends = {
        song: (int(grid.stamps[np.isfinite(row)][-1]) + STEP) / 1000
        for grid in tables.means.values()
        for song, row in zip(grid.names, grid.values, strict=True)
        if np.isfinite(row).any()
    }
    ends |= {
        song: (int(grid.stamps[-1]) + STEP) / 1000
        for grids in tables.workers.values()
        for song, grid in grids.items()
        if song not in ends
    }
    labels, unusable = rated_songs(
        static, rated, music, lambda song: _EXCERPT if int(song) <= _LAST_EXCERPT else ends.get(song), problems
    )
    return _Read(labels, unusable, {}, remarks, _STATIC_NOTES)


def _songs(tables: Mapping[str, Mapping[str, Grid]] | Mapping[str, Grid]) -> set[str]:
    return {song for each in tables.values() for song in (each.names if isinstance(each, Grid) else each)}


def _check_found(folder: Path, found: Found, design: Design, problems: list[str]) -> None:
    if not found.means and not any(found.workers.values()):
        problems.append(
            f"{folder}: contains neither arousal.csv and valence.csv nor files of workers such as arousal/2.csv"
            f"{other_corpus(folder, 'deam')}"
        )
    if design.static and not found.static:
        problems.append(f"{folder}: contains no static_annotations_averaged_songs_*.csv, the ratings of whole songs")
    for kind, places in (("", found.means), ("_std", found.deviations)):
        if len(places) == 1:
            axis = next(iter(places))
            problems.append(f"{folder}: contains only {axis}{kind}.csv; expected files for arousal and valence")
    for axis, other in (AXES, AXES[::-1]):
        lone = sorted(set(found.workers[axis]) - set(found.workers[other]), key=int)
        if lone:
            problems.append(f"{folder}: songs with files of workers for {axis} only: {few(lone)}")
    if not found.metadata:
        problems.append(
            f"{folder}: contains no metadata*.csv, nor does a folder metadata beside it; folds need the artists"
        )


def _read(found: Found, problems: list[str]) -> Tables:
    means = {axis: grid for axis, path in found.means.items() if (grid := read_songs(path, problems))}
    deviations = {
        axis: grid for axis, path in found.deviations.items() if (grid := read_songs(path, problems, low=0.0))
    }
    workers = {
        axis: {song: grid for song, path in songs.items() if (grid := read_workers(path, problems))}
        for axis, songs in found.workers.items()
    }
    workers = _narrowed(workers, found, problems)
    if len(means) == len(AXES):
        known = {axis: set(grid.names) for axis, grid in means.items()}
        strange = sorted(_songs(workers) - known["arousal"] - known["valence"], key=int)
        if strange:
            problems.append(f"{found.means['arousal']}: lacks songs that have files of workers: {few(strange)}")
        if check_means(means, found.means, problems) and swapped(averages(means), worker_averages(workers)):
            problems.append(
                f"{found.means['arousal']} and valence.csv: swapped, or the folders arousal and valence of the workers "
                "are, because each file agrees with the workers' ratings of the other axis. Exchange their names"
            )
    return Tables(means, deviations, workers)


def _narrowed(
    workers: Mapping[str, Mapping[str, Grid]], found: Found, problems: list[str]
) -> dict[str, dict[str, Grid]]:
    """Rescale the workers' ratings to -1 to 1 if they are on -10 to 10, that is, if over a tenth of them exceed 1."""
    beyond = {
        (axis, song): int((np.abs(grid.values) > 1 + 1e-6).sum())
        for axis, songs in workers.items()
        for song, grid in songs.items()
    }
    ratings = sum(int(np.isfinite(grid.values).sum()) for songs in workers.values() for grid in songs.values())
    wide = sum(beyond.values()) > 0.1 * ratings
    outside = [str(found.workers[axis][song]) for (axis, song), count in beyond.items() if count and not wide]
    if outside:
        problems.append(f"files of workers with ratings outside -1 to 1: {few(outside)}")
    scale = WIDE if wide else 1.0
    return {
        axis: {song: replace(grid, values=grid.values / scale) for song, grid in songs.items()}
        for axis, songs in workers.items()
    }


def _dynamic_notes(rated: Mapping[str, Ratings]) -> str:
    by_means = [each for each in rated.values() if each.variances is not None]
    lines = [
        "## Labels of DEAM",
        "",
        "DEAM labels every half second of an excerpt from the 15th second on, on a scale from -1 to 1, which is halved "
        "here. (Workers' ratings on a scale from -10 to 10 are divided by 10 first.) The clip is the rated part: "
        "`start` is the time in the audio file at which the first label begins, and the `time` of an annotation is the "
        "end of its half second. Targets average the two half seconds of each worker first.",
        "",
        f"- {len(rated) - len(by_means)} songs have the ratings of the workers who rated both arousal and valence, "
        "matched by `WorkerId`, or by the order of the rows if a file has no such column. Covariances are computed "
        "from these ratings.",
    ]
    if by_means:
        lines.append(
            f"- {len(by_means)} songs have means only, as ratings of one annotator named `mean`. The variances of "
            "their targets come from the workers of each axis, the published standard deviations or the ratings of the "
            "whole song, and are null if none of these is known. Their covariance is null because it is not published, "
            "and `n` is null if the number of ratings is unknown."
        )
    return "\n".join(lines)


_STATIC_NOTES = """## Labels of DEAM

The ratings of a whole excerpt or song on a scale from 1 to 9, as means and standard deviations, of which the width of 8
becomes 1 here. The clip is the whole audio file, with one target at its end, and the mean is the rating of one
annotator named `mean`.

- Covariances and the numbers of ratings are not published and null.
- The published standard deviations divide by n, the number of ratings, so the variances of the targets are (n − 1)/n of
  unbiased ones."""
