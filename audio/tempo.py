"""Tempo of an onset profile, from its windowed autocorrelation.

The autocorrelation is the mean column of librosa's tempogram (Hann windows of eight seconds). On it rest
two estimates: librosa's own, and a comb that also looks at two beats and at quarters of a beat and by
that makes fewer octave errors (Ellis, Journal of New Music Research 36(1), 2007, likewise adds multiples).
"""

from __future__ import annotations

from typing import cast

import numpy as np
import numpy.typing as npt
import scipy.fft
import scipy.ndimage

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]

WINDOW_SECONDS = 8.0
MAX_BPM = 320.0

# Onsets of one beat scatter by some ten milliseconds; without it the beat after next misses its peak.
_SCATTER_SECONDS = 0.012
_CHUNK = 64


def autocorrelation(profile: FloatArray, rate: float, *, step: int = 16) -> DoubleArray:
    """Mean over time of the normalised autocorrelations of a profile's windows.

    Parameters
    ----------
    profile : ndarray of float32, shape (n_frames,)
        Strength of onsets, not negative.
    rate : float
        Frames a second.
    step : int
        Frames between two windows. With 1 this is
        ``librosa.feature.tempogram(onset_envelope=profile, ...).mean(axis=1)``.

    Returns
    -------
    ndarray of float64, shape (8 * rate,)
        By lag in frames; 1 at the lag 0, or all zero where the profile is.
    """
    width = max(2, int(WINDOW_SECONDS * rate))
    padded = np.pad(profile, width // 2, mode="linear_ramp", end_values=0)
    frames = np.lib.stride_tricks.sliding_window_view(padded, width)[: len(profile) : step]
    window = np.hanning(width + 1)[:-1].astype(np.float32)
    size = cast(int, scipy.fft.next_fast_len(2 * width - 1, real=True))
    # The inverse transform is linear: one is enough, after the normalised power spectra are summed.
    power = np.zeros(size // 2 + 1)
    for first in range(0, len(frames), _CHUNK):
        block = frames[first : first + _CHUNK] * window
        energy = np.einsum("ij,ij->i", block, block)
        weight = 1.0 / np.where(energy > 0, energy, 1.0)
        spectrum = cast(npt.NDArray[np.complex64], scipy.fft.rfft(block, size, axis=1, workers=1))
        power += weight @ (spectrum.real**2 + spectrum.imag**2)
    return cast(DoubleArray, scipy.fft.irfft(power / max(len(frames), 1), size))[:width]


def _prior(bpm: DoubleArray, start_bpm: float, std_bpm: float) -> DoubleArray:
    """Logarithm of a log-normal weight, its spread in octaves; nothing from ``MAX_BPM`` on."""
    prior = -0.5 * (np.log2(bpm / start_bpm) / std_bpm) ** 2
    prior[bpm >= MAX_BPM] = -np.inf
    return prior


def librosa_tempo(correlation: DoubleArray, rate: float, *, start_bpm: float, std_bpm: float) -> float:
    """Tempo as ``librosa.feature.tempo`` picks it: the best lag by autocorrelation and prior.

    Parameters
    ----------
    correlation : ndarray of float64, shape (n_lags,)
        Of :func:`autocorrelation`.
    rate : float
        Frames a second.
    start_bpm, std_bpm : float
        Centre of the prior in beats a minute and its spread in octaves.

    Returns
    -------
    float
        Beats a minute.
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
    """Tempo that the autocorrelation supports at the beat, at two beats, and not at quarters of a beat.

    The correlation at twice the lag speaks against rhythms that recur only once. The mean of those at
    one and three quarters of the lag, taken off, speaks against two beats taken for one, whose quarters are
    the half-beats on which much music moves.

    Parameters
    ----------
    correlation : ndarray of float64, shape (n_lags,)
        Of :func:`autocorrelation`.
    rate : float
        Frames a second.
    start_bpm, std_bpm : float
        Centre of the prior in beats a minute and its spread in octaves; its logarithm is added to the score.
    double_weight, quarter_weight : float
        Of the correlation at twice the lag, and of the mean at its quarters.

    Returns
    -------
    float
        Beats a minute.
    """
    smooth = scipy.ndimage.gaussian_filter1d(correlation, _SCATTER_SECONDS * rate)
    lags = np.arange(1, (len(smooth) - 1) // 2 + 1)
    bpm = 60.0 * rate / lags
    here = smooth[lags]
    # Only peaks: the flank of the lag 0 stands above every one of them.
    peaks = np.flatnonzero((here > smooth[lags - 1]) & (here >= smooth[lags + 1]) & (bpm < MAX_BPM))
    if len(peaks) == 0:
        return librosa_tempo(correlation, rate, start_bpm=start_bpm, std_bpm=std_bpm)
    lags, bpm = lags[peaks], bpm[peaks]
    every = np.arange(len(smooth))
    quarters = np.interp(0.25 * lags, every, smooth) + np.interp(0.75 * lags, every, smooth)
    score = smooth[lags] + double_weight * smooth[2 * lags] - 0.5 * quarter_weight * quarters
    return float(bpm[np.argmax(score + _prior(bpm, start_bpm, std_bpm))])
