"""``emobench cache``: only what emobench wrote is listed and deleted."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from emobench.audio import cache
from emobench.cli import app
from emobench.errors import InputError
from emobench.runtime.cache_content import KINDS, clear, content, size_shown, using_cache
from typer.testing import CliRunner


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with two arrays, a shard and a compiled function."""
    place = tmp_path / "cache"
    monkeypatch.setenv("EMOBENCH_CACHE", str(place))
    for number in range(2):
        cache.write(cache.entry("analysis", number), {"x": np.zeros(100)})
    shard = place / "shards" / ("a" * 16) / f"00000-{'b' * 16}-{'c' * 16}.parquet"
    compiled = place / "numba" / f"audio_{'d' * 40}" / "beats._accumulate-186.py311.nbi"
    for path in (shard, compiled):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"1234")
    return place


def _invoke(*arguments: str) -> tuple[int, str, str]:
    ran = CliRunner().invoke(app, ["cache", *arguments])
    return ran.exit_code, ran.stdout, ran.stderr


def test_info(folder: Path) -> None:
    status, out, _ = _invoke("info", "--json")
    told = json.loads(out)
    arrays = sum(path.stat().st_size for path in (folder / "analysis").rglob("*.npz"))
    assert (status, told["folder"], told["files"], told["size"]) == (0, str(folder), 4, arrays + 8)
    assert [(kind["name"], kind["files"]) for kind in told["kinds"]] == [("analysis", 2), ("shards", 1), ("numba", 1)]
    _, out, _ = _invoke("info")
    assert f"{size_shown(arrays + 8)} in 4 files" in out
    assert KINDS["analysis"] in out


def test_clear_deletes_everything(folder: Path) -> None:
    status, out, _ = _invoke("clear", "--yes")
    assert (status, out.startswith(f"{folder}: deleted 4 files, ")) == (0, True)
    assert not [path for path in folder.rglob("*") if path.is_dir()]
    for arguments in (["clear"], ["info"]):
        assert _invoke(*arguments)[:2] == (0, f"{folder}: the cache is empty.\n")


def test_clear_asks_first(folder: Path) -> None:
    status, _, error = _invoke("clear")
    assert (status, error.count("\n")) == (2, 1)
    assert "--yes" in error
    assert len(content()) == 3


def test_other_files_and_links_are_left(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    shutil.copytree(folder / "analysis", outside)
    (folder / "values").symlink_to(outside)
    (next((folder / "analysis").iterdir()) / f"{'e' * 64}.npz").symlink_to(next(outside.rglob("*.npz")))
    (folder / "analysis" / "thesis.txt").write_text("mine")
    (folder / "photos").mkdir()
    (folder / "photos" / f"{'f' * 64}.npz").write_text("mine")
    (outside / "empty").mkdir()
    assert sum(kind.files for kind in clear()) == 4
    assert (folder / "analysis" / "thesis.txt").read_text() == "mine"
    assert (folder / "photos" / f"{'f' * 64}.npz").is_file()
    assert len(list(outside.rglob("*.npz"))) == 2
    assert (outside / "empty").is_dir()


def test_a_folder_that_is_not_a_cache_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A folder of somebody's own, with a name that the cache uses too.
    (tmp_path / "features").mkdir()
    (tmp_path / "features" / "mine.npz").write_text("mine")
    (tmp_path / "notes.txt").write_text("mine")
    monkeypatch.setenv("EMOBENCH_CACHE", str(tmp_path))
    with pytest.raises(InputError, match="is not a cache of emobench"):
        clear()
    assert _invoke("clear", "--yes")[0] == 2
    assert (tmp_path / "features" / "mine.npz").is_file()


def test_no_cache_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOBENCH_CACHE", str(tmp_path / "none"))
    assert clear() == []
    assert not (tmp_path / "none").exists()


def test_a_cache_in_use_is_not_cleared(folder: Path) -> None:
    with using_cache():
        environment = {**os.environ, "EMOBENCH_CACHE": str(folder)}
        command = [sys.executable, "-m", "emobench", "cache", "clear", "--yes"]
        ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (ran.returncode, len(ran.stderr.splitlines())) == (1, 1)
    assert "another process uses the cache" in ran.stderr
    assert len(content()) == 3


def test_a_kind_that_cannot_be_cleared_is_not_written() -> None:
    with pytest.raises(ValueError, match="cache_content"):
        cache.entry("unknown", 1)


@pytest.mark.parametrize(
    ("size", "shown"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (31_817_843, "31.8 MB"), (2 * 10**12, "2.0 TB")],
)
def test_sizes(size: int, shown: str) -> None:
    assert size_shown(size) == shown
