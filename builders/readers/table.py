"""Reader of corpora in two CSV tables, see :mod:`emobench.builders.sources.table`.

``clips.csv`` has the columns ``clip_id,audio,artist,album[,title][,start][,duration]``, one row per clip.
``labels.csv`` has ``clip_id,annotator_id,time,arousal,valence``. ``time``, in seconds from the clip's start, is the end
of the rated second. A rating without a time applies to every second of the clip. An annotator may rate a second of a
clip only once; anonymous annotators each need an id of their own.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from ...cards.dataset import About
from ...errors import AudioError, InputError
from ...runtime.csv_files import read_csv
from ...runtime.files import sha256_file
from ..audio_files import audio_duration
from ..corpus import ANNOTATIONS, LabelledCorpus

ABOUT = About(
    title="Own corpus",
    summary="Arousal and valence of a corpus given as tables.",
    license="unknown",
    citation="@misc{corpus, note = {The citation of this corpus was not given when the dataset was built.}}",
    terms="The terms of use of the ratings and the music were not given when the dataset was built.",
)


def read_table(path: Path, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> pl.DataFrame:
    """Read a CSV table as text, with the row number in the file as ``row``; absent optional columns are empty."""
    table = read_csv(path, (*required, *optional))
    lacking = [name for name in required if name not in table.columns]
    if lacking:
        raise InputError(f"{path}: lacks the column {', '.join(lacking)}; expected {','.join(required)}.")
    if table.is_empty():
        raise InputError(f"{path}: has no rows; expected at least one.")
    for name in optional:
        if name not in table.columns:
            table = table.with_columns(pl.lit("").alias(name))
    return table.select("row", *required, *optional)


def numbers(path: Path, table: pl.DataFrame, name: str, *, empty: bool) -> pl.Series:
    """Convert a column of text to float64; empty cells are null if ``empty``, else InputError is raised."""
    text = table[name]
    values = text.replace("", None).cast(pl.Float64, strict=False)
    wrong = table.filter((values.is_null() & (text != "")) | values.is_nan() | values.is_infinite())
    if len(wrong):
        row = wrong.row(0, named=True)
        raise InputError(f"{path}, row {row['row']}: {name} is {row[name]!r}; expected a finite number.")
    if not empty and values.has_nulls():
        row = table.filter(text == "").row(0, named=True)
        raise InputError(f"{path}, row {row['row']}: {name} is empty; expected a number.")
    return values


def check_filled(path: Path, table: pl.DataFrame, *names: str) -> None:
    """Raise InputError if a cell of these columns is empty."""
    for name in names:
        empty = table.filter(pl.col(name) == "")
        if len(empty):
            raise InputError(f"{path}, row {empty['row'][0]}: {name} is empty; expected a name.")


def load(clips: Path, labels: Path, audio: Path | None, *, low: float = -0.5, high: float = 0.5) -> LabelledCorpus:
    """Read a corpus from tables.

    Parameters
    ----------
    clips, labels : Path
        The two tables.
    audio : Path, optional
        Folder to which the column ``audio`` is relative; by default the folder of ``clips``.
    low, high : float
        Lowest and highest possible rating, mapped linearly to -0.5 and 0.5.

    Returns
    -------
    LabelledCorpus

    Raises
    ------
    InputError
        If a table is invalid; the message names the file, the row and the value.
    """
    facts = _clip_facts(clips, audio or clips.parent)
    if audio is not None and not audio.is_dir():
        raise InputError(f"{audio}: no such folder; expected the folder with the audio files listed in {clips}.")
    folder = audio or clips.parent
    has_audio = bool((facts["audio"] != "").any())
    ratings = _ratings(labels, low, high, set(facts["clip_id"]))
    facts, problems = _durations(clips, facts, ratings, folder if has_audio else None)
    _check_times(labels, facts, ratings)
    return LabelledCorpus(
        clips=facts.select(
            "clip_id",
            pl.col("clip_id").alias("song_id"),
            "artist",
            "album",
            "title",
            "start",
            "duration",
            pl.col("audio").replace("", None),
        ),
        annotations=_annotations(facts, ratings),
        about=ABOUT,
        source={"type": "table", "clips_sha256": sha256_file(clips), "labels_sha256": sha256_file(labels)},
        audio_folder=folder if has_audio else None,
        problems=problems,
        settings={"low": low, "high": high},
    )


def _clip_facts(path: Path, folder: Path) -> pl.DataFrame:
    table = read_table(path, ("clip_id", "audio", "artist", "album"), ("title", "start", "duration"))
    check_filled(path, table, "clip_id", "artist")
    doubled = table.filter(pl.col("clip_id").is_duplicated())
    if len(doubled):
        raise InputError(f"{path}, row {doubled['row'][1]}: duplicate clip_id {doubled['clip_id'][1]}.")
    start = numbers(path, table, "start", empty=True).fill_null(0.0)
    duration = numbers(path, table, "duration", empty=True)
    for name, values, lowest in (("start", start, 0.0), ("duration", duration, 1.0)):
        wrong = np.flatnonzero((values < lowest).fill_null(value=False).to_numpy())
        if len(wrong):
            row, value = table["row"][int(wrong[0])], values[int(wrong[0])]
            raise InputError(f"{path}, row {row}: {name} is {value:g}; expected at least {lowest:g}.")
    paths = []
    for row, audio in table.select("row", "audio").iter_rows():
        inside = Path(audio)
        if inside.is_absolute() and inside.is_relative_to(folder.resolve()):
            inside = inside.relative_to(folder.resolve())
        paths.append(inside.as_posix() if audio else "")
        if inside.is_absolute() or ".." in inside.parts:
            raise InputError(
                f"{path}, row {row}: audio {audio!r} is outside the audio folder; expected a path inside it."
            )
    return table.with_columns(start=start, duration=duration, audio=pl.Series(paths, dtype=pl.String))


def _ratings(path: Path, low: float, high: float, known: set[str]) -> pl.DataFrame:
    table = read_table(path, ("clip_id", "annotator_id", "arousal", "valence"), ("time",))
    check_filled(path, table, "clip_id", "annotator_id")
    unknown = table.filter(~pl.col("clip_id").is_in(list(known)))
    if len(unknown):
        row = unknown.row(0, named=True)
        raise InputError(f"{path}, row {row['row']}: clip_id {row['clip_id']!r} is not in the table of clips.")
    columns = {}
    for axis in ("arousal", "valence"):
        values = numbers(path, table, axis, empty=False)
        wrong = table.filter((values < low) | (values > high))
        if len(wrong):
            row = wrong.row(0, named=True)
            raise InputError(
                f"{path}, row {row['row']}: {axis} {row[axis]} is outside the scale {low:g},{high:g}; "
                "pass the scale of the ratings as `scale`."
            )
        columns[axis] = ((values - low) / (high - low) - 0.5).clip(-0.5, 0.5)
    ratings = table.with_columns(time=numbers(path, table, "time", empty=True), **columns)
    _check_repeated(path, ratings)
    whole = ratings["time"].is_null()
    if whole.any() and not whole.all():
        row = ratings.row(int((whole != whole[0]).arg_max() or 0), named=True)
        raise InputError(
            f"{path}, row {row['row']}: time is {'empty' if row['time'] is None else row['time']}; expected a time in "
            "every row, for ratings over time, or in none, for one rating per clip and annotator."
        )
    return ratings


def _check_repeated(path: Path, ratings: pl.DataFrame) -> None:
    """Refuse two ratings of the same second by the same annotator, which would be averaged."""
    seen: dict[tuple[str, str, float | None], int] = {}
    for row, clip, annotator, time in ratings.select("row", "clip_id", "annotator_id", "time").iter_rows():
        first = seen.setdefault((clip, annotator, time), row)
        moment = "the whole clip" if time is None else f"time {time:g}"
        if first != row:
            raise InputError(
                f"{path}, rows {first} and {row}: clip {clip!r} and annotator {annotator!r} appear twice for {moment}; "
                "expected one rating. Remove one of the rows, or change annotator_id if the annotators differ."
            )


def _durations(
    path: Path, facts: pl.DataFrame, ratings: pl.DataFrame, folder: Path | None
) -> tuple[pl.DataFrame, dict[str, str]]:
    """Fill in missing durations from the audio, or else from the time of the last rating."""
    last = dict(ratings.group_by("clip_id").agg(pl.col("time").max()).iter_rows())
    durations, problems = [], {}
    for clip in facts.iter_rows(named=True):
        duration = clip["duration"]
        if folder is not None and not clip["audio"]:
            problems[clip["clip_id"]] = "missing"
        if duration is None and folder is not None and clip["audio"]:
            try:
                duration = audio_duration(folder / clip["audio"]) - clip["start"]
            except AudioError as error:
                problems[clip["clip_id"]] = error.reason
            if duration is not None and duration < 1:
                problems[clip["clip_id"]] = "too_short"
                duration = None
        if duration is None:
            duration = last.get(clip["clip_id"])
        if duration is None and clip["clip_id"] in problems:
            duration = 1.0
        if duration is None:
            raise InputError(f"{path}, row {clip['row']}: clip {clip['clip_id']} has no duration; add it in seconds.")
        durations.append(float(duration))
    return facts.with_columns(duration=pl.Series(durations, dtype=pl.Float64)), problems


def _check_times(path: Path, facts: pl.DataFrame, ratings: pl.DataFrame) -> None:
    durations = dict(facts.select("clip_id", "duration").iter_rows())
    for row in ratings.filter(pl.col("time").is_not_null()).iter_rows(named=True):
        limit = durations[row["clip_id"]]
        if not 0 < row["time"] <= limit + 1e-6:
            raise InputError(
                f"{path}, row {row['row']}: time {row['time']:g} is outside the clip {row['clip_id']} "
                f"(0 to {limit:g} s); expected the end of the rated second."
            )


def _annotations(facts: pl.DataFrame, ratings: pl.DataFrame) -> pl.DataFrame:
    """Number the traces and sort by clip, trace and time; ratings of a whole clip are at its end."""
    durations = dict(facts.select("clip_id", "duration").iter_rows())
    order = {clip: place for place, clip in enumerate(facts["clip_id"])}
    traces: dict[tuple[str, str], int] = {}
    counts: dict[str, int] = {}
    rows = []
    for row in ratings.iter_rows(named=True):
        clip, annotator = row["clip_id"], row["annotator_id"]
        if (clip, annotator) not in traces:
            traces[clip, annotator] = counts.get(clip, 0)
            counts[clip] = counts.get(clip, 0) + 1
        time = durations[clip] if row["time"] is None else row["time"]
        rows.append((clip, traces[clip, annotator], annotator, time, row["arousal"], row["valence"]))
    table = pl.DataFrame(rows, schema=ANNOTATIONS, orient="row")
    return table.sort(
        pl.col("clip_id").replace_strict(order, return_dtype=pl.Int64), "trace", "time", maintain_order=True
    )
