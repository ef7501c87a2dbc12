"""Detection of exchanged axes in the files of DEAM, by comparing them with each other year by year.

DEAM's file of whole-song ratings, ``static_annotations_averaged_songs_1_2000.csv``, has arousal and valence exchanged
for the 744 songs of 2013. The dynamic labels show it: the average of a song's half seconds is close to its whole-song
rating on the same axis.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..songs.tables import AXES, Grid

# Song ids of each year of the task, whose ratings were collected and published separately.
YEARS = {2013: (1, 1000), 2014: (1001, 2000), 2015: (2001, 2058)}

# A year's axes count as exchanged if its songs are, on average, closer to the other axis by this factor, and as
# correct if the songs are closer to their own axis by it. On the 744 songs of 2013, the mean distances are 0.229 to the
# axis named and 0.103 to the other, a ratio of 0.45 (0.407 and 0.117 on the 38 songs of an excerpt; 0.074 and 0.377,
# correctly named, on seven songs of 2015). Of 10,000 random draws of ten of the 744 songs, 0.6 % were between the two
# bounds and none beyond the wrong one; in draws of 58 songs, as many as 2015 has, no ratio was above 0.65. With fewer
# than ten songs, the ratio can favour the wrong axis.
_FEWEST, _MARGIN = 10, 0.8

Levels = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Agreement:
    """Agreement of the whole-song ratings of one year with the dynamic labels.

    Attributes
    ----------
    year : int
        The year.
    songs : tuple of str
        Songs that have both.
    named, other : float
        Mean absolute difference from the dynamic labels of the same axis and of the other axis, on -1 to 1.
    """

    year: int
    songs: tuple[str, ...]
    named: float
    other: float

    @property
    def few(self) -> bool:
        """Whether there are too few songs to compare."""
        return len(self.songs) < _FEWEST

    @property
    def exchanged(self) -> bool:
        """Whether the axes are exchanged."""
        return not self.few and self.other < _MARGIN * self.named

    @property
    def unclear(self) -> bool:
        """Whether the ratings agree with neither axis clearly better than with the other."""
        return not (self.few or self.exchanged or self.named < _MARGIN * self.other)

    def __str__(self) -> str:
        return (
            f"{self.year} ({len(self.songs)} songs; mean difference from the dynamic labels {self.named:.2f} on the "
            f"axis named, {self.other:.2f} on the other)"
        )


def averages(means: Mapping[str, Grid]) -> dict[str, dict[str, float]]:
    """Average the labels of each song on each axis, on -1 to 1."""
    return {
        axis: {
            song: float(np.nanmean(row))
            for song, row in zip(grid.names, grid.values, strict=True)
            if np.isfinite(row).any()
        }
        for axis, grid in means.items()
    }


def worker_averages(workers: Mapping[str, Mapping[str, Grid]]) -> dict[str, dict[str, float]]:
    """Average the workers' ratings of each song on each axis, on -1 to 1."""
    return {
        axis: {song: float(np.nanmean(grid.values)) for song, grid in songs.items() if np.isfinite(grid.values).any()}
        for axis, songs in workers.items()
    }


def swapped(means: Levels, workers: Levels) -> bool:
    """Whether the means of at least three songs are much closer to the workers' ratings of the other axis."""
    songs = _common(means, workers)
    if len(songs) < 3:
        return False
    named, other = _distances(songs, means, workers)
    return other < named / 2


def compare_years(dynamic: Levels, static: Mapping[str, Mapping[str, float]]) -> list[Agreement]:
    """Compare the whole-song ratings, on 1 to 9, with the dynamic labels of each year that has both."""
    levels = {axis: {song: (row[f"{axis}_mean"] - 5) / 4 for song, row in static.items()} for axis in AXES}
    common = _common(dynamic, levels)
    found = []
    for year, (first, last) in YEARS.items():
        songs = [song for song in common if first <= int(song) <= last]
        if songs:
            found.append(Agreement(year, tuple(songs), *_distances(songs, dynamic, levels)))
    return found


def disagree(years: list[Agreement]) -> bool:
    """Whether at least two years can be compared, and most of them are exchanged.

    Then the dynamic files are more likely to be swapped than the whole-song ratings of each year.
    """
    compared = [year for year in years if not (year.few or year.unclear)]
    return len(compared) >= 2 and 2 * sum(year.exchanged for year in compared) > len(compared)


def corrected(static: Mapping[str, Mapping[str, float]], years: list[Agreement]) -> dict[str, Mapping[str, float]]:
    """Exchange the axes of all songs of the years whose axes are exchanged."""
    spans = [YEARS[year.year] for year in years if year.exchanged]
    other = dict(zip(AXES, AXES[::-1], strict=True))
    return {
        song: {f"{axis}_{what}": row[f"{other[axis]}_{what}"] for axis in AXES for what in ("mean", "std")}
        if any(first <= int(song) <= last for first, last in spans)
        else row
        for song, row in static.items()
    }


def _common(*levels: Levels) -> list[str]:
    tables = [set(each.get(axis, {})) for each in levels for axis in AXES]
    return sorted(set.intersection(*tables), key=int)


def _distances(songs: list[str], first: Levels, second: Levels) -> tuple[float, float]:
    """Compute the mean absolute difference on the same axis and on the other axis."""
    ours, theirs = (np.array([[each[axis][song] for song in songs] for axis in AXES]) for each in (first, second))
    return float(np.abs(ours - theirs).mean()), float(np.abs(ours - theirs[::-1]).mean())
