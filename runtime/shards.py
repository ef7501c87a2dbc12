"""Long work in shards: each a pure function from its items to one Parquet file, computed once.

Items are cut in their order, by their number alone. A shard's file is written beside its place and renamed;
its name carries the hash of what decides its content and the checksum of what it holds, so that a file is
either whole and the right one, or noticed and made again. Nothing else is needed to go on after any end.
"""

from __future__ import annotations

import hashlib
import io
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, as_completed
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl

from ..errors import EmobenchError
from .executor import guarded
from .files import digest, replacing
from .isolation import peak_rss_mb
from .progress import progress

# A shard is small enough that little is lost with it and all processors end at about the same time, and large
# enough that a million clips make a few thousand files.
_SMALLEST, _LARGEST, _SHARDS = 8, 256, 1024

_CHECKSUM = 16

SHARED = "audio, datasets and EMOBENCH_CACHE must lie under the same paths on a file system that all machines share."


@dataclass(frozen=True)
class Work:
    """What is done with each item.

    Attributes
    ----------
    function : callable
        Takes an item and gives a row as a dict; importable by name. Called isolated.
    crashed : callable
        Gives the row of an item that ended its process, or never came to an end.
    identity : callable
        Gives what decides an item's row; what JSON can hold.
    schema : mapping
        Of the rows.
    key : str
        Hash of everything else that decides the rows.
    """

    function: Callable[[Any], dict[str, Any]]
    crashed: Callable[[Any], dict[str, Any]]
    identity: Callable[[Any], object]
    schema: Mapping[str, Any]
    key: str


@dataclass(frozen=True)
class Shard:
    """Items that make one file.

    Attributes
    ----------
    number : int
        Place among the shards.
    key : str
        Hash of the work and the items.
    items : tuple
        What it is made of.
    """

    number: int
    key: str
    items: tuple[Any, ...]

    @property
    def prefix(self) -> str:
        """How its file's name begins; the checksum follows."""
        return f"{self.number:05}-{self.key[:16]}-"


@dataclass(frozen=True)
class Made:
    """A shard that was computed.

    Attributes
    ----------
    name : str
        Of its file.
    host : str
        Where it was computed.
    seconds : float
        Wall-clock seconds that it took.
    peak_rss_mb : float
        Largest resident size of a process that worked on it, in megabytes.
    """

    name: str
    host: str
    seconds: float
    peak_rss_mb: float


def cut(items: Sequence[Any], work: Work) -> list[Shard]:
    """Cut items into shards.

    Parameters
    ----------
    items : sequence
        What to work on.
    work : Work
        What to do with each.

    Returns
    -------
    list of Shard
        8 to 256 items each, by the number of items alone.
    """
    size = min(max(-(-len(items) // _SHARDS), _SMALLEST), _LARGEST)
    parts = [tuple(items[first : first + size]) for first in range(0, len(items), size)]
    return [
        Shard(number, digest([work.key, [work.identity(item) for item in part]]), part)
        for number, part in enumerate(parts)
    ]


def make(shard: Shard, work: Work, folder: Path) -> Made:
    """Compute a shard and write its file; what an executor calls, on this machine or another.

    Raises
    ------
    EmobenchError
        If this machine does not see the folder.
    """
    began = time.perf_counter()
    host = socket.gethostname()
    if not folder.is_dir():
        raise EmobenchError(f"worker on {host}: does not see {folder}; {SHARED}")
    ready = finished([shard], folder)
    if ready:
        # Made by a worker that died before it could say so.
        return Made(ready[shard.number].name, host, time.perf_counter() - began, peak_rss_mb())
    rows = [guarded(work.function, item, crashed=work.crashed(item)) for item in shard.items]
    encoded = io.BytesIO()
    pl.DataFrame(rows, schema=dict(work.schema)).write_parquet(encoded, compression="zstd", statistics=False)
    content = encoded.getvalue()
    name = f"{shard.prefix}{hashlib.sha256(content).hexdigest()[:_CHECKSUM]}.parquet"
    with replacing(folder / name) as temporary:
        temporary.write_bytes(content)
    return Made(name, host, time.perf_counter() - began, peak_rss_mb())


def finished(shards: Sequence[Shard], folder: Path) -> dict[int, Path]:
    """Files of the shards that are there and whole, by number; damaged ones are removed."""
    wanted = {shard.prefix: shard.number for shard in shards}
    found = {}
    pattern = f"{shards[0].prefix}*.parquet" if len(shards) == 1 else "*-*-*.parquet"
    for path in sorted(folder.glob(pattern)):
        prefix, _, checksum = path.stem.rpartition("-")
        number = wanted.get(f"{prefix}-")
        if number is None:
            continue
        if hashlib.sha256(path.read_bytes()).hexdigest()[:_CHECKSUM] == checksum:
            found[number] = path
        else:
            path.unlink()
    return found


@dataclass
class Tally:
    """What a computation has come to.

    Attributes
    ----------
    items, kept_before : int
        Items done, and how many of them were finished before.
    hours : float
        Of music in them.
    rejected : int
        How many of them cannot be used.
    seconds : float
        Wall-clock seconds since the beginning.
    busy : float
        Seconds of all workers together.
    peak_rss_mb : float
        Largest resident size of a worker, in megabytes.
    """

    items: int = 0
    kept_before: int = 0
    hours: float = 0.0
    rejected: int = 0
    seconds: float = 0.0
    busy: float = 0.0
    peak_rss_mb: float = 0.0

    def __add__(self, other: Tally) -> Tally:
        """Of two computations, one after the other."""
        sums = {name: value + getattr(other, name) for name, value in asdict(self).items()}
        return Tally(**{**sums, "peak_rss_mb": max(self.peak_rss_mb, other.peak_rss_mb)})

    def summary(self) -> str:
        """One line for people."""
        if self.items == self.kept_before:
            return f"features of all {self.items} clips were finished before"
        made = self.items - self.kept_before
        before = f" ({self.kept_before} more were finished before)" if self.kept_before else ""
        return (
            f"features of {made} clips in {timedelta(seconds=round(self.seconds))}{before}: {made / self.seconds:.1f} "
            f"clips a second, {self.busy / made:.2f} s of a worker a clip, {self.peak_rss_mb:.0f} MB at most a worker; "
            f"{self.hours:.1f} hours of music, {self.rejected} clips cannot be used"
        )


def compute(
    items: Sequence[Any],
    work: Work,
    folder: Path,
    *,
    pool: Executor,
    description: str,
    tell: Callable[[Path], tuple[float, int]],
) -> tuple[list[Path], Tally]:
    """Compute all shards that are not finished.

    Parameters
    ----------
    items : sequence
        What to work on.
    work : Work
        What to do with each.
    folder : Path
        Where the shards' files go; on a cluster, one that all machines share.
    pool : Executor
        Of :func:`emobench.runtime.executor.executor`.
    description : str
        Of the progress bar.
    tell : callable
        Gives hours of music and number of rejected items of a shard's file, for the bar.

    Returns
    -------
    paths : list of Path
        The shards' files, in order.
    tally : Tally
        What it took.

    Raises
    ------
    EmobenchError
        If a worker or the scheduler is lost for good, or cannot do the work. Finished shards are kept.
    """
    began = time.perf_counter()
    folder.mkdir(parents=True, exist_ok=True)
    shards = cut(items, work)
    found = finished(shards, folder)
    so_far = Tally()
    with progress(None, description, "clip", len(items)) as bar:

        def count(shard: Shard, path: Path) -> None:
            hours, rejected = tell(path)
            so_far.items += len(shard.items)
            so_far.hours += hours
            so_far.rejected += rejected
            bar.set_postfix_str(f"{so_far.hours:.1f} h of music, {so_far.rejected} rejected", refresh=False)

        for shard in shards:
            if shard.number in found:
                count(shard, found[shard.number])
        # What was done before tells nothing of the time that is left.
        bar.initial = so_far.kept_before = so_far.items
        bar.reset()
        waiting = {
            pool.submit(make, shard, work, folder.resolve()): shard for shard in shards if shard.number not in found
        }
        try:
            for future in as_completed(waiting):
                shard, made = waiting[future], future.result()
                found[shard.number] = _seen(folder / made.name, made.host)
                count(shard, found[shard.number])
                bar.update(len(shard.items))
                so_far.busy += made.seconds
                so_far.peak_rss_mb = max(so_far.peak_rss_mb, made.peak_rss_mb)
        finally:
            for future in waiting:
                future.cancel()
    so_far.seconds = time.perf_counter() - began
    return [found[shard.number] for shard in shards], so_far


def _seen(path: Path, host: str) -> Path:
    """The file that a worker wrote; a network file system may take a moment to show it."""
    for _ in range(50):
        if path.is_file():
            return path
        time.sleep(0.1)
    raise EmobenchError(f"{path}: written by the worker on {host} and not to be seen here; {SHARED}")
