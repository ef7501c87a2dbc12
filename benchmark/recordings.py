"""The search for clips of the same recording, in the audio of one or several datasets."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..audio import cache, fingerprint
from ..audio.decode import decode
from ..audio.fingerprint import Match
from ..builders.audio_files import ClipSource
from ..errors import AudioError
from ..runtime.environment import code_sha256
from ..runtime.executor import ordered_map
from ..runtime.progress import progress

_KIND = "fingerprints"
_COLUMNS = ("one", "other", "offset", "overlap", "similarity")

# A clip and the SHA-256 of its audio.
Hashed = tuple[ClipSource, str]


@dataclass(frozen=True)
class Compared:
    """Outcome of the search.

    Attributes
    ----------
    matches : list of Match
        Pairs of clips of the same recording, by their places.
    lacking : list of int
        Places of clips that could not be compared: not decodable, or shorter than :data:`fingerprint.SHORTEST`.
    """

    matches: list[Match]
    lacking: list[int]


def same_recordings(items: Sequence[Hashed], pool: Executor) -> Compared:
    """Find pairs of clips whose audio is the same, or of which one contains a part of the other.

    Parameters
    ----------
    items : sequence of (ClipSource, str)
        Clips, and the SHA-256 of their audio files.
    pool : Executor
        Executor from :func:`emobench.runtime.executor.executor`, which computes fingerprints.
    """
    # The hashes of the audio determine the outcome, so a second run need not read fingerprints.
    key = [[_key(item) for item in items], code_sha256()]
    found = cache.cached("recordings", key, lambda: _compared(items, pool))
    rows = zip(*(found[name].tolist() for name in _COLUMNS), strict=True)
    return Compared([Match(*row) for row in rows], found["lacking"].tolist())


def _compared(items: Sequence[Hashed], pool: Executor) -> cache.Arrays:
    fresh = [item for item in items if not cache.entry(_KIND, _key(item)).is_file()]
    for _ in ordered_map(pool, _fingerprint, fresh, description="fingerprints") if fresh else ():
        pass
    prints = [_fingerprint(item) for item in progress(items, "reading fingerprints", "clip", leave=False)]
    matches = fingerprint.same_recordings(prints)
    columns = {
        name: np.array([getattr(match, name) for match in matches], np.intp if name in ("one", "other") else float)
        for name in _COLUMNS
    }
    return {**columns, "lacking": np.array([place for place, each in enumerate(prints) if not len(each)], np.intp)}


def _key(item: Hashed) -> list[object]:
    source, hashed = item
    return [fingerprint.REVISION, hashed, source.start, source.duration]


def _fingerprint(item: Hashed) -> npt.NDArray[np.float16]:
    """Return the cached fingerprint of a clip; empty if it cannot be decoded or is too short."""
    source, _ = item

    def compute() -> cache.Arrays:
        try:
            samples = decode(
                source.path, sample_rate=fingerprint.SAMPLE_RATE, start=source.start, duration=source.duration
            )
        except AudioError:
            samples = np.zeros(0, np.float32)
        enough = len(samples) >= fingerprint.SHORTEST * fingerprint.SAMPLE_RATE
        return {"print": fingerprint.fingerprint(samples) if enough else np.zeros((0, 0), np.float16)}

    return cache.cached(_KIND, _key(item), compute)["print"]
