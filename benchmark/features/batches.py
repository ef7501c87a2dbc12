"""Features computed from batches of clips, in worker processes or here, and cached by clip.

A batch is the unit of work: an executor gives each to a worker process, which loads the model once, computes the clips
that are not cached, and writes them. So an interrupted run resumes at the batch, on this machine as on a Dask cluster,
and no process holds more than one batch.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from ...audio import cache
from ...runtime.devices import torch_device
from ...runtime.executor import ordered_map
from ...runtime.progress import progress

if TYPE_CHECKING:
    from ...builders.audio_files import ClipSource

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class Batch:
    """Clips that are computed together.

    Attributes
    ----------
    sources : sequence of ClipSource
        Their audio.
    seconds : sequence of ndarray
        Ends of the seconds of each clip.
    paths : sequence of Path
        Their entries in the cache; empty if they are not cached.
    """

    sources: Sequence[ClipSource]
    seconds: Sequence[FloatArray]
    paths: Sequence[Path] = ()

    def __repr__(self) -> str:
        more = f" and {len(self.sources) - 1} more" if len(self.sources) > 1 else ""
        return f"clip {self.sources[0].clip_id}{more}"

    def stored(self) -> list[cache.Arrays] | None:
        """Return the arrays of all clips from the cache, or None if one is missing or damaged."""
        found = [cache.read(path) for path in self.paths]
        complete = [arrays for arrays in found if arrays is not None]
        return complete if complete and len(complete) == len(self.sources) else None


class Extractor(Protocol):
    """What computes batches.

    Where ``parallel`` is True, it is pickled, and prepared in each worker process.
    """

    @property
    def parallel(self) -> bool:
        """Whether batches may be computed in worker processes."""
        ...

    def fetch(self) -> None:
        """Download what is needed, before worker processes start."""

    def prepare(self, device: str) -> None:
        """Load the model on a device, ``cpu`` or ``cuda``."""

    def extract(self, batch: Batch) -> list[cache.Arrays]:
        """Compute the arrays of each clip."""
        ...


def batches_of(
    sources: Sequence[ClipSource], seconds: Sequence[FloatArray], paths: Sequence[Path], size: int
) -> list[Batch]:
    """Cut clips into batches in their order; ``paths`` may be empty."""
    starts = range(0, len(sources), size)
    return [Batch(sources[at : at + size], seconds[at : at + size], paths[at : at + size]) for at in starts]


def extract(
    extractor: Extractor, batches: Sequence[Batch], pool: Executor, *, device: str, name: str
) -> Iterator[cache.Arrays]:
    """Yield the arrays of each clip, which are read from the cache or computed.

    Parameters
    ----------
    extractor : Extractor
        What computes them.
    batches : sequence of Batch
        All clips.
    pool : Executor
        An executor of :func:`emobench.runtime.executor.executor`. It is not used on a GPU, which one process keeps
        busy with its batches.
    device : {"cpu", "cuda"}
        Device to compute on.
    name : str
        Name of the feature, for the progress bar.
    """
    description = f"features: {name}"
    lacking = [batch for batch in batches if not batch.paths or not all(path.is_file() for path in batch.paths)]
    spread = extractor.parallel and device == "cpu" and all(batch.paths for batch in lacking)
    if lacking and spread:
        extractor.fetch()
        work = partial(_in_worker, pickle.dumps(extractor), device)
        # Without a limit of time: a model may need minutes for long clips.
        for _ in ordered_map(pool, work, lacking, description=description, unit="batch", limited=False):
            pass
    prepared = False
    for batch in progress(batches, description, "batch", leave=False) if lacking and not spread else batches:
        made = batch.stored()
        if made is None:
            if not prepared:
                extractor.prepare(device)
                prepared = True
            made = _computed(extractor, batch)
        yield from made


def _computed(extractor: Extractor, batch: Batch) -> list[cache.Arrays]:
    """Compute a batch and write it to the cache."""
    made = extractor.extract(batch)
    for path, arrays in zip(batch.paths, made, strict=bool(batch.paths)):
        cache.write(path, arrays)
    return made


def _in_worker(pickled: bytes, device: str, batch: Batch) -> None:
    """Compute a batch unless it is cached; the arrays stay in the cache, which the main process reads."""
    if batch.stored() is None:
        _computed(_prepared(pickled, device), batch)


@lru_cache(maxsize=1)
def _prepared(pickled: bytes, device: str) -> Extractor:
    """Return an extractor with its model, which is kept for later batches."""
    torch_device(device)  # one thread
    extractor: Extractor = pickle.loads(pickled)
    extractor.prepare(device)
    return extractor
