"""Reading results: invalid files in the folder are named with a reason, and the others are rendered."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from emobench.benchmark import runs
from emobench.benchmark.features.network_config import NetworkConfig
from emobench.benchmark.report.leaderboard import load, rendered
from emobench.benchmark.results.model import json_schema, predictions_path
from emobench.benchmark.results.reading import InvalidResultError
from emobench.benchmark.results.reading import load as load_result
from emobench.benchmark.results.store import ResultStore
from emobench.benchmark.scoring import scorer
from emobench.cli.main import app
from emobench.errors import InputError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from .made import change, rewrite

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


def _store(path: Path) -> ResultStore:
    return ResultStore(path.parents[1])


def _signatures(results: Path, features: str = "file:mine.csv") -> list[str]:
    return [each.signature for each in ResultStore(results).results if each.features == features]


def test_a_damaged_result_is_not_finished(row: GetRow) -> None:
    path = row("mine")
    assert _store(path).finished(path) == _store(path).read(path)
    text = path.read_text()
    path.write_text(text.replace('"dims": 2', '"dims": 3'))
    assert _store(path).finished(path) is None
    path.write_text(text[:-10])
    assert _store(path).finished(path) is None
    path.write_text(text)
    predictions_path(path).write_bytes(b"")
    assert _store(path).finished(path) is None


def test_entries_that_leak_are_marked(results: Path, row: GetRow) -> None:
    leak = "file:mine.csv contains targets: column <b>x</b> is arousal"
    change(
        row("mine"), lambda result: (result["config"].update(leakage=[leak]), result.update(signature="0" * 12)), "x"
    )
    board = load(results)
    assert len(board.store.results) == 6
    assert board.store.problems == []
    for form in ("rich", "markdown", "latex", "csv", "json"):
        text = rendered(board.tables[:1], form).replace("\\", "")
        assert text.count("[leakage allowed]") == 1, form
    assert any("column <b>x</b> is arousal" in note for note in board.tables[0].notes)
    assert "&lt;b&gt;x&lt;/b&gt;" in rendered(board.tables, "markdown")


def _again(path: Path, name: str, **changes: Any) -> None:
    """Write a result again under another name, with other values in its configuration."""

    def how(result: dict[str, Any]) -> None:
        result["config"] |= changes.pop("config", {})
        result |= changes

    change(path, how, name)


def test_other_versions_make_no_other_entry_and_other_settings_do(results: Path, row: GetRow) -> None:
    path = row("mine")
    before = len(ResultStore(results).results)
    newer = {"versions": {"numpy": "9"}, "decoder": "other"}
    _again(path, "newer", signature="a" * 12, created="2999-01-01T00:00:00+00:00", config=newer)
    assert len(ResultStore(results).results) == before
    assert _signatures(results) == ["a" * 12]
    _again(path, "other", signature="0123456789ab", config={"parts": ["another file"]})
    board = load(results)
    assert len(board.store.results) == before + 1
    variants = board.store.variants
    assert [variants[signature] for signature in sorted(_signatures(results))] == ["012345", "aaaaaa"]
    assert sum(map(bool, variants.values())) == 2
    shown = rendered(board.tables[:1], "markdown").replace("\\", "")
    assert "file:mine.csv [012345]" in shown
    assert "file:mine.csv [aaaaaa]" in shown


def test_the_result_that_was_written_last_is_kept_whatever_the_clock_says(results: Path, row: GetRow) -> None:
    path = row("mine")
    result = json.loads(path.read_text())
    assert result["sequence"] == 1
    path.write_text(json.dumps(result | {"created": "2999-01-01T00:00:00+00:00"}))
    config = {**result["config"], "versions": {"emobench": "9"}}
    shutil.copy(predictions_path(path), path.with_name("mine-0123456789ab.predictions.parquet"))
    written = rewrite(
        path.with_name("mine-0123456789ab.json"), result | {"signature": "0123456789ab", "config": config}
    )
    assert written.sequence == 2
    assert written.created < "2999"
    assert _signatures(results) == ["0123456789ab"]


def test_a_finished_result_that_is_run_again_is_the_latest_again(
    finished_run: Path, tmp_path: Path, pool: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = runs.Places(dataset=finished_run / "data" / "tiny", out=tmp_path / "results", models=tmp_path)

    def run() -> tuple[str, int]:
        outcome = runs.run(["constant"], places, runs.RunConfig(), NetworkConfig(), device="cpu", pool=pool)
        return outcome.results[0].signature, outcome.computed

    def kept() -> list[str]:
        assert ResultStore(tmp_path / "results").problems == []
        return _signatures(tmp_path / "results", "constant")

    first = run()
    with monkeypatch.context() as other:
        other.setattr(scorer, "package_versions", lambda: {"emobench": "9.9.9"})
        second = run()
    assert (first[1], second[1]) == (4, 4)
    assert kept() == [second[0]]
    assert run() == (first[0], 0)
    assert kept() == [first[0]]
    paths = list((tmp_path / "results").rglob("constant-*.json"))
    assert sorted(json.loads(path.read_text())["sequence"] for path in paths) == [2, 3]


def test_times_are_compared_as_times(results: Path, row: GetRow) -> None:
    path = row("mine")
    change(path, lambda result: result.update(created="2026-01-01T02:00:00+02:00"))
    newer = {"signature": "a" * 12, "created": "2026-01-01T00:30:00+00:00"}
    _again(path, "newer", config={"versions": {"numpy": "9"}}, **newer)
    assert _signatures(results) == ["a" * 12]


def test_a_copy_without_predictions_does_not_replace_its_entry(results: Path, row: GetRow) -> None:
    path = row("mine")
    before = ResultStore(results).results
    later = {"created": "2999-01-01T00:00:00+00:00"}
    for name, changes in (("zz", {}), ("yy", later), ("xx", {"config": {"entry": ["mfcc", None, None]}})):
        _again(path, name, **changes)
        predictions_path(path.with_name(f"{name}.json")).unlink()
    found = ResultStore(results)
    assert found.results == before
    assert {line.split(":")[0] for line in found.problems} == {
        str(path.with_name(f"{n}.json")) for n in ("xx", "yy", "zz")
    }
    assert all(f"is a copy of {path} (same signature) and is left out" in line for line in found.problems)


def test_entries_of_several_models_are_distinguished_in_every_layer(results: Path, row: GetRow) -> None:
    path = row("mine")
    for number, (layer, phase, model) in enumerate(
        [(0, "pre-trained", "a"), (0, "fine-tuned", "a"), (1, "pre-trained", "a"), (0, "pre-trained", "b")]
    ):
        signature = f"{number:012}"
        models = [{"path": "x/y", "sha256": model * 64}]
        part = {"config": {"entry": ["rhythm", layer, phase], "parts": [{"model_sha256": model * 64}]}}
        _again(path, signature, signature=signature, features="rhythm", layer=layer, phase=phase, model=models, **part)
    board = load(results)
    assert [board.store.variants[f"{number:012}"] for number in range(4)] == ["model aaaaaa"] * 3 + ["model bbbbbb"]
    (deep,) = (table for table in board.tables if "networks" in table.title)
    assert [row[:2] for row in deep.rows] == [
        ("Layer 0", "Rhythm [model aaaaaa]"),
        ("Layer 1", "Rhythm [model aaaaaa]"),
        ("Layer 0", "Rhythm [model bbbbbb]"),
    ]
    # Both phases of a model are in one table row.
    assert [row[6] == "not run" for row in deep.rows] == [False, True, True]


def test_external_predictions_have_a_table_of_their_own(results: Path, row: GetRow) -> None:
    change(row("mine"), lambda result: result.update(external=True, regressor=None, dims=None))
    tables = load(results).tables
    assert [[row[0] for row in table.rows] for table in tables[:2]] == [
        [
            "constant (training mean)",
            "oracle (clip mean)",
            "human (one half of the annotators)",
            "ceiling (population of annotators)",
        ],
        ["file:mine.csv"],
    ]
    assert tables[1].title == "Predictions made outside emobench: tiny@1.0.0"
