"""Percussion timbre features: MFCC of the percussive spectrum (Schmidt and Kim 2013, section 4.3)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import scipy

from .separation import SeparationConfig, percussive
from .spectra import magnitude, mel_power

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class TimbreConfig:
    """Settings of the percussion timbre.

    Attributes
    ----------
    n_fft, hop : int
        Window and hop in samples (512 and 256 as in the paper).
    n_mels, n_mfcc : int
        Numbers of mel bands and coefficients; 20 coefficients over four beats give the paper's 80 dimensions.
    top_db : float
        Dynamic range below the loudest band of the clip, in decibels.
    separation : SeparationConfig
        Settings of the harmonic/percussive separation.
    """

    n_fft: int = 512
    hop: int = 256
    n_mels: int = 40
    n_mfcc: int = 20
    top_db: float = 80.0
    separation: SeparationConfig = field(default_factory=SeparationConfig)


def decibels(power: FloatArray, *, top_db: float) -> FloatArray:
    """Convert power to decibels, clipped at 1e-10 and at ``top_db`` below the maximum."""
    level = 10.0 * np.log10(np.maximum(power, np.float32(1e-10)))
    return np.maximum(level, level.max() - np.float32(top_db))


def cepstrum(level: FloatArray, n_mfcc: int) -> FloatArray:
    """First coefficients of the orthonormal DCT-II along the bands, shape (frames, n_mfcc)."""
    coefficients = np.asarray(scipy.fft.dct(level, axis=1, type=2, norm="ortho"))
    return np.ascontiguousarray(coefficients[:, :n_mfcc])


def mel_parts(samples: FloatArray, sample_rate: int, config: TimbreConfig) -> tuple[FloatArray, FloatArray]:
    """Energy of the mel bands of the harmonic and of the percussive part of a signal.

    Parameters
    ----------
    samples : ndarray of float32, shape (n_samples,)
        Mono signal.
    sample_rate : int
        Hertz.
    config : TimbreConfig
        Settings.

    Returns
    -------
    harmonic, percussive : ndarray of float32, shape (1 + n_samples // hop, n_mels)
    """
    spectrum = magnitude(samples, n_fft=config.n_fft, hop=config.hop)
    part = percussive(spectrum, config.separation)
    # The two soft masks sum to 1.
    np.subtract(spectrum, part, out=spectrum)
    harmonic_mel, percussive_mel = (
        mel_power(np.square(each, out=each), sample_rate=sample_rate, n_fft=config.n_fft, n_mels=config.n_mels)
        for each in (spectrum, part)
    )
    return harmonic_mel, percussive_mel


def mel_cepstrum(percussive_mel: FloatArray, config: TimbreConfig) -> FloatArray:
    """MFCC of the energy of mel bands, shape (frames, n_mfcc)."""
    return cepstrum(decibels(percussive_mel, top_db=config.top_db), config.n_mfcc)


def percussion_timbre(samples: FloatArray, sample_rate: int, config: TimbreConfig) -> FloatArray:
    """MFCC of the percussive part of a signal, shape (1 + n_samples // hop, n_mfcc); see :func:`mel_parts`."""
    return mel_cepstrum(mel_parts(samples, sample_rate, config)[1], config)
