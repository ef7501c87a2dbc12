"""Verification of results: every changed digit and cell is found and named, and so are forged results."""

from __future__ import annotations

import json
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from emobench.benchmark.results.checks import Level, Report
from emobench.benchmark.results.model import predictions_path
from emobench.benchmark.results.verify import verify
from emobench.benchmark.results.verify_data import Datasets
from emobench.builders.targets import PARAMETERS
from emobench.cli.main import app
from emobench.errors import EmobenchError, InputError
from emobench.runtime.files import sha256_file
from typer.testing import CliRunner

from .made import rewrite, signature

GetRow = Callable[[str], Path]


@pytest.fixture(scope="module")
def datasets(finished_run: Path) -> Datasets:
    return Datasets([], finished_run / "data", only=True)


def _failures(report: Report) -> list[str]:
    return [f"{check.name}: {line}" for check in report.checks for line in check.failures]


def _states(report: Report) -> dict[str, str]:
    return {check.name: check.state for check in report.checks}


def _verify(path: Path, datasets: Datasets, level: Level = "regression") -> Report:
    return verify(path, datasets, path.parent / "models", level=level)


def test_a_new_result_is_verified(row: GetRow, datasets: Datasets) -> None:
    for name in ("constant", "oracle", "mine"):
        report = _verify(row(name), datasets)
        assert report.ok, _failures(report)
        assert set(_states(report).values()) == {"ok"}
        assert list(_states(report)) == [
            "file",
            "predictions",
            "signature",
            "scores",
            "dataset",
            "targets and folds",
            "regression",
        ]


# Changed digits and cells

SECTIONS = ("dataset", "scores", "cost", "config", "environment")


def _field(text: str, position: int) -> str:
    """Return the field at a position of indented JSON, to the depth of the digests."""
    lines = text[:position].count("\n") + 1
    keys: list[str] = []
    depth = 1000
    for line in reversed(text.split("\n")[:lines]):
        indent = len(line) - len(line.lstrip())
        if indent < depth:
            depth = indent
            named = re.match(r'\s*"([^"]*)":', line)
            keys = [named[1], *keys] if named else keys
    return ".".join(keys[:2]) if keys[0] in SECTIONS else keys[0]


@pytest.mark.parametrize("step", [5, pytest.param(1, marks=pytest.mark.slow)])
def test_any_changed_digit_is_found_and_named(row: GetRow, datasets: Datasets, step: int) -> None:
    path = row("mine")
    text = path.read_text()
    generator = random.Random(0)
    digits = [match.start() for match in re.finditer(r"\d", text)]
    # One random digit of every line with digits, or of every fifth.
    by_line: dict[int, list[int]] = {}
    for position in digits:
        by_line.setdefault(text[:position].count("\n"), []).append(position)
    for positions in list(by_line.values())[::step]:
        position = generator.choice(positions)
        digit = generator.choice([each for each in "0123456789" if each != text[position]])
        changed = text[:position] + digit + text[position + 1 :]
        path.write_text(changed)
        field = _field(text, position)
        # The last digit of a number may make no difference to its value.
        if json.loads(changed) == json.loads(text):
            continue
        try:
            failures = _failures(_verify(path, datasets, "scores"))
        except EmobenchError as error:
            failures = [str(error)]
        # A changed field name is identified by what remains of it, and a changed digest by the field it is of.
        lines = [text[:position].count("\n") for each in failures if field == "digests"]
        named = text.split("\n")[lines[0]].split('"')[1] if lines else field
        assert any(named[:-3] in each for each in failures), (named, failures)


def test_any_changed_cell_is_found_and_named(row: GetRow, datasets: Datasets) -> None:
    path = row("mine")
    table = pl.read_parquet(predictions_path(path))
    generator = random.Random(0)
    for name in table.columns:
        place = generator.randrange(len(table))
        old = table[name][place]
        text = name in ("repeat", "clip_id")
        for added in (0 if text else 1e-15 * old, 1e-4):
            new = {"repeat": 7, "clip_id": "c999"}[name] if text else old + added
            assert new != old
            cells = table[name].to_list()
            cells[place] = new
            table.with_columns(pl.Series(name, cells, dtype=table[name].dtype)).write_parquet(predictions_path(path))
            failures = _failures(_verify(path, datasets))
            assert any("has another SHA-256 than the result records" in each for each in failures)
        # What is not within rounding is named, by the check that computes it again.
        repeat, clip = (7, "c999") if text else (table["repeat"][place], table["clip_id"][place])
        assert any(f"repeat {repeat}" in each or f"clip {clip}" in each for each in failures), failures
        if name in PARAMETERS:
            named = f"regression: predictions: column {name}, repeat {repeat}, clip {clip}"
            assert any(each.startswith(named) for each in failures)


def test_a_changed_byte_of_the_predictions_is_found(row: GetRow, datasets: Datasets) -> None:
    result, path = row("constant"), predictions_path(row("constant"))
    content = path.read_bytes()
    generator = random.Random(0)
    for _ in range(30):
        place = generator.randrange(len(content))
        path.write_bytes(content[:place] + bytes([content[place] ^ 1 << generator.randrange(8)]) + content[place + 1 :])
        failures = _failures(_verify(result, datasets))
        assert any(path.name in each and "SHA-256" in each for each in failures)


def test_a_wrong_score_is_named_with_the_right_one(row: GetRow, datasets: Datasets) -> None:
    path = row("constant")
    result = json.loads(path.read_text())
    right = result["scores"]["kl_divergence"]["ci95"][1]
    result["scores"]["kl_divergence"]["ci95"][1] = 0.25
    rewrite(path, result)
    assert _failures(_verify(path, datasets)) == [
        f"scores: scores.kl_divergence.ci95[1]: is 0.25; the predictions give {right!r}"
    ]


# Forged: rewritten with matching digests


def test_targets_that_differ_from_the_dataset(row: GetRow, datasets: Datasets) -> None:
    path = row("constant")
    table = pl.read_parquet(predictions_path(path))
    first = table.row(0, named=True)
    eased = (pl.col("clip_id") == first["clip_id"]) & (pl.col("time") == first["time"])
    table = table.with_columns(pl.when(eased).then("arousal").otherwise("true_arousal").alias("true_arousal"))
    rewrite(path, json.loads(path.read_text()), table)
    failures = _failures(_verify(path, datasets))
    assert any(each.startswith("scores: scores.mean_distance.mean: is ") for each in failures)
    (named,) = [each for each in failures if each.startswith("targets and folds")]
    assert f"column true_arousal, repeat {first['repeat']}, clip {first['clip_id']}, {first['time']:g} s: is " in named
    assert f"the dataset's target is {first['true_arousal']!r}" in named


def test_clips_that_were_left_out_or_never_tested(row: GetRow, datasets: Datasets, finished_run: Path) -> None:
    path = row("constant")
    table = pl.read_parquet(predictions_path(path))
    result = json.loads(path.read_text())
    hard = table.row(0, named=True)["clip_id"]
    rewrite(path, result, table.filter((pl.col("clip_id") != hard) | (pl.col("repeat") != 0)))
    failures = _failures(_verify(path, datasets))
    assert any(
        f"repeat 0, clip {hard}, 1 s has no prediction (the clip is in the test part" in each for each in failures
    )
    folds = pl.read_parquet(finished_run / "data" / "tiny" / "folds" / "train-00000.parquet")
    seen = folds.filter((pl.col("repeat") == 0) & (pl.col("split") == "train"))["clip_id"][0]
    swapped = pl.when((pl.col("clip_id") == hard) & (pl.col("repeat") == 0)).then(pl.lit(seen)).otherwise("clip_id")
    rewrite(path, result, table.with_columns(swapped.alias("clip_id")))
    failures = _failures(_verify(path, datasets))
    assert any(
        f"repeat 0, clip {seen}, 1 s is not a test second (the clip is in the train" in each for each in failures
    )
    twice = pl.concat([table, table.head(1)])
    rewrite(path, result, twice)
    assert any("occurs twice in repeat 0" in each for each in _failures(_verify(path, datasets)))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"features": "mfcc"}, "features: is 'mfcc'; config.entry says 'constant'"),
        ({"regressor": "ridge"}, "regressor: is 'ridge'; config.regressor says 'mlr'"),
        ({"signature": "0123456789ab"}, "signature: is 0123456789ab; config gives "),
        ({"n_clips": 14}, "n_clips: is 14; the dataset says 15"),
        ({"excluded": {"c001": "silent"}}, "excluded: is {'c001': 'silent'}; the dataset says {}"),
    ],
)
def test_fields_that_contradict_each_other(row: GetRow, datasets: Datasets, change: dict[str, Any], named: str) -> None:
    path = row("constant")
    rewrite(path, json.loads(path.read_text()) | change)
    assert any(named in each for each in _failures(_verify(path, datasets)))


def test_everything_that_determines_the_scores_is_in_the_signature(row: GetRow, datasets: Datasets) -> None:
    path = row("mine")
    whole = json.loads(path.read_text())
    for name, changed in {
        "parts": [["file", "0" * 64]],
        "bootstrap_seed": 1,
        "decoder": "9.9.9",
        "versions": {**whole["config"]["versions"], "numpy": "0.1"},
        "leakage": ["something"],
        "carry_over": True,
    }.items():
        rewrite(path, whole | {"config": {**whole["config"], name: changed}})
        assert any("signature: is " in each and name in each for each in _failures(_verify(path, datasets)))


# What cannot be checked


def test_without_the_dataset_scores_and_intervals_are_checked(row: GetRow) -> None:
    report = verify(row("mine"), Datasets([], Path("nowhere"), only=True), Path("models"))
    assert not report.failed
    assert report.state == "not verified"
    states = _states(report)
    assert (states["scores"], states["dataset"], states["targets and folds"]) == ("ok", "not checked", "not checked")
    assert "intervals" not in states


def test_the_dataset_must_match(row: GetRow, finished_run: Path, tmp_path: Path) -> None:
    place = Path(shutil.copytree(finished_run / "data" / "tiny", tmp_path / "tiny"))
    named = Datasets([place], tmp_path, only=True)
    assert _verify(row("mine"), named).ok
    (place / "targets" / "train-00000.parquet").write_bytes(b"cut")
    (place / "README.md").unlink()
    failures = _failures(_verify(row("mine"), Datasets([place], tmp_path, only=True)))
    assert any("targets/train-00000.parquet: was changed after it was built" in each for each in failures)
    assert any("README.md: is missing, but listed in the manifest" in each for each in failures)
    manifest = place / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"seed": 0', '"seed": 9'))
    failures = _failures(_verify(row("mine"), Datasets([place], tmp_path, only=True)))
    assert any("tiny is tiny@1.0.0, but has another manifest" in each for each in failures)
    # Another dataset in the default place is not used.
    found = _verify(row("mine"), Datasets([], tmp_path, only=True))
    assert found.state == "not verified"
    assert _states(found)["dataset"] == "not checked"
    manifest.write_text(manifest.read_text().replace('"version": "1.0.0"', '"version": "2.0.0"'))
    failures = _failures(_verify(row("mine"), Datasets([place], tmp_path, only=True)))
    assert any("is tiny@2.0.0; the result was made on tiny@1.0.0" in each for each in failures)
    with pytest.raises(InputError, match="no dataset there"):
        Datasets([tmp_path / "none"], tmp_path, only=True)


@pytest.mark.parametrize("invented", [False, True])
def test_without_the_dataset_nothing_is_verified(
    row: GetRow, finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, invented: bool
) -> None:
    path = row("mine")
    monkeypatch.setenv("EMOBENCH_DATA", str(finished_run / "data" if invented else tmp_path))
    if invented:
        result = json.loads(path.read_text())
        result["dataset"]["manifest_sha256"] = result["config"]["manifest"] = "0" * 64
        result["signature"] = signature(result)
        forged = path.with_name(f"mine-{result['signature']}.json")
        for end in (".json", ".predictions.parquet", ".features.parquet"):
            path.with_suffix(end).rename(forged.with_suffix(end))
        path = forged
        rewrite(path, result)
    for arguments in (["verify", str(path)], ["verify", "--all", str(path.parents[1])]):
        ran = CliRunner().invoke(app, arguments)
        assert ran.exit_code == 1
        assert "FAILED" not in ran.stdout
        why = "tiny has another manifest" if invented else "tiny does not exist"
        lines = [line for line in ran.stdout.splitlines() if line.startswith("not verified")]
        assert lines
        assert any(f"{why}; give the dataset with --dataset" in line for line in lines)
        record = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
        assert record["ok"] is False
        one = record if "state" in record else next(each for each in record["results"] if each["path"] == str(path))
        assert one["state"] == "not verified"
    monkeypatch.setenv("EMOBENCH_DATA", str(finished_run / "data"))
    if not invented:
        ran = CliRunner().invoke(app, ["verify", str(path)])
        assert (ran.exit_code, ran.stdout.splitlines()[-1]) == (0, "verified to regression")


def test_weights(row: GetRow, datasets: Datasets, tmp_path: Path) -> None:
    path = row("mine")
    result = json.loads(path.read_text())
    weights = tmp_path / "models" / "rhythm-0" / "weights.safetensors"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"weights")
    hashed = sha256_file(weights)
    result["model"] = [{"path": "rhythm-0/weights.safetensors", "sha256": hashed}]
    result["config"]["parts"] = [{"model_sha256": hashed}]
    rewrite(path, result)
    assert _states(verify(path, datasets, tmp_path / "models"))["weights"] == "ok"
    assert _states(verify(path, datasets, tmp_path / "none"))["weights"] == "not checked"
    weights.write_bytes(b"others")
    failures = _failures(verify(path, datasets, tmp_path / "models"))
    assert any("weights.safetensors has another SHA-256 than the result records" in each for each in failures)
    result["model"][0]["sha256"] = sha256_file(weights)
    rewrite(path, result)
    failures = _failures(verify(path, datasets, tmp_path / "models"))
    assert any(each.startswith("signature: model: is ") for each in failures)
