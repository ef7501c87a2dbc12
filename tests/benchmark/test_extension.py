"""A new feature, source, regressor and metric, each defined here alone, appear wherever those of emobench do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import emobench as eb
import numpy as np
import pytest
from emobench.builders.synthesis import SynthesisConfig
from emobench.builders.synthesis import corpus as synthetic
from emobench.cards.hub_pages import results_card
from emobench.cards.tables import to_markdown
from emobench.cli.main import app
from emobench.protocols import Feature, Metric, Source, features, metrics, option, regressors, sources
from typer.testing import CliRunner


class Crossings(Feature):
    """Share of samples after which the sign changes."""

    name, title, metadata = "crossings", "Zero Crossings", {"licence": "Apache-2.0"}

    def __call__(self, samples: Any) -> tuple[Any, Any]:
        frames = samples[: len(samples) // 1024 * 1024].reshape(-1, 1024)
        changed = np.diff(np.signbit(frames), axis=1)
        return (np.arange(len(frames)) + 0.5) * 1024 / self.sample_rate, changed.mean(axis=1, keepdims=True)


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of the source."""

    clips: int = option(6, "Number of clips.")


def _load(options: Options, *, out: Path, seed: int) -> Any:
    return synthetic.load(SynthesisConfig(n_clips=options.clips, clip_seconds=8, seed=seed))


class Median:
    """Predict the median of the training part."""

    name, title = "median", "training median"

    def fit(self, features: Any, targets: Any, verification: Any) -> Median:
        self.chosen: dict[str, float] = {}
        self.median = np.median(targets, axis=0)
        return self

    def __call__(self, features: Any) -> Any:
        return np.tile(self.median, (len(features), 1))


LARGEST = Metric(
    "mean_square",
    "Mean Square",
    statistics=lambda true, predicted: ((true[:, :2] - predicted[:, :2]) ** 2).sum(axis=1)[:, None],
    score=lambda sums: sums[..., 1] / sums[..., 0],
)


@pytest.fixture
def extended() -> Iterator[None]:
    made = [
        (features, Crossings()),
        (sources, Source("six", "Six clips.", Options, _load)),
        (regressors, Median()),
        (metrics, LARGEST),
    ]
    for registry, entry in made:
        registry.register(entry)
    yield
    for registry, entry in made:
        registry.unregister(entry.name)


def _listed(what: str) -> str:
    ran = CliRunner().invoke(app, ["list", what])
    assert ran.exit_code == 0, ran.output
    return ran.stdout


def test_new_things_appear_everywhere(extended: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for what, names in (
        ("features", ("crossings", "Zero Crossings")),
        ("sources", ("six", "Six clips.")),
        ("regressors", ("median", "training median")),
        ("metrics", ("mean_square", "Mean Square")),
    ):
        assert all(name in _listed(what) for name in names)
    # The source: a subcommand with its option.
    helped = CliRunner().invoke(app, ["build-data", "six", "--help"], env={"COLUMNS": "100"})
    assert "--clips" in helped.stdout and "Number of clips." in helped.stdout
    built = CliRunner().invoke(app, ["build-data", "six", "--clips", "9", "--workers", "1", "--out", "data/six"])
    assert built.exit_code == 0, built.output
    # The feature, the regressor and the metric: an entry.
    call = ["run", "-f", "crossings", "--regressor", "median", "--dataset", "data/six", "--workers", "1"]
    ran = CliRunner().invoke(app, call, env={"COLUMNS": "120"})
    assert ran.exit_code == 0, ran.output
    assert "Zero Crossings [median]" in ran.stdout
    board = eb.leaderboard("results")
    result = board.store.find("crossings|median")
    assert result.feature_metadata == {"crossings": {"title": "Zero Crossings", "licence": "Apache-2.0"}}
    table = result.predictions
    errors = [(table[axis] - table[f"true_{axis}"]).to_numpy() for axis in ("arousal", "valence")]
    square = float(np.mean(errors[0] ** 2 + errors[1] ** 2))
    assert result.scores["mean_square"].mean == pytest.approx(square, rel=0.1)
    text = "\n".join(map(to_markdown, board.tables))
    assert "Mean Square" in text and "Zero Crossings \\[median\\]" in text
    card = results_card("ann/results", board.tables, entries=1, predictions={}, predicted=1)
    assert "Mean Square" in card and "Zero Crossings" in card
    assert "Zero Crossings [median]" in board.to_html("page.html").read_text()
    assert "mean_square_std" in board.rendered("csv")
    # It stores no parameters, so only a second fit shows that its predictions come from the features.
    report = eb.verify(result, datasets=["data/six"])
    assert "median stores no parameters" in str(report)
    assert not report.ok
    assert eb.verify(result, datasets=["data/six"], retrain=True).ok
    compared = eb.compare("crossings|median", "constant").table()
    assert "mean_square" in [row[0] for row in compared.rows]


def test_an_entry_that_lacks_a_new_metric_is_computed_again(rated: Path, tmp_path: Path, extended: None) -> None:
    metrics.unregister("mean_square")
    first = eb.run(rated, "constant", out=tmp_path)[0]
    metrics.register(LARGEST)
    again = eb.run(rated, "constant", out=tmp_path)
    assert again.outcome.computed and "mean_square" not in first.scores
    assert "mean_square" in again[0].scores
    assert {name: again[0].scores[name] for name in first.scores} == first.scores


def test_things_that_are_gone(rated: Path, tmp_path: Path, extended: None) -> None:
    result = eb.run(rated, "constant", out=tmp_path)[0]
    metrics.unregister("mean_square")
    try:
        report = eb.verify(result, datasets=[rated])
        assert not report.ok
        assert "mean_square: is not a metric of emobench or of an installed package" in str(report.record())
    finally:
        metrics.register(LARGEST)


def test_metrics_and_regressors_of_other_packages(rated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points = {
        "mean_square": EntryPoint("mean_square", f"{__name__}:LARGEST", "emobench.metrics"),
        "median": EntryPoint("median", f"{__name__}:Median", "emobench.regressors"),
        "wrong": EntryPoint("wrong", f"{__name__}:LARGEST", "emobench.regressors"),
    }
    monkeypatch.setattr(metrics, "plugins", lambda: {"mean_square": points["mean_square"]})
    monkeypatch.setattr(regressors, "plugins", lambda: {name: points[name] for name in ("median", "wrong")})
    try:
        targets = eb.load_dataset(rated).targets.select("clip_id", "time", "arousal")
        table = eb.FeatureTable("told", targets.select("clip_id", "time"), targets.select("arousal").to_numpy())
        results = eb.run(rated, table, regressors="median", out=tmp_path, allow_leakage=True)
        assert results[0].regressor == "median" and results[0].scores["mean_square"].mean is not None
        with pytest.raises(eb.InputError, match=r"entry point wrong of the group emobench.regressors: expected a Regr"):
            eb.run(rated, table, regressors="wrong", out=tmp_path, allow_leakage=True)
    finally:
        metrics.unregister("mean_square")
        regressors.unregister("median")
