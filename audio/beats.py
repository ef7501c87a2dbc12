"""Beat tracking: onset profile, tempo, dynamic programme (Schmidt and Kim 2013, section 4.2).

The onset profile is taken from the percussive part of a mel spectrogram at a hop of 64 samples; the
tempo and the beats as Ellis (Journal of New Music Research, 2007) and librosa find them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import scipy.fft
import scipy.ndimage

from .separation import SeparationConfig, percussive
from .spectra import map_spectrum, mel_bank

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class BeatConfig:
    """Settings of the beat tracker.

    Attributes
    ----------
    n_fft, hop : int
        Window and hop of the spectrogram in samples (the paper's hop is 64).
    n_mels : int
        Mel bands (the paper's 128).
    profile : {"flux", "laplace"}
        ``laplace`` is the paper's multidimensional Laplace filter, rectified; ``flux`` the half-wave
        rectified difference over ``lag`` frames.
    lag : int
        Frames between the two ends of the difference.
    start_bpm, std_bpm : float
        Log-normal prior of the tempo: its centre in beats a minute and its spread in octaves.
    tightness : float
        How closely the beats keep to the tempo.
    separation : SeparationConfig
        Of the harmonic from the percussive part.
    """

    n_fft: int = 2048
    hop: int = 64
    n_mels: int = 128
    profile: str = "flux"
    lag: int = 8
    start_bpm: float = 120.0
    std_bpm: float = 1.0
    tightness: float = 100.0
    separation: SeparationConfig = field(default_factory=SeparationConfig)

    def __post_init__(self) -> None:
        if self.profile not in ("flux", "laplace"):
            raise ValueError(f"profile={self.profile!r}: expected 'flux' or 'laplace'")


def onset_profile(samples: FloatArray, sample_rate: int, config: BeatConfig) -> FloatArray:
    """Strength of onsets, one value a hop, shape (1 + n_samples // hop,)."""
    bank = mel_bank(sample_rate, config.n_fft, config.n_mels)
    mel = map_spectrum(
        samples,
        n_fft=config.n_fft,
        hop=config.hop,
        width=config.n_mels,
        transform=lambda block: np.sqrt((block.real**2 + block.imag**2) @ bank),
    )
    part = percussive(mel, config.separation)
    if config.profile == "laplace":
        return np.maximum(-scipy.ndimage.laplace(part), 0.0).mean(axis=1)
    profile = np.zeros(len(part), np.float32)
    np.mean(np.maximum(part[config.lag :] - part[: -config.lag], 0.0), axis=1, out=profile[config.lag :])
    return profile


def track_beats(samples: FloatArray, sample_rate: int, config: BeatConfig) -> npt.NDArray[np.float64]:
    """Times of the beats of a signal.

    Parameters
    ----------
    samples : ndarray of float32, shape (n_samples,)
        Mono signal.
    sample_rate : int
        Hertz.
    config : BeatConfig
        Settings.

    Returns
    -------
    ndarray of float64, shape (n_beats,)
        Seconds, rising; empty where there is no onset.
    """
    import librosa

    profile = onset_profile(samples, sample_rate, config)
    if not profile.any():
        return np.zeros(0)
    rate = sample_rate / config.hop
    width = round(8 * rate)
    padded = np.pad(profile, width // 2, mode="linear_ramp", end_values=0)
    frames = np.lib.stride_tricks.sliding_window_view(padded, width)[: len(profile) : 16]
    window = np.hanning(width + 1)[:-1].astype(np.float32)
    size = scipy.fft.next_fast_len(2 * width - 1, real=True)
    spectrum = scipy.fft.rfft(frames * window, size, axis=1)
    lagged = scipy.fft.irfft(np.abs(spectrum) ** 2, size, axis=1)[:, :width]
    peak = np.abs(lagged).max(axis=1, keepdims=True)
    gram = (lagged / np.where(peak > 0, peak, 1)).mean(axis=0)
    with np.errstate(divide="ignore"):
        bpm = 60.0 * rate / np.arange(width)
        prior = -0.5 * ((np.log2(bpm) - np.log2(config.start_bpm)) / config.std_bpm) ** 2
    prior[bpm >= 320] = -np.inf
    tempo = bpm[np.argmax(np.log1p(1e6 * np.maximum(gram, 0)) + prior)]
    _, frames_of_beats = librosa.beat.beat_track(
        onset_envelope=profile, sr=sample_rate, hop_length=config.hop, bpm=tempo, tightness=config.tightness
    )
    return np.asarray(frames_of_beats, np.float64) * config.hop / sample_rate
