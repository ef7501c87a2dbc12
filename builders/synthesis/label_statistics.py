"""Statistics of annotations, and their values for the published MoodSwings Turk file."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, kw_only=True)
class LabelStatistics:
    """Statistics of annotations, with distances and standard deviations on the scale [-0.5, 0.5].

    "Seconds" are pairs of clip and second, with the ratings of all workers.

    Attributes
    ----------
    clips, traces : int
        Number of clips and of traces.
    traces_mean, traces_sd : float
        Mean and standard deviation of the number of traces per clip.
    constant_traces : int
        Number of traces that never move.
    worker_sd_arousal, worker_sd_valence : float
        Standard deviation over workers (ddof 1), averaged over seconds.
    eigenvalue_min, eigenvalue_median : float
        Minimum and median over seconds of the smallest eigenvalue of the covariance.
    mean_arousal, mean_valence, sd_arousal, sd_valence : float
        Mean and standard deviation of the means of the seconds.
    grand_mean_distance, grand_mean_kl : float
        Error of always predicting the mean of all seconds and the mean of all covariances: mean Euclidean distance,
        and KL divergence (equation 7 of Schmidt and Kim 2013).
    clip_mean_distance : float
        Mean distance of always predicting the mean of the clip.
    movement : float
        Mean distance between the means of the first and the last second of a clip.
    quadrant_shares : tuple of float
        Shares of clips with (arousal, valence) above or below 0, in the order ++, +-, -+, --.
    """

    clips: int
    traces: int
    traces_mean: float
    traces_sd: float
    constant_traces: int
    worker_sd_arousal: float
    worker_sd_valence: float
    eigenvalue_min: float
    eigenvalue_median: float
    mean_arousal: float
    mean_valence: float
    sd_arousal: float
    sd_valence: float
    grand_mean_distance: float
    grand_mean_kl: float
    clip_mean_distance: float
    movement: float
    quadrant_shares: tuple[float, float, float, float]


# Computed with `label_statistics` from msLiteTurk.mat, the MoodSwings Turk labels as published by their
# authors (Speck, Schmidt, Morton and Kim, ISMIR 2011), values divided by 400.
REAL_LABEL_STATISTICS = LabelStatistics(
    clips=240,
    traces=4064,
    traces_mean=16.9333,
    traces_sd=2.6896,
    constant_traces=509,
    worker_sd_arousal=0.1949,
    worker_sd_valence=0.1933,
    eigenvalue_min=0.002488,
    eigenvalue_median=0.022875,
    mean_arousal=0.0595,
    mean_valence=0.0630,
    sd_arousal=0.1634,
    sd_valence=0.1207,
    grand_mean_distance=0.1837,
    grand_mean_kl=0.6850,
    clip_mean_distance=0.0270,
    movement=0.0753,
    quadrant_shares=(0.4708, 0.1667, 0.2375, 0.1250),
)


def label_statistics(
    *, clip: ArrayLike, trace: ArrayLike, second: ArrayLike, arousal: ArrayLike, valence: ArrayLike
) -> LabelStatistics:
    """Compute the statistics of annotations.

    Parameters
    ----------
    clip, trace, second : array_like, shape (n,)
        Clip, trace within the clip, and second of each rating.
    arousal, valence : array_like, shape (n,)
        Ratings in [-0.5, 0.5]. All traces of a clip have the same seconds.

    Raises
    ------
    ValueError
        If lengths differ, there are no ratings, or a second of a clip has fewer than two ratings.
    """
    columns = [np.asarray(x) for x in (clip, trace, second, arousal, valence)]
    if len({x.shape for x in columns}) != 1 or columns[0].ndim != 1:
        raise ValueError(f"all columns must have the same length, not the shapes {[x.shape for x in columns]}")
    if not len(columns[0]):
        raise ValueError("clip must not be empty")
    clips = np.unique(columns[0], return_inverse=True)[1].ravel()
    traces = _key(clips, columns[1])
    moments = _key(clips, columns[2])
    emotion = np.stack([columns[3], columns[4]], axis=1).astype(float)

    size = np.bincount(moments)
    if size.min() < 2:
        raise ValueError("trace must contain at least two traces for every clip and second")
    mean = np.stack([np.bincount(moments, emotion[:, k]) for k in range(2)], axis=1) / size[:, None]
    rest = emotion - mean[moments]
    covariance = np.empty((len(size), 2, 2))
    for i in range(2):
        for j in range(2):
            covariance[:, i, j] = np.bincount(moments, rest[:, i] * rest[:, j]) / (size - 1)
    clip_of = np.zeros(len(size), dtype=np.intp)
    clip_of[moments] = clips
    second_of = np.empty(len(size), dtype=columns[2].dtype)
    second_of[moments] = columns[2]

    per_clip = np.bincount(clip_of)
    clip_mean = np.stack([np.bincount(clip_of, mean[:, k]) for k in range(2)], axis=1) / per_clip[:, None]
    # After sorting by clip and second, the first and last row of each clip are its ends.
    order = np.lexsort((second_of, clip_of))
    last = np.cumsum(per_clip) - 1
    first = last - per_clip + 1
    ends = mean[order][last] - mean[order][first]

    per_trace = np.unique(np.stack([traces, clips]), axis=1)[1]
    workers = np.bincount(per_trace)
    spread = np.sqrt(covariance[:, [0, 1], [0, 1]])
    smallest = np.linalg.eigvalsh(covariance)[:, 0]
    grand = mean.mean(axis=0)
    above = clip_mean > 0
    shares = [float(np.mean((above[:, 0] == p) & (above[:, 1] == q))) for p in (True, False) for q in (True, False)]
    return LabelStatistics(
        clips=len(per_clip),
        traces=len(per_trace),
        traces_mean=float(workers.mean()),
        traces_sd=float(workers.std(ddof=1)) if len(workers) > 1 else 0.0,
        constant_traces=_constant(traces, emotion),
        worker_sd_arousal=float(spread[:, 0].mean()),
        worker_sd_valence=float(spread[:, 1].mean()),
        eigenvalue_min=float(smallest.min()),
        eigenvalue_median=float(np.median(smallest)),
        mean_arousal=float(grand[0]),
        mean_valence=float(grand[1]),
        sd_arousal=float(mean[:, 0].std()),
        sd_valence=float(mean[:, 1].std()),
        grand_mean_distance=float(np.linalg.norm(mean - grand, axis=1).mean()),
        grand_mean_kl=_mean_kl(mean, covariance, grand, covariance.mean(axis=0)),
        clip_mean_distance=float(np.linalg.norm(mean - clip_mean[clip_of], axis=1).mean()),
        movement=float(np.linalg.norm(ends, axis=1).mean()),
        quadrant_shares=(shares[0], shares[1], shares[2], shares[3]),
    )


def _key(first: NDArray[np.intp], second: NDArray) -> NDArray[np.intp]:
    """Number the distinct pairs of two columns from 0."""
    codes = np.unique(second, return_inverse=True)[1].ravel()
    return np.unique(first * (codes.max() + 1) + codes, return_inverse=True)[1].ravel()


def _constant(traces: NDArray[np.intp], emotion: NDArray[np.float64]) -> int:
    low = np.full((traces.max() + 1, 2), np.inf)
    high = -low
    np.minimum.at(low, traces, emotion)
    np.maximum.at(high, traces, emotion)
    return int(np.all(low == high, axis=1).sum())


def _mean_kl(
    mean: NDArray[np.float64],
    covariance: NDArray[np.float64],
    centre: NDArray[np.float64],
    shared: NDArray[np.float64],
) -> float:
    """Average KL(p || q) over seconds, where p is the workers' Gaussian and q is constant; inf if p is degenerate."""
    inverse = np.linalg.inv(shared)
    away = mean - centre
    with np.errstate(divide="ignore"):
        logs = np.log(np.linalg.det(shared)) - np.log(np.linalg.det(covariance))
    trace = np.einsum("ij,nji->n", inverse, covariance)
    distance = np.einsum("ni,ij,nj->n", away, inverse, away)
    return float(np.mean(0.5 * (logs + trace - 2.0 + distance)))
