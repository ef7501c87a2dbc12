"""Read the labels, metadata and audio of DEAM, see :mod:`emobench.builders.sources.deam`.

Files are found by their names (:mod:`emobench.builders.readers.deam.files`). The column ``sample_15000ms`` contains the
label from 15.0 to 15.5 s of the excerpt, so the 60 labels of a 45-second excerpt reach its end. The clip is the rated
part: it starts in the audio file with the first label, usually at 15 s, and the ``time`` of an annotation is the end of
its half second, from the start of the clip. Each second of the clip thus has two labels, which the target averages, and
no beat precedes the first label. Half a second that remains at the end is dropped.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from ....audio.decode import EXTENSIONS
from ....cards.dataset import About
from ....errors import AudioError
from ....runtime.files import digest
from ....runtime.text import few
from ...audio_files import audio_duration
from ...corpus import LabelledCorpus, annotation_table, refuse
from ...targets import PARAMETERS
from ...tree import files_below
from .axes import averages, swapped, worker_averages
from .files import AXES, WIDE, Found, Grid, find_files, read_songs, read_workers, song_id
from .metadata import Song, folds_text, grouping, read_metadata, repairs
from .ratings import STEP, Ratings, Tables, song_ratings
from .split import EVALUATION, SplitConfig
from .static import fill_spreads

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


def load(annotations: Path, audio: Path | None, split: SplitConfig | None = None) -> LabelledCorpus:
    """Read the labels and find the audio of each song.

    Parameters
    ----------
    annotations : Path
        Folder of the annotations and the metadata, in any subfolders; the metadata may also be in a folder
        ``metadata`` beside it.
    audio : Path, optional
        Folder of ``<song_id>.mp3``, or another audio format.
    split : SplitConfig, optional
        Published split; songs that it does not use are left out.

    Returns
    -------
    LabelledCorpus
        Songs sorted by number, with the ratings of all workers who rated both arousal and valence if there are at
        least two. Other songs have means, and variances as far as known, without covariance.

    Raises
    ------
    InputError
        If there are problems; the message lists all of them.
    """
    problems: list[str] = []
    found = Found()
    if annotations.is_dir():
        found = find_files(annotations, problems)
        _check_found(annotations, found, problems)
    else:
        problems.append(f"{annotations}: no such folder; expected the annotations of DEAM")
    files = {} if audio is None else _find_audio(audio, problems)
    tables = _read(found, problems)
    songs = sorted({*_songs(tables.means), *_songs(tables.workers)}, key=int)
    if audio is not None and files and songs and not set(files) & set(songs):
        problems.append(f"{audio}: none of its files is named after a song id, such as {songs[0]}.mp3")
    if tables.metadata and songs and not set(tables.metadata) & set(songs):
        problems.append(f"{annotations}: the metadata contain none of the annotated songs")
    songs = split.songs(songs, problems) if split and songs else songs
    unusable, limits = _limits(audio, {song: files[song] for song in songs if song in files})
    ratings = {song: song_ratings(song, tables, limits.get(song)) for song in songs} if not problems else {}
    without = [song for song, each in ratings.items() if each is None]
    if without:
        problems.append(
            f"{annotations}: songs with neither two workers who rated both arousal and valence nor means of the half "
            f"seconds: {few(without)}"
        )
    known = {song: each for song, each in ratings.items() if each is not None}
    rated, remarks = fill_spreads(known, tables, found.static, problems)
    refuse("build-data deam", problems)
    if audio is not None:
        unusable.update({song: "missing" for song in songs if song not in files})
    groups, how = grouping(songs, tables.metadata)
    remarks += repairs(tables.metadata, songs)
    hashes = found.hashes(annotations)
    by_means = [song for song, each in rated.items() if each.variances is not None]
    return LabelledCorpus(
        clips=_clips(rated, tables.metadata, files),
        annotations=annotation_table(
            (song, trace, name, (each.stamps[kept] + STEP - each.start) / 1000, *each.values[:, trace, kept])
            for song, each in rated.items()
            for trace, name in enumerate(each.names)
            if (kept := np.isfinite(each.values[:, trace]).all(axis=0)).any()
        ),
        targets=_targets(rated) if by_means else None,
        grouping=groups,
        parts=dict.fromkeys(EVALUATION, "test") if split else None,
        folds=f"{split.describe(songs)} {folds_text(how)}" if split else folds_text(how),
        about=replace(ABOUT, notes=_notes(rated, remarks)),
        source={
            "type": "deam",
            "files": len(hashes),
            "sha256": digest(hashes),
            "songs_of_workers": len(rated) - len(by_means),
            "songs_of_means": len(by_means),
            **({"songs_sha256": digest(songs)} if split else {}),
        },
        audio_folder=audio,
        problems=unusable,
        settings={"audio_kind": "songs", **({"split": split.name} if split else {})},
        remarks=tuple(remarks),
    )


def _songs(tables: Mapping[str, Mapping[str, Grid]] | Mapping[str, Grid]) -> set[str]:
    return {song for each in tables.values() for song in (each.names if isinstance(each, Grid) else each)}


def _check_found(folder: Path, found: Found, problems: list[str]) -> None:
    if not found.means and not any(found.workers.values()):
        problems.append(
            f"{folder}: contains neither arousal.csv and valence.csv nor files of workers such as arousal/2.csv"
        )
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


def _find_audio(folder: Path, problems: list[str]) -> dict[str, str]:
    """Find the audio of each song in the folder."""
    if not folder.is_dir():
        problems.append(f"{folder}: no such folder; expected the folder of the audio, such as 2.mp3")
        return {}
    before = len(problems)
    found: dict[str, list[str]] = {}
    for path in files_below(folder, EXTENSIONS, problems):
        song = song_id(Path(path).stem)
        if song is not None:
            found.setdefault(song, []).append(path)
    doubled = [f"{song}: {' and '.join(sorted(paths))}" for song, paths in sorted(found.items()) if len(paths) > 1]
    if doubled:
        problems.append(f"{folder}: songs with more than one file: {few(doubled)}")
    if not found and len(problems) == before:
        problems.append(f"{folder}: contains no audio named after a song id, such as 2.mp3")
    return {song: paths[0] for song, paths in found.items()}


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
        differing = sorted(known["arousal"] ^ known["valence"], key=int)
        if differing:
            problems.append(
                f"{found.means['arousal']} and valence.csv: songs that only one of them contains: {few(differing)}"
            )
        strange = sorted(_songs(workers) - known["arousal"] - known["valence"], key=int)
        if strange:
            problems.append(f"{found.means['arousal']}: lacks songs that have files of workers: {few(strange)}")
        if means["arousal"].names == means["valence"].names and np.array_equal(
            means["arousal"].values, means["valence"].values, equal_nan=True
        ):
            problems.append(
                f"{found.means['arousal']} and valence.csv: contain the same numbers; expected those of two axes"
            )
        elif swapped(averages(means), worker_averages(workers)):
            problems.append(
                f"{found.means['arousal']} and valence.csv: swapped, or the folders arousal and valence of the workers "
                "are, because each file agrees with the workers' ratings of the other axis. Exchange their names"
            )
    return Tables(means, deviations, workers, read_metadata(found.metadata, problems))


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


def _limits(audio: Path | None, files: Mapping[str, str]) -> tuple[dict[str, str], dict[str, float]]:
    """Read the durations of audio files in milliseconds; returns unusable songs with the reason, and durations."""
    unusable: dict[str, str] = {}
    limits: dict[str, float] = {}
    for song, path in files.items():
        try:
            limits[song] = 1000 * audio_duration((audio or Path()) / path)
        except AudioError as error:
            unusable[song] = error.reason
    return unusable, limits


def _clips(rated: Mapping[str, Ratings], metadata: Mapping[str, Song], files: Mapping[str, str]) -> pl.DataFrame:
    rows = []
    for song, each in rated.items():
        known = metadata.get(song, Song())
        names = [known.artist, known.album, known.title]
        duration = float(math.ceil((int(each.stamps[-1]) + STEP - each.start) / 1000))
        rows.append((song, song, *names, each.start / 1000, duration, files.get(song)))
    text = dict.fromkeys(("clip_id", "song_id", "artist", "album", "title"), pl.String)
    schema = {**text, "start": pl.Float64, "duration": pl.Float64, "audio": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _targets(rated: Mapping[str, Ratings]) -> pl.DataFrame:
    """Compute the targets of songs with means: for each second, average its labels and their variances.

    The covariance, and the variance of a second with a label of unknown variance, are null.
    """
    rows = []
    for song, each in rated.items():
        if each.variances is None or each.counts is None:
            continue
        seconds = (each.stamps - each.start) // (2 * STEP)
        for second in np.unique(seconds):
            own = seconds == second
            count = int(each.counts[own].min())
            means, spread = each.values[:, 0, own].mean(axis=1), each.variances[:, own].mean(axis=1)
            rows.append((song, float(second + 1), count or None, *means.tolist(), *spread.tolist(), None))
    schema = {"clip_id": pl.String, "time": pl.Float64, "n": pl.Int32} | dict.fromkeys(PARAMETERS, pl.Float64)
    table = pl.DataFrame(rows, schema=schema, orient="row")
    return table.with_columns(pl.col("arousal_var", "valence_var").fill_nan(None))


def _notes(rated: Mapping[str, Ratings], remarks: Collection[str]) -> str:
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
    lines += [f"- {remark}" for remark in remarks]
    return "\n".join(lines)
