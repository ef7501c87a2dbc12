"""Function calls in worker processes, so that a crash or a hang costs one call only.

Audio decoders are C code that reads files of any origin: a damaged file may crash them or make them hang. Each thread
that calls :func:`isolated` uses a worker process, which is kept for later calls. The system's interval timer ends a
worker that hangs, whatever code it runs, and a worker whose parent is gone ends by itself.

CONTRIBUTING.md ("Libraries considered") says why this is not done with ``pebble`` or ``multiprocessing``.
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

# Seconds that a call may take. The longest songs take about ten.
TIME_LIMIT = 300.0

# Seconds after which an idle worker ends.
_IDLE_LIMIT = 120.0

# Exit statuses that do not come from the call itself.
_FROM_OUTSIDE = (-signal.SIGKILL, -signal.SIGTERM, 0)

# Number of attempts at a call whose worker is killed from outside, for example by the out-of-memory killer.
_ATTEMPTS = 4

# Seconds between SIGTERM and SIGKILL.
_PATIENCE = 2.0

# Environment that limits a worker to one thread.
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "POLARS_MAX_THREADS"), "1"
)

_SERVE = "from emobench.runtime.isolation import serve; serve({})"


class CrashError(EmobenchError):
    """A call that killed its process or exceeded the time limit."""


class StoppedError(EmobenchError):
    """A call that was cancelled because the whole run is stopping."""


class Stop:
    """Stops the calls of several threads from another thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._children: set[_Child] = set()
        self.requested = False

    def stop(self) -> None:
        """Stop all calls; later calls raise :class:`StoppedError`."""
        with self._lock:
            self.requested = True
            processes = [child.process for child in self._children]
        # SIGTERM first, so that workers can remove temporary files.
        for process in processes:
            process.terminate()
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until and any(process.poll() is None for process in processes):
            time.sleep(0.01)
        for process in processes:
            process.kill()

    @property
    def busy(self) -> bool:
        """Whether a call is running."""
        return bool(self._children)

    def watch(self, child: _Child) -> None:
        """Stop this worker too when requested."""
        with self._lock:
            if self.requested:
                raise StoppedError("stopped.")
            self._children.add(child)

    def forget(self, child: _Child) -> None:
        """Stop watching this worker."""
        with self._lock:
            self._children.discard(child)


class _Child:
    """A worker process, which answers one call at a time."""

    def __init__(self) -> None:
        # Set here, because workers share one folder and their warnings are not shown.
        set_numba_cache()
        self.connection, theirs = Pipe()
        # Output of the worker is discarded, except for the last line if it dies.
        self._log = tempfile.TemporaryFile()  # noqa: SIM115
        environment = {**os.environ, **ONE_THREAD, "PYTHONPATH": os.pathsep.join(sys.path)}
        self.process = subprocess.Popen(
            [sys.executable, "-c", _SERVE.format(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            env=environment,
            # A process group of its own, so that only the parent receives Ctrl-C from the terminal.
            process_group=0,
        )
        theirs.close()
        self.started = False

    def call(self, message: tuple[Any, ...]) -> tuple[tuple[str, Any], float]:
        """Send a call and wait for its outcome and peak memory; raise OSError or EOFError if the worker has died."""
        if not self.started:
            self.connection.recv()
            self.started = True
        self.connection.send(message)
        return self.connection.recv()

    def end(self) -> tuple[int, str]:
        """Close the connection and wait; return the exit status and the last line of output."""
        self.connection.close()
        status = self.process.wait()
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").strip().splitlines()
        self._log.close()
        return status, lines[-1] if lines else ""


_idle: list[_Child] = []
_peaks = [0.0]
_lock = threading.Lock()
_local = threading.local()


def peak_rss_mb() -> float:
    """Return the peak resident memory of the workers of this process, in megabytes; 0 before the first call."""
    return _peaks[0]


def stop_with(stop: Stop) -> None:
    """Let ``stop`` stop the calls of this thread."""
    _local.stop = stop


def isolated(function: Callable[[_Item], _Result], item: _Item, *, limited: bool = True) -> _Result:
    """Call ``function(item)`` in a worker process.

    Parameters
    ----------
    function : callable
        Function of one argument, importable by name; argument and result must be picklable.
    item : object
        Argument of the function.
    limited : bool
        Whether the time limit ``TIME_LIMIT`` applies.

    Returns
    -------
    object
        Result of the function. Its exceptions are raised here.

    Raises
    ------
    CrashError
        If the call killed the process or exceeded the time limit.
    EmobenchError
        If the process was killed from outside at every attempt.
    """
    settings = {name: value for name, value in os.environ.items() if name.startswith("EMOBENCH_")}
    message = (str(Path.cwd()), settings, TIME_LIMIT if limited else 0.0, pickle.dumps((function, item)))
    stop: Stop | None = getattr(_local, "stop", None)
    status, last_line = 0, ""
    for _attempt in range(_ATTEMPTS):
        outcome = _attempted(message, stop)
        if outcome[0] == "result":
            return outcome[1]
        if outcome[0] == "error":
            raise outcome[1]
        status, last_line = outcome[1]
        if status == -signal.SIGALRM:
            raise CrashError(f"took longer than {TIME_LIMIT:g} s")
        if status not in _FROM_OUTSIDE:
            raise CrashError(f"killed its process ({_cause(status)}{': ' if last_line else ''}{last_line})")
    raise EmobenchError(
        f"a worker process was killed {_ATTEMPTS} times ({_cause(status)}), probably because memory ran out. Finished "
        "work is kept; rerun the command with fewer `workers`."
    )


def _attempted(message: tuple[Any, ...], stop: Stop | None) -> tuple[str, Any]:
    """Make one attempt; return ``result``, ``error``, or ``died`` with exit status and last line of output."""
    child = _idle_child()
    try:
        if stop:
            stop.watch(child)
        outcome, peak = child.call(message)
    except (OSError, EOFError):
        status, last_line = child.end()
        if stop and stop.requested:
            raise StoppedError("stopped.") from None
        if not child.started and status not in _FROM_OUTSIDE:
            raise EmobenchError(f"a worker process did not start ({_cause(status)}: {last_line}).") from None
        return "died", (status, last_line)
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


def _idle_child() -> _Child:
    """Take an idle worker that is alive, or start a new one."""
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
    """Answer calls until the parent is gone. Main function of a worker process."""
    # With the default action of SIGALRM, the system ends this process whatever code it runs.
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
            # Some exceptions can be pickled but not unpickled.
            pickle.loads(encoded)
    except Exception as error:
        failure = EmobenchError(f"{outcome[1]!r} cannot be sent between processes ({error}).")
        encoded = pickle.dumps((("error", failure), peak))
    connection.send_bytes(encoded)
