"""Results read back: whatever lies in the folder is named with a reason, and the rest is rendered."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from emobench.benchmark import runs
from emobench.benchmark.features.networks import NetworkConfig
from emobench.benchmark.report.leaderboard import load_tables, rendered
from emobench.benchmark.results.shape import misfits
from emobench.benchmark.results.store import finished, read_results, write_result
from emobench.benchmark.scoring import scorer
from emobench.cli.main import app
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

GetRow = Callable[[str], Path]

SCHEMA = json.loads((Path(__file__).parents[2] / "benchmark" / "results" / "result.schema.json").read_text())


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    # Whatever the whole schema names in full is an object that allows nothing else.
    assert SCHEMA["additionalProperties"] is False
    for name in ("dataset", "cost", "leakage", "seals"):
        assert SCHEMA["properties"][name]["additionalProperties"] is False


def test_results_as_written_fit_the_schema(row: GetRow) -> None:
    for name in ("constant", "mine"):
        result = json.loads(row(name).read_text())
        assert misfits(result, whole=True) == []
        assert set(result) == set(SCHEMA["properties"])


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"dims": "20"}, "dims: is '20'; expected type integer"),
        ({"layer": 1}, "phase: is None; expected type string"),
        ({"created": "yesterday"}, "created: is 'yesterday'; expected pattern"),
        ({"colour": 1}, "result: holds 'colour', which the schema does not know"),
        ({"scores": {}}, "scores: lacks mean_distance, kl_divergence"),
        ({"cost": {"train_seconds": 1}}, "cost: lacks seconds_per_clip, peak_rss_mb"),
        ({"model": [{"path": "/home/me/w", "sha256": "0" * 64}]}, "model.0.path: is '/home/me/w'; expected pattern"),
        ({"phase": "tuned"}, "phase: is 'tuned'; expected enum"),
    ],
)
def test_what_does_not_fit_is_named(row: GetRow, change: dict[str, Any], line: str) -> None:
    result = json.loads(row("constant").read_text()) | change
    assert any(each.startswith(line) for each in misfits(result, whole=True)), misfits(result, whole=True)


LEFT_OUT: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "not a readable result"),
    "text": (b"hello", "not a readable result"),
    "list": (b"[]", "expected a result as a JSON object, found a list"),
    "nan": (b'{"schema": 1, "dims": NaN}', "NaN is not a finite number"),
    "latin": ('{"schema": 1, "features": "é"}'.encode("latin-1"), "not a readable result ('utf-8' codec"),
    "deep": (b"[" * 100_000, "not a readable result"),
    "foreign": (b'{"name": "x"}', "lacks schema, signature, dataset, features, layer, phase"),
    "older": (b'{"schema": 0}', "has schema 0"),
    "words": (b'{"schema": "1"}', "has schema '1'"),
    "boolean": (b'{"schema": true}', "has schema True"),
}


def test_files_that_are_no_results(results: Path, row: GetRow) -> None:
    folder = results / "tiny@1.0.0"
    for name, (content, _) in LEFT_OUT.items():
        (folder / f"{name}.json").write_bytes(content)
    (folder / "folder.json").mkdir()
    text = row("oracle").read_text()
    row("oracle").write_text(text[:-20])
    row("constant").with_suffix(".parquet").unlink()
    found, problems = load_tables(results)
    assert len(found[0].rows) == 2
    assert len(problems) == len(LEFT_OUT) + 2
    for name, (_, reason) in LEFT_OUT.items():
        (line,) = [each for each in problems if f"/{name}.json: " in each]
        assert reason in line
        assert "\n" not in line
    assert any("folder.json: not a readable result ([Errno 21] Is a directory" in each for each in problems)
    assert any(row("oracle").name in each for each in problems)


@pytest.mark.parametrize("cost", [{}, {"seconds_per_clip": "fast", "train_seconds": 1.0, "peak_rss_mb": 1.0}])
def test_a_cost_that_no_table_can_show_is_named(results: Path, row: GetRow, cost: dict[str, Any]) -> None:
    row("mine").write_text(json.dumps(json.loads(row("mine").read_text()) | {"cost": cost}))
    found, problems = load_tables(results)
    assert len(found[0].rows) == 2
    assert "not a result of schema 1 (cost" in problems[0]


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)

FIELDS = [
    ("signature",),
    ("dataset",),
    ("dataset", "manifest_sha256"),
    ("features",),
    ("layer",),
    ("phase",),
    ("dims",),
    ("regressor",),
    ("n_clips",),
    ("scores",),
    ("scores", "mean_distance"),
    ("scores", "mean_distance", "mean"),
    ("scores", "kl_divergence", "std"),
    ("scores", "rmse_valence", "ci95"),
    ("covariance_repaired",),
    ("cost",),
    ("config",),
    ("config", "leakage"),
    ("config", "carry_over"),
    ("config", "parts"),
    ("model",),
    ("albums",),
    ("excluded",),
    ("leakage",),
    ("environment",),
    ("predictions_sha256",),
    ("targets_repaired",),
    ("seals",),
    ("created",),
]


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(field=st.sampled_from(FIELDS), value=VALUES)
def test_any_wrong_value_is_left_out_or_rendered(
    results: Path, row: GetRow, field: tuple[str, ...], value: Any
) -> None:
    text = row("mine").read_text()
    result = json.loads(text)
    inside = result
    for name in field[:-1]:
        inside = inside[name]
    inside[field[-1]] = value
    changed = row("mine").with_name("changed.json")
    changed.write_text(json.dumps(result | {"created": "2999"} if field != ("created",) else result))
    try:
        tables, problems = load_tables(results)
        for form in ("rich", "markdown", "latex", "csv", "json"):
            assert rendered(tables, form)
        assert all("changed.json" in problem for problem in problems)
    finally:
        changed.unlink()


@pytest.mark.parametrize("command", ["leaderboard", "list results", "publish leaderboard ann/board --dry-run"])
def test_one_malformed_result_is_skipped_and_named(results: Path, row: GetRow, command: str) -> None:
    path = row("mine")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model": True}))
    ran = CliRunner().invoke(app, [*command.split(), "--results", str(results)])
    assert ran.exit_code == 0, ran.output
    named = [line for line in ran.output.splitlines() if path.name in line and "model: is True" in line]
    assert len(named) == 1
    assert "constant" in ran.output


def test_a_damaged_result_is_not_finished(row: GetRow) -> None:
    path = row("mine")
    assert finished(path) == json.loads(path.read_text())
    text = path.read_text()
    path.write_text(text.replace('"dims": 2', '"dims": 3'))
    assert finished(path) is None
    path.write_text(text[:-10])
    assert finished(path) is None
    path.write_text(text)
    path.with_suffix(".parquet").write_bytes(b"")
    assert finished(path) is None


def test_rows_that_leak_stand_beside_the_others(results: Path, row: GetRow) -> None:
    result = json.loads(row("mine").read_text())
    result["config"]["leakage"] = ["file:mine.csv holds targets: column <b>x</b> is arousal"]
    row("mine").with_name("leaks.json").write_text(json.dumps(result | {"signature": "other"}))
    assert len(read_results(results).rows) == 4
    tables, problems = load_tables(results)
    assert problems == []
    for form in ("rich", "markdown", "latex", "csv", "json"):
        text = rendered(tables[:1], form).replace("\\", "")
        assert text.count("[leakage allowed]") == 1, form
    assert any("column <b>x</b> is arousal" in note for note in tables[0].notes)
    assert "&lt;b&gt;x&lt;/b&gt;" in rendered(tables, "markdown")


def _again(path: Path, name: str, **changes: Any) -> None:
    """Write a result once more, under another name, with other values in its configuration."""
    result = json.loads(path.read_text())
    result["config"] |= changes.pop("config", {})
    path.with_name(f"{name}.json").write_text(json.dumps(result | changes))
    shutil.copyfile(path.with_suffix(".parquet"), path.with_name(f"{name}.parquet"))


def test_other_versions_make_no_other_row_and_other_settings_do(results: Path, row: GetRow) -> None:
    path = row("mine")
    before = len(read_results(results).rows)
    _again(
        path, "newer", signature="newer", created="2999-01-01", config={"versions": {"numpy": "9"}, "decoder": "other"}
    )
    found = read_results(results)
    assert len(found.rows) == before
    assert [each["signature"] for each in found.rows if each["features"] == "file:mine.csv"] == ["newer"]
    _again(path, "other", signature="0123456789ab", created="2999", config={"parts": ["another file"]})
    found = read_results(results)
    assert len(found.rows) == before + 1
    own = [each for each in found.rows if each["features"] == "file:mine.csv"]
    assert {each["variant"] for each in own} == {"newer", "012345"}
    assert all("variant" not in each for each in found.rows if each not in own)
    tables, _ = load_tables(results)
    shown = rendered(tables[:1], "markdown").replace("\\", "")
    assert "file:mine.csv [012345]" in shown
    assert "file:mine.csv [newer]" in shown


def test_the_result_that_was_written_last_stands_whatever_the_clock_says(results: Path, row: GetRow) -> None:
    path = row("mine")
    result = json.loads(path.read_text())
    assert result["sequence"] == 1
    path.write_text(json.dumps(result | {"created": "2999-01-01T00:00:00+00:00"}))
    newer = {name: value for name, value in result.items() if name not in ("seals", "created", "sequence")}
    newer |= {"signature": "0123456789ab", "config": {**result["config"], "versions": {"emobench": "9"}}}
    predictions = pl.read_parquet(path.with_suffix(".parquet"))
    written = write_result(path.with_name("mine-0123456789ab.json"), newer, predictions)
    assert written["sequence"] == 2
    assert written["created"] < "2999"
    rows = [each for each in read_results(results).rows if each["features"] == "file:mine.csv"]
    assert [each["signature"] for each in rows] == ["0123456789ab"]


def test_a_finished_result_that_is_run_again_stands_again(
    finished_run: Path, tmp_path: Path, pool: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = runs.Places(dataset=finished_run / "data" / "tiny", out=tmp_path / "results", models=tmp_path)

    def run() -> tuple[str, int]:
        outcome = runs.run(["constant"], places, runs.RunConfig(), NetworkConfig(), device="cpu", pool=pool)
        return outcome.results[0]["signature"], outcome.computed

    def standing() -> list[str]:
        found = read_results(tmp_path / "results")
        assert found.problems == []
        return [each["signature"] for each in found.rows if each["features"] == "constant"]

    first = run()
    with monkeypatch.context() as other:
        other.setattr(scorer, "package_versions", lambda: {"emobench": "9.9.9"})
        second = run()
    assert (first[1], second[1]) == (2, 2)
    assert standing() == [second[0]]
    assert run() == (first[0], 0)
    assert standing() == [first[0]]
    paths = list((tmp_path / "results").rglob("constant-*.json"))
    assert sorted(json.loads(path.read_text())["sequence"] for path in paths) == [2, 3]


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("2026-01-01T02:00:00+02:00", "2026-01-01T00:30:00+00:00"),
        ("yesterday", "2026-01-01T00:00:00+00:00"),
    ],
)
def test_times_are_compared_as_times(results: Path, row: GetRow, older: str, newer: str) -> None:
    path = row("mine")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"created": older, "sequence": 1}))
    _again(path, "newer", signature="newer", created=newer, config={"versions": {"numpy": "9"}})
    rows = [each for each in read_results(results).rows if each["features"] == "file:mine.csv"]
    assert [each["signature"] for each in rows] == ["newer"]


def test_a_copy_without_predictions_does_not_take_the_place_of_its_row(results: Path, row: GetRow) -> None:
    path = row("mine")
    before = read_results(results)
    for name, changes in (("zz", {}), ("yy", {"created": "2999"}), ("xx", {"config": {"row": ["mfcc", None, None]}})):
        _again(path, name, **changes)
        path.with_name(f"{name}.parquet").unlink()
    found = read_results(results)
    assert (found.rows, found.paths) == (before.rows, before.paths)
    signature = json.loads(path.read_text())["signature"]
    assert {line.split(":")[0] for line in found.problems} == {
        str(path.with_name(f"{n}.json")) for n in ("xx", "yy", "zz")
    }
    assert signature in str(path)
    assert all(f"has the signature of {path}, which stands" in line for line in found.problems)


def test_rows_of_several_models_are_told_apart_in_every_layer(results: Path, row: GetRow) -> None:
    path = row("mine")
    for number, (layer, phase, model) in enumerate(
        [
            (0, "pre-trained", "aaaaaaa"),
            (0, "fine-tuned", "aaaaaaa"),
            (1, "pre-trained", "aaaaaaa"),
            (0, "pre-trained", "bbbbbbb"),
        ]
    ):
        signature = f"deep{number}"
        models = [{"path": "x", "sha256": model * 10}]
        part = {"config": {"row": ["rhythm", layer, phase], "parts": [{"model_sha256": model * 10}]}}
        _again(path, signature, signature=signature, features="rhythm", layer=layer, phase=phase, model=models, **part)
    found = {each["signature"]: each.get("variant") for each in read_results(results).rows}
    assert [found[f"deep{number}"] for number in range(4)] == ["model aaaaaa"] * 3 + ["model bbbbbb"]
    tables, _ = load_tables(results)
    (deep,) = (table for table in tables if "networks" in table.title)
    assert [row[:2] for row in deep.rows] == [
        ("Layer 0", "Rhythm [model aaaaaa]"),
        ("Layer 1", "Rhythm [model aaaaaa]"),
        ("Layer 0", "Rhythm [model bbbbbb]"),
    ]
    # Both phases of a model stand in one row.
    assert [row[6] == "not run" for row in deep.rows] == [False, True, True]
