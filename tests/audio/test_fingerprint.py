"""Versions of one recording are recognised, and different recordings are not confused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from emobench.audio.decode import decode
from emobench.audio.fingerprint import SAME, SAMPLE_RATE, Match, fingerprint, same_recordings

RNG = np.random.default_rng


def _piece(seed: int, seconds: float = 8.0) -> np.ndarray:
    """Make notes of random pitch and length over bursts of noise."""
    generator = RNG(seed)
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    sound = np.zeros(len(time))
    start = 0.0
    while start < seconds:
        length = generator.uniform(0.15, 0.5)
        here = (time >= start) & (time < start + length)
        for _ in range(3):
            pitch = 110 * 2 ** (generator.integers(0, 36) / 12)
            for overtone in (1, 2, 3):
                sound[here] += np.sin(2 * np.pi * pitch * overtone * time[here]) / overtone
        sound[here] *= np.exp(-3 * (time[here] - start))
        start += length
    return (0.2 * sound + 0.005 * generator.normal(size=len(time))).astype(np.float32)


def _matches(*sounds: np.ndarray) -> list[Match]:
    return same_recordings([fingerprint(np.asarray(sound, np.float32)) for sound in sounds])


def _same(*sounds: np.ndarray) -> list[tuple[int, int]]:
    return [(match.one, match.other) for match in _matches(*sounds)]


def test_shape_and_level() -> None:
    sound = _piece(0)
    print_ = fingerprint(sound)
    assert print_.shape[1] == 24
    assert len(print_) == pytest.approx(8 * 40, abs=2)
    # A level is a constant in decibels.
    assert fingerprint(np.float32(0.25) * sound) == pytest.approx(print_, abs=4e-3)  # stored in half precision
    assert not fingerprint(np.zeros(SAMPLE_RATE * 4, np.float32)).any()


def test_versions_of_one_recording(tmp_path: Path) -> None:
    sound = _piece(1)
    soundfile.write(
        tmp_path / "a.mp3", sound, SAMPLE_RATE, format="MP3", bitrate_mode="CONSTANT", compression_level=0.9
    )
    soundfile.write(tmp_path / "a.ogg", sound, SAMPLE_RATE, format="OGG", compression_level=0.9)
    versions = [decode(tmp_path / name, sample_rate=SAMPLE_RATE) for name in ("a.mp3", "a.ogg")]
    late = sound[round(0.7 * SAMPLE_RATE) :]
    spectrum = np.fft.rfft(sound)
    spectrum *= np.linspace(2, 0.5, len(spectrum))
    for version in (*versions, late, 0.1 * sound, np.fft.irfft(spectrum, len(sound)), sound[: len(sound) // 2]):
        assert _same(sound, version) == [(0, 1)]


def test_other_recordings() -> None:
    sounds = [_piece(seed) for seed in range(8)]
    assert _same(*sounds) == []
    assert _same(np.zeros(SAMPLE_RATE * 4), np.zeros(SAMPLE_RATE * 4)) == []


def test_excerpts() -> None:
    song, other = _piece(0, 40), _piece(1, 40)
    excerpt = song[round(11.3 * SAMPLE_RATE) : round(26.3 * SAMPLE_RATE)]
    shifted = song[round(33 * SAMPLE_RATE) :]
    (match,) = _matches(other, excerpt, song)
    assert (match.one, match.other) == (1, 2)
    assert match.offset == pytest.approx(-11.3, abs=0.05)
    assert match.overlap == pytest.approx(15, abs=0.1)
    # Eight seconds that only the song has; two excerpts without a common second are not the same.
    assert _same(song, shifted) == [(0, 1)]
    assert _same(excerpt, shifted) == []
    # Excerpts that share 6 of 15 seconds, and 2 of them.
    parts = [song[round(start * SAMPLE_RATE) :][: 15 * SAMPLE_RATE] for start in (2, 11, 24)]
    assert _same(*parts) == [(0, 1)]


def test_similarity_is_a_correlation() -> None:
    # Two fingerprints without a shift, computed with numpy.
    one, other = (RNG(seed).normal(size=(300, 24)).astype(np.float32) for seed in (0, 1))
    mixed = np.asarray(one + 0.2 * other, np.float32)
    expected = np.sum(one * mixed) / np.sqrt(np.sum(one**2) * np.sum(mixed**2))
    assert expected > SAME
    assert [match.similarity for match in same_recordings([one, mixed])] == [pytest.approx(expected, abs=1e-4)]
    loud = np.asarray(one + 0.7 * other, np.float32)
    assert np.sum(one * loud) / np.sqrt(np.sum(one**2) * np.sum(loud**2)) < SAME
    assert same_recordings([one, loud]) == []


def test_real_music(real_data: Path) -> None:
    pieces = sorted(path for path in (real_data / "audio").iterdir() if path.suffix in (".ogg", ".mp3"))
    sounds = [decode(path, sample_rate=SAMPLE_RATE, duration=15) for path in pieces]
    assert _same(*sounds) == []
    shifted = decode(pieces[0], sample_rate=SAMPLE_RATE, start=0.5, duration=15)
    assert _same(sounds[0], shifted) == [(0, 1)]
