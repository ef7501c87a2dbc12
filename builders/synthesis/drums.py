"""A drum kit synthesised from sines and filtered noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt

Float32 = NDArray[np.float32]

# Relative peak levels, so that a velocity in patterns has the same meaning for all drums.
_LEVELS = {
    "kick": 1.0,
    "snare": 0.75,
    "rim": 0.4,
    "clap": 0.6,
    "hat": 0.20,
    "open": 0.23,
    "ride": 0.22,
    "crash": 0.45,
    "shaker": 0.22,
    "high_tom": 0.6,
    "low_tom": 0.7,
}


def render_kit(
    kind: str, *, pitch: float, brightness: float, rng: np.random.Generator, sample_rate: int
) -> dict[str, Float32]:
    """Render one stroke of every drum of a kit.

    Parameters
    ----------
    kind : {"acoustic", "electronic", "brushes"}
        Kind of kit.
    pitch : float
        Tuning of the drums as a ratio, about 1.
    brightness : float
        Brightness of hats and snare, 0 to 1.
    rng : numpy.random.Generator
        Generator of the noise.
    sample_rate : int
        Sample rate in hertz.

    Returns
    -------
    dict of str to ndarray of float32
        Stroke of each drum at full velocity.
    """
    noise = rng.standard_normal(int(1.6 * sample_rate)).astype(np.float32)
    soft = 0.45 if kind == "brushes" else 1.0
    electronic = kind == "electronic"
    top = 0.45 * sample_rate
    hat_edge = min(0.85 * top, 4500.0 + 2500.0 * brightness)

    def band(seconds: float, low: float, high: float, tau: float, attack: float = 0.0) -> Float32:
        count = int(seconds * sample_rate)
        start = int(rng.integers(0, len(noise) - count + 1))
        # At low sample rates, the band is limited, but not empty.
        sos = butter(2, [min(low, 0.7 * top), min(high, top)], btype="bandpass", fs=sample_rate, output="sos")
        out = np.asarray(sosfilt(sos, noise[start : start + count])) * _fall(count, tau)
        return _rise(out, attack)

    def body(seconds: float, start: float, end: float, slide: float, tau: float) -> Float32:
        time = np.arange(int(seconds * sample_rate)) / sample_rate
        phase = end * time + (start - end) * slide * (1.0 - np.exp(-time / slide))
        return (np.sin(2.0 * np.pi * pitch * phase) * np.exp(-time / tau)).astype(np.float32)

    def _fall(count: int, tau: float) -> Float32:
        return np.exp(np.arange(count, dtype=np.float32) * np.float32(-1.0 / (tau * sample_rate)))

    def _rise(x: Float32, seconds: float) -> Float32:
        count = int(seconds * sample_rate)
        if count > 1:
            x[:count] *= np.linspace(0.0, 1.0, count, dtype=np.float32)
        return x.astype(np.float32)

    def add(first: Float32, second: Float32, gain: float) -> Float32:
        out = np.zeros(max(len(first), len(second)), dtype=np.float32)
        out[: len(first)] += first / np.abs(first).max()
        out[: len(second)] += np.float32(gain) * second / np.abs(second).max()
        return out

    sweep = (190.0, 46.0, 0.030) if electronic else (120.0, 58.0, 0.022)
    kick = body(0.45, *sweep, 0.14 if electronic else 0.10)
    wires = band(
        0.32,
        900.0,
        5500.0 + 3000.0 * brightness,
        0.075 if soft == 1.0 else 0.11,
        0.0 if soft == 1.0 else 0.02,
    )
    strokes = {
        "kick": add(kick, band(0.02, 1500.0, 6000.0, 0.004), 0.32 * soft),
        "snare": add(wires, body(0.2, 240.0, 185.0, 0.02, 0.06), 0.7 * soft),
        "rim": add(body(0.06, 520.0, 480.0, 0.01, 0.012), band(0.03, 1700.0, 5000.0, 0.006), 0.6),
        "clap": band(0.25, 900.0, 4500.0, 0.06),
        "hat": band(0.12, hat_edge, top, 0.022 + 0.02 * (1 - brightness)),
        "open": band(0.5, hat_edge, top, 0.13),
        "ride": add(band(0.8, hat_edge, top, 0.25), band(0.1, 3000.0, 6000.0, 0.012), 0.8),
        "crash": band(1.5, 2500.0, top, 0.45),
        "shaker": band(0.12, 4500.0, top, 0.035, 0.025),
        "high_tom": add(body(0.4, 230.0, 165.0, 0.03, 0.12), band(0.05, 600.0, 4000.0, 0.01), 0.25),
        "low_tom": add(body(0.5, 150.0, 98.0, 0.03, 0.16), band(0.05, 500.0, 3000.0, 0.01), 0.25),
    }
    if electronic:
        # A hand clap begins with several short bursts.
        clap = strokes["clap"]
        for delay in (0.009, 0.019):
            shift = int(delay * sample_rate)
            clap[shift:] += 0.7 * clap[:-shift].copy()
    for name, stroke in strokes.items():
        level = _LEVELS[name] * (soft if name in ("kick", "snare", "crash") else 1.0)
        np.multiply(stroke, np.float32(level / np.abs(stroke).max()), out=stroke)
    return strokes
