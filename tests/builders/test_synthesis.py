"""Synthetic corpus: determinism, dependence on emotion, and beats."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest
from emobench.builders.synthesis import (
    STYLES,
    ClipPlan,
    Rendered,
    SynthesisConfig,
    plan_labelled,
    plan_pretrain,
    render,
    render_excerpt,
    simulate_workers,
)
from emobench.builders.synthesis.voices import VOICES, hertz, tone


@pytest.fixture(scope="module")
def config() -> SynthesisConfig:
    return SynthesisConfig(seed=5)


@pytest.fixture(scope="module")
def plans(config: SynthesisConfig) -> list[ClipPlan]:
    return plan_labelled(config)


# Configuration


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", -1),
        ("n_clips", -1),
        ("n_clips", 2.5),
        ("n_clips", True),
        ("clip_seconds", 3),
        ("n_pretrain", "many"),
        ("pretrain_seconds", 601),
        ("sample_rate", 4000),
        ("mapping_noise", -0.1),
        ("mapping_noise", float("nan")),
        ("album_share", 1.5),
        ("arousal_sd", 0.0),
        ("valence_sd", 0.3),
        ("movement", 0.2),
        ("worker_spread", 0.0),
        ("n_workers", 22),
        ("constant_share", 1.1),
        ("stereo", "yes"),
        ("album_share", "half"),
    ],
)
def test_config_names_the_wrong_argument(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=name):
        SynthesisConfig(**{name: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("style", "polka"),
        ("tempo", 10.0),
        ("tempo", float("nan")),
        ("duration", 0.5),
        ("sample_rate", 1),
        ("seed", -1),
    ],
)
def test_excerpt_names_the_wrong_argument(name: str, value: object) -> None:
    arguments = {"tempo": 100.0, "style": "rock", "drums": True, "duration": 4.0, "seed": 0} | {name: value}
    with pytest.raises(ValueError, match=name):
        render_excerpt(**arguments)  # type: ignore[arg-type]


# Determinism


def test_rendering_depends_on_the_plan_only(config: SynthesisConfig) -> None:
    small = dataclasses.replace(config, clip_seconds=4, n_clips=6)
    forward = [render(plan) for plan in plan_labelled(small)]
    # Another order, planned again, and pickled as for another process.
    backward = [render(pickle.loads(pickle.dumps(plan))) for plan in reversed(plan_labelled(small))][::-1]
    for one, other in zip(forward, backward, strict=True):
        assert one.audio.tobytes() == other.audio.tobytes()
        assert one.beats.tobytes() == other.beats.tobytes()


def test_seeds_and_clips_differ(config: SynthesisConfig) -> None:
    small = dataclasses.replace(config, clip_seconds=4, n_clips=4)
    other = plan_labelled(dataclasses.replace(small, seed=6))
    heard = {render(plan).audio.tobytes() for plan in [*plan_labelled(small), *other]}
    assert len(heard) == 8


def test_workers_are_deterministic(plans: list[ClipPlan], config: SynthesisConfig) -> None:
    first, again, other = (simulate_workers(plans[k], config) for k in (3, 3, 4))
    assert [t.annotator_id for t in first] == [t.annotator_id for t in again]
    assert all(np.array_equal(p.arousal, q.arousal) for p, q in zip(first, again, strict=True))
    assert [t.arousal.tolist() for t in first] != [t.arousal.tolist() for t in other]


# Plans


def test_albums_and_artists_are_distributed_as_in_the_real_clips(plans: list[ClipPlan]) -> None:
    albums: dict[tuple[str, str], list[ClipPlan]] = {}
    for plan in plans:
        albums.setdefault((plan.artist, plan.album), []).append(plan)
    sizes = np.bincount([len(clips) for clips in albums.values()])
    assert sizes.tolist() == [0, 159, 39, 1]
    assert len({plan.artist for plan in plans}) == 156
    assert len({plan.clip_id for plan in plans}) == len({plan.song_id for plan in plans}) == 240
    for clips in albums.values():
        assert len({plan.production for plan in clips}) == 1


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 50, 1000])
def test_any_number_of_clips_can_be_planned(count: int) -> None:
    plans = plan_labelled(SynthesisConfig(n_clips=count))
    albums = {plan.album for plan in plans}
    assert len(plans) == count
    assert len(albums) == pytest.approx(count * 199 / 240, abs=1.5)
    assert len({plan.artist for plan in plans}) == pytest.approx(len(albums) * 156 / 199, abs=1.5)


def test_pretraining_shares_no_album_with_the_labelled_clips(config: SynthesisConfig, plans: list[ClipPlan]) -> None:
    pretrain = plan_pretrain(config)
    assert len(pretrain) == config.n_pretrain
    assert all(plan.duration == 45.0 and len(plan.arousal) == 45 for plan in pretrain)
    for field in ("album", "artist", "song_id", "clip_id", "production", "seed"):
        assert not {getattr(p, field) for p in pretrain} & {getattr(p, field) for p in plans}


def test_emotion_fills_the_quadrants_and_is_in_range(plans: list[ClipPlan]) -> None:
    curves = np.array([(plan.arousal, plan.valence) for plan in plans])
    assert np.abs(curves).max() <= 0.5
    above = curves.mean(axis=2) > 0
    for arousal in (True, False):
        for valence in (True, False):
            assert abs(np.sum((above[:, 0] == arousal) & (above[:, 1] == valence)) - 60) <= 2


def test_clips_of_an_album_are_alike_in_emotion(plans: list[ClipPlan]) -> None:
    many = plan_labelled(SynthesisConfig(n_clips=2400))
    emotion = np.array([(np.mean(plan.arousal), np.mean(plan.valence)) for plan in many])
    albums: dict[str, list[int]] = {}
    for k, plan in enumerate(many):
        albums.setdefault(plan.album, []).append(k)
    pairs = np.array([members[:2] for members in albums.values() if len(members) > 1])
    for axis in range(2):
        assert 0.35 < np.corrcoef(emotion[pairs[:, 0], axis], emotion[pairs[:, 1], axis])[0, 1] < 0.65


# Audio


@pytest.mark.parametrize("stereo", [False, True])
def test_shape_and_range_of_audio(stereo: bool) -> None:
    config = SynthesisConfig(n_clips=12, clip_seconds=5, sample_rate=16000, stereo=stereo)
    for plan in plan_labelled(config):
        rendered = render(plan)
        assert rendered.audio.shape == ((80000, 2) if stereo else (80000,))
        assert rendered.audio.dtype == np.float32
        assert np.isfinite(rendered.audio).all()
        assert np.abs(rendered.audio).max() < 1.0
        assert np.sqrt(np.mean(rendered.audio**2)) > 10 ** (-40 / 20)
        assert rendered.beats.dtype == np.float64
        assert rendered.beats.min() >= 0.0
        assert rendered.beats.max() < 5.0
        if stereo:
            assert not np.array_equal(rendered.audio[:, 0], rendered.audio[:, 1])


@pytest.mark.parametrize("sample_rate", [8000, 44100, 96000])
def test_other_sample_rates_sound_similar(sample_rate: int) -> None:
    def excerpt(drums: bool, rate: int) -> Rendered:
        return render_excerpt(tempo=120.0, style="rock", drums=drums, duration=3.0, seed=1, sample_rate=rate)

    usual, other, drummed = excerpt(False, 22050), excerpt(False, sample_rate), excerpt(True, sample_rate)
    assert other.audio.shape == drummed.audio.shape == (3 * sample_rate,)
    assert np.isfinite(drummed.audio).all()
    assert np.array_equal(other.beats, usual.beats)
    # The same notes at the same times, although noise and room depend on the sample rate.
    curves = [np.log(np.mean(x.audio.reshape(30, -1) ** 2, axis=1)) for x in (usual, other)]
    assert np.corrcoef(*curves)[0, 1] > 0.85


def test_beats_follow_the_tempo_of_the_plan(config: SynthesisConfig) -> None:
    for plan in plan_labelled(dataclasses.replace(config, clip_seconds=8, n_clips=25)):
        period = 60.0 / plan.piece.tempo
        intervals = np.diff(render(plan).beats)
        assert np.abs(intervals / period - 1.0).max() < 0.03 + 2 * abs(plan.piece.drift)
        assert abs(len(intervals) + 1 - 8.0 / period) < 2


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("drums", [True, False])
def test_notes_begin_on_the_beats_of_an_excerpt(style: str, drums: bool) -> None:
    rises = []
    for seed, tempo in enumerate((70.0, 100.0, 130.0, 160.0)):
        rendered = render_excerpt(tempo=tempo, style=style, drums=drums, duration=12.0, seed=seed)
        assert np.allclose(np.diff(rendered.beats), 60.0 / tempo, atol=1e-9)
        assert abs(len(rendered.beats) - 12.0 * tempo / 60.0) <= 1
        # Increase of the log energy over 12 ms, near beats and elsewhere.
        energy = np.log(1e-6 + np.mean(rendered.audio[: 12 * 22050 // 256 * 256].reshape(-1, 256) ** 2, axis=1))
        rise = np.maximum(0.0, np.diff(energy))
        near = np.zeros(len(rise), dtype=bool)
        for beat in rendered.beats:
            centre = round(beat * 22050 / 256) - 1
            near[max(0, centre - 4) : centre + 5] = True
        rises.append(rise[near].mean() / rise[~near].mean())
    assert np.mean(rises) > 1.25


def test_drums_can_be_heard() -> None:
    def treble(drums: bool) -> float:
        audio = render_excerpt(tempo=110.0, style="rock", drums=drums, duration=6.0, seed=2).audio
        power = np.abs(np.fft.rfft(audio)) ** 2
        return float(power[7000 * 6 :].sum() / power.sum())

    assert treble(True) > 2 * treble(False)


@pytest.mark.parametrize("name", VOICES)
def test_voices_are_in_tune(name: str) -> None:
    noise = np.random.default_rng(0).standard_normal(22050).astype(np.float32)
    frequency = hertz(45, cents=20.0)
    sound = tone(VOICES[name], frequency, 2.0, sample_rate=22050, brightness=0.5, noise=noise)
    # Any harmonic may be strongest, so compare a comb at the pitch with one a quarter tone higher.
    power = np.abs(np.fft.rfft(sound * np.hanning(len(sound)))) ** 2

    def comb(pitch: float) -> float:
        bins = np.rint(np.arange(1, 9) * pitch * 2.0).astype(int)
        return float(sum(power[b - 2 : b + 3].sum() for b in bins))

    assert sound.shape == (44100,)
    assert comb(frequency) > 10 * comb(frequency * 2 ** (1 / 24))
    assert 0.02 < np.sqrt(np.mean(sound[2205:11025] ** 2)) < 0.4


# Emotion in the music


def test_plans_respond_to_emotion(config: SynthesisConfig) -> None:
    plans = plan_labelled(dataclasses.replace(config, n_clips=1000))
    arousal = [float(np.mean(plan.arousal)) for plan in plans]
    valence = [float(np.mean(plan.valence)) for plan in plans]

    def r(x: list[float], name: str) -> float:
        values = [getattr(plan.piece, name) for plan in plans]
        return float(np.corrcoef(x, [float(v == "major") if name == "mode" else float(v) for v in values])[0, 1])

    assert r(arousal, "tempo") > 0.4
    assert r(arousal, "density") > 0.4
    assert r(arousal, "level") > 0.4
    assert r(arousal, "legato") < -0.3
    assert r(valence, "mode") > 0.4
    assert r(valence, "register") > 0.3
    assert r(valence, "dissonance") < -0.3
    # No single property determines emotion, and mode does not depend on arousal.
    assert r(arousal, "tempo") < 0.85
    assert r(valence, "mode") < 0.85
    assert abs(r(arousal, "mode")) < 0.15


def test_audio_responds_to_emotion(config: SynthesisConfig) -> None:
    plans = plan_labelled(dataclasses.replace(config, n_clips=120, clip_seconds=5))
    loud, bright = [], []
    for plan in plans:
        audio = render(plan).audio
        frames = audio[: len(audio) // 2048 * 2048].reshape(-1, 2048) * np.hanning(2048)
        magnitude = np.abs(np.fft.rfft(frames, axis=1))
        loud.append(np.log(np.mean(audio**2)))
        bright.append(np.mean(magnitude @ np.arange(magnitude.shape[1]) / (1e-9 + magnitude.sum(axis=1))))
    arousal = [float(np.mean(plan.arousal)) for plan in plans]
    # Upper bounds too: a corpus in which loudness determines emotion would not be a benchmark.
    assert 0.3 < np.corrcoef(arousal, loud)[0, 1] < 0.9
    assert 0.2 < np.corrcoef(arousal, bright)[0, 1] < 0.9


def test_audio_moves_with_emotion_inside_a_clip(plans: list[ClipPlan]) -> None:
    changes = []
    for plan in plans[:8]:
        ramp = np.linspace(-0.1, 0.1, 15)
        up = render(dataclasses.replace(plan, arousal=tuple(ramp))).audio
        down = render(dataclasses.replace(plan, arousal=tuple(-ramp))).audio
        ends = [np.log(np.mean(x[-5 * 22050 :] ** 2) / np.mean(x[: 5 * 22050] ** 2)) for x in (up, down)]
        changes.append(ends[0] - ends[1])
    assert np.mean(changes) > 0.3
