"""Build pre-training datasets from music without labels: quality filter, sample, beat-synchronous features.

A sample is drawn among the clips that pass the filter, as in the paper. All tracks are put in a random order, which
depends only on the seed and their ids, and clips are examined in that order until enough have passed. The result is the
same as after filtering all of them first, regardless of scheduling, and a smaller sample is the beginning of a larger
one. Tracks after the last clip drawn are not in the dataset; they are counted.
"""

from __future__ import annotations

import math
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ..audio.analysis import TEXTURE, AnalysisConfig
from ..audio.texture import TextureConfig
from ..cards.dataset import PretrainFacts, pretrain_card
from ..cards.dataset_plots import draw_clips
from ..errors import InputError
from ..runtime.shards import Tally
from . import release
from .corpus import PretrainCorpus
from .examination import FACTS, TABLES, Audio, examine
from .manifest import Recipe
from .quality import ClipFacts, QualityConfig, rejection


@dataclass(frozen=True)
class PretrainConfig:
    """Settings of a pre-training dataset.

    Attributes
    ----------
    analysis, texture : AnalysisConfig, TextureConfig
        Settings of the features; those of the texture are fixed.
    quality : QualityConfig
        Thresholds of the quality filter.
    sample : int, optional
        Number of clips to draw among those that pass the filter; None for all of them.
    seed : int
        Seed of the sample.
    """

    analysis: AnalysisConfig = field(default_factory=AnalysisConfig)
    texture: TextureConfig = field(default=TEXTURE, init=False)
    quality: QualityConfig = field(default_factory=QualityConfig)
    sample: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.sample is not None and self.sample < 1:
            raise InputError(f"`sample` {self.sample}: expected at least 1.")


# Rows of a Parquet file of features; about 50 MB for pitch.
_ROWS = 250_000

# Clips that are examined at a time for a sample: a minimum, and a factor of the number still needed.
_LEAST, _MORE = 64, 1.1


@dataclass(frozen=True)
class _Examined:
    """Tracks of the dataset with the verdicts of the filter, and files of the features."""

    tracks: pl.DataFrame
    files: list[Path]
    tally: Tally


def build(
    corpus: PretrainCorpus, out: Path, *, name: str, version: str, config: PretrainConfig, pool: Executor
) -> Tally | None:
    """Build a pre-training dataset.

    Parameters
    ----------
    corpus : PretrainCorpus
        The corpus.
    out : Path
        Folder of the dataset.
    name, version : str
        Name and version of the dataset.
    config : PretrainConfig
        Settings.
    pool : Executor
        Executor of :func:`emobench.runtime.executor.executor`.

    Returns
    -------
    Tally or None
        Time and number of clips of the extraction; None if the same dataset already exists.

    Raises
    ------
    InputError
        If no clip passes the filter, or the folder has other content.
    """
    release.check_version(version)
    if corpus.audio_folder is None and corpus.render is None:
        raise InputError(f"{corpus.about.title}: pre-training datasets require audio.")
    order = draw_order(corpus.clips, config)

    def wanted(audio: str | None) -> Recipe:
        source = corpus.source | ({"audio_sha256": audio} if audio else {})
        settings = release.settings(corpus.settings, config)
        return release.recipe(name=name, version=version, kind="pretrain", source=source, config=settings)

    examined, audio, recipe = None, None, wanted(None)
    if corpus.audio_folder:
        audio = Audio(corpus.audio_folder, pool)
        listed = _listed(order, out, config, may_grow=corpus.fetch is not None)
        if listed is None:
            examined = _examine(order, audio, config, corpus)
            listed = examined.tracks
        recipe = wanted(audio.digest(listed))
    if release.already_built(out, recipe):
        release.check_files(out, release.load_manifest(out))
        return None
    with release.building(out, recipe) as folder:
        if folder is None:
            return None
        if audio is None:
            assert corpus.render
            audio = Audio(folder / "audio", pool)
            corpus.render(audio.folder, pool)
        examined = examined or _examine(order, audio, config, corpus)
        counts = _write_tables(folder, examined)
        if config.sample is not None:
            counts["not examined"] = len(order) - len(examined.tracks)
        if corpus.licences is not None:
            own = examined.tracks.select("track_id").join(corpus.licences, on="track_id", maintain_order="left")
            release.write_table(folder, "licences", own)
        draw_clips(examined.tracks, folder / "plots")
        facts = PretrainFacts(
            name=name,
            version=version,
            about=corpus.about,
            sample=config.sample,
            counts=counts,
            filter=config.quality.describe(),
            licences=corpus.licences is not None,
            columns=release.column_types(folder),
        )
        release.write_card(folder, pretrain_card(facts))
        release.write_manifest(folder, recipe, corpus.about, synthetic=corpus.about.synthetic, counts=counts)
        release.write_local(folder, Path("audio") if corpus.render else audio.folder.resolve())
    return examined.tally


def draw_order(clips: pl.DataFrame, config: PretrainConfig) -> pl.DataFrame:
    """Put the tracks in the order in which they are examined."""
    if config.sample is None:
        return clips
    return clips.sort("track_id")[np.random.default_rng(config.seed).permutation(len(clips))]


def _listed(order: pl.DataFrame, out: Path, config: PretrainConfig, *, may_grow: bool) -> pl.DataFrame | None:
    """Return the tracks that the dataset lists; None if that is only known after examining them."""
    if config.sample is None and not may_grow:
        return order
    if not (out / release.MANIFEST).is_file():
        return None
    clips = release.load_manifest(out).counts.get("clips")
    return order.head(clips) if isinstance(clips, int) else None


def _examine(order: pl.DataFrame, audio: Audio, config: PretrainConfig, corpus: PretrainCorpus) -> _Examined:
    """Examine tracks in order until enough have passed the filter, or all of them."""
    verdicts = [pl.DataFrame(schema=_VERDICT)]
    files: list[Path] = []
    tally = Tally()
    parts: list[pl.DataFrame] = []
    first = passed = 0
    while first < len(order) and (config.sample is None or passed < config.sample):
        part = _next(order[first:], config, passed, fetched=corpus.fetch is not None)
        first += len(part)
        parts.append(corpus.fetch(part) if corpus.fetch else part)
        clips = audio.clips(parts[-1])
        if not clips:
            continue
        more, took = examine(clips, config.analysis, audio.pool, corpus.part)
        verdicts += [_verdict(path, config.quality) for path in more]
        files += more
        tally += took
        passed = sum(int(found["kept"].sum()) for found in verdicts)
    verdict = pl.concat(verdicts)
    drawn = verdict.filter("kept")["track_id"].head(config.sample or len(verdict))
    tracks = pl.concat(parts)
    if config.sample is not None and len(drawn) == config.sample:
        tracks = tracks.head(int((tracks["track_id"] == drawn[-1]).arg_max() or 0) + 1)
    tracks = tracks.join(verdict, on="track_id", how="left", maintain_order="left").with_columns(
        # Tracks without audio were not examined.
        pl.col("kept").fill_null(False),
        rejected=pl.when(pl.col("kept").is_null()).then(pl.lit("missing")).otherwise("rejected"),
    )
    return _Examined(tracks, files, tally)


def _next(left: pl.DataFrame, config: PretrainConfig, passed: int, *, fetched: bool) -> pl.DataFrame:
    """Choose the next tracks to examine: those with the number of clips still needed, and some more."""
    if config.sample is None:
        return left
    wanted = max(math.ceil(_MORE * (config.sample - passed)), _LEAST)
    if fetched:
        return left.head(wanted)
    present = left["audio"].is_not_null().arg_true()
    return left if len(present) <= wanted else left.head(int(present[wanted]))


_VERDICT = {"track_id": pl.String, **FACTS, "kept": pl.Boolean, "rejected": pl.String}


def _verdict(path: Path, quality: QualityConfig) -> pl.DataFrame:
    """Read the facts about the clips of a shard, and apply the filter to them."""
    rows = pl.read_parquet(path, columns=["track_id", *FACTS, "unusable"])
    rejected = [
        row["unusable"] or rejection(ClipFacts(**{name: row[name] for name in FACTS}), quality)
        for row in rows.iter_rows(named=True)
    ]
    return rows.drop("unusable").with_columns(
        kept=pl.Series([reason is None for reason in rejected], dtype=pl.Boolean),
        rejected=pl.Series(rejected, dtype=pl.String),
    )


def _write_tables(folder: Path, examined: _Examined) -> dict[str, Any]:
    """Write the tables shard by shard; returns the counts."""
    tracks = examined.tracks
    kept = tracks.filter("kept")
    rejections = dict(tracks["rejected"].drop_nulls().value_counts().sort("rejected").iter_rows())
    if kept.is_empty():
        listed = ", ".join(f"{count} {reason}" for reason, count in rejections.items())
        raise InputError(f"no clip passes the quality filter ({listed}); relax the thresholds or check the clips.")
    waiting: dict[str, list[pl.DataFrame]] = {table: [] for table in TABLES}
    files = 0

    def flush() -> None:
        for table, frames in waiting.items():
            release.write_table(folder, table, pl.concat(frames), files)
            frames.clear()

    for path in examined.files:
        rows = pl.read_parquet(path).join(kept, on="track_id", how="semi", maintain_order="left")
        if rows.is_empty():
            continue
        for table, frames in waiting.items():
            frames.append(_feature_table(rows, table))
        if sum(len(frame) for frame in waiting["rhythm"]) >= _ROWS:
            flush()
            files += 1
    if waiting["rhythm"]:
        flush()
    release.write_table(folder, "clips", tracks)
    return {
        "clips": len(tracks),
        "kept": len(kept),
        "rejected": rejections,
        "beats": int(kept["n_beats"].sum()),
        "hours": round(float(kept["duration"].sum()) / 3600, 3),
    }


def _feature_table(rows: pl.DataFrame, table: str) -> pl.DataFrame:
    """Make the rows ``track_id, beat, features`` of the clips of a shard."""
    values = rows[table].explode().to_numpy().astype(np.float32, copy=False)
    values = values.reshape(int(rows["n_beats"].sum()), -1)
    beats = rows.select("track_id", beat=pl.int_ranges(0, "n_beats", dtype=pl.Int32)).explode("beat")
    features = pl.Series("features", values, dtype=pl.Array(pl.Float32, values.shape[1])).cast(pl.List(pl.Float32))
    return beats.with_columns(features)
