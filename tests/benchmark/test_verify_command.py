"""The command ``emobench verify``: wrong input, exit status, and a line for each failure."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from emobench.cli.main import app
from typer.testing import CliRunner

GetRow = Callable[[str], Path]


def _command(*arguments: str) -> tuple[int, str, str]:
    ran = CliRunner().invoke(app, ["verify", *arguments])
    return ran.exit_code, ran.stdout, ran.stderr


WRONG = {
    "": "mine.json: not a readable result (Invalid JSON: EOF while",
    '{"schema": 1,\n "signature": ': "not a readable result (Invalid JSON: EOF while parsing a value at line 2",
    "[1, 2]": "expected a JSON object, not [1, 2]",
    '{"name": "package", "version": "1.0.0"}': "is not a result of emobench",
    '{"schema": 1, "name": "mine", "kind": "labelled"}': "was written by an older emobench (schema 1)",
    '{"schema": 3, "signature": "x", "scores": {}}': "has schema 3; this emobench reads schema 2",
    '{"signature": "x", "scores": {}}': "is not a result of emobench",
    "[" * 100_000: "not a readable result",
}


@pytest.mark.parametrize("text", list(WRONG), ids=range(len(WRONG)))
def test_a_file_that_is_not_a_result_gives_one_line_and_status_2(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.json"
    path.write_text(text)
    status, out, error = _command(str(path))
    assert (status, out) == (2, "")
    assert error.startswith("emobench: ")
    assert WRONG[text] in error
    assert len(error.splitlines()) == 1


def test_more_wrong_input(row: GetRow, tmp_path: Path) -> None:
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    for arguments, message in {
        (): "expected either results, or a folder of results with --all DIR",
        ("a.json", "--all", "results"): "expected either results",
        ("none.json",): "none.json: no such file",
        (str(tmp_path / "bytes.json"),): "not a readable result ('utf-8' codec",
        (str(row("mine").with_suffix(".predictions.parquet")),): "not a readable result",
        (str(row("mine")), "--dataset", "nowhere"): "nowhere: no dataset there",
    }.items():
        status, out, error = _command(*arguments)
        assert (status, out) == (2, ""), error
        assert message in error
        assert len(error.splitlines()) == 1


def test_the_command_reports_every_failure(row: GetRow, finished_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOBENCH_DATA", str(finished_run / "data"))
    path = row("mine")
    status, out, _ = _command(str(path))
    assert status == 0
    assert "  ok           scores: 24 scores of 5 repeats with their deviations and intervals, equal to 1e-12" in out
    result = json.loads(path.read_text())
    result["cost"]["train_seconds"] += 1.0
    result["scores"]["mean_distance"]["mean"] -= 0.01
    result["notes"] = "mine"
    path.write_text(json.dumps(result, indent=2) + "\n")
    status, out, error = _command(str(path), "--quiet")
    assert (status, error) == (1, "")
    assert out.splitlines() == [
        "  FAILED       file: notes: is not a field of a result",
    ]
    del result["notes"]
    path.write_text(json.dumps(result, indent=2) + "\n")
    status, out, error = _command(str(path), "--quiet")
    assert (status, error) == (1, "")
    assert out.splitlines()[:2] == [
        "  FAILED       file: scores.mean_distance: was changed after it was written",
        "  FAILED       file: cost.train_seconds: was changed after it was written",
    ]
    status, out, _ = _command(str(path), "--json")
    record = json.loads(out)
    assert (status, record["ok"], record["path"]) == (1, False, str(path))
    (scores,) = [check for check in record["checks"] if check["name"] == "scores"]
    assert scores["state"] == "failed"
    assert scores["failures"][0].startswith("scores.mean_distance.mean: is ")
    path.with_suffix(".predictions.parquet").write_bytes(b"PAR1")
    status, out, _ = _command(str(path), "--quiet")
    assert status == 1
    assert f"{path.stem}.predictions.parquet: not readable as Parquet" in out


def test_several_results_and_names(row: GetRow, finished_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(row("mine").parents[2])
    dataset = str(finished_run / "data" / "tiny")
    status, out, error = _command(str(row("mine")), "constant", "--dataset", dataset)
    assert (status, error) == (0, "")
    assert out.count("\nverified") == 2
    status, out, _ = _command(str(row("mine")), "constant", "--dataset", dataset, "--json")
    assert status == 0 and [each["state"] for each in json.loads(out)] == ["verified", "verified"]
    status, _, error = _command("constnt", "--dataset", dataset)
    assert status == 2 and "no such result" in error
