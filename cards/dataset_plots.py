"""Histograms of a pre-training dataset: duration, bit rate and tempo of its clips."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from .pictures import figure_at

# Column (also the name of the file), label of the axis, width of a bin.
_PICTURES = (
    ("duration", "seconds", 0.5),
    ("bit_rate", "kbit/s", 16.0),
    ("tempo", "beats per minute", 5.0),
)

# Most and fewest bins of a histogram; the width of bins is adapted.
_MOST_BINS = 80
_LEAST_BINS = 16


def draw_clips(clips: pl.DataFrame, folder: Path) -> list[Path]:
    """Draw the distributions of duration, bit rate and tempo.

    Parameters
    ----------
    clips : DataFrame
        ``duration`` in seconds, ``bit_rate`` in bits per second, ``n_beats`` and ``kept``, with nulls for clips that
        were not decoded.
    folder : Path
        Folder for ``duration.png``, ``bit_rate.png`` and ``tempo.png``. The tempo is the number of beats divided by the
        duration.

    Returns
    -------
    list of Path
        Files written.
    """
    tempo = 60.0 * pl.col("n_beats") / pl.col("duration")
    values = clips.drop_nulls("duration").select(
        "kept", "duration", bit_rate=pl.col("bit_rate") / 1000.0, tempo=pl.when(pl.col("duration") > 0).then(tempo)
    )
    return [_draw(values, name, label, width, folder / f"{name}.png") for name, label, width in _PICTURES]


def _draw(values: pl.DataFrame, name: str, label: str, width: float, path: Path) -> Path:
    from matplotlib.ticker import MaxNLocator

    kept, rejected = (
        values.filter(pl.col("kept") == wanted)[name].drop_nulls().to_numpy().astype(float) for wanted in (True, False)
    )
    both = np.concatenate([kept, rejected])
    low, high = both.min(), both.max()
    width = max(width, (high - low) / _MOST_BINS)
    # With too few bins, clips that are all alike would form one block.
    first, last = np.floor(low / width), np.floor(high / width)
    beside = max(1, (_LEAST_BINS - (last - first)) // 2)
    edges = np.arange(max(0, first - beside), last + beside + 2) * width
    with figure_at(path, (5.2, 3.2)) as figure:
        axis = figure.subplots()
        axis.hist([kept, rejected], edges, stacked=True, color=["#0072b2", "#d0d0d0"], label=["kept", "rejected"])
        axis.set(xlabel=label, ylabel="clips", title=f"{name.replace('_', ' ').capitalize()} of the clips")
        figure.legend(frameon=False, loc="outside lower center", ncols=2)
        axis.yaxis.set_major_locator(MaxNLocator(integer=True))
        axis.spines[["top", "right"]].set_visible(False)
    return path
