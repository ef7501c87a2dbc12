"""Composition of a piece: harmony with voice leading, bass, comping, melody and drums on a grid of beats."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .plan import Piece
from .styles import MELODY_RHYTHMS, STYLES, Layer, Style

_SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}

# Substitutes of a chord if the valence of a bar is lower (in major) or higher (in minor) than that of the piece.
_DARKER, _BRIGHTER = {0: 5, 3: 1, 4: 2}, {0: 2, 3: 5, 4: 6}


class Note(NamedTuple):
    """A note or chord: start and duration in seconds, MIDI pitches, and velocity (at most 1)."""

    time: float
    seconds: float
    pitches: tuple[int, ...]
    velocity: float


class Hit(NamedTuple):
    """A drum stroke: start in seconds, drum and velocity."""

    time: float
    drum: str
    velocity: float


@dataclass(frozen=True)
class Score:
    """Notes of each part (chords, pad, bass, lead), drum strokes, and beats of the clip in seconds."""

    parts: dict[str, list[Note]]
    hits: list[Hit]
    beats: NDArray[np.float64]


@dataclass(frozen=True)
class Moods:
    """Emotion over time relative to the mean of the clip, one value per second, in standard deviations."""

    arousal: NDArray[np.float64]
    valence: NDArray[np.float64]

    def at(self, seconds: float) -> tuple[float, float]:
        """Return arousal and valence at a time; constant beyond the ends."""
        k = min(max(int(seconds), 0), len(self.arousal) - 1)
        return float(self.arousal[k]), float(self.valence[k])


class _Grid:
    """Conversion of positions in beats to seconds, with swing."""

    def __init__(self, piece: Piece, style: Style, duration: float) -> None:
        count = int(np.ceil(duration * piece.tempo / 60.0 * 1.1)) + 2 * style.steps // 4 + 2
        place = np.arange(count) - piece.start
        period = 60.0 / piece.tempo
        # The period changes linearly; the time of a beat is its integral.
        total = duration / period
        self.times = period * (place - piece.drift * place * (place / total - 1.0) / 2.0)
        self._list = self.times.tolist()
        self.swing = style.swing
        self.bars = (count - 1) * 4 // style.steps

    def time(self, bar: int, step: float, steps: int) -> float:
        beat, part = divmod(bar * steps + step, 4)
        part /= 4.0
        if part < 0.5:
            part *= 2.0 * self.swing
        else:
            part = self.swing + (part - 0.5) * 2.0 * (1.0 - self.swing)
        k = min(int(beat), len(self._list) - 2)
        return self._list[k] + (beat - k + part) * (self._list[k + 1] - self._list[k])


def compose(piece: Piece, *, duration: float, moods: Moods, jitter: float, rng: np.random.Generator) -> Score:
    """Compose a piece.

    Parameters
    ----------
    piece : Piece
        Properties of the piece.
    duration : float
        Duration of the clip in seconds.
    moods : Moods
        Emotion over time relative to the mean of the piece.
    jitter : float
        Standard deviation of the players' timing in seconds.
    rng : numpy.random.Generator
        Generator of everything random.

    Returns
    -------
    Score
        Notes that sound in the clip, which may start before it, and the quarter notes in [0, duration).
    """
    style = STYLES[piece.style]
    grid = _Grid(piece, style, duration)
    band = _Band(piece, style, grid, jitter, rng)
    for bar in range(grid.bars):
        begin = grid.time(bar, 0, style.steps)
        if begin >= duration:
            break
        band.play(bar, *moods.at(begin + 0.5 * style.steps / 4 * 60.0 / piece.tempo))
    beats = grid.times[(grid.times >= 0.0) & (grid.times < duration)]
    return Score(parts=band.parts, hits=band.hits, beats=beats)


class _Band:
    """The players, with their state from bar to bar."""

    def __init__(self, piece: Piece, style: Style, grid: _Grid, jitter: float, rng: np.random.Generator) -> None:
        self.piece, self.style, self.grid, self.rng = piece, style, grid, rng
        self.steps = style.steps
        self.parts: dict[str, list[Note]] = {"chords": [], "pad": [], "bass": [], "lead": []}
        self.hits: list[Hit] = []
        self.voicing: tuple[int, ...] = ()
        self.scale = _SCALES[piece.mode]
        self.place = 0
        self.jitter = jitter
        # Rhythms repeat: one is used for the third bar of a phrase, another for the other bars.
        self.rhythms = [self._draw_rhythm(0.0) for _ in range(2)]
        self.steps_of_melody = rng.integers(-2, 3, size=(2, 16))
        self.push = {part: 0.0015 * rng.standard_normal() for part in ("chords", "pad", "bass", "lead", "drums")}
        self.intro_bars = int(np.ceil(piece.intro * 4 / style.steps))
        self.shade = rng.random(64)

    def play(self, bar: int, arousal: float, valence: float) -> None:
        """Compose one bar; emotion is relative to the mean of the piece."""
        density = self.piece.density + 0.25 * arousal
        loud = 10.0 ** (1.0 * arousal / 20.0)
        quiet = bar < self.intro_bars
        degree = self._degree(bar, valence)
        following = self._degree(bar + 1, valence)
        chord = self._chord(degree)
        self._voice(chord, valence)
        self._comp(bar, density - (0.3 if quiet else 0.0), loud * (0.7 if quiet else 1.0))
        if self.piece.pad or quiet:
            self._note("pad", bar, 0, self.steps, self.voicing, 0.8 * loud, 1.0)
        if self.piece.bass and not quiet:
            self._bass(bar, chord[0], self._chord(following)[0], density, loud)
        if self.piece.lead:
            self._melody(bar, chord, valence, loud)
        if self.piece.drums and not quiet:
            self._drums(bar, density, loud, crash=bar == self.intro_bars and bar > 0)

    def _degree(self, bar: int, valence: float) -> int:
        progression = self.piece.progressions[(bar // 8) % 2]
        degree = progression[bar % len(progression)]
        change = 0.25 * abs(valence)
        if self.shade[bar % len(self.shade)] < change:
            if self.piece.mode == "major" and valence < 0:
                degree = _DARKER.get(degree, degree)
            if self.piece.mode == "minor" and valence > 0:
                degree = _BRIGHTER.get(degree, degree)
        return degree

    def _chord(self, degree: int) -> tuple[int, ...]:
        """Return the pitch classes of a chord, root first."""
        size = 4 if self.style.sevenths else 3
        tones = [self.scale[(degree + 2 * k) % 7] for k in range(size)]
        if self.piece.mode == "minor" and degree == 4:
            tones[1] = 11  # the dominant in minor has the leading note
        return tuple((t + self.piece.key) % 12 for t in tones)

    def _voice(self, chord: tuple[int, ...], valence: float) -> None:
        """Choose the close voicing with the smallest movement from the last chord."""
        centre = 62 + self.piece.register // 2
        best, cost = self.voicing, np.inf
        for inversion in range(len(chord)):
            order = chord[inversion:] + chord[:inversion]
            for octave in (-12, 0, 12):
                low = centre - 6 + octave + (order[0] - centre + 6) % 12
                pitches = [low]
                for tone in order[1:]:
                    pitches.append(pitches[-1] + 1 + (tone - pitches[-1] - 1) % 12)
                drift = 0.6 * abs(float(np.mean(pitches)) - centre) * len(chord)
                moves = sum(abs(p - q) for p, q in zip(pitches, self.voicing, strict=False)) + drift
                if moves < cost:
                    best, cost = tuple(pitches), moves
        if self.rng.random() < self.piece.dissonance - 0.1 * valence * (self.piece.dissonance > 0):
            best = (*best[:-1], best[-1] + 1)
        self.voicing = best

    def _layers(self, layers: tuple[Layer, ...], bar: int, density: float) -> list[tuple[str, int, str]]:
        """List instrument, step and character of everything played in a bar."""
        out = []
        for layer in layers:
            if layer.floor <= density < layer.ceiling:
                offset = (bar * self.steps) % len(layer.pattern)
                for step, char in enumerate(layer.pattern[offset : offset + self.steps]):
                    if char != ".":
                        out.append((layer.instrument, step, char))
        return out

    def _note(
        self,
        part: str,
        bar: int,
        step: float,
        length: float,
        pitches: tuple[int, ...],
        velocity: float,
        legato: float,
    ) -> None:
        begin = self.grid.time(bar, step, self.steps)
        end = self.grid.time(bar, step + length, self.steps)
        human = self.push[part] + self.jitter * self.rng.standard_normal()
        strength = max(0.1, velocity * (1.0 + 0.09 * self.rng.standard_normal()))
        self.parts[part].append(Note(begin + human, max(0.06, (end - begin) * legato), pitches, strength))

    def _comp(self, bar: int, density: float, loud: float) -> None:
        events = self._layers(self.style.chords, bar, density)
        kind = self.style.comping
        upward = (0, 2, 1, 2) if len(self.voicing) == 3 else (0, 2, 1, 3, 2, 1, 3, 2)
        for k, (_, step, char) in enumerate(events):
            following = events[k + 1][1] if k + 1 < len(events) else self.steps
            length = following - step
            velocity = int(char) / 9.0 * loud
            pitches = self.voicing
            if kind == "arpeggio" and step % 8 != 0:
                pitches = (self.voicing[upward[k % len(upward)]],)
                length = 4
            elif kind == "arpeggio":
                length = 8
            self._note("chords", bar, step, length, pitches, velocity, min(1.0, self.piece.legato + 0.1))

    def _bass(self, bar: int, root: int, following: int, density: float, loud: float) -> None:
        low = 31 + (root - 31) % 12
        low = low - 12 if low > 40 else low
        low = low + 12 if low < 28 else low
        target = low + (following - root + 6) % 12 - 6
        events = sorted(self._layers(self.style.bass, bar, density), key=lambda e: e[1])
        for k, (_, step, char) in enumerate(events):
            length = (events[k + 1][1] if k + 1 < len(events) else self.steps) - step
            pitch = low
            if char == "5":
                pitch = low + (7 if low < 36 else -5)
            elif char == "O":
                pitch = low + 12
            elif char == "W":
                pitch = (
                    target + int(self.rng.choice((-1, 1, 2, -2)))
                    if step >= 8
                    else low + int(self.rng.choice((3, 4, 5)))
                )
            accent = 1.0 if step % 4 == 0 else 0.78
            self._note("bass", bar, step, length, (pitch,), accent * loud, min(1.0, self.piece.legato + 0.1))

    def _draw_rhythm(self, extra: float) -> str:
        middle = (self.piece.density + extra) * (len(MELODY_RHYTHMS) - 1)
        return MELODY_RHYTHMS[
            int(np.clip(round(middle + 1.8 * self.rng.standard_normal()), 0, len(MELODY_RHYTHMS) - 1))
        ]

    def _melody(self, bar: int, chord: tuple[int, ...], valence: float, loud: float) -> None:
        phrase = bar % 4
        if phrase == 0 and bar and bar % 8 == 0:
            self.rhythms = [self._draw_rhythm(0.0) for _ in range(2)]
        rhythm = self.rhythms[1 if phrase == 2 else 0]
        if phrase == 3 and self.rng.random() < 0.7:
            rhythm = MELODY_RHYTHMS[int(self.rng.integers(0, 3))]
        places = [k for k, char in enumerate(rhythm[: self.steps]) if char != "."]
        centre = 71 + self.piece.register
        contour = self.steps_of_melody[1 if phrase == 2 else 0]
        for k, step in enumerate(places):
            # Happy melodies rise, sad ones fall (Gabrielsson and Lindström 2010, table 14.2).
            drift = 0.3 * np.sign(valence) if self.rng.random() < 0.5 else 0.0
            self.place += int(contour[step]) + round(drift)
            self.place = int(np.clip(self.place, -5, 6))
            degree, octave = self.place % 7, self.place // 7
            pitch = 60 + self.piece.key + self.scale[degree] + 12 * octave
            pitch += 12 * round((centre - 60 - self.piece.key - 5) / 12.0)
            if step % 8 == 0:
                pitch += min(((c - pitch + 6) % 12 - 6 for c in chord), key=abs)
            length = (places[k + 1] if k + 1 < len(places) else self.steps) - step
            velocity = int(rhythm[step]) / 9.0 * loud
            self._note("lead", bar, step, length, (pitch,), velocity, self.piece.legato)

    def _drums(self, bar: int, density: float, loud: float, *, crash: bool) -> None:
        fill = bar % 4 == 3 and self.rng.random() < 0.25 + 0.5 * density
        cut = self.steps - (4 if self.rng.random() < 0.6 else 8) if fill else self.steps
        for drum, step, char in self._layers(self.style.drums, bar, density):
            if step < cut or drum == "kick":
                self._hit(bar, step, drum, int(char) / 9.0 * loud)
        if fill:
            stride = 1 if density > 0.6 and self.piece.tempo < 140 else 2
            for step in range(cut, self.steps, stride):
                drum = ("snare", "high_tom", "low_tom")[min(2, 3 * (step - cut) // max(1, self.steps - cut))]
                self._hit(bar, step, drum, (0.5 + 0.4 * (step - cut) / max(1, self.steps - cut)) * loud)
        if crash or (bar and bar % 8 == 0 and density > 0.45):
            self._hit(bar, 0, "crash", 0.8 * loud)

    def _hit(self, bar: int, step: int, drum: str, velocity: float) -> None:
        time = self.grid.time(bar, step, self.steps) + self.push["drums"]
        # The drummer's timing is more precise than that of the other players.
        time += 0.6 * self.jitter * self.rng.standard_normal()
        self.hits.append(Hit(time, drum, max(0.05, velocity * (1.0 + 0.08 * self.rng.standard_normal()))))
