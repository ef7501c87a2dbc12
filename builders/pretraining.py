"""From music without labels to a pre-training dataset: quality filter, beat-synchronous features; and back."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ..audio.analysis import Analysis, AnalysisConfig, analyse_file
from ..audio.decode import AudioInfo, probe
from ..cards.dataset import PretrainFacts, pretrain_card
from ..errors import AudioError, InputError
from ..files import sha256_file
from ..parallel import ordered_map
from . import release
from .corpus import PretrainCorpus
from .quality import ClipFacts, QualityConfig, rejection

TABLES = ("rhythm", "pitch")


@dataclass(frozen=True)
class PretrainConfig:
    """Settings of a pre-training dataset."""

    analysis: AnalysisConfig = field(default_factory=AnalysisConfig)
    quality: QualityConfig = field(default_factory=QualityConfig)


def _examine(path: Path, config: AnalysisConfig) -> tuple[AudioInfo, int, Analysis] | str:
    """Header, bit rate and analysis of a file; the reason where it cannot be used."""
    try:
        info = probe(path)
        bit_rate = round(path.stat().st_size * 8 / info.duration) if info.duration > 0 else 0
        return info, bit_rate, analyse_file(path, start=0.0, duration=None, config=config)
    except AudioError as error:
        return error.reason


def build(corpus: PretrainCorpus, out: Path, *, name: str, version: str, config: PretrainConfig, workers: int) -> bool:
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
    workers : int
        Processes for the audio.

    Returns
    -------
    bool
        False where the dataset was there already, whole and the same.

    Raises
    ------
    InputError
        If no clip passes the filter, or the place is taken by other content.
    """
    release.check_version(version)
    source = dict(corpus.source)
    if corpus.audio_folder:
        paths = {clip: corpus.audio_folder / audio for clip, audio in _audio(corpus.clips)}
        source["audio_sha256"] = {clip: sha256_file(path) if path.is_file() else None for clip, path in paths.items()}
    wanted = release.recipe(
        name=name,
        version=version,
        kind="pretrain",
        source=source,
        config={"source": corpus.settings, "dataset": config},
    )
    if release.already_built(out, wanted):
        release.check_files(out, release.load_manifest(out))
        return False
    with release.building(out, wanted) as folder:
        audio = corpus.audio_folder
        if corpus.render:
            audio = folder / "audio"
            corpus.render(audio, workers)
        if audio is None:
            raise InputError(f"{corpus.about.title}: a pre-training set needs audio.")
        tables = _tables(corpus.clips, audio, config, workers)
        for table, content in tables.items():
            release.write_table(folder, table, content)
        counts = _counts(tables)
        release.write_card(
            folder, pretrain_card(PretrainFacts(name=name, version=version, about=corpus.about, **counts))
        )
        release.write_manifest(folder, wanted, {"synthetic": corpus.about.synthetic, "counts": counts})
        release.write_local(folder, Path("audio") if corpus.render else audio.resolve())
    return True


def _audio(clips: pl.DataFrame) -> list[tuple[str, str]]:
    return list(clips.filter(pl.col("audio").is_not_null()).select("track_id", "audio").iter_rows())


def _tables(clips: pl.DataFrame, folder: Path, config: PretrainConfig, workers: int) -> dict[str, pl.DataFrame]:
    audio = dict(_audio(clips))
    results = ordered_map(
        partial(_examine, config=config.analysis),
        [folder / path for path in audio.values()],
        workers=workers,
        description="features",
    )
    examined = dict(zip(audio, results, strict=True))
    rows: list[dict[str, Any]] = []
    features: dict[str, list[pl.DataFrame]] = {table: [] for table in TABLES}
    for clip in clips["track_id"]:
        found = examined.get(clip, "missing")
        if isinstance(found, str):
            rows.append({"kept": False, "rejected": found})
            continue
        info, bit_rate, analysis = found
        facts = ClipFacts(
            codec=info.codec,
            bit_rate=bit_rate,
            sample_rate=info.sample_rate,
            channels=info.channels,
            duration=analysis.duration,
            rms_db=max(analysis.rms_db, -200.0),
            n_beats=len(analysis.beats),
        )
        rejected = rejection(facts, config.quality)
        rows.append({**asdict(facts), "kept": rejected is None, "rejected": rejected})
        if rejected is None:
            for table in TABLES:
                features[table].append(_feature_table(clip, getattr(analysis, table)))
    schema = {
        "codec": pl.String,
        "bit_rate": pl.Int32,
        "sample_rate": pl.Int32,
        "channels": pl.Int32,
        "duration": pl.Float64,
        "rms_db": pl.Float64,
        "n_beats": pl.Int32,
        "kept": pl.Boolean,
        "rejected": pl.String,
    }
    examined_clips = pl.concat([clips, pl.DataFrame(rows, schema=schema)], how="horizontal")
    if not features["rhythm"]:
        reasons = Counter(str(row["rejected"]) for row in rows)
        listed = ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items()))
        raise InputError(f"no clip passes the quality filter ({listed}); loosen a threshold or check the clips.")
    return {"clips": examined_clips} | {table: pl.concat(features[table]) for table in TABLES}


def _feature_table(clip: str, values: npt.NDArray[np.float32]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "track_id": [clip] * len(values),
            "beat": pl.Series(range(len(values)), dtype=pl.Int32),
            "features": pl.Series(values, dtype=pl.Array(pl.Float32, values.shape[1])).cast(pl.List(pl.Float32)),
        }
    )


def _counts(tables: dict[str, pl.DataFrame]) -> dict[str, Any]:
    clips = tables["clips"]
    rejected = clips["rejected"].drop_nulls().value_counts().sort("rejected")
    return {
        "clips": len(clips),
        "kept": int(clips["kept"].sum()),
        "rejected": dict(rejected.iter_rows()),
        "beats": len(tables["rhythm"]),
        "hours": round(float(clips.filter("kept")["duration"].sum()) / 3600, 3),
    }


def load_segments(folder: Path, table: str) -> list[npt.NDArray[np.float32]]:
    """Read the beat-synchronous features of a pre-training dataset.

    Parameters
    ----------
    folder : Path
        The dataset; its files are checked against its manifest.
    table : {"rhythm", "pitch"}
        Which features.

    Returns
    -------
    list of ndarray of float32, shape (n_beats, d)
        One matrix a clip.

    Raises
    ------
    InputError
        If there is no such dataset, or a file is missing or was changed.
    """
    manifest = release.load_manifest(folder)
    if manifest.get("kind") != "pretrain":
        raise InputError(f"{folder}: a {manifest.get('kind')} dataset; expected a pre-training one.")
    release.check_files(folder, manifest)
    rows = release.read_table(folder, table)
    values = rows["features"].explode().to_numpy().astype(np.float32).reshape(len(rows), -1)
    lengths = rows.group_by("track_id", maintain_order=True).len()["len"].to_numpy()
    return np.split(values, np.cumsum(lengths)[:-1])
