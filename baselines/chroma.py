"""Chroma: energy of the twelve pitch classes (Fujishima 1999), with librosa's filter bank."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from .frames import FloatArray, FrameConfig, standard_feature

DIMS = 12


@lru_cache(maxsize=4)
def chroma_bank(sample_rate: int, n_fft: int) -> FloatArray:
    """Weights of the bins of a power spectrum for the twelve pitch classes, starting with C.

    Parameters
    ----------
    sample_rate, n_fft : int
        Parameters of the spectrum.

    Returns
    -------
    ndarray of float32, shape (n_fft // 2 + 1, 12)
        ``librosa.filters.chroma(sr=sample_rate, n_fft=n_fft).T`` (Ellis 2007): Gaussians around the
        classes with unit norm per bin, weighted by a Gaussian of two octaves around 880 Hz. It is reimplemented because
        importing librosa's version compiles for half a minute on a new machine.
    """
    octaves = np.log2(np.arange(1, n_fft) * (sample_rate / n_fft) / (440.0 / 16))
    # The bin at 0 Hz is placed one and a half octaves below the first bin.
    octaves = np.concatenate([[octaves[0] - 1.5], octaves])
    width = np.append(np.maximum(np.diff(DIMS * octaves), 1.0), 1.0)
    distance = (DIMS * octaves[:, None] - np.arange(DIMS) + DIMS / 2) % DIMS - DIMS / 2
    bank = np.exp(-0.5 * (2.0 * distance / width[:, None]) ** 2)
    bank /= np.linalg.norm(bank, axis=1, keepdims=True)
    bank *= np.exp(-0.5 * ((octaves - 5.0) / 2.0) ** 2)[:, None]
    # The classes start with A.
    return np.ascontiguousarray(np.roll(bank, -3, axis=1)[: n_fft // 2 + 1].astype(np.float32))


@standard_feature("Chroma", order=2)
def chroma(spectrum: FloatArray, config: FrameConfig) -> FloatArray:
    """Compute 12 pitch classes per frame, with a maximum of 1.

    Parameters
    ----------
    spectrum : ndarray of float32, shape (frames, bins)
        Magnitudes.
    config : FrameConfig
        Settings of the spectrum.

    Returns
    -------
    ndarray of float32, shape (frames, 12)
        Equal to ``librosa.feature.chroma_stft(S=spectrum.T ** 2, tuning=0)``: the concert pitch is not estimated.
        Zero for silent frames.
    """
    classes = np.square(spectrum) @ chroma_bank(config.sample_rate, config.n_fft)
    loudest = classes.max(axis=1, keepdims=True)
    return (classes / np.where(loudest < np.finfo(np.float32).tiny, 1, loudest)).astype(np.float32)
