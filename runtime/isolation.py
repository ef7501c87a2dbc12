"""A function called in a process of its own, so that what kills or hangs that process costs one call only.

Decoders are C code that reads files from anywhere: a bad one may crash, or never come back. Each thread that
calls :func:`isolated` uses a child process, which is kept for later calls. A child that hangs is ended by the
system's own timer, which no code in it can miss; one that loses its parent ends by itself.
"""

from __future__ import annotations

import atexit
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection, Pipe
from pathlib import Path
from typing import Any, TypeVar

from ..errors import EmobenchError
from .environment import peak_memory_mb
from .jit_cache import set_numba_cache

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

# Seconds that a call may take; the longest songs take some ten.
TIME_LIMIT = 300.0

# A child that nobody calls for so many seconds ends.
_IDLE_LIMIT = 120.0

# Ends that are not the call's own doing.
_FROM_OUTSIDE = (-signal.SIGKILL, -signal.SIGTERM, 0)

# How often a call is made again whose child was killed from outside, as for want of memory.
_ATTEMPTS = 4

# Seconds that a child has to end when it is asked to.
_PATIENCE = 2.0

# Each child uses one processor.
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "POLARS_MAX_THREADS"), "1"
)

_SERVE = "from emobench.runtime.isolation import serve; serve({})"


class CrashError(EmobenchError):
    """A call that ended its process, or did not end in time."""


class StoppedError(EmobenchError):
    """A call that was given up because the whole run stops."""


class Stop:
    """Ends the calls of several threads from another one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._children: set[_Child] = set()
        self.asked = False

    def __call__(self) -> None:
        """End all calls; later ones raise :class:`StoppedError`."""
        with self._lock:
            self.asked = True
            processes = [child.process for child in self._children]
        # First gently, so that they leave no half-written file behind.
        for process in processes:
            process.terminate()
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until and any(process.poll() is None for process in processes):
            time.sleep(0.01)
        for process in processes:
            process.kill()

    @property
    def busy(self) -> bool:
        """Whether a call is under way."""
        return bool(self._children)

    def watch(self, child: _Child) -> None:
        """End ``child`` too when asked to."""
        with self._lock:
            if self.asked:
                raise StoppedError("stopped.")
            self._children.add(child)

    def forget(self, child: _Child) -> None:
        """Leave ``child`` alone from now on."""
        with self._lock:
            self._children.discard(child)


class _Child:
    """A process that answers calls, one at a time."""

    def __init__(self) -> None:
        # Decided here: all children share one folder, and nobody would read a child's warning.
        set_numba_cache()
        self.connection, theirs = Pipe()
        # What it prints is nobody's to read, except the last line if it dies.
        self._log = tempfile.TemporaryFile()  # noqa: SIM115
        environment = {**os.environ, **ONE_THREAD, "PYTHONPATH": os.pathsep.join(sys.path)}
        self.process = subprocess.Popen(
            [sys.executable, "-c", _SERVE.format(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            env=environment,
            # A terminal's interrupt is the parent's to handle.
            process_group=0,
        )
        theirs.close()
        self.started = False

    def call(self, message: tuple[Any, ...]) -> tuple[tuple[str, Any], float]:
        """Send a call, wait for its outcome and the peak of memory; OSError or EOFError where the child is gone."""
        if not self.started:
            self.connection.recv()
            self.started = True
        self.connection.send(message)
        return self.connection.recv()

    def end(self) -> tuple[int, str]:
        """End it; its exit status and its last words."""
        self.connection.close()
        status = self.process.wait()
        self._log.seek(0)
        words = self._log.read().decode(errors="replace").strip().splitlines()
        self._log.close()
        return status, words[-1] if words else ""


_idle: list[_Child] = []
_peaks = [0.0]
_lock = threading.Lock()
_local = threading.local()


def peak_rss_mb() -> float:
    """Largest resident size that a child of this process has had, in megabytes; 0 before there was one."""
    return _peaks[0]


def stop_with(stop: Stop) -> None:
    """Let ``stop`` end the calls of this thread."""
    _local.stop = stop


def isolated(function: Callable[[_Item], _Result], item: _Item, *, limited: bool = True) -> _Result:
    """Call ``function(item)`` in a child process.

    Parameters
    ----------
    function : callable
        Importable by name; its argument and result can be pickled.
    item : object
        Its argument.
    limited : bool
        Whether the call may take no longer than ``TIME_LIMIT``.

    Returns
    -------
    object
        Its result. What it raises is raised here.

    Raises
    ------
    CrashError
        If the call ended the process, or took too long.
    EmobenchError
        If something outside killed the process again and again.
    """
    settings = {name: value for name, value in os.environ.items() if name.startswith("EMOBENCH_")}
    message = (str(Path.cwd()), settings, TIME_LIMIT if limited else 0.0, pickle.dumps((function, item)))
    stop: Stop | None = getattr(_local, "stop", None)
    status, words = 0, ""
    for _attempt in range(_ATTEMPTS):
        outcome = _attempted(message, stop)
        if outcome[0] == "result":
            return outcome[1]
        if outcome[0] == "error":
            raise outcome[1]
        status, words = outcome[1]
        if status == -signal.SIGALRM:
            raise CrashError(f"took longer than {TIME_LIMIT:g} s")
        if status not in _FROM_OUTSIDE:
            raise CrashError(f"ended its process ({_cause(status)}{': ' if words else ''}{words})")
    raise EmobenchError(
        f"a worker process was ended {_ATTEMPTS} times ({_cause(status)}), as for want of memory; try fewer "
        "--workers. Run the same command again: what was finished is kept."
    )


def _attempted(message: tuple[Any, ...], stop: Stop | None) -> tuple[str, Any]:
    """Outcome of one attempt: ``result``, ``error``, or ``died`` with exit status and last words."""
    child = _ready_child()
    try:
        if stop:
            stop.watch(child)
        outcome, peak = child.call(message)
    except (OSError, EOFError):
        status, words = child.end()
        if stop and stop.asked:
            raise StoppedError("stopped.") from None
        if not child.started and status not in _FROM_OUTSIDE:
            raise EmobenchError(f"a worker process did not start ({_cause(status)}: {words}).") from None
        return "died", (status, words)
    except BaseException:
        child.process.kill()
        child.end()
        raise
    finally:
        if stop:
            stop.forget(child)
    with _lock:
        _peaks[0] = max(_peaks[0], peak)
        _idle.append(child)
    return outcome


def _ready_child() -> _Child:
    """A child that lives: one that is idle, or a new one."""
    while True:
        with _lock:
            if not _idle:
                break
            child = _idle.pop()
        if child.process.poll() is None:
            return child
        child.end()
    return _Child()


def _end_idle() -> None:
    with _lock:
        while _idle:
            _idle.pop().end()


atexit.register(_end_idle)


def _cause(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"


def serve(descriptor: int) -> None:
    """Answer calls until the parent is gone; what a child process runs."""
    # The alarm is left to the system, which ends this process whatever it does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    connection = Connection(descriptor)
    connection.send("ready")
    while connection.poll(_IDLE_LIMIT):
        try:
            folder, settings, limit, call = connection.recv()
        except (EOFError, OSError):
            return
        os.chdir(folder)
        for name in [name for name in os.environ if name.startswith("EMOBENCH_")]:
            del os.environ[name]
        os.environ.update(settings)
        signal.setitimer(signal.ITIMER_REAL, limit)
        try:
            function, item = pickle.loads(call)
            outcome = ("result", function(item))
        except Exception as error:
            outcome = ("error", error)
        signal.setitimer(signal.ITIMER_REAL, 0)
        _answer(connection, outcome)


def _answer(connection: Connection, outcome: tuple[str, Any]) -> None:
    peak = peak_memory_mb()
    try:
        encoded = pickle.dumps((outcome, peak))
        if outcome[0] == "error":
            # An exception may fail to come out of what it went into; a result of ours does not.
            pickle.loads(encoded)
    except Exception as error:
        told = EmobenchError(f"{outcome[1]!r} cannot be sent between processes ({error}).")
        encoded = pickle.dumps((("error", told), peak))
    connection.send_bytes(encoded)
