"""Test seconds of rows as the leaderboard's page embeds them: whole numbers in base64, targets once for all rows.

Every clip stands for the first repeat in which it is tested; errors by second and by quadrant are those of all
repeats. What would make the page heavy is thinned out, and how much is counted in.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ..results.predictions import TestPredictions
from ..scoring.metrics.mean_distance import mean_distances

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

# Units of the whole numbers: means and distances, standard deviations and correlations.
MEAN, SPREAD = 1e-3, 1e-4

# Clips whose seconds a row shows: the best, the worst, and those between.
CLIPS, ENDS = 12, 5

# Seconds of a clip, and points of a row's error by second.
LONGEST = 120

# Of a whole page: seconds of trajectories, and clips in the planes of its rows.
SECONDS, POINTS = 150_000, 200_000


def packed(values: npt.ArrayLike, unit: float) -> str:
    """Numbers as little-endian 16-bit multiples of a unit, in base64; what is beyond these is cut off there."""
    whole = np.clip(np.rint(np.asarray(values, np.float64) / unit), -32767, 32767)
    return base64.b64encode(whole.astype("<i2").tobytes()).decode()


def unpacked(text: str, unit: float) -> FloatArray:
    """The numbers that :func:`packed` packed."""
    return np.frombuffer(base64.b64decode(text), "<i2") * unit


def ellipses(rows: FloatArray) -> FloatArray:
    """Standard deviations and correlation, shape (n, 3), of rows ``[mu_a, mu_v, var_a, var_v, cov_av]``.

    All three are 0, an ellipse without extent, where any of them is unknown.
    """
    spread = np.sqrt(rows[:, 2:4])
    found = np.column_stack([spread, rows[:, 4] / spread.prod(axis=1)])
    return np.where(np.isfinite(found).all(axis=1, keepdims=True), found, 0.0)


def _path(rows: FloatArray) -> dict[str, str]:
    """A trajectory: means, and their ellipses, second by second."""
    return {"means": packed(rows[:, :2], MEAN), "spreads": packed(ellipses(rows), SPREAD)}


@dataclass(frozen=True)
class Limits:
    """How much of a row is drawn: clips with all their seconds, and clips in the plane."""

    clips: int
    points: int

    @classmethod
    def of(cls, rows: int, seconds: int) -> Limits:
        """Limits on a page of so many rows, whose longest clip has so many seconds."""
        clips = SECONDS // max(1, rows * min(seconds, LONGEST))
        return cls(clips=max(2, min(CLIPS, clips)), points=max(2 * CLIPS, POINTS // max(1, rows)))


@dataclass
class Pool:
    """What the rows of a dataset share: clips with their targets, and sets of them.

    Parameters
    ----------
    names : mapping of str to (str, str)
        Artist and title by clip.
    """

    names: Mapping[str, tuple[str, str]]
    clips: list[dict[str, Any]] = field(default_factory=list)
    sets: list[list[int]] = field(default_factory=list)
    times: list[list[float]] = field(default_factory=list)
    _known: dict[tuple[str, bytes], int] = field(default_factory=dict)

    def clip(self, name: str, times: FloatArray, true: FloatArray) -> int:
        """Number of a clip with these targets."""
        key = (name, times.tobytes() + true.tobytes())
        if key not in self._known:
            artist, title = self.names.get(name, ("", ""))
            mean = [round(float(value), 3) for value in true[:, :2].mean(axis=0)]
            self._known[key] = len(self.clips)
            self.clips.append({"id": name, "artist": artist, "title": title, "mean": mean})
        return self._known[key]

    def draw(self, number: int, times: FloatArray, true: FloatArray) -> None:
        """Keep the trajectory of a clip's targets."""
        clip = self.clips[number]
        if "times" not in clip:
            clip |= {"times": self.shared(self.times, _numbers(times)), **_path(true)}

    @staticmethod
    def shared(known: list[list[Any]], values: list[Any]) -> int:
        """Place of a list among those that are known; added where it is new."""
        # Rows of a dataset are alike: nearly all find theirs first.
        if values not in known:
            known.append(values)
        return known.index(values)

    def data(self) -> dict[str, Any]:
        """All of it as plain data."""
        return {"clips": self.clips, "sets": self.sets, "times": self.times}


def _numbers(values: FloatArray) -> list[float]:
    return [round(float(value), 3) for value in values]


def row_data(stored: TestPredictions, ids: list[str], pool: Pool, limits: Limits) -> dict[str, Any]:
    """What the panel of a row shows of its predictions.

    Parameters
    ----------
    stored : TestPredictions
        Of the row.
    ids : list of str
        Clips by the numbers in ``stored``.
    pool : Pool
        Of the dataset; gets what is new.
    limits : Limits
        Of the page.

    Returns
    -------
    dict
        ``tested``: number of clips; ``set``: those in the plane; ``points``: mean prediction and mean distance of each;
        ``shown``: places, in the set, of the clips whose seconds are there, the best first, ``best`` and ``worst`` how
        many of them are which; ``paths``: their predictions; ``second`` and ``quadrant``: errors.
    """
    first = np.full(len(ids), np.iinfo(np.intp).max)
    np.minimum.at(first, stored.clips, stored.repeats)
    own = np.flatnonzero(stored.repeats == first[stored.clips])
    own = own[np.lexsort((stored.times[own], stored.clips[own]))]
    clips, times = stored.clips[own], stored.times[own]
    true, predicted = stored.true[own], stored.predicted[own]
    starts = np.flatnonzero(np.concatenate([[True], clips[1:] != clips[:-1]]))
    bounds = [slice(low, high) for low, high in zip(starts, [*starts[1:], len(clips)], strict=True)]
    distances = _means(mean_distances(true, predicted), starts, len(clips))
    order = np.argsort(distances, kind="stable")
    best, between, worst = chosen(len(order), limits.clips)
    shown = order[[*best, *between, *worst]]
    plane = np.unique(np.concatenate([order[_spread(0, len(order), limits.points)], shown]))
    numbers = [pool.clip(ids[clips[low.start]], times[low], true[low]) for low in (bounds[place] for place in plane)]
    paths = []
    for place in shown:
        part = bounds[place]
        thin = slice(part.start, part.stop, -(-(part.stop - part.start) // LONGEST))
        number = numbers[int(np.searchsorted(plane, place))]
        pool.draw(number, times[thin], true[thin])
        paths.append(_path(predicted[thin]))
    means = np.column_stack([_means(predicted[:, axis], starts, len(clips)) for axis in (0, 1)])
    return {
        "tested": len(order),
        "set": pool.shared(pool.sets, numbers),
        "points": packed(np.column_stack([means, distances])[plane], MEAN),
        "shown": np.searchsorted(plane, shown).tolist(),
        "best": len(best),
        "worst": len(worst),
        "paths": paths,
        "second": _by_second(stored, pool),
        "quadrant": _by_quadrant(stored),
    }


def _means(values: FloatArray, starts: IntArray, length: int) -> FloatArray:
    return np.add.reduceat(values, starts) / np.diff([*starts, length])


def _spread(low: int, high: int, most: int) -> IntArray:
    """At most so many of the numbers from ``low`` up to, and without, ``high``, evenly apart."""
    count = min(high - low, most)
    return low + np.floor((np.arange(count) + 0.5) * (high - low) / max(1, count)).astype(np.intp)


def chosen(clips: int, most: int) -> tuple[list[int], list[int], list[int]]:
    """Places of the best clips, of some between and of the worst, among so many in the order of their distances."""
    ends = min(ENDS, most // 2, clips // 2)
    between = _spread(ends, clips - ends, most - 2 * ends)
    return list(range(ends)), between.tolist(), list(range(clips - ends, clips))


def _by_second(stored: TestPredictions, pool: Pool) -> dict[str, Any]:
    """Mean distance of each second over clips and repeats; where these are too many, of several together."""
    width = np.ceil(np.ptp(stored.times) / LONGEST)
    alike = len(np.unique(stored.times)) <= LONGEST
    times = stored.times if alike else np.ceil(stored.times / width) * width
    seconds, place = np.unique(times, return_inverse=True)
    sums = np.bincount(place, mean_distances(stored.true, stored.predicted))
    return {
        "times": pool.shared(pool.times, _numbers(seconds)),
        "distance": packed(sums / np.bincount(place), MEAN),
        "width": None if alike else float(width),
    }


def _by_quadrant(stored: TestPredictions) -> list[dict[str, Any]]:
    """Test seconds and mean distance by the quadrant of the true mean, anticlockwise from both high."""
    distances = mean_distances(stored.true, stored.predicted)
    high, positive = stored.true[:, 0] >= 0, stored.true[:, 1] >= 0
    found = []
    for own in (high & positive, high & ~positive, ~high & ~positive, ~high & positive):
        mean = round(float(distances[own].mean()), 3) if own.any() else None
        found.append({"seconds": int(own.sum()), "distance": mean})
    return found
