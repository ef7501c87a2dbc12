"""Echo Nest timbre: 12 coefficients a segment, read from analysis files (Jehan 2005).

They cannot be computed from audio: the Echo Nest's analyser is gone. MSD track files (``.h5``) hold
them as ``/analysis/segments_start`` (seconds in the song) and ``/analysis/segments_timbre``, beside the
song's track id and length in ``/analysis/songs``.
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

# Segments of a file, of which a song has some three a second, and bytes of a row of its tables.
_MAX_SEGMENTS = 100_000
_MAX_ROW_BYTES = 1024


@dataclass(frozen=True)
class Segments:
    """The segments of a song.

    Attributes
    ----------
    starts : ndarray, shape (n,)
        Seconds in the song, rising.
    timbre : ndarray, shape (n, 12)
    track_id : str or None
        Of the Million Song Dataset; None where the file does not say.
    duration : float or None
        Seconds of the song; None where the file does not say.
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
        HDF5 file in the layout of the Million Song Dataset, of one song.

    Returns
    -------
    Segments

    Raises
    ------
    InputError
        If the file is missing, damaged, or holds no segments.
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
        raise InputError(f"{path}: segments_start does not rise; expected the starts of segments in order.")
    if not (np.isfinite(starts).all() and np.isfinite(timbre).all()):
        raise InputError(f"{path}: segments hold numbers that are not finite.")
    return Segments(starts, timbre, track_id, duration)


def _opened(stored: Any, name: str) -> Any:
    return open_dataset(stored, f"analysis/{name}", max_rows=_MAX_SEGMENTS, max_row_bytes=_MAX_ROW_BYTES)


def _song(stored: Any) -> tuple[str | None, float | None]:
    """Track id and length in seconds; None where the file does not say."""
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
    """Average the timbre over each past second, each segment weighted by its share of it.

    Parameters
    ----------
    segments : Segments
        Of the song; a segment lasts until the next begins.
    offset : float
        Where the clip begins in the song, in seconds.
    seconds : ndarray, shape (m,)
        Ends of the seconds wanted, from the start of the clip.

    Returns
    -------
    ndarray, shape (m, 12)
    """
    starts = segments.starts
    ends = np.append(starts[1:], np.inf)
    stop = offset + seconds[:, None]
    overlap = np.clip(np.minimum(ends, stop) - np.maximum(starts, stop - 1.0), 0.0, 1.0)
    # Before the first segment the first one's value holds.
    overlap[:, 0] += np.clip(np.minimum(starts[0], stop[:, 0]) - (stop[:, 0] - 1.0), 0.0, 1.0)
    return overlap @ segments.timbre / overlap.sum(axis=1, keepdims=True)
