"""Spectral shape: centroid, flux, rolloff and flatness (Tzanetakis and Cook 2002)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..audio import _jit
from .frames import FloatArray, FrameConfig, standard_feature

DIMS = 4
ROLLOFF = 0.85
FLOOR = 1e-10


@_jit.njit
def _reach(spectrum: FloatArray, wanted: npt.NDArray[np.float64], bins: npt.NDArray[np.int64]) -> None:
    """First bin of each frame at which the cumulative sum of magnitudes reaches ``wanted``."""
    for frame in range(len(spectrum)):
        column = 0
        total = float(spectrum[frame, 0])
        while total < wanted[frame] and column < spectrum.shape[1] - 1:
            column += 1
            total += spectrum[frame, column]
        bins[frame] = column


@standard_feature("Spectral Shape", order=3)
def spectral_shape(spectrum: FloatArray, config: FrameConfig) -> FloatArray:
    """Compute centroid (Hz), flux, rolloff (Hz, 85 %) and flatness per frame.

    Parameters
    ----------
    spectrum : ndarray of float32, shape (frames, bins)
        Magnitudes.
    config : FrameConfig
        Settings of the spectrum.

    Returns
    -------
    ndarray of float32, shape (frames, 4)
        Centroid, rolloff and flatness equal librosa's. Flux is the Euclidean distance between successive spectra, each
        scaled to a sum of 1 (0 for the first frame). Silent frames have centroid and rolloff 0 and flatness 1.
    """
    frequencies = config.frequencies.astype(np.float32)
    total = spectrum.sum(axis=1, keepdims=True)
    share = spectrum / np.where(total < np.finfo(np.float32).tiny, np.float32(1), total)
    centroid = share @ frequencies
    flux = np.zeros(len(spectrum), np.float32)
    flux[1:] = np.linalg.norm(np.diff(share, axis=0), axis=1)
    bins = np.empty(len(spectrum), np.int64)
    _reach(spectrum, ROLLOFF * spectrum.sum(axis=1, dtype=np.float64), bins)
    rolloff = frequencies[bins]
    power = np.maximum(np.square(spectrum), np.float32(FLOOR))
    flatness = np.exp(np.log(power).mean(axis=1)) / power.mean(axis=1)
    return np.column_stack([centroid, flux, rolloff, flatness]).astype(np.float32)
