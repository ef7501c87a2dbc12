"""Corpora as the readers return them: tables, and facts for the card."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy.typing as npt
import polars as pl

from ..cards.dataset import About
from ..errors import InputError
from ..runtime.csv_files import not_utf8
from ..runtime.text import counted
from .quality import QualityConfig

Render = Callable[[Path, Executor], None]


# Columns of annotations.
ANNOTATIONS = {"clip_id": pl.String, "trace": pl.Int32, "annotator_id": pl.String} | dict.fromkeys(
    ("time", "arousal", "valence"), pl.Float64
)


def annotation_table(traces: Iterable[tuple[str, int, str, npt.NDArray, npt.NDArray, npt.NDArray]]) -> pl.DataFrame:
    """Make the table of annotations.

    Parameters
    ----------
    traces : iterable of tuple
        Clip id, number of the trace, annotator id, and times, arousal and valence, each of shape (n,).
    """
    listed = list(traces)
    if not listed:
        return pl.DataFrame(schema=ANNOTATIONS)
    columns = zip(ANNOTATIONS.items(), zip(*listed, strict=True), strict=True)
    return pl.DataFrame(
        [pl.Series(name, values, pl.List(kind) if kind == pl.Float64 else kind) for (name, kind), values in columns]
    ).explode("time", "arousal", "valence")


@contextmanager
def reading_csv(path: Path, problems: list[str]) -> Iterator[None]:
    """Add the errors of reading a CSV file to a list of problems."""
    try:
        yield
    except InputError as error:
        problems.append(as_problem(error))
    except UnicodeDecodeError as error:
        problems.append(as_problem(not_utf8(path, error)))
    except (OSError, csv.Error) as error:
        problems.append(f"{path}: not readable as CSV ({error})")


def as_problem(error: InputError) -> str:
    """Return the message of an error as an item of a list of problems, without its full stop."""
    return str(error).removesuffix(".")


def refuse(what: str, problems: Sequence[str]) -> None:
    """Raise an InputError that lists all problems of an input, if there are any."""
    if problems:
        raise InputError(f"{what}: {counted(len(problems), 'problem')}: {'; '.join(problems)}.")


def _check_clips(clips: pl.DataFrame, key: str, about: About) -> None:
    if clips.is_empty():
        raise InputError(f"{about.title}: the corpus is empty; expected at least one clip.")
    doubled = clips.filter(pl.col(key).is_duplicated())[key]
    if len(doubled):
        raise InputError(f"duplicate {key} {doubled[0]}; expected one row per clip.")


@dataclass(frozen=True)
class LabelledCorpus:
    """A labelled corpus.

    Attributes
    ----------
    clips : DataFrame
        ``clip_id, song_id, artist, album, title, start, duration, audio``; ``audio`` is relative to ``audio_folder``,
        or null.
    annotations : DataFrame
        ``clip_id, trace, annotator_id, time, arousal, valence``, with values in [-0.5, 0.5].
    about : About
        Description for the card.
    source : dict
        Description of the source for the manifest, with SHA-256 of its files.
    audio_folder : Path, optional
        Folder of the audio; None for a dataset without audio.
    problems : dict
        Clips whose audio is known to be unusable, with the reason. Further ones are found by the analysis.
    settings : dict
        Settings of the source for the manifest.
    render : callable, optional
        Renders the audio of a synthetic corpus: takes the folder to fill and an executor. Existing files are kept.
    beats : callable, optional
        Attaches given beats to the audio of clips, see :mod:`.given_beats`.
    targets : DataFrame, optional
        Targets of the clips of which only statistics were published. Those of other clips are computed from
        ``annotations``, which contain the published means for these clips.
    grouping : DataFrame, optional
        ``clip_id, artist, album`` by which folds keep clips together, if these are not those of ``clips``.
    parts : mapping of str to str, optional
        Part of each clip in a published split, see :func:`emobench.builders.folds.fold_table`.
    folds : str
        Description of the folds for the card, unless they keep albums together.
    remarks : tuple of str
        Sentences about what was corrected in the source or could not be checked; printed after a build.
    """

    clips: pl.DataFrame
    annotations: pl.DataFrame
    about: About
    source: dict[str, Any]
    audio_folder: Path | None = None
    problems: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    render: Render | None = None
    beats: Callable[..., Any] | None = None
    targets: pl.DataFrame | None = None
    grouping: pl.DataFrame | None = None
    parts: Mapping[str, str] | None = None
    folds: str = ""
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_clips(self.clips, "clip_id", self.about)
        self._check_range()

    def _check_range(self) -> None:
        for axis in ("arousal", "valence"):
            values = self.annotations.filter(~pl.col(axis).is_between(-0.5, 0.5) | pl.col(axis).is_nan())
            if len(values):
                row = values.row(0, named=True)
                raise InputError(
                    f"clip {row['clip_id']}, annotator {row['annotator_id']}, {row['time']:g} s: {axis} "
                    f"{row[axis]:g} is outside [-0.5, 0.5]."
                )


@dataclass(frozen=True)
class Part:
    """Part of an audio file that is taken as a clip.

    Attributes
    ----------
    max_duration : float
        Duration in seconds; the clip is shorter if the file ends before.
    start : float, optional
        Start in seconds; by default, the part is the middle of the file.
    """

    max_duration: float
    start: float | None = None

    def begin(self, duration: float) -> float:
        """Return the start of the part of a file of some duration, in seconds."""
        return max(0.0, (duration - self.max_duration) / 2) if self.start is None else self.start


@dataclass(frozen=True)
class PretrainCorpus:
    """A corpus of music without labels.

    Attributes
    ----------
    clips : DataFrame
        ``track_id, artist, album, title, seven_digital_id, audio``; ``audio`` is relative to ``audio_folder``, or null.
    about, source, settings, audio_folder, render
        As in :class:`LabelledCorpus`.
    found : dict
        Further counts for the report of a dry run.
    fetch : callable, optional
        Downloads the audio of some tracks: takes rows of ``clips`` and returns them with their ``audio``.
    part : Part, optional
        Part of each audio file that is a clip; by default, whole files are clips.
    licences : DataFrame, optional
        ``track_id, licence, redistribution`` (whether the licence allows it), if tracks have licences of their own.
    quality : QualityConfig
        Thresholds of the quality filter.
    sample : int, optional
        Number of clips to draw among those that pass the filter; by default all of them.
    """

    clips: pl.DataFrame
    about: About
    source: dict[str, Any]
    audio_folder: Path | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    render: Render | None = None
    found: dict[str, int] = field(default_factory=dict)
    fetch: Callable[[pl.DataFrame], pl.DataFrame] | None = None
    part: Part | None = None
    licences: pl.DataFrame | None = None
    quality: QualityConfig = field(default_factory=QualityConfig)
    sample: int | None = None

    def __post_init__(self) -> None:
        _check_clips(self.clips, "track_id", self.about)
