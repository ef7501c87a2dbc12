"""MIDI files for tests, and a small copy of VGMIDI's repository."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

import mido
import pytest
from emobench.builders.readers import vgmidi

TICKS = 480


def write_midi(path: Path, messages: Iterable[tuple[int, mido.Message | mido.MetaMessage]], kind: int = 0) -> Path:
    """Write a file of messages with their absolute times in ticks; a beat is 480 ticks."""
    track, now = mido.MidiTrack(), 0
    for tick, message in sorted(messages, key=lambda item: item[0]):
        track.append(message.copy(time=tick - now))
        now = tick
    midi = mido.MidiFile(type=kind, ticks_per_beat=TICKS)
    midi.tracks.append(track)
    path.parent.mkdir(parents=True, exist_ok=True)
    midi.save(path)
    return path


def note(tick: int, pitch: int = 69, length: int = 240, *, channel: int = 0, velocity: int = 90) -> list[Any]:
    """Return the two messages of a note."""
    on = mido.Message("note_on", note=pitch, velocity=velocity, channel=channel)
    return [(tick, on), (tick + length, mido.Message("note_off", note=pitch, channel=channel))]


def program(number: int, tick: int = 0) -> tuple[int, mido.Message]:
    return tick, mido.Message("program_change", program=number)


def control(number: int, value: int, tick: int = 0) -> tuple[int, mido.Message]:
    return tick, mido.Message("control_change", control=number, value=value)


def tempo(beats_per_minute: float, tick: int = 0) -> tuple[int, mido.MetaMessage]:
    return tick, mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(beats_per_minute))


def tune(path: Path, beats: int, *, pitch: int = 60) -> Path:
    """Write a piece with a note on every beat, at 120 beats per minute."""
    return write_midi(
        path, [tempo(120), *(message for beat in range(beats) for message in note(beat * TICKS, pitch + beat % 12))]
    )


def record(arousal: list[float], valence: list[float], age: str = "21-25") -> dict[str, Any]:
    """Make a trace with the facts about its annotator."""
    facts = {"age": age, "gender": "Female", "country": "US", "isKnown": False, "musicianship": 2}
    return {"arousal": arousal, "valence": valence, "ex1_description": f"secret of {age}", **facts}


def repository(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a repository of four pieces with everything odd that VGMIDI contains, and pin its files.

    All have 4 measures and last 8 s, but the MIDI file of ``2-piece1`` states no tempo and lasts 10 s, while its
    recording lasted 8.5 s.
    """
    names = [f"Series {place}_PC_Game {place}_Title_{place}.mid" for place in range(4)]
    for place, name in enumerate(names[:3]):
        beats = range(16 if place < 2 else 20)
        messages = [message for beat in beats for message in note(beat * TICKS, 60 + beat % 7)]
        end = [(TICKS * len(beats), mido.MetaMessage("end_of_track"))]
        write_midi(folder / "labelled/midi" / name, messages + end + ([tempo(120)] if place < 2 else []))
    tune(folder / "labelled/midi" / names[3], 16)
    tune(folder / "labelled/midi/Series 9_PC_Game 9_Unannotated.mid", 8)
    rising = [-1.0, -0.5, 0.5, 1.0]
    first = {f"piece0_{number}": record(rising, [0.1 * number] * 4, "21-25") for number in range(1, 11)}
    first["piece0_11"] = first["piece0_2"]  # a copy
    first["piece0_12"] = record([0.0, 0.2, 0.4, 0.6, 0.8], [0.0] * 5, "90-99")  # one value more than measures
    first["piece0_13"] = record([0.0] * 9, [0.0] * 9)
    first["piece0_14"] = record([0.25] * 4, [-0.25] * 4)  # constant
    first |= {f"piece7_{number}": record(rising, rising) for number in (1, 2, 3)}
    second = {f"piece{piece}_{k}": record(rising, [k / 4] * 4) for piece in range(3) for k in (1, 2, 3)}
    stated = [
        {"piece0": (names[0], 8)},
        {"piece0": (names[1], 8.004), "piece1": (names[2], 8.5), "piece2": (names[3], 8)},
    ]
    for number, (pieces, traces) in enumerate(zip(stated, (first, second), strict=True), 1):
        described = {
            name: {"midi": midi, "name": f"Title of {midi[:8]}", "duration": seconds, "measures": 4, "audio": "x.wav"}
            for name, (midi, seconds) in pieces.items()
        }
        path = folder / f"labelled/annotations/vgmidi_raw_{number}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"annotations": traces, "pieces": described}), encoding="utf-8")
    pin(folder, monkeypatch)
    return folder


def pin(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the reader expect the present files of a folder."""
    listed = folder.with_name(f"{folder.name}-pins.csv")
    with listed.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "sha256", "seconds"))
        for path in sorted(folder.glob("labelled/*/*.*")):
            if "Unannotated" not in path.name:
                seconds = mido.MidiFile(path).length if path.suffix == ".mid" else ""
                name = path.relative_to(folder).as_posix()
                writer.writerow((name, sha256(path.read_bytes()).hexdigest(), seconds))
    monkeypatch.setattr(vgmidi, "_PINS", listed)
    vgmidi.pins.cache_clear()
