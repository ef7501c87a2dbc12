"""One function over many items, on as many processes as there are processors, in order."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TypeVar

from tqdm import tqdm

from .errors import EmobenchError

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def progress(items: Iterable[_Item], *, total: int | None, description: str, unit: str) -> Iterable[_Item]:
    """Show a bar on standard error while ``items`` pass; silent where that is no terminal."""
    return tqdm(
        items,
        total=total,
        desc=description,
        unit=unit,
        disable=not bars_wanted(),
        leave=True,
        file=sys.stderr,
    )


def bars_wanted() -> bool:
    """Whether progress bars are shown: standard error is a terminal and nobody asked for quiet."""
    return sys.stderr.isatty() and os.environ.get("EMOBENCH_QUIET") != "1"


def _start_worker() -> None:
    # Runs before numpy is imported here: the libraries read these once.
    for variable in _THREAD_VARIABLES:
        os.environ[variable] = "1"
    # An interrupt is the parent's to handle: it cancels what waits and lets what runs end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def ordered_map(
    function: Callable[[_Item], _Result],
    items: Sequence[_Item],
    *,
    workers: int,
    description: str,
    unit: str = "clip",
) -> Iterator[_Result]:
    """Apply a function to every item and give the results in the items' order.

    Parameters
    ----------
    function : callable
        Importable by name, its items and results picklable, where there is more than one worker.
    items : sequence
        What to work on.
    workers : int
        Processes; 1 works in this one. Each uses one thread.
    description, unit : str
        Of the progress bar.

    Yields
    ------
    object
        The results.

    Raises
    ------
    EmobenchError
        If a worker process dies.
    """
    if workers <= 1 or len(items) <= 1:
        yield from (function(item) for item in progress(items, total=len(items), description=description, unit=unit))
        return
    pool: Executor = ProcessPoolExecutor(
        min(workers, len(items)), mp_context=get_context("spawn"), initializer=_start_worker
    )
    try:
        results = pool.map(function, items)
        yield from progress(results, total=len(items), description=description, unit=unit)
    except BrokenProcessPool as error:
        raise EmobenchError(
            f"{description}: a worker process died (out of memory, or killed). "
            "Run the same command again: what was finished is kept."
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
