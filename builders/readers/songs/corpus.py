"""Labelled corpora of numbered songs, from ratings of every half second or of whole songs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from ....cards.dataset import About
from ....runtime.files import digest
from ....runtime.text import counted, few
from ...corpus import LabelledCorpus, annotation_table
from ...targets import PARAMETERS
from .audio import Audio
from .metadata import Song, folds_text, grouping, repairs
from .ratings import Ratings, Tables, song_ratings
from .splits import Design
from .tables import AXES, STEP

# Seconds by which audio may be shorter than stated; with a larger difference, it is not that of the song.
_ALLOWED = 1.0


@dataclass(frozen=True)
class Labels:
    """Labels of songs.

    Attributes
    ----------
    spans : dict
        Song to start and duration of the clip in the audio file, in seconds.
    annotations : DataFrame
        As in :class:`~emobench.builders.corpus.LabelledCorpus`.
    targets : DataFrame, optional
        Targets of the songs of which only statistics were published.
    """

    spans: dict[str, tuple[float, float]]
    annotations: pl.DataFrame
    targets: pl.DataFrame | None


def dynamic_labels(rated: Mapping[str, Ratings]) -> Labels:
    """Collect ratings of every half second; the clip is the rated part."""
    spans = {
        song: (each.start / 1000, float(math.ceil((int(each.stamps[-1]) + STEP - each.start) / 1000)))
        for song, each in rated.items()
    }
    annotations = annotation_table(
        (song, trace, name, (each.stamps[kept] + STEP - each.start) / 1000, *each.values[:, trace, kept])
        for song, each in rated.items()
        for trace, name in enumerate(each.names)
        if (kept := np.isfinite(each.values[:, trace]).all(axis=0)).any()
    )
    by_means = any(each.variances is not None for each in rated.values())
    return Labels(spans, annotations, _targets(_seconds(rated)) if by_means else None)


def rated_seconds(
    annotations: Path, tables: Tables, songs: Sequence[str], audio: Audio, problems: list[str]
) -> tuple[dict[str, Ratings], dict[str, str]]:
    """Collect the ratings of every half second; returns them, and the songs without usable audio with the reason."""
    seconds, unusable = audio.durations(songs)
    rated: dict[str, Ratings] = {}
    without = []
    for song in songs if not problems else ():
        each = song_ratings(song, tables, 1000 * seconds[song] if song in seconds else None)
        if each is None and song in seconds and (each := song_ratings(song, tables, None)) is not None:
            unusable[song] = "too_short"
        if each is None:
            without.append(song)
        else:
            rated[song] = each
    if without:
        problems.append(
            f"{annotations}: songs with neither two workers who rated both arousal and valence nor means of the half "
            f"seconds: {few(without)}"
        )
    return rated, unusable


def rated_songs(
    static: Mapping[str, Mapping[str, float]],
    songs: Sequence[str],
    audio: Audio,
    stated: Callable[[str], float | None],
    problems: list[str],
) -> tuple[Labels, dict[str, str]]:
    """Collect ratings of whole songs on 1 to 9, with one target at the end of each clip.

    Parameters
    ----------
    static : mapping
        ``arousal_mean`` and so on by song; deviations are NaN or absent if unknown.
    songs : sequence of str
        Songs to use.
    audio : Audio
        Audio of the songs, which gives their durations.
    stated : callable
        Returns the duration of a song according to the source, used without audio; None if it is unknown. Audio that is
        much shorter is unusable.
    problems : list of str
        List to which problems are added.

    Returns
    -------
    labels : Labels
        Labels of the songs.
    unusable : dict
        Songs without usable audio, with the reason.
    """
    # The clip is the whole file, so a duration that is a frame too long would exclude it as truncated.
    seconds, unusable = audio.durations(songs, exact=True)
    known = {song: duration for song in songs if (duration := stated(song)) is not None}
    short = {song for song in known if seconds.get(song, math.inf) < known[song] - _ALLOWED}
    unusable |= dict.fromkeys(short, "too_short")
    durations = known | {song: duration for song, duration in seconds.items() if song not in short}
    if unknown := [song for song in songs if song not in durations]:
        problems.append(
            f"songs whose duration is not known without their audio: {few(unknown)}; give the folder of the `audio`"
        )
    means, rows = [], []
    for song in songs if not unknown else ():
        values = [(static[song][f"{axis}_mean"] - 5) / 8 for axis in AXES]
        spread = [(static[song].get(f"{axis}_std", math.nan) / 8) ** 2 for axis in AXES]
        means.append((song, 0, "mean", *np.array([[durations[song]], *([value] for value in values)])))
        rows.append((song, durations[song], None, *values, *spread, None))
    spans = {song: (0.0, durations[song]) for song in songs if song in durations}
    return Labels(spans, annotation_table(means), _targets(rows)), unusable


def unknown_spread(songs: Sequence[str]) -> list[str]:
    """Remark that standard deviations of these songs are not known, if there are any."""
    if not songs:
        return []
    return [
        f"{counted(len(songs), 'song')} with labels without a known standard deviation ({few(songs)}); the variances "
        "of these targets are null."
    ]


def song_corpus(
    kind: str,
    about: About,
    labels: Labels,
    design: Design,
    *,
    metadata: Mapping[str, Song],
    audio: Audio,
    unusable: Mapping[str, str],
    hashes: Sequence[tuple[str, str]],
    facts: Mapping[str, int],
    remarks: Sequence[str],
) -> LabelledCorpus:
    """Make a labelled corpus of songs.

    Parameters
    ----------
    kind : str
        Source of the corpus.
    about : About
        Description for the card, to whose notes the remarks are added.
    labels : Labels
        Labels of the songs.
    design : Design
        Labels and folds that were asked for.
    metadata : mapping
        Metadata by song.
    audio : Audio
        Audio of the songs.
    unusable : mapping
        Songs without usable audio, with the reason.
    hashes : sequence
        Files of the source and their SHA-256.
    facts : mapping
        Further facts for the manifest.
    remarks : sequence of str
        What was corrected in the source or could not be checked.
    """
    songs = list(labels.spans)
    split = design.split
    groups, how = grouping(songs, metadata, by_artist=design.by_artist)
    remarks = (*remarks, *repairs(metadata, songs))
    folds = folds_text(how, by_artist=design.by_artist)
    parts = split.parts(songs) if split else None
    if split and parts is not None:
        folds = f"{split.describe(songs)} {folds}" if len(parts) < len(songs) else split.describe(songs)
    notes = "\n".join([about.notes, *(f"- {remark}" for remark in remarks)])
    return LabelledCorpus(
        clips=_clips(labels.spans, metadata, audio.files),
        annotations=labels.annotations,
        targets=labels.targets,
        grouping=groups,
        parts=parts,
        folds=folds,
        about=replace(about, notes=notes),
        source={
            "type": kind,
            "files": len(hashes),
            "sha256": digest(hashes),
            **facts,
            **({"songs_sha256": digest(songs)} if split else {}),
        },
        audio_folder=audio.folder,
        problems=dict(unusable),
        settings={"audio_kind": "songs", **design.settings()},
        remarks=remarks,
    )


def _clips(
    spans: Mapping[str, tuple[float, float]], metadata: Mapping[str, Song], files: Mapping[str, str]
) -> pl.DataFrame:
    rows = []
    for song, span in spans.items():
        known = metadata.get(song, Song())
        rows.append((song, song, known.artist, known.album, known.title, *span, files.get(song)))
    text = dict.fromkeys(("clip_id", "song_id", "artist", "album", "title"), pl.String)
    schema = {**text, "start": pl.Float64, "duration": pl.Float64, "audio": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _seconds(rated: Mapping[str, Ratings]) -> list[tuple[object, ...]]:
    """Average the labels of each second and their variances, of songs with means.

    The covariance, and the variance of a second with a label of unknown variance, are null.
    """
    rows: list[tuple[object, ...]] = []
    for song, each in rated.items():
        if each.variances is None or each.counts is None:
            continue
        seconds = (each.stamps - each.start) // (2 * STEP)
        for second in np.unique(seconds):
            own = seconds == second
            count = int(each.counts[own].min())
            means, spread = each.values[:, 0, own].mean(axis=1), each.variances[:, own].mean(axis=1)
            rows.append((song, float(second + 1), count or None, *means.tolist(), *spread.tolist(), None))
    return rows


def _targets(rows: Sequence[tuple[object, ...]]) -> pl.DataFrame:
    schema = {"clip_id": pl.String, "time": pl.Float64, "n": pl.Int32} | dict.fromkeys(PARAMETERS, pl.Float64)
    table = pl.DataFrame(rows, schema=schema, orient="row")
    return table.with_columns(pl.col("arousal_var", "valence_var").fill_nan(None))
