"""Pitched instruments: notes by a wavetable whose spectrum changes as the note rings.

A note is read from a short sequence of single cycles. All partials are sines that start at phase zero, so
every cycle begins at nought and the spectrum may change from one cycle to the next without a click:
brightness, the faster decay of high partials (as on a string, Karplus and Strong, Computer Music Journal
7(2), 1983) and filter envelopes all cost one table look-up a sample.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft

_TABLE_BITS = 11
_TABLE = 1 << _TABLE_BITS

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Voice:
    """A timbre.

    `partials` are amplitudes of the first harmonics; where it is empty they fall as h**-slope, even ones
    scaled by `even`, with notches where the string is plucked (`pick`, as a fraction of its length, 0 for
    none). `decay` is the time constant of the fundamental in seconds (0 = sustained), `damping` how much
    faster each further harmonic dies, in 1/s. `attack` and `release` are in seconds, `vibrato` and `unison`
    (the detuning of a second copy) in cents. `knock` is the strength of the noise at the start, `breath` of
    the noise throughout, `octave` the usual transposition.
    """

    slope: float = 1.0
    even: float = 1.0
    pick: float = 0.0
    partials: tuple[float, ...] = ()
    decay: float = 0.0
    damping: float = 0.0
    attack: float = 0.003
    release: float = 0.06
    vibrato: float = 0.0
    unison: float = 0.0
    knock: float = 0.0
    breath: float = 0.0
    octave: int = 0


VOICES: dict[str, Voice] = {
    "pluck": Voice(slope=1.1, pick=0.18, decay=0.9, damping=1.5, attack=0.002, knock=0.12),
    "nylon": Voice(slope=1.5, pick=0.28, decay=0.7, damping=2.5, attack=0.003, knock=0.10),
    "guitar": Voice(slope=0.9, pick=0.13, decay=2.5, damping=0.35, attack=0.003, knock=0.08),
    "piano": Voice(slope=1.35, pick=0.12, decay=1.3, damping=0.7, attack=0.003, unison=1.5, knock=0.10),
    "epiano": Voice(
        partials=(1.0, 0.32, 0.10, 0.12, 0.03, 0.03, 0.06, 0.02, 0.02, 0.01, 0.02, 0.01, 0.02, 0.09, 0.02),
        decay=1.4,
        damping=1.6,
        attack=0.003,
        release=0.09,
        knock=0.04,
    ),
    "organ": Voice(
        partials=(0.8, 1.0, 0.55, 0.7, 0.0, 0.35, 0.0, 0.4),
        attack=0.008,
        release=0.05,
        knock=0.05,
        unison=2.0,
    ),
    "strings": Voice(slope=1.15, attack=0.11, release=0.20, vibrato=12.0, unison=9.0, breath=0.005),
    "saw": Voice(slope=1.0, decay=2.0, damping=0.5, attack=0.006, release=0.06, unison=11.0),
    "square": Voice(slope=1.0, even=0.08, attack=0.012, release=0.05, vibrato=8.0),
    "flute": Voice(
        partials=(1.0, 0.38, 0.14, 0.05, 0.02),
        attack=0.045,
        release=0.08,
        vibrato=14.0,
        breath=0.01,
        octave=1,
    ),
    "pad": Voice(slope=1.6, attack=0.30, release=0.45, vibrato=6.0, unison=8.0),
    "finger": Voice(slope=1.5, pick=0.22, decay=0.9, damping=2.0, attack=0.004, release=0.05, knock=0.05),
    "pick": Voice(slope=1.0, pick=0.14, decay=1.0, damping=1.1, attack=0.002, release=0.04, knock=0.10),
    "upright": Voice(slope=1.8, pick=0.3, decay=0.55, damping=2.4, attack=0.007, release=0.07, knock=0.06),
    "synth": Voice(slope=1.0, decay=0.8, damping=1.8, attack=0.003, release=0.03, unison=4.0),
}


def hertz(pitch: float, cents: float = 0.0) -> float:
    """Frequency in Hz of a MIDI pitch with a tuning offset in cents (A4 = 69 = 440 Hz)."""
    return 440.0 * 2.0 ** ((pitch - 69.0) / 12.0 + cents / 1200.0)


def tone(
    voice: Voice,
    frequency: float,
    seconds: float,
    *,
    sample_rate: int,
    brightness: float,
    noise: Float32,
) -> Float32:
    """Render one held note without its release.

    Parameters
    ----------
    voice : Voice
    frequency : float
        Fundamental in Hz.
    seconds : float
        Length.
    sample_rate : int
    brightness : float
        0 (dull) to 1 (open): moves a gentle low-pass from 500 Hz to 8 kHz.
    noise : ndarray of float32, shape (n,)
        White noise to take attack and breath from, at least one second of it.

    Returns
    -------
    ndarray of float32, shape (round(seconds * sample_rate),)
        Root mean square about 0.2 at the loudest.
    """
    count = max(1, round(seconds * sample_rate))
    table, starts = _cycles(voice, frequency, seconds, sample_rate, brightness)
    out = _read(table, starts, frequency, count, sample_rate, voice.vibrato)
    if voice.unison:
        other = frequency * 2.0 ** (voice.unison / 1200.0)
        out += _read(table, starts, other, count, sample_rate, voice.vibrato)
        out *= np.float32(0.6)
    time = np.arange(count, dtype=np.float32) / np.float32(sample_rate)
    if voice.breath:
        out += np.float32(voice.breath) * np.resize(noise, count)
    if voice.decay:
        # Low notes ring longer than high ones on every string.
        constant = voice.decay * (262.0 / frequency) ** 0.35
        out *= np.exp(time * np.float32(-1.0 / constant))
    if voice.knock:
        length = min(count, len(noise), int(0.03 * sample_rate))
        burst = noise[:length] * np.exp(-time[:length] / np.float32(0.006))
        out[:length] += np.float32(voice.knock * (0.5 + brightness)) * burst
    rise = min(count, max(2, int(voice.attack * sample_rate)))
    out[:rise] *= (0.5 - 0.5 * np.cos(np.pi * np.arange(rise) / rise)).astype(np.float32)
    return out


def _cycles(
    voice: Voice, frequency: float, seconds: float, sample_rate: int, brightness: float
) -> tuple[Float32, NDArray[np.float64]]:
    """Single cycles, shape (frames, 2048), and the second at which each takes over."""
    count = int(max(1, min(60, 0.45 * sample_rate / frequency)))
    harmonic = np.arange(1, count + 1)
    if voice.partials:
        amplitude = np.zeros(count)
        given = voice.partials[:count]
        amplitude[: len(given)] = given
    else:
        amplitude = harmonic**-voice.slope
        amplitude[1::2] *= voice.even
        if voice.pick:
            amplitude = amplitude * np.sin(np.pi * harmonic * voice.pick)
    corner = 500.0 * 16.0**brightness
    amplitude = amplitude / (1.0 + (harmonic * frequency / corner) ** 2)
    # Loudness should not depend on pitch or brightness: those are heard through the spectrum only.
    amplitude = amplitude * (0.2 * np.sqrt(2.0) / np.sqrt(np.sum(amplitude**2)))
    starts = np.zeros(1)
    if voice.damping:
        # Spectra change fastest at the start, so the frames are spaced geometrically.
        later = 0.006 * 1.3 ** np.arange(40)
        starts = np.concatenate([starts, np.cumsum(later)[np.cumsum(later) < seconds]])
    dying = np.exp(-np.outer(starts, (harmonic - 1) * voice.damping))
    spectrum = np.zeros((len(starts), _TABLE // 2 + 1), dtype=np.complex64)
    spectrum[:, 1 : count + 1] = -1j * (_TABLE / 2) * amplitude * dying
    table = np.asarray(irfft(spectrum, n=_TABLE, axis=1), dtype=np.float32)
    return table, starts.astype(np.float64)


def _read(
    table: Float32,
    starts: NDArray[np.float64],
    frequency: float,
    count: int,
    sample_rate: int,
    vibrato: float,
) -> Float32:
    """Read `count` samples, changing cycles where a period ends."""
    step = frequency / sample_rate * 2.0**32
    if vibrato:
        time = np.arange(count) / sample_rate
        # Depth grows over the first half second, as a player's does; 5.3 Hz is a usual rate.
        depth = np.log(2.0) * vibrato / 1200.0 * np.minimum(1.0, time / 0.5) / (2.0 * np.pi * 5.3)
        phase = ((np.arange(count) + sample_rate * depth * np.sin(2.0 * np.pi * 5.3 * time)) * step).astype(np.int64)
    else:
        phase = np.arange(count, dtype=np.int64) * int(step)
    index = (phase >> (32 - _TABLE_BITS)) & (_TABLE - 1)
    if len(table) == 1:
        return table[0].take(index)
    out = np.empty(count, dtype=np.float32)
    borders = np.ceil(starts * frequency).astype(np.int64) << 32
    edges = np.append(np.searchsorted(phase, borders), count)
    for row, begin, end in zip(table, edges[:-1], edges[1:], strict=True):
        if end > begin:
            out[begin:end] = row.take(index[begin:end])
    return out
