"""DEAM: 1,802 excerpts and songs of free music, rated every half second by workers of Mechanical Turk.

Citation: Aljanaki, Yang and Soleymani, "Developing a benchmark for emotional analysis of music", PLOS ONE 2017.
Licence: as stated with the data, for research; the songs are under Creative Commons licences of their artists.
Source: https://cvml.unige.ch/databases/DEAM/ (``DEAM_Annotations.zip``, ``metadata.zip``, ``DEAM_audio.zip``).

The files are found by their names (:mod:`emobench.builders.deam_files`). The column ``sample_15000ms`` holds
the label of the half second from 15.0 to 15.5 s of the excerpt, so the 60 labels of an excerpt of 45 seconds
cover its end. The clip is the rated part: its ``start`` is that of its first label, 15 s as a rule, in the
audio file, and an annotation's ``time`` is the end of its half second, counted from there. So each second of
the clip has two labels, which its target averages, and no beat lies before the first label; half a second that is
left over at the end is dropped.
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
from ...corpus import LabelledCorpus, refuse
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
    summary="Arousal and valence of excerpts of 45 seconds and of whole songs, rated every half second by workers.",
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
        Folder of the annotations and the metadata, in whatever folders below it; the metadata may lie in the
        folder ``metadata`` beside it.
    audio : Path, optional
        Folder of ``<song_id>.mp3``, or another encoding.
    split : SplitConfig, optional
        Songs that are tested and learned from, where that is not to be dealt; others are left out.

    Returns
    -------
    LabelledCorpus
        Songs in the order of their numbers. Where two workers or more rated both arousal and valence, their
        own ratings; else means and variances, as far as these are known, without a covariance.

    Raises
    ------
    InputError
        Listing every problem of both folders.
    """
    problems: list[str] = []
    found = Found()
    if annotations.is_dir():
        found = find_files(annotations, problems)
        _check_found(annotations, found, problems)
    else:
        problems.append(f"{annotations}: no such folder; expected DEAM's annotations")
    files = {} if audio is None else _find_audio(audio, problems)
    tables = _read(found, problems)
    songs = sorted({*_songs(tables.means), *_songs(tables.workers)}, key=int)
    if audio is not None and files and songs and not set(files) & set(songs):
        problems.append(f"{audio}: none of its files answers to a song; expected names such as {songs[0]}.mp3")
    if tables.metadata and songs and not set(tables.metadata) & set(songs):
        problems.append(f"{annotations}: no song of the annotations stands in the metadata")
    songs = split.songs(songs, problems) if split and songs else songs
    unusable, limits = _limits(audio, {song: files[song] for song in songs if song in files})
    ratings = {song: song_ratings(song, tables, limits.get(song)) for song in songs} if not problems else {}
    without = [song for song, each in ratings.items() if each is None]
    if without:
        problems.append(
            f"{annotations}: {len(without)} songs have neither two workers for both arousal and valence, nor means "
            f"of the half seconds ({few(without)})"
        )
    known = {song: each for song, each in ratings.items() if each is not None}
    rated, remarks = fill_spreads(known, tables, found.static, problems)
    refuse("build-data deam", problems)
    if audio is not None:
        unusable.update({song: "missing" for song in songs if song not in files})
    groups, how = grouping(songs, tables.metadata)
    remarks += repairs(tables.metadata, songs)
    read = found.hashes(annotations)
    by_means = [song for song, each in rated.items() if each.variances is not None]
    return LabelledCorpus(
        clips=_clips(rated, tables.metadata, files),
        annotations=_annotations(rated),
        targets=_targets(rated) if by_means else None,
        grouping=groups,
        tested=frozenset(EVALUATION) if split else None,
        folds=f"{split.told(songs)} {folds_text(how)}" if split else folds_text(how),
        about=replace(ABOUT, notes=_notes(rated, remarks)),
        source={
            "type": "deam",
            "files": len(read),
            "sha256": digest(read),
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
            f"{folder}: holds neither arousal.csv and valence.csv nor files of workers such as arousal/2.csv"
        )
    for kind, places in (("", found.means), ("_std", found.deviations)):
        if len(places) == 1:
            axis = next(iter(places))
            problems.append(f"{folder}: holds {axis}{kind}.csv only; expected one for arousal and one for valence")
    for axis, other in (AXES, AXES[::-1]):
        lone = sorted(set(found.workers[axis]) - set(found.workers[other]), key=int)
        if lone:
            problems.append(f"{folder}: {len(lone)} songs have files of workers for {axis} only ({few(lone)})")
    if not found.metadata:
        problems.append(f"{folder}: holds no metadata*.csv, nor does a folder metadata beside it; folds need artists")


def _find_audio(folder: Path, problems: list[str]) -> dict[str, str]:
    """Path of each song's audio below the folder."""
    if not folder.is_dir():
        problems.append(f"{folder}: no such folder; expected one with the audio, such as 2.mp3")
        return {}
    before = len(problems)
    found: dict[str, list[str]] = {}
    for path in files_below(folder, EXTENSIONS, problems):
        song = song_id(Path(path).stem)
        if song is not None:
            found.setdefault(song, []).append(path)
    doubled = [f"{song}: {' and '.join(sorted(paths))}" for song, paths in sorted(found.items()) if len(paths) > 1]
    if doubled:
        problems.append(f"{folder}: {len(doubled)} songs have more than one file ({few(doubled)})")
    if not found and len(problems) == before:
        problems.append(f"{folder}: holds no audio named by a song's number, such as 2.mp3")
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
                f"{found.means['arousal']} and valence.csv: {len(differing)} songs stand in one only ({few(differing)})"
            )
        strange = sorted(_songs(workers) - known["arousal"] - known["valence"], key=int)
        if strange:
            problems.append(
                f"{found.means['arousal']}: lacks {len(strange)} songs that have files of workers ({few(strange)})"
            )
        if means["arousal"].names == means["valence"].names and np.array_equal(
            means["arousal"].values, means["valence"].values, equal_nan=True
        ):
            problems.append(
                f"{found.means['arousal']} and valence.csv: hold the same numbers; expected those of two axes"
            )
        elif swapped(averages(means), worker_averages(workers)):
            problems.append(
                f"{found.means['arousal']} and valence.csv: swapped, or else the workers' folders arousal and valence, "
                "which say of the same songs what these say of the other axis; give each its own name"
            )
    return Tables(means, deviations, workers, read_metadata(found.metadata, problems))


def _narrowed(
    workers: Mapping[str, Mapping[str, Grid]], found: Found, problems: list[str]
) -> dict[str, dict[str, Grid]]:
    """Bring the workers' ratings to -1 to 1 where they are on -10 to 10, as a tenth of all beyond 1 shows."""
    beyond = {
        (axis, song): int((np.abs(grid.values) > 1 + 1e-6).sum())
        for axis, songs in workers.items()
        for song, grid in songs.items()
    }
    ratings = sum(int(np.isfinite(grid.values).sum()) for songs in workers.values() for grid in songs.values())
    wide = sum(beyond.values()) > 0.1 * ratings
    astray = [str(found.workers[axis][song]) for (axis, song), count in beyond.items() if count and not wide]
    if astray:
        problems.append(f"{len(astray)} files of workers hold ratings beyond -1 to 1 ({few(astray)})")
    scale = WIDE if wide else 1.0
    return {
        axis: {song: replace(grid, values=grid.values / scale) for song, grid in songs.items()}
        for axis, songs in workers.items()
    }


def _limits(audio: Path | None, files: Mapping[str, str]) -> tuple[dict[str, str], dict[str, float]]:
    """Songs whose audio cannot be read, with the reason, and the length of the others in milliseconds."""
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


def _annotations(rated: Mapping[str, Ratings]) -> pl.DataFrame:
    tables = []
    for song, each in rated.items():
        traces, places = np.nonzero(np.isfinite(each.values).all(axis=0))
        tables.append(
            pl.DataFrame(
                {
                    "clip_id": [song] * len(traces),
                    "trace": traces.astype(np.int32),
                    "annotator_id": [each.names[trace] for trace in traces],
                    "time": (each.stamps[places] + STEP - each.start) / 1000,
                    "arousal": each.values[0, traces, places],
                    "valence": each.values[1, traces, places],
                }
            )
        )
    return pl.concat(tables)


def _targets(rated: Mapping[str, Ratings]) -> pl.DataFrame:
    """Targets of the songs known by means: of each second the mean of its labels, and of their variances.

    What is not known is null: the covariance, and the variance of a second with a label of unknown variance.
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
        "DEAM labels every half second on a scale from -1 to 1, from the 15th second of an excerpt on; here they "
        "are halved. (Ratings of workers on a scale from -10 to 10 are brought to that of the means first.) The clip "
        "is the rated part, `start` the second of the audio file at which its first label begins, and the `time` of "
        "an annotation the end of its half second. A target averages the two half seconds of each worker first.",
        "",
        f"- {len(rated) - len(by_means)} songs carry the ratings of the workers who rated both arousal and valence "
        "(matched by `WorkerId`, or by the order of the rows where a file has none), and covariances computed from "
        "them.",
    ]
    if by_means:
        lines.append(
            f"- {len(by_means)} songs carry means only, as the one annotator `mean`: the variances of their targets "
            "are those of the workers of each axis, of the published deviations, or of the ratings of the whole song, "
            "and null where none of these is known; their covariance is null because it is not published, and `n` is "
            "null where the number of ratings is not known."
        )
    lines += [f"- {remark}" for remark in remarks]
    return "\n".join(lines)
