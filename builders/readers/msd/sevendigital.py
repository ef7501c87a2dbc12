"""Download of many 7digital previews within the limit of requests per day.

The terms of the API allow 4,000 requests a day. Every request is recorded in ``downloads.log`` in the folder of the
clips before it is sent, so that an interrupted download resumes and never exceeds the limit.
"""

from __future__ import annotations

import logging
import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, ClassVar

from tqdm import tqdm

from ....errors import EmobenchError, InputError
from ....runtime.progress import progress
from ....runtime.text import counted, few
from .allowance import DAY, RECORD, Pace, Record
from .preview import Client, Credentials, DownloadConfig, FailedError, RefusedError, unlogged

KEYS = ("SEVENDIGITAL_KEY", "SEVENDIGITAL_SECRET")

# Longest wait in seconds between two attempts at a clip, unless the server asks for a longer one.
_LONGEST_WAIT = 60.0

# Shortest wait in seconds that is logged.
_LOGGED_WAIT = 30.0

# Number of consecutive failed clips after which the download stops.
_MOST_FAILURES = 20

_log = logging.getLogger(__name__)


def credentials() -> Credentials:
    """Read the keys from the environment.

    Raises
    ------
    InputError
        If a variable is not set.
    """
    values = [os.environ.get(name, "").strip() for name in KEYS]
    lacking = [name for name, value in zip(KEYS, values, strict=True) if not value]
    if lacking:
        raise InputError(
            f"`download`: {' and '.join(lacking)} not set; set the keys of 7digital's API in the environment "
            f"({', '.join(KEYS)}). 7digital no longer issues keys: without them, name a folder of clips with `clips`, "
            "or use the source fma."
        )
    return Credentials(*values)


def clip_path(clip: str) -> str:
    """Return the path of a clip in the folder, such as ``5/5/5504670.clip.mp3``."""
    return f"{clip[0]}/{clip[1:2] or '0'}/{clip}.clip.mp3"


@dataclass(frozen=True)
class Plan:
    """Remaining downloads.

    Attributes
    ----------
    left : int
        Number of clips.
    days : float
        Time that the limit of requests requires in days; 0 if the limit is not reached today.
    """

    left: int
    days: float


def _next(outcomes: SimpleQueue[Any]) -> Any:
    """Wait for the next outcome, with a timeout so that interrupts are handled."""
    while True:
        try:
            return outcomes.get(timeout=0.2)
        except Empty:
            continue


class Download:
    """Downloads clips to a folder.

    Parameters
    ----------
    folder : Path
        Folder of the clips.
    config : DownloadConfig
        Settings.
    keys : Credentials, optional
        Keys; by default those of the environment, which are read when a download is needed.
    now : callable
        Function that returns the time in seconds since 1970.
    wait : callable, optional
        Function that waits for a number of seconds; by default it can be interrupted.
    """

    refused: ClassVar[str] = (
        f"7digital does not accept the keys in {' and '.join(KEYS)}. Check them and rerun the command to resume; "
        "downloaded clips are kept."
    )

    def __init__(
        self,
        folder: Path,
        config: DownloadConfig,
        keys: Credentials | None = None,
        *,
        now: Callable[[], float] = time.time,
        wait: Callable[[float], object] | None = None,
    ) -> None:
        self._folder, self._config = folder, config
        self._stop = threading.Event()
        self._wait, self._now = wait, now
        self.record = Record(folder, config.catalogue)
        self._pace = Pace(self.record, config.per_day, wait=self._interruptible, now=now)
        self._keys = keys
        self._client: Client | None = None

    def plan(self, clips: Sequence[str]) -> Plan:
        """Return how many of these clips remain, and how long they take."""
        left = self._left(clips)
        recent = sum(moment > self._now() - DAY for moment in self.record.requests)
        return Plan(len(left), max(0, len(left) + recent - self._config.per_day) / self._config.per_day)

    def _left(self, clips: Sequence[str]) -> list[str]:
        known = self.record.missing
        return [c for c in dict.fromkeys(clips) if c not in known and not (self._folder / clip_path(c)).is_file()]

    def _interruptible(self, seconds: float) -> None:
        if seconds > _LOGGED_WAIT:
            until = datetime.fromtimestamp(self._now() + seconds).isoformat(" ", "minutes")
            # The progress bar is on the screen.
            with tqdm.external_write_mode(file=sys.stderr):
                _log.info("waiting until %s because of the limit of requests or at the server's request", until)
        (self._wait or self._stop.wait)(seconds)
        if self._stop.is_set():
            raise FailedError("stopped", again=False)

    def __call__(self, clips: Sequence[str]) -> dict[str, str]:
        """Download clips.

        Parameters
        ----------
        clips : sequence of str
            7digital ids.

        Returns
        -------
        dict
            Id to path in the folder, without clips that 7digital does not have.

        Raises
        ------
        InputError
            If there are no keys, or another process downloads to the same folder.
        RefusedError
            If the keys are not accepted.
        EmobenchError
            If some clips could not be downloaded, with the kinds of failure. Downloaded clips are kept.
        """
        left = self._left(clips)
        if known := len(self.record.missing.intersection(clips)):
            skipped = counted(known, "clip")
            place = self._folder / RECORD
            _log.info("skipping %s missing from %s, as recorded in %s", skipped, self._config.catalogue, place)
        if left:
            self._client = Client(self._config, self._keys or credentials())
            days = self.plan(left).days
            _log.info(
                "downloading %s, which takes %s with at most %d requests in 24 hours (7digital's terms allow 4000)",
                counted(len(left), "clip"),
                f"{days:.1f} days" if days else "less than a day",
                self._config.per_day,
            )
            with self.record.open(), unlogged():
                self._fetch_all(left)
        return {clip: clip_path(clip) for clip in clips if clip not in self.record.missing}

    def _fetch_all(self, clips: Sequence[str]) -> None:
        self._stop = threading.Event()
        jobs: SimpleQueue[str] = SimpleQueue()
        outcomes: SimpleQueue[tuple[str, Exception | None]] = SimpleQueue()
        for clip in clips:
            jobs.put(clip)
        # Daemon threads, so that an interrupt need not wait for them.
        for _ in range(min(self._config.connections, len(clips))):
            threading.Thread(target=self._work, args=(jobs, outcomes, self._stop), daemon=True).start()
        failures: dict[str, str] = {}
        in_a_row = 0
        try:
            for _ in progress(clips, "downloading", "clip"):
                clip, error = _next(outcomes)
                if isinstance(error, RefusedError):
                    raise RefusedError(self.refused)
                if error and not isinstance(error, FailedError):
                    raise error
                in_a_row = in_a_row + 1 if error else 0
                if error:
                    failures[clip] = str(error)
                if in_a_row >= _MOST_FAILURES:
                    break
        finally:
            self._stop.set()
        if failures:
            kinds = ", ".join(f"{count} × {kind}" for kind, count in Counter(failures.values()).most_common())
            raise EmobenchError(
                f"{len(failures)} of {len(clips)} clips could not be downloaded ({kinds}; {few(failures)}). Rerun the "
                f"command to resume; downloaded clips are kept. With `clips` {self._folder} and without `download`, "
                "these clips count as missing."
            )

    def _work(
        self, jobs: SimpleQueue[str], outcomes: SimpleQueue[tuple[str, Exception | None]], stop: threading.Event
    ) -> None:
        while not stop.is_set():
            try:
                clip = jobs.get_nowait()
            except Empty:
                return
            try:
                self._fetch(clip)
                outcomes.put((clip, None))
            except Exception as error:  # the main thread raises it
                if isinstance(error, RefusedError):
                    stop.set()  # before the main thread sees the error, so that no thread sends another request
                outcomes.put((clip, error))

    def _fetch(self, clip: str) -> None:
        assert self._client
        path = self._folder / clip_path(clip)
        path.parent.mkdir(parents=True, exist_ok=True)
        jitter = random.Random(f"{self._config.seed} {clip}")
        for attempt in range(1, self._config.attempts + 1):
            self._pace.take(clip)
            try:
                if not self._client.fetch(clip, path):
                    self.record.write(self._now(), "missing", clip)
                return
            except FailedError as error:
                if not error.again or attempt == self._config.attempts:
                    raise
                if error.after is not None:
                    # The pause applies to all threads.
                    self._pace.pause(error.after)
                else:
                    longest = min(_LONGEST_WAIT, self._config.backoff * 2.0 ** (attempt - 1))
                    self._interruptible(longest * jitter.uniform(0.5, 1.5))
