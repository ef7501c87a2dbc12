"""Work on all processors: one seam, ``concurrent.futures.Executor``, and one function over many items, in order."""

from __future__ import annotations

import math
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TypeVar

from .isolation import CrashError, Stop, StoppedError, isolated, stop_with
from .progress import progress

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def processors(groups: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> int:
    """Processors that this process may use: by its affinity, and by the quota of its control group.

    Parameters
    ----------
    groups, own : Path
        Where the system keeps control groups, and which ones this process is in.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(allowed, _quota(groups, own))))


def _quota(groups: Path, own: Path) -> float:
    """Processors that control groups (version 2 or 1) grant; infinite where they set no limit."""
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
        # A limit anywhere above holds too. In a container the group's own path is not there, its root is.
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
    """Give what runs calls: processes of this machine, or a Dask cluster.

    Parameters
    ----------
    workers : int
        Processes of this machine.
    scheduler : str, optional
        Address of a Dask scheduler, such as ``tcp://host:8786``, instead.

    Yields
    ------
    Executor
        Its calls run in threads that wait for child processes of their own (:mod:`.isolation`), so that a call
        that ends its process ends nothing else.

    Raises
    ------
    InputError
        If the scheduler cannot be reached or used.
    """
    if scheduler is not None:
        from .cluster import connect

        with connect(scheduler) as pool:
            yield pool
        return
    stop = Stop()
    pool = ThreadPoolExecutor(workers, initializer=stop_with, initargs=(stop,))
    try:
        with _interrupted_by(stop):
            yield pool
    except BaseException:
        stop()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _interrupted_by(stop: Stop) -> Iterator[None]:
    """Have an interrupt end the calls that are waited for, instead of the wait.

    A wait that is interrupted may leave its lock behind in any state. Where nothing is waited for, or it
    is asked for twice, the interrupt is what it always is.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        if stop.asked or not stop.busy:
            signal.default_int_handler(number, frame)
        threading.Thread(target=stop).start()

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
    """Apply a function to every item, each call isolated, and give the results in the items' order.

    Parameters
    ----------
    pool : Executor
        Of :func:`executor`.
    function : callable
        Importable by name, its items and results picklable.
    items : sequence
        What to work on.
    description, unit : str
        Of the progress bar.
    crashed : object, optional
        The result for an item that ends the process that works on it, or never ends itself.
    limited : bool
        Whether a call that takes very long is one that never ends.

    Yields
    ------
    object
        The results.

    Raises
    ------
    EmobenchError
        If an item ends its process, and there is no result for that.
    """
    work = partial(guarded, function, crashed=crashed, limited=limited)
    yield from progress(pool.map(work, items), description, unit, len(items))


def guarded(
    function: Callable[[_Item], _Result], item: _Item, *, crashed: _Result | None, limited: bool = True
) -> _Result:
    """Call ``function(item)`` isolated; ``crashed`` where that ends the process, unless it is None."""
    try:
        return isolated(function, item, limited=limited)
    except CrashError as error:
        if crashed is None:
            raise CrashError(f"{item}: {error}.") from error
        return crashed
