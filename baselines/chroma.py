"""Chroma: energy of the twelve pitch classes (Fujishima 1999), librosa's bank."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from .frames import FloatArray, FrameConfig

DIMS = 12


@lru_cache(maxsize=4)
def _bank(sample_rate: int, n_fft: int) -> FloatArray:
    import librosa

    return np.ascontiguousarray(librosa.filters.chroma(sr=sample_rate, n_fft=n_fft, n_chroma=DIMS).T)


def chroma(spectrum: FloatArray, config: FrameConfig) -> FloatArray:
    """12 pitch classes a frame, the loudest 1.

    Parameters
    ----------
    spectrum : ndarray of float32, shape (frames, bins)
        Magnitudes.
    config : FrameConfig
        Of the spectrum.

    Returns
    -------
    ndarray of float32, shape (frames, 12)
        As ``librosa.feature.chroma_stft(S=spectrum.T ** 2, tuning=0)``: the concert pitch is not
        estimated. Zero where the frame is silent.
    """
    classes = np.square(spectrum) @ _bank(config.sample_rate, config.n_fft)
    loudest = classes.max(axis=1, keepdims=True)
    return (classes / np.where(loudest < np.finfo(np.float32).tiny, 1, loudest)).astype(np.float32)
