"""Examination of clips without labels: facts for the quality filter, and beat-synchronous features.

Clips are examined in shards, which are cached, so that a build with another threshold, sample or version needs no new
analysis.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from ..audio import texture
from ..audio.analysis import REVISION, TEXTURE, AnalysisConfig, analyse
from ..audio.decode import decode, probe
from ..audio.mpeg import walk
from ..errors import AudioError, EmobenchError
from ..runtime.environment import package_versions
from ..runtime.files import cache_folder, digest, sha256_file
from ..runtime.progress import progress
from ..runtime.shards import SHARED, Tally, Work, compute
from .corpus import Part
from .quality import ClipFacts

TABLES = ("rhythm", "pitch", "texture")

FACTS = {
    "codec": pl.String,
    "bit_rate": pl.Int32,
    "sample_rate": pl.Int32,
    "channels": pl.Int32,
    "duration": pl.Float64,
    "rms_db": pl.Float64,
    "n_beats": pl.Int32,
}

# To be increased whenever the row of a clip in a shard changes.
_REVISION = 2

# Seconds by which decoded music may be shorter than its frames; the delay of decoders takes some hundredths.
_LOST = 0.15

# Number of files that are hashed in one call.
_HASHED_AT_ONCE = 64

# Columns of a shard: facts about a clip, the reason if it is unusable, and its features, flattened.
_SHARD = {
    "track_id": pl.String,
    **FACTS,
    "unusable": pl.String,
    **dict.fromkeys(TABLES, pl.List(pl.Float32)),
}


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip to be examined.

    Attributes
    ----------
    track_id : str
        Track of the clip.
    path : str
        Audio file.
    sha256 : str or None
        SHA-256 of the audio file; None if it is missing.
    """

    track_id: str
    path: str
    sha256: str | None


class Audio:
    """Audio files of clips, each of which is hashed only once.

    Parameters
    ----------
    folder : Path
        Folder of the audio.
    pool : Executor
        Executor of :func:`emobench.runtime.executor.executor`.
    """

    def __init__(self, folder: Path, pool: Executor) -> None:
        self.folder = folder
        self.pool = pool
        self._known: dict[str, Clip] = {}

    def clips(self, tracks: pl.DataFrame) -> list[Clip]:
        """List the clips of those tracks (``track_id, audio``) that have audio."""
        place = self.folder.resolve()
        present = tracks.drop_nulls("audio").select("track_id", "audio")
        new = [
            Clip(track, str(place / audio), None) for track, audio in present.iter_rows() if track not in self._known
        ]
        parts = [new[first : first + _HASHED_AT_ONCE] for first in range(0, len(new), _HASHED_AT_ONCE)]
        hashed = progress(self.pool.map(_hashed, parts), "reading audio", "part", len(parts))
        self._known |= {clip.track_id: clip for part in hashed for clip in part}
        return [self._known[track] for track in present["track_id"]]

    def digest(self, tracks: pl.DataFrame) -> str:
        """Hash the audio of all tracks."""
        known = {clip.track_id: clip.sha256 for clip in self.clips(tracks)}
        return digest([[track, known.get(track)] for track in tracks["track_id"]])


def _hashed(clips: list[Clip]) -> list[Clip]:
    return [replace(clip, sha256=sha256_file(Path(clip.path))) if Path(clip.path).is_file() else clip for clip in clips]


def examine(
    clips: Sequence[Clip], config: AnalysisConfig, pool: Executor, part: Part | None = None
) -> tuple[list[Path], Tally]:
    """Examine clips, or read cached results.

    Parameters
    ----------
    clips : sequence of Clip
        Clips.
    config : AnalysisConfig
        Settings of the analysis.
    pool : Executor
        Executor of :func:`emobench.runtime.executor.executor`.
    part : Part, optional
        Part of each file that is examined; by default, the whole file.

    Returns
    -------
    paths : list of Path
        Parquet files with ``track_id``, the facts, ``unusable`` (a reason, or null) and the features, in the order of
        the clips.
    tally : Tally
        Time and number of clips.
    """
    texture_key = [texture.REVISION, TEXTURE]
    parts = [part] if part else []
    key = digest(["pretrain", _REVISION, REVISION, texture_key, config, package_versions(heavy=False), *parts])
    work = Work(
        function=partial(_examine, config=config, part=part),
        crashed=partial(_unusable, "undecodable"),
        identity=_identity,
        schema=_SHARD,
        key=key,
    )
    folder = cache_folder() / "shards" / digest([key, [clip.track_id for clip in clips]])[:16]
    return compute(clips, work, folder, pool=pool, description="features", tell=_tell)


def _tell(path: Path) -> tuple[float, int]:
    rows = pl.read_parquet(path, columns=["duration", "unusable"])
    return float(rows["duration"].sum()) / 3600, rows["unusable"].count()


def _identity(clip: Clip) -> list[str | None]:
    return [clip.track_id, clip.sha256]


def _examine(clip: Clip, config: AnalysisConfig, part: Part | None) -> dict[str, Any]:
    """Compute the facts and features of a clip, or the reason why it is unusable."""
    if clip.sha256 is None:
        return _unusable("missing", clip)
    path = Path(clip.path)
    if not path.is_file():
        raise EmobenchError(f"{path}: existed when the build began, but is not visible now; {SHARED}")
    try:
        info = probe(path)
        # Headers may be wrong and decoders skip damage, but frames reveal both.
        frames = walk(path) if info.codec.startswith("MPEG") else None
        playable = frames.duration - sum(frames.gapless or ()) / frames.sample_rate if frames else info.duration
        start = part.begin(playable) if part else 0.0
        limit = part.max_duration if part else None
        samples = decode(path, sample_rate=config.sample_rate, start=start, duration=limit)
        if len(samples) == 0:
            return _unusable("too_short", clip)
    except AudioError as error:
        return _unusable(error.reason, clip)
    promised = playable - start if limit is None else min(playable - start, limit)
    if frames and len(samples) / config.sample_rate < promised - _LOST:
        return _unusable("truncated", clip)
    found = analyse(samples, config)
    facts = ClipFacts(
        codec=info.codec,
        bit_rate=frames.bit_rate if frames else round(path.stat().st_size * 8 / info.duration),
        sample_rate=info.sample_rate,
        channels=info.channels,
        duration=frames.duration if frames and not part else found.duration,
        rms_db=max(found.rms_db, -200.0),
        n_beats=len(found.beats),
    )
    features = {table: pl.Series(getattr(found, table).ravel()) for table in TABLES}
    return {"track_id": clip.track_id, **asdict(facts), "unusable": None, **features}


def _unusable(reason: str, clip: Clip) -> dict[str, Any]:
    return {**dict.fromkeys(_SHARD), "track_id": clip.track_id, "unusable": reason}
