"""Separation compared with librosa's, and on spectra whose parts are known."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
from emobench.audio.separation import SeparationConfig, harmonic, percussive

SETTINGS = [(31, 2.0), (17, 2.0), (9, 4.0), (9, 1.0), (31, 1.5)]


@pytest.fixture(scope="module")
def spectrum() -> np.ndarray:
    """Ridges along time, ridges along frequency, noise and silence, shape (frames, bins)."""
    rng = np.random.default_rng(0)
    values = 0.05 * rng.exponential(size=(120, 90))
    values[:, 20] += 1
    values[:, 55:57] += 3
    values[40] += 2
    values[77:79] += 0.5
    values[95:, :] = 0
    return values.astype(np.float32)


def _librosa(spectrum: np.ndarray, kernel: int, power: float) -> tuple[np.ndarray, np.ndarray]:
    kept, hit = librosa.decompose.hpss(spectrum.T, kernel_size=kernel, power=power)
    return np.asarray(kept).T, np.asarray(hit).T


@pytest.mark.parametrize(("kernel", "power"), SETTINGS)
def test_librosa(spectrum: np.ndarray, kernel: int, power: float) -> None:
    config = SeparationConfig(kernel, power)
    expected = _librosa(spectrum, kernel, power)
    for found, reference in zip((harmonic(spectrum, config), percussive(spectrum, config)), expected, strict=True):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, reference, rtol=2e-5, atol=1e-7)


@pytest.mark.parametrize(("kernel", "power"), SETTINGS)
def test_both_parts_add_up_to_the_input(spectrum: np.ndarray, kernel: int, power: float) -> None:
    config = SeparationConfig(kernel, power)
    kept, hit = harmonic(spectrum, config), percussive(spectrum, config)
    np.testing.assert_allclose(kept + hit, spectrum, rtol=1e-6)
    assert (kept >= 0).all()
    assert (hit >= 0).all()


def test_what_is_separated(spectrum: np.ndarray) -> None:
    config = SeparationConfig()
    kept, hit = harmonic(spectrum, config), percussive(spectrum, config)
    # Away from the crossings.
    assert (kept[5:35, 55] > 0.95 * spectrum[5:35, 55]).all()
    assert hit[40, :50][np.arange(50) != 20].sum() > 0.9 * spectrum[40, :50][np.arange(50) != 20].sum()
    assert not kept[95:].any()


def test_time_and_frequency_are_each_others_mirror(spectrum: np.ndarray) -> None:
    config = SeparationConfig(9)
    np.testing.assert_allclose(
        harmonic(spectrum, config), percussive(np.ascontiguousarray(spectrum.T), config).T, rtol=1e-6
    )


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1e12, 1e30])
def test_loudness_does_not_matter(spectrum: np.ndarray, scale: float) -> None:
    config = SeparationConfig(9)
    loud = (spectrum * np.float32(scale)).astype(np.float32)
    np.testing.assert_allclose(
        harmonic(loud, config), harmonic(spectrum, config) * np.float32(scale), rtol=1e-4, atol=scale * 1e-6
    )


def test_silence_and_flat_spectra() -> None:
    config = SeparationConfig()
    for level in (0.0, 1.0):
        flat = np.full((40, 50), level, np.float32)
        for part in (harmonic(flat, config), percussive(flat, config)):
            np.testing.assert_array_equal(part, flat / 2)


def test_an_isolated_point_is_split_equally() -> None:
    # Both medians are 0 there.
    values = np.zeros((40, 50), np.float32)
    values[20, 20] = 4
    for part in (harmonic(values, SeparationConfig(9)), percussive(values, SeparationConfig(9))):
        np.testing.assert_array_equal(part, values / 2)


@pytest.mark.parametrize("shape", [(1, 1), (1, 257), (5, 257), (100, 3)])
def test_clips_shorter_than_the_window(shape: tuple[int, int]) -> None:
    values = np.random.default_rng(1).exponential(size=shape).astype(np.float32)
    config = SeparationConfig()
    kept, hit = harmonic(values, config), percussive(values, config)
    assert np.isfinite(kept).all()
    np.testing.assert_allclose(kept + hit, values, rtol=1e-6)


def test_the_input_is_not_changed(spectrum: np.ndarray) -> None:
    kept = spectrum.copy()
    harmonic(spectrum, SeparationConfig(9))
    percussive(spectrum, SeparationConfig(9))
    np.testing.assert_array_equal(spectrum, kept)


def test_the_default_is_librosas() -> None:
    assert SeparationConfig() == SeparationConfig(31, 2.0)


@pytest.mark.parametrize("kernel", [-1, 0, 1, 2, 30, 257])
def test_wrong_kernel(kernel: int) -> None:
    with pytest.raises(ValueError, match=f"kernel={kernel}.*odd.*3 to 255"):
        SeparationConfig(kernel=kernel)


@pytest.mark.parametrize("power", [0.0, -2.0, float("nan")])
def test_wrong_power(power: float) -> None:
    with pytest.raises(ValueError, match=f"power={power}.*above 0"):
        SeparationConfig(power=power)


def test_infinite_power_is_a_hard_mask(spectrum: np.ndarray) -> None:
    config = SeparationConfig(9, float("inf"))
    expected = _librosa(spectrum, 9, float("inf"))
    heard = spectrum > 0
    # librosa assigns ties of the two medians to the percussive part alone.
    found = harmonic(spectrum, config), percussive(spectrum, config)
    shared = (np.abs(found[0] - found[1]) < 1e-9) & heard
    assert shared.mean() < 0.1
    for part, reference in zip(found, expected, strict=True):
        np.testing.assert_allclose(part[~shared], reference[~shared], rtol=1e-6)
