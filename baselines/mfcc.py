"""Mel-frequency cepstral coefficients: timbre (Davis and Mermelstein 1980)."""

from __future__ import annotations

import numpy as np

from ..audio.spectra import mel_power
from ..audio.timbre import cepstrum, decibels
from .frames import FloatArray, FrameConfig, standard_feature

DIMS = 20
N_MELS = 128
TOP_DB = 80.0


@standard_feature("MFCC", order=1)
def mfcc(spectrum: FloatArray, config: FrameConfig) -> FloatArray:
    """Compute 20 MFCC per frame.

    Parameters
    ----------
    spectrum : ndarray of float32, shape (frames, bins)
        Magnitudes.
    config : FrameConfig
        Settings of the spectrum.

    Returns
    -------
    ndarray of float32, shape (frames, 20)
        Equal to ``librosa.feature.mfcc`` with its defaults.
    """
    mel = mel_power(np.square(spectrum), sample_rate=config.sample_rate, n_fft=config.n_fft, n_mels=N_MELS)
    return cepstrum(decibels(mel, top_db=TOP_DB), DIMS)
