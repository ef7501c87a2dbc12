"""Targets: the ratings of each second, or of each clip, as a Gaussian in the arousal-valence plane.

Arousal and valence are in [-0.5, 0.5]. The target at second ``t`` applies to the music in ``(t - 1, t]`` (Schmidt and
Kim 2013, section 6, equation 6; Speck et al., ISMIR 2011).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from ..errors import InputError

PARAMETERS = ("arousal", "valence", "arousal_var", "valence_var", "covariance")

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TargetConfig:
    """Settings of the targets.

    Attributes
    ----------
    ddof : int
        Delta degrees of freedom of the variances; 1 makes them unbiased.
    lag : float
        Delay of the ratings after the music in seconds; subtracted from their times.
    """

    ddof: int = 1
    lag: float = 0.0

    def __post_init__(self) -> None:
        if self.ddof not in (0, 1):
            raise ValueError(f"ddof={self.ddof}: expected 0 or 1")
        if not 0 <= self.lag < 60:
            raise ValueError(f"lag={self.lag}: expected at least 0 and less than 60 seconds")


def target_table(annotations: pl.DataFrame, config: TargetConfig) -> pl.DataFrame:
    """Compute mean, variances and covariance of the ratings of each second of each clip.

    Parameters
    ----------
    annotations : DataFrame
        ``clip_id, trace, time, arousal, valence``; ratings with a time in ``(t - 1, t]`` belong to second ``t``.
        Several ratings of one trace within a second are averaged first.
    config : TargetConfig
        Settings.

    Returns
    -------
    DataFrame
        ``clip_id, time, n, arousal, valence, arousal_var, valence_var, covariance``, in the order of the clips, sorted
        by time within each clip.

    Raises
    ------
    InputError
        If a second has too few ratings for a covariance.
    """
    second = (pl.col("time") - config.lag).round(9).ceil()
    ratings = (
        annotations.with_columns(time=second)
        .filter(pl.col("time") >= 1)
        .group_by("clip_id", "trace", "time", maintain_order=True)
        .agg(pl.col("arousal").mean(), pl.col("valence").mean())
    )
    groups = ratings.group_by("clip_id", "time", maintain_order=True).agg("arousal", "valence")
    order = {clip: place for place, clip in enumerate(ratings["clip_id"].unique(maintain_order=True))}
    rows: list[tuple[object, ...]] = []
    for clip, time, arousal, valence in groups.iter_rows():
        points = np.array([arousal, valence])
        count = points.shape[1]
        if count < 1 + config.ddof:
            raise InputError(
                f"clip {clip}, second {time:g}: has {count} rating; a covariance requires at least "
                f"{1 + config.ddof}. Add ratings, or remove this one."
            )
        mean = points.mean(axis=1)
        spread = points - mean[:, None]
        products = spread @ spread.T / (count - config.ddof)
        rows.append((clip, time, count, *mean, products[0, 0], products[1, 1], products[0, 1]))
    schema = {"clip_id": pl.String, "time": pl.Float64, "n": pl.Int32} | dict.fromkeys(PARAMETERS, pl.Float64)
    table = pl.DataFrame(rows, schema=schema, orient="row")
    return table.sort(pl.col("clip_id").replace_strict(order, return_dtype=pl.Int64), "time")


def static(rows: pl.DataFrame, clips: pl.DataFrame) -> bool:
    """Return whether ratings or targets are of whole clips: all of each clip are at the end of the clip.

    Parameters
    ----------
    rows : DataFrame
        ``clip_id, time`` of ratings or targets.
    clips : DataFrame
        ``clip_id, duration``.
    """
    ends = rows.join(clips.select("clip_id", "duration"), on="clip_id")
    return bool(((ends["time"] - ends["duration"]).abs() < 1e-6).all())


def clip_targets(annotations: pl.DataFrame, clips: pl.DataFrame, ddof: int) -> pl.DataFrame:
    """Compute one target per clip, at its end: mean and covariance over annotators of their mean rating of the clip.

    Parameters
    ----------
    annotations : DataFrame
        ``clip_id, trace, time, arousal, valence``.
    clips : DataFrame
        ``clip_id, duration``.
    ddof : int
        Delta degrees of freedom of the variances.

    Returns
    -------
    DataFrame
        As from :func:`target_table`.
    """
    together = target_table(annotations.with_columns(time=pl.lit(1.0)), TargetConfig(ddof=ddof))
    ends = clips.select("clip_id", time="duration")
    return together.drop("time").join(ends, on="clip_id", maintain_order="left").select(together.columns)


def targets_at(times: FloatArray, seconds: FloatArray, values: FloatArray) -> FloatArray:
    """Interpolate per-second means linearly at other times, such as beats.

    Parameters
    ----------
    times : ndarray, shape (n,)
        Times in seconds.
    seconds : ndarray, shape (m,)
        Times of the targets in seconds, increasing.
    values : ndarray, shape (m, d)
        Targets.

    Returns
    -------
    ndarray of float64, shape (n, d)
        Interpolated targets; constant before the first and after the last one.
    """
    return np.column_stack([np.interp(times, seconds, column) for column in values.T])


def beat_table(targets: pl.DataFrame, beats: Mapping[str, FloatArray]) -> pl.DataFrame:
    """Interpolate the means of the targets at the beats of each clip.

    Parameters
    ----------
    targets : DataFrame
        ``clip_id, time, arousal, valence``.
    beats : mapping of str to ndarray
        Times of the beats of each clip in seconds.

    Returns
    -------
    DataFrame
        ``clip_id, beat, time, arousal, valence``.
    """
    kinds = {"clip_id": pl.String, "beat": pl.Int32} | dict.fromkeys(("time", "arousal", "valence"), pl.Float64)
    tables = [pl.DataFrame(schema=kinds)]
    for clip, times in beats.items():
        own = targets.filter(pl.col("clip_id") == clip)
        means = targets_at(times, own["time"].to_numpy(), own.select("arousal", "valence").to_numpy())
        columns = ([clip] * len(times), range(len(times)), times, means[:, 0], means[:, 1])
        tables.append(pl.DataFrame(dict(zip(kinds, columns, strict=True)), schema=kinds))
    return pl.concat(tables)
