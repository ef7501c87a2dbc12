"""Which of the results in a folder are finished, latest and shown, and how entries are distinguished."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import pytest
from emobench.benchmark import runs
from emobench.benchmark.features.network_config import NetworkConfig
from emobench.benchmark.report.leaderboard import load, rendered
from emobench.benchmark.results.model import predictions_path
from emobench.benchmark.results.store import ResultStore
from emobench.benchmark.scoring import scorer

from .made import change, rewrite

GetRow = Callable[[str], Path]


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
