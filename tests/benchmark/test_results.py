"""Reading results: invalid files in the folder are named with a reason, and the others are rendered."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from emobench.benchmark.report.leaderboard import load, rendered
from emobench.benchmark.results.model import json_schema, predictions_path
from emobench.benchmark.results.reading import InvalidResultError
from emobench.benchmark.results.reading import load as load_result
from emobench.benchmark.results.store import ResultStore
from emobench.cli.main import app
from emobench.errors import InputError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

GetRow = Callable[[str], Path]

SCHEMA = Path(__file__).parents[2] / "benchmark" / "results" / "result.schema.json"


def _objects(schema: Any) -> Iterator[dict[str, Any]]:
    inner = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
    if isinstance(schema, dict) and "properties" in schema:
        yield schema
    for each in inner:
        yield from _objects(each)


def test_the_schema_is_that_of_the_model() -> None:
    text = SCHEMA.read_text()
    assert text == json_schema(), "run 'make schema'"
    schema = json.loads(text)
    assert set(schema["properties"]) == set(schema["required"])
    # Every object with named fields requires them all and allows no others.
    for each in _objects(schema):
        assert each["additionalProperties"] is False
        assert set(each["required"]) == set(each["properties"])
    assert schema["properties"]["schema"]["const"] == 2


def test_results_as_written_are_valid(row: GetRow) -> None:
    for name in ("constant", "mine"):
        result = ResultStore(row(name).parents[1]).read(row(name))
        assert result.to_json() == result.text == row(name).read_text()
        assert set(json.loads(result.text)) == set(json.loads(SCHEMA.read_text())["properties"])
        assert repr(result).startswith(f"Result('{result.features}' on tiny@1.0.0, mean distance 0.")
        assert result.predictions.equals(pl.read_parquet(predictions_path(row(name))))


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"dims": "20"}, "dims: is '20'; should be a valid integer"),
        ({"dims": -1}, "dims: is -1; should be greater than or equal to 0"),
        ({"layer": 1}, "phase should be null if and only if layer is null"),
        ({"created": "yesterday"}, "created: is 'yesterday'; Invalid isoformat string"),
        ({"created": "2026-01-01"}, "created: is '2026-01-01'; should have a time zone"),
        ({"colour": 1}, "colour: is not a field of a result"),
        ({"scores": {}}, "scores should hold kl_divergence and mean_distance"),
        ({"cost": {"watts": 1}}, "cost.watts: is not a field of a result"),
        ({"cost": None}, "cost: is None; should be an object"),
        (
            {"model": [{"path": "/home/me/w", "sha256": "0" * 64}]},
            "model.0.path: is '/home/me/w'; should match pattern",
        ),
        ({"phase": "tuned"}, "phase: is 'tuned'; should be 'pre-trained', 'fine-tuned', 'random' or"),
        ({"covariance_repaired": True}, "covariance_repaired: is True; should be a valid number"),
    ],
)
def test_invalid_fields_are_named(row: GetRow, change: dict[str, Any], line: str) -> None:
    path = row("constant")
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InvalidResultError) as caught:
        load_result(path)
    assert any(each.startswith(line) for each in caught.value.lines), caught.value.lines
    assert str(caught.value).startswith(f"{path}: not a valid result (")


def test_results_without_stored_features_are_refused_in_one_line(row: GetRow) -> None:
    path = row("mine")
    result = json.loads(path.read_text())
    del result["digests"], result["files"]["parameters"], result["config"]["widths"]
    path.write_text(json.dumps(result | {"seals": {"fields": {}, "columns": {}, "repeats": {}, "seals": "0" * 12}}))
    with pytest.raises(InputError) as caught:
        load_result(path)
    assert str(caught.value) == (
        f"{path}: was written by an older emobench, without the features that the regressor saw. Run the same "
        "'emobench run' again to recreate it."
    )


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize(
    "field", ['("dims": )[0-9]+', '("train_seconds": )[0-9.e-]+', r'("phases": \[\s*)"pre-trained"']
)
def test_numbers_that_are_not_finite_are_refused(row: GetRow, field: str, number: str) -> None:
    path = row("mine")
    text = re.sub(field, rf"\g<1>{number}", path.read_text())
    assert number in text
    path.write_text(text)
    with pytest.raises(InvalidResultError):
        load_result(path)


LEFT_OUT: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "not a readable result (Invalid JSON: EOF"),
    "text": (b"hello", "not a readable result"),
    "list": (b"[]", "expected a JSON object, not []"),
    "nan": (b'{"schema": 2, "dims": NaN}', "signature: is missing"),
    "latin": ('{"schema": 1, "features": "é"}'.encode("latin-1"), "not a readable result ('utf-8' codec"),
    "deep": (b"[" * 100_000, "not a readable result"),
    "foreign": (b'{"name": "x"}', "is not a result of emobench"),
    "older": (b'{"schema": 1}', "was written by an older emobench (schema 1). Run the same"),
    "words": (b'{"schema": "2"}', "has schema '2'; this emobench reads schema 2"),
    "boolean": (b'{"schema": true}', "has schema True; this"),
}


def test_files_that_are_not_results(results: Path, row: GetRow) -> None:
    folder = results / "tiny@1.0.0"
    for name, (content, _) in LEFT_OUT.items():
        (folder / f"{name}.json").write_bytes(content)
    (folder / "folder.json").mkdir()
    text = row("oracle").read_text()
    row("oracle").write_text(text[:-20])
    row("constant").with_suffix(".predictions.parquet").unlink()
    board = load(results)
    found, problems = board.tables, board.store.problems
    assert len(found[0].rows) == 4
    assert len(problems) == len(LEFT_OUT) + 2
    for name, (_, reason) in LEFT_OUT.items():
        (line,) = [each for each in problems if f"/{name}.json: " in each]
        assert reason in line
        assert "\n" not in line
    assert any("folder.json: not a readable result (Is a directory)" in each for each in problems)
    assert any(row("oracle").name in each for each in problems)


@pytest.mark.parametrize("cost", [[], {"seconds_per_clip": "fast", "train_seconds": 1.0, "peak_rss_mb": 1.0}])
def test_a_cost_that_no_table_can_show_is_named(results: Path, row: GetRow, cost: Any) -> None:
    row("mine").write_text(json.dumps(json.loads(row("mine").read_text()) | {"cost": cost}))
    board = load(results)
    found, problems = board.tables, board.store.problems
    assert len(found[0].rows) == 4
    assert "not a valid result (cost" in problems[0]


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
    ("files",),
    ("files", "features"),
    ("external",),
    ("feature_metadata",),
    ("task",),
    ("targets_repaired",),
    ("digests",),
    ("created",),
]


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(field=st.sampled_from(FIELDS), value=VALUES)
def test_results_with_any_wrong_value_are_skipped_or_rendered(
    results: Path, row: GetRow, field: tuple[str, ...], value: Any
) -> None:
    text = row("mine").read_text()
    result = json.loads(text)
    inside = result
    for name in field[:-1]:
        inside = inside[name]
    inside[field[-1]] = value
    changed = row("mine").with_name("changed.json")
    changed.write_text(
        json.dumps(result | {"created": "2999-01-01T00:00:00+00:00"} if field != ("created",) else result)
    )
    try:
        board = load(results)
        tables, problems = board.tables, board.store.problems
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
    named = [line for line in ran.output.splitlines() if path.name in line and "model: is True; should be" in line]
    assert len(named) == 1
    assert "constant" in ran.output
