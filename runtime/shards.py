"""Long computations in shards, each a pure function from its items to one Parquet file.

Items are split in their order, by their number alone. A shard's file is written atomically. Its name has the hash of
everything that determines its content and the checksum of the content, so that damaged or outdated files are recognised
and computed again. Nothing else is needed to resume after an interruption.
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

# Shards are small enough that little is lost with one and all workers finish at about the same time, and large enough
# that a million clips give a few thousand files.
_SMALLEST, _LARGEST, _SHARDS = 8, 256, 1024

_CHECKSUM = 16

SHARED = "audio, datasets and EMOBENCH_CACHE must be on a shared file system, under the same paths on all machines."


@dataclass(frozen=True)
class Work:
    """Computation that turns each item into one row.

    Attributes
    ----------
    function : callable
        Function from an item to a row (a dict), importable by name. It is called in an isolated process.
    crashed : callable
        Function from an item whose call killed its process or exceeded the time limit to its row.
    identity : callable
        Function from an item to everything that determines its row, as JSON types.
    schema : mapping
        Columns of the rows and their types.
    key : str
        Hash of everything else that determines the rows.
    """

    function: Callable[[Any], dict[str, Any]]
    crashed: Callable[[Any], dict[str, Any]]
    identity: Callable[[Any], object]
    schema: Mapping[str, Any]
    key: str


@dataclass(frozen=True)
class Shard:
    """Items whose rows go into one file.

    Attributes
    ----------
    number : int
        Index of the shard.
    key : str
        Hash of the work and the items.
    items : tuple
        Items of the shard.
    """

    number: int
    key: str
    items: tuple[Any, ...]

    @property
    def prefix(self) -> str:
        """Start of the file's name, before the checksum."""
        return f"{self.number:05}-{self.key[:16]}-"


@dataclass(frozen=True)
class Made:
    """Report on a shard that was computed.

    Attributes
    ----------
    name : str
        Name of its file.
    host : str
        Machine that computed it.
    seconds : float
        Wall-clock seconds.
    peak_rss_mb : float
        Peak resident memory of the processes that worked on it, in megabytes.
    """

    name: str
    host: str
    seconds: float
    peak_rss_mb: float


def cut(items: Sequence[Any], work: Work) -> list[Shard]:
    """Split items into shards.

    Parameters
    ----------
    items : sequence
        Items to work on.
    work : Work
        Computation for each.

    Returns
    -------
    list of Shard
        Shards of 8 to 256 items; the size depends on the number of items alone.
    """
    size = min(max(-(-len(items) // _SHARDS), _SMALLEST), _LARGEST)
    parts = [tuple(items[first : first + size]) for first in range(0, len(items), size)]
    return [
        Shard(number, digest([work.key, [work.identity(item) for item in part]]), part)
        for number, part in enumerate(parts)
    ]


def make(shard: Shard, work: Work, folder: Path) -> Made:
    """Compute a shard and write its file. Executors call this, on this machine or on another one.

    Raises
    ------
    EmobenchError
        If the folder does not exist on this machine.
    """
    began = time.perf_counter()
    host = socket.gethostname()
    if not folder.is_dir():
        raise EmobenchError(f"{folder}: not visible to the worker on {host}; {SHARED}")
    ready = finished([shard], folder)
    if ready:
        # Finished by a worker that died before it could report.
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
    """Find the intact files of shards, by number, and remove damaged ones."""
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
    """Summary of a computation.

    Attributes
    ----------
    items, kept_before : int
        Number of items, and how many of them were finished before.
    hours : float
        Hours of music in the items.
    rejected : int
        Number of items that cannot be used.
    seconds : float
        Wall-clock seconds since the start.
    busy : float
        Seconds of work, summed over workers.
    peak_rss_mb : float
        Peak resident memory of a worker, in megabytes.
    """

    items: int = 0
    kept_before: int = 0
    hours: float = 0.0
    rejected: int = 0
    seconds: float = 0.0
    busy: float = 0.0
    peak_rss_mb: float = 0.0

    def __add__(self, other: Tally) -> Tally:
        """Combine the summaries of two computations that ran one after the other."""
        sums = {name: value + getattr(other, name) for name, value in asdict(self).items()}
        return Tally(**{**sums, "peak_rss_mb": max(self.peak_rss_mb, other.peak_rss_mb)})

    def summary(self) -> str:
        """Describe the computation in one line."""
        if self.items == self.kept_before:
            return f"features of all {self.items} clips were already computed"
        made = self.items - self.kept_before
        before = f" ({self.kept_before} more were already computed)" if self.kept_before else ""
        return (
            f"features of {made} clips in {timedelta(seconds=round(self.seconds))}{before}: {made / self.seconds:.1f} "
            f"clips per second, {self.busy / made:.2f} worker seconds per clip, at most {self.peak_rss_mb:.0f} MB per "
            f"worker; {self.hours:.1f} hours of music, {self.rejected} clips rejected"
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
    """Compute all shards that are not finished yet.

    Parameters
    ----------
    items : sequence
        Items to work on.
    work : Work
        Computation for each.
    folder : Path
        Folder of the shards' files; on a cluster, one that all machines share.
    pool : Executor
        An executor from :func:`emobench.runtime.executor.executor`.
    description : str
        Text of the progress bar.
    tell : callable
        Function from a shard's file to its hours of music and number of rejected items, for the progress bar.

    Returns
    -------
    paths : list of Path
        The shards' files, in order.
    tally : Tally
        Summary of the computation.

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
        # Shards that were finished before must not enter the estimate of the remaining time.
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
    """Wait for a file that a worker wrote; a network file system may show it with a delay."""
    for _ in range(50):
        if path.is_file():
            return path
        time.sleep(0.1)
    raise EmobenchError(f"{path}: written by the worker on {host} but not visible here; {SHARED}")
