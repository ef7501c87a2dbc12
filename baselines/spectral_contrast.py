"""Spectral contrast of each frame (Jiang et al., ICME 2002)."""

from __future__ import annotations

from ..audio.contrast import contrast
from .frames import FloatArray, FrameConfig, standard_feature

DIMS = 14
FLOOR = 1e-10


@standard_feature("Spectral Contrast", order=4)
def spectral_contrast(spectrum: FloatArray, config: FrameConfig) -> FloatArray:
    """Compute 7 peak-to-valley differences and 7 valleys per frame, in decibels.

    Parameters
    ----------
    spectrum : ndarray of float32, shape (frames, bins)
        Magnitudes.
    config : FrameConfig
        Settings of the spectrum.

    Returns
    -------
    ndarray of float32, shape (frames, 14)
        The first seven columns equal ``librosa.feature.spectral_contrast`` without its ``top_db``.
    """
    return contrast(spectrum, config.frequencies, floor=FLOOR)
