"""Sources: the registry, their commands, and calls from Python."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from emobench.builders.build import build_dataset, default_folder, survey
from emobench.builders.options import make_options, options_of
from emobench.cli.main import app
from emobench.errors import InputError
from emobench.protocols import REQUIRED, Source, option, sources
from typer.testing import CliRunner

from ..conftest import MakeCorpus

NAMES = ["synthetic", "audio", "deam", "emomusic", "fma", "midi", "moodswings", "msd", "pmemo", "table", "vgmidi"]
HEAVY = {"numpy", "polars", "requests", "h5py", "scipy", "pyarrow", "librosa", "torch", "jinja2", "soundfile"}


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of the source defined in this file."""

    albums: str = option(REQUIRED, "Number of clips on each album.", metavar="N,N,…")
    seconds: int = option(5, "Seconds of each clip.")

    def __post_init__(self) -> None:
        if self.seconds < 1:
            raise InputError(f"`seconds` {self.seconds}: expected at least 1.")


@pytest.fixture
def random_source(make_corpus: MakeCorpus) -> Iterator[Source]:
    """Register a source that is defined in this file only."""

    def load(options: Options, *, out: Path, seed: int) -> Any:
        return make_corpus([int(each) for each in options.albums.split(",")], seconds=options.seconds, seed=seed)

    yield sources.register(Source("random", "Random ratings.", Options, load, ("build-data random --albums 2,2,2",)))
    sources.unregister("random")


def _run(*arguments: object, code: int = 0) -> str:
    ran = CliRunner().invoke(app, ["build-data", *map(str, arguments)], env={"COLUMNS": "120"})
    assert ran.exit_code == code, ran.output
    return ran.output


def test_a_source_defined_in_one_file(random_source: Source, tmp_path: Path, pool: Executor) -> None:
    assert "random" in sources.names()
    assert "Random ratings." in _run("--help")
    text = _run("random", "--help")
    assert "Number of clips on each album." in text
    assert "emobench build-data random --albums 2,2,2" in text
    out = tmp_path / "mine"
    assert f"built {out}" in _run("random", "--albums", "2,2,2", "--seconds", 3, "--out", out, "--workers", 1)
    [built] = build_dataset("random", albums="2,2,2", seconds=3, out=str(out), pool=pool)
    assert not built.fresh
    assert repr(built) == f"<Built mine 1.0.0 (labelled) in {out}>"


def test_wrong_options_of_a_source(random_source: Source, tmp_path: Path, pool: Executor) -> None:
    with pytest.raises(InputError, match=r"random has no option 'album'; expected albums, seconds, group, beats\."):
        build_dataset("random", album="2,2,2", out=tmp_path / "a", pool=pool)
    with pytest.raises(InputError, match="`albums`: required by the source random"):
        survey("random", out=tmp_path / "a")
    with pytest.raises(InputError, match="`seconds` 0: expected at least 1"):
        survey("random", albums="2", seconds=0, out=tmp_path / "a")
    assert "--seconds 0: expected at least 1" in _run("random", "--albums", "2", "--seconds", 0, code=2)
    assert "No such option: --labels" in _run("random", "--albums", "2", "--labels", "x", code=2)
    with pytest.raises(InputError, match="no source is called 'nowhere'; expected one of"):
        survey("nowhere", out=tmp_path / "a")


@pytest.mark.parametrize("name", NAMES)
def test_each_source_has_its_own_help(name: str) -> None:
    text = _run(name, "--help")
    listed = {line.split()[1 + line.startswith("│ *")] for line in text.splitlines() if " --" in line and "│" in line}
    own = {"--" + each.name.replace("_", "-") for each in options_of(sources[name])}
    shared = {"--out", "--version", "--seed", "--workers", "--scheduler", "--dry-run", "--json"}
    assert own | shared | {"--quiet", "--verbose", "--debug", "--help"} == listed
    assert f"emobench build-data {name}" in text
    assert "For example:" in text


def test_the_default_source(tmp_path: Path) -> None:
    assert default_folder("synthetic", tmp_path) == tmp_path / "synthetic"
    for arguments in ([], ["synthetic"], ["-v"], ["-v", "synthetic"]):
        text = _run(*arguments, "--dry-run", "--size", 3, "--pretrain-size", 1, "--out", tmp_path / "a")
        assert f"would build {tmp_path / 'a'} (labelled; 3 clips" in text
        assert f"would build {tmp_path / 'a-pretrain'} (pre-training; 1 clip," in text
    assert "no source is called 'spotify'; expected one of audio, deam, emomusic, fma" in _run("spotify", code=2)
    assert "--size 2: expected at least 3 clips" in _run("--size", 2, code=2)


def test_paths_and_scales_from_python(tmp_path: Path, pool: Executor) -> None:
    rows = "".join(f"{clip},,Artist {clip},One,,0,2\n" for clip in "abc")
    (tmp_path / "clips.csv").write_text(f"clip_id,audio,artist,album,title,start,duration\n{rows}", encoding="utf-8")
    rows = "".join(f"{clip},{worker},,{worker},9\n" for clip in "abc" for worker in (1, 5))
    (tmp_path / "labels.csv").write_text(f"clip_id,annotator_id,time,arousal,valence\n{rows}", encoding="utf-8")
    given = {"clips": str(tmp_path / "clips.csv"), "labels": tmp_path / "labels.csv"}
    [built] = build_dataset("table", **given, scale=(1, 9), out=str(tmp_path / "mine"), pool=pool)
    text = _run(
        "table", "--clips", given["clips"], "--labels", given["labels"], "--scale", "1,9", "--out", built.folder
    )
    assert "up to date" in text


def test_listing_sources_imports_nothing_heavy() -> None:
    script = (
        "import json, sys; from emobench.protocols import sources; sources.names();"
        "import emobench.builders.options; print(json.dumps(sorted(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not HEAVY & set(json.loads(ran.stdout))


PLUGIN = Source("plugin", "A plug-in.", Options, lambda options, *, out, seed: None)


def test_a_source_of_another_package(monkeypatch: pytest.MonkeyPatch) -> None:
    points = {
        "plugin": EntryPoint("plugin", f"{__name__}:PLUGIN", "emobench.sources"),
        "wrong": EntryPoint("wrong", f"{__name__}:NAMES", "emobench.sources"),
        "absent": EntryPoint("absent", "no_such_package:source", "emobench.sources"),
    }
    monkeypatch.setattr(sources, "plugins", lambda: points)
    assert sources.names()[-3:] == ["absent", "plugin", "wrong"]
    try:
        assert sources["plugin"] is PLUGIN
        assert sources["plugin"] is PLUGIN
    finally:
        sources.unregister("plugin")
    with pytest.raises(InputError, match=r"entry point wrong of the group emobench.sources: expected a Source"):
        sources["wrong"]
    with pytest.raises(InputError, match=r"the source absent of no_such_package:source cannot be imported"):
        sources["absent"]
    assert "no_such_package:source cannot be imported" in _run("absent", code=2)


def test_options_shared_by_sources() -> None:
    made = make_options(sources["fma"], {"metadata": "a", "clips": "b", "min_duration": 5.0})
    assert made.quality.min_duration == 5.0
    assert made.clips == Path("b")
