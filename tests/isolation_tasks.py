"""Functions that the tests of isolation run in child processes."""

import ctypes
import os
import signal
import sys
import threading
import time
from pathlib import Path


def whoami(_):
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "POLARS_MAX_THREADS")
    return {"pid": os.getpid(), "threads": [os.environ[name] for name in names]}


def surroundings(name):
    return str(Path.cwd()), os.environ.get(name)


def fail(error):
    raise error


def unsendable(what):
    lock = threading.Lock()
    if what == "error":
        raise ValueError(lock)
    return lock


def die(how):
    if how == "segfault":
        ctypes.string_at(0)
    elif how == "abort":
        os.abort()
    elif how == "exit":
        os._exit(7)
    elif how == "words":
        print("first words\nlast words", file=sys.stderr, flush=True)
        os._exit(1)
    return "lived"


def hang(how):
    if how == "sleep":
        time.sleep(60)
    # One long operation: in Python code, a signal handler could run between two steps.
    return (10**400000) ** 100


def tell_and_hang(path):
    Path(path).write_text(str(os.getpid()))
    time.sleep(1.5)


def die_so_often(item):
    path, times = Path(item[0]), item[1]
    count = len(path.read_text()) if path.exists() else 0
    if count < times:
        path.write_text("x" * (count + 1))
        os.kill(os.getpid(), signal.SIGKILL)
    return "lived at last"


def slow_square(number):
    time.sleep(0.02 * (10 - number))
    return number**2


def slow(seconds):
    time.sleep(seconds)
    return "done"
