"""Spectra, filter banks, timbre, pitch, and means over segments and seconds, compared with librosa and formulas."""

from __future__ import annotations

import warnings

import librosa
import numpy as np
import pytest
import scipy.signal
from emobench.audio.analysis import mean_per_segment
from emobench.audio.beats import BeatConfig, onset_profile
from emobench.audio.pitch import PitchConfig, pitch_bands
from emobench.audio.seconds import mean_per_second
from emobench.audio.separation import SeparationConfig
from emobench.audio.spectra import frame_count, hann, magnitude, mel_bank, mel_power, semitone_bank, squared
from emobench.audio.timbre import TimbreConfig, percussion_timbre
from hypothesis import given, settings
from hypothesis import strategies as st

RATE = 22050


@pytest.fixture(scope="module")
def music() -> np.ndarray:
    """Three seconds of a fading chord, clicks, and a little noise."""
    rng = np.random.default_rng(0)
    time = np.arange(3 * RATE) / RATE
    sound = sum(np.sin(2 * np.pi * pitch * time) / (place + 2) for place, pitch in enumerate((110.0, 277.2, 659.3)))
    sound = sound * np.exp(-(time % 1.5)) + 0.003 * rng.normal(size=len(time))
    for start in np.arange(0.25, 3, 0.5):
        first = int(start * RATE)
        sound[first : first + 400] += rng.normal(size=400) * np.exp(-np.arange(400) / 80)
    return (0.3 * sound).astype(np.float32)


def _stft(samples: np.ndarray, n_fft: int, hop: int) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "n_fft=.* is too large", UserWarning)
        return np.abs(librosa.stft(samples, n_fft=n_fft, hop_length=hop)).T


# Spectra


@pytest.mark.parametrize(("n_fft", "hop"), [(512, 256), (2048, 64), (2048, 512), (4096, 512)])
def test_magnitude(music: np.ndarray, n_fft: int, hop: int) -> None:
    samples = music[:RATE]
    expected = _stft(samples, n_fft, hop)
    found = magnitude(samples, n_fft=n_fft, hop=hop)
    assert found.dtype == np.float32
    assert found.shape == expected.shape == (frame_count(len(samples), hop), n_fft // 2 + 1)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6 * expected.max())


@pytest.mark.parametrize("length", [1, 255, 256, 257, 511, 512, 513, 5000])
def test_magnitude_of_any_length(music: np.ndarray, length: int) -> None:
    expected = _stft(music[:length], 512, 256)
    found = magnitude(music[:length], n_fft=512, hop=256)
    assert found.shape == (1 + length // 256, 257)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_magnitude_of_nothing() -> None:
    np.testing.assert_array_equal(magnitude(np.zeros(0, np.float32), n_fft=512, hop=256), np.zeros((1, 257)))


def test_the_lowest_bins(music: np.ndarray) -> None:
    whole = magnitude(music, n_fft=4096, hop=512)
    np.testing.assert_array_equal(magnitude(music, n_fft=4096, hop=512, bins=340), whole[:, :340])


def test_squared_magnitudes() -> None:
    rng = np.random.default_rng(0)
    spectrum = (rng.normal(size=(7, 33)) + 1j * rng.normal(size=(7, 33))).astype(np.complex64)
    np.testing.assert_allclose(squared(spectrum), np.abs(spectrum.astype(np.complex128)) ** 2, rtol=3e-7)


def test_mel_bank() -> None:
    np.testing.assert_array_equal(mel_bank(RATE, 512, 40), librosa.filters.mel(sr=RATE, n_fft=512, n_mels=40).T)


@pytest.mark.parametrize(("n_fft", "n_mels"), [(512, 40), (1024, 128), (2048, 128), (512, 7), (256, 128)])
@pytest.mark.parametrize("frames", [0, 1, 100])
def test_mel_power_is_the_whole_product(n_fft: int, n_mels: int, frames: int) -> None:
    power = np.random.default_rng(0).exponential(size=(frames, n_fft // 2 + 1)).astype(np.float32)
    with warnings.catch_warnings():
        # 128 bands of 129 bins: some fall between two bins.
        warnings.filterwarnings("ignore", "Empty filters", UserWarning)
        bank = librosa.filters.mel(sr=RATE, n_fft=n_fft, n_mels=n_mels)
        found = mel_power(power, sample_rate=RATE, n_fft=n_fft, n_mels=n_mels)
    expected = power.astype(np.float64) @ bank.T.astype(np.float64)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    # Into the columns of a larger array, replacing its values.
    room = np.full((frames, n_mels + 9), np.nan, np.float32)
    mel_power(power, sample_rate=RATE, n_fft=n_fft, n_mels=n_mels, out=room[:, 4 : 4 + n_mels])
    np.testing.assert_array_equal(room[:, 4 : 4 + n_mels], found)
    assert np.isnan(room[:, :4]).all()
    assert np.isnan(room[:, 4 + n_mels :]).all()


# Semitones


@pytest.mark.parametrize(("n_fft", "rate"), [(4096, 22050), (2048, 22050), (8192, 44100)])
def test_semitone_bank_by_its_formula(n_fft: int, rate: int) -> None:
    found = semitone_bank(rate, n_fft, f_min=98.0, n_bands=48, overlap=0.5475)
    expected = np.zeros((n_fft // 2 + 1, 48))
    for band in range(48):
        centre = 98.0 * 2 ** (band / 12)
        width = 0.5475 * max(centre * (2 ** (1 / 12) - 1), rate / n_fft)
        for number in range(n_fft // 2 + 1):
            expected[number, band] = np.exp(-0.5 * ((number * rate / n_fft - centre) / width) ** 2)
        expected[:, band] /= np.sqrt(2 * (expected[:, band] ** 2).sum())
    np.testing.assert_allclose(found, expected[: len(found)], rtol=1e-5, atol=1e-9)
    # The omitted weights are negligible.
    assert expected[len(found) :].max() < 1e-8
    np.testing.assert_allclose((found.astype(np.float64) ** 2).sum(axis=0), 0.5, rtol=1e-5)


def test_bands_run_from_g2_to_f_sharp_6() -> None:
    bank = semitone_bank(RATE, 4096, f_min=98.0, n_bands=48, overlap=0.5475)
    peaks = bank.argmax(axis=0) * RATE / 4096
    # The paper's 1479.98 Hz is exactly F#6; from a G2 of exactly 98 Hz it is 1479.995.
    for band, frequency in ((0, 98.0), (26, 440.0), (47, 1479.98)):
        assert peaks[band] == pytest.approx(frequency, abs=0.5 * RATE / 4096)
    # About 340 of the 2049 bins matter.
    assert 250 < len(bank) < 400


def test_bands_above_half_the_rate() -> None:
    with pytest.raises(ValueError, match="half the sample rate"):
        semitone_bank(2000, 4096, f_min=98.0, n_bands=48, overlap=0.5475)


# Onsets


@pytest.mark.parametrize("lag", [1, 8])
def test_onset_profile_is_librosas_chain(music: np.ndarray, lag: int) -> None:
    power = np.abs(librosa.stft(music, n_fft=1024, hop_length=64)) ** 2
    mel = np.sqrt(librosa.feature.melspectrogram(S=power, sr=RATE, n_fft=1024, n_mels=128))
    level = np.log1p(3 * mel / mel.max())
    expected = np.pad(np.maximum(level[:, lag:] - level[:, :-lag], 0).mean(axis=0), (lag, 0))
    found = onset_profile(music, RATE, BeatConfig(lag=lag))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * expected.max())


# Percussion timbre


@pytest.mark.parametrize("kernel", [31, 9])
def test_timbre_is_librosas_chain(music: np.ndarray, kernel: int) -> None:
    magnitudes = np.abs(librosa.stft(music, n_fft=512, hop_length=256))
    hit = librosa.decompose.hpss(magnitudes, kernel_size=kernel)[1]
    mel = librosa.feature.melspectrogram(S=hit**2, sr=RATE, n_fft=512, n_mels=40)
    level = librosa.power_to_db(mel, top_db=80)
    expected = librosa.feature.mfcc(S=level, n_mfcc=20).T
    found = percussion_timbre(music, RATE, TimbreConfig(separation=SeparationConfig(kernel)))
    assert found.dtype == np.float32
    assert found.shape == expected.shape == (1 + len(music) // 256, 20)
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.ptp(expected))


def test_timbre_of_silence() -> None:
    found = percussion_timbre(np.zeros(RATE, np.float32), RATE, TimbreConfig())
    # 40 bands of -100 dB: the first coefficient of an orthonormal DCT is -100 sqrt(40), the others 0.
    np.testing.assert_allclose(found[:, 0], -100 * np.sqrt(40), rtol=1e-5)
    np.testing.assert_allclose(found[:, 1:], 0, atol=1e-3)


@pytest.mark.parametrize("length", [0, 1, 300, 4000])
def test_short_clips(length: int) -> None:
    samples = np.random.default_rng(0).normal(size=length).astype(np.float32)
    timbre, pitch = percussion_timbre(samples, RATE, TimbreConfig()), pitch_bands(samples, RATE, PitchConfig())
    assert timbre.shape == (1 + length // 256, 20)
    assert pitch.shape == (1 + length // 512, 48)
    assert np.isfinite(timbre).all()
    assert np.isfinite(pitch).all()


# Pitch


@pytest.mark.parametrize(("n_fft", "hop"), [(4096, 512), (1024, 256)])
def test_pitch_is_the_bank_on_the_harmonic_part_of_the_whole_spectrum(music: np.ndarray, n_fft: int, hop: int) -> None:
    # With the shorter window, the highest bands are within half a median filter of the end of the spectrum.
    kept = librosa.decompose.hpss(np.abs(librosa.stft(music, n_fft=n_fft, hop_length=hop)))[0]
    frequencies = np.arange(n_fft // 2 + 1) * RATE / n_fft
    expected = np.empty((kept.shape[1], 48))
    for band in range(48):
        centre = 98.0 * 2 ** (band / 12)
        width = 0.5475 * max(centre * (2 ** (1 / 12) - 1), RATE / n_fft)
        row = np.exp(-0.5 * ((frequencies - centre) / width) ** 2)
        expected[:, band] = row @ kept / np.sqrt(2 * (row**2).sum())
    found = pitch_bands(music, RATE, PitchConfig(n_fft=n_fft, hop=hop))
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=1e-5 * expected.max())


@pytest.mark.parametrize(("frequency", "band"), [(98.0, 0), (130.81, 5), (440.0, 26), (1479.98, 47)])
def test_a_tone_is_loudest_in_its_band(frequency: float, band: int) -> None:
    tone = np.sin(2 * np.pi * frequency * np.arange(2 * RATE) / RATE).astype(np.float32)
    found = pitch_bands(tone, RATE, PitchConfig())
    assert (found[10:-10].argmax(axis=1) == band).all()


# Means over segments


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 1000),
    frames=st.integers(1, 60),
    beats=st.lists(st.floats(0.0, 6.0), max_size=12).map(sorted),
)
def test_segments_by_loops(seed: int, frames: int, beats: list[float]) -> None:
    values = np.random.default_rng(seed).normal(size=(frames, 3)).astype(np.float32)
    found = mean_per_segment(values, np.array(beats), 10.0)
    assert found.shape == (len(beats), 3)
    assert found.dtype == np.float32
    start = 0
    for row, beat in zip(found, beats, strict=True):
        stop = min(int(np.floor(beat * 10.0 + 1e-6)), frames)
        first = min(start, frames - 1)
        own = values[first : max(stop, first + 1)]
        np.testing.assert_allclose(row, own.mean(axis=0), rtol=1e-5, atol=1e-6)
        start = stop


def test_segments_are_librosas_sync() -> None:
    values = np.random.default_rng(1).normal(size=(200, 20)).astype(np.float32)
    frames = np.array([7, 31, 32, 90, 180])
    expected = np.asarray(librosa.util.sync(values.T, frames.tolist())).T
    rate = RATE / 256
    # librosa has one more segment, after the last beat.
    assert len(expected) == 6
    np.testing.assert_allclose(mean_per_segment(values, frames / rate, rate), expected[:5], rtol=1e-5, atol=1e-6)


def test_segments_by_hand() -> None:
    values = np.arange(10, dtype=np.float32)[:, None]
    # One frame per second. A beat at 0, two beats in one frame, one after the end.
    found = mean_per_segment(values, np.array([0.0, 2.5, 2.9, 6.0, 50.0]), 1.0)[:, 0]
    assert found.tolist() == [0.0, 0.5, 2.0, 3.5, 7.5]


def test_the_first_segment_begins_with_the_clip() -> None:
    values = np.array([[1.0], [3.0], [100.0]], np.float32)
    assert mean_per_segment(values, np.array([2.0]), 1.0).tolist() == [[2.0]]


def test_a_beat_on_a_frame_closes_its_segment_before_it() -> None:
    # 0.29 * 100 is 28.999..: a beat on frame 29 closes its segment before that frame.
    values = np.arange(40, dtype=np.float32)[:, None]
    assert mean_per_segment(values, np.array([0.29]), 100.0)[0, 0] == np.mean(np.arange(29))


def test_no_beats() -> None:
    assert mean_per_segment(np.ones((5, 3), np.float32), np.zeros(0), 10.0).shape == (0, 3)


# Means over seconds


def _seconds_by_loops(values: np.ndarray, times: np.ndarray, last: int) -> np.ndarray:
    found: list[np.ndarray] = []
    for second in range(1, last + 1):
        own = [
            value
            for value, time in zip(values, times, strict=True)
            if (second - 1 < time <= second) or (second == 1 and time == 0)
        ]
        found.append(np.mean(own, axis=0) if own else found[-1] if found else values[0])
    return np.array(found)


@settings(max_examples=60, deadline=None)
@given(
    times=st.lists(st.integers(0, 100).map(lambda tenth: tenth / 10), min_size=1, max_size=20).map(sorted),
    last=st.integers(1, 12),
)
def test_seconds_by_loops(times: list[float], last: int) -> None:
    values = np.random.default_rng(len(times)).normal(size=(len(times), 2))
    found = mean_per_second(values, np.array(times), np.arange(1.0, last + 1))
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, _seconds_by_loops(values, np.array(times), last), rtol=1e-12)


def test_seconds_by_hand() -> None:
    values = np.array([[1.0], [2.0], [3.0], [4.0], [50.0]])
    times = np.array([0.0, 1.0, 1.5, 2.0, 4.001])
    # The first second has frames at 0 and 1.0, the second at 1.5 and 2.0, the third and fourth none.
    found = mean_per_second(values, times, np.arange(1.0, 6.0))
    assert found[:, 0].tolist() == [1.5, 3.5, 3.5, 3.5, 50.0]


def test_the_first_value_fills_a_leading_gap() -> None:
    found = mean_per_second(np.array([[7.0], [9.0]]), np.array([3.5, 3.7]), np.arange(1.0, 6.0))
    assert found[:, 0].tolist() == [7.0, 7.0, 7.0, 8.0, 8.0]


def test_frames_at_a_full_second_belong_to_it() -> None:
    # Frame k is at k * hop / rate; with 441 samples at 22050 Hz, every fiftieth is at a full second.
    times = np.arange(501) / (22050 / 441)
    values = np.arange(501.0)[:, None]
    found = mean_per_second(values, times, np.arange(1.0, 11.0))[:, 0]
    expected = [np.mean(np.arange(0, 51))] + [np.mean(np.arange(50 * s + 1, 50 * s + 51)) for s in range(1, 10)]
    np.testing.assert_allclose(found, expected)


def test_seconds_with_holes_between_them() -> None:
    values, times = np.array([[1.0], [2.0], [3.0]]), np.array([0.5, 2.5, 6.5])
    assert mean_per_second(values, times, np.array([1.0, 3.0, 7.0]))[:, 0].tolist() == [1.0, 2.0, 3.0]


def test_a_gap_takes_the_last_value_not_the_next() -> None:
    # Labels begin at second 5, with beats at 1 s and 5.5 s. At 5 s, the last value is the one from 1 s.
    found = mean_per_second(np.array([[1.0], [2.0]]), np.array([1.0, 5.5]), np.array([5.0, 6.0]))
    assert found[:, 0].tolist() == [1.0, 2.0]


def test_a_gap_takes_the_last_value_even_from_a_second_that_is_not_requested() -> None:
    found = mean_per_second(np.array([[1.0], [2.0]]), np.array([2.0, 4.0]), np.array([2.0, 5.0]))
    assert found[:, 0].tolist() == [1.0, 2.0]


def test_many_float32_values_lose_no_precision() -> None:
    values = np.full((200_000, 1), 0.1, np.float32)
    found = mean_per_second(values, np.linspace(0, 1, 200_000), np.array([1.0]))
    assert found[0, 0] == pytest.approx(float(np.float32(0.1)), rel=1e-9)


@pytest.mark.parametrize(("values", "times"), [(0, 0), (3, 2), (2, 3), (0, 1)])
def test_wrong_lengths(values: int, times: int) -> None:
    with pytest.raises(ValueError, match=f"{values} vectors for {times} times"):
        mean_per_second(np.zeros((values, 2)), np.arange(float(times)), np.array([1.0]))


@pytest.mark.parametrize("n_fft", [2, 255, 512, 1024, 2048, 4096, 8192])
def test_window_is_bitwise_that_of_scipy(n_fft: int) -> None:
    expected = np.asarray(scipy.signal.get_window("hann", n_fft), np.float32)
    np.testing.assert_array_equal(hann(n_fft), expected)
