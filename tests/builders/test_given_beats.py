"""Given beats: files, folders and trackers of other packages; wrong ones are refused with one line."""

from __future__ import annotations

import sys
from concurrent.futures import Executor
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import soundfile
from emobench.benchmark.features.network_config import NetworkConfig
from emobench.benchmark.features.networks import Networks
from emobench.benchmark.scoring.task import load_task
from emobench.builders import labelled_dataset as labelled
from emobench.builders.build import build_dataset, survey
from emobench.builders.given_beats import given_beats, read_file, read_folder
from emobench.cli.main import app
from emobench.errors import InputError
from emobench.protocols import beat_trackers
from typer.testing import CliRunner

CLIPS = tuple(f"clip-{number}" for number in range(6))
SECONDS = 6
BEATS = {clip: np.round(np.arange(0.25 + 0.01 * k, 5.9, 0.5), 3) for k, clip in enumerate(CLIPS)}


@pytest.fixture
def given(tmp_path: Path) -> dict[str, Any]:
    """Six clips of noise on six albums, with ratings of two annotators."""
    for number, clip in enumerate(CLIPS):
        noise = 0.1 * np.random.default_rng(number).standard_normal(SECONDS * 22050)
        soundfile.write(tmp_path / f"{clip}.wav", noise, 22050)
    rows = "".join(f"{clip},{clip}.wav,Artist,{clip},{SECONDS}\n" for clip in CLIPS)
    (tmp_path / "clips.csv").write_text(f"clip_id,audio,artist,album,duration\n{rows}")
    rows = "".join(
        f"{clip},{worker},{second},{0.05 * number},{0.1 * worker - 0.2}\n"
        for number, clip in enumerate(CLIPS)
        for worker in (1, 2)
        for second in range(1, SECONDS + 1)
    )
    (tmp_path / "labels.csv").write_text(f"clip_id,annotator_id,time,arousal,valence\n{rows}")
    return {"clips": tmp_path / "clips.csv", "labels": tmp_path / "labels.csv"}


def _file(folder: Path, beats: dict[str, np.ndarray]) -> Path:
    rows = "".join(f"{clip},{time}\n" for clip, times in beats.items() for time in times)
    (folder / "beats.csv").write_text(f"clip_id,time\n{rows}")
    return folder / "beats.csv"


def _folder(folder: Path, beats: dict[str, np.ndarray]) -> Path:
    (folder / "beats").mkdir()
    for number, (clip, times) in enumerate(beats.items()):
        # mir_eval writes times alone; Sonic Visualiser adds labels, separated by tabs or commas.
        line = ("{:.3f}\n", "{:.3f}\tlabel 1\n", "{:.3f},1.2\n")[number % 3]
        text = "# beats\n\n" + "".join(line.format(time) for time in times)
        (folder / "beats" / f"{clip}{('.txt', '.beats', '.csv')[number % 3]}").write_text(text)
    return folder / "beats"


@pytest.mark.parametrize("write", [_file, _folder])
def test_a_dataset_has_the_given_beats(given: dict[str, Any], tmp_path: Path, pool: Executor, write: Any) -> None:
    build_dataset("table", **given, beats=str(write(tmp_path, BEATS)), out=tmp_path / "mine", pool=pool)
    dataset = labelled.load(tmp_path / "mine")
    for clip in CLIPS:
        times = dataset.beats.filter(pl.col("clip_id") == clip)["time"]
        np.testing.assert_array_equal(times.to_numpy(), BEATS[clip])
    assert len(dataset.manifest.source["beats_sha256"]) == 64
    assert all(item.beats == tuple(BEATS[item.clip_id]) for item in dataset.sources(tmp_path))


def test_other_beats_are_another_dataset(given: dict[str, Any], tmp_path: Path, pool: Executor) -> None:
    out = tmp_path / "mine"
    assert build_dataset("table", **given, beats=str(_file(tmp_path, BEATS)), out=out, pool=pool)[0].fresh
    assert not build_dataset("table", **given, beats=str(_file(tmp_path, BEATS)), out=out, pool=pool)[0].fresh
    moved = BEATS | {CLIPS[0]: BEATS[CLIPS[0]] + 0.01}
    with pytest.raises(InputError, match="version"):
        build_dataset("table", **given, beats=str(_file(tmp_path, moved)), out=out, pool=pool)


def test_clips_with_too_few_beats_or_beats_after_the_end_are_excluded(
    given: dict[str, Any], tmp_path: Path, pool: Executor
) -> None:
    beats = BEATS | {CLIPS[0]: np.array([1.0, 2.0, 3.0]), CLIPS[1]: np.array([1.0, 2.0, 3.0, 4.0, 7.0])}
    build_dataset("table", **given, beats=str(_file(tmp_path, beats)), out=tmp_path / "mine", pool=pool)
    excluded = labelled.load(tmp_path / "mine").manifest.excluded
    assert excluded == {CLIPS[0]: "too_few_beats", CLIPS[1]: "beats_after_end"}


WRONG = {
    "clip_id,time\nother,1\n": r"beats\.csv, row 2: clip_id 'other' is not a clip of this dataset",
    "clip_id,time\na,1\na,3\na,2\n": r"beats\.csv, row 4: time 2 follows 3; expected increasing times",
    "clip_id,time\na,1\na,1\n": r"row 3: time 1 follows 1",
    "clip_id,time\na,-0.5\n": r"row 2: time -0\.5 is negative",
    "clip_id,time\na,soon\n": r"row 2: time is 'soon'; expected a finite number",
    "clip_id,time\na,nan\n": r"row 2: time is 'nan'; expected a finite number",
    "clip_id,time\na,\n": r"row 2: time is empty; expected a number",
    "clip_id,time\n,1\n": r"row 2: clip_id is empty",
    "clip_id,beat\na,1\n": r"lacks the column time",
    "clip_id,time\n": r"has no rows",
}


@pytest.mark.parametrize("text", WRONG, ids=range(len(WRONG)))
def test_wrong_files(tmp_path: Path, text: str) -> None:
    (tmp_path / "beats.csv").write_text(text)
    with pytest.raises(InputError, match=WRONG[text]):
        read_file(tmp_path / "beats.csv", ["a", "b"])


WRONG_LINES = {
    "1.0\nbeat\n": r"a\.txt, line 2: 'beat' is not a time; expected",
    "1.0\ninf\n": r"a\.txt, line 2: 'inf'",
    "1.0\n\n0.5\n": r"a\.txt, line 3: time 0\.5 follows 1",
    "-1\n": r"a\.txt, line 1: time -1 is negative",
}


@pytest.mark.parametrize("text", WRONG_LINES, ids=range(len(WRONG_LINES)))
def test_wrong_files_of_a_folder(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(InputError, match=WRONG_LINES[text]):
        read_folder(tmp_path, ["a"])


def test_wrong_folders(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="contains no beats"):
        read_folder(tmp_path, ["a"])
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe1\n")
    with pytest.raises(InputError, match="UTF-8"):
        read_folder(tmp_path, ["a"])
    (tmp_path / "a.txt").write_text("1\n")
    with pytest.raises(InputError, match="'a' is not a clip of this dataset"):
        read_folder(tmp_path, ["b"])
    (tmp_path / "a.csv").write_text("1\n")
    with pytest.raises(InputError, match="expected one file of beats per clip"):
        read_folder(tmp_path, ["a"])


def test_missing_clips_and_files(given: dict[str, Any], tmp_path: Path, pool: Executor) -> None:
    beats = {clip: BEATS[clip] for clip in CLIPS[2:]}
    with pytest.raises(InputError, match=r"beats\.csv: has no beats of clip 'clip-0' and 1 more clips"):
        build_dataset("table", **given, beats=str(_file(tmp_path, beats)), out=tmp_path / "mine", pool=pool)
    assert not (tmp_path / "mine").exists()
    with pytest.raises(InputError, match=r"nothing\.csv: no such file or folder"):
        survey("table", **given, beats=str(tmp_path / "nothing.csv"), out=tmp_path / "mine")


def test_networks_use_given_beats(given: dict[str, Any], tmp_path: Path, pool: Executor) -> None:
    build_dataset("table", **given, out=tmp_path / "mine", pool=pool)
    dataset = labelled.load(tmp_path / "mine")
    attach, _ = given_beats(_file(tmp_path, BEATS), dataset.clips["clip_id"], fewest=4)
    plain = dataset.sources(tmp_path)

    def networks(sources: Any) -> Networks:
        config = NetworkConfig()
        hashes = dict.fromkeys(CLIPS)
        settings: dict[str, Any] = {"config": config, "data": None, "models": tmp_path, "device": "cpu", "pool": pool}
        return Networks(load_task(dataset), sources, hashes, **settings)

    own, tracked = networks(attach(plain, pool)), networks(plain)
    for source, analysis in zip(plain, own.analyses, strict=True):
        np.testing.assert_array_equal(analysis.beats, BEATS[source.clip_id])
    assert own.audio_identity != tracked.audio_identity
    few, _ = given_beats(_file(tmp_path, BEATS | {CLIPS[3]: np.arange(3.0)}), dataset.clips["clip_id"], fewest=4)
    with pytest.raises(InputError, match="clip 'clip-3' has 3 beats; expected at least 4"):
        few(plain, pool)


TRACKER = """
import numpy as np
def every_second(samples):
    return np.arange(0.5, len(samples) / 22050, 1.0)
class Slow:
    sample_rate = 8000
    def __call__(self, samples):
        return np.arange(0.25, len(samples) / self.sample_rate, 1.0)
def backwards(samples):
    return [2.0, 1.0]
def broken(samples):
    raise RuntimeError("no network")
nothing = 3
"""


@pytest.fixture
def trackers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Register a package's beat trackers."""
    monkeypatch.syspath_prepend(tmp_path / "package")
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "beat_package.py").write_text(TRACKER)
    monkeypatch.delitem(sys.modules, "beat_package", raising=False)
    names = ("every_second", "Slow", "backwards", "broken", "nothing", "absent")
    points = {name: EntryPoint(name, f"beat_package:{name}", "emobench.beats") for name in names}
    monkeypatch.setattr(beat_trackers, "plugins", lambda: points)


@pytest.mark.parametrize(("name", "first"), [("every_second", 0.5), ("Slow", 0.25)])
@pytest.mark.usefixtures("trackers")
def test_trackers_of_other_packages(
    given: dict[str, Any], tmp_path: Path, pool: Executor, name: str, first: float
) -> None:
    build_dataset("table", **given, beats=name, out=tmp_path / "mine", pool=pool)
    dataset = labelled.load(tmp_path / "mine")
    times = dataset.beats.filter(pl.col("clip_id") == CLIPS[0])["time"].to_list()
    assert times == [first + second for second in range(SECONDS)]
    assert dataset.manifest.source["beats_tracker"] == f"{name} unknown"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("backwards", r"beat tracker backwards: returns wrong times for clip 'clip-0'"),
        ("broken", r"beat tracker broken: fails on clip 'clip-0' \(RuntimeError: no network\)"),
        ("nothing", r"entry point nothing of the group emobench\.beats: expected a function of samples"),
        ("absent", r"the beat tracker absent of beat_package:absent cannot be imported"),
        ("unknown", r"unknown: no such file or folder; .* name of a beat tracker \(Slow, absent, backwards"),
    ],
)
@pytest.mark.usefixtures("trackers")
def test_wrong_trackers(given: dict[str, Any], tmp_path: Path, pool: Executor, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build_dataset("table", **given, beats=name, out=tmp_path / "mine", pool=pool)


def test_the_commands_take_beats(given: dict[str, Any], tmp_path: Path) -> None:
    beats = str(_file(tmp_path, BEATS))
    tables = ["--clips", str(given["clips"]), "--labels", str(given["labels"]), "--out", str(tmp_path / "mine")]
    done = CliRunner().invoke(app, ["build-data", "table", *tables, "--beats", beats])
    assert done.exit_code == 0, done.output
    assert labelled.load(tmp_path / "mine").manifest.counts["beats"] == sum(map(len, BEATS.values()))
    (tmp_path / "beats.csv").write_text("clip_id,time\nclip-0,2\nclip-0,1\n")
    places = ["--dataset", str(tmp_path / "mine"), "--out", str(tmp_path / "out"), "--models", str(tmp_path / "models")]
    done = CliRunner().invoke(app, ["run", "--features", "rhythm", *places, "--beats", beats])
    assert done.exit_code == 2
    assert "row 3: time 1 follows 2" in done.output
