"""Harmonic/percussive separation by median filtering (Fitzgerald, DAFx 2010).

The median along time keeps horizontal ridges (harmonic), the median along frequency vertical ones (percussive). Both
define soft masks, as in ``librosa.decompose.hpss``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from . import _jit
from .median import running_median

FloatArray = npt.NDArray[np.float32]

_TINY = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True)
class SeparationConfig:
    """Settings of the separation.

    Attributes
    ----------
    kernel : int
        Odd length of both medians: 31 in librosa, 17 in Fitzgerald's paper, 9 in the authors' 2013 script.
    power : float
        Exponent of the soft mask; 4 in the authors' script.
    """

    kernel: int = 31
    power: float = 2.0

    def __post_init__(self) -> None:
        if self.kernel % 2 != 1 or not 3 <= self.kernel <= 255:
            raise ValueError(f"kernel={self.kernel}: expected an odd length from 3 to 255")
        if not self.power > 0:
            raise ValueError(f"power={self.power}: expected a number above 0")


@_jit.njit
def _apply_mask(spectrum: FloatArray, wanted: FloatArray, other: FloatArray, power: float) -> None:
    """Write ``spectrum * wanted^p / (wanted^p + other^p)`` over ``wanted``; one half where both are zero."""
    tiny = np.float32(_TINY)
    for row in range(spectrum.shape[0]):
        for column in range(spectrum.shape[1]):
            a = wanted[row, column]
            b = other[row, column]
            largest = a if a > b else b
            if largest < tiny:
                mask = np.float32(0.5)
            else:
                a = a / largest
                b = b / largest
                if power == 2.0:
                    a = a * a
                    b = b * b
                else:
                    a = a ** np.float32(power)
                    b = b ** np.float32(power)
                mask = a / (a + b)
            wanted[row, column] = spectrum[row, column] * mask


def harmonic(spectrum: FloatArray, config: SeparationConfig) -> FloatArray:
    """Harmonic part of a magnitude spectrogram.

    Parameters
    ----------
    spectrum : ndarray of float32, shape (frames, bins)
        Non-negative magnitudes.
    config : SeparationConfig
        Settings of the separation.

    Returns
    -------
    ndarray of float32, shape (frames, bins)
        ``librosa.decompose.hpss(spectrum.T, kernel_size=kernel, power=power)[0].T``.
    """
    wanted = running_median(spectrum, size=config.kernel, axis=0)
    _apply_mask(spectrum, wanted, running_median(spectrum, size=config.kernel, axis=1), config.power)
    return wanted


def percussive(spectrum: FloatArray, config: SeparationConfig) -> FloatArray:
    """Percussive part of a magnitude spectrogram; the counterpart of :func:`harmonic`.

    Parameters
    ----------
    spectrum : ndarray of float32, shape (frames, bins)
        Non-negative magnitudes.
    config : SeparationConfig
        Settings of the separation.

    Returns
    -------
    ndarray of float32, shape (frames, bins)
        ``librosa.decompose.hpss(spectrum.T, kernel_size=kernel, power=power)[1].T``.
    """
    wanted = running_median(spectrum, size=config.kernel, axis=1)
    _apply_mask(spectrum, wanted, running_median(spectrum, size=config.kernel, axis=0), config.power)
    return wanted
