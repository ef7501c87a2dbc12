"""Ratings of a song every half second: those of the workers who rated both arousal and valence, or means and variances.

Workers who rated both axes are matched by name, or by the order of the rows if they are anonymous. The covariance of
means is unknown, and a variance may be unknown too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from .tables import AXES, STEP, Grid

FloatArray = npt.NDArray[np.float64]

# Milliseconds by which labels may outlast the audio, and up to which surplus labels are dropped; with a larger
# difference, the audio is not that of the song.
_ALLOWED, _CUT = 100, 1000


@dataclass(frozen=True)
class Tables:
    """Content of the files, on -1 to 1."""

    means: Mapping[str, Grid]
    deviations: Mapping[str, Grid]
    workers: Mapping[str, Mapping[str, Grid]]


@dataclass(frozen=True)
class Ratings:
    """Labels of a song in [-0.5, 0.5]: those of its workers, or means with variances.

    Attributes
    ----------
    start : int
        Time of the first label in the audio file in milliseconds.
    stamps : ndarray of int, shape (s,)
        Times of the labels in the audio file in milliseconds.
    names : list of str
        Names of the workers, or ``mean``.
    values : ndarray, shape (2, workers or 1, s)
        Arousal and valence.
    counts : ndarray of int, shape (s,), optional
        Numbers of ratings of means; 0 if unknown.
    variances : ndarray, shape (2, s), optional
        Variances of means; NaN if unknown.
    """

    start: int
    stamps: npt.NDArray[np.int64]
    names: list[str]
    values: FloatArray
    counts: npt.NDArray[np.int64] | None = None
    variances: FloatArray | None = None


def song_ratings(song: str, tables: Tables, limit: float | None) -> Ratings | None:
    """Collect the ratings of a song.

    Parameters
    ----------
    song : str
        Id of the song.
    tables : Tables
        Content of the files.
    limit : float, optional
        Duration of the audio in milliseconds; labels that outlast it by less than a second are dropped.

    Returns
    -------
    Ratings or None
        None if the files contain neither enough ratings nor means.
    """
    grids = [tables.workers.get(axis, {}).get(song) for axis in AXES]
    paired = None if grids[0] is None or grids[1] is None else _paired(song, grids[0], grids[1], limit)
    return paired or _from_means(song, tables, limit)


def lacks_spread(ratings: Ratings) -> bool:
    """Whether a variance is unknown."""
    return ratings.variances is not None and not np.isfinite(ratings.variances).all()


def with_static(ratings: Ratings, static: Mapping[str, float]) -> Ratings:
    """Fill in unknown variances from whole-song ratings on 1 to 9, whose range of 8 becomes a range of 1."""
    if ratings.variances is None:
        return ratings
    spread = np.array([[(static[f"{axis}_std"] / 8) ** 2] for axis in AXES])
    return replace(ratings, variances=np.where(np.isfinite(ratings.variances), ratings.variances, spread))


def _kept(stamps: npt.NDArray[np.int64], limit: float | None) -> npt.NDArray[np.bool_]:
    """Select the labels within the audio if it ends a little early; a clip that is much too short is excluded later."""
    over = -1.0 if limit is None or len(stamps) == 0 else float(stamps[-1]) + STEP - limit
    return stamps + STEP <= (limit or 0.0) + _ALLOWED if _ALLOWED < over <= _CUT else np.ones(len(stamps), bool)


def _end(start: int, stamps: npt.NDArray[np.int64]) -> int:
    """Return the end of the last whole second of labels; half a second has no target."""
    return start + (int(stamps[-1]) + STEP - start) // (2 * STEP) * 2 * STEP


def _paired(song: str, arousal: Grid, valence: Grid, limit: float | None) -> Ratings | None:
    """Collect the ratings of workers who rated both axes, in seconds with at least two of them; None without any."""
    keys = [_keys(grid) for grid in (arousal, valence)]
    nameless = [not grid.names for grid in (arousal, valence)]
    # Anonymous workers are matched by row, so both tables need the same number of rows.
    if nameless[0] != nameless[1] or (nameless[0] and len(keys[0]) != len(keys[1])):
        return None
    both = [key for key in keys[0] if key in set(keys[1])]
    stamps, ours, theirs = np.intersect1d(arousal.stamps, valence.stamps, return_indices=True)
    rows = [[own.index(key) for key in both] for own in keys]
    values = np.array([arousal.values[rows[0]][:, ours], valence.values[rows[1]][:, theirs]])
    rated = np.isfinite(values[0]) & np.isfinite(values[1])
    if not rated.any():
        return None
    start = int(stamps[rated.any(axis=0)][0])
    last = stamps[: np.flatnonzero(rated.any(axis=0))[-1] + 1]
    rated[:, : len(last)] &= _kept(last, limit)
    seconds = (stamps - start) // (2 * STEP)
    for second in np.unique(seconds):
        if rated[:, seconds == second].any(axis=1).sum() < 2:
            rated[:, seconds == second] = False
    if rated.any():
        rated[:, stamps >= _end(start, stamps[rated.any(axis=0)])] = False
    whole, used = rated.any(axis=1), rated.any(axis=0)
    if not used.any():
        return None
    names = [f"{song}:{name}" if nameless[0] else name for name, _ in both]
    return Ratings(
        start=start,
        stamps=stamps[used],
        names=[name for name, keep in zip(names, whole, strict=True) if keep],
        values=np.where(rated, values, np.nan)[:, whole][:, :, used] / 2,
    )


def _keys(grid: Grid) -> list[tuple[str, int]]:
    """List each row's worker and the number of earlier rows of that worker; anonymous rows are numbered."""
    if not grid.names:
        return [(str(row + 1), 0) for row in range(len(grid.values))]
    seen: Counter[str] = Counter()
    keys = []
    for name in grid.names:
        keys.append((name, seen[name]))
        seen[name] += 1
    return keys


def _from_means(song: str, tables: Tables, limit: float | None) -> Ratings | None:
    """Collect means and variances of both axes, from the workers of each or from the tables of all songs."""
    found = [_statistics(song, axis, tables) for axis in AXES]
    if found[0] is None or found[1] is None:
        return None
    known = [statistics for statistics in found if statistics is not None]
    stamps = np.intersect1d(known[0][0], known[1][0])
    stamps = stamps[_kept(stamps, limit)]
    if len(stamps):
        stamps = stamps[stamps < _end(int(stamps[0]), stamps)]
    if not len(stamps):
        return None
    table = np.array([each[1][:, np.isin(each[0], stamps)] for each in known])
    return Ratings(
        start=int(stamps[0]),
        stamps=stamps,
        names=["mean"],
        values=table[:, :1] / 2,
        counts=table[:, 2].min(axis=0).astype(np.int64),
        variances=table[:, 1] / 4,
    )


def _statistics(song: str, axis: str, tables: Tables) -> tuple[npt.NDArray[np.int64], FloatArray] | None:
    """Return stamps, and rows of means, variances (NaN if unknown) and counts (0 if unknown) at these."""
    grid = tables.workers.get(axis, {}).get(song)
    if grid is not None:
        counts = np.isfinite(grid.values).sum(axis=0)
        enough = counts >= 2
        if enough.any():
            values = grid.values[:, enough]
            rows = np.array([np.nanmean(values, axis=0), np.nanvar(values, axis=0, ddof=1), counts[enough]])
            return grid.stamps[enough], rows
    means = tables.means.get(axis)
    if means is None or song not in means.names:
        return None
    row = means.values[means.names.index(song)]
    spread = np.full(len(row), np.nan)
    deviations = tables.deviations.get(axis)
    if deviations is not None and song in deviations.names:
        own = deviations.values[deviations.names.index(song)]
        _, ours, theirs = np.intersect1d(means.stamps, deviations.stamps, return_indices=True)
        spread[ours] = own[theirs]
    known = np.isfinite(row)
    return means.stamps[known], np.array([row[known], spread[known] ** 2, np.zeros(known.sum())])
