"""Reliability diagram of a leaderboard card: measured against nominal coverage, one line per entry."""

from __future__ import annotations

import io
from collections.abc import Sequence

from .pictures import figure_at, plain_text
from .render import one_line

# Name of an entry, and the share of the ratings in the ellipse of each level, 0 to 1.
Curve = tuple[str, Sequence[float]]

# Longest name in the legend; the table beside the picture has all names in full, in the same order.
_LONGEST = 60


def draw_reliability(curves: Sequence[Curve], levels: Sequence[float], *, title: str) -> bytes:
    """Draw shares of the ratings in the predicted ellipses against the nominal shares.

    Parameters
    ----------
    curves : sequence of (str, sequence of float)
        Entries with their shares.
    levels : sequence of float
        Nominal shares, 0 to 1.
    title : str
        Title of the figure.

    Returns
    -------
    bytes
        PNG.
    """
    picture = io.BytesIO()
    with figure_at(picture, (5.0, 5.0 + 0.2 * len(curves))) as figure:
        axis = figure.subplots()
        axis.plot([0, 1], [0, 1], color="0.5", linewidth=1, linestyle="--", label="nominal")
        for place, (name, shares) in enumerate(curves):
            # In black and white, entries differ by their marker.
            axis.plot(
                levels,
                shares,
                marker="os^Dv<>p"[place % 8],
                markersize=4,
                linewidth=1.3,
                label=_short(name),
            )
        axis.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", title=plain_text(title))
        axis.set(xlabel="share of the prediction in the ellipse", ylabel="share of the ratings")
        axis.xaxis.set_major_formatter("{x:.0%}")
        axis.yaxis.set_major_formatter("{x:.0%}")
        axis.grid(color="0.92")
        axis.set_axisbelow(True)
        axis.spines[["top", "right"]].set_visible(False)
        figure.legend(frameon=False, loc="outside lower center", fontsize=8)
    return picture.getvalue()


def _short(name: str) -> str:
    # Matplotlib leaves out names that begin with an underscore.
    name = one_line(name).lstrip("_")
    return plain_text(name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1].rstrip()}…")
