"""Beats: equality with librosa's dynamic programming and tempo, unusual inputs, and quality on rendered music."""

from __future__ import annotations

import warnings
from typing import Any, cast

import librosa
import mir_eval
import numpy as np
import pytest
from emobench.audio.beats import BeatConfig, beat_frames, onset_profile, track_beats
from emobench.audio.tempo import MetreWeights, autocorrelation, comb_tempo, librosa_tempo, metre_tempo

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


@pytest.mark.parametrize("around", [80.0, 160.0])
@pytest.mark.parametrize(("pulses", "bpm"), [(4, 160.0), (8, 80.0)])
def test_metre_chooses_the_octave_whose_bars_match_the_harmony(pulses: int, bpm: float, around: float) -> None:
    # Every second pulse is weaker; only the chords show whether pulses are beats or half beats.
    profile = np.full(round(20.0 * FRAMES), 0.01, np.float32)
    profile[np.round(np.arange(0.0, 20.0, 0.75) * FRAMES).astype(int)] = 1.0
    profile[np.round(np.arange(0.375, 20.0, 0.75) * FRAMES).astype(int)] = 0.35
    correlation = autocorrelation(profile, FRAMES)
    chord = (np.arange(len(profile)) / FRAMES / 0.375 + 1e-6).astype(int) // pulses
    harmony = np.eye(12, dtype=np.float32)[chord % 12] + np.float32(0.1)
    found = metre_tempo(
        correlation,
        correlation,
        harmony,
        FRAMES,
        around=around,
        beats_at=lambda tempo: np.arange(0, len(profile) - 1, 60.0 * FRAMES / tempo).astype(np.int64),
        start_bpm=113.0,
        std_bpm=2.0,
        weights=MetreWeights(),
    )
    assert found == pytest.approx(bpm, rel=0.02)


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


@pytest.mark.parametrize(("drums", "step", "floor"), [(True, 10, 0.92), (False, 5, 0.97)])
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
