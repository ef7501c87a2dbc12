"""Planning of a corpus: albums, emotion over time, and properties of each piece.

The dependence of the music on emotion follows reviews of experiments: Gabrielsson and Lindström, "The role of structure
in the musical expression of emotions" (Handbook of Music and Emotion, 2010), and Juslin and Laukka, "Communication of
emotions in vocal expression and music performance" (Psychological Bulletin 129(5), 2003). Arousal increases tempo,
loudness, brightness, note density and staccato. Valence favours the major mode, consonance, a higher register and
lighter rhythms. All properties also vary between albums and pieces independently of emotion.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from .config import SynthesisConfig
from .styles import PROGRESSIONS, STYLES

# First numbers after the seed of the corpus, so that different purposes have different random streams.
_LABELLED, _PRETRAIN, _ALBUM, _PIECE, _EMOTION, _GROUPING = range(6)

# The MoodSwings Turk clips have 199 albums, of which 39 have two clips and 1 has three, and 156 artists, of whom 30
# have two albums, 5 three and 1 four.
_REAL_CLIPS, _REAL_ALBUMS, _REAL_ARTISTS = 240, 199, 156

_COLOURS = (
    "Amber", "Ashen", "Azure", "Copper", "Crimson", "Dusty", "Electric", "Fading", "Gentle", "Golden",
    "Hollow", "Ivory", "Jade", "Lunar", "Marble", "Northern", "Paper", "Quiet", "Restless", "Silver",
    "Slow", "Velvet", "Wandering", "Winter",
)  # fmt: skip
_THINGS = (
    "Anchors", "Bridges", "Cedars", "Circuits", "Comets", "Engines", "Fields", "Foxes", "Gardens",
    "Harbours", "Islands", "Kites", "Lanterns", "Meadows", "Mirrors", "Oceans", "Orchards", "Rivers",
    "Signals", "Sparrows", "Stations", "Tides",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Production:
    """Properties that the clips of an album share: players, instruments, room and mix.

    Levels are in decibels, and `tuning` is in cents. `reverb_seconds` is the reverberation time (60 dB), `tilt` the
    gain of treble relative to bass, `noise` the noise floor relative to full scale, `drive` the distortion of the
    chords from 0 to 1, `width` the width of the panning, and `jitter` the standard deviation of the players' timing in
    seconds.
    """

    seed: tuple[int, ...]
    style: str
    kit: str
    chord_voice: str
    lead_voice: str
    bass_voice: str
    tuning: float
    tilt: float
    reverb_seconds: float
    reverb_wet: float
    noise: float
    drive: float
    level: float
    brightness: float
    drum_level: float
    bass_level: float
    chord_level: float
    lead_level: float
    drum_pitch: float
    drum_brightness: float
    width: float
    jitter: float


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Properties of a piece, before its emotion changes over time.

    `tempo` is in quarter notes per minute, `drift` the relative change of tempo from start to end, `start` the position
    in the first bar at which the clip begins in beats, `key` the pitch class of the tonic, and `intro` the number of
    beats before drums and bass. `brightness`, `density`, `legato` and `dissonance` are from 0 to 1, `register` is in
    semitones, and `level` in decibels relative to full scale.
    """

    style: str
    tempo: float
    drift: float
    start: float
    key: int
    mode: str
    progressions: tuple[tuple[int, ...], tuple[int, ...]]
    drums: bool
    bass: bool
    lead: bool
    pad: bool
    intro: int
    brightness: float
    density: float
    legato: float
    dissonance: float
    register: int
    level: float


@dataclass(frozen=True, kw_only=True)
class ClipPlan:
    """Plan of a clip, which determines its audio.

    `arousal` and `valence` are the true emotion in [-0.5, 0.5], one value per second: item k applies to the music from
    second k to k + 1, which is second k + 1 of the labels. `duration` is in seconds.
    """

    clip_id: str
    song_id: int
    artist: str
    album: str
    title: str
    duration: float
    sample_rate: int
    stereo: bool
    production: Production
    piece: Piece
    arousal: tuple[float, ...]
    valence: tuple[float, ...]
    seed: tuple[int, ...]


def plan_labelled(config: SynthesisConfig) -> list[ClipPlan]:
    """Plan the labelled clips.

    The four quadrants have the same number of clips, and clips are distributed over albums and artists as in the
    MoodSwings Turk data.
    """
    return _plan(config, _LABELLED, config.n_clips, config.clip_seconds)


def plan_pretrain(config: SynthesisConfig) -> list[ClipPlan]:
    """Plan the clips for pre-training, on other albums than the labelled ones."""
    return _plan(config, _PRETRAIN, config.n_pretrain, config.pretrain_seconds)


def _plan(config: SynthesisConfig, corpus: int, count: int, seconds: int) -> list[ClipPlan]:
    if count == 0:
        return []
    root = (config.seed, corpus)
    albums, artists = _draw_albums(count, np.random.default_rng((*root, _GROUPING)))
    curves = _emotion(config, root, albums, seconds)
    z = curves.mean(axis=2) / (config.arousal_sd, config.valence_sd)
    productions = {}
    for album in range(albums.max() + 1):
        rng = np.random.default_rng((*root, _ALBUM, album))
        productions[album] = plan_production(
            z[albums == album].mean(axis=0), rng, seed=(*root, _ALBUM, album, 1), noise=config.mapping_noise
        )
    prefix = "sp"[corpus]
    plans = []
    for index, album in enumerate(albums.tolist()):
        rng = np.random.default_rng((*root, _PIECE, index))
        production = productions[album]
        piece = plan_piece(z[index], production, rng, noise=config.mapping_noise)
        number = index + 1
        plans.append(
            ClipPlan(
                clip_id=f"{prefix}{number:04d}",
                song_id=corpus * 100_000 + number,
                artist=_name("The Synthetic {} {}", corpus, int(artists[album])),
                album=_name("{} {} (Synthetic Record {})", corpus, album),
                title=f"Synthetic {piece.style.capitalize()} No. {number}",
                duration=float(seconds),
                sample_rate=config.sample_rate,
                stereo=config.stereo,
                production=production,
                piece=piece,
                arousal=tuple(curves[index, 0].tolist()),
                valence=tuple(curves[index, 1].tolist()),
                seed=(*root, _PIECE, index, 1),
            )
        )
    return plans


def _name(pattern: str, corpus: int, number: int) -> str:
    # The step is coprime to the lengths of the lists, so that all pairs are used before one is repeated.
    code = number * 7 + corpus * 5
    first = _COLOURS[code % len(_COLOURS)]
    second = _THINGS[(code // len(_COLOURS) + number) % len(_THINGS)]
    if pattern.count("{}") == 3:
        return pattern.format(first, second, corpus * 1000 + number + 1)
    return f"{pattern.format(first, second)} {corpus * 1000 + number + 1}"


def _draw_albums(count: int, rng: np.random.Generator) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Draw the album of each clip and the artist of each album."""
    triples = round(count / _REAL_CLIPS)
    pairs = min(round(count * 39 / _REAL_CLIPS), (count - 3 * triples) // 2)
    sizes = [3] * triples + [2] * pairs + [1] * (count - 3 * triples - 2 * pairs)
    albums = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    n_artists = max(1, round(len(sizes) * _REAL_ARTISTS / _REAL_ALBUMS))
    extra = len(sizes) - n_artists
    four, three = round(extra / 43), round(extra * 5 / 43)
    works = np.ones(n_artists, dtype=int)
    more = [3] * four + [2] * three
    more += [1] * (extra - sum(more))
    for artist, albums_more in enumerate(more):
        works[artist % n_artists] += albums_more
    artists = rng.permutation(np.repeat(np.arange(n_artists), works))
    return albums, artists


def _emotion(
    config: SynthesisConfig, root: tuple[int, ...], albums: NDArray[np.intp], seconds: int
) -> NDArray[np.float64]:
    """Draw true emotion, shape (clips, 2, seconds)."""
    share = config.album_share
    means = np.empty((len(albums), 2))
    paths = np.empty((len(albums), 2, seconds))
    kernel = np.hanning(7)[1:-1]
    for index, album in enumerate(albums.tolist()):
        shared = np.random.default_rng((*root, _EMOTION, 0, album)).standard_normal(2)
        rng = np.random.default_rng((*root, _EMOTION, 1, index))
        means[index] = np.sqrt(share) * shared + np.sqrt(1.0 - share) * rng.standard_normal(2)
        walk = np.cumsum(rng.standard_normal((2, seconds + 4)), axis=1) * config.movement
        path = np.array([np.convolve(axis, kernel / kernel.sum(), mode="valid") for axis in walk])
        paths[index] = path - path.mean(axis=1, keepdims=True)
    # The published clips were chosen to fill the four quadrants equally, so both axes are split at the median.
    means[:, 0] -= np.median(means[:, 0])
    for half in (means[:, 0] > 0, means[:, 0] <= 0):
        if half.any():
            means[half, 1] -= np.median(means[half, 1])
    means *= (config.arousal_sd, config.valence_sd)
    return np.clip(means[:, :, None] + paths, -0.5, 0.5)


def _choose(rng: np.random.Generator, options: tuple[str, ...]) -> str:
    return options[int(rng.integers(len(options)))]


def _choose_style(z: NDArray[np.float64], rng: np.random.Generator) -> str:
    odds = np.array([s.affinity[0] + s.affinity[1] * z[0] + s.affinity[2] * z[1] for s in STYLES.values()])
    weights = np.exp(odds)
    return str(rng.choice(list(STYLES), p=weights / weights.sum()))


def plan_production(
    z: NDArray[np.float64],
    rng: np.random.Generator,
    *,
    seed: tuple[int, ...],
    noise: float = 1.0,
    style: str | None = None,
) -> Production:
    """Draw the production of an album.

    Parameters
    ----------
    z : ndarray, shape (2,)
        Mean arousal and valence of the album in standard deviations.
    rng : numpy.random.Generator
        Generator of everything random.
    seed : tuple of int
        Seed of the sounds of the album.
    noise : float
        Scale of the variation that is independent of emotion.
    style : str, optional
        Main style; by default drawn depending on emotion.
    """
    home = style or _choose_style(z, rng)
    data = STYLES[home]
    n = noise * rng.standard_normal(12)
    return Production(
        seed=seed,
        style=home,
        kit=_choose(rng, data.kits),
        chord_voice=_choose(rng, data.chord_voices),
        lead_voice=_choose(rng, data.lead_voices),
        bass_voice=_choose(rng, data.bass_voices),
        tuning=float(np.clip(8.0 * n[0], -35, 35)),
        tilt=float(np.clip(1.0 * z[1] + 2.3 * n[1], -8, 8)),
        reverb_seconds=float(np.clip(0.9 * np.exp(0.45 * n[2] - 0.1 * z[0]), 0.25, 2.5)),
        reverb_wet=float(np.clip(0.16 * np.exp(0.5 * n[3]), 0.03, 0.5)),
        noise=float(np.clip(-68.0 + 6.0 * n[4], -85, -48)),
        drive=float(np.clip(0.35 + 0.2 * z[0] + 0.2 * n[5], 0, 1)) if home == "rock" else 0.0,
        level=float(np.clip(1.6 * n[6], -5, 5)),
        brightness=float(np.clip(0.06 * n[7], -0.2, 0.2)),
        drum_level=float(np.clip(1.5 * n[8], -4, 4)),
        bass_level=float(np.clip(1.5 * n[9] - 0.8 * z[1], -4, 4)),
        chord_level=float(np.clip(1.5 * n[10], -4, 4)),
        lead_level=float(np.clip(1.5 * n[11], -4, 4)),
        drum_pitch=float(rng.uniform(0.85, 1.18)),
        drum_brightness=float(rng.uniform(0.1, 1.0)),
        width=float(rng.uniform(0.2, 0.9)),
        jitter=float(rng.uniform(0.002, 0.006)),
    )


def plan_piece(
    z: NDArray[np.float64],
    production: Production,
    rng: np.random.Generator,
    *,
    noise: float = 1.0,
    style: str | None = None,
    tempo: float | None = None,
    drums: bool | None = None,
) -> Piece:
    """Draw the properties of a piece depending on its emotion.

    Parameters
    ----------
    z : ndarray, shape (2,)
        Mean arousal and valence in standard deviations.
    production : Production
        Production of the album.
    rng : numpy.random.Generator
        Generator of everything random.
    noise : float
        Scale of the variation that is independent of emotion.
    style, tempo, drums : optional
        Fixed values; by default drawn. A fixed tempo does not drift, and with fixed `drums` there is no intro.
    """
    a, v = float(z[0]), float(z[1])
    n = noise * rng.standard_normal(9)
    u = rng.random(8)
    if style is None:
        style = production.style if u[0] < 0.75 else _choose_style(z, rng)
    data = STYLES[style]
    mode = "major" if 1.1 * v + 0.9 * n[0] > -0.1 else "minor"
    options = PROGRESSIONS[mode]
    first, second = rng.integers(len(options), size=2)
    density = float(np.clip(0.48 + 0.17 * a + 0.12 * n[1], 0.05, 1.0))
    has_drums = bool(u[1] < expit(data.drum_odds + 1.0 * a)) if drums is None else drums
    # Some clips begin with an intro without drums and bass.
    intro = int(rng.integers(4, 13)) if drums is None and u[2] < 0.12 else 0
    drift = 0.0 if tempo is not None or u[3] < 0.5 else float(0.012 * n[2] + 0.006 * a)
    if tempo is None:
        tempo = float(np.clip(data.tempo * np.exp(0.10 * a + 0.03 * v + 0.12 * n[3]), 56.0, 184.0))
    return Piece(
        style=style,
        tempo=float(tempo),
        drift=float(np.clip(drift, -0.04, 0.04)),
        start=float(u[4] * data.steps / 4.0),
        key=int(rng.integers(12)),
        mode=mode,
        progressions=(options[int(first)], options[int(second)]),
        drums=has_drums,
        bass=bool(u[5] < (0.97 if has_drums else 0.8)),
        lead=bool(u[6] < 0.8),
        pad=bool(u[7] < 0.35),
        intro=intro,
        brightness=float(np.clip(0.52 + 0.14 * a + 0.07 * v + 0.07 * n[4] + production.brightness, 0.05, 1.0)),
        density=density,
        legato=float(np.clip(0.75 - 0.12 * a - 0.08 * v + 0.12 * n[5], 0.25, 1.0)),
        dissonance=float(np.clip(0.08 - 0.09 * v + 0.03 * a + 0.05 * n[6], 0.0, 0.5)),
        register=round(float(np.clip(2.5 * v + 1.0 * a + 2.2 * n[7], -8, 9))),
        level=float(np.clip(-20.0 + 2.8 * a + 1.6 * n[8] + production.level, -34.0, -9.0)),
    )
