"""Names from data in cards: Markdown shows them literally and does not interpret them."""

from __future__ import annotations

import ast
import csv
import re
from html import unescape
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from emobench.cards.dataset import About, LabelledFacts, labelled_card
from emobench.cards.hub_pages import results_card
from emobench.cards.model import ModelFacts, model_card
from emobench.cards.render import markdown
from emobench.cards.tables import Table, to_markdown
from emobench.cli.main import app
from markdown_it import MarkdownIt
from typer.testing import CliRunner

# Each name, and how a reader sees it.
NAMES = {
    "<script>alert(1)</script>": "<script>alert(1)</script>",
    "a|b": "a|b",
    "esc\x1b[31mred": r"esc\x1b[31mred",
    "bell\x07 del\x7f c1\x9b": r"bell\x07 del\x7f c1\x9b",
    "`tick` *b* _i_ ~s~": "`tick` *b* _i_ ~s~",
    "[link](evil) ![](pixel)": "[link](evil) ![](pixel)",
    "two\nlines\r\tand\u2028more": "two lines and more",
    "# heading": "# heading",
    "a\\|b &amp; &lt;": "a\\|b &amp; &lt;",
    "\u202eturned": "turned",
    "\"quoted\" 'name' {{ x }} $y$": "\"quoted\" 'name' {{ x }} $y$",
    "Björk – 日本": "Björk – 日本",
}


def _html(text: str) -> str:
    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(text)


def _cells(text: str) -> list[str]:
    """Return the texts of the cells of all tables, as a browser shows them."""
    cells = re.findall(r"<td[^>]*>(.*?)</td>", _html(text), re.DOTALL)
    assert not any(re.search("<(?!code|/code)", cell) for cell in cells), cells
    return [unescape(re.sub("</?code>", "", cell)) for cell in cells]


def _harmless(text: str) -> None:
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
    # The Hub shows what is below the head.
    body = text.split("---\n", 2)[2] if text.startswith("---\n") else text
    assert "<script" not in _html(body)


@pytest.mark.parametrize(("name", "shown"), NAMES.items())
def test_a_name_in_a_cell(name: str, shown: str) -> None:
    text = f"| x | y |\n| --- | --- |\n| {markdown(name)} | after |\n"
    _harmless(text)
    assert _cells(text) == [shown, "after"]
    table = Table(title=name, slug="t", columns=("x", "y"), rows=[(name, "after")], notes=[name])
    _harmless(to_markdown(table))
    assert _cells(to_markdown(table)) == [shown, "after"]


def test_a_name_that_is_not_text() -> None:
    assert markdown(b"a\xff".decode(errors="surrogateescape")) == "a\ufffd"


@pytest.mark.parametrize("name", NAMES)
def test_the_head_of_every_card_is_yaml(name: str) -> None:
    about = About("Title", "Summary.", "unknown", "@misc{x}", "None.")
    counts = {"clips": 1, "annotations": 1, "targets": 1, "beats": 0, "albums": 1}
    facts = LabelledFacts(name, "1.0.0", about, counts, {"missing": [name]}, [], {}, None, False, 4, False)
    card = labelled_card(facts)
    assert yaml.safe_load(card.split("---\n")[1])["pretty_name"] == f"Title ({name})"
    _harmless(card)
    called = re.search(r"load_dataset\((.*?), \"targets\"", card)
    assert called is not None
    assert ast.literal_eval(called[1]) == name
    results = results_card("ann/x", [], entries=1, predictions={name: {"row": f"results/{name}.parquet"}}, predicted=1)
    config = yaml.safe_load(results.split("---\n")[1])["configs"][1]
    assert config["config_name"] == name
    assert config["data_files"] == [{"split": "row", "path": f"results/{name}.parquet"}]
    assert "1 leaderboard entry on 1 dataset." in results
    _harmless(results)
    model = ModelFacts(name, "rhythm", 2, (3,), (1,), 1, name, {"rate": name}, {"rbms": {}}, synthetic=False)
    card = model_card(model)
    assert yaml.safe_load(card.split("---\n")[1])["datasets"] == [name]
    _harmless(card)


def _corpus(folder: Path, hostile: list[str]) -> list[str]:
    """Ten clips with sound, and one that is missing for each hostile name; the options that build a dataset of them."""
    generator = np.random.default_rng(0)
    loud = (np.arange(5 * 22050) % 8000 < 900) * 0.5 + 0.02
    clips = []
    for number in range(10):
        soundfile.write(folder / f"{number}.wav", generator.uniform(-1, 1, len(loud)) * loud, 22050)
        clips.append([f"c{number}", f"{number}.wav", f"artist {number}", f"album {number}", "title"])
    clips += [[name, f"no {name}.wav", name, f"album {name}", name] for name in hostile]
    with (folder / "clips.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["clip_id", "audio", "artist", "album", "title"], *clips])
    ratings = [
        [clip[0], worker, time, generator.uniform(-1, 1), generator.uniform(-1, 1)]
        for clip in clips
        for worker in "xy"
        for time in (1, 2, 3)
    ]
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["clip_id", "annotator_id", "time", "arousal", "valence"], *ratings])
    options = ["--clips", folder / "clips.csv", "--labels", folder / "labels.csv", "--audio", folder]
    return [*map(str, options), "--scale=-1,1", "--workers", "1"]


def test_excluded_clips_in_the_card_of_a_built_dataset(tmp_path: Path) -> None:
    hostile = list(NAMES)
    ran = CliRunner().invoke(app, ["build-data", "table", *_corpus(tmp_path, hostile), "--out", str(tmp_path / "out")])
    assert ran.exit_code == 0, ran.output
    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    _harmless(card)
    assert yaml.safe_load(card.split("---\n")[1])["pretty_name"] == "Own corpus (out)"
    cells = _cells(card)
    listed = cells[cells.index("missing") + 1]
    assert listed == ", ".join(NAMES[name] for name in hostile)
