"""What every source gives: a corpus as plain tables, with the facts for its card."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from ..cards.dataset import About
from ..errors import InputError
from .quality import QualityConfig

Render = Callable[[Path, Executor], None]


def refuse(what: str, problems: Sequence[str]) -> None:
    """Raise InputError that lists all problems of an input at once, if there are any."""
    if problems:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise InputError(f"{what}: {count}: {'; '.join(problems)}.")


def _check_clips(clips: pl.DataFrame, key: str, about: About) -> None:
    if clips.is_empty():
        raise InputError(f"{about.title}: the corpus is empty; expected at least one clip.")
    doubled = clips.filter(pl.col(key).is_duplicated())[key]
    if len(doubled):
        raise InputError(f"{key} {doubled[0]}: stands twice among the clips; expected one row a clip.")


@dataclass(frozen=True)
class LabelledCorpus:
    """A corpus before it is built.

    Attributes
    ----------
    clips : DataFrame
        ``clip_id, song_id, artist, album, title, start, duration, audio``; ``audio`` relative to
        ``audio_folder`` or null.
    annotations : DataFrame
        ``clip_id, trace, annotator_id, time, arousal, valence``, in [-0.5, 0.5].
    about : About
        Facts for the card.
    source : dict
        What the corpus was read from, with SHA-256.
    audio_folder : Path, optional
        Where the audio lies; none means labels alone.
    problems : dict
        Clips whose audio cannot be found or used, with the reason; others are found when it is analysed.
    settings : dict
        Settings of the source, for the manifest.
    render : callable, optional
        Makes the audio of a source that has none of its own: takes the folder to fill and what runs
        calls. What it finds there already is kept.
    targets : DataFrame, optional
        Targets of the clips of which only statistics were published, in the columns of ``targets``; they
        are not computed from ``annotations``, which hold the means.
    grouping : DataFrame, optional
        ``clip_id, artist, album`` by which folds keep clips together, where these are not the clips' own.
    tested : frozenset of str, optional
        Clips that are the test part of every repeat, where it is given; the others are dealt to the other parts.
    folds : str
        How folds are made, for the card, where it is not by whole albums.
    remarks : tuple of str
        What was corrected in the source, or could not be checked, one sentence each; printed after a build.
    """

    clips: pl.DataFrame
    annotations: pl.DataFrame
    about: About
    source: dict[str, Any]
    audio_folder: Path | None = None
    problems: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    render: Render | None = None
    targets: pl.DataFrame | None = None
    grouping: pl.DataFrame | None = None
    tested: frozenset[str] | None = None
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
class PretrainCorpus:
    """Music without labels before it is filtered.

    Attributes
    ----------
    clips : DataFrame
        ``track_id, artist, album, title, seven_digital_id, audio``; ``audio`` relative to the folder or null.
    about : About
        Facts for the card.
    source, settings : dict
        What the corpus was read from, with SHA-256, and how.
    audio_folder : Path, optional
        Where the audio lies.
    render : callable, optional
        As in :class:`LabelledCorpus`.
    found : dict
        Further counts of what was found, for people.
    fetch : callable, optional
        Makes sure of the audio of some of the tracks: takes rows of ``clips``, and gives them with their ``audio``.
    licences : DataFrame, optional
        ``track_id, licence, redistribution`` (whether it allows that), where each track has its own.
    quality : QualityConfig
        Thresholds of the quality filter.
    sample : int, optional
        Number of clips drawn among those that pass the filter; all of them by default.
    """

    clips: pl.DataFrame
    about: About
    source: dict[str, Any]
    audio_folder: Path | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    render: Render | None = None
    found: dict[str, int] = field(default_factory=dict)
    fetch: Callable[[pl.DataFrame], pl.DataFrame] | None = None
    licences: pl.DataFrame | None = None
    quality: QualityConfig = field(default_factory=QualityConfig)
    sample: int | None = None

    def __post_init__(self) -> None:
        _check_clips(self.clips, "track_id", self.about)
