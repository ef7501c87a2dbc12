"""Standard features of Table 2: a function of a magnitude spectrogram, and the spectrogram that they share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..audio.spectra import magnitude
from ..protocols import Feature, features

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class FrameConfig:
    """Settings of the spectrogram of the standard features.

    Attributes
    ----------
    sample_rate : int
        Sample rate in hertz.
    n_fft, hop : int
        Window and hop in samples (librosa's defaults).
    """

    sample_rate: int = 22050
    n_fft: int = 2048
    hop: int = 512

    @property
    def rate(self) -> float:
        """Frames per second."""
        return self.sample_rate / self.hop

    @property
    def frequencies(self) -> npt.NDArray[np.float64]:
        """Centre of each bin in hertz."""
        return np.arange(self.n_fft // 2 + 1, dtype=np.float64) * (self.sample_rate / self.n_fft)

    def spectrum(self, samples: FloatArray) -> FloatArray:
        """Compute magnitudes, shape (frames, n_fft // 2 + 1)."""
        return magnitude(samples, n_fft=self.n_fft, hop=self.hop)


SpectrumFunction = Callable[[FloatArray, FrameConfig], FloatArray]


class StandardFeature(Feature):
    """A feature of each frame of the spectrogram.

    Parameters
    ----------
    name, title : str
        Name as typed, and as tables print it.
    order : int
        Position in tables and lists.
    function : callable
        Function from magnitudes (frames, bins) and their configuration to values (frames, d).
    config : FrameConfig
        Spectrogram.
    """

    def __init__(
        self, name: str, title: str, order: int, function: SpectrumFunction, config: FrameConfig | None = None
    ) -> None:
        self.name, self.title, self.order = name, title, order
        self.function = function
        self.config = config or FrameConfig()
        self.sample_rate = self.config.sample_rate
        self.metadata = {"licence": "Apache-2.0", "parameters": 0, "training_data": "none", "labels_used": "none"}

    def __call__(self, samples: FloatArray) -> tuple[npt.NDArray[np.float64], FloatArray]:
        """Compute the times (n,) and values (n, d) of all frames of a clip."""
        spectrum = self.config.spectrum(samples)
        return np.arange(len(spectrum)) / self.config.rate, self.function(spectrum, self.config)


def standard_feature(title: str, *, order: int = 50) -> Callable[[SpectrumFunction], SpectrumFunction]:
    """Register a function of the spectrogram as a feature under the function's name."""

    def register(function: SpectrumFunction) -> SpectrumFunction:
        features.register(StandardFeature(function.__name__, title, order, function))
        return function

    return register
