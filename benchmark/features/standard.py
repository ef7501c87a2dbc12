"""Standard features of all clips of a task; those of one run share decoding and spectrogram, and are cached."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Executor
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ...audio import cache
from ...audio.decode import decode
from ...audio.seconds import mean_per_second
from ...baselines.frames import FrameConfig, StandardFeature
from ...protocols import features
from ...runtime.executor import ordered_map
from ...runtime.files import digest, sha256_file
from .columns import Columns, Computed, TaskFeature

if TYPE_CHECKING:
    from ...builders.audio_files import ClipSource
    from ..scoring.task import Task
    from .extraction import Extraction
    from .spec import Entry

FloatArray = npt.NDArray[np.float64]

# Increase it when the same audio and settings give different numbers.
REVISION = 2


class StandardColumns(TaskFeature):
    """A standard feature, computed together with the others that the run asks for."""

    needs_audio = True

    def __init__(self, feature: StandardFeature) -> None:
        self.name, self.title, self.order = feature.name, feature.title, feature.order
        self.config, self.metadata = feature.config, feature.metadata

    def columns(self, extraction: Extraction, entry: Entry) -> Columns:
        """Return the columns; audio is read when their values are first asked for."""
        together = [name for name, other in extraction.features.items() if isinstance(other, StandardColumns)]

        def computed() -> Computed:
            # Names without one another's results would decode the audio again.
            found = extraction.once(
                "standard features",
                lambda: compute(extraction.task, extraction.sources, together, self.config, extraction.pool),
            )
            return found[self.name]

        return Columns(
            lambda fold: computed().values,
            [self.name, REVISION, self.config, digest(extraction.audio_hashes)],
            lambda: computed().seconds_per_clip,
            reproducible=True,
        )


def _one_clip(
    item: tuple[ClipSource, FloatArray], names: Sequence[str], config: FrameConfig
) -> dict[str, cache.Arrays]:
    """Compute the features of one clip by name: ``values`` (n_seconds, d) and ``cost``."""
    source, seconds = item
    hashed = sha256_file(source.path)
    keys = {
        name: ["baseline", REVISION, name, hashed, source.start, source.duration, seconds.tolist(), config]
        for name in names
    }
    found = {name: cache.read(cache.entry("baselines", key)) for name, key in keys.items()}
    lacking = [name for name, stored in found.items() if stored is None]
    if lacking:
        began = time.process_time()
        samples = decode(source.path, sample_rate=config.sample_rate, start=source.start, duration=source.duration)
        spectrum = config.spectrum(samples)
        times = np.arange(len(spectrum)) / config.rate
        shared = time.process_time() - began
        for name in lacking:
            began = time.process_time()
            values = mean_per_second(features[name].function(spectrum, config), times, seconds)
            cost = shared + time.process_time() - began
            found[name] = {"values": values, "cost": np.array(cost)}
            cache.write(cache.entry("baselines", keys[name]), found[name] or {})
    return {name: stored for name, stored in found.items() if stored is not None}


def compute(
    task: Task, sources: Sequence[ClipSource], names: Sequence[str], config: FrameConfig, pool: Executor
) -> dict[str, Computed]:
    """Compute standard features.

    Parameters
    ----------
    task : Task
        Clips and seconds.
    sources : sequence of ClipSource
        Audio of each clip of the task.
    names : sequence of str
        Names of standard features.
    config : FrameConfig
        Spectrogram.
    pool : Executor
        Executor of :func:`emobench.runtime.executor.executor`.

    Returns
    -------
    dict of str to Computed
    """
    items = list(zip(sources, task.seconds, strict=True))
    work = partial(_one_clip, names=list(names), config=config)
    clips = list(ordered_map(pool, work, items, description=f"features: {', '.join(names)}"))
    return {
        name: Computed(
            values=np.concatenate([clip[name]["values"] for clip in clips]),
            # The first clip of a process also pays for imports and compiled code, so not the mean.
            seconds_per_clip=float(np.median([clip[name]["cost"] for clip in clips])),
        )
        for name in names
    }
