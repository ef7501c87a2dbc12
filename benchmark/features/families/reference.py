"""Reference entries: the training mean, and the mean of each clip's own targets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ....protocols import features
from ..columns import Columns, FloatArray, TaskFeature

if TYPE_CHECKING:
    from ...scoring.task import Task
    from ..extraction import Extraction
    from ..spec import Entry


class Constant(TaskFeature):
    """No feature at all: a regressor then predicts the training mean."""

    origin = "the training targets"
    name, title, order, reference = "constant", "constant (training mean)", 90, True

    def columns(self, extraction: Extraction, entry: Entry) -> Columns:
        """Return columns of width zero."""
        empty = np.zeros((len(extraction.task.clip_index), 0))
        return Columns(lambda fold: empty, "constant", lambda: 0.0, pooled=True)


class Oracle(TaskFeature):
    """The mean of each clip's own targets, which no feature that is constant over a clip can beat."""

    origin = "the clip's own targets"
    name, title, order, reference = "oracle", "oracle (clip mean)", 91, True

    def columns(self, extraction: Extraction, entry: Entry) -> Columns:
        """Return columns of width zero that predict the means."""
        empty, means = np.zeros((len(extraction.task.clip_index), 0)), clip_means(extraction.task)
        return Columns(lambda fold: empty, "oracle", pooled=True, predicted=lambda fold: means)


def clip_means(task: Task) -> FloatArray:
    """Return the mean targets of each row's clip, shape (n_rows, 5)."""
    counts = np.bincount(task.clip_index, minlength=len(task.clips))
    means = np.column_stack([np.bincount(task.clip_index, column) / counts for column in task.targets.T])
    return means[task.clip_index]


features.register(Constant())
features.register(Oracle())
