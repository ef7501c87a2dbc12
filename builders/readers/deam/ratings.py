"""The ratings of a song of DEAM: of the workers who rated arousal and valence, or their means and variances.

Where workers have names, those who rated both are told by them; rows without names belong together by
their order. The covariance of means is not known, and a variance may be unknown too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from .files import AXES, Grid
from .metadata import Song

FloatArray = npt.NDArray[np.float64]

STEP = 500  # milliseconds of a label

# Milliseconds by which labels may outlast the audio; more is audio that is not the song's.
_ALLOWED, _CUT = 100, 1000


@dataclass(frozen=True)
class Tables:
    """What the files say, on DEAM's scales."""

    means: Mapping[str, Grid]
    deviations: Mapping[str, Grid]
    workers: Mapping[str, Mapping[str, Grid]]
    metadata: Mapping[str, Song]


@dataclass(frozen=True)
class Ratings:
    """Labels of a song in [-0.5, 0.5]: of its workers, or their means with variances.

    ``values`` has the shape (2, workers or 1, stamps), arousal before valence; ``start`` and ``stamps`` are in
    milliseconds of the audio file; ``counts`` (of ratings; 0 is unknown) and ``variances`` (NaN is unknown), of shape
    (2, stamps), come with means.
    """

    start: int
    stamps: npt.NDArray[np.int64]
    names: list[str]
    values: FloatArray
    counts: npt.NDArray[np.int64] | None = None
    variances: FloatArray | None = None


def song_ratings(song: str, tables: Tables, limit: float | None) -> Ratings | None:
    """Ratings of a song.

    Parameters
    ----------
    song : str
        Its id.
    tables : Tables
        What the files say.
    limit : float, optional
        Length of its audio in milliseconds; labels that outlast it by less than a second are left out.

    Returns
    -------
    Ratings or None
        None where the files do not say enough.
    """
    grids = [tables.workers[axis].get(song) for axis in AXES]
    paired = None if grids[0] is None or grids[1] is None else _paired(song, grids[0], grids[1], limit)
    return paired or _from_means(song, tables, limit)


def lacks_spread(ratings: Ratings) -> bool:
    """Whether a variance is unknown."""
    return ratings.variances is not None and not np.isfinite(ratings.variances).all()


def with_static(ratings: Ratings, static: Mapping[str, float]) -> Ratings:
    """Take unknown variances from the ratings of the whole song, 1 to 9: eight of its units are the width of 1."""
    if ratings.variances is None:
        return ratings
    spread = np.array([[(static[f"{axis}_std"] / 8) ** 2] for axis in AXES])
    return replace(ratings, variances=np.where(np.isfinite(ratings.variances), ratings.variances, spread))


def _kept(stamps: npt.NDArray[np.int64], limit: float | None) -> npt.NDArray[np.bool_]:
    """Labels within the audio, where it ends a little early; all where it is much too short, and will be excluded."""
    over = -1.0 if limit is None or len(stamps) == 0 else float(stamps[-1]) + STEP - limit
    return stamps + STEP <= (limit or 0.0) + _ALLOWED if _ALLOWED < over <= _CUT else np.ones(len(stamps), bool)


def _end(start: int, stamps: npt.NDArray[np.int64]) -> int:
    """Where the last whole second of labels ends: of the first half of a second alone there is no target."""
    return start + (int(stamps[-1]) + STEP - start) // (2 * STEP) * 2 * STEP


def _paired(song: str, arousal: Grid, valence: Grid, limit: float | None) -> Ratings | None:
    """Ratings of the workers who rated both, in seconds with two of them or more; None where there are none."""
    keys = [_keys(grid) for grid in (arousal, valence)]
    nameless = [not grid.names for grid in (arousal, valence)]
    # Rows without names belong together by their order; that needs as many of them.
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
    """Name of each row's worker, and how often it stood before; the row's number where there are no names."""
    if not grid.names:
        return [(str(row + 1), 0) for row in range(len(grid.values))]
    seen: Counter[str] = Counter()
    keys = []
    for name in grid.names:
        keys.append((name, seen[name]))
        seen[name] += 1
    return keys


def _from_means(song: str, tables: Tables, limit: float | None) -> Ratings | None:
    """Means and variances of both axes, each from its workers or from the tables of all songs; unknown ones are NaN."""
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
    """Stamps, and rows of means, variances and counts (0 where unknown) at them."""
    grid = tables.workers[axis].get(song)
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
