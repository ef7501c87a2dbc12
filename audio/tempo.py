"""Tempo of an onset profile, from its windowed autocorrelation.

The autocorrelation is the mean column of librosa's tempogram (Hann windows of eight seconds). On it rest
two estimates: librosa's own, and a comb that also asks for the beat after next and by that makes
fewer octave errors (the idea of Klapuri, Eronen and Astola, IEEE TASLP 14(1), 2006, and of Ellis's ``tempo2``).
"""

from __future__ import annotations

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
    width = max(1, int(WINDOW_SECONDS * rate))
    padded = np.pad(profile, width // 2, mode="linear_ramp", end_values=0)
    frames = np.lib.stride_tricks.sliding_window_view(padded, width)[: len(profile) : step]
    window = np.hanning(width + 1)[:-1].astype(np.float32)
    size = scipy.fft.next_fast_len(2 * width - 1, real=True)
    # The inverse transform is linear: one is enough, after the normalised power spectra are summed.
    power = np.zeros(size // 2 + 1)
    for first in range(0, len(frames), _CHUNK):
        block = frames[first : first + _CHUNK] * window
        energy = np.einsum("ij,ij->i", block, block)
        weight = 1.0 / np.where(energy > 0, energy, 1.0)
        spectrum = scipy.fft.rfft(block, size, axis=1, workers=1)
        power += weight @ (spectrum.real**2 + spectrum.imag**2)
    return scipy.fft.irfft(power / max(len(frames), 1), size)[:width]


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
    correlation: DoubleArray, rate: float, *, start_bpm: float, std_bpm: float, weight: float
) -> float:
    """Tempo whose beat, and whose beat after next, the autocorrelation supports.

    A peak at half the beat lacks the support of its odd multiples, and the peak at two beats has nothing to gain from
    four, as it does in librosa's score, where the longest regular lag wins too easily.

    Parameters
    ----------
    correlation : ndarray of float64, shape (n_lags,)
        Of :func:`autocorrelation`.
    rate : float
        Frames a second.
    start_bpm, std_bpm : float
        Centre of the prior in beats a minute and its spread in octaves; its logarithm is added to the score.
    weight : float
        Of the correlation at twice the lag.

    Returns
    -------
    float
        Beats a minute.
    """
    smooth = scipy.ndimage.gaussian_filter1d(correlation, _SCATTER_SECONDS * rate)
    half = (len(smooth) + 1) // 2
    lags = np.arange(1, half)
    bpm = 60.0 * rate / lags
    score = smooth[1:half] + weight * smooth[2 : 2 * half : 2] + _prior(bpm, start_bpm, std_bpm)
    # Only peaks: where onsets are slow the flank of the lag 0 stands above every one of them.
    peak = (smooth[1:half] > smooth[: half - 1]) & (smooth[1:half] >= smooth[2 : half + 1])
    candidates = np.flatnonzero(peak & (bpm < MAX_BPM))
    if len(candidates) == 0:
        return librosa_tempo(correlation, rate, start_bpm=start_bpm, std_bpm=std_bpm)
    return float(bpm[candidates[np.argmax(score[candidates])]])
