"""Rate limit of requests: requests are recorded, and no more are made in a day than allowed."""

from __future__ import annotations

import fcntl
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from urllib.parse import quote

from ....errors import InputError
from ...tree import files_below

RECORD = "downloads.log"

DAY = 86_400.0

_MOMENT = re.compile(r"[0-9]{1,12}(\.[0-9]*)?")

# Temporary files of downloads that were killed.
_ORPHAN = re.compile(r"\.[0-9]+\.clip\.mp3\.[0-9a-f]+\.tmp")


class Record:
    """Log of requests and missing clips, one line each; requests are written before they are sent.

    Parameters
    ----------
    folder : Path
        Folder of the clips.
    catalogue : str
        URL and country, since a clip that is missing in one catalogue may be in another.
    """

    def __init__(self, folder: Path, catalogue: str = "") -> None:
        self._path = folder / RECORD
        self._catalogue = quote(catalogue, safe=":/?=&")
        self._lock = threading.Lock()
        self._file: IO[str] | None = None
        self.requests: deque[float] = deque()
        self.missing: set[str] = set()
        if self._path.is_file():
            for line in self._path.read_text(encoding="ascii", errors="replace").splitlines():
                self._take(line.split())

    def _take(self, words: list[str]) -> None:
        # Truncated lines are ignored; lines without a catalogue apply to all catalogues.
        match words:
            case [moment, "request", _, *_] if _MOMENT.fullmatch(moment):
                self.requests.append(float(moment))
            case [moment, "missing", clip, *catalogue] if _MOMENT.fullmatch(moment):
                if not catalogue or catalogue == [self._catalogue]:
                    self.missing.add(clip)
            case _:
                return

    @contextmanager
    def open(self) -> Iterator[None]:
        """Open the log for writing and lock it.

        Raises
        ------
        InputError
            If another process downloads to the same folder.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="ascii") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise InputError(
                    f"{self._path.parent}: another process downloads to this folder; wait until it has finished."
                ) from None
            if file.tell():
                file.write("\n")
            for orphan in files_below(self._path.parent, (".tmp",), []):
                if _ORPHAN.fullmatch(orphan.rpartition("/")[2]):
                    (self._path.parent / orphan).unlink(missing_ok=True)
            self._file = file
            try:
                yield
            finally:
                self._file = None

    def write(self, now: float, what: str, clip: str) -> None:
        """Add a line."""
        line = f"{now:.3f} {what} {clip} {self._catalogue}".rstrip()
        with self._lock:
            if self._file:
                self._file.write(f"{line}\n")
                self._file.flush()
            self._take(line.split())


class Pace:
    """Limits the rate of requests to a number per day, and pauses when the server asks for it.

    Parameters
    ----------
    record : Record
        Log of requests.
    per_day : int
        Maximum number of requests in any 24 hours.
    wait : callable
        Function that waits for a number of seconds.
    now : callable
        Function that returns the time in seconds since 1970.
    """

    def __init__(
        self, record: Record, per_day: int, *, wait: Callable[[float], object], now: Callable[[], float] = time.time
    ) -> None:
        self._record, self._per_day, self._wait, self._now = record, per_day, wait, now
        self._lock = threading.Lock()
        self._resume = 0.0

    def pause(self, seconds: float) -> None:
        """Make no request for some seconds, at most for a day."""
        with self._lock:
            self._resume = max(self._resume, self._now() + min(seconds, DAY))

    def take(self, clip: str) -> None:
        """Wait until a request may be made, and record it."""
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
