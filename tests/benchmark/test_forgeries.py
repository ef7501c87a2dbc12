"""Forged results, made with the package's own functions as an attacker would: what each level finds, and what not."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from emobench.benchmark import runs
from emobench.benchmark.features.columns import float32_sha256
from emobench.benchmark.features.network_config import NetworkConfig
from emobench.benchmark.results.beside import feature_table, features_path, parameters_path, read_features
from emobench.benchmark.results.checks import Report
from emobench.benchmark.results.model import Entry, Result, predictions_path
from emobench.benchmark.results.store import ResultStore
from emobench.benchmark.results.verify import verify
from emobench.benchmark.results.verify_data import Datasets
from emobench.benchmark.scoring.regression import regress
from emobench.benchmark.scoring.task import Fold, Task, load_task
from emobench.builders import labelled_dataset as labelled
from emobench.cli.main import app
from typer.testing import CliRunner

from .forging import fields_of, forged, own_predictions

AUTHORS_OWN = "cost, environment and descriptions are the author's own statements and cannot be verified"
NOT_FROM_AUDIO = "the features are not shown to come from the audio"


@pytest.fixture(scope="module")
def honest(with_audio: Path, tmp_path_factory: pytest.TempPathFactory, pool: Executor) -> Path:
    """Results of mfcc and chroma."""
    out = tmp_path_factory.mktemp("honest") / "results"
    places = runs.Places(dataset=with_audio / "syn", out=out, models=out / "models")
    for features, names in ((["mfcc"], ("mlr", "ridge", "svr", "mlp")), (["chroma"], ("ridge",))):
        runs.run(features, places, runs.RunConfig(regressors=names), NetworkConfig(), device="cpu", pool=pool)
    return out


@pytest.fixture(scope="module")
def task(with_audio: Path) -> Task:
    return load_task(labelled.load(with_audio / "syn"))


def _entry(out: Path, name: str) -> Result:
    (found,) = [each for each in ResultStore(out).results if each.name == name]
    return found


def _verify(path: Path, data: Path, **options: Any) -> Report:
    return verify(path, Datasets([data / "syn"], data, only=True), path.parent / "models", **options)


def _failures(report: Report) -> list[str]:
    return [f"{check.name}: {line}" for check in report.checks for line in check.failures]


def _truth(task: Task) -> list[np.ndarray]:
    return [task.targets[fold.test] for fold in task.folds]


# Other predictions


@pytest.mark.parametrize("name", ["mfcc", "mfcc|ridge", "mfcc|svr", "mfcc|mlp"])
@pytest.mark.parametrize("what", ["truth", "blend", "other", "huge"])
def test_other_predictions(honest: Path, task: Task, with_audio: Path, tmp_path: Path, name: str, what: str) -> None:
    result = _entry(honest, name)
    truth, own = _truth(task), own_predictions(result)
    values = {
        "truth": truth,
        "blend": [0.1 * one + 0.9 * other for one, other in zip(truth, own, strict=True)],
        "other": own_predictions(_entry(honest, "chroma|ridge")),
        "huge": [np.column_stack([np.full((len(each), 2), 1e5), each[:, 2:]]) for each in own],
    }[what]
    path = forged(result, task, tmp_path, values)
    # Scores, hashes and signature are as good as those of an honest result.
    assert _verify(path, with_audio, level="scores").ok
    report = _verify(path, with_audio)
    assert report.level is None
    first = task.folds[0].test[0]
    where = f"repeat 0, clip {task.clips[task.clip_index[first]]}, {task.times[first]:g} s"
    wanted = f"{where}: is {float(values[0][0, 0])!r}"
    (line,) = [each for each in _failures(report) if "column arousal," in each]
    assert line.startswith(f"regression: predictions: column arousal, {wanted}; the features give ")
    again = float(line.partition("the features give ")[2].split()[0])
    assert again == pytest.approx(own[0][0, 0], abs=1e-6)


def test_predictions_that_overflow(honest: Path, task: Task, with_audio: Path, tmp_path: Path) -> None:
    result = _entry(honest, "mfcc")
    values = [np.column_stack([np.full(len(each), 1e308), each[:, 1:]]) for each in own_predictions(result)]
    with np.errstate(over="ignore", invalid="ignore"):
        path = forged(result, task, tmp_path, values)
    report = _verify(path, with_audio, level="scores")
    line = "row 1: arousal is 1e+308; expected a number on the scale of the targets"
    assert any(line in each for each in _failures(report))
    assert report.level is None


@pytest.mark.parametrize("name", ["constant", "oracle", "human", "ceiling"])
def test_references_are_computed_from_the_dataset(
    honest: Path, task: Task, with_audio: Path, tmp_path: Path, name: str
) -> None:
    result = _entry(honest, name)
    assert _verify(result.path, with_audio).level == "regression"
    if name == "human":
        table = result.predictions.with_columns(pl.col("arousal") * 0.9)
        path = Path(shutil.copytree(honest, tmp_path / "results")) / result.path.relative_to(honest)
        entry = Entry.model_validate_json(json.dumps(fields_of(result)))
        ResultStore(tmp_path / "results").write(path, entry, table)
    else:
        path = forged(result, task, tmp_path, _truth(task))
    failures = _failures(_verify(path, with_audio))
    assert any(each.startswith("regression: predictions: column arousal") for each in failures), failures


# Features


def _with_features(result: Result, task: Task, out: Path, values: np.ndarray, **config: Any) -> Path:
    """Forge the result of least squares on other features."""
    done = [regress(task, fold, "mlr", values, residuals=False) for fold in task.folds]
    config |= {"values": [float32_sha256([values])], "different_rows": min(each.different_rows for each in done)}
    share = float(np.mean([each.repaired for each in done]))
    made = [each.predictions.values for each in done]
    stored = feature_table(task, [values])
    return forged(result, task, out, made, config=config, stored=stored, covariance_repaired=share)


def test_features_that_contain_noisy_targets(
    honest: Path, task: Task, with_audio: Path, tmp_path: Path, pool: Executor
) -> None:
    result = _entry(honest, "mfcc")
    noise = np.random.default_rng(0).normal(0, 0.02, task.targets[:, :2].shape)
    values = np.hstack([task.targets[:, :2] + noise, np.zeros((len(noise), (result.dims or 0) - 2))]).astype(np.float32)
    path = _with_features(result, task, tmp_path, values)
    report = _verify(path, with_audio)
    # The regression is right, and what is not shown is said.
    assert report.level == "regression", _failures(report)
    assert NOT_FROM_AUDIO in report.unchecked
    report = _verify(path, with_audio, level="features", pool=pool)
    assert report.level is None
    first = f"repeat 0, clip {task.clips[0]}, {task.times[0]:g} s: value 1 is {values[0, 0]:.6g}; the audio gives "
    assert any(each.startswith(f"features: {first}") for each in _failures(report))
    # Said to come from other audio, they are not verified at that level either.
    path = _with_features(result, task, tmp_path, values, parts=["other audio"])
    report = _verify(path, with_audio, level="features", pool=pool)
    assert (report.ok, report.level) == (False, "regression")
    assert any("computed with other audio, beats, weights, settings or code" in each for each in report.missing)


@pytest.mark.parametrize("noise", [0.0, 1e-4])
def test_features_that_contain_targets(
    honest: Path, task: Task, with_audio: Path, tmp_path: Path, noise: float
) -> None:
    result = _entry(honest, "mfcc")
    generator = np.random.default_rng(0)
    values = generator.normal(size=(len(task.times), result.dims or 0))
    values[:, 0] = 7 - 3 * (task.targets[:, 0] + generator.normal(0, noise, len(values)))
    path = _with_features(result, task, tmp_path, values.astype(np.float32))
    (line,) = _failures(_verify(path, with_audio))
    assert line.startswith("regression: the feature table contains targets: column 1 is arousal") or noise
    assert "column 1" in line


@pytest.mark.parametrize("name", ["mfcc", "mfcc|svr", "constant"])
def test_honest_features_are_computed_again(honest: Path, with_audio: Path, pool: Executor, name: str) -> None:
    report = _verify(_entry(honest, name).path, with_audio, level="features", pool=pool)
    assert report.level == "features", (_failures(report), report.missing)
    assert NOT_FROM_AUDIO not in report.unchecked


def test_changed_features(honest: Path, with_audio: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(honest, tmp_path / "results"))
    path = copy / _entry(honest, "mfcc").path.relative_to(honest)
    table = pl.read_parquet(features_path(path))
    other = table.with_columns(pl.col("values").list.eval(pl.element() + 1))
    for changed, line in (
        (other, "the values of feature 1 have another SHA-256 than config.values records"),
        (table.head(5), "has other rows than the dataset"),
        (table.reverse(), "has other rows than the dataset"),
        (table.drop("time"), "has wrong columns"),
        (table.with_columns(pl.col("values").list.head(3)), "has 3 columns; dims is "),
        (table.with_columns(pl.lit([], pl.List(pl.Float32)).alias("values")), "the number of values differs"),
        (table.with_columns(pl.col("values").list.eval(pl.lit(float("nan"), pl.Float32))), "not finite"),
    ):
        changed.write_parquet(features_path(path))
        failures = _failures(_verify(path, with_audio))
        assert any("another SHA-256 than the result records (files.features)" in each for each in failures)
        assert any(line in each for each in failures), (line, failures)
    features_path(path).unlink()
    report = _verify(path, with_audio)
    assert (report.level, report.ok, report.state) == ("scores", False, "not verified")
    assert "the predictions are not shown to come from the features" in report.unchecked


# Parameters


def test_parameters_that_were_fitted_on_the_test_part(
    honest: Path, task: Task, with_audio: Path, tmp_path: Path
) -> None:
    result = _entry(honest, "mfcc|mlp")
    read, _ = read_features(result, task)
    assert read is not None
    (values,) = read
    residuals = result.config.residual_covariance
    done = []
    for fold in task.folds:
        cheat = Fold(fold.repeat, train=fold.test, verification=fold.test, test=fold.test)
        fitted = regress(task, cheat, "mlp", values, residuals=False).parameters
        done.append(regress(task, fold, "mlp", values, residuals=residuals, parameters=fitted))
    path = forged(
        result,
        task,
        tmp_path,
        [each.predictions.values for each in done],
        parameters={fold.repeat: each.parameters for fold, each in zip(task.folds, done, strict=True)},
        covariance_repaired=float(np.mean([each.repaired for each in done])),
    )
    report = _verify(path, with_audio)
    assert report.level == "regression", _failures(report)
    line = "the parameters are not shown to be fitted on the training part"
    assert any(each.startswith(line) for each in report.unchecked)
    report = _verify(path, with_audio, retrain=True)
    (said,) = [each for each in report.unchecked if each.startswith(line)]
    assert "predictions of a second fit differ by at most 0." in said
    # An honest result loses this line.
    report = _verify(result.path, with_audio, retrain=True)
    assert report.ok
    assert not any(each.startswith(line) for each in report.unchecked), report.unchecked


def test_changed_parameters(honest: Path, with_audio: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(honest, tmp_path / "results"))
    path = copy / _entry(honest, "mfcc|svr").path.relative_to(honest)
    content = parameters_path(path).read_bytes()
    other = parameters_path(copy / _entry(honest, "mfcc|mlp").path.relative_to(honest)).read_bytes()
    for changed, line in (
        (other, "does not fit the regressor svr"),
        (content[:100], "cannot be read as safetensors"),
        (content[:-8] + b"\0" * 8, "the features give"),
    ):
        parameters_path(path).write_bytes(changed)
        failures = _failures(_verify(path, with_audio))
        assert any("another SHA-256 than the result records (files.parameters)" in each for each in failures)
        assert any(line in each for each in failures), (line, failures)
    parameters_path(path).unlink()
    assert _verify(path, with_audio).level == "scores"


# Data, folds, hashes


def test_clips_that_were_dropped(honest: Path, task: Task, with_audio: Path, tmp_path: Path) -> None:
    result = _entry(honest, "mfcc")
    rows, values = [], []
    for fold, own in zip(task.folds, own_predictions(result), strict=True):
        kept = task.clip_index[fold.test] != task.clip_index[fold.test[0]]
        rows.append(fold.test[kept])
        values.append(own[kept])
    path = forged(result, task, tmp_path, values, rows=rows)
    assert any("has no prediction" in each for each in _failures(_verify(path, with_audio, level="scores")))


def test_folds_that_were_changed(honest: Path, task: Task, with_audio: Path, tmp_path: Path) -> None:
    result = _entry(honest, "mfcc")
    exchanged = replace(task, folds=[replace(each, train=each.test, test=each.train) for each in task.folds])
    path = forged(result, exchanged, tmp_path, _truth(exchanged))
    failures = _failures(_verify(path, with_audio))
    assert any("is not a test second (the clip is in the train part" in each for each in failures)


def test_another_seed_of_the_bootstrap(honest: Path, task: Task, with_audio: Path, tmp_path: Path) -> None:
    result = _entry(honest, "mfcc")
    hidden = forged(result, task, tmp_path / "hidden", own_predictions(result), seed=3)
    assert any("scores.mean_distance.ci95" in each for each in _failures(_verify(hidden, with_audio)))
    stated = forged(result, task, tmp_path / "stated", own_predictions(result), seed=3, config={"bootstrap_seed": 3})
    report = _verify(stated, with_audio)
    assert report.ok
    assert "the intervals are of bootstrap seed 3, which the author chose" in report.unchecked


def test_an_invented_dataset_is_not_verified(honest: Path, task: Task, with_audio: Path, tmp_path: Path) -> None:
    result = _entry(honest, "mfcc")
    dataset = json.loads(result.text)["dataset"] | {"manifest_sha256": "0" * 64}
    path = forged(result, task, tmp_path, own_predictions(result), config={"manifest": "0" * 64}, dataset=dataset)
    report = verify(path, Datasets([], with_audio, only=True), tmp_path)
    assert (report.state, report.level, report.ok) == ("not verified", None, False)


def test_invented_weights_and_files(honest: Path, task: Task, with_audio: Path, tmp_path: Path, pool: Executor) -> None:
    result = _entry(honest, "mfcc")
    networks = {"entry": ["rhythm", 0, "pre-trained"], "parts": [{"model_sha256": "0" * 64}], "networks": {}}
    model = [{"path": "rhythm-0/weights.safetensors", "sha256": "0" * 64}]
    changes = {"features": "rhythm", "layer": 0, "phase": "pre-trained", "model": model}
    path = forged(result, task, tmp_path, own_predictions(result), config=networks, **changes)
    report = _verify(path, with_audio)
    assert report.level == "regression", _failures(report)
    assert any("weights.safetensors does not exist" in each for each in report.unchecked)
    report = _verify(path, with_audio, level="features", pool=pool)
    assert (report.ok, report.level) == (False, "regression")
    assert any("there are no weights with the SHA-256" in each for each in report.missing)
    predictions_path(path).write_bytes(predictions_path(_entry(honest, "chroma|ridge").path).read_bytes())
    assert any("files.predictions" in each for each in _failures(_verify(path, with_audio)))


# What a level cannot show


def test_a_forged_cost_is_said_to_be_unverifiable(honest: Path, task: Task, with_audio: Path, tmp_path: Path) -> None:
    result = _entry(honest, "mfcc")
    path = forged(
        result, task, tmp_path, own_predictions(result), cost={"seconds_per_clip": 1e-6, "train_seconds": 1e-6}
    )
    report = _verify(path, with_audio)
    assert report.ok
    assert AUTHORS_OWN in report.unchecked


def test_external_predictions_reach_scores(honest: Path, task: Task, with_audio: Path, tmp_path: Path) -> None:
    result = _entry(honest, "mfcc")
    path = forged(result, task, tmp_path, _truth(task), external=True, regressor=None, config={"regressor": None})
    report = _verify(path, with_audio)
    assert (report.level, report.ok) == ("scores", False)
    assert "the predictions were made elsewhere" in report.missing
    assert _verify(path, with_audio, level="scores").ok
    # Without the mark they are refused.
    path = forged(result, task, tmp_path / "2", _truth(task), regressor=None, config={"regressor": None})
    assert any("has no regressor" in each for each in _failures(_verify(path, with_audio)))


def test_a_regressor_that_is_not_installed(honest: Path, task: Task, with_audio: Path, tmp_path: Path) -> None:
    result = _entry(honest, "mfcc")
    path = forged(result, task, tmp_path, _truth(task), regressor="mine", config={"regressor": "mine"})
    report = _verify(path, with_audio)
    assert (report.level, report.ok) == ("scores", False)
    assert "the regressor mine is not installed" in report.missing


def test_the_command_for_a_pull_request(
    honest: Path, task: Task, with_audio: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMOBENCH_DATA", str(with_audio))
    call = ["verify", "--all", str(Path(shutil.copytree(honest, tmp_path / "results")))]
    ran = CliRunner().invoke(app, call)
    assert ran.exit_code == 0, ran.output
    assert f"not checked   {NOT_FROM_AUDIO}" in ran.stdout
    record = json.loads(CliRunner().invoke(app, [*call, "--json"]).stdout)
    assert {each["level"] for each in record["results"]} == {"regression"}
    assert all(AUTHORS_OWN in each["unchecked"] for each in record["results"])
    result = _entry(honest, "mfcc")
    forged(result, task, tmp_path / "results", _truth(task))
    ran = CliRunner().invoke(app, call)
    assert ran.exit_code == 1
    assert f"FAILED        {tmp_path}/results" in ran.stdout
    ran = CliRunner().invoke(app, ["verify", str(result.path), "--level", "audio"])
    assert ran.exit_code == 2
    assert "--level audio: expected scores, regression, features" in ran.stderr
