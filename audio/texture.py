"""Texture: harmonic and percussive bands with their level, semitones and spectral contrast.

The inputs of the paper are normalised clip by clip, which loses the level of the music and the ratio of its harmonic to
its percussive energy. These inputs keep both. The separated spectra are those of percussion timbre and pitch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .contrast import BANDS, contrast
from .spectra import magnitude

FloatArray = npt.NDArray[np.float32]

# Increment it when the same audio and settings give different values than before.
REVISION = 2

# The last columns, differences of peaks and valleys, do not depend on the level.
DIFFERENCES = BANDS


@dataclass(frozen=True)
class TextureConfig:
    """Settings of the texture that are not those of percussion timbre and pitch.

    Attributes
    ----------
    n_fft, hop : int
        Window and hop in samples of the spectrum that contrast is computed from.
    floor_db : float
        Lowest level in decibels; -80 is about the noise of 16-bit audio in a mel band.
    """

    n_fft: int = 2048
    hop: int = 1024
    floor_db: float = -80.0


def levels(power: FloatArray, config: TextureConfig) -> FloatArray:
    """Convert power to decibels above the floor of the settings, independently of the rest of the clip."""
    lowest = np.float32(10.0 ** (config.floor_db / 10.0))
    # In numpy, log is vectorised and log10 is not.
    level = np.log(np.maximum(power, lowest))
    level *= np.float32(10.0 / np.log(10.0))
    return level


def contrast_levels(samples: FloatArray, sample_rate: int, config: TextureConfig) -> FloatArray:
    """Compute the valleys of the spectrum and then the differences of peaks and valleys, in seven octave bands each.

    Parameters
    ----------
    samples : ndarray of float32, shape (n_samples,)
        Mono signal.
    sample_rate : int
        Hertz.
    config : TextureConfig
        Settings.

    Returns
    -------
    ndarray of float32, shape (1 + n_samples // hop, 14)
        In decibels.
    """
    spectrum = magnitude(samples, n_fft=config.n_fft, hop=config.hop)
    frequencies = np.arange(spectrum.shape[1]) * (sample_rate / config.n_fft)
    found = contrast(spectrum, frequencies, floor=10.0 ** (config.floor_db / 20.0))
    return np.hstack([found[:, BANDS:], found[:, :BANDS]])
