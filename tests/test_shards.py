"""Work in shards: the same bytes after any interruption, on this machine and on a Dask cluster."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import emobench.runtime.isolation
import polars as pl
import pytest
import soundfile
from emobench.builders import pretraining, segments
from emobench.builders.synthesis import STYLES, render_excerpt
from emobench.errors import EmobenchError, InputError
from emobench.runtime.cluster import connect
from emobench.runtime.executor import executor
from emobench.runtime.shards import Shard, Tally, Work, cut, finished, make

from .dask_cluster import Cluster, children

DRIVER = Path(__file__).with_name("shard_driver.py")


def _driver() -> Any:
    spec = importlib.util.spec_from_file_location("shard_driver", DRIVER)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def audio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48 clips of six seconds from eight pieces, some of them unusable: six shards."""
    folder = tmp_path_factory.mktemp("audio")
    styles = sorted(STYLES)
    for number in range(8):
        sound = render_excerpt(
            tempo=80.0 + 10 * number, style=styles[number % len(styles)], drums=True, duration=14, seed=number
        ).audio
        for part in range(6):
            first = round(22050 * 1.5 * part)
            samples = sound[first : first + 6 * 22050] * (0.0 if (number, part) == (3, 3) else 1.0)
            soundfile.write(folder / f"c{number}{part}.wav", samples, 22050, subtype="PCM_16")
    (folder / "c11.wav").write_bytes(b"RIFF nothing")
    (folder / "c42.wav").write_bytes((folder / "c42.wav").read_bytes()[:50_000])
    return folder


@pytest.fixture(scope="module")
def undisturbed(audio: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of the dataset from an undisturbed build."""
    folder = tmp_path_factory.mktemp("undisturbed")
    _run(audio, folder, "2")
    files = _files(folder)
    assert len(files) == 10
    return files


def _start(audio: Path, folder: Path, where: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(DRIVER), str(audio), str(folder / "out"), where],
        env={**os.environ, "EMOBENCH_CACHE": str(folder / "cache")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _run(audio: Path, folder: Path, where: str) -> str:
    process = _start(audio, folder, where)
    said, error = process.communicate(timeout=120)
    assert (process.returncode, error) == (0, "")
    return said


def _files(folder: Path) -> dict[str, bytes]:
    out = folder / "out"
    return {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name != "local.json"
    }


def _shards(folder: Path) -> dict[str, tuple[int, int]]:
    """Return name, inode and time of every finished shard, which change if a shard is rewritten."""
    found = {}
    for path in (folder / "cache" / "shards").rglob("*.parquet"):
        state = path.stat()
        found[path.name] = (state.st_ino, state.st_mtime_ns)
    return found


def _ended_by(folder: Path, how: str, process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        if how == "worker":
            for child in children(process.pid)[:1]:
                os.kill(child, signal.SIGKILL)
        else:
            os.killpg(process.pid, signal.SIGKILL if how == "kill" else signal.SIGINT)


def _wait_for(what: Callable[[], object], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.slow
def test_an_interruption_at_any_moment(audio: Path, undisturbed: dict[str, bytes], tmp_path: Path) -> None:
    moments = random.Random(5)
    ended = []
    for number in range(10):
        process = _start(audio, tmp_path, "2")
        how = ("worker", "interrupt", "kill")[number % 3]
        before = _shards(tmp_path)
        if how == "interrupt":
            # Before the children have started, Python itself may handle the signal.
            _wait_for(lambda process=process: children(process.pid) or process.poll() is not None)
            time.sleep(moments.uniform(0.0, 0.8))
        else:
            time.sleep(moments.uniform(0.9, 2.4))
        _ended_by(tmp_path, how, process)
        _, error = process.communicate(timeout=60)
        ended.append((how, process.returncode))
        assert process.returncode in {"worker": (0,), "interrupt": (130, 0, -2), "kill": (-9, 0)}[how], error
        # Finished shards are unchanged, and all shards are complete.
        after = _shards(tmp_path)
        assert {name: after[name] for name in before} == before
        if process.returncode == 0:
            assert _files(tmp_path) == undisturbed
            # Start again from the beginning, or from close to it.
            shutil.rmtree(tmp_path / "out")
            for path in list((tmp_path / "cache" / "shards").rglob("*.parquet"))[: 4 + number % 3]:
                path.unlink()
        else:
            assert not (tmp_path / "out").exists()
    assert {status for _, status in ended} >= {0, 130, -9}
    _run(audio, tmp_path, "2")
    assert _files(tmp_path) == undisturbed


def test_the_dataset_lists_rejected_clips(audio: Path, undisturbed: dict[str, bytes]) -> None:
    assert set(undisturbed) == {
        "README.md",
        "croissant.json",
        "manifest.json",
        *(f"{table}/train-00000.parquet" for table in ("clips", "rhythm", "pitch", "texture")),
        *(f"plots/{name}.png" for name in ("duration", "bit_rate", "tempo")),
    }
    clips = pl.read_parquet(undisturbed["clips/train-00000.parquet"])
    assert dict(clips.filter(~pl.col("kept")).select("track_id", "rejected").iter_rows()) == {
        "c11.wav": "undecodable",
        "c33.wav": "silent",
        "c42.wav": "too_short",
    }
    rhythm = pl.read_parquet(undisturbed["rhythm/train-00000.parquet"])
    counts = dict(rhythm.group_by("track_id").len().iter_rows())
    assert counts == dict(clips.filter("kept").select("track_id", "n_beats").iter_rows())
    assert rhythm["features"].list.len().unique().to_list() == [20]
    own = rhythm.filter(pl.col("track_id") == "c00.wav")
    assert own["beat"].to_list() == list(range(len(own)))


def test_many_rows_make_several_files(
    audio: Path, undisturbed: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMOBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(pretraining, "_ROWS", 150)
    _driver().build(audio, tmp_path / "out", "2")
    parts = sorted((tmp_path / "out" / "pitch").iterdir())
    assert [part.name for part in parts] == [f"train-{number:05}.parquet" for number in range(len(parts))]
    assert len(parts) > 2
    whole = pl.read_parquet(undisturbed["pitch/train-00000.parquet"])
    assert pl.concat([pl.read_parquet(part) for part in parts]).equals(whole)
    loaded = segments.load_segments(tmp_path / "out", "pitch")
    assert sum(len(clip) for clip in loaded) == len(whole)
    assert len(loaded) == whole["track_id"].n_unique()


def test_one_worker_makes_the_same_bytes(audio: Path, undisturbed: dict[str, bytes], tmp_path: Path) -> None:
    _run(audio, tmp_path, "1")
    assert _files(tmp_path) == undisturbed


@pytest.mark.slow
def test_a_damaged_shard_is_recomputed(audio: Path, undisturbed: dict[str, bytes], tmp_path: Path) -> None:
    _run(audio, tmp_path, "2")
    before = _shards(tmp_path)
    names = sorted(before)
    folder = next((tmp_path / "cache" / "shards").iterdir())
    damaged = bytearray((folder / names[1]).read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (folder / names[1]).write_bytes(damaged)
    (folder / names[3]).write_bytes(b"")
    (folder / "00000-0123456789abcdef-0123456789abcdef.parquet").write_bytes(b"of other work")
    (tmp_path / "out").rename(tmp_path / "first")
    assert "kept_before=32" in _run(audio, tmp_path, "2")
    assert _files(tmp_path) == undisturbed
    after = _shards(tmp_path)
    assert {name for name in before if after[name] != before[name]} == {names[1], names[3]}


def test_another_threshold_needs_no_new_shards(audio: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = _driver()
    monkeypatch.setenv("EMOBENCH_CACHE", str(tmp_path / "cache"))
    first = driver.build(audio, tmp_path / "one", "2")
    assert (first.items, first.kept_before, first.rejected) == (48, 0, 1)
    original = driver.QualityConfig
    monkeypatch.setattr(driver, "QualityConfig", lambda **given: original(**given | {"min_duration": 7.0}))
    with pytest.raises(InputError, match=r"no clip passes the quality filter .47 too_short, 1 undecodable."):
        driver.build(audio, tmp_path / "two", "2")
    monkeypatch.setattr(driver, "QualityConfig", lambda **given: original(**given | {"silence_db": -100.0}))
    again = driver.build(audio, tmp_path / "three", "2")
    assert (again.items, again.kept_before) == (48, 48)
    assert again.summary() == "features of all 48 clips were already computed"


def test_another_clip_or_setting_needs_new_shards() -> None:
    def keys(items: list[Any], key: str = "k") -> list[str]:
        return [shard.prefix for shard in cut(items, Work(dict, dict, lambda item: item, {}, key))]

    same = keys(list(range(20)))
    assert len(same) == 3
    assert same == keys(list(range(20)))
    assert not set(same) & set(keys(list(range(20)), "other"))
    assert [one == other for one, other in zip(same, keys([*range(19), 99]), strict=True)] == [True, True, False]


@pytest.mark.parametrize(("count", "size"), [(1, 8), (8192, 8), (50_000, 49), (1_000_000, 256)])
def test_the_division_depends_only_on_the_number_of_clips(count: int, size: int) -> None:
    shards = cut(range(count), Work(dict, dict, lambda item: item, {}, "k"))
    assert [item for shard in shards for item in shard.items] == list(range(count))
    assert {len(shard.items) for shard in shards[:-1]} <= {size}
    assert len(shards[-1].items) <= size


def test_a_clip_that_kills_or_hangs_its_decoder_costs_that_clip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "decoders.py").write_text(
        "import ctypes, time\n"
        "def examine(item):\n"
        "    if item == 'kills': ctypes.string_at(0)\n"
        "    if item == 'hangs': time.sleep(60)\n"
        "    return {'item': item, 'fine': True}\n"
        "def lost(item): return {'item': item, 'fine': False}\n"
        "def same(item): return item\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    emobench.runtime.isolation._end_idle()
    monkeypatch.setattr(emobench.runtime.isolation, "TIME_LIMIT", 1.0)
    import decoders  # pyright: ignore[reportMissingImports]

    work = Work(decoders.examine, decoders.lost, decoders.same, {"item": pl.String, "fine": pl.Boolean}, "k")
    shard = cut(["a", "kills", "b", "hangs", "c"], work)[0]
    made = make(shard, work, tmp_path)
    rows = pl.read_parquet(tmp_path / made.name)
    assert rows.rows() == [("a", True), ("kills", False), ("b", True), ("hangs", False), ("c", True)]
    assert finished([shard], tmp_path) == {0: tmp_path / made.name}
    assert finished([Shard(0, "other", shard.items)], tmp_path) == {}
    emobench.runtime.isolation._end_idle()


def test_the_summary() -> None:
    tally = Tally(items=50, kept_before=10, hours=0.5, rejected=3, seconds=100.0, busy=180.0, peak_rss_mb=251.6)
    assert tally.summary() == (
        "features of 40 clips in 0:01:40 (10 more were already computed): 0.4 clips per second, 4.50 worker seconds "
        "per clip, at most 252 MB per worker; 0.5 hours of music, 3 clips rejected"
    )


# A Dask cluster


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster for one test."""
    pytest.importorskip("distributed")
    started = Cluster(tmp_path)
    yield started
    started.end()


@pytest.mark.slow
def test_a_cluster_makes_the_same_bytes_even_if_a_worker_dies(
    audio: Path, undisturbed: dict[str, bytes], tmp_path: Path, cluster: Cluster
) -> None:
    _wait_for(cluster.ready)
    process = _start(audio, tmp_path, cluster.address)
    _wait_for(lambda: _shards(tmp_path))
    killed = cluster.workers()[0]
    os.kill(killed, signal.SIGKILL)
    before = _shards(tmp_path)
    _, error = process.communicate(timeout=120)
    assert (process.returncode, error) == (0, "")
    assert _files(tmp_path) == undisturbed
    after = _shards(tmp_path)
    assert {name: after[name] for name in before} == before
    assert len(after) == 6


@pytest.mark.slow
def test_a_lost_scheduler_is_one_line_and_the_next_call_finishes(
    audio: Path, undisturbed: dict[str, bytes], tmp_path: Path, cluster: Cluster
) -> None:
    _wait_for(cluster.ready)
    process = _start(audio, tmp_path, cluster.address)
    _wait_for(lambda: _shards(tmp_path))
    cluster.scheduler.kill()
    _, error = process.communicate(timeout=120)
    assert process.returncode == 1
    assert error == (
        f"emobench: the connection to the scheduler {cluster.address} was lost. Finished work is kept; rerun the "
        "command to resume.\n"
    )
    before = _shards(tmp_path)
    assert before
    cluster.start("scheduler", "--host", "127.0.0.1", "--port", str(cluster.port))
    process = _start(audio, tmp_path, cluster.address)
    assert process.stderr
    assert (
        process.stderr.readline()
        == f"emobench: warning: {cluster.address} has no workers yet; waiting for the first.\n"
    )
    cluster.start_workers()
    _, error = process.communicate(timeout=120)
    assert (process.returncode, error) == (0, "")
    assert _files(tmp_path) == undisturbed
    after = _shards(tmp_path)
    assert {name: after[name] for name in before} == before


@pytest.mark.slow
def test_an_interrupt_on_a_cluster(audio: Path, tmp_path: Path, cluster: Cluster) -> None:
    _wait_for(cluster.ready)
    process = _start(audio, tmp_path, cluster.address)
    _wait_for(lambda: _shards(tmp_path))
    os.killpg(process.pid, signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (130, "")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("address", ["nonsense", "host:8786", "foo://x:1", "tcp://127.0.0.1", "tcp://127.0.0.1:1"])
def test_an_address_without_a_scheduler(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emobench.runtime.cluster._PATIENCE", 1.0)
    with pytest.raises(InputError, match=f"`scheduler` {address}: expected the address"), executor(1, address):
        pass


@pytest.mark.filterwarnings("ignore:.*has no workers yet")
def test_another_version_of_dask_or_of_packages(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emobench.runtime.cluster.package_versions", lambda heavy: {"numpy": "0.1"})
    with (
        pytest.raises(EmobenchError, match=r"the worker on .* has .*numpy \S+ instead of 0\.1"),
        connect(cluster.address) as pool,
    ):
        pool.submit(os.getpid).result(60)
    monkeypatch.setattr("emobench.runtime.cluster.metadata.version", lambda name: "1.0")
    with (
        pytest.raises(InputError, match=r"runs dask.distributed \S+, but this machine has 1\.0\. Install"),
        connect(cluster.address),
    ):
        pass


def test_a_folder_that_workers_cannot_see(tmp_path: Path) -> None:
    work = Work(dict, dict, lambda item: item, {}, "k")
    with pytest.raises(
        EmobenchError, match=r"not visible to the worker on .*; audio, datasets and EMOBENCH_CACHE must be"
    ):
        make(cut([1], work)[0], work, tmp_path / "elsewhere")


def test_dask_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match=r"pip install 'emobench\[cluster\]'"), connect("tcp://127.0.0.1:1"):
        pass
