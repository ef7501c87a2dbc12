"""Tempo of an onset profile from its windowed autocorrelation.

The autocorrelation is the mean column of librosa's tempogram (Hann windows of eight seconds). Two estimators use it:
librosa's own, and a comb that also considers two beats and quarters of a beat and so makes fewer octave errors (Ellis,
Journal of New Music Research 36(1), 2007, likewise adds multiples). :mod:`.metre` compares multiples of its result.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import numpy.typing as npt
import scipy

from .spectra import ComplexArray, squared

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]

WINDOW_SECONDS = 8.0
MAX_BPM = 320.0

# Onsets of a beat scatter by about ten milliseconds. Without smoothing, two beats may miss the peak.
_SCATTER_SECONDS = 0.012
_CHUNK = 64


def autocorrelation(profile: FloatArray, rate: float, *, step: int = 16) -> DoubleArray:
    """Compute the normalised autocorrelation of windows of a profile, averaged over time.

    Parameters
    ----------
    profile : ndarray of float32, shape (n_frames,)
        Strength of onsets, non-negative.
    rate : float
        Frames per second.
    step : int
        Hop between windows in frames. With 1 the result is
        ``librosa.feature.tempogram(onset_envelope=profile, ...).mean(axis=1)``.

    Returns
    -------
    ndarray of float64, shape (8 * rate,)
        Autocorrelation by lag in frames: 1 at lag 0, or all zero for a zero profile.
    """
    width = max(2, int(WINDOW_SECONDS * rate))
    padded = np.pad(profile, width // 2, mode="linear_ramp", end_values=0)
    frames = np.lib.stride_tricks.sliding_window_view(padded, width)[: len(profile) : step]
    window = np.hanning(width + 1)[:-1].astype(np.float32)
    size = cast(int, scipy.fft.next_fast_len(2 * width - 1, real=True))
    # The inverse transform is linear, so it is applied once to the sum of the normalised power spectra.
    power = np.zeros(size // 2 + 1)
    for first in range(0, len(frames), _CHUNK):
        block = frames[first : first + _CHUNK] * window
        energy = np.einsum("ij,ij->i", block, block)
        # Windows that are silent but for rounding stay so: the inverse of their energy would overflow.
        weight = 1.0 / np.where(energy > np.finfo(np.float32).tiny, energy, 1.0)
        spectrum = cast(ComplexArray, scipy.fft.rfft(block, size, axis=1, workers=1))
        power += weight @ squared(spectrum)
    return cast(DoubleArray, scipy.fft.irfft(power / max(len(frames), 1), size))[:width]


def _prior(bpm: DoubleArray, start_bpm: float, std_bpm: float) -> DoubleArray:
    """Logarithm of a log-normal weight with its spread in octaves; -inf from ``MAX_BPM`` upwards."""
    prior = -0.5 * (np.log2(bpm / start_bpm) / std_bpm) ** 2
    prior[bpm >= MAX_BPM] = -np.inf
    return prior


def librosa_tempo(correlation: DoubleArray, rate: float, *, start_bpm: float, std_bpm: float) -> float:
    """Estimate the tempo as ``librosa.feature.tempo`` does, by autocorrelation and prior.

    Parameters
    ----------
    correlation : ndarray of float64, shape (n_lags,)
        Output of :func:`autocorrelation`.
    rate : float
        Frames per second.
    start_bpm, std_bpm : float
        Centre of the prior in beats per minute and its spread in octaves.

    Returns
    -------
    float
        Beats per minute.
    """
    bpm = 60.0 * rate / np.arange(1, len(correlation))
    score = np.log1p(1e6 * np.maximum(correlation[1:], 0.0)) + _prior(bpm, start_bpm, std_bpm)
    return float(bpm[np.argmax(score)])


def comb_tempo(
    correlation: DoubleArray,
    rate: float,
    *,
    start_bpm: float,
    std_bpm: float,
    double_weight: float,
    quarter_weight: float,
) -> float:
    """Estimate the tempo from the autocorrelation at one beat, at two beats and at quarters of a beat.

    The correlation at twice the lag counts against rhythms that recur only once. The mean correlation at one
    and three quarters of the lag is subtracted; it counts against two beats mistaken for one, whose quarters are the
    half-beats on which much music moves.

    Parameters
    ----------
    correlation : ndarray of float64, shape (n_lags,)
        Output of :func:`autocorrelation`.
    rate : float
        Frames per second.
    start_bpm, std_bpm : float
        Centre of the prior in beats per minute and its spread in octaves; its logarithm is added to the score.
    double_weight, quarter_weight : float
        Weights of the correlation at twice the lag, and of the mean at its quarters.

    Returns
    -------
    float
        Beats per minute.
    """
    smooth = scipy.ndimage.gaussian_filter1d(correlation, _SCATTER_SECONDS * rate)
    lags = np.arange(1, (len(smooth) - 1) // 2 + 1)
    bpm = 60.0 * rate / lags
    here = smooth[lags]
    # Peaks only, because the flank of lag 0 exceeds all of them.
    peaks = np.flatnonzero((here > smooth[lags - 1]) & (here >= smooth[lags + 1]) & (bpm < MAX_BPM))
    if len(peaks) == 0:
        return librosa_tempo(correlation, rate, start_bpm=start_bpm, std_bpm=std_bpm)
    lags, bpm = lags[peaks], bpm[peaks]
    every = np.arange(len(smooth))
    quarters = np.interp(0.25 * lags, every, smooth) + np.interp(0.75 * lags, every, smooth)
    score = smooth[lags] + double_weight * smooth[2 * lags] - 0.5 * quarter_weight * quarters
    return float(bpm[np.argmax(score + _prior(bpm, start_bpm, std_bpm))])
