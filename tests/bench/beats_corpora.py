"""Excerpts with known beats or tempo for ``beats_table.py``.

``tempo``
    Produced songs of ``shared/real/tempo``; the tempo is known up to a power of two.
``pieces``
    The nine pieces of ``shared/real/audio``; nothing is known.
``pop909-piano``, ``pop909-band``
    Songs of ``shared/real/pop909`` with their beats, rendered as they are (three tracks of piano), and with other
    programs and one of five drum patterns.
``pop909-rubato``
    The piano version in expressive timing: the tempo drifts by up to a fifth and slows down at the ends of phrases, and
    every note is displaced by 12 ms (standard deviation).
``vgmidi``
    Pieces of ``shared/real/vgmidi`` whose notes are on the grid of the tempo map of their file.
``electronic``
    Programmed music of ``beats_electronic.py``.
``renderer``
    Music rendered by ``emobench.builders.synthesis``.

MIDI files are rendered with TimGM6mb or, in every second song, with another SoundFont, if one is given.
"""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import pretty_midi
import soxr
from beats_electronic import electronic
from emobench.audio import midi
from emobench.audio.decode import decode
from emobench.builders.synthesis import STYLES, render_excerpt

RATE = 22050
START, SECONDS = 20.0, 40.0

# Drum patterns: hits of a bar of four beats, as (MIDI note, beats). 36 kick, 38 snare, 42 closed and 46 open hi-hat.
_EIGHTHS = [(42, k / 2) for k in range(8)]
_PATTERNS = (
    [(36, 0), (38, 1), (36, 2), (36, 2.5), (38, 3), *_EIGHTHS],
    [(36, 0), (36, 1), (36, 2), (36, 3), (38, 1), (38, 3), *((46, k + 0.5) for k in range(4))],
    [(36, 0), (38, 2), (36, 2.5), *((42, k) for k in range(4))],
    [(36, 0), (36, 1.5), (38, 1), (36, 2.5), (38, 3), *((42, k / 4) for k in range(16))],
    [(36, 0), (36, 0.75), (36, 1.5), (38, 1), (38, 3), (36, 2.75), *_EIGHTHS],
)
_KINDS = ("band", "piano", "rubato")
_MELODY, _BRIDGE = (0, 53, 65, 73, 80, 25), (48, 24, 4, 89, 61)


@dataclass(frozen=True)
class Excerpt:
    """Audio with what is known about its beats.

    Attributes
    ----------
    corpus, name : str
        Corpus, and the excerpt's name in it.
    audio : callable
        Returns mono float32 samples at ``RATE``.
    beats : ndarray, optional
        Times of the beats in seconds.
    bpm : float, optional
        Tempo, in ``tempo`` up to a power of two.
    """

    corpus: str
    name: str
    audio: Callable[[], np.ndarray]
    beats: np.ndarray | None = None
    bpm: float | None = None


def _decoded(path: Path, start: float = 0.0) -> Callable[[], np.ndarray]:
    return lambda: decode(path, sample_rate=RATE, start=start, duration=45.0)


def _tempo(real: Path) -> Iterator[Excerpt]:
    with (real / "tempo" / "songs.csv").open(newline="", encoding="utf-8") as rows:
        for row in csv.DictReader(rows):
            path = real / "tempo" / row["file"]
            # The first seconds are often without drums.
            yield Excerpt("tempo", path.stem, _decoded(path, start=5.0), bpm=float(row["ultrastar_bpm"]))


def _pieces(real: Path) -> Iterator[Excerpt]:
    for path in sorted((real / "audio").iterdir()):
        if path.suffix in (".ogg", ".mp3"):
            yield Excerpt("pieces", path.stem[:30], _decoded(path))


def _rendered(piece: pretty_midi.PrettyMIDI, soundfont: Path | None) -> Callable[[], np.ndarray]:
    """Function that renders a piece of ``SECONDS``."""

    def render() -> np.ndarray:
        data = io.BytesIO()
        piece.write(data)
        with tempfile.NamedTemporaryFile(suffix=".mid") as file:
            Path(file.name).write_bytes(data.getvalue())
            if soundfont:
                with mock.patch.object(midi, "_soundfont_bytes", soundfont.read_bytes):
                    samples = midi.render_midi(Path(file.name), seconds=SECONDS, exactly=True)
            else:
                samples = midi.render_midi(Path(file.name), seconds=SECONDS, exactly=True)
        return soxr.resample(samples.astype(np.float32) / 32768.0, midi.SAMPLE_RATE, RATE).astype(np.float32)

    return render


def _electronic(soundfont: Path | None, count: int, offset: int) -> Iterator[Excerpt]:
    for number in range(offset, offset + count):
        piece, beats, bpm = electronic(number, SECONDS)
        yield Excerpt("electronic", str(number), _rendered(piece, soundfont if number % 2 else None), beats, bpm)


def _part(piece: pretty_midi.PrettyMIDI, move: Callable[[float], float]) -> pretty_midi.PrettyMIDI:
    """``SECONDS`` of a piece from ``START`` on, with times passed through ``move``."""
    part = pretty_midi.PrettyMIDI(resolution=960)
    for track in piece.instruments:
        out = pretty_midi.Instrument(track.program, is_drum=track.is_drum)
        for note in track.notes:
            begin, end = move(note.start) - START, move(note.end) - START
            if 0 <= begin < SECONDS:
                out.notes.append(pretty_midi.Note(note.velocity, note.pitch, begin, max(end, begin + 0.02)))
        part.instruments.append(out)
    return part


def _band(piece: pretty_midi.PrettyMIDI, beats: np.ndarray, downbeats: np.ndarray, number: int) -> None:
    """Give the tracks other programs, and add drums."""
    for track in piece.instruments:
        if track.name == "MELODY":
            track.program = _MELODY[number % len(_MELODY)]
        elif track.name == "BRIDGE":
            track.program = _BRIDGE[number % len(_BRIDGE)]
    drums = pretty_midi.Instrument(0, is_drum=True)
    every = np.arange(len(beats))
    for first in np.flatnonzero(downbeats):
        for note, position in _PATTERNS[number % len(_PATTERNS)]:
            if first + position < len(beats) - 1:
                begin = float(np.interp(first + position, every, beats))
                drums.notes.append(pretty_midi.Note(70 if note >= 42 else 105, note, begin, begin + 0.1))
    piece.instruments.append(drums)


def _rubato(beats: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Beats whose tempo drifts by up to a fifth in both directions and slows down at the ends of phrases."""
    window = np.hanning(33)
    drift = np.convolve(rng.normal(size=len(beats) + 32), window, "valid")
    octaves = 0.26 * drift / np.abs(drift).max()
    octaves -= 0.06 * np.maximum(np.arange(len(beats)) % 16 - 12, 0)
    return beats[0] + np.concatenate([[0.0], np.cumsum(np.diff(beats) * np.exp2(-octaves[1:]))])


def _pop909(real: Path, kind: str, soundfont: Path | None, every: bool) -> Iterator[Excerpt]:
    for folder in sorted(path for path in (real / "pop909").iterdir() if path.is_dir()):
        number = int(folder.name)
        if not every and number // 2 % 3 != _KINDS.index(kind):
            continue
        rng = np.random.default_rng(number)
        beats, downbeats = np.loadtxt(folder / "beat_midi.txt")[:, :2].T
        piece = pretty_midi.PrettyMIDI(str(folder / f"{folder.name}.mid"))
        if kind == "band":
            _band(piece, beats, downbeats > 0, number)
        moved = _rubato(beats, rng) if kind == "rubato" else beats
        scatter = 0.012 if kind == "rubato" else 0.0
        part = _part(piece, lambda time: float(np.interp(time, beats, moved) + rng.normal(0.0, scatter)))  # noqa: B023
        inside = _inside(moved)
        render = _rendered(part, soundfont if number % 2 else None)
        yield Excerpt(f"pop909-{kind}", folder.name, render, inside, _bpm(inside))


def _vgmidi(real: Path, soundfont: Path | None) -> Iterator[Excerpt]:
    number = 0
    for path in sorted((real / "vgmidi" / "labelled" / "midi").iterdir()):
        try:
            piece = pretty_midi.PrettyMIDI(str(path))
        except (OSError, ValueError, EOFError, KeyError):
            continue
        beats = piece.get_beats()
        onsets = np.array([note.start for track in piece.instruments for note in track.notes])
        inside = _inside(beats)
        if len(inside) < 20 or inside[-1] < SECONDS - 5 or not _on_grid(onsets, beats):
            continue
        number += 1
        render = _rendered(_part(piece, lambda time: time), soundfont if number % 2 else None)
        yield Excerpt("vgmidi", path.stem, render, inside, _bpm(inside))


def _on_grid(onsets: np.ndarray, beats: np.ndarray) -> bool:
    """Whether nine of ten onsets are at a quarter or a third of a beat, and two of five beats have an onset."""
    position = np.interp(onsets, beats, np.arange(len(beats)))
    off = np.min([np.abs(position * parts - np.round(position * parts)) / parts for parts in (4, 3)], axis=0)
    used = np.unique(np.round(position[np.abs(position - np.round(position)) < 0.03]))
    return bool(np.mean(off < 0.03) >= 0.9 and len(used) >= 0.4 * len(beats))


def _renderer(offset: int, step: int) -> Iterator[Excerpt]:
    for tempo in range(60, 181, step):
        for style in STYLES:
            for drums in (True, False):
                settings = {"tempo": tempo, "style": style, "drums": drums, "duration": 24.0, "seed": offset + tempo}
                excerpt = render_excerpt(**settings)
                name = f"{tempo}-{style}-{'drums' if drums else 'none'}"
                yield Excerpt("renderer", name, lambda excerpt=excerpt: excerpt.audio, excerpt.beats, float(tempo))


def _inside(beats: np.ndarray) -> np.ndarray:
    return beats[(beats >= START) & (beats < START + SECONDS)] - START


def _bpm(beats: np.ndarray) -> float:
    return float(60.0 / np.median(np.diff(beats)))


def corpora(real: Path, soundfont: Path | None, *, every: bool = False) -> dict[str, Iterator[Excerpt]]:
    """Excerpts by corpus.

    Parameters
    ----------
    real : Path
        Folder ``shared/real``; without it, only music that is made here is returned.
    soundfont : Path, optional
        SoundFont of every second song.
    every : bool
        Whether every song of ``pop909`` is returned in each version, rather than in one of them.
    """
    made = {"electronic": _electronic(soundfont, 100, 20_000), "renderer": _renderer(20_000, 10)}
    if not real.is_dir():
        return made
    return {
        "tempo": _tempo(real),
        "pop909-band": _pop909(real, "band", soundfont, every),
        "pop909-piano": _pop909(real, "piano", soundfont, every),
        "pop909-rubato": _pop909(real, "rubato", soundfont, every),
        "vgmidi": _vgmidi(real, soundfont),
        "pieces": _pieces(real),
        **made,
    }
