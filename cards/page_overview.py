"""Overview of a section of the leaderboard page: the best entry of each group, and score against cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .page import Entry

# Size of the plot in pixels, and the space for the labels of its axes.
WIDTH, HEIGHT = 440, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 28, 18, 36


@dataclass(frozen=True)
class Dot:
    """An entry in the plot: its place in pixels, its letter on the Pareto front or ``""``, the number of its group."""

    entry: Entry
    x: float
    y: float
    letter: str
    kind: int


@dataclass(frozen=True)
class Overview:
    """Overview of a section.

    Attributes
    ----------
    best : sequence of Entry
        Best entry of each group.
    dots : sequence of Dot
        Entries with a cost, those of the Pareto front first, the cheapest first; empty if there are fewer than two.
    line : str
        Path of the front.
    x_ticks, y_ticks : sequence of (float, str)
        Places in pixels and labels.
    """

    best: Sequence[Entry]
    dots: Sequence[Dot]
    line: str
    x_ticks: Sequence[tuple[float, str]]
    y_ticks: Sequence[tuple[float, str]]


def overview(entries: Sequence[Entry], origins: Sequence[str]) -> Overview | None:
    """Arrange the overview of entries that are sorted by mean distance; None if they are all in one group.

    ``origins`` are the groups of the whole page, whose order decides the signs.
    """
    known = [entry for entry in entries if not entry.reference and entry.distance.mean is not None]
    groups = list(dict.fromkeys(entry.group for entry in known))
    if len(groups) < 2:
        return None
    best = [next(entry for entry in known if entry.group == group) for group in groups]
    places = [(entry, entry.seconds_per_clip, entry.distance.mean) for entry in known]
    plotted = [(entry, cost, mean) for entry, cost, mean in places if cost is not None and mean is not None]
    if len(plotted) < 2:
        return Overview(best, [], "", [], [])
    least = min((cost for _, cost, _ in plotted if cost > 0), default=1.0)
    costs = [math.log10(max(cost, least)) for _, cost, _ in plotted]
    means = [mean for *_, mean in plotted]
    across = _Scale(min(costs), max(costs), _LEFT, WIDTH - _RIGHT)
    down = _Scale(max(means), min(means), _TOP, HEIGHT - _BOTTOM)
    order = sorted(range(len(plotted)), key=lambda each: (not plotted[each][0].front, costs[each]))
    letters = iter(ascii_uppercase)
    dots = [
        Dot(
            entry,
            across(costs[each]),
            down(means[each]),
            next(letters, "") if entry.front else "",
            origins.index(entry.group),
        )
        for each in order
        for entry in [plotted[each][0]]
    ]
    front = [dot for dot in dots if dot.entry.front]
    # Between two points of the front, the cheaper one holds.
    line = f"M{front[0].x} {front[0].y}" + "".join(f"H{dot.x}V{dot.y}" for dot in front[1:]) if front else ""
    steps = range(math.floor(min(costs)), math.ceil(max(costs)) + 1)
    decades = [(across(tick), f"{10.0**tick:g}") for tick in steps if min(costs) <= tick <= max(costs)]
    ends = [(across(value), f"{10**value:.2g}") for value in (min(costs), max(costs))]
    middle = (max(means) + min(means)) / 2
    return Overview(
        best,
        dots,
        line,
        decades if len(decades) > 1 else ends,
        [(down(value), f"{value:.3f}") for value in dict.fromkeys((min(means), middle, max(means)))],
    )


@dataclass(frozen=True)
class _Scale:
    """A linear scale from values to pixels; equal values are placed in the middle."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = 0.5 if self.low == self.high else (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)
