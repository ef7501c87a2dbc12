"""The covariance of residuals that is added to predicted covariances, computed again from the features."""

from __future__ import annotations

import json
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import emobench as eb
import numpy as np
import polars as pl
import pytest
from emobench.benchmark import runs
from emobench.benchmark.features.network_config import NetworkConfig
from emobench.benchmark.report.labels import residual_notes
from emobench.benchmark.report.leaderboard import load
from emobench.benchmark.scoring.gaussians import repaired, residual_covariance
from emobench.benchmark.scoring.metrics.kl_divergence import kl_divergences
from emobench.benchmark.scoring.regressors.ridge import fit_ridge
from emobench.benchmark.scoring.task import load_task
from emobench.builders import labelled_dataset
from emobench.cli.main import app
from typer.testing import CliRunner

SPREAD = ["arousal_var", "valence_var", "covariance"]


@pytest.fixture
def run(finished_run: Path, tmp_path: Path, pool: Executor) -> Any:
    """Run regressors on the feature of ``finished_run``; return the result of each."""

    def run(*regressors: str, **config: Any) -> list[Any]:
        places = runs.Places(dataset=finished_run / "data" / "tiny", out=tmp_path / "results", models=tmp_path / "m")
        settings = runs.RunConfig(regressors=regressors, **config)
        feature = f"file:{finished_run / 'mine.csv'}"
        outcome = runs.run([feature], places, settings, NetworkConfig(), device="cpu", pool=pool)
        return [result for result in outcome.results if not result.reference]

    return run


def test_by_hand() -> None:
    true = np.array([[0.1, 0.2, 1, 1, 0], [0.3, 0.1, 1, 1, 0]])
    predicted = np.array([[0.0, 0.0], [0.4, 0.2]])
    # Residuals (0.1, 0.2) and (-0.1, -0.1).
    np.testing.assert_allclose(residual_covariance(predicted, true), [0.01, 0.025, 0.015])
    assert residual_covariance(predicted[:0], true[:0]).tolist() == [0, 0, 0]


def test_it_matches_the_moments_of_ratings() -> None:
    generator = np.random.default_rng(0)
    means = generator.multivariate_normal([0, 0], [[0.02, 0.01], [0.01, 0.03]], size=4000)
    within = np.array([[0.04, -0.01], [-0.01, 0.05]])
    ratings = means + generator.multivariate_normal([0, 0], within, size=4000)
    predicted = np.full((4000, 2), 0.05)
    found = residual_covariance(predicted, means) + within[[0, 1, 0], [0, 1, 1]]
    spread = (ratings - 0.05).T @ (ratings - 0.05) / 4000
    np.testing.assert_allclose(found, spread[[0, 1, 0], [0, 1, 1]], atol=0.004)
    # Of all covariances it has the smallest divergence: any other factor is worse.
    true = np.column_stack([means, np.tile(within[[0, 1, 0], [0, 1, 1]], (4000, 1))])

    def divergence(spread: np.ndarray) -> float:
        return float(kl_divergences(true, np.hstack([predicted, np.tile(spread, (4000, 1))])).mean())

    assert divergence(found) < min(divergence(found * 1.1), divergence(found / 1.1), divergence(true[0, 2:]))


def test_it_is_added_for_ridge_and_recorded(run: Any, finished_run: Path) -> None:
    (added,), (plain,) = run("ridge"), run("ridge", residual_covariance=False)
    assert (added.config.residual_covariance, plain.config.residual_covariance) == (True, False)
    assert added.signature != plain.signature
    assert added.scores["mean_distance"] == plain.scores["mean_distance"]
    assert added.scores["kl_divergence"].mean < plain.scores["kl_divergence"].mean
    task = load_task(labelled_dataset.load(finished_run / "data" / "tiny"))
    table = pl.read_csv(finished_run / "mine.csv")
    values = table.select("x", "y").to_numpy()[task.clip_index].astype(np.float32).astype(np.float64)
    for fold, own in zip(task.folds, added.predictions.partition_by("repeat", maintain_order=True), strict=True):
        checked = values[fold.verification], task.targets[fold.verification]
        fitted = fit_ridge(values[fold.train], task.targets[fold.train], checked)
        error = checked[1][:, :2] - fitted(checked[0])[:, :2]
        moments = error.T @ error / len(error)
        rows = fitted(values[fold.test])
        rows[:, 2:] += moments[[0, 1, 0], [0, 1, 1]]
        np.testing.assert_allclose(own.select(SPREAD).to_numpy(), repaired(rows)[0][:, 2:], rtol=1e-9)


def test_mlr_and_references_are_as_before(run: Any, finished_run: Path) -> None:
    (result,) = run("mlr")
    stored = next((finished_run / "results").rglob("mine-*.json"))
    assert result.path.name == stored.name
    assert not result.config.residual_covariance
    (asked,) = run("mlr", residual_covariance=True)
    assert asked.config.residual_covariance
    assert asked.scores["mean_distance"] == result.scores["mean_distance"]
    assert asked.scores["kl_divergence"] != result.scores["kl_divergence"]
    names = {path.name for path in result.path.parent.glob("constant-*.json")}
    assert names == {path.name for path in stored.parent.glob("constant-*.json")}


def test_a_signature_without_it_is_that_of_older_results(run: Any) -> None:
    (result,) = run("mlr")
    config = result.config
    assert "residual_covariance" not in config._decided()
    assert config.model_copy(update={"residual_covariance": True}).signature != config.signature
    text = result.text.replace('"residual_covariance": false,', "")
    assert type(result).model_validate_json(text).config.signature == result.signature


def test_boards_that_mix_both_say_so(run: Any, finished_run: Path, tmp_path: Path) -> None:
    mlr, ridge = run("mlr", "ridge")
    assert not residual_notes([mlr]) and not residual_notes([ridge])
    (note,) = residual_notes([mlr, ridge])
    assert "with the regressor ridge, and not with mlr" in note
    run("ridge", residual_covariance=False)
    board = load(tmp_path / "results")
    labels = [str(row[0]) for table in board.tables for row in table.rows]
    for mark in ("with", "without"):
        assert any(label.endswith(f"[ridge] [{mark} residual covariance]") for label in labels), labels
    assert any(note.split(" with the")[0] in line for table in board.tables for line in table.notes)
    assert eb.verify(ridge.path, datasets=[finished_run / "data" / "tiny"]).ok


def test_command(finished_run: Path, tmp_path: Path) -> None:
    def scores(*flags: str) -> dict[str, Any]:
        arguments = ["run", "--features", f"file:{finished_run / 'mine.csv'}", "--regressor", "ridge", *flags]
        arguments += ["--dataset", str(finished_run / "data" / "tiny"), "--out", str(tmp_path / "results"), "--json"]
        done = CliRunner().invoke(app, [*arguments, "--workers", "1"])
        assert done.exit_code == 0, done.output
        return next(
            each["config"] for each in json.loads(done.stdout)["results"] if each["features"] == "file:mine.csv"
        )

    assert scores()["residual_covariance"] is True
    assert scores("--residual-covariance")["residual_covariance"] is True
    assert scores("--no-residual-covariance")["residual_covariance"] is False
