"""Control characters in names from data are shown as escapes and never reach the terminal."""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import soundfile
from emobench.cards.tables import Table, to_csv, to_json
from emobench.cli.main import app
from emobench.runtime.text import printable_json, visible
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

# Characters that terminals interpret: control characters except the line break, and those that change text direction.
OBEYED = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

ESC = "\x1b[31m"


@given(st.text())
def test_visible_text_has_no_control_characters(text: str) -> None:
    shown = visible(text)
    assert not OBEYED.search(shown)
    assert "\n" not in shown
    assert visible(shown) == shown
    shown.encode()


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"])))
def test_printable_text_stays(text: str) -> None:
    kept = "".join(letter for letter in text if letter.isprintable() or unicodedata.category(letter) == "Zs")
    assert visible(kept) == kept


@given(st.recursive(st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_json_keeps_its_value(value: Any) -> None:
    text = printable_json(json.dumps(value, ensure_ascii=False, indent=2))
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)
    assert json.loads(text) == value


FORMULAS = {
    "=1+1": "'=1+1",
    "+cmd|' /C calc'!A0": "'+cmd|' /C calc'!A0",
    "-x": "'-x",
    "@SUM(A1)": "'@SUM(A1)",
    "\t=1": r"\x09=1",
    "-0.5": "-0.5",
    "+1e3": "+1e3",
    "a=b": "a=b",
    "": "",
    f"{ESC}red": r"\x1b[31mred",
}


@pytest.mark.parametrize("name", list(FORMULAS))
def test_csv_cells_are_not_formulas(name: str) -> None:
    table = Table("T", "t", ["a"], [["x"]], records=[{"name": name, "=column": -0.25}])
    header, row = csv.reader(io.StringIO(to_csv([table])))
    assert header == ["name", "'=column"]
    assert row == [FORMULAS[name], "-0.25"]
    assert json.loads(to_json([table]))[0]["rows"][0]["name"] == name


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of 12 clips with control characters in ids, artists and files; the audio of one clip is missing."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "music").mkdir()
    generator = np.random.default_rng(0)
    clips, labels = [], []
    for number in range(12):
        clip, audio = f"{ESC}clip{number}", f"song{ESC}{number}.wav"
        clips.append({"clip_id": clip, "audio": audio, "artist": f"a\x07{number}", "album": f"b\x9b{number}"})
        pulses = np.zeros(22050 * 6)
        pulses[::11025] = 0.9
        if number:
            soundfile.write(folder / "music" / audio, pulses + generator.normal(0, 0.01, len(pulses)), 22050)
        for annotator in range(3):
            for second in range(1, 7):
                mood = generator.uniform(-0.4, 0.4, 2)
                labels.append([clip, f"w{annotator}", second, *mood])
    pl.DataFrame(clips).write_csv(folder / "clips.csv")
    names = ["clip_id", "annotator_id", "time", "arousal", "valence"]
    pl.DataFrame(labels, schema=names, orient="row").write_csv(folder / "labels.csv")
    features = pl.DataFrame({"clip_id": [clip["clip_id"] for clip in clips], f"x{ESC}": range(12)})
    features.write_csv(folder / f"mine{ESC}.csv")
    return folder


def test_no_command_prints_control_characters_of_names(hostile: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(hostile)
    dataset = str(hostile / "data")
    commands = [
        ["build-data", "table", "--clips", "clips.csv", "--labels", "labels.csv", "--audio", "music", "--out", "data"],
        ["run", "-f", "mfcc", "-f", f"file:mine{ESC}.csv", "--dataset", dataset],
        ["leaderboard"],
        *(["leaderboard", "--format", form] for form in ("markdown", "latex", "csv", "json")),
        ["list", "results"],
        ["list", "datasets"],
        ["verify", "--all", "results", "--dataset", dataset],
        ["verify", "--all", "results", "--json"],
        ["compare", "constant", "mine"],
    ]
    for command in commands:
        ran = CliRunner().invoke(app, command)
        assert ran.exit_code == (1 if "--json" in command else 0), (command, ran.output)
        assert not OBEYED.search(ran.output), (command, OBEYED.search(ran.output))
        if command[0] == "build-data":
            assert r"excluded: clip \x1b[31mclip0: missing" in ran.output
    wrong = [
        ["run", "-f", f"{ESC}x", "--dataset", dataset],
        ["run", "-f", f"file:{ESC}.csv", "--dataset", dataset],
        ["verify", f"{ESC}.json"],
        ["leaderboard", "--results", f"no{ESC}"],
        [f"{ESC}command"],
        ["list", ESC],
    ]
    for command in wrong:
        ran = CliRunner().invoke(app, command)
        assert ran.exit_code == 2, (command, ran.output)
        assert not OBEYED.search(ran.output), (command, ran.output)
        assert r"\x1b" in ran.output
        assert len(ran.stderr.splitlines()) == 1
