"""Datasets without the spread of ratings: nothing is filled in, and everything else works."""

from __future__ import annotations

import csv
import io
import json
import re
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from emobench.benchmark import runs
from emobench.benchmark.features.network_config import NetworkConfig
from emobench.benchmark.report.leaderboard import load, rendered
from emobench.benchmark.scoring.gaussians import repaired, validate
from emobench.benchmark.scoring.task import load_task
from emobench.builders import labelled_dataset as labelled
from emobench.builders.labelled_dataset import LabelledConfig
from emobench.builders.targets import TargetConfig, target_table
from emobench.cli.main import app
from typer.testing import CliRunner

from .made import rewrite

SPREAD = ["arousal_var", "valence_var", "covariance"]


@pytest.fixture(params=[SPREAD, ["covariance"]], ids=["no spread", "no covariance"], scope="module")
def unknown(
    request: pytest.FixtureRequest, make_corpus: Any, tmp_path_factory: pytest.TempPathFactory, pool: Executor
) -> tuple[Path, list[str]]:
    """A dataset ``data/tiny`` of means, with results of a feature file and of the two reference entries."""
    folder = tmp_path_factory.mktemp("unknown")
    corpus = make_corpus([1] * 14 + [2] * 4)
    targets = target_table(corpus.annotations, TargetConfig()).with_columns(
        pl.lit(None, pl.Float64).alias(name) for name in request.param
    )
    labelled.build(
        replace(corpus, targets=targets),
        folder / "data" / "tiny",
        name="tiny",
        version="1.0.0",
        config=LabelledConfig(),
        pool=pool,
    )
    task = load_task(labelled.load(folder / "data" / "tiny"))
    for name, noise in (("near", 0.03), ("far", 3.0)):
        values = task.targets[:, :2] + np.random.default_rng(0).normal(0, noise, (len(task.clip_index), 2))
        table = pl.DataFrame({"clip_id": np.array(task.clips)[task.clip_index], "time": task.times})
        table.with_columns(x=values[:, 0], y=values[:, 1]).write_csv(folder / f"{name}.csv")
    for regressor in ("mlr", "ridge"):
        places = runs.Places(dataset=folder / "data" / "tiny", out=folder / "results", models=folder / "models")
        features = [f"file:{folder / name}.csv" for name in ("near", "far")]
        runs.run(features, places, runs.RunConfig(regressors=(regressor,)), NetworkConfig(), device="cpu", pool=pool)
    return folder, request.param


def _read(folder: Path, name: str) -> tuple[Path, dict[str, Any], pl.DataFrame]:
    path = next((folder / "results").rglob(f"{name}-*.json"))
    return path, json.loads(path.read_text()), pl.read_parquet(path.with_suffix(".predictions.parquet"))


def test_predictions_and_scores(unknown: tuple[Path, list[str]]) -> None:
    folder, columns = unknown
    for name in ("near", "constant", "oracle"):
        _, result, table = _read(folder, name)
        for column in [f"{prefix}{each}" for each in SPREAD for prefix in ("", "true_")]:
            assert table[column].null_count() == (len(table) if column.removeprefix("true_") in columns else 0)
        assert not any(table[column].is_nan().any() for column in table.columns if table[column].dtype == pl.Float64)
        assert result["scores"]["kl_divergence"] == {"mean": None, "std": None, "per_repeat": [None] * 5, "ci95": None}
        error = np.hypot(*((table[f"true_{axis}"] - table[axis]).to_numpy() for axis in ("arousal", "valence")))
        by_repeat = table.with_columns(error=pl.Series(error)).group_by("repeat").agg(pl.col("error").mean())
        assert result["scores"]["mean_distance"]["mean"] == pytest.approx(by_repeat["error"].mean(), abs=1e-12)
        assert result["scores"]["rmse_arousal"]["ci95"] is not None
    assert _read(folder, "near")[1]["scores"]["mean_distance"]["mean"] < 0.1


def test_ranks_tables_and_page(unknown: tuple[Path, list[str]]) -> None:
    folder, _ = unknown
    board = load(folder / "results")
    rows = {row["features"]: row for row in csv.DictReader(io.StringIO(rendered(board.tables, "csv")))}
    assert (rows["file:near.csv"]["rank"], rows["file:near.csv"]["beats_constant"]) == ("1", "True")
    assert int(rows["file:far.csv"]["rank"]) > 1
    assert rows["file:near.csv"]["kl_divergence"] == rows["file:near.csv"]["kl_rank"] == ""
    assert "NaN" not in rendered(board.tables, "json")
    shown = rendered(board.tables, "markdown")
    assert "nan" not in shown
    assert "undefined" not in shown
    line = next(line for line in shown.splitlines() if line.startswith("| constant"))
    assert [cell.strip() for cell in line.split("|")[4:6]] == ["–", "–"]
    embedded = re.findall(
        r'<script type="application/json"[^>]*>(.*?)</script>', board.page(folder / "data"), re.DOTALL
    )
    assert len(embedded) == 2
    for data in embedded:
        json.loads(data, parse_constant=lambda text: pytest.fail(f"{text} is not JSON"))


def test_verify_and_compare(unknown: tuple[Path, list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, _ = unknown
    monkeypatch.setenv("EMOBENCH_DATA", str(folder / "data"))
    ran = CliRunner().invoke(app, ["verify", "--all", str(folder / "results")])
    assert ran.exit_code == 0, ran.output
    ran = CliRunner().invoke(app, ["compare", "constant", "far", "--results", str(folder / "results"), "--json"])
    # Two regressors: the name matches two results.
    assert ran.exit_code == 2
    paths = [str(_read(folder, name)[0]) for name in ("constant", "near")]
    ran = CliRunner().invoke(app, ["compare", *paths, "--json"])
    assert ran.exit_code == 0, ran.output
    scores = json.loads(ran.stdout)["scores"]
    assert (scores["kl_divergence"]["difference"], scores["kl_divergence"]["p"]) == (None, None)
    assert scores["mean_distance"]["p"] < 0.05


def test_a_filled_in_spread_is_detected(
    unknown: tuple[Path, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, columns = unknown
    monkeypatch.setenv("EMOBENCH_DATA", str(folder / "data"))
    path, result, table = _read(folder, "near")
    forged = tmp_path / "tiny@1.0.0" / path.name
    rewrite(forged, result, table.with_columns(pl.lit(0.0).alias(f"true_{columns[-1]}")))
    ran = CliRunner().invoke(app, ["verify", str(forged)])
    assert ran.exit_code == 1
    assert f"column true_{columns[-1]}" in ran.stdout


def test_repair_keeps_unknown_values() -> None:
    rows = np.array(
        [
            [0.0, 0.0, 0.04, 0.02, np.nan],
            [0.0, 0.0, -0.01, 0.02, np.nan],
            [0.0, 0.0, np.nan, np.nan, np.nan],
            [0.0, 0.0, 0.01, 0.01, 0.02],
        ]
    )
    found, share = repaired(rows)
    np.testing.assert_array_equal(found[0], rows[0])
    np.testing.assert_array_equal(found[1], [0.0, 0.0, 1e-3, 0.02, np.nan])
    np.testing.assert_array_equal(found[2], rows[2])
    assert np.linalg.eigvalsh([[found[3, 2], found[3, 4]], [found[3, 4], found[3, 3]]]).min() == pytest.approx(1e-3)
    assert share == 0.5
    validate(found, found)
    for wrong in ([0.0, 0.0, -0.1, np.nan, np.nan], [np.nan, 0.0, 0.1, 0.1, 0.0], [0.0, 0.0, np.inf, 0.1, 0.0]):
        with pytest.raises(ValueError, match="predicted: holds"):
            validate(found[:1], np.array([wrong]))
