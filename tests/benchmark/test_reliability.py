"""Reliability in the card of a leaderboard: cells and lines against draws from the target Gaussians."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import scipy.stats
from emobench.benchmark.publishing.board import board
from emobench.benchmark.report import reliability
from emobench.benchmark.results.store import ResultStore
from emobench.benchmark.results.verify_data import Datasets
from emobench.benchmark.scoring.gaussians import covariances
from emobench.cards import reliability_plot
from emobench.cards.reliability_plot import draw_reliability
from matplotlib.figure import Figure
from matplotlib.image import imread

from .made import rewrite

COLUMNS = ["arousal", "valence", "arousal_var", "valence_var", "covariance"]
LEVELS = np.arange(1, 10) / 10
DRAWS = 400


def _shares(table: pl.DataFrame) -> np.ndarray:
    """Draw ratings from each target, and count those in the predicted ellipses of each level."""
    true, predicted = (table.select(f"{prefix}{name}" for name in COLUMNS).to_numpy() for prefix in ("true_", ""))
    generator, inside = np.random.default_rng(0), np.zeros(len(LEVELS))
    spreads = zip(true, covariances(true), predicted, covariances(predicted), strict=True)
    for mean, spread, center, size in spreads:
        away = generator.multivariate_normal(mean[:2], spread, DRAWS) - center[:2]
        lengths = np.einsum("ni,ij,nj->n", away, np.linalg.inv(size), away)
        inside += (lengths[:, None] <= scipy.stats.chi2(2).ppf(LEVELS)).sum(axis=0)
    return inside / (DRAWS * len(true))


def _figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    figures: list[Figure] = []
    inner = reliability_plot.figure_at

    @contextmanager
    def keeping(place: io.BytesIO, size: tuple[float, float]) -> Iterator[Figure]:
        with inner(place, size) as figure:
            figures.append(figure)
            yield figure

    monkeypatch.setattr(reliability_plot, "figure_at", keeping)
    return figures


def test_the_card_has_a_table_and_a_picture_of_the_best_entries(ran: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures = _figures(monkeypatch)
    made = board(
        ran,
        "ann/x",
        space=None,
        render_page=lambda store: "",
        look=False,
        datasets=Datasets([], ran / "none", only=False),
        models=ran,
    )
    uploads = {upload.path: upload.content() for upload in made.results.uploads}
    card = uploads["README.md"].decode()
    (picture,) = (path for path in uploads if path.endswith(".png"))
    assert f"]({picture})" in card
    assert imread(io.BytesIO(uploads[picture])).shape[1] == 550
    lines = card.split("## Reliability: tiny@1.0.0")[1].split("\n## ")[0].splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    assert cells[0][1:] == [f"{round(100 * level)} %" for level in LEVELS]
    paths = {path.name.rsplit("-", 1)[0]: path for path in (ran / "tiny@1.0.0").glob("*.json")}
    rows = {row[0]: row[1:] for row in cells[2:]}
    drawn = {str(line.get_label()): line for line in figures[0].axes[0].get_lines()}
    assert drawn.pop("nominal").get_xydata().tolist() == [[0, 0], [1, 1]]  # pyright: ignore
    assert list(drawn) == list(rows)
    assert len(rows) == 5
    for label, shares in rows.items():
        name = label.split(" ")[0].removeprefix("file:").removesuffix(".csv")
        expected = _shares(pl.read_parquet(paths[name].with_suffix(".predictions.parquet")))
        np.testing.assert_allclose([int(share.removesuffix(" %")) for share in shares], 100 * expected, atol=1)
        line = drawn[label]
        np.testing.assert_allclose(np.asarray(line.get_xdata()), LEVELS)
        np.testing.assert_allclose(np.asarray(line.get_ydata()), expected, atol=5e-3)


def test_entries_without_covariances_or_predictions(results: Path, row: Callable[[str], Path]) -> None:
    (whole,) = reliability.reliabilities(ResultStore(results))
    assert [line[0] for line in whole.table.rows] == ["file:mine.csv", "constant (training mean)"]
    row("mine").with_suffix(".predictions.parquet").unlink()
    (left,) = reliability.reliabilities(ResultStore(results))
    assert [line[0] for line in left.table.rows] == ["constant (training mean)"]
    table = pl.read_parquet(row("constant").with_suffix(".predictions.parquet"))
    table = table.with_columns(pl.lit(None, pl.Float64).alias("covariance"))
    result = json.loads(row("constant").read_text())
    result["scores"]["kl_divergence"]["mean"] = None
    rewrite(row("constant"), result, table)
    assert reliability.reliabilities(ResultStore(results)) == []


def test_only_the_best_of_many_entries_and_the_training_mean(ran: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reliability, "_BEST", 2)
    (found,) = reliability.reliabilities(ResultStore(ran))
    distances = {
        result.features: result.scores["mean_distance"].mean
        for result in ResultStore(ran).results
        if result.features.startswith("file:")
    }
    best = sorted(distances, key=lambda name: distances[name] or 0.0)[:2]
    assert [row[0] for row in found.table.rows] == [*best, "constant (training mean)"]
    assert found.table.notes[0] == "The 2 entries with the lowest mean distance, and the training mean."


def test_names_from_data_are_drawn_as_text_and_give_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    figures = _figures(monkeypatch)
    levels = LEVELS.tolist()
    names = ["_hidden", r"$\frac{1$", "a\nb\x1b[31m", "x" * 200]
    pictures = [draw_reliability([(name, levels) for name in names], levels, title="$x_") for _ in range(2)]
    assert pictures[0] == pictures[1]
    texts = [text.get_text() for text in figures[0].legends[0].get_texts()]
    assert texts == ["nominal", "hidden", r"\$\frac{1\$", r"a b\x1b[31m", "x" * 59 + "…"]
