r"""What annotators agree on: how well one half of them predicts the other, and the limit their number sets.

Every target is the mean of a finite number of ratings, so even a perfect model does not reach a distance of 0. Two
references show this. ``human`` predicts the ratings of one half of each clip's annotators by those of the other half.
``ceiling`` is the expected score of a model that knows the population: the Gaussian of all people who might have been
asked.

The ceiling is simulated. The mean :math:`m` of :math:`n` ratings with covariance :math:`S` deviates from the population
mean :math:`\mu` by :math:`N(0, S/n)`. With the prior :math:`\mu \sim N(\bar m, V - E)`, where :math:`V` is the
covariance of the targets and :math:`E` the average :math:`S/n`, pairs of :math:`m` and a draw from the posterior of
:math:`\mu` are distributed like targets and population means (empirical Bayes; Efron and Morris, JASA 1973). The
population covariance is drawn so that :math:`(n - 1) S` has the Wishart distribution around it. For Gaussian ratings
the expectations are :math:`E|m - \mu|^2 = \mathrm{tr}\,S/n`, per axis :math:`R^2 = 1 - E/V` and :math:`\mathrm{CCC} =
2(V - E)/(2V - E)`, and

.. math:: KL = \frac{1}{n} - \frac{1}{2}\left[\psi\left(\frac{n-1}{2}\right) + \psi\left(\frac{n-2}{2}\right)
          + 2\ln\frac{2}{n-1}\right].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from ...builders.targets import PARAMETERS
from .gaussians import FloatArray, covariances, repaired
from .task import Task

HUMAN, CEILING = "human", "ceiling"
NAMES = (HUMAN, CEILING)

# Stream of random numbers of each reference.
_STREAMS = {HUMAN: 1, CEILING: 2}

# Smallest number of ratings from which the population covariance can be drawn.
_FEWEST = 3


@dataclass(frozen=True)
class Reference:
    """Predictions of a reference, and the targets that they are scored against; both of shape (n_rows, 5)."""

    predicted: FloatArray
    true: FloatArray


def lacking(task: Task) -> str | None:
    """Say why a task has no references from annotators; None if it has."""
    dataset = task.dataset
    own = dataset.targets.filter(pl.col("clip_id").is_in(task.clips))
    if sum(own.select("n", *PARAMETERS).null_count().row(0)):
        return "the corpus has no single ratings of some clips"
    counts = own.join(dataset.clips.select("clip_id", "n_annotators"), on="clip_id")
    # Then both halves of the annotators have rated every second, however the halves are drawn.
    few = counts.filter(pl.col("n") <= (pl.col("n_annotators") + 1) // 2)
    if few.is_empty():
        return None
    clip, time, count = few.select("clip_id", "time", "n").row(0)
    return f"clip {clip} has ratings of only {count} of its annotators at {time:g} s"


def reference(task: Task, name: str, repeat: int) -> Reference:
    """Compute a reference for all rows of a task.

    Parameters
    ----------
    task : Task
        Task with single ratings of every row.
    name : {"human", "ceiling"}
        Name of the reference.
    repeat : int
        Repeat of the folds. The halves of the annotators are the same in all repeats; the ceiling is drawn anew.
    """
    return _human(task) if name == HUMAN else Reference(_ceiling(task, repeat), task.targets)


def _ratings(task: Task) -> list[FloatArray]:
    """Return the ratings of each clip, shape (n_traces, n_rows_of_the_clip, 2), NaN where there is none."""
    settings = task.dataset.manifest.config.dataset.get("targets", {})
    second = (pl.col("time") - settings.get("lag", 0.0)).round(9).ceil()
    rows = pl.DataFrame(
        {"clip": task.clip_index.astype(np.int64), "row": np.arange(len(task.times)), "time": task.times}
    )
    clips = pl.DataFrame({"clip_id": task.clips, "clip": range(len(task.clips))})
    ratings = task.dataset.annotations.join(clips, on="clip_id")
    if task.kind == "clip":
        ratings = ratings.join(rows.select("clip", "row"), on="clip")
    else:
        ratings = ratings.with_columns(time=second).join(rows, on=["clip", "time"])
    means = ratings.group_by("clip", "trace", "row").agg(pl.col("arousal", "valence").mean()).sort("clip")
    found = []
    firsts = np.searchsorted(task.clip_index, np.arange(len(task.clips) + 1))
    for (clip,), own in means.group_by("clip", maintain_order=True):
        first, last = firsts[int(str(clip))], firsts[int(str(clip)) + 1]
        traces, place = np.unique(own["trace"].to_numpy(), return_inverse=True)
        values = np.full((len(traces), last - first, 2), np.nan)
        values[place, own["row"].to_numpy() - first] = own.select("arousal", "valence").to_numpy()
        found.append(values)
    return found


def _gaussians(ratings: FloatArray) -> FloatArray:
    """Return mean and unbiased covariance over traces, shape (n_rows, 5); NaN where there are too few ratings."""
    count = np.isfinite(ratings[..., 0]).sum(axis=0)
    mean = np.nansum(ratings, axis=0) / count[:, None]
    spread = np.nan_to_num(ratings - mean)
    products = np.einsum("tri,trj->rij", spread, spread)
    with np.errstate(divide="ignore", invalid="ignore"):
        covariance = products / (count - 1)[:, None, None]
    return np.column_stack([mean, covariance[:, 0, 0], covariance[:, 1, 1], covariance[:, 0, 1]])


def _human(task: Task) -> Reference:
    halves: list[tuple[FloatArray, FloatArray]] = []
    for clip, ratings in enumerate(_ratings(task)):
        order = np.random.default_rng([_STREAMS[HUMAN], clip]).permutation(len(ratings))
        half = len(ratings) // 2
        halves.append((_gaussians(ratings[order[:half]]), _gaussians(ratings[order[half:]])))
    return Reference(*(repaired(np.concatenate(rows))[0] for rows in zip(*halves, strict=True)))


def _ceiling(task: Task, repeat: int) -> FloatArray:
    ratings = _ratings(task)
    counts = np.concatenate([np.isfinite(each[..., 0]).sum(axis=0) for each in ratings])
    spread = covariances(task.targets)
    error = spread / counts[:, None, None]
    means = task.targets[:, :2]
    between = np.cov(means.T)
    # Covariance of the population means: that of the targets without the part that is noise.
    prior = _positive(between - error.mean(axis=0))
    gain = prior @ np.linalg.inv(prior + error)
    expected = means.mean(axis=0) + np.einsum("rij,rj->ri", gain, means - means.mean(axis=0))
    left = np.array([_root(_positive(each)) for each in prior - gain @ prior])
    predicted = np.empty((len(means), len(PARAMETERS)))
    first = 0
    for clip, own in enumerate(ratings):
        generator = np.random.default_rng([_STREAMS[CEILING], repeat, clip])
        rows = slice(first, first + own.shape[1])
        first = rows.stop
        # Noise that is as similar from second to second as the deviations of the annotators are.
        deviations = np.nan_to_num(own - np.nansum(own, axis=0) / counts[rows, None])
        noise = np.einsum("t,tri->ri", generator.standard_normal(len(own)), deviations)
        size = np.sqrt(counts[rows] * np.maximum(counts[rows] - 1, 1))
        white = np.linalg.solve(np.array([_root(each) for each in error[rows]]), (noise / size[:, None])[..., None])
        predicted[rows, :2] = expected[rows] + (left[rows] @ white)[..., 0]
        normal = generator.standard_normal((len(own), 2))
        for row in range(rows.start, rows.stop):
            predicted[row, 2:] = _population(spread[row], normal[: counts[row] - 1])
    return repaired(predicted)[0]


def _population(sample: FloatArray, normal: FloatArray) -> FloatArray:
    """Draw the population covariance behind a sample covariance, as ``[var_a, var_v, cov_av]``."""
    degrees = len(normal)
    if degrees < _FEWEST - 1:
        return np.full(3, np.nan)
    root = _root(sample)
    drawn = root @ np.linalg.inv(normal.T @ normal / degrees) @ root.T
    return np.array([drawn[0, 0], drawn[1, 1], drawn[0, 1]])


def _positive(matrix: FloatArray) -> FloatArray:
    """Raise negative eigenvalues of a symmetric matrix to zero."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return (vectors * np.maximum(values, 0)) @ vectors.T


def _root(matrix: FloatArray) -> FloatArray:
    """Return the symmetric square root of a positive semidefinite matrix."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
