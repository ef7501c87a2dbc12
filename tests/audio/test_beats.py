"""Beats: equality with librosa's dynamic programming and tempo, unusual inputs, and quality on rendered music."""

from __future__ import annotations

import warnings
from typing import Any, cast

import librosa
import mir_eval
import numpy as np
import pytest
from emobench.audio.beats import BeatConfig, beat_frames, onset_profile, track_beats
from emobench.audio.metre import MetreWeights, follow, metre_beats
from emobench.audio.tempo import autocorrelation, comb_tempo, librosa_tempo

RATE = 22050
FRAMES = RATE / 64


def _excerpt(*, tempo: float, style: str, drums: bool, duration: float, seed: int) -> Any:
    synthesis = pytest.importorskip(
        "emobench.builders.synthesis", reason="the synthesiser that renders music with known beats is missing"
    )
    return synthesis.render_excerpt(tempo=tempo, style=style, drums=drums, duration=duration, seed=seed)


def _clicks(bpm: float, seconds: float, seed: int) -> np.ndarray:
    """Make a profile of noisy pulses, every fourth one strong, with silence at both ends."""
    rng = np.random.default_rng(seed)
    profile = (0.1 * rng.random(round(seconds * FRAMES))).astype(np.float32)
    times = np.arange(1.0, seconds - 1.0, 60.0 / bpm)
    times += rng.normal(0.0, 0.01, len(times))
    for number, frame in enumerate(np.round(times * FRAMES).astype(int)):
        profile[frame : frame + 6] += np.float32(1.0 if number % 4 == 0 else 0.6)
    profile[: round(0.8 * FRAMES)] = 0.0
    profile[-round(0.7 * FRAMES) :] = 0.0
    return profile


def _profiles(seconds: float) -> list[np.ndarray]:
    rendered = [
        _excerpt(tempo=tempo, style=style, drums=drums, duration=seconds, seed=3).audio
        for tempo, style, drums in ((72, "rock", True), (140, "waltz", False), (105, "swing", True))
    ]
    noise = np.random.default_rng(1).random(2000).astype(np.float32) ** 8
    config = BeatConfig()
    return [*(onset_profile(audio, RATE, config) for audio in rendered), _clicks(95.0, seconds, 0), noise]


@pytest.mark.parametrize("trim", [True, False])
def test_beat_frames_are_librosas(trim: bool) -> None:
    for profile in _profiles(12.0):
        for bpm in (47.3, 60.0, 91.3, 137.0, 240.0, 319.0):
            for tightness in (100.0, 400.0):
                _, expected = librosa.beat.beat_track(
                    onset_envelope=profile, sr=RATE, hop_length=64, bpm=bpm, tightness=tightness, trim=trim
                )
                found = beat_frames(profile, FRAMES, bpm=bpm, tightness=tightness, trim=trim)
                np.testing.assert_array_equal(found, expected)


def test_beat_frames_at_librosas_own_hop() -> None:
    profile = _clicks(120.0, 20.0, 2)[::8]
    for bpm in (60.0, 118.0, 300.0):
        _, expected = librosa.beat.beat_track(onset_envelope=profile, sr=RATE, hop_length=512, bpm=bpm)
        np.testing.assert_array_equal(beat_frames(profile, RATE / 512, bpm=bpm), expected)


def test_autocorrelation_is_the_mean_of_librosas_tempogram() -> None:
    profile = _clicks(100.0, 4.0, 4)
    gram = librosa.feature.tempogram(onset_envelope=profile, sr=RATE, hop_length=64, win_length=2756)
    np.testing.assert_allclose(autocorrelation(profile, FRAMES, step=1), gram.mean(axis=1), atol=2e-6)


def test_windows_of_almost_no_energy_are_silent() -> None:
    # Sums of squares of 1e-23 are subnormal float32 numbers, whose inverse overflows.
    clicks, silence = _clicks(100.0, 4.0, 4), np.zeros(12000, np.float32)
    faint = silence.copy()
    faint[4000:8000] = 1e-23
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = autocorrelation(np.concatenate([faint, clicks]), FRAMES, step=1)
    np.testing.assert_allclose(found, autocorrelation(np.concatenate([silence, clicks]), FRAMES, step=1), atol=1e-12)


def test_tempo_from_every_sixteenth_column_is_librosas_tempo() -> None:
    for profile in _profiles(6.0):
        expected = librosa.feature.tempo(onset_envelope=profile, sr=RATE, hop_length=64)
        found = librosa_tempo(autocorrelation(profile, FRAMES, step=16), FRAMES, start_bpm=120.0, std_bpm=1.0)
        assert found == pytest.approx(expected.item(), rel=1e-12)


@pytest.mark.parametrize("bpm", [62.0, 90.0, 128.0, 175.0])
def test_comb_finds_the_tempo_of_pulses(bpm: float) -> None:
    config = BeatConfig()
    found = comb_tempo(
        autocorrelation(_clicks(bpm, 15.0, 5), FRAMES),
        FRAMES,
        start_bpm=config.start_bpm,
        std_bpm=config.std_bpm,
        double_weight=config.double_weight,
        quarter_weight=config.quarter_weight,
    )
    assert found == pytest.approx(bpm, rel=0.02)


def _best_path(score: np.ndarray, period: float) -> tuple[float, list[int]]:
    """Best beats by trying every sequence of lengths, with the costs of :mod:`emobench.audio.metre`."""
    shortest, longest = int(0.8 * period), int(np.ceil(1.25 * period))
    reach = max(1, int(0.12 * period))
    best: tuple[float, list[int]] = (-np.inf, [])

    def extend(beats: list[int], length: int, total: float) -> None:
        nonlocal best
        frame = beats[-1]
        # A path may end where no further beat is certain, and its first beat is also the end of an interval.
        if frame >= len(score) - longest and total > best[0]:
            best = total, list(beats)
        for step in range(max(shortest, length - reach), min(longest, length + reach) + 1):
            if frame + step < len(score):
                change = 300.0 * (np.log(step) - np.log(length)) ** 2
                price = 20.0 * (np.log(step) - np.log(period)) ** 2
                extend([*beats, frame + step], step, total + score[frame + step] - change - price)

    for length in range(shortest, longest + 1):
        for first in range(min(length, len(score))):
            extend([first], length, score[first] - 20.0 * (np.log(length) - np.log(period)) ** 2)
    return best


def test_follow_finds_the_best_of_all_paths() -> None:
    for seed in range(4):
        score = np.random.default_rng(seed).exponential(size=40)
        total, beats = _best_path(score, 9.0)
        assert total > -np.inf
        assert follow(score, 9.0).tolist() == beats


def test_follow_follows_a_tempo_that_changes() -> None:
    # From 90 to 130 beats per minute in a minute: no global tempo is within a quarter of a beat for long.
    rate = FRAMES / 4
    beats = [0.5]
    while beats[-1] < 60.0:
        beats.append(beats[-1] + 60.0 / (90.0 + 40.0 * beats[-1] / 60.0))
    score = np.zeros(round(62 * rate))
    score[np.round(np.array(beats) * rate).astype(int)] = 8.0
    found = follow(score, 60.0 * rate / 108.0) / rate
    assert mir_eval.beat.f_measure(np.array(beats), found, f_measure_threshold=0.02) > 0.97


def _pulses(seconds: float, every: float, group: int, strong: int) -> np.ndarray:
    """Onsets at ``every`` seconds, of which each ``group``-th one of each eight is strong, from ``strong`` on."""
    rate = FRAMES / 4
    profile = np.full(round(seconds * rate), 0.01, np.float32)
    for number, time in enumerate(np.arange(0.0, seconds - 0.1, every)):
        accent = (number % 8 - strong) % group == 0
        profile[round(time * rate)] = 1.0 if accent else 0.3
    return profile


@pytest.mark.parametrize("around", [80.0, 107.0, 160.0, 240.0])
def test_metre_prefers_beats_that_agree_with_chords(around: float) -> None:
    # Sixteenths at 120 BPM, grouped 3-3-2 as in much dance music; chords change with every bar.
    profile = _pulses(30.0, 0.125, 3, 0)
    rate = FRAMES / 4
    chord = (np.arange(len(profile)) / rate / 2.0 + 1e-6).astype(int)
    harmony = np.eye(12, dtype=np.float32)[chord % 12] + np.float32(0.1)
    kick = np.full_like(profile, 0.01)
    kick[np.round(np.arange(0.0, 29.9, 0.5) * rate).astype(int)] = 1.0
    beats = metre_beats(profile + kick, kick, profile, harmony, rate, around=around, weights=MetreWeights())
    assert 60.0 * rate / np.median(np.diff(beats)) == pytest.approx(120.0, rel=0.03)


def test_metre_without_enough_music_finds_nothing() -> None:
    short = np.ones(100, np.float32)
    found = metre_beats(short, short, short, short[:, None], FRAMES / 4, around=60.0, weights=MetreWeights())
    assert len(found) == 0


_NOISE = np.random.default_rng(0).standard_normal(RATE).astype(np.float32)


@pytest.mark.parametrize("tempo", ["metre", "comb", "librosa"])
@pytest.mark.parametrize("profile", ["flux", "percussive", "laplace"])
@pytest.mark.parametrize(
    "samples",
    [
        pytest.param(np.zeros(0, np.float32), id="empty"),
        pytest.param(np.ones(1, np.float32), id="one sample"),
        pytest.param(_NOISE[:300], id="shorter than a window"),
        pytest.param(_NOISE[:2205], id="a tenth of a second"),
        pytest.param(np.zeros(RATE, np.float32), id="silence"),
        pytest.param(np.sin(0.1 * np.arange(3 * RATE)).astype(np.float32), id="tone"),
        pytest.param(np.ones(2 * RATE, np.float32), id="constant"),
        pytest.param(_NOISE * np.float32(1e-20), id="very quiet"),
        pytest.param(np.eye(1, RATE, RATE // 2, dtype=np.float32)[0], id="one click"),
    ],
)
def test_unusual_signals(samples: np.ndarray, profile: str, tempo: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        beats = track_beats(samples, RATE, BeatConfig(profile=profile, tempo=tempo))
    assert beats.dtype == np.float64
    assert np.all(np.diff(beats) > 0)
    assert np.all((beats >= 0) & (beats <= len(samples) / RATE))
    if not samples.any():
        assert len(beats) == 0


def test_beats_do_not_depend_on_loudness() -> None:
    audio = _excerpt(tempo=100, style="folk", drums=True, duration=8.0, seed=1).audio
    loud = track_beats(audio, RATE, BeatConfig())
    np.testing.assert_array_equal(track_beats(audio * np.float32(2.0**-6), RATE, BeatConfig()), loud)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("profile", "nothing"),
        ("tempo", "guess"),
        ("n_fft", 1023),
        ("n_fft", 0),
        ("hop", 0),
        ("n_mels", 0),
        ("lag", 0),
        ("tempo_step", 0),
        ("start_bpm", 0.0),
        ("std_bpm", -1.0),
        ("tightness", float("nan")),
        ("compression", -1.0),
        ("double_weight", -0.1),
        ("quarter_weight", float("inf")),
    ],
)
def test_config_names_the_field(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"^{name}="):
        BeatConfig(**cast("dict[str, Any]", {name: value}))


@pytest.mark.parametrize(
    ("drums", "step", "floor"), [(True, 10, 0.94), pytest.param(False, 5, 0.94, marks=pytest.mark.slow)]
)
def test_quality_on_rendered_music(drums: bool, step: int, floor: float) -> None:
    styles = ("rock", "ballad", "dance", "swing", "bossa", "folk", "waltz")
    ours, librosas = [], []
    # With fewer excerpts the mean is unreliable: one octave error in 25 changes it by more than a hundredth.
    for tempo in range(60, 181, step):
        for style in styles:
            excerpt = _excerpt(tempo=tempo, style=style, drums=drums, duration=24.0, seed=7000 + tempo)
            _, peer = librosa.beat.beat_track(y=excerpt.audio, sr=RATE, units="time")
            found = track_beats(excerpt.audio, RATE, BeatConfig())
            known = mir_eval.beat.trim_beats(excerpt.beats)
            ours.append(mir_eval.beat.f_measure(known, mir_eval.beat.trim_beats(found)))
            librosas.append(mir_eval.beat.f_measure(known, mir_eval.beat.trim_beats(peer)))
    assert np.mean(ours) >= np.mean(librosas)
    assert np.mean(ours) >= floor
