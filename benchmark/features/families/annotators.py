"""Reference entries from single ratings: annotators who predict each other, and the limit that their number sets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ....protocols import features
from ..columns import Columns, FloatArray, TaskFeature, UnavailableError

if TYPE_CHECKING:
    from ...scoring.task import Fold
    from ..extraction import Extraction
    from ..spec import Entry


class AnnotatorReference(TaskFeature):
    """A reference of :mod:`emobench.benchmark.scoring.annotators`."""

    origin = "the single ratings"
    reference = True

    def __init__(self, name: str, title: str, order: int) -> None:
        self.name, self.title, self.order = name, title, order

    def columns(self, extraction: Extraction, entry: Entry) -> Columns:
        """Return columns of width zero with the predictions."""
        from ...scoring import annotators

        task = extraction.task
        if reason := annotators.lacking(task):
            raise UnavailableError(f"{self.name}: {reason}; expected at least two annotators for every target.")
        empty = np.zeros((len(task.times), 0))
        single = extraction.once("annotators", lambda: annotators.Annotators(task))

        def computed(fold: Fold) -> annotators.Reference:
            return extraction.once(f"{self.name} {fold.repeat}", lambda: single.reference(self.name, fold.repeat))

        def predicted(fold: Fold) -> FloatArray:
            return computed(fold).predicted

        return Columns(
            lambda fold: empty,
            self.name,
            pooled=True,
            predicted=predicted,
            true=lambda fold: computed(fold).true,
        )


features.register(AnnotatorReference("human", "human (one half of the annotators)", 92))
features.register(AnnotatorReference("ceiling", "ceiling (population of annotators)", 93))
