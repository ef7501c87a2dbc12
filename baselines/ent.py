"""Echo Nest timbre: 12 coefficients per segment, read from analysis files (Jehan 2005).

They cannot be computed from audio, because the Echo Nest's analyser is no longer available. Track files (``.h5``) of
the Million Song Dataset have ``/analysis/segments_start`` (seconds in the song), ``/analysis/segments_timbre``, and
``/analysis/songs`` with the track id and duration of the song.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..runtime.sizes import open_dataset

DIMS = 12

# Most segments of a file (a song has about three per second), and most bytes per row of its tables.
_MAX_SEGMENTS = 100_000
_MAX_ROW_BYTES = 1024


@dataclass(frozen=True)
class Segments:
    """Segments of a song.

    Attributes
    ----------
    starts : ndarray, shape (n,)
        Starts of the segments in seconds, increasing.
    timbre : ndarray, shape (n, 12)
        Coefficients of each segment.
    track_id : str or None
        Track id of the Million Song Dataset, if the file has it.
    duration : float or None
        Duration of the song in seconds, if the file has it.
    """

    starts: npt.NDArray[np.float64]
    timbre: npt.NDArray[np.float64]
    track_id: str | None = None
    duration: float | None = None


def read_segments(path: Path) -> Segments:
    """Read the segments of an MSD track file.

    Parameters
    ----------
    path : Path
        HDF5 file of one song in the layout of the Million Song Dataset.

    Returns
    -------
    Segments

    Raises
    ------
    InputError
        If the file is missing, damaged or without segments.
    """
    import h5py

    if not path.is_file():
        raise InputError(f"{path}: no such Echo Nest analysis file.")
    try:
        with h5py.File(path, "r") as stored:
            starts = np.asarray(_opened(stored, "segments_start"), np.float64)
            timbre = np.asarray(_opened(stored, "segments_timbre"), np.float64)
            track_id, duration = _song(stored)
    except (OSError, KeyError, RuntimeError, ValueError, TypeError, MemoryError) as error:
        raise InputError(
            f"{path}: not a readable Echo Nest analysis ({error}); expected an MSD track file with "
            "/analysis/segments_start and /analysis/segments_timbre."
        ) from error
    if starts.ndim != 1 or timbre.shape != (len(starts), DIMS) or len(starts) == 0:
        raise InputError(f"{path}: segments of shape {starts.shape} and {timbre.shape}; expected (n,) and (n, 12).")
    if (np.diff(starts) <= 0).any():
        raise InputError(f"{path}: segments_start is not increasing; expected the starts of segments in order.")
    if not (np.isfinite(starts).all() and np.isfinite(timbre).all()):
        raise InputError(f"{path}: segments contain numbers that are not finite.")
    return Segments(starts, timbre, track_id, duration)


def _opened(stored: Any, name: str) -> Any:
    return open_dataset(stored, f"analysis/{name}", max_rows=_MAX_SEGMENTS, max_row_bytes=_MAX_ROW_BYTES)


def _song(stored: Any) -> tuple[str | None, float | None]:
    """Track id and duration in seconds, None for what the file lacks."""
    if "analysis/songs" not in stored:
        return None, None
    songs = _opened(stored, "songs")
    if songs.shape != (1,):
        raise ValueError(f"/analysis/songs has shape {songs.shape}, expected one song")
    row = np.asarray(songs)
    names = row.dtype.names or ()
    track_id = row["track_id"][0].decode("ascii") if "track_id" in names else None
    return track_id, float(row["duration"][0]) if "duration" in names else None


def timbre_per_second(
    segments: Segments,
    *,
    offset: float,
    seconds: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """Average the timbre over the past second, weighting each segment by its overlap with it.

    Parameters
    ----------
    segments : Segments
        Segments of the song; each lasts until the next one starts.
    offset : float
        Start of the clip in the song, in seconds.
    seconds : ndarray, shape (m,)
        Ends of the requested seconds, from the start of the clip.

    Returns
    -------
    ndarray, shape (m, 12)
    """
    starts = segments.starts
    ends = np.append(starts[1:], np.inf)
    stop = offset + seconds[:, None]
    overlap = np.clip(np.minimum(ends, stop) - np.maximum(starts, stop - 1.0), 0.0, 1.0)
    # Before the first segment, its value is used.
    overlap[:, 0] += np.clip(np.minimum(starts[0], stop[:, 0]) - (stop[:, 0] - 1.0), 0.0, 1.0)
    return overlap @ segments.timbre / overlap.sum(axis=1, keepdims=True)
