"""Standard features of real music agree with librosa's to 1e-4 of the range."""

from __future__ import annotations

from pathlib import Path

import librosa
import numpy as np
from emobench.audio.decode import decode
from emobench.baselines.chroma import chroma
from emobench.baselines.frames import FrameConfig
from emobench.baselines.mfcc import mfcc
from emobench.baselines.spectral_contrast import spectral_contrast
from emobench.baselines.spectral_shape import spectral_shape

RATE = 22050
CONFIG = FrameConfig()


def _close(found: np.ndarray, expected: np.ndarray, name: str) -> None:
    assert found.shape == expected.shape, name
    assert np.abs(found - expected).max() <= 1e-4 * np.ptp(expected), name


def test_all_pieces(real_data: Path) -> None:
    feature = librosa.feature
    paths = sorted(path for path in (real_data / "audio").iterdir() if path.suffix in (".ogg", ".mp3"))
    assert len(paths) == 9
    for path in paths:
        samples = decode(path, duration=45.0)
        spectrum = CONFIG.spectrum(samples)
        _close(mfcc(spectrum, CONFIG), feature.mfcc(y=samples, sr=RATE).T, path.name)
        _close(chroma(spectrum, CONFIG), feature.chroma_stft(y=samples, sr=RATE, tuning=0.0).T, path.name)
        shape = spectral_shape(spectrum, CONFIG)
        _close(shape[:, 0], feature.spectral_centroid(y=samples, sr=RATE)[0], path.name)
        _close(shape[:, 3], feature.spectral_flatness(y=samples)[0], path.name)
        # The centre of a bin; rounding may decide between two neighbours.
        apart = np.abs(shape[:, 2] - feature.spectral_rolloff(y=samples, sr=RATE)[0])
        assert apart.max() <= 1.01 * RATE / 2048
        assert (apart > 0.01).mean() < 0.005
        # From the same spectrum: the deepest valleys consist of rounding errors of the transform.
        assert np.abs(spectrum - np.abs(librosa.stft(samples)).T).max() <= 1e-6 * spectrum.max()
        contrast = spectral_contrast(spectrum, CONFIG)
        expected = feature.spectral_contrast(S=spectrum.T, sr=RATE).T
        # librosa limits peaks and valleys to 80 dB below the maximum; louder frames are not affected.
        heard = contrast[:, 7:].min(axis=1) > contrast[:, 7:].max() - 79
        assert heard.mean() > 0.75
        _close(contrast[heard, :7], expected[heard], path.name)
