"""A scatter plot of entries in characters, for terminals: score against cost on a logarithmic axis."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import TYPE_CHECKING

from ..runtime.text import visible

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult

# Signs of points that are not on the front, by the order of their groups.
SIGNS = "o*+x"
_HEIGHT, _WIDTH = 11, 92


@dataclass(frozen=True)
class Point:
    """An entry.

    Attributes
    ----------
    x, y : float
        Cost and score; lower is better.
    label, group : str
        Name of the entry and of its group.
    front : bool
        Whether it is on the Pareto front.
    """

    x: float
    y: float
    label: str
    group: str
    front: bool


@dataclass(frozen=True)
class Scatter:
    """Entries by cost and score.

    Attributes
    ----------
    points : sequence of Point
        Entries.
    x_title, y_title : str
        Titles of the axes.
    """

    points: Sequence[Point]
    x_title: str
    y_title: str

    def lines(self, width: int) -> list[str]:
        """Draw the plot, at most ``width`` characters wide."""
        least = min((point.x for point in self.points if point.x > 0), default=1.0)
        costs = [math.log10(max(point.x, least)) for point in self.points]
        left = max(len(f"{point.y:.3f}") for point in self.points)
        columns = max(10, min(width, _WIDTH) - left - 3)
        across, down = _scaled(costs, columns), _scaled([-point.y for point in self.points], _HEIGHT)
        signs = self._signs()
        grid = [[" "] * columns for _ in range(_HEIGHT)]
        # Points of the front are drawn last, over others in the same place.
        for place in sorted(range(len(signs)), key=lambda each: self.points[each].front):
            grid[down[place]][across[place]] = signs[place]
        high, low = max(point.y for point in self.points), min(point.y for point in self.points)
        labels = {0: f"{high:.3f}", _HEIGHT // 2: f"{(high + low) / 2:.3f}", _HEIGHT - 1: f"{low:.3f}"}
        rows = [
            f"{labels.get(row, ''):>{left}} {'┤' if row in labels else '│'}{''.join(cells)}".rstrip()
            for row, cells in enumerate(grid)
        ]
        ends = [f"{10 ** min(costs):.2g}", f"{10 ** max(costs):.2g} {self.x_title} (log)"]
        axis = [
            " " * (left + 1) + "└" + "─" * columns,
            " " * (left + 2) + ends[0] + ends[1].rjust(columns - len(ends[0])),
        ]
        return [f"{self.y_title} against {self.x_title}", *rows, *axis, *self._legend(signs, width)]

    def _signs(self) -> list[str]:
        groups = list(dict.fromkeys(point.group for point in self.points))
        front = sorted((point for point in self.points if point.front), key=lambda point: point.x)
        letters = {id(point): letter for point, letter in zip(front, ascii_uppercase, strict=False)}
        return [letters.get(id(point)) or SIGNS[groups.index(point.group) % len(SIGNS)] for point in self.points]

    def _legend(self, signs: Sequence[str], width: int) -> list[str]:
        """Name the points of the front, one line each, and the signs of the others."""
        pairs = list(zip(signs, self.points, strict=True))
        lines = textwrap.wrap("Pareto front, where no other entry is both better and cheaper:", width)
        for sign, point in sorted((pair for pair in pairs if pair[1].front), key=lambda pair: pair[1].x):
            text = f"  {sign}  {point.y:.3f}  {point.x:>7.2g}  {visible(point.label)}"
            lines += textwrap.wrap(text, width, subsequent_indent=" " * 21, break_on_hyphens=False)
        others = dict.fromkeys(f"{sign} {point.group}" for sign, point in pairs if not point.front)
        return lines + (textwrap.wrap(f"Others: {', '.join(others)}.", width) if others else [])

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.text import Text

        yield Text("\n".join(self.lines(options.max_width)))


def _scaled(values: Sequence[float], size: int) -> list[int]:
    """Return the cells of values on an axis of a number of cells; all in the middle if they are equal."""
    low, high = min(values), max(values)
    if high - low < 1e-12:
        return [size // 2] * len(values)
    return [round((value - low) / (high - low) * (size - 1)) for value in values]
