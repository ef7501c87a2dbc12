"""Plots of a pre-training dataset: every decoded clip is in each of them, and the bytes are reproducible."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest
from emobench.cards import dataset_plots
from emobench.cards.dataset_plots import draw_clips
from matplotlib.figure import Figure

CLIPS = pl.DataFrame(
    {
        "kept": [True, True, True, False, False, False],
        "duration": [30.07, 30.07, 45.0, 12.0, 0.0, None],
        "bit_rate": [128_000, 320_000, 128_000, 64_000, 128_000, None],
        "n_beats": [60, 45, 90, 2, 0, None],
    }
)


def test_every_decoded_clip_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures: list[Figure] = []
    inner = dataset_plots.figure_at

    @contextmanager
    def keeping(path: Path, size: tuple[float, float]) -> Iterator[Figure]:
        with inner(path, size) as figure:
            figures.append(figure)
            yield figure

    monkeypatch.setattr(dataset_plots, "figure_at", keeping)
    paths = draw_clips(CLIPS, tmp_path / "plots")
    assert [path.name for path in paths] == ["duration.png", "bit_rate.png", "tempo.png"]
    heights = []
    for figure in figures:
        kept, rejected = (sum(bar.get_height() for bar in bars) for bars in figure.axes[0].containers)  # pyright: ignore
        heights.append((kept, rejected))
    # A clip without duration has no tempo.
    assert heights == [(3, 2), (3, 2), (3, 1)]
    fast = [bar for bar in figures[2].axes[0].containers[0] if bar.get_height()]  # pyright: ignore
    # 60 beats in 30.07 s are 119.7 per minute, 45 are 89.8, and 90 in 45 s are 120.
    assert [bar.get_x() for bar in fast] == [85.0, 115.0, 120.0]


def test_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        draw_clips(CLIPS, tmp_path / name)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_clips_that_are_all_alike(tmp_path: Path) -> None:
    assert len(draw_clips(CLIPS.head(1), tmp_path)) == 3
