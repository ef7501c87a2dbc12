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
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from ...builders.labelled_dataset import LabelledDataset
from ...builders.targets import PARAMETERS
from .gaussians import FloatArray, covariances, repaired
from .metrics.kl_divergence import kl_divergences
from .metrics.mean_distance import mean_distances
from .task import Task, load_task

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


def reference_scores(dataset: LabelledDataset) -> dict[str, tuple[float, float]]:
    """Return the mean distance and KL divergence of each reference, as in a run; empty without single ratings."""
    task = load_task(dataset)
    if lacking(task):
        return {}
    found, known = {}, Annotators(task)
    for name in NAMES:
        pairs = [(known.reference(name, fold.repeat), fold.test) for fold in task.folds]
        scores = [
            [
                measure(reference.true[test], reference.predicted[test]).mean()
                for measure in (mean_distances, kl_divergences)
            ]
            for reference, test in pairs
        ]
        distance, divergence = np.mean(scores, axis=0)
        found[name] = (float(distance), float(divergence))
    return found


class Annotators:
    """Annotators of a task that has single ratings of every row (:func:`lacking`).

    Parameters
    ----------
    task : Task
        Task.
    """

    def __init__(self, task: Task) -> None:
        self._task = task

    def reference(self, name: str, repeat: int) -> Reference:
        """Compute a reference for all rows of the task.

        Parameters
        ----------
        name : {"human", "ceiling"}
            Name of the reference.
        repeat : int
            Repeat of the folds. The halves of the annotators are the same in all repeats; the ceiling is drawn anew.
        """
        return self.human if name == HUMAN else Reference(self._ceiling(repeat), self._task.targets)

    @cached_property
    def _ratings(self) -> list[FloatArray]:
        return _ratings(self._task)

    @cached_property
    def human(self) -> Reference:
        """One half of the annotators of each clip, predicted by the other half."""
        halves: list[tuple[FloatArray, FloatArray]] = []
        for clip, ratings in enumerate(self._ratings):
            order = np.random.default_rng([_STREAMS[HUMAN], clip]).permutation(len(ratings))
            half = len(ratings) // 2
            halves.append((_gaussians(ratings[order[:half]]), _gaussians(ratings[order[half:]])))
        return Reference(*(repaired(np.concatenate(rows))[0] for rows in zip(*halves, strict=True)))

    @cached_property
    def _posterior(self) -> _Posterior:
        targets = self._task.targets
        counts = np.concatenate([np.isfinite(each[..., 0]).sum(axis=0) for each in self._ratings])
        spread = covariances(targets)
        error = spread / counts[:, None, None]
        means = targets[:, :2]
        # Covariance of the population means: that of the targets without the part that is noise.
        prior = _positive(np.cov(means.T) - error.mean(axis=0))
        gain = prior @ np.linalg.inv(prior + error)
        expected = means.mean(axis=0) + np.einsum("rij,rj->ri", gain, means - means.mean(axis=0))
        return _Posterior(counts, _root(spread), _root(error), expected, _root(_positive(prior - gain @ prior)))

    def _ceiling(self, repeat: int) -> FloatArray:
        known, first = self._posterior, 0
        predicted = np.empty((len(known.counts), len(PARAMETERS)))
        for clip, own in enumerate(self._ratings):
            generator = np.random.default_rng([_STREAMS[CEILING], repeat, clip])
            rows = slice(first, first + own.shape[1])
            first, counts = rows.stop, known.counts[rows]
            # Noise that is as similar from second to second as the deviations of the annotators are.
            deviations = np.nan_to_num(own - np.nansum(own, axis=0) / counts[:, None])
            noise = np.einsum("t,tri->ri", generator.standard_normal(len(own)), deviations)
            size = np.sqrt(counts * np.maximum(counts - 1, 1))
            white = np.linalg.solve(known.error[rows], (noise / size[:, None])[..., None])
            predicted[rows, :2] = known.expected[rows] + (known.left[rows] @ white)[..., 0]
            predicted[rows, 2:] = _populations(known.spread[rows], counts, generator.standard_normal((len(own), 2)))
        return repaired(predicted)[0]


@dataclass(frozen=True)
class _Posterior:
    """Number of ratings of each row, roots of their covariance and of that of their mean; posterior of the mean."""

    counts: npt.NDArray[np.int64]
    spread: FloatArray
    error: FloatArray
    expected: FloatArray
    left: FloatArray


def _populations(roots: FloatArray, counts: npt.NDArray[np.int64], normal: FloatArray) -> FloatArray:
    """Draw the population covariances behind samples with these roots of covariances; return variances, covariance."""
    # Row by row, the first n - 1 of the standard normal draws give a Wishart matrix.
    wishart = np.cumsum(normal[:, :, None] * normal[:, None, :], axis=0)
    degrees = counts - 1
    drawn = np.full((len(counts), 3), np.nan)
    enough = counts >= _FEWEST
    scaled = wishart[degrees[enough] - 1] / degrees[enough, None, None]
    found = roots[enough] @ np.linalg.inv(scaled) @ roots[enough]
    drawn[enough] = np.column_stack([found[:, 0, 0], found[:, 1, 1], found[:, 0, 1]])
    return drawn


def _positive(matrices: FloatArray) -> FloatArray:
    """Raise negative eigenvalues of symmetric matrices (..., 2, 2) to zero."""
    values, vectors = np.linalg.eigh((matrices + np.swapaxes(matrices, -1, -2)) / 2)
    return (vectors * np.maximum(values, 0)[..., None, :]) @ np.swapaxes(vectors, -1, -2)


def _root(matrices: FloatArray) -> FloatArray:
    """Return the symmetric square roots of positive semidefinite matrices (..., 2, 2)."""
    values, vectors = np.linalg.eigh(matrices)
    return (vectors * np.sqrt(np.maximum(values, 0))[..., None, :]) @ np.swapaxes(vectors, -1, -2)
