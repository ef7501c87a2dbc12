"""Beats that emobench does not track itself: from a file, from a folder of files, or from a tracker of another package.

A file is a CSV table with the columns ``clip_id`` and ``time``. A folder contains one text file per clip, named by the
clip's id, with one beat per line and the time first, as ``mir_eval`` and Sonic Visualiser write them. Times are in
seconds from the start of the clip.

A tracker is registered in the entry-point group ``emobench.beats``: a function of the samples of a clip (mono float32
at its ``sample_rate``, 22,050 Hz by default) that returns the times of the beats, or a class whose instances can be
called like this.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from ..audio.decode import decode
from ..errors import AudioError, InputError
from ..protocols import beat_trackers
from ..runtime.csv_files import not_utf8
from ..runtime.files import digest
from ..runtime.isolation import CrashError, isolated
from ..runtime.progress import progress
from .audio_files import ClipSource
from .readers.table import check_filled, numbers, read_table
from .tree import files_below

Times = tuple[float, ...]
Attach = Callable[[Sequence[ClipSource], Executor], list[ClipSource]]

EXTENSIONS = (".txt", ".beats", ".csv", ".tsv", ".lab")

_SAMPLE_RATE = 22_050


def given_beats(given: str | Path, clips: Collection[str], *, fewest: int = 0) -> tuple[Attach, dict[str, Any]]:
    """Find the beats that a file, a folder or a tracker gives.

    Parameters
    ----------
    given : str or Path
        File or folder, or name of a tracker.
    clips : collection of str
        Ids of all clips of the dataset.
    fewest : int
        Smallest number of beats that every clip must have.

    Returns
    -------
    attach : callable
        ``attach(sources, pool)`` returns the audio of clips with their beats.
    identity : dict
        Description of the beats for the manifest.

    Raises
    ------
    InputError
        If there is neither such a file nor such a tracker, or the file is invalid.
    """
    name = str(given)
    if name in beat_trackers.plugins() and not Path(name).exists():
        version = getattr(beat_trackers.plugins()[name].dist, "version", "unknown")
        return partial(_track, name, _load(name), fewest=fewest), {"beats_tracker": f"{name} {version}"}
    path = Path(name)
    if not path.exists():
        trackers = ", ".join(sorted(beat_trackers.plugins())) or "none are installed"
        raise InputError(
            f"{path}: no such file or folder; expected a CSV file (clip_id,time), a folder with one text file per "
            f"clip, or the name of a beat tracker ({trackers})."
        )
    times = read_folder(path, clips) if path.is_dir() else read_file(path, clips)
    return partial(_attach, times, path, fewest=fewest), {"beats_sha256": digest(sorted(times.items()))}


def read_file(path: Path, clips: Collection[str]) -> dict[str, Times]:
    """Read the beats of clips from a CSV table with the columns ``clip_id`` and ``time``.

    Raises
    ------
    InputError
        If the table is invalid, a clip is unknown, or its times are negative or do not increase.
    """
    table = read_table(path, ("clip_id", "time"))
    check_filled(path, table, "clip_id")
    values = numbers(path, table, "time", empty=False)
    known = set(clips)
    beats: dict[str, list[float]] = {}
    for row, clip, time in zip(table["row"], table["clip_id"], values, strict=True):
        if clip not in known:
            raise InputError(f"{path}, row {row}: clip_id {clip!r} is not a clip of this dataset.")
        _add(beats.setdefault(clip, []), time, f"{path}, row {row}")
    return {clip: tuple(times) for clip, times in beats.items()}


def read_folder(folder: Path, clips: Collection[str]) -> dict[str, Times]:
    """Read the beats of clips from text files that are named by the clips' ids.

    Raises
    ------
    InputError
        If there is no such file, two belong to one clip, a file belongs to no clip, or a line does not start with a
        time, or the times are negative or do not increase.
    """
    known = set(clips)
    problems: list[str] = []
    files: dict[str, Path] = {}
    for below in files_below(folder, EXTENSIONS, problems):
        path, clip = folder / below, PurePath(below).with_suffix("").as_posix()
        if clip not in known:
            raise InputError(f"{path}: {clip!r} is not a clip of this dataset; expected files named by clip_id.")
        if clip in files:
            raise InputError(f"{files[clip]} and {path}: expected one file of beats per clip; remove one of them.")
        files[clip] = path
    if problems:
        raise InputError(f"{problems[0]}.")
    if not files:
        raise InputError(f"{folder}: contains no beats; expected files that end with {', '.join(EXTENSIONS)}.")
    return {clip: _read_lines(path) for clip, path in files.items()}


def _read_lines(path: Path) -> Times:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise not_utf8(path, error) from error
    times: list[float] = []
    for number, line in enumerate(lines, start=1):
        fields = line.replace(",", " ").replace(";", " ").split()
        if not fields or fields[0].startswith("#"):
            continue
        try:
            time = float(fields[0])
        except ValueError:
            time = np.nan
        if not np.isfinite(time):
            raise InputError(
                f"{path}, line {number}: {fields[0]!r} is not a time; expected lines that begin with a time in seconds."
            )
        _add(times, time, f"{path}, line {number}")
    return tuple(times)


def _add(times: list[float], time: float, place: str) -> None:
    if time < 0:
        raise InputError(f"{place}: time {time:g} is negative; expected seconds from the start of the clip.")
    if times and time <= times[-1]:
        raise InputError(f"{place}: time {time:g} follows {times[-1]:g}; expected increasing times.")
    times.append(float(time))


def _attach(
    beats: Mapping[str, Times], origin: Path | str, sources: Sequence[ClipSource], pool: Executor, *, fewest: int
) -> list[ClipSource]:
    lacking = [item.clip_id for item in sources if item.clip_id not in beats]
    if lacking:
        more = f" and {len(lacking) - 1} more clips" if len(lacking) > 1 else ""
        raise InputError(
            f"{origin}: has no beats of clip {lacking[0]!r}{more}; expected beats of every clip with audio."
        )
    for item in sources:
        if len(beats[item.clip_id]) < fewest:
            raise InputError(
                f"{origin}: clip {item.clip_id!r} has {len(beats[item.clip_id])} beats; expected at least {fewest}."
            )
    return [replace(item, beats=beats[item.clip_id]) for item in sources]


def _load(name: str) -> Any:
    point = beat_trackers.plugins()[name]
    try:
        tracker = point.load()
        tracker = tracker() if isinstance(tracker, type) else tracker
    except Exception as error:  # another package's import may raise anything
        raise InputError(f"the beat tracker {name} of {point.value} cannot be imported ({error}).") from error
    if not callable(tracker):
        raise InputError(f"entry point {name} of the group emobench.beats: expected a function of samples, or a class.")
    return tracker


def _track(name: str, tracker: Any, sources: Sequence[ClipSource], pool: Executor, *, fewest: int) -> list[ClipSource]:
    """Call a tracker with every clip, in this process like features of other packages."""
    beats = {item.clip_id: _tracked(name, tracker, item) for item in progress(sources, f"beats of {name}", "clip")}
    return _attach(beats, f"beat tracker {name}", sources, pool, fewest=fewest)


def _tracked(name: str, tracker: Any, source: ClipSource) -> Times:
    """Return the times of a clip; none if its audio cannot be decoded, which excludes it."""
    rate = int(getattr(tracker, "sample_rate", _SAMPLE_RATE))
    try:
        samples = isolated(partial(_decoded, rate), source)
    except (AudioError, CrashError):
        return ()
    try:
        times = np.asarray(tracker(samples), np.float64)
    except Exception as error:  # code of another package may raise anything
        raise InputError(
            f"beat tracker {name}: fails on clip {source.clip_id!r} ({type(error).__name__}: {error})."
        ) from error
    if times.ndim != 1 or not np.isfinite(times).all() or (times < 0).any() or (np.diff(times) <= 0).any():
        raise InputError(
            f"beat tracker {name}: returns wrong times for clip {source.clip_id!r}; expected increasing times in "
            "seconds, shape (n,)."
        )
    return tuple(times.tolist())


def _decoded(sample_rate: int, source: ClipSource) -> Any:
    return decode(source.path, sample_rate=sample_rate, start=source.start, duration=source.duration)
