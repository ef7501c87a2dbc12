"""The labelled clips as a network sees them: beats as examples, targets at the beats, and back to seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ...audio.analysis import Analysis
from ...audio.seconds import mean_per_second
from ...builders.targets import targets_at
from ...dbn.domains import Domain, Examples, examples
from ..scoring.task import Task

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ClipExamples:
    """Examples of the labelled clips of one domain.

    Attributes
    ----------
    data : Examples
        The examples.
    clips : ndarray of int, shape (n_examples,)
        Clip of each.
    times : ndarray, shape (n_examples,)
        When each is closed, in seconds.
    targets : ndarray of float32, shape (n_examples, 2)
        Means interpolated at these times, each clip's from its own alone.
    """

    data: Examples
    clips: npt.NDArray[np.intp]
    times: FloatArray
    targets: npt.NDArray[np.float32]

    def per_second(self, layers: Sequence[npt.NDArray[np.float32]], task: Task) -> list[FloatArray]:
        """Average layers of shapes (n_examples, width) over the past second; return shapes (n_rows, width)."""
        # A saturated unit is constant: regression must not blow up its last digits.
        stacked = np.round(np.hstack(layers), 6)
        bounds = np.searchsorted(self.clips, np.arange(len(task.clips) + 1))
        rows = [
            mean_per_second(stacked[low:high], self.times[low:high], seconds)
            for low, high, seconds in zip(bounds[:-1], bounds[1:], task.seconds, strict=True)
        ]
        edges = np.cumsum([layer.shape[1] for layer in layers])[:-1]
        return np.split(np.concatenate(rows), edges, axis=1)


def clip_examples(domain: Domain, analyses: Sequence[Analysis], task: Task) -> ClipExamples:
    """Make the examples of a task's clips; one that is too short for an example is padded.

    Parameters
    ----------
    domain : Domain
        What an example is.
    analyses : sequence of Analysis
        Of each clip of the task.
    task : Task
        With the targets.

    Returns
    -------
    ClipExamples
    """
    data = examples(domain, [getattr(clip, domain.table) for clip in analyses], pad=True)
    clips = np.repeat(np.arange(len(task.clips)), data.counts)
    times, targets = np.empty(len(data)), np.empty((len(data), 2), np.float32)
    rows = np.searchsorted(task.clip_index, np.arange(len(task.clips) + 1))
    for clip, analysis in enumerate(analyses):
        own = clips == clip
        times[own] = analysis.beats[data.beats[own]]
        means = task.targets[rows[clip] : rows[clip + 1], :2]
        targets[own] = targets_at(times[own], task.times[rows[clip] : rows[clip + 1]], means)
    return ClipExamples(data, clips, times, targets)
