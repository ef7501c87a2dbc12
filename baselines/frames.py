"""What the standard features share: the frames, and the mean over the past second."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..audio.spectra import magnitude

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class FrameConfig:
    """Spectrogram behind the standard features.

    Attributes
    ----------
    sample_rate : int
        Hertz.
    n_fft, hop : int
        Window and hop in samples (librosa's defaults).
    """

    sample_rate: int = 22050
    n_fft: int = 2048
    hop: int = 512

    @property
    def rate(self) -> float:
        """Frames a second."""
        return self.sample_rate / self.hop

    @property
    def frequencies(self) -> npt.NDArray[np.float64]:
        """Centre of each bin in hertz."""
        return np.arange(self.n_fft // 2 + 1, dtype=np.float64) * (self.sample_rate / self.n_fft)

    def spectrum(self, samples: FloatArray) -> FloatArray:
        """Magnitudes, shape (frames, n_fft // 2 + 1)."""
        return magnitude(samples, n_fft=self.n_fft, hop=self.hop)
