"""A run whose entries are all finished: what it imports, and how often it reads the files that it checks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SCRIPT = """
import atexit, collections, hashlib, json, sys
hashed, digest = collections.Counter(), hashlib.file_digest
def counted(handle, name):
    hashed[str(handle.name)] += 1
    return digest(handle, name)
hashlib.file_digest = counted
atexit.register(lambda: print(json.dumps([sorted(sys.modules), hashed]), file=sys.stderr))
from emobench.cli.main import main
sys.argv[0] = "emobench"
main()
"""
Finished = tuple[str, set[str], dict[str, int]]


@pytest.fixture(scope="module")
def run(with_audio: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Finished]:
    """Run two standard features and a network once; give a function that runs them again."""
    folder = tmp_path_factory.mktemp("again")
    arguments = ["run", "--features", "mfcc", "--features", "rhythm", "--dataset", str(with_audio / "syn")]
    arguments += ["--layers", "4", "--epochs", "1", "--regressor", "ridge"]

    def again() -> Finished:
        command = [sys.executable, "-c", SCRIPT, *arguments]
        environment = {**os.environ, "EMOBENCH_CACHE": str(folder / "cache")}
        ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
        modules, hashed = json.loads(ran.stderr.splitlines()[-1])
        return ran.stdout, set(modules), hashed

    again()
    return again


def test_nothing_that_computes_is_imported(run: Callable[[], Finished]) -> None:
    out, modules, _ = run()
    assert "Computed 0 entries, reused 7." in out
    heavy = {"torch", "numba", "librosa", "sklearn", "datasets", "scipy.fft", "scipy.ndimage", "scipy.linalg", "h5py"}
    assert not modules & heavy


def test_audio_weights_and_predictions_are_still_checked_and_hashed_once(
    run: Callable[[], Finished], with_audio: Path
) -> None:
    _, _, hashed = run()
    # Clips that the quality filter excluded are not used.
    audio = [times for path, times in hashed.items() if path.startswith(str(with_audio / "syn" / "audio"))]
    assert len(audio) >= 10
    assert set(audio) == {1}
    for ending, count in (("weights.safetensors", 1), (".predictions.parquet", 7), ("folds/train-00000.parquet", 1)):
        found = {path: times for path, times in hashed.items() if path.endswith(ending)}
        assert list(found.values()) == [1] * count


def test_changed_audio_is_computed_again(run: Callable[[], Finished], with_audio: Path) -> None:
    audio = next((with_audio / "syn" / "audio").iterdir())
    before = audio.read_bytes()
    try:
        # Other bytes and the same sound.
        audio.write_bytes(before + b"\0")
        out, _, _ = run()
    finally:
        audio.write_bytes(before)
    assert "0 were finished" not in out
    assert "Computed 0 entries" not in out
