"""Every source by its name: from what the user gave to built datasets."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..runtime.shards import Tally
from . import deam, fma, moodswings, msd, pretraining, synthetic, table
from . import labelled_dataset as labelled
from .corpus import LabelledCorpus, PretrainCorpus, escaped
from .deam_split import SplitConfig
from .folds import FoldConfig
from .quality import QualityConfig
from .release import load_manifest
from .sevendigital import Download, DownloadConfig
from .synthesis import SynthesisConfig

SOURCES = ("synthetic", "moodswings", "msd", "fma", "deam", "table")

# Clips that the paper draws among those that pass its filter (Schmidt and Kim 2013, section 3.1).
PAPER_SAMPLE = 50_000


@dataclass(frozen=True)
class Options:
    """What a user gives a source; what a source does not use is left alone."""

    labels: Path | None = None
    clips: Path | None = None
    audio: Path | None = None
    metadata: Path | None = None
    annotations: Path | None = None
    split: SplitConfig | None = None
    audio_kind: str = "auto"
    scale: str = "-0.5,0.5"
    size: int = 240
    pretrain_size: int = 200
    sample: int | None = None
    quality: QualityConfig = field(default_factory=QualityConfig)
    download: DownloadConfig | None = None

    def __post_init__(self) -> None:
        if self.sample is not None and self.sample < 0:
            raise InputError(f"--sample {self.sample}: expected a number of clips, or 0 for all that pass.")
        for given in (self.labels, self.clips, self.audio, self.metadata, self.annotations):
            # Decoders and manifests take text only.
            place = str(given.resolve()) if given else ""
            if escaped(place) != place:
                raise InputError(f"{escaped(place)}: a name in it is no text in UTF-8; rename that file or folder.")


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


def dataset_name(source: str, options: Options) -> str:
    """What a dataset of a source is called unless it is given a place; another split is another dataset."""
    return f"{source}-{options.split.name}" if options.split and source == "deam" else source


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
        Of :func:`emobench.runtime.executor.executor`.

    Returns
    -------
    list of Built

    Raises
    ------
    InputError
        If the source is unknown, lacks something, or cannot be used.
    """
    built = []
    for corpus, folder in _load(source, options, place, seed):
        if isinstance(corpus, LabelledCorpus):
            # Of a test part that is given there is nothing to repeat.
            folds = FoldConfig(seed=seed) if corpus.tested is None else FoldConfig(seed=seed, repeats=1)
            config = labelled.LabelledConfig(folds=folds)
            fresh = labelled.build(corpus, folder, name=folder.name, version=version, config=config, pool=pool)
            built.append(Built(folder, fresh, load_manifest(folder)))
        else:
            settings = pretraining.PretrainConfig(quality=options.quality, sample=_sample(source, options), seed=seed)
            tally = pretraining.build(corpus, folder, name=folder.name, version=version, config=settings, pool=pool)
            built.append(Built(folder, tally is not None, load_manifest(folder), tally))
    return built


def survey(source: str, options: Options, place: Path, *, seed: int) -> list[dict[str, Any]]:
    """Read and check a source as :func:`build` does, and say what it would build, without building.

    Returns
    -------
    list of dict
        For each dataset its ``folder`` and ``kind``, the ``source``, the counts of what was found, and ``remarks``.

    Raises
    ------
    InputError
        As :func:`build` while it reads the source.
    """
    found = []
    for corpus, folder in _load(source, options, place, seed):
        counts = {"clips": len(corpus.clips), "artists": corpus.clips["artist"].n_unique()}
        if corpus.audio_folder is not None:
            counts["clips with audio"] = corpus.clips["audio"].count()
        if isinstance(corpus, PretrainCorpus):
            counts |= corpus.found
            if sample := _sample(source, options):
                counts["at most to be drawn"] = sample
        kind, remarks = "pre-training", ()
        if isinstance(corpus, LabelledCorpus):
            kind, remarks = "labelled", corpus.remarks
            counts["annotations"] = len(corpus.annotations)
            counts["annotators"] = corpus.annotations["annotator_id"].n_unique()
            if corpus.problems:
                counts["clips to exclude"] = len(corpus.problems)
        found.append(
            {
                "folder": str(folder),
                "kind": kind,
                "source": corpus.source,
                "counts": counts,
                "remarks": list(remarks),
            }
        )
    return found


def _load(source: str, options: Options, place: Path, seed: int) -> list[tuple[LabelledCorpus | PretrainCorpus, Path]]:
    """The corpora of a source, and the folders of the datasets that they become."""
    if source not in SOURCES:
        raise InputError(f"build-data {source}: no such source; expected {', '.join(SOURCES)}.")
    if source == "synthetic":
        config = _synthesis(options, seed)
        beside = place.with_name(f"{place.name}-pretrain")
        return [(synthetic.load(config), place), (synthetic.load_pretraining(config), beside)]
    if source == "moodswings":
        settings = moodswings.MoodSwingsConfig(audio_kind=options.audio_kind)
        corpus = moodswings.load(_given(options.labels, "--labels"), options.audio, settings)
    elif source == "msd":
        metadata = _given(options.metadata, "--metadata")
        if options.download:
            clips = options.clips or place.with_name(f"{place.name}-clips")
            corpus = msd.load(metadata, clips, Download(clips, options.download))
        else:
            corpus = msd.load(metadata, _given(options.clips, "--clips (or --download)"))
    elif source == "fma":
        corpus = fma.load(_given(options.metadata, "--metadata"), _given(options.clips, "--clips"))
    elif source == "deam":
        corpus = deam.load(_given(options.annotations, "--annotations"), options.audio, options.split)
    else:
        clips, labels = _given(options.clips, "--clips"), _given(options.labels, "--labels")
        corpus = table.load(clips, labels, options.audio, table.parse_scale(options.scale))
    return [(corpus, place)]


def _synthesis(options: Options, seed: int) -> SynthesisConfig:
    return SynthesisConfig(seed=seed, n_clips=options.size, n_pretrain=options.pretrain_size)


def _sample(source: str, options: Options) -> int | None:
    """How many clips are drawn; None means all that pass."""
    if options.sample is None:
        return PAPER_SAMPLE if source == "msd" else None
    return options.sample or None


def _given(path: Path | None, option: str) -> Path:
    if path is None:
        raise InputError(f"{option}: is needed here; give the file or folder.")
    return path
