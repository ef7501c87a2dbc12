"""Calls in child processes that crash, hang or fail, and how the parent handles this."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import emobench.runtime.isolation
import pytest
from emobench.errors import AudioError, EmobenchError, InputError
from emobench.runtime.executor import executor, guarded, ordered_map, processors
from emobench.runtime.isolation import CrashError, Stop, StoppedError, isolated, stop_with


@pytest.fixture
def tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder from which a module ``tasks`` can be imported, here and in a child."""
    source = Path(__file__).with_name("isolation_tasks.py")
    (tmp_path / "tasks.py").write_text(source.read_text())
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "tasks", raising=False)
    # Children that are already waiting do not know this folder.
    emobench.runtime.isolation._end_idle()
    yield tmp_path
    emobench.runtime.isolation._end_idle()
    sys.modules.pop("tasks", None)


def _task(name: str) -> Callable[[Any], Any]:
    return getattr(importlib.import_module("tasks"), name)


def test_calls_run_in_a_kept_child_on_one_thread(tasks: Path) -> None:
    first, again = (isolated(_task("whoami"), None) for _ in range(2))
    assert first == again
    assert first["pid"] != os.getpid()
    assert first["threads"] == ["1"] * 5


def test_calls_see_the_current_folder_and_settings(
    tasks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMOBENCH_MINE", "1")
    monkeypatch.chdir(tmp_path)
    assert isolated(_task("surroundings"), "EMOBENCH_MINE") == (str(tmp_path), "1")
    monkeypatch.delenv("EMOBENCH_MINE")
    (tmp_path / "deeper").mkdir()
    monkeypatch.chdir("deeper")
    assert isolated(_task("surroundings"), "EMOBENCH_MINE") == (str(tmp_path / "deeper"), None)


@pytest.mark.parametrize("error", [ValueError("odd"), InputError("x.csv, row 3: no"), AudioError("silent", "quiet")])
def test_an_error_is_raised_in_the_parent(tasks: Path, error: Exception) -> None:
    with pytest.raises(type(error)) as caught:
        isolated(_task("fail"), error)
    assert str(caught.value) == str(error)
    assert getattr(caught.value, "reason", None) == getattr(error, "reason", None)


@pytest.mark.parametrize("what", ["result", "error"])
def test_values_that_cannot_be_pickled(tasks: Path, what: str) -> None:
    with pytest.raises(EmobenchError, match="cannot be sent between processes"):
        isolated(_task("unsendable"), what)


@pytest.mark.parametrize(
    ("how", "message"),
    [("segfault", "SIGSEGV"), ("abort", "SIGABRT"), ("exit", "exit status 7"), ("words", "exit status 1: last words")],
)
def test_a_crash_costs_only_the_call(tasks: Path, how: str, message: str) -> None:
    with pytest.raises(CrashError, match=message):
        isolated(_task("die"), how)
    assert guarded(_task("die"), how, crashed="lost") == "lost"
    with pytest.raises(CrashError, match=f"^{how}: "):
        guarded(_task("die"), how, crashed=None)
    assert isolated(_task("die"), "not") == "lived"


def test_a_call_that_hangs_is_ended(tasks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emobench.runtime.isolation, "TIME_LIMIT", 0.5)
    for how in ("sleep", "loop"):
        start = time.monotonic()
        with pytest.raises(CrashError, match=r"longer than 0\.5 s"):
            isolated(_task("hang"), how)
        assert time.monotonic() - start < 5
    assert isolated(_task("slow"), 0.8, limited=False) == "done"
    # The time limit of one call does not carry over to the next.
    assert isolated(_task("die"), "not") == "lived"
    time.sleep(0.6)
    assert isolated(_task("die"), "not") == "lived"


def test_a_child_killed_from_outside_is_restarted(tasks: Path, tmp_path: Path) -> None:
    assert isolated(_task("die_so_often"), (str(tmp_path / "count"), 3)) == "lived at last"
    with pytest.raises(EmobenchError, match=r"killed 4 times .SIGKILL.*with fewer `workers`"):
        isolated(_task("die_so_often"), (str(tmp_path / "again"), 4))


def test_a_child_that_died_while_idle_is_replaced(tasks: Path) -> None:
    first = isolated(_task("whoami"), None)["pid"]
    os.kill(first, signal.SIGKILL)
    assert isolated(_task("whoami"), None)["pid"] != first


def test_a_child_that_does_not_start_is_not_blamed_on_the_clip(tasks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emobench.runtime.isolation, "_SERVE", "import no_such_module_{}")
    with pytest.raises(EmobenchError, match=r"did not start .exit status 1: ModuleNotFoundError") as caught:
        guarded(_task("die"), "not", crashed="lost")
    assert not isinstance(caught.value, CrashError)


def test_a_child_ends_with_its_parent(tasks: Path, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    parent = os.fork()
    if parent == 0:
        emobench.runtime.isolation._idle.clear()
        isolated(_task("tell_and_hang"), str(pids))
        os._exit(0)
    while not pids.exists() or not pids.read_text():
        time.sleep(0.01)
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    child = int(pids.read_text())
    until = time.monotonic() + 10
    while Path(f"/proc/{child}").exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert not Path(f"/proc/{child}").exists()


def test_stop_ends_calls_of_other_threads(tasks: Path) -> None:
    stop = Stop()
    caught: list[BaseException] = []

    def work() -> None:
        stop_with(stop)
        try:
            isolated(_task("hang"), "sleep")
        except BaseException as error:
            caught.append(error)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    while len(stop._children) < 2:
        time.sleep(0.01)
    stop.stop()
    for thread in threads:
        thread.join(10)
    assert [type(error) for error in caught] == [StoppedError, StoppedError]


def test_ordered_map(tasks: Path) -> None:
    with executor(3) as pool:
        found = list(ordered_map(pool, _task("slow_square"), list(range(10)), description="x"))
        assert found == [number**2 for number in range(10)]
        found = list(ordered_map(pool, _task("die"), ["not", "segfault", "not"], description="x", crashed="lost"))
        assert found == ["lived", "lost", "lived"]


def test_an_error_leaves_the_pool_at_once(tasks: Path) -> None:
    start = time.monotonic()
    with pytest.raises(ValueError, match="odd"), executor(2) as pool:
        hanging: Executor = pool
        hanging.submit(isolated, _task("hang"), "sleep")
        isolated(_task("fail"), ValueError("odd"))
    assert time.monotonic() - start < 10


# Processors


def test_processors_are_those_of_the_affinity() -> None:
    allowed = os.sched_getaffinity(0)
    nowhere = Path("/nonexistent")
    assert processors(nowhere, nowhere) == len(allowed)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert processors(nowhere, nowhere) == 1
    finally:
        os.sched_setaffinity(0, allowed)


def test_processors_are_no_more_than_the_quota(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    own = tmp_path / "own"

    def found(line: str, **files: str) -> int:
        own.write_text(line)
        for name, text in files.items():
            path = tmp_path / "groups" / name.replace("__", ".").replace("_in_", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return processors(tmp_path / "groups", own)

    assert found("0::/\n") == 64
    assert found("0::/\n", cpu__max="max 100000\n") == 64
    assert found("0::/job\n", job_in_cpu__max="250000 100000\n") == 3
    assert found("0::/job/step\n") == 3
    assert found("0::/elsewhere\n", cpu__max="50000 100000\n") == 1
    (tmp_path / "groups" / "cpu.max").unlink()
    (tmp_path / "groups" / "cpu" / "a").mkdir(parents=True)
    (tmp_path / "groups" / "cpu" / "a" / "cpu.cfs_quota_us").write_text("400000\n")
    (tmp_path / "groups" / "cpu" / "a" / "cpu.cfs_period_us").write_text("100000\n")
    assert found("4:cpu,cpuacct:/a\n3:memory:/a\n") == 4
    (tmp_path / "groups" / "cpu" / "a" / "cpu.cfs_quota_us").write_text("-1\n")
    assert found("4:cpu,cpuacct:/a\n3:memory:/a\n") == 64


def test_an_interrupt_reaches_the_handler_that_was_there() -> None:
    # The command line's handler notes the interrupt, because packages may turn it into another exception.
    seen = []

    def noted(number: int, frame: object) -> None:
        seen.append(number)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, noted)
    try:
        with pytest.raises(KeyboardInterrupt), executor(1):
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is noted
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == [signal.SIGINT]
