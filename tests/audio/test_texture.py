"""Texture beside librosa's separation, and how it depends on the level of the music."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
from emobench.audio import analysis, texture
from emobench.audio.analysis import TEXTURE, AnalysisConfig, analyse, analyse_file

RATE = 22050
CONFIG = AnalysisConfig()
BEATS = [1.0, 2.0, 3.0]
HARMONIC, PERCUSSIVE, SEMITONES = slice(0, 40), slice(40, 80), slice(80, 128)
VALLEYS, DIFFERENCES = slice(128, 135), slice(135, 142)


@pytest.fixture(scope="module")
def music() -> np.ndarray:
    """Three seconds of a chord with clicks and noise; no band is below the floor."""
    rng = np.random.default_rng(0)
    seconds = np.arange(3 * RATE) / RATE
    chord = sum(np.sin(2 * np.pi * hertz * seconds) for hertz in (220.0, 277.2, 329.6, 1108.7))
    clicks = np.zeros(len(seconds))
    clicks[:: RATE // 4] = 20.0
    return (0.05 * (chord + clicks) + 0.02 * rng.normal(size=len(seconds))).astype(np.float32)


def _texture(samples: np.ndarray) -> np.ndarray:
    return analyse(samples, CONFIG, BEATS).texture


def test_mel_bands_are_those_of_the_separation_of_librosa(music: np.ndarray) -> None:
    spectrum = np.abs(librosa.stft(music, n_fft=512, hop_length=256, pad_mode="constant"))
    bank = librosa.filters.mel(sr=RATE, n_fft=512, n_mels=40)
    found = _texture(music)
    for part, columns in zip(librosa.decompose.hpss(spectrum), (HARMONIC, PERCUSSIVE), strict=True):
        levels = 10 * np.log10(np.maximum(bank @ part**2, 1e-8))
        bounds = [0, *(int(beat * RATE / 256) for beat in BEATS)]
        expected = [levels[:, low:high].mean(axis=1) for low, high in pairwise(bounds)]
        np.testing.assert_allclose(found[:, columns], expected, atol=0.02)


def test_twice_the_amplitude_adds_6_decibels(music: np.ndarray) -> None:
    added = _texture(2 * music) - _texture(music)
    six = 20 * np.log10(2)
    for columns in (HARMONIC, PERCUSSIVE, SEMITONES):
        np.testing.assert_allclose(added[:, columns], six, atol=1e-3)
    # Contrast is in decibels of magnitudes, as the standard feature.
    np.testing.assert_allclose(added[:, VALLEYS], six / 2, atol=1e-3)
    np.testing.assert_allclose(added[:, DIFFERENCES], 0, atol=1e-3)
    assert texture.DIFFERENCES == 7


def test_the_ratio_of_tones_to_clicks_is_kept() -> None:
    seconds = np.arange(3 * RATE) / RATE
    tone = np.sin(2 * np.pi * 440 * seconds).astype(np.float32)
    clicks = np.zeros_like(tone)
    clicks[:: RATE // 4] = 1.0
    difference = [_texture(each)[:, HARMONIC] - _texture(each)[:, PERCUSSIVE] for each in (tone, clicks)]
    band = int(np.argmax(_texture(tone)[1, HARMONIC]))
    assert difference[0][1, band] > 20
    assert (difference[1].mean(axis=1) < -3).all()


def test_silence_is_at_the_floor_and_finite() -> None:
    found = _texture(np.zeros(3 * RATE, np.float32))
    np.testing.assert_allclose(found[:, :128], TEXTURE.floor_db, atol=1e-3)
    np.testing.assert_allclose(found[:, VALLEYS], TEXTURE.floor_db / 2, atol=1e-3)
    np.testing.assert_array_equal(found[:, DIFFERENCES], 0)
    assert found.shape == (3, CONFIG.widths["texture"])


def test_an_entry_of_the_cache_without_texture_is_completed(
    music: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMOBENCH_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "music.wav"
    soundfile.write(path, music, RATE, subtype="FLOAT")

    def read() -> analysis.Analysis:
        return analyse_file(path, start=0.0, duration=None, config=CONFIG, beats=BEATS)

    first = read()
    (entry,) = (tmp_path / "cache").rglob("*.npz")
    with np.load(entry) as stored:
        old = {name: part for name, part in stored.items() if not name.startswith("texture")}
    np.savez(entry, **old)
    second = read()
    for name in ("beats", "rhythm", "pitch", "texture"):
        np.testing.assert_array_equal(getattr(second, name), getattr(first, name))
    with np.load(entry) as stored:
        assert set(stored.files) == {*old, f"texture{texture.REVISION}"}
    # A complete entry is read, not computed again.
    monkeypatch.setattr(analysis, "analyse", None)
    np.testing.assert_array_equal(read().texture, first.texture)
