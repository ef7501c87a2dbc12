"""Parallel work through :class:`concurrent.futures.Executor`: local processes or a Dask cluster."""

from __future__ import annotations

import math
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, TypeVar

from ..errors import InputError
from .cache_content import using_cache
from .isolation import CrashError, Stop, StoppedError, isolated, stop_with
from .progress import progress

if TYPE_CHECKING:
    from .cluster import ClusterExecutor

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def processors(groups: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int:
    """Count the processors that this process may use, by its affinity and the quota of its control group.

    Parameters
    ----------
    groups, own : Path
        Mount point of the control groups, and the file that lists those of this process.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(allowed, _quota(groups, own))))


def _quota(groups: Path, own: Path) -> float:
    """Return the processors that control groups (version 1 or 2) grant; infinity without a limit."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return math.inf
    quota = math.inf
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        root = groups / "cpu" if controllers else groups
        # Limits of parent groups apply too. In a container, only the root of the hierarchy is visible.
        place = root / group.lstrip("/")
        for folder in (place, *place.parents):
            if folder == root.parent:
                break
            quota = min(quota, _limit(folder))
    return quota


def _limit(folder: Path) -> float:
    try:
        if (folder / "cpu.max").is_file():
            granted, period = (folder / "cpu.max").read_text().split()
        else:
            granted, period = ((folder / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period"))
        return int(granted) / int(period) if granted != "max" and int(granted) > 0 else math.inf
    except (OSError, ValueError):
        return math.inf


@contextmanager
def executor(workers: int, scheduler: str | None = None) -> Iterator[Executor]:
    """Open an executor: worker processes on this machine, or a Dask cluster.

    Parameters
    ----------
    workers : int
        Number of worker processes on this machine.
    scheduler : str, optional
        Address of a Dask scheduler to use instead, such as ``tcp://host:8786``.

    Yields
    ------
    Executor
        Locally, a thread pool. Calls through :func:`ordered_map` or :func:`guarded` run in a worker process for each
        thread (:mod:`.isolation`), so that a call that kills its process affects nothing else.

    Raises
    ------
    InputError
        If the scheduler cannot be used.
    """
    if workers < 1:
        raise InputError(f"`workers` {workers}: expected a number of at least 1.")
    if scheduler is None:
        opened = _processes(workers)
    else:
        from .cluster import connect

        opened = _cluster(connect(scheduler))
    with using_cache(), opened as pool:
        yield pool


@contextmanager
def _processes(workers: int) -> Iterator[Executor]:
    stop = Stop()
    pool = ThreadPoolExecutor(workers, initializer=stop_with, initargs=(stop,))
    try:
        with _interrupted_by(stop):
            yield pool
    except BaseException:
        stop.stop()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _cluster(opened: AbstractContextManager[ClusterExecutor]) -> Iterator[Executor]:
    with opened as pool, _interrupted_by(pool):
        yield pool


@contextmanager
def _interrupted_by(calls: Stop | ClusterExecutor) -> Iterator[None]:
    """Let an interrupt (Ctrl-C) stop the running calls rather than the thread that waits for them.

    An interrupted wait may leave its lock in any state. A second interrupt, or one without running calls, raises
    KeyboardInterrupt as usual.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        if calls.requested or not calls.busy:
            # The command line notes the interrupt, which packages may turn into another exception.
            (before if callable(before) else signal.default_int_handler)(number, frame)
        threading.Thread(target=calls.stop).start()

    before = signal.signal(signal.SIGINT, end)
    try:
        yield
    except StoppedError:
        raise KeyboardInterrupt from None
    finally:
        signal.signal(signal.SIGINT, before)


def ordered_map(
    pool: Executor,
    function: Callable[[_Item], _Result],
    items: Sequence[_Item],
    *,
    description: str,
    unit: str = "clip",
    crashed: _Result | None = None,
    limited: bool = True,
) -> Iterator[_Result]:
    """Apply a function to every item in isolated processes, and yield the results in the order of the items.

    Parameters
    ----------
    pool : Executor
        An executor from :func:`executor`.
    function : callable
        Function of one item, importable by name; items and results must be picklable.
    items : sequence
        Items to work on.
    description, unit : str
        Texts of the progress bar.
    crashed : object, optional
        Result for an item whose call kills its process or exceeds the time limit.
    limited : bool
        Whether the time limit ``isolation.TIME_LIMIT`` applies.

    Yields
    ------
    object
        Result for each item.

    Raises
    ------
    EmobenchError
        If a call kills its process and ``crashed`` is None.
    """
    work = partial(guarded, function, crashed=crashed, limited=limited)
    yield from progress(pool.map(work, items), description, unit, len(items))


def guarded(
    function: Callable[[_Item], _Result], item: _Item, *, crashed: _Result | None, limited: bool = True
) -> _Result:
    """Call ``function(item)`` in an isolated process; return ``crashed`` (unless None) if that kills it."""
    try:
        return isolated(function, item, limited=limited)
    except CrashError as error:
        if crashed is None:
            raise CrashError(f"{item}: {error}.") from error
        return crashed
