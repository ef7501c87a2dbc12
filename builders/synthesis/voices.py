"""Pitched instruments: wavetable synthesis with a spectrum that changes over time.

A note is read from a short sequence of single cycles. All partials are sines that start at phase zero, so every cycle
begins at 0 and the spectrum can change between cycles without a click. Brightness, the faster decay of high partials
(as on a string, Karplus and Strong, Computer Music Journal 7(2), 1983) and filter envelopes thus cost one table look-up
per sample.
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

    Attributes
    ----------
    slope : float
        Harmonics decrease as h**-slope, unless `partials` are given.
    even : float
        Gain of the even harmonics.
    pick : float
        Plucking point as a fraction of the string, which causes notches in the spectrum; 0 for none.
    partials : tuple of float
        Amplitudes of the first harmonics.
    decay : float
        Time constant of the fundamental in seconds; 0 for sustained notes.
    damping : float
        Additional decay rate of each further harmonic in 1/s.
    attack, release : float
        Duration of attack and release in seconds.
    vibrato, unison : float
        Depth of the vibrato and detuning of a second copy in cents.
    knock, breath : float
        Level of the noise at the start and throughout the note.
    octave : int
        Transposition in octaves.
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
    """Convert a MIDI pitch with a tuning offset in cents to hertz (A4 = 69 = 440 Hz)."""
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
    """Render a note without its release.

    Parameters
    ----------
    voice : Voice
        Timbre.
    frequency : float
        Fundamental frequency in hertz.
    seconds : float
        Duration in seconds.
    sample_rate : int
        Sample rate in hertz.
    brightness : float
        Brightness from 0 to 1, which moves the cut-off of a gentle low-pass filter from 500 Hz to 8 kHz.
    noise : ndarray of float32, shape (n,)
        White noise for attack and breath, at least one second.

    Returns
    -------
    ndarray of float32, shape (round(seconds * sample_rate),)
        Samples with a root mean square of about 0.2 at the maximum.
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
        # Low notes of strings ring longer than high ones.
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
    """Compute single cycles, shape (frames, 2048), and the time at which each begins in seconds."""
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
    # Loudness does not depend on pitch or brightness, which affect the spectrum only.
    amplitude = amplitude * (0.2 * np.sqrt(2.0) / np.sqrt(np.sum(amplitude**2)))
    starts = np.zeros(1)
    if voice.damping:
        # Spectra change fastest at the start, so the spacing of the frames is geometric.
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
    """Read `count` samples, changing cycles at the end of a period."""
    step = frequency / sample_rate * 2.0**32
    if vibrato:
        time = np.arange(count) / sample_rate
        # Depth grows over the first half second, as players do; 5.3 Hz is a typical rate.
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
