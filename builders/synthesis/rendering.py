"""Rendering of planned clips: notes are rendered and mixed, then room, equaliser and level are applied."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter, oaconvolve

from .drums import render_kit
from .plan import ClipPlan, Piece, Production, plan_piece, plan_production
from .score import Moods, Note, compose
from .styles import STYLES
from .voices import VOICES, Float32, Voice, hertz, tone

# Standard deviations of true emotion by which its movement in a clip is divided.
_AROUSAL_UNIT, _VALENCE_UNIT = 0.15, 0.11

# Second number of the seed of an excerpt; 0 and 1 are those of the two corpora.
_EXCERPT = 2

# Difference in treble between brightness 0 and 1 in decibels.
_TREBLE = 10.0

# Level of each part in decibels, and its position from -1 (left) to 1 (right).
_MIX = {"chords": (-3.0, -0.5), "pad": (-11.0, 0.3), "bass": (0.0, 0.0), "lead": (-2.0, 0.4)}


@dataclass(frozen=True)
class Rendered:
    """Audio, shape (n,) or (n, 2), in [-1, 1], and times of all beats in seconds."""

    audio: Float32
    beats: NDArray[np.float64]


def render(plan: ClipPlan) -> Rendered:
    """Render a planned clip; the result depends on the plan only."""
    arousal, valence = np.array(plan.arousal), np.array(plan.valence)
    moods = Moods((arousal - arousal.mean()) / _AROUSAL_UNIT, (valence - valence.mean()) / _VALENCE_UNIT)
    return _render(plan.piece, plan.production, moods, plan.duration, plan.sample_rate, plan.stereo, plan.seed)


def render_excerpt(
    *, tempo: float, style: str, drums: bool, duration: float, seed: int, sample_rate: int = 22050
) -> Rendered:
    """Render a piece of constant tempo, for the evaluation of beat trackers.

    Parameters
    ----------
    tempo : float
        Quarter notes per minute, 30 to 300.
    style : str
        A key of `STYLES`.
    drums : bool
        Whether there are drums.
    duration : float
        Duration in seconds, at least 1.
    seed : int
        Seed of the piece.
    sample_rate : int
        Sample rate in hertz.

    Returns
    -------
    Rendered
        Mono audio; `beats` are the quarter notes.

    Raises
    ------
    ValueError
        If the style is unknown, or a number is out of range.
    """
    if style not in STYLES:
        raise ValueError(f"style must be one of {', '.join(STYLES)}, not {style!r}")
    if not 30.0 <= tempo <= 300.0:
        raise ValueError(f"tempo must be between 30 and 300, not {tempo!r}")
    if not 1.0 <= duration <= 3600.0:
        raise ValueError(f"duration must be between 1 and 3600, not {duration!r}")
    if not 8000 <= sample_rate <= 96000:
        raise ValueError(f"sample_rate must be between 8000 and 96000, not {sample_rate!r}")
    if seed < 0:
        raise ValueError(f"seed must be at least 0, not {seed!r}")
    root = (seed, _EXCERPT, list(STYLES).index(style))
    rng = np.random.default_rng(root)
    z = rng.standard_normal(2)
    production = plan_production(z, rng, seed=(*root, 1), style=style)
    piece = plan_piece(z, production, rng, style=style, tempo=tempo, drums=drums)
    # Listeners tap sparse music without bass at half the tempo, so the beat must be played.
    piece = replace(piece, bass=True, density=max(piece.density, 0.36))
    still = Moods(np.zeros(1), np.zeros(1))
    return _render(piece, production, still, duration, sample_rate, False, (*root, 2))


def _render(
    piece: Piece,
    production: Production,
    moods: Moods,
    duration: float,
    sample_rate: int,
    stereo: bool,
    seed: tuple[int, ...],
) -> Rendered:
    rng = np.random.default_rng(seed)
    score = compose(piece, duration=duration, moods=moods, jitter=production.jitter, rng=rng)
    count = round(duration * sample_rate)
    noise = rng.standard_normal(2 * sample_rate).astype(np.float32)
    channels = [np.zeros(count, dtype=np.float32) for _ in range(2 if stereo else 1)]

    def place(track: Float32, decibels: float, pan: float) -> None:
        gain = 10.0 ** (decibels / 20.0)
        if not stereo:
            channels[0] += np.float32(gain) * track
            return
        angle = np.pi / 4 * (1.0 + pan * production.width)
        channels[0] += np.float32(gain * np.cos(angle)) * track
        channels[1] += np.float32(gain * np.sin(angle)) * track

    voices = {
        "chords": VOICES[production.chord_voice],
        "pad": VOICES["pad"],
        "bass": VOICES[production.bass_voice],
        "lead": VOICES[production.lead_voice],
    }
    levels = {
        "chords": production.chord_level,
        "pad": production.chord_level,
        "bass": production.bass_level,
        "lead": production.lead_level,
    }
    strum = 0.012 if STYLES[piece.style].comping == "strum" else 0.0
    for part, notes in score.parts.items():
        if not notes:
            continue
        track = _play(
            notes,
            voices[part],
            count=count,
            sample_rate=sample_rate,
            tuning=production.tuning,
            brightness=piece.brightness,
            strum=strum if part == "chords" else 0.0,
            noise=noise,
        )
        if part == "chords" and production.drive > 0.05:
            amount = np.float32(1.0 + 14.0 * production.drive**2)
            track = np.tanh(track * amount) * np.float32(0.45 / np.sqrt(amount))
        place(track, _MIX[part][0] + levels[part], _MIX[part][1])
    if score.hits:
        kit = render_kit(
            production.kit,
            pitch=production.drum_pitch,
            brightness=production.drum_brightness,
            rng=np.random.default_rng(production.seed),
            sample_rate=sample_rate,
        )
        track = np.zeros(count, dtype=np.float32)
        for time, drum, velocity in score.hits:
            _add(track, kit[drum], round(time * sample_rate), velocity)
        place(track, -3.0 + production.drum_level, 0.0)
    audio = _master(channels, piece, production, moods, sample_rate, noise)
    return Rendered(audio=audio, beats=score.beats)


def _add(track: Float32, sound: Float32, start: int, gain: float) -> None:
    """Mix in a sound, cut at the ends of the clip."""
    begin, end = max(0, start), min(len(track), start + len(sound))
    if end > begin:
        track[begin:end] += np.float32(gain) * sound[begin - start : end - start]


def _play(
    notes: list[Note],
    voice: Voice,
    *,
    count: int,
    sample_rate: int,
    tuning: float,
    brightness: float,
    strum: float,
    noise: Float32,
) -> Float32:
    """Mix the notes of a part; each chord or pitch is rendered once, with its longest duration."""
    release = max(2, int(voice.release * sample_rate))
    longest: dict[tuple[int, ...], float] = {}
    for note in notes:
        longest[note.pitches] = max(longest.get(note.pitches, 0.0), note.seconds)
    fade = (0.5 + 0.5 * np.cos(np.pi * np.arange(release) / release)).astype(np.float32)
    sounds = {}
    single: dict[int, Float32] = {}
    for pitches, seconds in longest.items():
        length = seconds + (release + 2) / sample_rate
        lag = round(strum * sample_rate)
        total = np.zeros(round(length * sample_rate) + lag * (len(pitches) - 1), dtype=np.float32)
        for k, pitch in enumerate(pitches):
            sound = single.get(pitch)
            if sound is None or len(sound) < round(length * sample_rate):
                sound = tone(
                    voice,
                    hertz(pitch + 12 * voice.octave, tuning),
                    length,
                    sample_rate=sample_rate,
                    brightness=brightness,
                    noise=noise,
                )
                single[pitch] = sound
            _add(total, sound[: round(length * sample_rate)], k * lag, 1.0)
        # Chords are hardly louder than single notes.
        total *= np.float32(len(pitches) ** -0.5)
        sounds[pitches] = total
    track = np.zeros(count, dtype=np.float32)
    for note in notes:
        sound = sounds[note.pitches]
        # Players of instruments with a slow attack start early.
        start = round((note.time - 0.4 * voice.attack) * sample_rate)
        held = min(round(note.seconds * sample_rate), len(sound) - release)
        _add(track, sound[:held], start, note.velocity)
        _add(track, sound[held : held + release] * fade, start + held, note.velocity)
    return track


def _impulse(production: Production, sample_rate: int, channel: int) -> Float32:
    """Make the impulse response of the room and equaliser of an album."""
    rng = np.random.default_rng((*production.seed, 7, channel))
    count = int(production.reverb_seconds * sample_rate)
    tail = rng.standard_normal(count) * np.exp(-6.9 * np.arange(count) / count)
    tail[: int(0.012 * sample_rate)] *= 0.1
    # Air and walls absorb treble.
    tail = np.asarray(lfilter([0.45], [1.0, -0.55], tail))
    tail *= production.reverb_wet / np.sqrt(np.sum(tail**2))
    size = 512
    frequency = np.fft.rfftfreq(size, 1.0 / sample_rate)
    octaves = np.clip(np.log2(np.maximum(frequency, 30.0) / 800.0), -3.5, 3.5)
    gain = 10.0 ** (production.tilt * octaves / 7.0 / 20.0)
    curve = np.roll(np.fft.irfft(gain, n=size), size // 2) * np.hanning(size)
    dry = np.zeros(count + size)
    dry[0] = 1.0
    dry[:count] += tail
    return oaconvolve(dry, curve)[size // 2 :][: count + size // 2].astype(np.float32)


def _master(
    channels: list[Float32],
    piece: Piece,
    production: Production,
    moods: Moods,
    sample_rate: int,
    noise: Float32,
) -> Float32:
    """Apply room, equaliser, movement of brightness and loudness, level, noise floor and soft clipping."""
    count = len(channels[0])
    wet = [oaconvolve(x, _impulse(production, sample_rate, k))[:count] for k, x in enumerate(channels)]
    # Not a dot product, because the last bits of BLAS results depend on the number of threads.
    power = sum(float(np.mean(np.square(x), dtype=np.float64)) for x in wet) / len(wet)
    level = 10.0 ** (piece.level / 20.0) / max(np.sqrt(power), 1e-6)
    # Louder playing sounds brighter, on drums too.
    treble = _automation(_TREBLE * (piece.brightness - 0.5) + 2.0 * moods.arousal, count, sample_rate)
    gain = _automation(20.0 * np.log10(level) + 1.5 * moods.arousal, count, sample_rate)
    pole = np.exp(-2.0 * np.pi * 1200.0 / sample_rate)
    numerator, denominator = np.array([1.0 - pole], np.float32), np.array([1.0, -pole], np.float32)
    out = []
    for k, x in enumerate(wet):
        low = np.asarray(lfilter(numerator, denominator, x))
        y = (low + treble * (x - low)) * gain
        y = y + np.float32(10.0 ** (production.noise / 20.0)) * np.roll(np.resize(noise, count), 5000 * k)
        # Soft clipping keeps samples below full scale.
        out.append(np.float32(0.98) * np.tanh(y / np.float32(0.98)))
    return out[0].astype(np.float32) if len(out) == 1 else np.stack(out, axis=1).astype(np.float32)


def _automation(decibels: NDArray[np.float64], count: int, sample_rate: int) -> Float32:
    """Interpolate gains that are given for the middle of each second."""
    if len(decibels) == 1:
        return np.full(count, 10.0 ** (decibels[0] / 20.0), dtype=np.float32)
    # A hundred points per second are smooth enough, and cheaper than a power for every sample.
    block = max(1, sample_rate // 100)
    point = np.arange(0, count + block, block) / sample_rate
    value = 10.0 ** (np.interp(point, np.arange(len(decibels)) + 0.5, decibels) / 20.0)
    rise = np.diff(value)[:, None] * (np.arange(block) / block)
    return (value[:-1, None] + rise).astype(np.float32).ravel()[:count]
