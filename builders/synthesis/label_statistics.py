"""Statistics of annotations, and their values for the published MoodSwings Turk file."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import polars as pl
from numpy.typing import NDArray


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


def label_statistics(annotations: pl.DataFrame) -> LabelStatistics:
    """Compute the statistics of annotations.

    Parameters
    ----------
    annotations : DataFrame
        ``clip_id, trace, time, arousal, valence``, in any order. All traces of a clip have the same times.

    Raises
    ------
    ValueError
        If there are no annotations, or a second of a clip has fewer than two ratings.
    """
    axes = ("arousal", "valence")
    if annotations.is_empty():
        raise ValueError("annotations must not be empty")
    seconds = annotations.group_by("clip_id", "time").agg(
        pl.col(axes).mean(), pl.col(axes).var().name.suffix("_var"), covariance=pl.cov(*axes), n=pl.len()
    )
    if seconds.filter(pl.col("n") < 2).height:
        raise ValueError("annotations must contain at least two traces for every clip and second")
    of_clip = pl.col(axes).mean().over("clip_id").name.suffix("_of_clip")
    seconds = seconds.sort("clip_id", "time").with_columns(of_clip)
    changes = [(pl.col(axis).last() - pl.col(axis).first()).alias(f"{axis}_change") for axis in axes]
    clips = seconds.group_by("clip_id").agg(pl.col(axes).mean(), *changes)
    still = pl.all_horizontal(pl.col(axis).n_unique() == 1 for axis in axes)
    traces = annotations.group_by("clip_id", "trace").agg(constant=still)
    per_clip = traces.group_by("clip_id").len()["len"].to_numpy()

    mean, clip_mean = (seconds.select(f"{axis}{end}" for axis in axes).to_numpy() for end in ("", "_of_clip"))
    arousal_var, valence_var, shared = seconds.select("arousal_var", "valence_var", "covariance").to_numpy().T
    covariance = np.array([[arousal_var, shared], [shared, valence_var]]).transpose(2, 0, 1)
    smallest = np.linalg.eigvalsh(covariance)[:, 0]
    grand = mean.mean(axis=0)
    above = clips.select(axes).to_numpy() > 0
    shares = [float(np.mean((above == quadrant).all(axis=1))) for quadrant in product((True, False), repeat=2)]
    return LabelStatistics(
        clips=len(clips),
        traces=len(traces),
        traces_mean=float(per_clip.mean()),
        traces_sd=float(per_clip.std(ddof=1)) if len(per_clip) > 1 else 0.0,
        constant_traces=int(traces["constant"].sum()),
        worker_sd_arousal=float(np.sqrt(arousal_var).mean()),
        worker_sd_valence=float(np.sqrt(valence_var).mean()),
        eigenvalue_min=float(smallest.min()),
        eigenvalue_median=float(np.median(smallest)),
        mean_arousal=float(grand[0]),
        mean_valence=float(grand[1]),
        sd_arousal=float(mean[:, 0].std()),
        sd_valence=float(mean[:, 1].std()),
        grand_mean_distance=float(np.linalg.norm(mean - grand, axis=1).mean()),
        grand_mean_kl=_mean_kl(mean, covariance, grand, covariance.mean(axis=0)),
        clip_mean_distance=float(np.linalg.norm(mean - clip_mean, axis=1).mean()),
        movement=float(np.linalg.norm(clips.select("arousal_change", "valence_change").to_numpy(), axis=1).mean()),
        quadrant_shares=(shares[0], shares[1], shares[2], shares[3]),
    )


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
