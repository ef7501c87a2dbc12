"""How often one may ask: what was asked is written down, and no more is asked in a day than is allowed."""

from __future__ import annotations

import fcntl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ..errors import InputError

RECORD = "downloads.log"

DAY = 86_400.0


class Record:
    """What was asked, and what there is not; a line for each, written before anything is sent.

    Parameters
    ----------
    folder : Path
        Of the clips.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / RECORD
        self._lock = threading.Lock()
        self._file: IO[str] | None = None
        self.requests: deque[float] = deque()
        self.missing: set[str] = set()
        if self._path.is_file():
            for line in self._path.read_text(encoding="ascii", errors="replace").splitlines():
                self._take(line.split())

    def _take(self, words: list[str]) -> None:
        # A line that was cut by the end of a machine has no meaning.
        if len(words) != 3 or not words[0].replace(".", "", 1).isdigit():
            return
        if words[1] == "missing":
            self.missing.add(words[2])
        elif words[1] == "request":
            self.requests.append(float(words[0]))

    @contextmanager
    def open(self) -> Iterator[None]:
        """Write to it; nobody else may meanwhile.

        Raises
        ------
        InputError
            If another run downloads to the same folder.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="ascii") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise InputError(f"{self._path.parent}: another run downloads to this folder; wait for it.") from None
            if file.tell():
                file.write("\n")
            self._file = file
            try:
                yield
            finally:
                self._file = None

    def write(self, now: float, what: str, clip: str) -> None:
        """Add a line."""
        with self._lock:
            if self._file:
                self._file.write(f"{now:.3f} {what} {clip}\n")
                self._file.flush()
            self._take([f"{now:.3f}", what, clip])


class Pace:
    """Lets requests through: no more a day than allowed, none while the server asks to wait.

    Parameters
    ----------
    record : Record
        Knows of the requests of the last days.
    per_day : int
        Most requests in any 24 hours.
    wait : callable
        Waits for so many seconds.
    now : callable
        Gives the time, in seconds since 1970.
    """

    def __init__(
        self, record: Record, per_day: int, *, wait: Callable[[float], object], now: Callable[[], float] = time.time
    ) -> None:
        self._record, self._per_day, self._wait, self._now = record, per_day, wait, now
        self._lock = threading.Lock()
        self._resume = 0.0

    def pause(self, seconds: float) -> None:
        """Let nothing through for some seconds, at most a day's."""
        with self._lock:
            self._resume = max(self._resume, self._now() + min(seconds, DAY))

    def take(self, clip: str) -> None:
        """Wait until a request may be made, and write it down."""
        while (seconds := self._try(clip)) > 0:
            self._wait(seconds)

    def _try(self, clip: str) -> float:
        with self._lock:
            now, requests = self._now(), self._record.requests
            while requests and requests[0] <= now - DAY:
                requests.popleft()
            full = requests[0] + DAY - now if len(requests) >= self._per_day else 0.0
            delay = max(full, self._resume - now)
            if delay <= 0:
                self._record.write(now, "request", clip)
            return delay
