"""Spectral contrast: peaks over valleys, and valleys, in octave bands (Jiang et al., ICME 2002)."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from .frames import FloatArray, FrameConfig

DIMS = 14
F_MIN = 200.0
BANDS = 7
QUANTILE = 0.02
FLOOR = 1e-10


def band_edges(config: FrameConfig) -> list[tuple[int, int, int]]:
    """First bin, end bin, and number of extreme bins of each band: 0 to 200 Hz, then octaves.

    Each band but the first begins one bin early and each but the last ends one bin early, as librosa's.
    """
    frequencies = config.frequencies
    limits = [0.0] + [F_MIN * 2.0**octave for octave in range(BANDS)]
    edges = []
    for band, (low, high) in enumerate(pairwise(limits)):
        inside = np.flatnonzero((frequencies >= low) & (frequencies <= high))
        first = int(inside[0]) - (1 if band else 0)
        last = len(frequencies) if band == BANDS - 1 else int(inside[-1]) + 1
        count = max(1, round(QUANTILE * (last - first)))
        edges.append((first, last if band == BANDS - 1 else last - 1, count))
    return edges


def spectral_contrast(spectrum: FloatArray, config: FrameConfig) -> FloatArray:
    """7 peak-to-valley differences and 7 valleys a frame, in decibels.

    Parameters
    ----------
    spectrum : ndarray of float32, shape (frames, bins)
        Magnitudes.
    config : FrameConfig
        Of the spectrum.

    Returns
    -------
    ndarray of float32, shape (frames, 14)
        The first seven columns as ``librosa.feature.spectral_contrast`` without its ``top_db``.
    """
    peaks = np.empty((len(spectrum), BANDS), np.float32)
    valleys = np.empty_like(peaks)
    for band, (first, last, count) in enumerate(band_edges(config)):
        part = spectrum[:, first:last]
        width = last - first
        # A partition puts the extremes at both ends without sorting what lies between.
        ordered = np.partition(part, sorted({count - 1, width - count}), axis=1)
        valleys[:, band] = ordered[:, :count].mean(axis=1)
        peaks[:, band] = ordered[:, width - count :].mean(axis=1)
    valley_db = 10.0 * np.log10(np.maximum(valleys, np.float32(FLOOR)))
    peak_db = 10.0 * np.log10(np.maximum(peaks, np.float32(FLOOR)))
    return np.hstack([peak_db - valley_db, valley_db]).astype(np.float32)
