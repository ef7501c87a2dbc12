"""Rendering of MIDI: onset times, controllers, programs, drums, reproducible bits, broken files."""

from __future__ import annotations

import importlib.util
from hashlib import sha256
from pathlib import Path

import librosa
import mido
import mir_eval
import numpy as np
import pretty_midi
import pytest
from emobench.audio import midi
from emobench.audio.midi import SAMPLE_RATE, read_midi, render_midi, renderer
from emobench.errors import AudioError, InputError
from emobench.runtime.executor import executor, ordered_map

from ..builders.midi_files import TICKS, control, note, program, tempo, tune, write_midi


def _render(path: Path, seconds: float) -> np.ndarray:
    return render_midi(path, seconds=seconds, exactly=True) / 2.0**15


def _level(samples: np.ndarray, start: float, stop: float) -> float:
    part = samples[int(start * SAMPLE_RATE) : int(stop * SAMPLE_RATE)]
    return 20 * np.log10(max(np.sqrt(np.mean(part**2)), 1e-6))


def _frequency(samples: np.ndarray, start: float) -> float:
    part = samples[int(start * SAMPLE_RATE) :][:SAMPLE_RATE]
    spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part))))
    return float(np.argmax(spectrum)) * SAMPLE_RATE / len(part)


def test_notes_start_when_a_tempo_map_says(tmp_path: Path) -> None:
    ticks = [0, 480, 960, 1700, 2400, 3333, 4800]
    tempi = [tempo(90), tempo(150, 960), tempo(47.5, 2000), tempo(200, 3000)]
    # Woodblocks: they start at once, and are over before the next note.
    path = write_midi(
        tmp_path / "a.mid", [*tempi, program(115), *(message for tick in ticks for message in note(tick, 76))]
    )
    expected = [each.start for each in pretty_midi.PrettyMIDI(str(path)).instruments[0].notes]
    samples = np.abs(_render(path, 8))
    peak = samples.max()
    for time in expected:
        window = samples[int((time + 0.02) * SAMPLE_RATE) : int((time + 0.05) * SAMPLE_RATE)]
        before = samples[max(0, int((time - 0.05) * SAMPLE_RATE)) : int(time * SAMPLE_RATE)]
        assert window.max() > 0.02 * peak
        assert before.size == 0 or before.max() < 0.02 * peak
        after = samples[int(time * SAMPLE_RATE) :]
        assert np.argmax(after > 0.02 * peak) / SAMPLE_RATE < 0.005
    assert len(expected) == len(ticks)


def test_the_pedal_holds_notes(tmp_path: Path) -> None:
    dry = _render(write_midi(tmp_path / "a.mid", note(0)), 3)
    held = _render(write_midi(tmp_path / "b.mid", [control(64, 127), *note(0), control(64, 0, 4 * TICKS)]), 3)
    assert _level(held, 1, 1.9) > _level(dry, 1, 1.9) + 15
    assert _level(held, 2.7, 3) < _level(held, 1.5, 1.9) - 15


def test_programs_and_drums(tmp_path: Path) -> None:
    long = 8 * TICKS
    piano = _render(write_midi(tmp_path / "a.mid", note(0, length=long)), 4)
    organ = _render(write_midi(tmp_path / "b.mid", [program(19), *note(0, length=long)]), 4)
    drum = _render(write_midi(tmp_path / "c.mid", note(0, 38, channel=9)), 4)
    assert _level(piano, 0, 1) - _level(piano, 3, 4) > 6
    assert abs(_level(organ, 0.5, 1) - _level(organ, 3, 4)) < 3
    # A snare has no harmonic peak: its spectrum is far flatter than that of a piano.
    flat = [librosa.feature.spectral_flatness(y=each[: SAMPLE_RATE // 4]).mean() for each in (drum, piano)]
    assert flat[0] > 20 * flat[1]
    assert _level(drum, 2, 4) < -80


def test_programs_change_within_a_channel(tmp_path: Path) -> None:
    notes = [*note(0, length=6 * TICKS), program(19, 7 * TICKS), *note(8 * TICKS, length=8 * TICKS)]
    samples = _render(write_midi(tmp_path / "a.mid", notes), 8)
    assert abs(_level(samples, 4.5, 5) - _level(samples, 7, 7.9)) < 3


@pytest.mark.parametrize("number", [7, 11])
def test_volume_and_expression_follow_the_recommended_curve(tmp_path: Path, number: int) -> None:
    """General MIDI recommends 40 log10 (value / 127) decibels."""
    loud, soft = (
        _render(write_midi(tmp_path / f"{value}.mid", [control(number, value), *note(0)]), 1) for value in (120, 60)
    )
    assert _level(loud, 0, 1) - _level(soft, 0, 1) == pytest.approx(40 * np.log10(2), abs=0.8)


def test_pitch_and_pitch_bend(tmp_path: Path) -> None:
    up = (0, mido.Message("pitchwheel", pitch=8191))
    plain = _render(write_midi(tmp_path / "a.mid", [program(19), *note(0, 69, 4 * TICKS)]), 2)
    bent = _render(write_midi(tmp_path / "b.mid", [program(19), up, *note(0, 69, 4 * TICKS)]), 2)
    harmonic = max(1, round(_frequency(plain, 0.5) / 440))
    assert _frequency(plain, 0.5) == pytest.approx(440 * harmonic, abs=4)
    assert _frequency(bent, 0.5) / _frequency(plain, 0.5) == pytest.approx(2 ** (2 / 12), rel=0.01)


def _hash(path: Path) -> str:
    return sha256(render_midi(path, seconds=6).tobytes()).hexdigest()


def test_the_same_bits_in_every_process(tmp_path: Path) -> None:
    paths = [tune(tmp_path / f"{name}.mid", 12, pitch=50 + 3 * name) for name in range(3)]
    expected = [_hash(path) for path in paths]
    assert [_hash(path) for path in reversed(paths)] == expected[::-1]
    assert len(set(expected)) == 3
    with executor(2) as pool:
        assert list(ordered_map(pool, _hash, [*paths, *paths], description="rendering")) == [*expected, *expected]


def test_the_beginning_does_not_depend_on_what_follows(tmp_path: Path) -> None:
    path = tune(tmp_path / "a.mid", 16)
    whole, part = render_midi(path, seconds=8, exactly=True), render_midi(path, seconds=2.25, exactly=True)
    assert len(part) == 2.25 * SAMPLE_RATE
    # A note that starts in the last block of the synthesizer is the only difference.
    np.testing.assert_array_equal(part[:-64], whole[: len(part) - 64])


def test_the_end(tmp_path: Path) -> None:
    path = tune(tmp_path / "a.mid", 4)  # the last note ends after 1.75 s
    assert len(render_midi(path, seconds=60)) == round(2.75 * SAMPLE_RATE)
    assert len(render_midi(path, seconds=2)) == 2 * SAMPLE_RATE
    padded = render_midi(path, seconds=7, exactly=True)
    assert len(padded) == 7 * SAMPLE_RATE
    assert not padded[-SAMPLE_RATE:].any()


def test_messages_without_sound_are_left_out(tmp_path: Path) -> None:
    path = tune(tmp_path / "a.mid", 4)
    noisy = mido.MidiFile(path)
    noisy.tracks[0].insert(1, mido.MetaMessage("lyrics", text="la", time=0))
    noisy.tracks[0].insert(1, mido.Message("sysex", data=(1, 2, 3), time=0))
    noisy.save(tmp_path / "b.mid")
    np.testing.assert_array_equal(render_midi(path, seconds=3), render_midi(tmp_path / "b.mid", seconds=3))


BROKEN = {
    "empty": b"",
    "text": b"not MIDI at all",
    "wave": b"RIFF\x24\x00\x00\x00WAVEfmt ",
    "cut": b"MThd\x00\x00\x00\x06\x00\x01\x00\x01\x01\xe0MTrk\x00\x00\x00\x10\x00\x90",
    "header": b"MThd\x00\x00\x00\x06\x00",
    "wrong data": b"MThd\x00\x00\x00\x06\x00\x00\x00\x01\x01\xe0MTrk\x00\x00\x00\x08\x00\x90\xff\xff\x00\xff\x2f\x00",
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_broken_files(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.mid"
    path.write_bytes(content)
    with pytest.raises(AudioError, match=r"a\.mid: (not readable as MIDI|cannot be rendered)") as caught:
        render_midi(path, seconds=5)
    assert caught.value.reason == "undecodable"
    assert "\n" not in str(caught.value)


def test_kinds_of_midi_that_are_not_read(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="MIDI with format 2; expected format 0 or 1"):
        read_midi(write_midi(tmp_path / "a.mid", note(0), kind=2))
    path = write_midi(tmp_path / "b.mid", note(0))
    content = bytearray(path.read_bytes())
    content[12:14] = (0xE7, 0x28)  # 25 frames a second
    path.write_bytes(content)
    with pytest.raises(AudioError, match="SMPTE time code"):
        read_midi(path)


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    for name in ("midirenderer", "mido", "pretty_midi"):
        monkeypatch.setattr(midi, "find_spec", lambda each, name=name: None if each == name else found(each))
        with pytest.raises(InputError, match=r"needs the packages .* pip install 'emobench\[midi\]'\."):
            renderer()


def test_the_manifest_says_how_it_was_rendered() -> None:
    soundfont = Path(pretty_midi.__file__).with_name("TimGM6mb.sf2")
    assert renderer()["soundfont_sha256"] == sha256(soundfont.read_bytes()).hexdigest()
    assert str(renderer()["renderer"]).startswith("midirenderer 0.")


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("Banjo-Kazooie_N64_Banjo-Kazooie_Motzhand", 0.95),
        ("Xeno_PS1_Xenogears_Tears of the Stars Hearts of the People", 0.95),
        ("Battle of Olympus_NES_Battle of Olympus_Orpheus Journey Arranged", 0.9),
    ],
)
def test_onsets_of_real_pieces(real_data: Path, name: str, least: float) -> None:
    path = real_data / "vgmidi/labelled/midi" / f"{name}.mid"
    notes = [each for instrument in pretty_midi.PrettyMIDI(str(path)).instruments for each in instrument.notes]
    starts = np.unique([each.start for each in notes if each.start < 14.5])
    starts = starts[np.diff(starts, prepend=-1) > 0.03]
    samples = librosa.resample(_render(path, 15), orig_sr=SAMPLE_RATE, target_sr=22050)
    found = librosa.onset.onset_detect(y=samples, sr=22050, hop_length=256, units="time")
    assert mir_eval.onset.f_measure(starts, found, window=0.05)[0] > least
