"""Styles of music as data: patterns of each instrument.

A pattern is a string with one character per sixteenth note. In drum and chord patterns, a digit is a velocity (9 is
loudest) and a dot is silence. In bass patterns, R is the root, 5 the fifth, O the octave, and W a step towards the next
chord. A pattern may be two bars long. It is played while the density of the piece is in [floor, ceiling), so that a
piece with higher arousal has more notes.
"""

from __future__ import annotations

from typing import NamedTuple


class Layer(NamedTuple):
    """Pattern of an instrument, and the range of densities in which it is played."""

    instrument: str
    pattern: str
    floor: float = -9.0
    ceiling: float = 9.0


class Style(NamedTuple):
    """A style of music.

    `steps` is the length of a bar in sixteenth notes, `swing` the position of the off-beat eighth in the beat, and
    `tempo` the median in beats per minute. `affinity` contains a constant and the coefficients of arousal and valence,
    in standard deviations, for the log odds of the style. `comping` is strum, stab, pad or arpeggio.
    """

    steps: int
    swing: float
    tempo: float
    affinity: tuple[float, float, float]
    drum_odds: float
    sevenths: bool
    comping: str
    kits: tuple[str, ...]
    chord_voices: tuple[str, ...]
    lead_voices: tuple[str, ...]
    bass_voices: tuple[str, ...]
    drums: tuple[Layer, ...]
    bass: tuple[Layer, ...]
    chords: tuple[Layer, ...]


_ROCK = Style(
    steps=16,
    swing=0.5,
    tempo=118.0,
    affinity=(0.2, 0.7, -0.7),
    drum_odds=2.5,
    sevenths=False,
    comping="strum",
    kits=("acoustic",),
    chord_voices=("guitar", "pluck", "organ", "guitar"),
    lead_voices=("saw", "guitar", "pluck", "organ"),
    bass_voices=("finger", "pick"),
    drums=(
        Layer("kick", "9.......8......."),
        Layer("kick", "......7...6.....", 0.45),
        Layer("kick", "..............6.", 0.8),
        Layer("snare", "....9.......9..."),
        Layer("snare", ".......2.2.....2", 0.65),
        Layer("hat", "7...6...7...6...", -9.0, 0.3),
        Layer("hat", "8.5.7.5.8.5.7.5.", 0.3, 0.85),
        Layer("open", "7...7...7...7...", 0.85),
        Layer("hat", "..5...5...5...5.", 0.85),
    ),
    bass=(
        Layer("bass", "R.......R.......", -9.0, 0.3),
        Layer("bass", "R...R...R.R.R...", 0.3, 0.55),
        Layer("bass", "R.R.R.R.R.R.R.5.", 0.55),
    ),
    chords=(
        Layer("chords", "8.......7.......", -9.0, 0.3),
        Layer("chords", "9...6.6...6.7...", 0.3, 0.55),
        Layer("chords", "9.6.8.6.9.6.8.6.", 0.55),
    ),
)

_BALLAD = Style(
    steps=16,
    swing=0.5,
    tempo=78.0,
    affinity=(0.1, -0.8, -0.5),
    drum_odds=0.2,
    sevenths=True,
    comping="arpeggio",
    kits=("acoustic", "brushes"),
    chord_voices=("piano", "epiano", "pluck", "piano"),
    lead_voices=("flute", "strings", "epiano", "pluck"),
    bass_voices=("finger", "upright"),
    drums=(
        Layer("kick", "8.......6......."),
        Layer("kick", "......4.........", 0.5),
        Layer("snare", "....6.......6..."),
        Layer("hat", "5...4...5...4...", -9.0, 0.35),
        Layer("hat", "6.4.5.4.6.4.5.4.", 0.35),
        Layer("hat", "...2...2...2...2", 0.75),
    ),
    bass=(
        Layer("bass", "R.......5.......", -9.0, 0.45),
        Layer("bass", "R.....R.5...R...", 0.45),
    ),
    chords=(
        Layer("chords", "8...5...6...5...", -9.0, 0.3),
        Layer("chords", "8.5.6.5.7.5.6.5."),
    ),
)

_DANCE = Style(
    steps=16,
    swing=0.5,
    tempo=122.0,
    affinity=(0.1, 0.8, 0.4),
    drum_odds=3.0,
    sevenths=False,
    comping="stab",
    kits=("electronic",),
    chord_voices=("saw", "organ", "square", "epiano"),
    lead_voices=("saw", "square", "epiano"),
    bass_voices=("synth", "pick"),
    drums=(
        Layer("kick", "9...9...9...9..."),
        Layer("clap", "....8.......8..."),
        Layer("open", "..5...5...5...5.", 0.3),
        Layer("hat", "..5...5...5...5.", -9.0, 0.3),
        Layer("hat", "6353635363536353", 0.6),
        Layer("snare", "..............35", 0.8),
    ),
    bass=(
        Layer("bass", "R...R...R...R...", -9.0, 0.35),
        Layer("bass", "R.R.R.R.R.R.R.O.", 0.35, 0.65),
        Layer("bass", "R.R.R.ROR.R.R.RO", 0.65),
    ),
    chords=(
        Layer("chords", "8.......8.......", -9.0, 0.35),
        Layer("chords", "9...7...9...7.7.", 0.35, 0.65),
        Layer("chords", "9.5.8.6.9...7.76", 0.65),
    ),
)

_SWING = Style(
    steps=16,
    swing=0.64,
    tempo=128.0,
    affinity=(-0.2, 0.1, 0.7),
    drum_odds=0.9,
    sevenths=True,
    comping="stab",
    kits=("brushes", "acoustic"),
    chord_voices=("piano", "epiano", "organ"),
    lead_voices=("flute", "square", "piano", "pluck"),
    bass_voices=("upright",),
    drums=(
        Layer("ride", "7...7.5.7...7.5."),
        Layer("hat", "....6.......6..."),
        Layer("kick", "4...3...4...3..."),
        Layer("snare", "....4.......4...", 0.45),
        Layer("snare", "......3.......4.", 0.65),
    ),
    bass=(
        Layer("bass", "R.......5.......", -9.0, 0.3),
        Layer("bass", "R...W...5...W...", 0.3),
    ),
    chords=(
        Layer("chords", "7.......6.......", -9.0, 0.3),
        Layer("chords", "8.....6.........8.....6.....5...", 0.3, 0.6),
        Layer("chords", "8.....6.....6.....6.....8.......", 0.6),
    ),
)

_BOSSA = Style(
    steps=16,
    swing=0.5,
    tempo=116.0,
    affinity=(-0.3, -0.4, 0.7),
    drum_odds=0.7,
    sevenths=True,
    comping="stab",
    kits=("brushes", "acoustic"),
    chord_voices=("pluck", "nylon", "epiano"),
    lead_voices=("flute", "nylon", "epiano", "square"),
    bass_voices=("upright", "finger"),
    drums=(
        Layer("kick", "7.....5.7.....5."),
        Layer("rim", "7.....6.....6.......6.....6.....", 0.25),
        Layer("hat", "6.3.5.3.6.3.5.3."),
        Layer("hat", "....4.......4...", 0.6),
    ),
    bass=(
        Layer("bass", "R.......5.......", -9.0, 0.3),
        Layer("bass", "R.....R.5.....5.", 0.3, 0.5),
        Layer("bass", "R...R.5.5...5.R.", 0.5),
    ),
    chords=(
        Layer("chords", "8.....6...7.....", -9.0, 0.35),
        Layer("chords", "8...6...7.6...6.6...8.6.7...6.6.", 0.35),
    ),
)

_FOLK = Style(
    steps=16,
    swing=0.52,
    tempo=104.0,
    affinity=(-0.1, -0.2, 0.5),
    drum_odds=-0.3,
    sevenths=False,
    comping="strum",
    kits=("acoustic", "brushes"),
    chord_voices=("pluck", "nylon", "piano"),
    lead_voices=("flute", "pluck", "strings"),
    bass_voices=("upright", "finger"),
    drums=(
        Layer("kick", "7.......7......."),
        Layer("shaker", "5.3.5.3.5.3.5.3."),
        Layer("snare", "....6.......6...", 0.4),
        Layer("kick", "......4.........", 0.6),
    ),
    bass=(
        Layer("bass", "R.......5......."),
        Layer("bass", "............W...", 0.55),
    ),
    chords=(
        Layer("chords", "8...6...7...6...", -9.0, 0.35),
        Layer("chords", "8...7.5...5.7.5.", 0.35, 0.65),
        Layer("chords", "8.5.8.5.8.5.8.56", 0.65),
    ),
)

_WALTZ = Style(
    steps=12,
    swing=0.52,
    tempo=118.0,
    affinity=(-0.8, -0.3, -0.2),
    drum_odds=-0.4,
    sevenths=False,
    comping="stab",
    kits=("brushes", "acoustic"),
    chord_voices=("piano", "nylon", "strings"),
    lead_voices=("strings", "flute", "piano"),
    bass_voices=("upright",),
    drums=(
        Layer("kick", "8..........."),
        Layer("snare", "....4...5...", 0.35),
        Layer("hat", "....5...5..."),
        Layer("hat", "..3...3...3.", 0.65),
    ),
    bass=(
        Layer("bass", "R...........", -9.0, 0.65),
        Layer("bass", "R.......W...", 0.65),
    ),
    chords=(
        Layer("chords", "3...7...6...", -9.0, 0.6),
        Layer("chords", "3...7.4.7.4.", 0.6),
    ),
)

STYLES: dict[str, Style] = {
    "rock": _ROCK,
    "ballad": _BALLAD,
    "dance": _DANCE,
    "swing": _SWING,
    "bossa": _BOSSA,
    "folk": _FOLK,
    "waltz": _WALTZ,
}

# Chord progressions as scale degrees, one per bar.
PROGRESSIONS: dict[str, tuple[tuple[int, ...], ...]] = {
    "major": (
        (0, 4, 5, 3),
        (0, 5, 3, 4),
        (0, 3, 0, 4),
        (0, 3, 4, 4),
        (3, 0, 4, 0),
        (0, 2, 3, 4),
        (1, 4, 0, 0),
        (1, 4, 0, 5),
    ),
    "minor": (
        (0, 5, 2, 6),
        (0, 6, 5, 4),
        (0, 3, 0, 4),
        (0, 3, 6, 2),
        (0, 0, 5, 6),
        (5, 6, 0, 0),
        (0, 3, 4, 0),
        (1, 4, 0, 0),
    ),
}

# Rhythms of melodies, from sparse to busy; in 3/4 time, the first three beats are used.
MELODY_RHYTHMS: tuple[str, ...] = (
    "8...............",
    "8.......6.......",
    "7...........6...",
    "8...6...7.......",
    "8.....6.7.......",
    "8...6...7...6...",
    "..6.7...8...6...",
    "8.5.7...8.......",
    "8.....5.7.5.6...",
    "8.5.7.5.8...6...",
    "..6.7.5...6.7.5.",
    "8.5.7.5.8.5.7.5.",
    "8.5.7.548.5.7.5.",
    "8.545.7.8.545.7.",
)
