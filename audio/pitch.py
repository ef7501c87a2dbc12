"""Pitch features: semitone bands of the harmonic spectrum (Schmidt and Kim 2013, section 4.4)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from .separation import SeparationConfig, harmonic
from .spectra import magnitude, semitone_bank

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class PitchConfig:
    """Settings of the four-octave chroma.

    Attributes
    ----------
    n_fft, hop : int
        Window and hop in samples (4096 as in the paper, which does not state the hop).
    f_min : float
        Centre of the lowest band in hertz; 98 is G2.
    n_bands : int
        Number of semitones; 48 end at F#6, 1479.98 Hz.
    overlap : float
        Width of the Gaussian bands relative to their bandwidth, as in Ellis's log-frequency map.
    separation : SeparationConfig
        Settings of the harmonic/percussive separation.
    """

    n_fft: int = 4096
    hop: int = 512
    f_min: float = 98.0
    n_bands: int = 48
    overlap: float = 0.5475
    separation: SeparationConfig = field(default_factory=SeparationConfig)


def pitch_bands(samples: FloatArray, sample_rate: int, config: PitchConfig) -> FloatArray:
    """Magnitudes of the semitone bands of the harmonic part of a signal.

    Parameters
    ----------
    samples : ndarray of float32, shape (n_samples,)
        Mono signal.
    sample_rate : int
        Hertz.
    config : PitchConfig
        Settings.

    Returns
    -------
    ndarray of float32, shape (1 + n_samples // hop, n_bands)

    Notes
    -----
    Only the bins that the filter bank uses, and half a median window above them, are separated.
    """
    bank = semitone_bank(sample_rate, config.n_fft, f_min=config.f_min, n_bands=config.n_bands, overlap=config.overlap)
    bins = min(len(bank) + config.separation.kernel // 2, config.n_fft // 2 + 1)
    spectrum = magnitude(samples, n_fft=config.n_fft, hop=config.hop, bins=bins)
    return harmonic(spectrum, config.separation)[:, : len(bank)] @ bank
