"""Echo Nest timbre: 12 coefficients a segment, read from analysis files (Jehan 2005).

They cannot be computed from audio: the Echo Nest's analyser is gone. MSD track files (``.h5``) hold
them as ``/analysis/segments_start`` (seconds in the song) and ``/analysis/segments_timbre``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import InputError

DIMS = 12


def read_segments(path: Path) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Read the segments of an MSD track file.

    Parameters
    ----------
    path : Path
        HDF5 file in the layout of the Million Song Dataset, of one song.

    Returns
    -------
    starts : ndarray, shape (n,)
        Seconds in the song, rising.
    timbre : ndarray, shape (n, 12)

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
            starts = np.asarray(stored["analysis/segments_start"], np.float64)
            timbre = np.asarray(stored["analysis/segments_timbre"], np.float64)
    except (OSError, KeyError, RuntimeError, ValueError, TypeError) as error:
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
    return starts, timbre


def timbre_per_second(
    starts: npt.NDArray[np.float64],
    timbre: npt.NDArray[np.float64],
    *,
    offset: float,
    seconds: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """Average the timbre over each past second, each segment weighted by its share of it.

    Parameters
    ----------
    starts, timbre
        As :func:`read_segments` gives them; a segment lasts until the next begins.
    offset : float
        Where the clip begins in the song, in seconds.
    seconds : ndarray, shape (m,)
        Ends of the seconds wanted, from the start of the clip.

    Returns
    -------
    ndarray, shape (m, 12)
    """
    ends = np.append(starts[1:], np.inf)
    stop = offset + seconds[:, None]
    overlap = np.clip(np.minimum(ends, stop) - np.maximum(starts, stop - 1.0), 0.0, 1.0)
    # Before the first segment the first one's value holds.
    overlap[:, 0] += np.clip(np.minimum(starts[0], stop[:, 0]) - (stop[:, 0] - 1.0), 0.0, 1.0)
    return overlap @ timbre / overlap.sum(axis=1, keepdims=True)
