"""On real music, profiles, spectra and beats agree with librosa's functions.

Differences are at most 1e-5 of the maximum of the reference.
"""

from __future__ import annotations

from pathlib import Path

import librosa
import numpy as np
import pytest
from emobench.audio.beats import BeatConfig, onset_profile, track_beats
from emobench.audio.decode import decode
from emobench.audio.pitch import PitchConfig, pitch_bands
from emobench.audio.timbre import TimbreConfig, percussion_timbre

RATE = 22050
PIECES = (
    "147793__setuniman__sweet-waltz-0i-22mi.hq.ogg",
    "442789__lena-orsa__happy-music-pistachio-ice-cream-ragtime.hq.ogg",
    "Hungarian_Dance_number_5_-_Allegro_in_F_sharp_minor_(string_orchestra).hq.ogg",
    "Just_Plain_Ant_-_05_-_Stumble.mp3",
    "Karissa_Hobbs_-_Lets_Go_Fishin.hq.ogg",
    "Kevin_MacLeod_-_P_I_Tchaikovsky_Dance_of_the_Sugar_Plum_Fairy.hq.ogg",
    "Kevin_MacLeod_-_Vibe_Ace.hq.ogg",
    "admiralbob77_-_Choice_-_Drum-bass.hq.ogg",
    "sorohanro_-_solo-trumpet-06.hq.ogg",
)


@pytest.fixture(scope="module", params=PIECES, ids=lambda name: name[:20])
def music(request: pytest.FixtureRequest, real_data: Path) -> np.ndarray:
    """The first 45 seconds of a piece."""
    return decode(real_data / "audio" / request.param, duration=45.0)


def test_all_pieces_are_used(real_data: Path) -> None:
    assert {path.name for path in (real_data / "audio").iterdir() if path.suffix in (".ogg", ".mp3")} == set(PIECES)


def _librosas_onsets(samples: np.ndarray) -> np.ndarray:
    power = np.abs(librosa.stft(samples, n_fft=1024, hop_length=64)) ** 2
    mel = np.sqrt(librosa.feature.melspectrogram(S=power, sr=RATE, n_fft=1024, n_mels=128))
    level = np.log1p(3 * mel / mel.max())
    return np.pad(np.maximum(level[:, 8:] - level[:, :-8], 0).mean(axis=0), (8, 0))


def _close(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


def test_onset_profile(music: np.ndarray) -> None:
    _close(onset_profile(music, RATE, BeatConfig()), _librosas_onsets(music))


def test_timbre(music: np.ndarray) -> None:
    part = music[: 10 * RATE]
    hits = librosa.decompose.hpss(np.abs(librosa.stft(part, n_fft=512, hop_length=256)), kernel_size=31)[1]
    mel = librosa.feature.melspectrogram(S=hits**2, sr=RATE, n_fft=512, n_mels=40)
    expected = librosa.feature.mfcc(S=librosa.power_to_db(mel, top_db=80), n_mfcc=20).T
    _close(percussion_timbre(part, RATE, TimbreConfig()), expected)


def test_pitch(music: np.ndarray) -> None:
    part = music[: 6 * RATE]
    kept = librosa.decompose.hpss(np.abs(librosa.stft(part, n_fft=4096, hop_length=512)), kernel_size=31)[0]
    centres = 98.0 * 2.0 ** (np.arange(48) / 12)
    widths = 0.5475 * np.maximum(centres * (2 ** (1 / 12) - 1), RATE / 4096)
    bank = np.exp(-0.5 * ((librosa.fft_frequencies(sr=RATE, n_fft=4096)[:, None] - centres) / widths) ** 2)
    bank /= np.sqrt(2 * np.sum(bank**2, axis=0))
    _close(pitch_bands(part, RATE, PitchConfig()), kept.T @ bank)


def test_librosas_tempo_gives_librosas_beats(music: np.ndarray) -> None:
    # We use every 64th column of the tempogram. librosa needs six seconds for 45 seconds of music, so it gets 10.
    part = music[: 10 * RATE]
    _, expected = librosa.beat.beat_track(
        onset_envelope=_librosas_onsets(part), sr=RATE, hop_length=64, tightness=400, units="time"
    )
    found = track_beats(part, RATE, BeatConfig(tempo="librosa", std_bpm=1.0))
    assert len(found) > 5
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("tempo", ["metre", "librosa"])
def test_every_64th_column_gives_the_same_beats_as_all_columns(music: np.ndarray, tempo: str) -> None:
    found, expected = (track_beats(music, RATE, BeatConfig(tempo=tempo, tempo_step=step)) for step in (64, 1))
    np.testing.assert_array_equal(found, expected)
