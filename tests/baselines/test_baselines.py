"""Standard features compared with librosa and by hand; Echo Nest timbre from generated and real files."""

from __future__ import annotations

from pathlib import Path

import h5py
import librosa
import numpy as np
import pytest
from emobench.audio.contrast import band_edges
from emobench.baselines.chroma import chroma, chroma_bank
from emobench.baselines.ent import Segments, read_segments, timbre_per_second
from emobench.baselines.frames import FrameConfig
from emobench.baselines.mfcc import mfcc
from emobench.baselines.spectral_contrast import spectral_contrast
from emobench.baselines.spectral_shape import spectral_shape
from emobench.errors import InputError

RATE = 22050
CONFIG = FrameConfig()
FAMILIES = {
    "mfcc": (mfcc, 20),
    "chroma": (chroma, 12),
    "shape": (spectral_shape, 4),
    "contrast": (spectral_contrast, 14),
}


@pytest.fixture(scope="module")
def music() -> np.ndarray:
    """Three seconds of chords with overtones, drum hits, noise, a fade and a pause."""
    rng = np.random.default_rng(0)
    time = np.arange(3 * RATE) / RATE
    sound = np.zeros(len(time))
    for bar, root in enumerate((220.0, 174.6, 261.6)):
        inside = (time >= bar) & (time < bar + 1)
        for interval in (1, 5 / 4, 3 / 2):
            for overtone in range(1, 9):
                sound[inside] += np.sin(2 * np.pi * root * interval * overtone * time[inside]) / overtone**1.5
    sound *= np.exp(-1.5 * (time % 0.5))
    for start in np.arange(0, 3, 0.25):
        first = int(start * RATE)
        sound[first : first + 900] += 2 * rng.normal(size=900) * np.exp(-np.arange(900) / 150)
    sound += 0.01 * rng.normal(size=len(time))
    sound[int(2.9 * RATE) :] = 0
    return (0.1 * sound).astype(np.float32)


@pytest.fixture(scope="module")
def magnitudes(music: np.ndarray) -> np.ndarray:
    """Magnitudes computed by librosa, shape (bins, frames)."""
    return np.abs(librosa.stft(music))


@pytest.fixture(scope="module")
def spectrum(music: np.ndarray) -> np.ndarray:
    return CONFIG.spectrum(music)


def _close(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.ptp(expected))


# Compared with librosa


def test_spectrum(spectrum: np.ndarray, magnitudes: np.ndarray) -> None:
    _close(spectrum, magnitudes.T)


def test_mfcc(music: np.ndarray, spectrum: np.ndarray) -> None:
    _close(mfcc(spectrum, CONFIG), librosa.feature.mfcc(y=music, sr=RATE).T)


def test_chroma(spectrum: np.ndarray, magnitudes: np.ndarray) -> None:
    found = chroma(spectrum, CONFIG)
    _close(found, librosa.feature.chroma_stft(S=magnitudes**2, sr=RATE, tuning=0.0).T)
    loudest = found.max(axis=1)
    np.testing.assert_allclose(loudest[spectrum.any(axis=1)], 1, rtol=1e-6)


@pytest.mark.parametrize(("frequency", "place"), [(440.0, 9), (261.63, 0), (1479.98, 6), (880.0, 9)])
def test_chroma_of_a_tone(frequency: float, place: int) -> None:
    tone = np.sin(2 * np.pi * frequency * np.arange(RATE) / RATE).astype(np.float32)
    assert (chroma(CONFIG.spectrum(tone), CONFIG)[5:-5].argmax(axis=1) == place).all()


def test_centroid(spectrum: np.ndarray, magnitudes: np.ndarray) -> None:
    _close(spectral_shape(spectrum, CONFIG)[:, 0], librosa.feature.spectral_centroid(S=magnitudes, sr=RATE)[0])


def test_rolloff(spectrum: np.ndarray, magnitudes: np.ndarray) -> None:
    found = spectral_shape(spectrum, CONFIG)[:, 2]
    expected = librosa.feature.spectral_rolloff(S=magnitudes, sr=RATE)[0]
    # The centre of a bin; rounding may decide between two neighbours.
    assert np.abs(found - expected).max() <= 1.01 * RATE / 2048
    assert (np.abs(found - expected) < 0.01).mean() > 0.97


def test_flatness(spectrum: np.ndarray, magnitudes: np.ndarray) -> None:
    _close(spectral_shape(spectrum, CONFIG)[:, 3], librosa.feature.spectral_flatness(S=magnitudes)[0])


def test_contrast(spectrum: np.ndarray, magnitudes: np.ndarray) -> None:
    found = spectral_contrast(spectrum, CONFIG)
    expected = librosa.feature.spectral_contrast(S=magnitudes, sr=RATE).T
    # librosa limits peaks and valleys to 80 dB below the maximum; louder frames are not affected.
    heard = found[:, 7:].min(axis=1) > found[:, 7:].max() - 79
    assert heard.mean() > 0.8
    assert found.shape == (len(expected), 14)
    _close(found[heard, :7], expected[heard])


# By hand


def test_shape_of_a_small_spectrum() -> None:
    config = FrameConfig(sample_rate=80, n_fft=8)
    frames = np.array([[1, 1, 1, 1, 0], [0, 0, 0, 0, 2], [1, 0, 0, 0, 1]], np.float32)
    found = spectral_shape(frames, config)
    # Bins are at 0, 10, 20, 30 and 40 Hz.
    np.testing.assert_allclose(found[:, 0], [15, 40, 20], rtol=1e-6)
    # Shares: a quarter each; all in the last bin; half at each end.
    np.testing.assert_allclose(found[:, 1], [0, np.sqrt(4 / 16 + 1), np.sqrt(1 / 4 + 1 / 4)], rtol=1e-6)
    # 85 % of 4, 2 and 2 are reached at the fourth, last and last bin.
    np.testing.assert_allclose(found[:, 2], [30, 40, 40], rtol=1e-6)
    np.testing.assert_allclose(found[0, 3], (1e-10) ** (1 / 5) / (4 / 5), rtol=1e-4)


def test_flux_by_loops(spectrum: np.ndarray) -> None:
    found = spectral_shape(spectrum, CONFIG)[:, 1]
    shares = [frame / frame.sum() if frame.sum() > 0 else frame for frame in spectrum.astype(np.float64)]
    expected = [0.0] + [np.sqrt(sum((a - b) ** 2)) for a, b in zip(shares[1:], shares[:-1], strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_flux_does_not_depend_on_loudness(spectrum: np.ndarray) -> None:
    louder = spectrum * np.float32(7)
    found, expected = (spectral_shape(part, CONFIG)[:, 1] for part in (louder, spectrum))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_contrast_by_loops(spectrum: np.ndarray) -> None:
    edges = band_edges(CONFIG.frequencies)
    found = spectral_contrast(spectrum[:40], CONFIG)
    for frame, row in zip(spectrum[:40].astype(np.float64), found, strict=True):
        for band, (first, last, count) in enumerate(edges):
            ordered = np.sort(frame[first:last])
            valley, peak = (10 * np.log10(max(part.mean(), 1e-10)) for part in (ordered[:count], ordered[-count:]))
            assert row[band] == pytest.approx(peak - valley, abs=1e-3)
            assert row[7 + band] == pytest.approx(valley, abs=1e-3)


def test_contrast_bands_are_octaves() -> None:
    width = RATE / 2048
    edges = band_edges(CONFIG.frequencies)
    assert edges[0][0] == 0
    assert edges[-1][1] == 1025
    for band, (first, last, count) in enumerate(edges):
        low, high = (0, 200) if band == 0 else (200 * 2 ** (band - 1), 200 * 2**band)
        assert first * width == pytest.approx(low, abs=1.5 * width)
        if band < 6:
            assert last * width == pytest.approx(high, abs=1.5 * width)
        assert count >= 1
        assert abs(count - 0.02 * (last - first)) <= 1


# Silence and short clips


@pytest.mark.parametrize("name", sorted(FAMILIES))
@pytest.mark.parametrize("length", [0, 1, 2000, RATE])
def test_silence(name: str, length: int) -> None:
    family, dims = FAMILIES[name]
    found = family(CONFIG.spectrum(np.zeros(length, np.float32)), CONFIG)
    assert found.shape == (1 + length // 512, dims)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()


@pytest.mark.parametrize("name", sorted(FAMILIES))
@pytest.mark.parametrize("level", [1e-30, 1e-12, 1e6])
def test_very_quiet_and_very_loud(music: np.ndarray, name: str, level: float) -> None:
    found = FAMILIES[name][0](CONFIG.spectrum(music[:RATE] * np.float32(level)), CONFIG)
    assert np.isfinite(found).all()


def test_definition_of_silence() -> None:
    quiet = CONFIG.spectrum(np.zeros(RATE, np.float32))
    assert not chroma(quiet, CONFIG).any()
    np.testing.assert_allclose(spectral_shape(quiet, CONFIG), np.tile([0, 0, 0, 1], (len(quiet), 1)), atol=1e-5)
    np.testing.assert_allclose(spectral_contrast(quiet, CONFIG)[:, :7], 0, atol=1e-5)
    np.testing.assert_allclose(spectral_contrast(quiet, CONFIG)[:, 7:], -100, atol=1e-3)
    np.testing.assert_allclose(mfcc(quiet, CONFIG)[:, 0], -100 * np.sqrt(128), rtol=1e-5)


def test_a_silent_frame_among_others(music: np.ndarray) -> None:
    gap = music.copy()
    gap[RATE : 2 * RATE] = 0
    for name, (family, _) in FAMILIES.items():
        assert np.isfinite(family(CONFIG.spectrum(gap), CONFIG)).all(), name


def test_frames() -> None:
    assert (CONFIG.rate, CONFIG.frequencies[-1]) == (RATE / 512, RATE / 2)
    np.testing.assert_allclose(CONFIG.frequencies, librosa.fft_frequencies(sr=RATE, n_fft=2048))


# Echo Nest timbre


def _msd(path: Path, starts: object, timbre: object) -> Path:
    with h5py.File(path, "w") as stored:
        group = stored.create_group("analysis")
        group["segments_start"] = starts
        group["segments_timbre"] = timbre
    return path


def _timbre(count: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, 12))


def test_segments_are_read(tmp_path: Path) -> None:
    starts, timbre = np.array([0.0, 0.4, 1.7]), _timbre(3)
    found = read_segments(_msd(tmp_path / "song.h5", starts, timbre))
    np.testing.assert_array_equal(found.starts, starts)
    np.testing.assert_array_equal(found.timbre, timbre)
    assert (found.track_id, found.duration) == (None, None)


def test_segments_are_weighted_by_their_share_of_the_second() -> None:
    starts = np.array([0.0, 0.25, 1.0, 1.9, 2.1])
    timbre = _timbre(5)
    found = timbre_per_second(Segments(starts, timbre), offset=0.0, seconds=np.array([1.0, 2.0, 3.0, 9.0]))
    np.testing.assert_allclose(found[0], 0.25 * timbre[0] + 0.75 * timbre[1])
    np.testing.assert_allclose(found[1], 0.9 * timbre[2] + 0.1 * timbre[3])
    np.testing.assert_allclose(found[2], 0.1 * timbre[3] + 0.9 * timbre[4])
    # The last segment continues to the end.
    np.testing.assert_allclose(found[3], timbre[4])


def test_a_clip_that_starts_within_its_song() -> None:
    starts = np.array([0.0, 30.0, 30.5, 31.25])
    timbre = _timbre(4)
    found = timbre_per_second(Segments(starts, timbre), offset=29.5, seconds=np.array([1.0, 2.0]))
    np.testing.assert_allclose(found[0], 0.5 * timbre[0] + 0.5 * timbre[1])
    np.testing.assert_allclose(found[1], 0.75 * timbre[2] + 0.25 * timbre[3])


def test_the_first_segment_extends_to_the_start() -> None:
    timbre = _timbre(2)
    found = timbre_per_second(Segments(np.array([1.4, 1.8]), timbre), offset=0.0, seconds=np.array([1.0, 2.0]))
    np.testing.assert_allclose(found[0], timbre[0])
    np.testing.assert_allclose(found[1], 0.8 * timbre[0] + 0.2 * timbre[1])


def test_seconds_against_fine_steps() -> None:
    rng = np.random.default_rng(1)
    starts = np.sort(rng.uniform(0, 20, 60))
    timbre = _timbre(60)
    seconds = np.arange(1.0, 13.0)
    found = timbre_per_second(Segments(starts, timbre), offset=3.3, seconds=seconds)
    for second, row in zip(seconds, found, strict=True):
        moments = 3.3 + second - 1 + (np.arange(20_000) + 0.5) / 20_000
        owner = np.maximum(np.searchsorted(starts, moments, side="right") - 1, 0)
        np.testing.assert_allclose(row, timbre[owner].mean(axis=0), atol=5e-3)


def _refused(path: Path, *parts: str) -> None:
    with pytest.raises(InputError) as caught:
        read_segments(path)
    message = str(caught.value)
    for part in (str(path), *parts):
        assert part in message, message
    assert "\n" not in message


def test_missing_analysis(tmp_path: Path) -> None:
    _refused(tmp_path / "nothing.h5", "no such Echo Nest analysis file")
    _refused(tmp_path, "no such Echo Nest analysis file")


@pytest.mark.parametrize("content", [b"", b"no HDF5 at all", b"\x89HDF\r\n\x1a\n" + bytes(200)])
def test_a_file_that_is_not_hdf5(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "song.h5"
    path.write_bytes(content)
    _refused(path, "segments_start", "segments_timbre")


def test_truncated_analysis(tmp_path: Path) -> None:
    path = _msd(tmp_path / "song.h5", np.arange(500.0), _timbre(500))
    path.write_bytes(path.read_bytes()[:3000])
    _refused(path, "expected an MSD track file")


@pytest.mark.parametrize("lacking", ["segments_start", "segments_timbre", "all"])
def test_analysis_without_segments(tmp_path: Path, lacking: str) -> None:
    path = _msd(tmp_path / "song.h5", np.arange(3.0), _timbre(3))
    with h5py.File(path, "a") as stored:
        del stored["analysis" if lacking == "all" else f"analysis/{lacking}"]
    _refused(path, "expected an MSD track file")


@pytest.mark.parametrize(
    ("starts", "timbre"),
    [
        (np.arange(3.0), _timbre(4)),
        (np.arange(3.0), _timbre(3)[:, :11]),
        (np.arange(12.0), _timbre(12)[0]),
        (np.zeros((3, 1)), _timbre(3)),
        (np.zeros(0), np.zeros((0, 12))),
        (1.0, _timbre(1)),
    ],
)
def test_wrong_shapes(tmp_path: Path, starts: object, timbre: object) -> None:
    _refused(_msd(tmp_path / "song.h5", starts, timbre), "expected (n,) and (n, 12)")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_segments_that_are_not_finite(tmp_path: Path, bad: float) -> None:
    starts, timbre = np.arange(3.0), _timbre(3)
    timbre[1, 5] = bad
    _refused(_msd(tmp_path / "timbre.h5", starts, timbre), "not finite")
    starts[2] = bad
    _refused(_msd(tmp_path / "starts.h5", starts, _timbre(3)), "not finite")


def test_segments_of_text(tmp_path: Path) -> None:
    _refused(_msd(tmp_path / "song.h5", [b"a", b"b", b"c"], _timbre(3)), "expected an MSD track file")


def test_a_group_in_place_of_an_array(tmp_path: Path) -> None:
    path = tmp_path / "song.h5"
    with h5py.File(path, "w") as stored:
        stored.create_group("analysis/segments_start")
        stored["analysis/segments_timbre"] = _timbre(3)
    _refused(path)


@pytest.mark.parametrize("starts", [[0.0, 2.0, 1.0], [3.0, 2.0, 1.0]])
def test_segments_that_are_not_in_order(tmp_path: Path, starts: list[float]) -> None:
    _refused(_msd(tmp_path / "song.h5", starts, _timbre(3)), "segments_start")


def test_real_analyses(real_data: Path) -> None:
    folder = real_data / "msd" / "h5"
    if not folder.is_dir():
        pytest.skip("no real MSD track files here")
    paths = sorted(path for path in folder.glob("*.h5") if path.name != "TRAAAAW128F429D538.h5")
    assert len(paths) == 40
    for path in paths:
        found = read_segments(path)
        starts, timbre = found.starts, found.timbre
        assert found.track_id == path.stem
        assert found.duration is not None and starts[-1] < found.duration < starts[-1] + 20
        assert timbre.shape == (len(starts), 12)
        assert (np.diff(starts) > 0).all()
        # The first coefficient is the loudness, of up to 60 dB.
        assert 0 <= timbre[:, 0].min() <= timbre[:, 0].max() < 65
        seconds = timbre_per_second(found, offset=10.0, seconds=np.arange(1.0, 16.0))
        assert np.isfinite(seconds).all()
        assert (seconds >= timbre.min(axis=0) - 1e-9).all()
        assert (seconds <= timbre.max(axis=0) + 1e-9).all()


def test_the_damaged_real_analysis(real_data: Path) -> None:
    path = real_data / "msd" / "h5" / "TRAAAAW128F429D538.h5"
    if not path.is_file():
        pytest.skip("no real MSD track files here")
    _refused(path, "expected")


@pytest.mark.parametrize(("rate", "n_fft"), [(22050, 2048), (44100, 4096), (16000, 1024)])
def test_chroma_bank_is_librosas(rate: int, n_fft: int) -> None:
    expected = librosa.filters.chroma(sr=rate, n_fft=n_fft).T
    np.testing.assert_allclose(chroma_bank(rate, n_fft), expected, atol=1e-6)
