"""The code blocks and commands of the documentation run, on small data.

The blocks of a page run in their order in one folder, which has what the pages name: ``data/small``, ``data/mine``,
``clips.csv``, ``labels.csv``, ``music/`` and others. A comment before a block changes this:

- ``<!-- not run: REASON -->``: the block is not run, such as because its data are not free;
- ``<!-- slow -->``: the block is run only with ``make test-slow``.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import emobench as eb
import numpy as np
import polars as pl
import pytest
from emobench.cli.main import app
from emobench.cli.output import State

ROOT = Path(__file__).parents[1]
_BLOCK = re.compile(r"^(<!-- [^\n]* -->\n)?```(\w*)\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)

RUN = {"sh", "console", "python", "toml", "json"}

# Except in slow tests, the synthetic datasets have few clips; apart from this, commands run as they are shown.
SIZES = ["--size", "12", "--pretrain-size", "3"]


@dataclass(frozen=True)
class Block:
    """A code block: its comment without the brackets, its language and its text."""

    comment: str
    language: str
    text: str

    @property
    def reason(self) -> str | None:
        """Why it is not run."""
        return self.comment.removeprefix("not run: ") if self.comment.startswith("not run: ") else None

    def commands(self) -> list[str]:
        """Return the command lines of a shell block; of a console block those after a prompt."""
        lines = self.text.replace("\\\n", " ").splitlines()
        if self.language == "console":
            lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        return [line for line in lines if line.strip() and not line.startswith("#")]


def blocks(text: str) -> list[Block]:
    """Find the code blocks of a page, apart from boards of corpora, whose commands ``make figures`` runs."""
    text = re.sub(r"<!-- board -->.*?<!-- /board -->", "", text, flags=re.DOTALL)
    return [Block(found[0].strip("<!- >\n"), found[1], found[2]) for found in _BLOCK.findall(text)]


def pages(*, slow: bool) -> list[str]:
    """Pages with blocks that run; with ``slow`` only those with slow blocks."""
    found = []
    for path in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]):
        made = [each for each in blocks(path.read_text(encoding="utf-8")) if each.language in RUN and not each.reason]
        if any(each.comment == "slow" for each in made) if slow else any(each.comment != "slow" for each in made):
            found.append(path.relative_to(ROOT).as_posix())
    return found


def shell(line: str, *, small: bool = True) -> None:
    """Run a command line of emobench in this process, with ``small`` on few synthetic clips."""
    words = shlex.split(line, comments=True)
    assert words[0] == "emobench", f"{line}: mark the block with <!-- not run: REASON -->"
    arguments = words[1:]
    if small and arguments[:1] == ["build-data"] and (len(arguments) == 1 or arguments[1] == "synthetic"):
        drop = {place for place, word in enumerate(arguments) if word in SIZES[::2]}
        kept = [word for place, word in enumerate(arguments) if place not in drop and place - 1 not in drop]
        arguments = ["build-data", "synthetic", *kept[2:], *SIZES]
    State.quiet = False
    with pytest.raises(SystemExit) as ended:
        app(arguments)
    # `check` ends with 1 if it finds something.
    assert ended.value.code in ({0, 1} if arguments[0] == "check" else {0}), line


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that pages start in."""
    folder = tmp_path_factory.mktemp("reader")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("EMOBENCH_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        shell("emobench build-data")
        shell("emobench build-data synthetic --out data/small")
        small = eb.load_dataset("data/small")
        (folder / "music").mkdir()
        clips = small.clips.with_columns(audio=pl.col("clip_id") + ".flac")
        for name in clips["audio"]:
            shutil.copy(Path("data/small/audio") / name, "music")
        shutil.copytree("music", "clips")
        clips.select("clip_id", "audio", "artist", "album", "title").write_csv("clips.csv")
        # Back from [-0.5, 0.5] to a scale from 1 to 9.
        ratings = small.annotations.with_columns(pl.col("arousal", "valence") * 8 + 5)
        ratings.select("clip_id", "annotator_id", "time", "arousal", "valence").write_csv("labels.csv")
        pl.DataFrame({"clip_id": clips["clip_id"], "group": clips["album"]}).write_csv("groups.csv")
        values = np.random.default_rng(0).normal(size=(len(clips), 2))
        pl.DataFrame({"clip_id": clips["clip_id"], "x": values[:, 0], "y": values[:, 1]}).write_csv("mine.csv")
        (folder / "corpus.bib").write_text("@misc{mine, title = {Mine}}\n")
        shell(
            "emobench build-data table --clips clips.csv --labels labels.csv --audio music --scale 1,9 --out data/mine"
        )
        tests = eb.load_dataset("data/mine").folds.filter(pl.col("split") == "test")
        seconds = eb.load_dataset("data/mine").targets.join(tests, on="clip_id")
        seconds.select("repeat", "clip_id", "time", "arousal", "valence").with_columns(
            pl.col("arousal", "valence") * 0.5
        ).write_csv("predictions.csv")
    return folder


def run_page(name: str, prepared: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, *, slow: bool) -> None:
    """Run the blocks of a page in a copy of the folder, the slow ones only with ``slow``."""
    shutil.copytree(prepared, folder, dirs_exist_ok=True)
    if slow:  # Then the synthetic datasets are built as the page says.
        for dataset in ("synthetic", "synthetic-pretrain"):
            shutil.rmtree(folder / "data" / dataset)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    made = blocks((ROOT / name).read_text(encoding="utf-8"))
    module = ModuleType("page")
    module.__file__ = str(folder / "page.py")
    Path(module.__file__).write_text("\n".join(each.text for each in made if each.language == "python"))
    monkeypatch.setitem(sys.modules, "page", module)
    for block in made:
        if block.reason or (block.comment == "slow" and not slow):
            continue
        if block.language in {"sh", "console"}:
            for line in block.commands():
                shell(line, small=not slow)
        elif block.language == "python":
            exec(compile(block.text, module.__file__, "exec"), module.__dict__)
        elif block.language in {"toml", "json"}:
            {"toml": tomllib.loads, "json": json.loads}[block.language](block.text)


@pytest.mark.parametrize("page", pages(slow=False))
def test_page(page: str, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_page(page, prepared, tmp_path, monkeypatch, slow=False)


@pytest.mark.slow
@pytest.mark.parametrize("page", pages(slow=True))
def test_slow_page(page: str, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_page(page, prepared, tmp_path, monkeypatch, slow=True)


def test_marks() -> None:
    shells = "<!-- not run: needs a form -->\n```sh\na \\\n  b  # why\n# c\n```\n\n```console\n$ d\nout\n```\n"
    first, second, third = blocks(f"{shells}<!-- slow -->\n```python\n1\n```\n")
    assert (first.reason, first.commands(), second.commands()) == ("needs a form", ["a    b  # why"], ["d"])
    assert (second.reason, third.comment, third.reason) == (None, "slow", None)


def test_unmarked_programs_are_refused() -> None:
    with pytest.raises(AssertionError, match="pip install x: mark the block"):
        shell("pip install x")


def test_failing_commands_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AssertionError, match="--dataset nowhere"):
        shell("emobench run --features mfcc --dataset nowhere")
