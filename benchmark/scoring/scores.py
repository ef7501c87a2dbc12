"""Scores of an entry's predictions, and the table of predictions that is written beside a result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ...builders.targets import PARAMETERS
from ..results.model import MetricScore
from .significance import RepeatPredictions, album_intervals
from .task import Task
from .weighting import weighted_scores

DRAWS = 1000


@dataclass(frozen=True)
class Predictions:
    """Test predictions of one repeat.

    Attributes
    ----------
    repeat : int
        Repeat.
    rows : ndarray of int, shape (n,)
        Rows of the task.
    values : ndarray, shape (n, 5)
        Predictions.
    true : ndarray, shape (n, 5), optional
        What they are scored against, if not the targets of the task.
    """

    repeat: int
    rows: npt.NDArray[np.intp]
    values: npt.NDArray[np.float64]
    true: npt.NDArray[np.float64] | None = None

    def targets(self, task: Task) -> npt.NDArray[np.float64]:
        """Return what the predictions are scored against."""
        return task.targets[self.rows] if self.true is None else self.true


def score(task: Task, predictions: Sequence[Predictions], *, seed: int) -> dict[str, MetricScore]:
    """Score predictions by every metric.

    Parameters
    ----------
    task : Task
        Task with the true targets.
    predictions : sequence of Predictions
        Predictions of each repeat.
    seed : int
        Seed of the bootstrap over albums.

    Returns
    -------
    dict of str to MetricScore
    """
    repeats = []
    for part in predictions:
        tested, clips = np.unique(task.clip_index[part.rows], return_inverse=True)
        repeats.append(RepeatPredictions(part.targets(task), part.values, clips, task.albums[tested]))
    return score_repeats(repeats, seed=seed)


def score_repeats(repeats: Sequence[RepeatPredictions], *, seed: int) -> dict[str, MetricScore]:
    """Score the predictions of all repeats as :func:`score` does."""
    per_repeat: dict[str, list[float]] = {}
    for one in repeats:
        plain = weighted_scores(one.true, one.predicted, one.clips, np.ones((1, len(one.albums))))
        for name, value in plain.items():
            per_repeat.setdefault(name, []).append(float(value[0]))
    intervals = album_intervals(repeats, draws=DRAWS, seed=seed)
    return {name: _summary(values, intervals[name]) for name, values in per_repeat.items()}


def _summary(values: list[float], interval: tuple[float, float] | None) -> MetricScore:
    defined = np.array([value for value in values if np.isfinite(value)])
    return MetricScore(
        mean=float(defined.mean()) if len(defined) else None,
        std=float(defined.std(ddof=1)) if len(defined) > 1 else None,
        per_repeat=tuple(value if np.isfinite(value) else None for value in values),
        ci95=interval,
    )


def prediction_table(task: Task, predictions: Sequence[Predictions]) -> pl.DataFrame:
    """Arrange predictions beside the targets, one row per test second and repeat; unknown values are null."""
    times = task.times
    clips = np.array(task.clips, dtype=object)
    tables = []
    for part in predictions:
        columns: dict[str, Any] = {
            "repeat": pl.Series([part.repeat] * len(part.rows), dtype=pl.Int32),
            "clip_id": pl.Series(clips[task.clip_index[part.rows]].tolist(), dtype=pl.String),
            "time": times[part.rows],
        }
        columns |= {name: part.values[:, place] for place, name in enumerate(PARAMETERS)}
        columns |= {f"true_{name}": part.targets(task)[:, place] for place, name in enumerate(PARAMETERS)}
        tables.append(pl.DataFrame(columns))
    return pl.concat(tables).with_columns(pl.col(pl.Float64).fill_nan(None))
