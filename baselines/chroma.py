"""Chroma: energy of the twelve pitch classes (Fujishima 1999), with librosa's bank."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from .frames import FloatArray, FrameConfig, standard_feature

DIMS = 12


@lru_cache(maxsize=4)
def chroma_bank(sample_rate: int, n_fft: int) -> FloatArray:
    """Weights of the bins of a power spectrum for the pitch classes, C first.

    Parameters
    ----------
    sample_rate, n_fft : int
        Of the spectrum.

    Returns
    -------
    ndarray of float32, shape (n_fft // 2 + 1, 12)
        ``librosa.filters.chroma(sr=sample_rate, n_fft=n_fft).T`` (Ellis 2007): Gaussians about the classes
        of unit norm a bin, under a Gaussian of two octaves about 880 Hz. It stands here because
        importing librosa's compiles for half a minute on a new machine.
    """
    octaves = np.log2(np.arange(1, n_fft) * (sample_rate / n_fft) / (440.0 / 16))
    # The bin at 0 Hz is put an octave and a half below the first.
    octaves = np.concatenate([[octaves[0] - 1.5], octaves])
    width = np.append(np.maximum(np.diff(DIMS * octaves), 1.0), 1.0)
    distance = (DIMS * octaves[:, None] - np.arange(DIMS) + DIMS / 2) % DIMS - DIMS / 2
    bank = np.exp(-0.5 * (2.0 * distance / width[:, None]) ** 2)
    bank /= np.linalg.norm(bank, axis=1, keepdims=True)
    bank *= np.exp(-0.5 * ((octaves - 5.0) / 2.0) ** 2)[:, None]
    # The classes are counted from A.
    return np.ascontiguousarray(np.roll(bank, -3, axis=1)[: n_fft // 2 + 1].astype(np.float32))


@standard_feature("Chroma", order=2)
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
    classes = np.square(spectrum) @ chroma_bank(config.sample_rate, config.n_fft)
    loudest = classes.max(axis=1, keepdims=True)
    return (classes / np.where(loudest < np.finfo(np.float32).tiny, 1, loudest)).astype(np.float32)
