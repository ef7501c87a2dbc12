"""Made-up electronic music with known beats: programmed drums, bass, stabs and arpeggios on a grid of sixteenths.

Many of the patterns group sixteenths by threes (3-3-2, dotted echoes, accents of arpeggios across the bar), as produced
dance music does. A tracker that follows such groups takes two thirds or four thirds of the tempo.
"""

from __future__ import annotations

import numpy as np
import pretty_midi

# Sixteenths of a bar at which each part plays; a pattern of another length repeats across the bar.
_KICK = ([0, 4, 8, 12], [0, 10], [0, 2, 10], [0, 3, 6, 10, 13], [0, 7, 10], [0, 6, 7, 14], [0, 3, 8, 11], [0, 8, 11])
_SNARE = ([4, 12], [4, 12], [4, 12], [8], [3, 6, 11, 14], [4, 7, 9, 12, 15], [])
_HAT = ([2, 6, 10, 14], list(range(0, 16, 2)), list(range(16)), [0, 3, 6, 8, 11, 14], [2, 5, 8, 10, 13], [])
_BASS = (
    [2, 6, 10, 14],
    [0, 3, 6, 8, 11, 14],
    [0, 3, 6, 9, 12, 14],
    [0],
    [0, 6, 12],
    [0, 1, 3, 6, 7, 9, 10, 14],
    [0, 8],
)
_STAB = ([0, 3, 6, 10, 12], [3, 6, 11, 14], [2, 6, 10, 14], [0, 6, 12], [0, 7], [4, 12], [])
_ARPEGGIO = ((16, 1), (16, 2), (3, 1), (3, 3), (6, 3), (12, 3), (5, 5))
_CHORDS = ((0, 3, 7), (-4, 0, 3), (-2, 2, 5), (-5, -1, 2), (5, 8, 12), (3, 7, 10))
_LEADS, _BASSES, _PADS = (81, 80, 87, 90, 4, 11, 38), (38, 39, 33, 87), (89, 90, 50, 91)


def electronic(number: int, seconds: float) -> tuple[pretty_midi.PrettyMIDI, np.ndarray, float]:
    """Make a piece from its number; returns it with its beats and tempo."""
    rng = np.random.default_rng(number)
    bpm = float(rng.integers(85, 196))
    sixteenth = 15.0 / bpm
    offset = float(rng.uniform(0.0, 1.0))
    piece = pretty_midi.PrettyMIDI(resolution=960)
    drums = pretty_midi.Instrument(int(rng.choice([0, 24, 25, 16])), is_drum=True)
    bass, lead, stab, pad = (
        pretty_midi.Instrument(int(rng.choice(programs))) for programs in (_BASSES, _LEADS, _LEADS, _PADS)
    )
    root = int(rng.integers(36, 48))
    chords = [_CHORDS[k] for k in rng.integers(0, len(_CHORDS), 4)]
    change = int(rng.choice([1, 1, 2, 4]))
    parts = {
        name: patterns[rng.integers(len(patterns))]
        for name, patterns in (("kick", _KICK), ("snare", _SNARE), ("hat", _HAT), ("bass", _BASS), ("stab", _STAB))
    }
    cycle, gap = _ARPEGGIO[rng.integers(len(_ARPEGGIO))]
    echo = rng.random() < 0.4

    def add(track: pretty_midi.Instrument, step: int, pitch: int, velocity: float, length: float = 0.9) -> None:
        begin = offset + step * sixteenth + max(rng.normal(0.0, 0.002), -0.004)
        velocity = int(np.clip(velocity + rng.normal(0, 4), 10, 127))
        track.notes.append(pretty_midi.Note(velocity, pitch, max(begin, 0.0), begin + length * sixteenth))

    bars = int(seconds / (16 * sixteenth)) + 1
    section = np.ones(5, bool)
    for bar in range(bars):
        if bar % 8 == 0:
            section = rng.random(5) < 0.8
            section[0] |= not section[1:].any()
        chord = chords[bar // change % len(chords)]
        if bar % change == 0:
            for pitch in chord:
                add(pad, 16 * bar, root + 12 + pitch, 60, 16 * change)
        for position in range(16):
            step = 16 * bar + position
            for name, note, level, index in (("kick", 36, 115, 0), ("snare", 38, 100, 1), ("hat", 42, 70, 2)):
                if section[index] and position in parts[name]:
                    add(drums, step, note, level)
            if section[3] and position in parts["bass"]:
                add(bass, step, root + chord[0], 105, 1.5)
            if section[4] and position in parts["stab"]:
                for pitch in chord:
                    add(stab, step, root + 24 + pitch, 80)
            if step % gap == 0 and (gap > 1 or section[4]):
                level = 95 if step % cycle == 0 else 65
                pitch = root + 24 + chord[step // gap % 3]
                add(lead, step, pitch, level)
                if echo:
                    add(lead, step + 3, pitch, level - 30)
    piece.instruments.extend([drums, bass, lead, stab, pad])
    beats = offset + np.arange(0.0, seconds - offset, 4 * sixteenth)
    return piece, beats, bpm
