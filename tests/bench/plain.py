"""Plain implementation of the chain and the standard features with functions of librosa, scipy and numpy.

Parameters and order are ours. ``watch(name)`` times the block below it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import librosa
import numpy as np
from emobench.audio.analysis import AnalysisConfig
from emobench.audio.spectra import semitone_bank

CONFIG = AnalysisConfig()
RATE = CONFIG.sample_rate

Watch = Callable[[str], AbstractContextManager[None]]


def load(path: Path) -> np.ndarray:
    """Load mono samples."""
    return librosa.load(path, sr=RATE, mono=True)[0]


def _spectrum(samples: np.ndarray, part: Any) -> np.ndarray:
    return np.abs(librosa.stft(samples, n_fft=part.n_fft, hop_length=part.hop))


def onsets(samples: np.ndarray) -> np.ndarray:
    """Compute the onset profile ``flux``."""
    config = CONFIG.beats
    power = _spectrum(samples, config) ** 2
    mel = np.sqrt(librosa.feature.melspectrogram(S=power, sr=RATE, n_fft=config.n_fft, n_mels=config.n_mels))
    compressed = np.log1p(config.compression * mel / mel.max())
    rise = np.maximum(compressed[:, config.lag :] - compressed[:, : -config.lag], 0)
    return np.concatenate([np.zeros(config.lag, rise.dtype), rise.mean(axis=0)])


def beats(samples: np.ndarray) -> np.ndarray:
    """Return the frames of the beats, at the hop of the onset profile."""
    config = CONFIG.beats
    _, found = librosa.beat.beat_track(
        onset_envelope=onsets(samples), sr=RATE, hop_length=config.hop, tightness=config.tightness
    )
    return np.asarray(found)


def timbre(samples: np.ndarray) -> np.ndarray:
    """Compute MFCC of the percussive part, shape (20, frames)."""
    config = CONFIG.timbre
    hits = librosa.decompose.hpss(_spectrum(samples, config), kernel_size=config.separation.kernel)[1]
    mel = librosa.feature.melspectrogram(S=hits**2, sr=RATE, n_fft=config.n_fft, n_mels=config.n_mels)
    return librosa.feature.mfcc(S=librosa.power_to_db(mel, top_db=config.top_db), n_mfcc=config.n_mfcc)


def pitch(samples: np.ndarray, bank: np.ndarray) -> np.ndarray:
    """Compute semitone bands of the harmonic part, shape (48, frames)."""
    config = CONFIG.pitch
    tones = librosa.decompose.hpss(_spectrum(samples, config), kernel_size=config.separation.kernel)[0]
    return bank.T @ tones


def whole_bank() -> np.ndarray:
    """Make the semitone bank for all bins, shape (2049, 48)."""
    config = CONFIG.pitch
    used = semitone_bank(RATE, config.n_fft, f_min=config.f_min, n_bands=config.n_bands, overlap=config.overlap)
    return np.vstack([used, np.zeros((config.n_fft // 2 + 1 - len(used), config.n_bands), used.dtype)])


def chain(path: Path, bank: np.ndarray, watch: Watch) -> None:
    """Compute everything from the file to the 2-d FFT."""
    with watch("decode"):
        samples = load(path)
    with watch("beats"):
        frames = beats(samples)
    with watch("timbre"):
        at = librosa.util.fix_frames(frames * CONFIG.beats.hop // CONFIG.timbre.hop)
        librosa.util.sync(timbre(samples), at.tolist())
    with watch("pitch"):
        at = librosa.util.fix_frames(frames * CONFIG.beats.hop // CONFIG.pitch.hop)
        segments = librosa.util.sync(pitch(samples, bank), at.tolist()).T
    with watch("2-d FFT"):
        for last in range(4, len(segments) + 1):
            np.abs(np.fft.fft2(segments[last - 4 : last].T))[: segments.shape[1] // 2]


def spectra(samples: np.ndarray) -> None:
    """Compute the three spectrograms of the chain."""
    for part in (CONFIG.beats, CONFIG.timbre, CONFIG.pitch):
        _spectrum(samples, part)


def baselines(samples: np.ndarray) -> None:
    """Compute the four standard features that need audio, each from the samples."""
    feature = librosa.feature
    feature.mfcc(y=samples, sr=RATE)
    feature.chroma_stft(y=samples, sr=RATE, tuning=0.0)
    feature.spectral_centroid(y=samples, sr=RATE)
    feature.spectral_rolloff(y=samples, sr=RATE)
    feature.spectral_flatness(y=samples)
    share = np.abs(librosa.stft(samples))
    share /= np.maximum(share.sum(axis=0), np.finfo(np.float32).tiny)
    np.linalg.norm(np.diff(share, axis=1), axis=0)
    feature.spectral_contrast(y=samples, sr=RATE)
