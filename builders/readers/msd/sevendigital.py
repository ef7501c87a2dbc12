"""7digital's previews: many clips, at the pace that the terms allow, over as many days as that takes.

The terms of the interface allow 4,000 requests a day; every request is written down in ``downloads.log`` beside the
clips before it is made, so that a run that ends goes on where it stopped, and never asks more often than it may.
"""

from __future__ import annotations

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
from urllib.parse import urlsplit

from tqdm import tqdm

from ....errors import EmobenchError, InputError
from ....runtime.progress import progress
from ....runtime.text import few
from .allowance import DAY, RECORD, Pace, Record
from .preview import Client, Credentials, FailedError, RefusedError, origin, unlogged

KEYS = ("SEVENDIGITAL_KEY", "SEVENDIGITAL_SECRET")

# Longest wait between two attempts at a clip, unless the server asks for a longer one.
_LONGEST_WAIT = 60.0

# Waits that are told.
_TOLD_FROM = 30.0

# So many clips in a row that failed, and the run ends.
_MOST_FAILURES = 20


@dataclass(frozen=True)
class DownloadConfig:
    """How previews are fetched.

    Attributes
    ----------
    clip_url : str
        Address of the clip endpoint.
    country : str
        Two letters.
    per_day : int
        Most requests in any 24 hours; the terms' by default.
    connections : int
        Clips that are fetched at a time.
    attempts : int
        Requests for a clip before it is given up.
    backoff : float
        Seconds before the second attempt; then twice as long each time, give or take a half.
    timeout, time_limit : float
        Seconds without a byte, and for a clip in all.
    size_limit : int
        Bytes of a clip.
    seed : int
        Of the jitter.
    """

    clip_url: str = "https://previews.7digital.com/clip"
    country: str = "US"
    per_day: int = 4000
    connections: int = 4
    attempts: int = 5
    backoff: float = 1.0
    timeout: float = 20.0
    time_limit: float = 120.0
    size_limit: int = 20_000_000
    seed: int = 0

    def __post_init__(self) -> None:
        if not _is_plain(self.clip_url):
            raise InputError(f"`clip_url` {self.clip_url}: expected such as https://previews.7digital.com/clip.")
        if not (len(self.country) == 2 and self.country.isascii() and self.country.isalpha()):
            raise InputError(f"`country` {self.country}: expected two letters such as US.")
        if self.per_day < 1:
            raise InputError(f"`per_day` {self.per_day}: expected at least one request a day.")

    @property
    def catalogue(self) -> str:
        """Whose clips these are: the address that is asked, with the country."""
        return f"{self.clip_url.rstrip('/')}?country={self.country.upper()}"


def _is_plain(url: str) -> bool:
    """Whether it is a web address to which an id can be added."""
    try:
        origin(url)
    except ValueError:
        return False
    parts = urlsplit(url)
    return not (parts.username or parts.query or parts.fragment)


def credentials() -> Credentials:
    """The keys, from the environment.

    Raises
    ------
    InputError
        Naming the variables, if one is not set.
    """
    values = [os.environ.get(name, "").strip() for name in KEYS]
    lacking = [name for name, value in zip(KEYS, values, strict=True) if not value]
    if lacking:
        raise InputError(
            f"`download`: {' and '.join(lacking)} not set; give the keys of 7digital's interface in the environment "
            f"({', '.join(KEYS)}). New keys are no longer issued: without keys, name a folder of clips with "
            "`clips`, or use the source fma."
        )
    return Credentials(*values)


def clip_path(clip: str) -> str:
    """Where a clip is kept below the folder: ``5/5/5504670.clip.mp3``."""
    return f"{clip[0]}/{clip[1:2] or '0'}/{clip}.clip.mp3"


@dataclass(frozen=True)
class Plan:
    """What is left to fetch.

    Attributes
    ----------
    left : int
        Clips.
    days : float
        How long the limit makes that take; 0 where it is done today.
    """

    left: int
    days: float

    def told(self, per_day: int) -> str:
        """One line for people."""
        when = "done today" if self.days == 0 else f"takes {self.days:.1f} days"
        return f"{self.left} clips to fetch: {when}, at most {per_day} requests in 24 hours (7digital's terms: 4000)"


def _next(outcomes: SimpleQueue[Any]) -> Any:
    """The next outcome; wakes up for an interrupt, which the system may give to any thread."""
    while True:
        try:
            return outcomes.get(timeout=0.2)
        except Empty:
            continue


def _say(line: str) -> None:
    if "EMOBENCH_QUIET" not in os.environ:
        tqdm.write(f"emobench: {line}", file=sys.stderr)


class Download:
    """Fetches the clips of tracks to a folder.

    Parameters
    ----------
    folder : Path
        Where they go.
    config : DownloadConfig
        Settings.
    keys : Credentials, optional
        By default those of the environment, when there is something to fetch.
    now : callable
        Gives the time, in seconds since 1970.
    wait : callable, optional
        Waits for so many seconds; by default until the run is interrupted.
    """

    refused: ClassVar[str] = (
        f"7digital refuses the keys in {' and '.join(KEYS)}; check them and run the same command again: what was "
        "fetched is kept."
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
        """What of these clips is left to fetch."""
        left = self._left(clips)
        asked = sum(moment > self._now() - DAY for moment in self.record.requests)
        return Plan(len(left), max(0, len(left) + asked - self._config.per_day) / self._config.per_day)

    def _left(self, clips: Sequence[str]) -> list[str]:
        known = self.record.missing
        return [c for c in dict.fromkeys(clips) if c not in known and not (self._folder / clip_path(c)).is_file()]

    def _connect(self) -> Client:
        config = self._config
        return Client(
            config.clip_url,
            config.country,
            self._keys or credentials(),
            timeout=config.timeout,
            time_limit=config.time_limit,
            size_limit=config.size_limit,
        )

    def _interruptible(self, seconds: float) -> None:
        if seconds > _TOLD_FROM:
            until = datetime.fromtimestamp(self._now() + seconds).isoformat(" ", "minutes")
            _say(f"waiting until {until}, for the limit of requests or because the server asks")
        (self._wait or self._stop.wait)(seconds)
        if self._stop.is_set():
            raise FailedError("stopped", again=False)

    def __call__(self, clips: Sequence[str]) -> dict[str, str]:
        """Fetch clips.

        Parameters
        ----------
        clips : sequence of str
            7digital ids.

        Returns
        -------
        dict
            Id to path below the folder, of those that there are; what there is not stays written down.

        Raises
        ------
        InputError
            If there are no keys, or another run downloads to the same folder.
        RefusedError
            If the keys are not accepted.
        EmobenchError
            If some could not be fetched, with the kinds of failure. What was fetched is kept.
        """
        left = self._left(clips)
        if known := len(self.record.missing.intersection(clips)):
            _say(
                f"{known} clips are missing and not asked for again, as {self._folder / RECORD} says of "
                f"{self._config.catalogue}"
            )
        if left:
            self._client = self._connect()
            _say(self.plan(left).told(self._config.per_day))
            with self.record.open(), unlogged():
                self._fetch_all(left)
        return {clip: clip_path(clip) for clip in clips if clip not in self.record.missing}

    def _fetch_all(self, clips: Sequence[str]) -> None:
        self._stop = threading.Event()
        jobs: SimpleQueue[str] = SimpleQueue()
        outcomes: SimpleQueue[tuple[str, Exception | None]] = SimpleQueue()
        for clip in clips:
            jobs.put(clip)
        # Daemons, so that an interrupt waits for nobody.
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
                f"{len(failures)} of {len(clips)} clips could not be fetched ({kinds}; {few(failures)}). Rerun the "
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
                    stop.set()  # here, so that no thread asks again before the main thread has seen it
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
                    # What it says to one it means for all.
                    self._pace.pause(error.after)
                else:
                    longest = min(_LONGEST_WAIT, self._config.backoff * 2.0 ** (attempt - 1))
                    self._interruptible(longest * jitter.uniform(0.5, 1.5))
