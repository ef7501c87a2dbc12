"""Simultaneous builds in several processes, some of which are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import pytest
from emobench.builders import labelled_dataset as labelled
from emobench.builders import release
from emobench.builders.labelled_dataset import LabelledConfig
from emobench.errors import EmobenchError
from emobench.runtime.files import locked

# Runs the command line; writing the card waits for the file `go`, which the file `waiting` indicates.
_DRIVER = """
import sys, time
from pathlib import Path
from emobench.builders import release
from emobench.cli import main
waiting, go = map(Path, sys.argv[1:3])
del sys.argv[1:3]
write_card = release.write_card
def wait(*arguments):
    waiting.touch()
    while not go.exists():
        time.sleep(0.02)
    write_card(*arguments)
release.write_card = wait
main()
"""


class _Builds:
    """Builds of one small corpus in separate processes."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.out = folder, folder / "data" / "mine"
        clips = [f"c{number},,Artist {number},Album {number}" for number in range(6)]
        (folder / "clips.csv").write_text("\n".join(["clip_id,audio,artist,album", *clips]) + "\n")
        rows = [
            f"c{clip},{worker},{time},{(clip + worker) % 5 / 10 - 0.2},{(clip * time) % 3 / 10}"
            for clip in range(6)
            for worker in range(3)
            for time in range(1, 4)
        ]
        (folder / "labels.csv").write_text("\n".join(["clip_id,annotator_id,time,arousal,valence", *rows]) + "\n")
        self.started: list[subprocess.Popen[str]] = []

    def start(self, name: str, *more: str, go: bool = False) -> subprocess.Popen[str]:
        """Start a build; without ``go``, wait until it is about to write the card."""
        waiting, leave = self.folder / f"{name}.waiting", self.folder / f"{name}.go"
        if go:
            leave.touch()
        files = ["--clips", str(self.folder / "clips.csv"), "--labels", str(self.folder / "labels.csv")]
        call = ["build-data", "table", *files, "--out", str(self.out), *more]
        process = subprocess.Popen(
            [sys.executable, "-c", _DRIVER, str(waiting), str(leave), *call],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        until = time.monotonic() + 120
        while not go and not waiting.exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < until
            time.sleep(0.02)
        return process

    def go(self, name: str) -> None:
        (self.folder / f"{name}.go").touch()

    def left(self) -> list[str]:
        return sorted(path.name for path in self.out.parent.iterdir())


@pytest.fixture
def builds(tmp_path: Path) -> Any:
    builds = _Builds(tmp_path)
    yield builds
    for process in builds.started:
        process.kill()
        process.communicate()


def test_a_second_build_reports_that_the_first_is_running(builds: _Builds) -> None:
    first = builds.start("first")
    second = builds.start("second", go=True)
    out, err = second.communicate(timeout=120)
    assert (second.returncode, out) == (1, "")
    running = f"another process is building this dataset (process {first.pid}); wait until it ends and rerun the"
    assert err == f"emobench: {builds.out}: {running} command.\n"
    builds.go("first")
    assert "built" in first.communicate(timeout=120)[0]
    assert (first.returncode, builds.left()) == (0, ["mine"])
    again = builds.start("again", go=True)
    assert "up to date" in again.communicate(timeout=120)[0]
    assert again.returncode == 0


def test_builds_of_different_datasets_in_one_folder(builds: _Builds) -> None:
    first = builds.start("first")
    second = builds.start("second", "--seed", "1", go=True)
    assert f"process {first.pid}" in second.communicate(timeout=120)[1]
    assert second.returncode == 1
    builds.go("first")
    first.communicate(timeout=120)
    assert (first.returncode, builds.left()) == (0, ["mine"])
    second = builds.start("again", "--seed", "1", go=True)
    assert "exists with other content (different config)" in second.communicate(timeout=120)[1]
    assert (second.returncode, builds.left()) == (2, ["mine"])


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_build_resumes(builds: _Builds, number: int) -> None:
    first = builds.start("first")
    os.kill(first.pid, number)
    first.communicate(timeout=120)
    assert first.returncode in (130, -signal.SIGKILL)
    folders = [name for name in builds.left() if name.startswith(".mine.building-")]
    assert len(folders) == 1
    assert (builds.out.parent / folders[0] / "clips" / "train-00000.parquet").is_file()
    second = builds.start("second", go=True)
    assert "built" in second.communicate(timeout=120)[0]
    assert (second.returncode, builds.left()) == (0, ["mine"])


@pytest.mark.slow
def test_simultaneous_builds_make_one_dataset(builds: _Builds) -> None:
    several = [builds.start("all", go=True) for _ in range(4)]
    ends = [(*process.communicate(timeout=240), process.returncode) for process in several]
    assert {status for *_, status in ends} <= {0, 1}
    assert sum(out.startswith("built") for out, *_ in ends) == 1
    for out, err, status in ends:
        assert out.startswith(("built", "up to date")) if status == 0 else "another process is building" in err
    assert builds.left() == ["mine"]
    labelled.load(builds.out)


# Changes between two steps of a build


Make = Callable[[], bool]


@pytest.fixture
def make(make_corpus: Any, tmp_path: Path, pool: Executor) -> Make:
    corpus = make_corpus([1] * 6)
    out = tmp_path / "tiny"
    return lambda: labelled.build(corpus, out, name="tiny", version="1.0.0", config=LabelledConfig(), pool=pool)


def test_a_dataset_completed_by_another_process_meanwhile(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compute = labelled._targets

    def meanwhile(*arguments: Any) -> Any:
        monkeypatch.setattr(labelled, "_targets", compute)
        assert make()
        return compute(*arguments)

    monkeypatch.setattr(labelled, "_targets", meanwhile)
    assert not make()
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]


def test_a_folder_created_meanwhile_is_kept(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = release.write_card

    def meanwhile(folder: Path, text: str) -> None:
        (tmp_path / "tiny").mkdir()
        (tmp_path / "tiny" / "notes.txt").write_text("mine")
        write(folder, text)

    with monkeypatch.context() as patched:
        patched.setattr(release, "write_card", meanwhile)
        with pytest.raises(EmobenchError, match=r"tiny: created by something else during the build"):
            make()
    assert (tmp_path / "tiny" / "notes.txt").read_text() == "mine"
    (tmp_path / "tiny" / "notes.txt").unlink()
    assert make()
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]


def test_a_leftover_lock_file_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("1")
    refused = pytest.raises(EmobenchError, match=rf"^busy \(process {os.getpid()}\); ")
    with locked(tmp_path / "lock", "busy"), refused, locked(tmp_path / "lock", "busy"):
        pass
    assert not list(tmp_path.iterdir())
