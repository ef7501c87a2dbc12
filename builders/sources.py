"""Every source by its name: from what the user gave to built datasets."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..shards import Tally
from . import labelled, moodswings, pretraining, synthetic, table
from .folds import FoldConfig
from .release import load_manifest
from .synthesis import SynthesisConfig

SOURCES = ("synthetic", "moodswings", "table")


@dataclass(frozen=True)
class Options:
    """What a user gives a source; what a source does not use is left alone."""

    labels: Path | None = None
    clips: Path | None = None
    audio: Path | None = None
    audio_kind: str = "auto"
    scale: str = "-0.5,0.5"
    size: int = 240
    pretrain_size: int = 200


@dataclass(frozen=True)
class Built:
    """A dataset that is there now.

    Attributes
    ----------
    folder : Path
        Where it lies.
    fresh : bool
        Whether it was built now.
    manifest : dict
        Its manifest.
    tally : Tally or None
        What the features took, of a pre-training dataset that was built now.
    """

    folder: Path
    fresh: bool
    manifest: dict[str, Any]
    tally: Tally | None = None


def build(source: str, options: Options, place: Path, *, version: str, seed: int, pool: Executor) -> list[Built]:
    """Build the datasets of a source.

    Parameters
    ----------
    source : str
        One of :data:`SOURCES`.
    options : Options
        What it is built from.
    place : Path
        Folder of the dataset, whose name is its name too.
    version : str
        Of the dataset.
    seed : int
        Root of all randomness.
    pool : Executor
        Of :func:`emobench.parallel.executor`.

    Returns
    -------
    list of Built

    Raises
    ------
    InputError
        If the source is unknown, lacks something, or cannot be used.
    """
    if source not in SOURCES:
        raise InputError(f"build-data {source}: no such source; expected {', '.join(SOURCES)}.")
    corpus = _load(source, options, seed)
    config = labelled.LabelledConfig(folds=FoldConfig(seed=seed))
    fresh = labelled.build(corpus, place, name=place.name, version=version, config=config, pool=pool)
    built = [Built(place, fresh, load_manifest(place))]
    if source == "synthetic":
        beside = place.with_name(f"{place.name}-pretrain")
        music = synthetic.load_pretraining(_synthesis(options, seed))
        settings = pretraining.PretrainConfig()
        tally = pretraining.build(music, beside, name=beside.name, version=version, config=settings, pool=pool)
        built.append(Built(beside, tally is not None, load_manifest(beside), tally))
    return built


def _load(source: str, options: Options, seed: int) -> labelled.LabelledCorpus:
    if source == "synthetic":
        return synthetic.load(_synthesis(options, seed))
    if source == "moodswings":
        settings = moodswings.MoodSwingsConfig(audio_kind=options.audio_kind)
        return moodswings.load(_given(options.labels, "--labels"), options.audio, settings)
    return table.load(
        _given(options.clips, "--clips"),
        _given(options.labels, "--labels"),
        options.audio,
        table.parse_scale(options.scale),
    )


def _synthesis(options: Options, seed: int) -> SynthesisConfig:
    return SynthesisConfig(seed=seed, n_clips=options.size, n_pretrain=options.pretrain_size)


def _given(path: Path | None, option: str) -> Path:
    if path is None:
        raise InputError(f"{option}: is needed here; give the file.")
    return path
