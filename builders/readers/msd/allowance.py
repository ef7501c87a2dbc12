"""How often one may ask: what was asked is written down, and no more is asked in a day than is allowed."""

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

# What a download that was killed leaves of a clip.
_ORPHAN = re.compile(r"\.[0-9]+\.clip\.mp3\.[0-9a-f]+\.tmp")


class Record:
    """What was asked, and what there is not; a line for each, written before anything is sent.

    Parameters
    ----------
    folder : Path
        Of the clips.
    catalogue : str
        Address and country that are asked: what one has not, another may have.
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
        # A line that was cut by the end of a machine has no meaning; one without a catalogue may be of any.
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
