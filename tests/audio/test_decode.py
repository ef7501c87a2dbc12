"""Decoding compared with librosa.load, parts of files, and unusable files."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import pytest
import soundfile
from emobench.audio.decode import decode, measure, probe, rms_db
from emobench.errors import AudioError

SUFFIXES = (".wav", ".flac", ".ogg", ".mp3")
RATES = (22050, 44100, 48000)


def _sound(rate: int, channels: int, *, seconds: float = 1.0) -> np.ndarray:
    """Make tones that differ between the channels and fade in, with a little noise."""
    time = np.arange(round(seconds * rate)) / rate
    noise = np.random.default_rng(0).normal(size=(len(time), channels))
    tones = [np.sin(2 * np.pi * 220 * (place + 1) * time) for place in range(channels)]
    return (0.3 * np.column_stack(tones) * time[:, None] + 0.01 * noise).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file of each kind: ``<rate>-<channels>.<kind>``."""
    made = tmp_path_factory.mktemp("audio")
    for rate in RATES:
        for channels in (1, 2):
            for suffix in SUFFIXES:
                soundfile.write(made / f"{rate}-{channels}{suffix}", _sound(rate, channels), rate)
    return made


def _librosa(path: Path, rate: int, offset: float = 0.0, duration: float | None = None) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return librosa.load(path, sr=rate, offset=offset, duration=duration)[0]


# Valid files


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", RATES)
def test_librosa(folder: Path, rate: int, channels: int, suffix: str) -> None:
    path = folder / f"{rate}-{channels}{suffix}"
    found, expected = decode(path), _librosa(path, 22050)
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_samples_of_a_lossless_file_at_its_own_rate(folder: Path) -> None:
    for suffix in (".wav", ".flac"):
        found = decode(folder / f"44100-2{suffix}", sample_rate=44100)
        # 16 bits a sample.
        np.testing.assert_allclose(found, _sound(44100, 2).mean(axis=1), atol=1.01 / 32768)


def test_channels_are_averaged(tmp_path: Path) -> None:
    path = tmp_path / "three.wav"
    soundfile.write(path, np.tile(np.array([0.9, 0.3, -0.6], np.float32), (100, 1)), 22050, subtype="FLOAT")
    np.testing.assert_allclose(decode(path), np.full(100, 0.2), rtol=1e-6)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_sample_formats(tmp_path: Path, subtype: str) -> None:
    path = tmp_path / "sound.wav"
    sound = _sound(22050, 1)
    soundfile.write(path, sound, 22050, subtype=subtype)
    np.testing.assert_allclose(decode(path), sound[:, 0], atol=1 / 100 if subtype == "PCM_U8" else 1e-6)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(("start", "duration"), [(0.25, None), (0.0, 0.5), (0.25, 0.5), (0.5, 5.0)])
def test_parts(folder: Path, suffix: str, start: float, duration: float | None) -> None:
    # Parts that are whole numbers of samples at this rate.
    path = folder / f"48000-2{suffix}"
    found = decode(path, start=start, duration=duration)
    expected = _librosa(path, 22050, start, duration)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=1e-4 if suffix == ".mp3" else 1e-6)
    if suffix == ".wav":
        assert len(found) == round((min(1.0, start + (duration or 9)) - start) * 22050)


def test_a_part_equals_a_slice_of_the_file(folder: Path) -> None:
    path = folder / "44100-1.flac"
    whole = decode(path, sample_rate=44100)
    np.testing.assert_array_equal(decode(path, sample_rate=44100, start=0.5, duration=0.25), whole[22050:33075])


@pytest.mark.parametrize("start", [1.0, 1.5, 1e6])
def test_a_part_after_the_end_is_empty(folder: Path, start: float) -> None:
    for suffix in (".wav", ".flac", ".ogg"):
        found = decode(folder / f"22050-1{suffix}", start=start)
        assert found.shape == (0,)
        assert found.dtype == np.float32


def test_a_duration_of_zero(folder: Path) -> None:
    assert decode(folder / "44100-2.wav", duration=0.0).shape == (0,)


def test_a_valid_file_without_samples(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "empty.wav", np.zeros(0, np.float32), 22050)
    assert decode(tmp_path / "empty.wav").shape == (0,)


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_other_rates(folder: Path, rate: int) -> None:
    path = folder / "22050-1.wav"
    np.testing.assert_allclose(decode(path, sample_rate=rate), _librosa(path, rate), atol=1e-6)


def test_resampling_keeps_the_tone(tmp_path: Path) -> None:
    path = tmp_path / "tone.wav"
    soundfile.write(path, np.sin(2 * np.pi * 1000 * np.arange(48000) / 48000), 48000, subtype="FLOAT")
    expected = np.sin(2 * np.pi * 1000 * np.arange(22050) / 22050)
    found = decode(path)
    assert len(found) == 22050
    np.testing.assert_allclose(found[500:-500], expected[500:-500], atol=1e-4)


def test_the_file_name_does_not_matter(folder: Path, tmp_path: Path) -> None:
    for suffix in SUFFIXES:
        path = tmp_path / f"{suffix[1:]}.bin"
        shutil.copy(folder / f"22050-1{suffix}", path)
        np.testing.assert_array_equal(decode(path), decode(folder / f"22050-1{suffix}"))


def test_difficult_file_names(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "Dvořák – «Rusalka» 100% #1?.flac"
    shutil.copy(folder / "22050-1.flac", path)
    assert len(decode(path)) == 22050


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(
    ("suffix", "codec"), [(".wav", "PCM_16"), (".flac", "PCM_16"), (".ogg", "VORBIS"), (".mp3", "MPEG_LAYER_III")]
)
def test_probe(folder: Path, rate: int, suffix: str, codec: str) -> None:
    info = probe(folder / f"{rate}-2{suffix}")
    assert (info.codec, info.sample_rate, info.channels) == (codec, rate, 2)
    assert info.duration == pytest.approx(1.0, abs=0.06 if suffix == ".mp3" else 1e-9)


def test_real_music(real_data: Path) -> None:
    found = 0
    for path in sorted((real_data / "audio").iterdir()):
        if path.suffix in (".ogg", ".mp3"):
            part, expected = decode(path, start=1.0, duration=1.0), _librosa(path, 22050, 1.0, 1.0)
            assert part.shape == expected.shape
            np.testing.assert_allclose(part, expected, atol=1e-4)
            assert rms_db(part) < 0
            found += 1
    assert found >= 8


# Invalid files


def _refused(path: Path, reason: str) -> None:
    with pytest.raises(AudioError) as caught:
        decode(path)
    assert caught.value.reason == reason
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing(tmp_path: Path) -> None:
    _refused(tmp_path / "nothing.mp3", "missing")
    _refused(tmp_path, "missing")
    with pytest.raises(AudioError, match="no such"):
        probe(tmp_path / "nothing.mp3")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    "content", [b"", b"This is a text about music, not music.\n" * 200, b"RIFF", bytes(10_000), b"<html>404</html>"]
)
def test_no_audio(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"song{suffix}"
    path.write_bytes(content)
    _refused(path, "undecodable")
    with pytest.raises(AudioError) as caught:
        probe(path)
    assert caught.value.reason == "undecodable"


def test_truncated_flac(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.flac"
    content = (folder / "44100-2.flac").read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(AudioError) as caught:
        decode(path)
    assert caught.value.reason in ("truncated", "undecodable")


def test_a_truncated_wav_is_only_shorter(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.wav"
    content = (folder / "44100-2.wav").read_bytes()
    path.write_bytes(content[: len(content) // 2])
    # libsndfile takes the length of a WAV from the file size, not from its header.
    assert len(decode(path)) == pytest.approx(len(decode(folder / "44100-2.wav")) / 2, abs=50)


def test_wav_cut_within_its_header(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.wav"
    path.write_bytes((folder / "44100-2.wav").read_bytes()[:30])
    _refused(path, "undecodable")


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("channels", [1, 2])
def test_samples_that_are_not_finite(tmp_path: Path, bad: float, channels: int) -> None:
    path = tmp_path / "bad.wav"
    sound = _sound(44100, channels)
    sound[1000, channels - 1] = bad
    soundfile.write(path, sound, 44100, subtype="FLOAT")
    _refused(path, "undecodable")
    # A part without them can be decoded.
    assert len(decode(path, start=0.5)) == 11025


def test_opposite_infinities_are_found(tmp_path: Path) -> None:
    path = tmp_path / "bad.wav"
    sound = _sound(22050, 2)
    sound[10] = [np.inf, -np.inf]
    soundfile.write(path, sound, 22050, subtype="FLOAT")
    with pytest.raises(AudioError):
        decode(path)


@pytest.mark.parametrize(
    "part",
    [
        {"start": -0.5},
        {"duration": -1.0},
        {"start": float("nan")},
    ],
)
def test_invalid_parts(folder: Path, part: dict[str, Any]) -> None:
    with pytest.raises((AudioError, ValueError)):
        decode(folder / "22050-1.wav", **part)


@pytest.mark.parametrize("rate", [0, -22050])
def test_invalid_rates(folder: Path, rate: int) -> None:
    with pytest.raises((AudioError, ValueError)):
        decode(folder / "22050-1.wav", sample_rate=rate)


# Level


def test_level() -> None:
    time = np.arange(22050) / 22050
    assert rms_db(np.sin(2 * np.pi * 100 * time).astype(np.float32)) == pytest.approx(-3.0103, abs=1e-3)
    assert rms_db(np.full(10, 0.1, np.float32)) == pytest.approx(-20, abs=1e-5)
    assert rms_db(np.ones(5, np.float32)) == 0
    assert rms_db(np.full(10, 1e-30, np.float32)) == pytest.approx(-600, abs=1e-3)


@pytest.mark.parametrize("count", [0, 100])
def test_level_of_silence(count: int) -> None:
    assert rms_db(np.zeros(count, np.float32)) == -np.inf


def test_mpeg_audio_whose_length_libsndfile_guesses(tmp_path: Path) -> None:
    # Without an Info frame the guess is longer than the music.
    path = tmp_path / "a.mp3"
    samples = np.random.default_rng(0).normal(0, 0.1, 31 * 44_100).astype(np.float32)
    options = {"bitrate_mode": "CONSTANT", "compression_level": 0.95}
    soundfile.write(path, samples, 44_100, format="MP3", subtype="MPEG_LAYER_III", **options)
    assert soundfile.info(path).frames > 1188 * 1152
    assert len(decode(path, sample_rate=44_100)) == 1188 * 1152
    assert measure(path) == 1188 * 1152 / 44_100
