"""Build labelled datasets from corpora (targets, beats, exclusions, folds), and read them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ..audio.analysis import Analysis, AnalysisConfig, analyse_file
from ..cards.dataset import LabelledFacts, labelled_card
from ..errors import AudioError, InputError
from ..runtime.executor import ordered_map
from ..runtime.files import read_json, sha256_file
from . import release
from .audio_files import ClipSource, audio_hashes, clip_sources
from .corpus import LabelledCorpus
from .folds import DRAWN, FoldConfig, fold_table
from .manifest import Manifest
from .targets import PARAMETERS, TargetConfig, beat_table, clip_targets, static, target_table

TABLES = ("clips", "annotations", "targets", "beats", "folds")


@dataclass(frozen=True)
class LabelledConfig:
    """Settings of a labelled dataset.

    Attributes
    ----------
    targets, folds, analysis : TargetConfig, FoldConfig, AnalysisConfig
        Settings of targets, folds and audio analysis.
    min_beats : int
        Minimum number of beats of a clip (4 in the paper).
    silence_db : float
        Level in decibels relative to full scale below which a clip is silent.
    """

    targets: TargetConfig = field(default_factory=TargetConfig)
    folds: FoldConfig = field(default_factory=FoldConfig)
    analysis: AnalysisConfig = field(default_factory=AnalysisConfig)
    min_beats: int = 4
    silence_db: float = -60.0


def analyse_clip(source: ClipSource, config: AnalysisConfig) -> Analysis | str:
    """Analyse the audio of a clip; returns the reason if it is unusable."""
    try:
        found = analyse_file(
            source.path, start=source.start, duration=source.duration, config=config, beats=source.beats
        )
    except AudioError as error:
        return error.reason
    # The delay of a decoder may take some milliseconds, but not a tenth of a second.
    return found if found.duration >= source.duration - 0.1 else "too_short"


def audio_kind(settings: Mapping[str, Any]) -> str:
    """Return the kind of the audio files in the settings of a source; by default ``songs``."""
    return str(settings.get("audio_kind", "songs"))


def build(
    corpus: LabelledCorpus,
    out: Path,
    *,
    name: str,
    version: str,
    config: LabelledConfig,
    pool: Executor,
    references: References | None = None,
) -> bool:
    """Build a labelled dataset.

    Parameters
    ----------
    corpus : LabelledCorpus
        The corpus.
    out : Path
        Folder of the dataset.
    name, version : str
        Name and version of the dataset.
    config : LabelledConfig
        Settings.
    pool : Executor
        Executor of :func:`emobench.runtime.executor.executor`.
    references : callable, optional
        Computes the references of the card from the dataset.

    Returns
    -------
    bool
        Whether the dataset was built; False if it already exists.

    Raises
    ------
    InputError
        If no dataset can be built from the corpus, or the folder has other content.
    """
    release.check_version(version)
    source = dict(corpus.source)
    if corpus.audio_folder:
        source["audio_sha256"] = audio_hashes(
            clip_sources(corpus.clips, corpus.audio_folder, kind=audio_kind(corpus.settings))
        )
    wanted = release.recipe(
        name=name,
        version=version,
        kind="labelled",
        source=source,
        config=release.settings(corpus.settings, config),
    )
    if release.already_built(out, wanted):
        release.check_files(out, release.load_manifest(out))
        return False
    targets = _targets(corpus, config.targets)
    with release.building(out, wanted) as folder:
        if folder is None:
            return False
        audio = corpus.audio_folder
        if corpus.render:
            audio = folder / "audio"
            corpus.render(audio, pool)
        excluded = dict(corpus.problems)
        analyses: dict[str, Analysis] = {}
        if audio:
            sources = clip_sources(corpus.clips, audio, kind=audio_kind(corpus.settings))
            analyses = _analyse(corpus, sources, excluded, config, pool)
        tables = _tables(corpus, targets, analyses, excluded, config)
        for table, content in tables.items():
            release.write_table(folder, table, content)
        facts = replace(_card_facts(corpus, name, version, tables, config), columns=release.column_types(folder))
        remarks = {"remarks": list(corpus.remarks)} if corpus.remarks else {}

        def describe(facts: LabelledFacts) -> None:
            release.write_card(folder, labelled_card(facts))
            release.write_manifest(
                folder, wanted, corpus.about, synthetic=corpus.about.synthetic, **_facts(tables), **remarks
            )

        describe(facts)
        if references is not None and (found := references(load(folder))):
            describe(replace(facts, references=found))
        if audio:
            release.write_local(folder, Path("audio") if corpus.render else audio.resolve())
    return True


def _targets(corpus: LabelledCorpus, config: TargetConfig) -> pl.DataFrame:
    """Collect the targets of all clips in order, computed from ratings or published."""
    rated, tables = corpus.annotations, []
    if corpus.targets is not None:
        rated = rated.filter(~pl.col("clip_id").is_in(corpus.targets["clip_id"].unique().implode()))
        tables.append(corpus.targets)
    if len(rated):
        whole = static(corpus.annotations, corpus.clips)
        tables.append(clip_targets(rated, corpus.clips, config.ddof) if whole else target_table(rated, config))
    order = {clip: place for place, clip in enumerate(corpus.clips["clip_id"])}
    return pl.concat(tables).sort(pl.col("clip_id").replace_strict(order, return_dtype=pl.Int64), "time")


def _analyse(
    corpus: LabelledCorpus,
    sources: list[ClipSource],
    excluded: dict[str, str],
    config: LabelledConfig,
    pool: Executor,
) -> dict[str, Analysis]:
    """Analyse the clips that are not excluded yet, and add unusable ones to ``excluded``."""
    sources = [item for item in sources if item.clip_id not in excluded]
    if corpus.beats:
        sources = corpus.beats(sources, pool)
    excluded.update(dict.fromkeys(corpus.clips.filter(pl.col("audio").is_null())["clip_id"], "missing"))
    analyses: dict[str, Analysis] = {}
    work = partial(analyse_clip, config=config.analysis)
    results = ordered_map(pool, work, sources, description="tracking beats", crashed="undecodable")
    for item, found in zip(sources, results, strict=True):
        if isinstance(found, str):
            excluded[item.clip_id] = found
            continue
        analyses[item.clip_id] = found
        if found.rms_db < config.silence_db:
            excluded[item.clip_id] = "silent"
        elif len(found.beats) < config.min_beats:
            excluded[item.clip_id] = "too_few_beats"
    return analyses


def _tables(
    corpus: LabelledCorpus,
    targets: pl.DataFrame,
    analyses: Mapping[str, Analysis],
    excluded: Mapping[str, str],
    config: LabelledConfig,
) -> dict[str, pl.DataFrame]:
    annotators = corpus.annotations.group_by("clip_id").agg(n_annotators=pl.col("trace").n_unique().cast(pl.Int32))
    clips = corpus.clips.join(annotators, on="clip_id", how="left", maintain_order="left").with_columns(
        pl.col("n_annotators").fill_null(0),
        n_beats=pl.Series(
            [len(analyses[clip].beats) if clip in analyses else None for clip in corpus.clips["clip_id"]],
            dtype=pl.Int32,
        ),
        excluded=pl.Series([excluded.get(clip) for clip in corpus.clips["clip_id"]], dtype=pl.String),
    )
    unlabelled = clips.filter((pl.col("n_annotators") == 0) & pl.col("excluded").is_null())["clip_id"]
    if len(unlabelled):
        raise InputError(f"clip {unlabelled[0]}: has no ratings; expected ratings of every clip.")
    usable = clips.filter(pl.col("excluded").is_null())
    if usable.is_empty():
        reasons = clips["excluded"].value_counts().sort("excluded").rows()
        missing = {reason for reason, _ in reasons} == {"missing"}
        advice = f" in {corpus.audio_folder}; name the folder of the audio in `audio`" if missing else ""
        raise InputError(f"no clip is usable: {', '.join(f'{count} {reason}' for reason, count in reasons)}{advice}.")
    grouped = usable
    if corpus.grouping is not None:
        grouped = usable.select("clip_id").join(corpus.grouping, on="clip_id", maintain_order="left")
    return {
        "clips": clips,
        "annotations": corpus.annotations,
        "targets": targets,
        "beats": beat_table(targets, {clip: found.beats for clip, found in analyses.items()}),
        "folds": fold_table(grouped, config.folds, corpus.parts),
    }


def _facts(tables: Mapping[str, pl.DataFrame]) -> dict[str, Any]:
    clips = tables["clips"]
    left_out = clips.filter(pl.col("excluded").is_not_null())
    return {
        "counts": {
            "clips": len(clips),
            "excluded": len(left_out),
            "traces": int(clips["n_annotators"].sum()),
            "annotations": len(tables["annotations"]),
            "targets": len(tables["targets"]),
            "beats": len(tables["beats"]),
            "albums": tables["folds"]["album"].n_unique(),
            "repeats": tables["folds"]["repeat"].n_unique(),
        },
        "excluded": dict(left_out.select("clip_id", "excluded").iter_rows()),
    }


def _card_facts(
    corpus: LabelledCorpus,
    name: str,
    version: str,
    tables: Mapping[str, pl.DataFrame],
    config: LabelledConfig,
) -> LabelledFacts:
    facts = _facts(tables)
    shares = tables["folds"].group_by("repeat", "split").len().sort("repeat", "split")
    targets = tables["targets"]
    # Numbers of ratings are unknown if the corpus has targets instead of ratings.
    counts = targets["n"].drop_nulls().to_numpy()
    return LabelledFacts(
        name=name,
        version=version,
        about=corpus.about,
        counts=facts["counts"],
        excluded={
            reason: left_out["clip_id"].to_list()
            for (reason,), left_out in tables["clips"]
            .filter(pl.col("excluded").is_not_null())
            .group_by("excluded", maintain_order=True)
        },
        shares=[(int(repeat), str(split), int(count)) for repeat, split, count in shares.iter_rows()],
        statistics={
            name: (float(values.mean()), float(values.std()), float(values.min()), float(values.max()))
            for name in PARAMETERS
            for values in [targets[name].drop_nulls().to_numpy()]
            if len(values)
        },
        unknown={
            name: clips
            for name in PARAMETERS
            if (clips := targets.filter(pl.col(name).is_null())["clip_id"].n_unique())
        },
        ratings=(int(counts.min()), float(np.median(counts)), int(counts.max())) if len(counts) else None,
        has_audio=bool(corpus.audio_folder or corpus.render),
        min_beats=config.min_beats,
        static=static(targets, tables["clips"]),
        folds=corpus.folds,
    )


@dataclass(frozen=True, repr=False)
class LabelledDataset:
    """A labelled dataset.

    Attributes
    ----------
    folder : Path
        Folder of the dataset.
    manifest : Manifest
        Manifest of the dataset.
    clips, targets, beats, folds : DataFrame
        Tables of the dataset; their columns are listed in its card.
    """

    folder: Path
    manifest: Manifest
    clips: pl.DataFrame
    targets: pl.DataFrame
    beats: pl.DataFrame
    folds: pl.DataFrame

    @cached_property
    def manifest_sha256(self) -> str:
        """SHA-256 of the manifest's file."""
        return sha256_file(self.folder / release.MANIFEST)

    @property
    def name(self) -> str:
        """Name of the dataset."""
        return self.manifest.name

    @property
    def version(self) -> str:
        """Version of the dataset."""
        return self.manifest.version

    @cached_property
    def annotations(self) -> pl.DataFrame:
        """Ratings, read on first access."""
        return release.read_table(self.folder, "annotations")

    def __repr__(self) -> str:
        return f"<LabelledDataset {self.manifest.title} ({len(self.clips)} clips) in {self.folder}>"

    def _repr_html_(self) -> str:
        kept = self.clips.filter(pl.col("excluded").is_null())
        facts = {
            "dataset": self.manifest.title,
            "clips": len(kept),
            "excluded": len(self.clips) - len(kept),
            "albums": self.folds["album"].n_unique(),
            "seconds": len(self.targets),
            "repeats of the folds": self.folds["repeat"].n_unique(),
        }
        rows = "".join(f"<tr><th>{name}</th><td>{escape(str(value))}</td></tr>" for name, value in facts.items())
        return f"<table>{rows}</table>"

    @property
    def split(self) -> str | None:
        """Name of the split, such as ``artists`` or that of a published one; None if albums are assigned at random."""
        return self.manifest.config.source.get("split")

    @property
    def published_split(self) -> bool:
        """Whether the parts of the folds were published, not drawn."""
        return self.split not in (None, *DRAWN)

    @cached_property
    def static(self) -> bool:
        """Whether every clip has one rating as a whole, rather than ratings over time."""
        return static(self.targets, self.clips)

    def audio_folder(self) -> Path | None:
        """Return the audio folder, from ``local.json`` or published with the dataset; None without audio."""
        path = self.folder / release.LOCAL
        if not path.is_file():
            published = self.folder / "audio"
            return published if published.is_dir() else None
        return self.folder / str(read_json(path, "local.json").get("audio", "."))

    def sources(self, folder: Path) -> list[ClipSource]:
        """List the audio of the clips that are not excluded, with their beats if these were given."""
        kept = self.clips.filter(pl.col("excluded").is_null())
        found = clip_sources(kept, folder, kind=audio_kind(self.manifest.config.source))
        if not self.manifest.source.keys() & {"beats_sha256", "beats_tracker"}:
            return found
        beats = dict(self.beats.group_by("clip_id", maintain_order=True).agg("time").iter_rows())
        return [replace(item, beats=tuple(beats.get(item.clip_id, ()))) for item in found]


def load(folder: Path) -> LabelledDataset:
    """Read a labelled dataset, and check every file against its manifest.

    Raises
    ------
    InputError
        If there is no dataset, it is a pre-training dataset, or a file is missing or was changed.
    """
    manifest = release.load_manifest(folder)
    if manifest.kind != "labelled":
        raise InputError(f"{folder}: a {manifest.kind} dataset; expected a labelled one.")
    release.check_files(folder, manifest)
    tables = {table: release.read_table(folder, table) for table in TABLES if table != "annotations"}
    return LabelledDataset(folder=folder, manifest=manifest, **tables)


# Mean distance and KL divergence of each reference from single ratings; empty without single ratings.
References = Callable[[LabelledDataset], Mapping[str, tuple[float, float]]]
