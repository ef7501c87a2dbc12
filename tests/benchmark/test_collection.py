"""Checks of a folder of results: names, duplicates, unexpected files, and one line per file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from emobench.benchmark.results.collection import Collection, verify_all
from emobench.benchmark.results.model import predictions_path
from emobench.benchmark.results.verify_data import Datasets
from emobench.cli.main import app
from emobench.errors import InputError
from polars import read_parquet
from typer.testing import CliRunner

from .made import rewrite, signature

GetRow = Callable[[str], Path]


def _check(folder: Path, data: Path = Path("nowhere")) -> Collection:
    return verify_all(folder, Datasets([], data, only=False), Path("models"))


def _wrong(found: Collection) -> list[str]:
    failures = [
        f"{report.path.name}: {check.name}: {line}"
        for report in found.reports
        for check in report.checks
        for line in check.failures
    ]
    return [*failures, *found.strays]


def test_a_valid_folder(results: Path, finished_run: Path) -> None:
    found = _check(results, finished_run / "data")
    assert found.ok
    assert len(found.reports) == 5
    assert all(check.done for report in found.reports for check in report.checks)
    # Other files of a repository are ignored.
    (results / "README.md").write_text("mine")
    (results / ".gitattributes").write_text("*.parquet")
    (results / ".github" / "workflows").mkdir(parents=True)
    (results / ".github" / "workflows" / "x.json").write_text("{}")
    (results / "docs").mkdir()
    (results / "docs" / "picture.svg").write_text("<svg/>")
    away = _check(results)
    assert {report.state for report in away.reports} == {"not verified"}
    skipped = {check.name for report in away.reports for check in report.checks if not check.done}
    assert skipped == {"dataset", "targets and folds"}


def test_unexpected_files_are_named(results: Path, row: GetRow, finished_run: Path) -> None:
    folder = results / "tiny@1.0.0"
    strays = [results / "top.json", results / "top.parquet", folder / "alone.parquet", folder / "notes.txt"]
    strays += [folder / ".mine.json.1234.tmp"]
    for path in strays:
        path.write_text("{}")
    (folder / "deeper").mkdir()
    shutil.copy(row("mine"), folder / "deeper" / "mine.json")
    (results / "other" / "deep").mkdir(parents=True)
    strays += [results / "other" / "deep", results / "other" / "deep" / "x.parquet"]
    strays[-1].write_text("{}")
    found = _check(results, finished_run / "data")
    assert not found.ok
    assert sorted(line.split(": ")[0] for line in found.strays) == sorted(map(str, [*strays, folder / "deeper"]))
    assert all(report.ok for report in found.reports)


def test_a_result_under_another_name_or_dataset(results: Path, row: GetRow) -> None:
    path = row("constant")
    for end in (".json", ".predictions.parquet"):
        path.with_suffix(end).rename(path.with_name(f"best{end}"))
    other = Path(shutil.copytree(results / "tiny@1.0.0", results / "other@2.0.0"))
    for name in ("best", "oracle"):
        for each in other.glob(f"{name}*"):
            each.unlink()
    wrong = _wrong(_check(results))
    assert any(f"the file is called best.json; its content requires {path.name}" in line for line in wrong)
    assert any("the file is in the folder other@2.0.0; it belongs in tiny@1.0.0" in line for line in wrong)


def test_the_same_entry_twice(results: Path, row: GetRow) -> None:
    path = row("constant")

    def again(**config: Any) -> Path:
        result = json.loads(path.read_text())
        result["config"] |= config
        result["environment"] |= config.get("versions", {})
        result["signature"] = signature(result)
        second = path.with_name(f"constant-{result['signature']}.json")
        rewrite(second, result, read_parquet(predictions_path(path)))
        return second

    versions = json.loads(path.read_text())["config"]["versions"]
    second = again(versions={**versions, "numpy": "99.0"})
    first, last = sorted([path, second])
    assert _wrong(_check(results)) == [
        f"{last.name}: duplicates: the same entry as {first}; expected each entry once, whatever versions computed it"
    ]
    # Another seed is another entry.
    for each in (second, predictions_path(second)):
        each.unlink()
    again(bootstrap_seed=1)
    assert not any("duplicates" in line for line in _wrong(_check(results)))


def test_every_invalid_file_is_named_and_the_others_are_checked(
    results: Path, row: GetRow, finished_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMOBENCH_DATA", str(finished_run / "data"))
    folder = results / "tiny@1.0.0"
    predictions_path(row("constant")).unlink()
    text = row("oracle").read_text()
    row("oracle").write_text(text[: len(text) // 2])
    (folder / "old.json").write_text('{"schema": 0, "scores": {}}')
    (folder / "foreign.json").write_text('["a"]')
    (folder / "folder.json").mkdir()
    (folder / "nul.json").write_bytes(b"\x00\xff")
    ran = CliRunner().invoke(app, ["verify", "--all", str(results)])
    assert ran.exit_code == 1
    lines = ran.stdout.splitlines()
    for name, reason in {
        "old.json": "file: was written by an older emobench (schema 0)",
        "foreign.json": "file: not a result; expected a JSON object, not",
        "nul.json": "file: not a readable result",
        row("constant").name: "cannot be read (No such file or directory)",
        row("oracle").name: "not a readable result",
        "folder.json": "is not part of a result",
    }.items():
        assert any(line.startswith("FAILED") and name in line and reason in line for line in lines), name
    assert f"verified      {row('mine')}" in lines
    assert lines[-1] == "3 of 8 results verified to regression; 1 other file does not belong there."
    record = json.loads(CliRunner().invoke(app, ["verify", "--all", str(results), "--json"]).stdout)
    assert record["ok"] is False
    assert sum(each["ok"] for each in record["results"]) == 3


def test_nothing_to_check(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        _check(tmp_path / "none")
    with pytest.raises(InputError, match=r"no results yet\. Make some with 'emobench run"):
        _check(tmp_path)
