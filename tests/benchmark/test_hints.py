"""Hints in messages and in help, and formats that follow from the name of a file."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
from emobench.benchmark.report.leaderboard import format_of
from emobench.cli.main import app
from emobench.registry import did_you_mean
from typer.testing import CliRunner


def _refused(*arguments: str) -> str:
    ran = CliRunner().invoke(app, [*arguments])
    assert ran.exit_code == 2 and ran.stdout == "" and len(ran.stderr.splitlines()) == 1
    return ran.stderr


def test_names_that_are_alike() -> None:
    assert did_you_mean("MFFC", ["mfcc", "chroma"]) == " Did you mean 'mfcc'?"
    assert did_you_mean("tempo", ["mfcc", "chroma"]) == ""


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("run", "--features", "mffc"), "Did you mean 'mfcc'?"),
        (("list", "feature"), "Did you mean 'features'?"),
        (("build-data", "mood-swings"), "Did you mean 'moodswings'?"),
        (("run", "-f", "rhythm", "--phase", "finetuned", "--dataset", "."), "Did you mean 'fine-tuned'?"),
        (("leaderboard", "results"), "unexpected extra argument(s) (results); see 'emobench leaderboard --help'."),
        (("run", "-f", "mfcc", "chroma"), "options are repeated for several values, as in -f mfcc -f chroma"),
    ],
)
def test_hints(arguments: tuple[str, ...], hint: str) -> None:
    assert hint in _refused(*arguments)


def test_datasets_named_in_another_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "data" / "mine"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    assert "Did you mean data/mine?" in _refused("run", "-f", "mfcc", "--dataset", "mine")
    path = "data/mine/manifest.json"
    assert f"{path}: is a file; expected the folder of a dataset." in _refused("run", "-f", "mfcc", "--dataset", path)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_paragraphs_of_help_fill_the_width(width: int) -> None:
    ran = CliRunner().invoke(app, ["evaluate", "--help"], env={"COLUMNS": str(width)})
    lines = [line.strip() for line in ran.stdout.split("For example")[0].splitlines()]
    first = lines.index(next(line for line in lines if line.startswith("The file has")))
    paragraph = lines[first : lines.index("", first)]
    # No line ends where the next word would still fit.
    for line, following in pairwise(paragraph):
        assert len(line) + 1 + len(following.split()[0]) > width - 2


def test_the_format_follows_from_the_file(results: Path, tmp_path: Path) -> None:
    assert [format_of(name) for name in (None, "x.md", "a/x.html", "x.tex", "x.csv", "x.json", "folder/")] == [
        *("rich", "markdown", "html", "latex", "csv", "json", "rich")
    ]
    out = tmp_path / "board.json"
    ran = CliRunner().invoke(app, ["leaderboard", "--results", str(results), "--out", str(out)])
    assert ran.exit_code == 0 and json.loads(out.read_text())
    assert "--json and --format html exclude each other" in _refused("leaderboard", "--json", "--format", "html")
