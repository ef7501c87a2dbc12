"""From music without labels to a pre-training dataset: quality filter, beat-synchronous features; and back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ..audio.analysis import REVISION, AnalysisConfig, analyse
from ..audio.decode import decode, probe
from ..audio.mpeg import walk
from ..cards.dataset import PretrainFacts, pretrain_card
from ..environment import package_versions
from ..errors import AudioError, EmobenchError, InputError
from ..files import cache_folder, digest, sha256_file
from ..parallel import progress
from ..shards import SHARED, Tally, Work, compute, read
from . import release
from .corpus import PretrainCorpus
from .quality import ClipFacts, QualityConfig, rejection

TABLES = ("rhythm", "pitch")


@dataclass(frozen=True)
class PretrainConfig:
    """Settings of a pre-training dataset."""

    analysis: AnalysisConfig = field(default_factory=AnalysisConfig)
    quality: QualityConfig = field(default_factory=QualityConfig)


# Raise it when a clip gives another row of a shard than before.
_EXAMINED = 2

# Seconds by which decoded music may fall short of its frames: a decoder's delay takes some hundredths.
_LOST = 0.15

# Files that are hashed in one call.
_HASHED_AT_ONCE = 64

# Rows of a Parquet file of features: some 50 MB of pitch.
_ROWS = 250_000

_FACTS = {
    "codec": pl.String,
    "bit_rate": pl.Int32,
    "sample_rate": pl.Int32,
    "channels": pl.Int32,
    "duration": pl.Float64,
    "rms_db": pl.Float64,
    "n_beats": pl.Int32,
}
_VERDICT = {"kept": pl.Boolean, "rejected": pl.String}

# A row of a shard: what is known of a clip, why it cannot be used, and its features, row after row.
_SHARD = {
    "track_id": pl.String,
    **_FACTS,
    "unusable": pl.String,
    **dict.fromkeys(TABLES, pl.List(pl.Float32)),
}


@dataclass(frozen=True, slots=True)
class _Clip:
    """A clip that is to be examined: its audio, where it has some, and the SHA-256 of that."""

    track_id: str
    path: str | None
    sha256: str | None


def _identity(clip: _Clip) -> list[str | None]:
    return [clip.track_id, clip.sha256]


def _examine(clip: _Clip, config: AnalysisConfig) -> dict[str, Any]:
    """Facts and features of a clip, or why it cannot be used."""
    if clip.path is None or clip.sha256 is None:
        return _unusable("missing", clip)
    path = Path(clip.path)
    if not path.is_file():
        raise EmobenchError(f"{path}: was there when the build began, and cannot be seen now; {SHARED}")
    try:
        info = probe(path)
        # Headers lie and decoders pass over damage; frames do neither.
        frames = walk(path) if info.codec.startswith("MPEG") else None
        samples = decode(path, sample_rate=config.sample_rate)
        if len(samples) == 0:
            return _unusable("too_short", clip)
    except AudioError as error:
        return _unusable(error.reason, clip)
    decoded = len(samples) / config.sample_rate
    if frames and decoded < frames.duration - sum(frames.gapless or ()) / frames.sample_rate - _LOST:
        return _unusable("truncated", clip)
    found = analyse(samples, config)
    facts = ClipFacts(
        codec=info.codec,
        bit_rate=frames.bit_rate if frames else round(path.stat().st_size * 8 / info.duration),
        sample_rate=info.sample_rate,
        channels=info.channels,
        duration=frames.duration if frames else found.duration,
        rms_db=max(found.rms_db, -200.0),
        n_beats=len(found.beats),
    )
    features = {table: pl.Series(getattr(found, table).ravel()) for table in TABLES}
    return {"track_id": clip.track_id, **asdict(facts), "unusable": None, **features}


def _unusable(reason: str, clip: _Clip) -> dict[str, Any]:
    return {**dict.fromkeys(_SHARD), "track_id": clip.track_id, "unusable": reason}


def build(
    corpus: PretrainCorpus, out: Path, *, name: str, version: str, config: PretrainConfig, pool: Executor
) -> Tally | None:
    """Build a pre-training dataset.

    Parameters
    ----------
    corpus : PretrainCorpus
        What a source read.
    out : Path
        Folder of the dataset.
    name, version : str
        Of the dataset.
    config : PretrainConfig
        Settings.
    pool : Executor
        Of :func:`emobench.parallel.executor`, for the audio.

    Returns
    -------
    Tally or None
        What the features took; None where the dataset was there already, whole and the same.

    Raises
    ------
    InputError
        If no clip passes the filter, or the place is taken by other content.
    """
    release.check_version(version)
    source = dict(corpus.source)
    clips: list[_Clip] = []
    if corpus.audio_folder:
        clips = _clips(corpus.clips, corpus.audio_folder, pool)
        source["audio_sha256"] = digest([[clip.track_id, clip.sha256] for clip in clips])
    wanted = release.recipe(
        name=name,
        version=version,
        kind="pretrain",
        source=source,
        config={"source": corpus.settings, "dataset": config},
    )
    if release.already_built(out, wanted):
        release.check_files(out, release.load_manifest(out))
        return None
    with release.building(out, wanted) as folder:
        audio = corpus.audio_folder
        if corpus.render:
            audio = folder / "audio"
            corpus.render(audio, pool)
            clips = _clips(corpus.clips, audio, pool)
        if audio is None:
            raise InputError(f"{corpus.about.title}: a pre-training set needs audio.")
        key = digest(["pretrain", _EXAMINED, REVISION, config.analysis, package_versions(heavy=False)])
        work = Work(
            function=partial(_examine, config=config.analysis),
            crashed=partial(_unusable, "undecodable"),
            identity=_identity,
            schema=_SHARD,
            key=key,
        )
        # Kept beyond the build: another threshold, sample or version needs no new analysis.
        paths, tally = compute(
            clips,
            work,
            cache_folder() / "shards" / digest([key, [clip.track_id for clip in clips]])[:16],
            pool=pool,
            description="features",
            tell=lambda rows: (float(rows["duration"].sum()) / 3600, rows["unusable"].count()),
        )
        counts = _write_tables(folder, corpus.clips, paths, config.quality)
        release.write_card(
            folder, pretrain_card(PretrainFacts(name=name, version=version, about=corpus.about, **counts))
        )
        release.write_manifest(folder, wanted, {"synthetic": corpus.about.synthetic, "counts": counts})
        release.write_local(folder, Path("audio") if corpus.render else audio.resolve())
    return tally


def _clips(clips: pl.DataFrame, folder: Path, pool: Executor) -> list[_Clip]:
    """The clips with their audio and its SHA-256."""
    found = [
        _Clip(track, None if audio is None else str((folder / audio).resolve()), None)
        for track, audio in clips.select("track_id", "audio").iter_rows()
    ]
    parts = [found[first : first + _HASHED_AT_ONCE] for first in range(0, len(found), _HASHED_AT_ONCE)]
    hashed = progress(pool.map(_hashed, parts), total=len(parts), description="reading audio", unit="part")
    return [clip for part in hashed for clip in part]


def _hashed(clips: list[_Clip]) -> list[_Clip]:
    return [
        replace(clip, sha256=sha256_file(Path(clip.path))) if clip.path and Path(clip.path).is_file() else clip
        for clip in clips
    ]


def _write_tables(folder: Path, clips: pl.DataFrame, paths: Sequence[Path], quality: QualityConfig) -> dict[str, Any]:
    """Filter the clips of all shards and write the tables, a shard at a time; gives the counts."""
    facts: list[pl.DataFrame] = []
    waiting: dict[str, list[pl.DataFrame]] = {table: [] for table in TABLES}
    files = beats = 0

    def flush() -> None:
        for table, frames in waiting.items():
            release.write_table(folder, table, pl.concat(frames), files)
            frames.clear()

    for rows in read(paths):
        rejected = [
            row["unusable"] or rejection(ClipFacts(**{name: row[name] for name in _FACTS}), quality)
            for row in rows.select(*_FACTS, "unusable").iter_rows(named=True)
        ]
        verdict = rows.select(*_FACTS).with_columns(
            rejected=pl.Series(rejected, dtype=pl.String), kept=pl.Series([reason is None for reason in rejected])
        )
        facts.append(verdict.select(*_FACTS, *_VERDICT))
        kept = rows.filter(verdict["kept"])
        if kept.is_empty():
            continue
        for table, frames in waiting.items():
            frames.append(_feature_table(kept, table))
        beats += int(kept["n_beats"].sum())
        if sum(len(frame) for frame in waiting["rhythm"]) >= _ROWS:
            flush()
            files += 1
    examined = pl.concat([clips, pl.concat(facts)], how="horizontal")
    rejections = dict(examined["rejected"].drop_nulls().value_counts().sort("rejected").iter_rows())
    if not beats:
        listed = ", ".join(f"{count} {reason}" for reason, count in rejections.items())
        raise InputError(f"no clip passes the quality filter ({listed}); loosen a threshold or check the clips.")
    if waiting["rhythm"]:
        flush()
    release.write_table(folder, "clips", examined)
    kept = examined.filter("kept")
    return {
        "clips": len(examined),
        "kept": len(kept),
        "rejected": rejections,
        "beats": beats,
        "hours": round(float(kept["duration"].sum()) / 3600, 3),
    }


def _feature_table(kept: pl.DataFrame, table: str) -> pl.DataFrame:
    """Rows ``track_id, beat, features`` of the clips of a shard."""
    values = kept[table].explode().to_numpy().astype(np.float32, copy=False)
    values = values.reshape(int(kept["n_beats"].sum()), -1)
    beats = kept.select("track_id", beat=pl.int_ranges(0, "n_beats", dtype=pl.Int32)).explode("beat")
    features = pl.Series("features", values, dtype=pl.Array(pl.Float32, values.shape[1])).cast(pl.List(pl.Float32))
    return beats.with_columns(features)


@dataclass(frozen=True)
class Segments:
    """The beat-synchronous features of a pre-training dataset, read a file at a time whenever they are gone through.

    Attributes
    ----------
    files : list of Path
        Parquet files.
    lengths : list of int
        Beats of each clip.
    """

    files: list[Path]
    lengths: list[int]

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[npt.NDArray[np.float32]]:
        first = 0
        for path in self.files:
            rows = pl.read_parquet(path, columns=["features"])["features"]
            values = rows.explode().to_numpy().astype(np.float32, copy=False).reshape(len(rows), -1)
            beat = 0
            while beat < len(values):
                yield values[beat : beat + self.lengths[first]]
                beat += self.lengths[first]
                first += 1


def load_segments(folder: Path, table: str) -> Segments:
    """Open the beat-synchronous features of a pre-training dataset.

    Parameters
    ----------
    folder : Path
        The dataset; its files are checked against its manifest.
    table : {"rhythm", "pitch"}
        Which features.

    Returns
    -------
    Segments
        Gives one matrix a clip, ndarray of float32 of shape (n_beats, d).

    Raises
    ------
    InputError
        If there is no such dataset, or a file is missing or was changed.
    """
    manifest = release.load_manifest(folder)
    if manifest.get("kind") != "pretrain":
        raise InputError(f"{folder}: a {manifest.get('kind')} dataset; expected a pre-training one.")
    release.check_files(folder, manifest)
    files = sorted((folder / table).glob("*.parquet"))
    lengths: list[int] = []
    for path in files:
        tracks = pl.read_parquet(path, columns=["track_id"])
        lengths += tracks.group_by("track_id", maintain_order=True).len()["len"].to_list()
    return Segments(files, lengths)
