"""Pack predictions for the leaderboard page: integers in base64, with the targets shared by all entries.

Each clip is shown as predicted in the first repeat that tests it; errors by second and by quadrant cover all repeats.
Clips and seconds are thinned out so that the page keeps to a fixed size, however many entries it has.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from ...cards.page_panels import Clip, Panel, Panels, QuadrantError, SecondErrors, Trajectory
from ..results.predictions import TestPredictions
from ..scoring.metrics.calibration import reliability
from ..scoring.metrics.mean_distance import mean_distances

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]
T = TypeVar("T")

# Units of the packed integers: of means and distances, and of standard deviations and correlations.
MEAN, SPREAD = 1e-3, 1e-4

# Clips of an entry that are shown second by second, and how many of them are the best and the worst.
CLIPS, ENDS = 12, 5

# Largest number of seconds per clip, and of points in an entry's error by second.
LONGEST = 120

# Limits of a whole page: seconds of all trajectories, and clips in the plots of all entries.
SECONDS, POINTS = 150_000, 200_000


def packed(values: npt.ArrayLike, unit: float) -> str:
    """Pack numbers as little-endian 16-bit multiples of a unit in base64, clipped to that range."""
    whole = np.clip(np.rint(np.asarray(values, np.float64) / unit), -32767, 32767)
    return base64.b64encode(whole.astype("<i2").tobytes()).decode()


def unpacked(text: str, unit: float) -> FloatArray:
    """Unpack the numbers of :func:`packed`."""
    return np.frombuffer(base64.b64decode(text), "<i2") * unit


def ellipses(parameters: FloatArray) -> FloatArray:
    """Return standard deviations and correlation, shape (n, 3), of ``[mu_a, mu_v, var_a, var_v, cov_av]``.

    All three are 0 if any of them is undefined.
    """
    spread = np.sqrt(parameters[:, 2:4])
    found = np.column_stack([spread, parameters[:, 4] / spread.prod(axis=1)])
    return np.where(np.isfinite(found).all(axis=1, keepdims=True), found, 0.0)


def _trajectory(parameters: FloatArray) -> Trajectory:
    """Pack a trajectory: means and ellipses, one per second."""
    return Trajectory(packed(parameters[:, :2], MEAN), packed(ellipses(parameters), SPREAD))


@dataclass(frozen=True)
class Limits:
    """Limits per entry: clips shown second by second, and clips in the plot of all clips."""

    clips: int
    points: int

    @classmethod
    def of(cls, entries: int, seconds: int) -> Limits:
        """Return the limits for a number of entries and the number of seconds of the longest clip."""
        clips = SECONDS // max(1, entries * min(seconds, LONGEST))
        return cls(clips=max(2, min(CLIPS, clips)), points=max(2 * CLIPS, POINTS // max(1, entries)))


@dataclass
class Pool:
    """Panels of a dataset, and the clips, sets of clips and times that they share.

    Parameters
    ----------
    names : mapping of str to (str, str)
        Artist and title by clip.
    panels : Panels
        Data so far.
    """

    names: Mapping[str, tuple[str, str]]
    panels: Panels = field(default_factory=Panels)
    _known: dict[tuple[str, bytes], int] = field(default_factory=dict)

    def clip(self, name: str, times: FloatArray, true: FloatArray) -> int:
        """Return the number of the clip with these targets, adding it if it is new."""
        key = (name, times.tobytes() + true.tobytes())
        if key not in self._known:
            artist, title = self.names.get(name, ("", ""))
            arousal, valence = _numbers(true[:, :2].mean(axis=0))
            self._known[key] = len(self.panels.clips)
            self.panels.clips.append(Clip(name, artist, title, (arousal, valence)))
        return self._known[key]

    def draw(self, number: int, times: FloatArray, true: FloatArray) -> None:
        """Add the trajectory of a clip's targets."""
        clip = self.panels.clips[number]
        if clip.target is None:
            clip.times, clip.target = _shared(self.panels.times, _numbers(times)), _trajectory(true)


def _shared(known: list[list[T]], values: list[T]) -> int:
    """Return the index of a list among the known ones, adding it if it is new."""
    # Entries of a dataset are alike: most find theirs first.
    if values not in known:
        known.append(values)
    return known.index(values)


def _numbers(values: FloatArray) -> list[float]:
    return [round(float(value), 3) for value in values]


def panel_of(stored: TestPredictions, ids: list[str], pool: Pool, limits: Limits) -> Panel:
    """Return the predictions of an entry as its panel shows them.

    Parameters
    ----------
    stored : TestPredictions
        Predictions of the entry.
    ids : list of str
        Clip ids by the numbers in ``stored``.
    pool : Pool
        Shared data of the dataset, to which new clips are added.
    limits : Limits
        Limits per entry.

    Returns
    -------
    Panel
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
        paths.append(_trajectory(predicted[thin]))
    means = np.column_stack([_means(predicted[:, axis], starts, len(clips)) for axis in (0, 1)])
    return Panel(
        tested=len(order),
        set=_shared(pool.panels.sets, numbers),
        points=packed(np.column_stack([means, distances])[plane], MEAN),
        shown=np.searchsorted(plane, shown).tolist(),
        best=len(best),
        worst=len(worst),
        paths=paths,
        second=_by_second(stored, pool),
        quadrant=_by_quadrant(stored),
        coverage=reliability(stored.true, stored.predicted),
    )


def _means(values: FloatArray, starts: IntArray, length: int) -> FloatArray:
    return np.add.reduceat(values, starts) / np.diff([*starts, length])


def _spread(low: int, high: int, most: int) -> IntArray:
    """Return at most ``most`` evenly spaced integers of ``range(low, high)``."""
    count = min(high - low, most)
    return low + np.floor((np.arange(count) + 0.5) * (high - low) / max(1, count)).astype(np.intp)


def chosen(clips: int, most: int) -> tuple[list[int], list[int], list[int]]:
    """Choose at most ``most`` of ``clips`` sorted clips: the best, evenly spaced ones in between, and the worst."""
    ends = min(ENDS, most // 2, clips // 2)
    between = _spread(ends, clips - ends, most - 2 * ends)
    return list(range(ends)), between.tolist(), list(range(clips - ends, clips))


def _by_second(stored: TestPredictions, pool: Pool) -> SecondErrors:
    """Return the mean distance of each second over clips and repeats, in bins of several seconds for long clips."""
    width = np.ceil(np.ptp(stored.times) / LONGEST)
    alike = len(np.unique(stored.times)) <= LONGEST
    times = stored.times if alike else np.ceil(stored.times / width) * width
    seconds, place = np.unique(times, return_inverse=True)
    sums = np.bincount(place, mean_distances(stored.true, stored.predicted))
    return SecondErrors(
        times=_shared(pool.panels.times, _numbers(seconds)),
        distance=packed(sums / np.bincount(place), MEAN),
        width=None if alike else float(width),
    )


def _by_quadrant(stored: TestPredictions) -> list[QuadrantError]:
    """Return test seconds and mean distance by quadrant of the target mean, anticlockwise from both positive."""
    distances = mean_distances(stored.true, stored.predicted)
    high, positive = stored.true[:, 0] >= 0, stored.true[:, 1] >= 0
    found = []
    for own in (high & positive, high & ~positive, ~high & ~positive, ~high & positive):
        mean = round(float(distances[own].mean()), 3) if own.any() else None
        found.append(QuadrantError(int(own.sum()), mean))
    return found
