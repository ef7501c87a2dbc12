"""Spectral contrast: differences of peaks and valleys, and valleys, in octave bands (Jiang et al., ICME 2002)."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from . import _jit

FloatArray = npt.NDArray[np.float32]

BANDS = 7
_F_MIN = 200.0
_QUANTILE = 0.02


def band_edges(frequencies: npt.NDArray[np.float64]) -> list[tuple[int, int, int]]:
    """First bin, end bin and number of extreme bins of each band: 0 to 200 Hz, then octaves.

    As in librosa, each band but the first starts one bin early, and each but the last ends one bin early.
    """
    limits = [0.0] + [_F_MIN * 2.0**octave for octave in range(BANDS)]
    edges = []
    for band, (low, high) in enumerate(pairwise(limits)):
        inside = np.flatnonzero((frequencies >= low) & (frequencies <= high))
        first = int(inside[0]) - (1 if band else 0)
        last = len(frequencies) if band == BANDS - 1 else int(inside[-1]) + 1
        count = max(1, round(_QUANTILE * (last - first)))
        edges.append((first, last if band == BANDS - 1 else last - 1, count))
    return edges


@_jit.njit
def _extremes(spectrum: FloatArray, first: int, last: int, count: int, lows: FloatArray, highs: FloatArray) -> None:
    """Means of the ``count`` lowest and highest bins from ``first`` up to ``last`` of every frame.

    Both are kept sorted during one pass over the bins. They are few, so most bins cost two comparisons; a partition
    takes three times as long.
    """
    lowest = np.empty(count, np.float32)
    highest = np.empty(count, np.float32)
    for frame in range(len(spectrum)):
        lowest[:] = np.inf
        highest[:] = -np.inf
        for column in range(first, last):
            value = spectrum[frame, column]
            if value < lowest[count - 1]:
                place = count - 1
                while place > 0 and lowest[place - 1] > value:
                    lowest[place] = lowest[place - 1]
                    place -= 1
                lowest[place] = value
            if value > highest[count - 1]:
                place = count - 1
                while place > 0 and highest[place - 1] < value:
                    highest[place] = highest[place - 1]
                    place -= 1
                highest[place] = value
        lows[frame] = lowest.sum() / np.float32(count)
        highs[frame] = highest.sum() / np.float32(count)


def contrast(spectrum: FloatArray, frequencies: npt.NDArray[np.float64], *, floor: float) -> FloatArray:
    """Compute 7 peak-to-valley differences and 7 valleys per frame, in decibels.

    Parameters
    ----------
    spectrum : ndarray of float32, shape (frames, bins)
        Magnitudes.
    frequencies : ndarray, shape (bins,)
        Centre of each bin in hertz.
    floor : float
        Smallest magnitude.

    Returns
    -------
    ndarray of float32, shape (frames, 14)
    """
    peaks = np.empty((BANDS, len(spectrum)), np.float32)
    valleys = np.empty_like(peaks)
    for band, (first, last, count) in enumerate(band_edges(frequencies)):
        _extremes(spectrum, first, last, count, valleys[band], peaks[band])
    valley_db = 10.0 * np.log10(np.maximum(valleys, np.float32(floor)))
    peak_db = 10.0 * np.log10(np.maximum(peaks, np.float32(floor)))
    return np.vstack([peak_db - valley_db, valley_db]).T.astype(np.float32, order="C")
