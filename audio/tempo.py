"""Tempo of an onset profile, from its windowed autocorrelation and from changes of harmony.

The autocorrelation is the mean column of librosa's tempogram (Hann windows of eight seconds). Three estimators use it:
librosa's own; a comb that also considers two beats and quarters of a beat and so makes fewer octave errors (Ellis,
Journal of New Music Research 36(1), 2007, likewise adds multiples); and one that places beats at the comb's tempo, half
of it and twice of it, and compares how well they agree with changes of harmony.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple, dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import scipy

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.int64]

WINDOW_SECONDS = 8.0
MAX_BPM = 320.0

# Onsets of a beat scatter by about ten milliseconds. Without smoothing, two beats may miss the peak.
_SCATTER_SECONDS = 0.012
_CHUNK = 64

# Beats at tempi outside this range cost time without improving results.
_SLOWEST, _FASTEST = 38.0, 260.0
_FEWEST_BEATS = 5

# Largest distance in octaves of a peak from the tempo that it represents.
_SAME = 0.06

# Added to mean distances before taking the logarithm: the smallest meaningful change of harmony.
_STILL = 0.02
_TINY = 1e-6


@dataclass(frozen=True)
class MetreWeights:
    """Weights of the evidence for a tempo in :func:`metre_tempo`; negative weights count against it.

    Fitted as a conditional logit (the tempo with the largest sum wins) to music rendered by two synthesisers, and
    rounded.

    Attributes
    ----------
    prior : float
        Log prior of the tempo: minus half the squared distance from its centre in octaves, over its squared spread.
    beat, double, quarter : float
        Autocorrelation of all onsets at one beat, at two beats, and its mean at one and three quarters of a beat.
    middle_beat, middle_half : float
        Autocorrelation of the onsets in the middle of the spectrum at one beat and at half a beat.
    change : float
        Change of harmony at the beat, between the half-beats before and after it.
    contrast : float
        Change of harmony from each beat to the next.
    distant : float
        Change over eight beats relative to that from beat to beat: chords last longer than beats.
    alternation : float
        Change into every second beat (the stronger half) relative to that into all beats. A large value suggests that
        the true beat is twice as long.
    bar : float
        Change into every fourth beat (the strongest of four) relative to that into all beats.
    """

    prior: float = 7.2
    beat: float = 6.2
    double: float = 5.7
    quarter: float = -6.3
    middle_beat: float = 4.4
    middle_half: float = 2.8
    change: float = 1.5
    contrast: float = 2.0
    distant: float = 2.6
    alternation: float = -3.8
    bar: float = 4.3


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
        weight = 1.0 / np.where(energy > 0, energy, 1.0)
        spectrum = cast(npt.NDArray[np.complex64], scipy.fft.rfft(block, size, axis=1, workers=1))
        power += weight @ (spectrum.real**2 + spectrum.imag**2)
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


def metre_tempo(
    profile_correlation: DoubleArray,
    middle_correlation: DoubleArray,
    harmony: FloatArray,
    rate: float,
    *,
    around: float,
    beats_at: Callable[[float], IndexArray],
    start_bpm: float,
    std_bpm: float,
    weights: MetreWeights,
) -> float:
    """Choose among a tempo, half of it and twice of it by how well the beats agree with onsets and harmony.

    Onsets alone do not distinguish the three. Chords and bass notes change on beats, above all on the first beat of a
    bar, and seldom between beats.

    Parameters
    ----------
    profile_correlation, middle_correlation : ndarray of float64, shape (n_lags,)
        Output of :func:`autocorrelation` for the onsets of the whole spectrum and of its middle.
    harmony : ndarray of float32, shape (n_frames, n_bands)
        Spectrum over time, which may have another frame rate.
    rate : float
        Frames per second of the onset profiles.
    around : float
        Tempo up to its octave, from :func:`comb_tempo`.
    beats_at : callable
        Function from a tempo in beats per minute to the beats, in frames of ``harmony``.
    start_bpm, std_bpm : float
        Centre of the prior in beats per minute and its spread in octaves.
    weights : MetreWeights
        Weights of the evidence.

    Returns
    -------
    float
        Beats per minute.
    """
    smooth = scipy.ndimage.gaussian_filter1d(profile_correlation, _SCATTER_SECONDS * rate)
    middle = scipy.ndimage.gaussian_filter1d(middle_correlation, _SCATTER_SECONDS * rate)
    lags = _lags_of_octaves(smooth, rate, around)
    if len(lags) == 0:
        return around
    smooth /= max(smooth[0], _TINY)
    middle /= max(middle[0], _TINY)
    every = np.arange(len(smooth))
    bpm = 60.0 * rate / lags
    quarters = np.interp(0.25 * lags, every, smooth) + np.interp(0.75 * lags, every, smooth)
    onsets = [
        _prior(bpm, start_bpm, std_bpm),
        smooth[lags],
        smooth[2 * lags],
        0.5 * quarters,
        middle[lags],
        np.interp(0.5 * lags, every, middle),
    ]
    total = np.concatenate([np.zeros((1, harmony.shape[1])), np.cumsum(harmony, axis=0, dtype=np.float64)])
    changes = np.array([_changes(total, beats_at(tempo)) for tempo in bpm.tolist()])
    evidence = np.column_stack([*onsets, changes])
    return float(bpm[np.argmax(evidence @ np.array(astuple(weights)))])


def _lags_of_octaves(smooth: DoubleArray, rate: float, around: float) -> IndexArray:
    """Lags of the peaks of a smoothed autocorrelation near a tempo, half of it and twice of it."""
    lags = np.arange(1, (len(smooth) - 1) // 2 + 1)
    bpm = 60.0 * rate / lags
    here = smooth[lags]
    peak = (here > smooth[lags - 1]) & (here >= smooth[lags + 1]) & (bpm > _SLOWEST) & (bpm < _FASTEST)
    octaves = np.log2(bpm[:, None] / (around * np.array([0.5, 1.0, 2.0])))
    return lags[peak & (np.abs(octaves) < _SAME).any(axis=1)]


def _changes(total: DoubleArray, beats: IndexArray) -> list[float]:
    """Logarithms of the changes of harmony, in the order of :class:`MetreWeights`.

    ``total`` is the sum of the spectra before each frame. The result is zero for fewer than five beats.
    """
    if len(beats) < _FEWEST_BEATS:
        return [0.0] * 5
    whole = _means(total, beats)
    halves = _means(total, np.sort(np.concatenate([beats, (beats[1:] + beats[:-1]) // 2])))
    step = _distances(whole, 1)
    contrast = _log_mean(step)
    distant = _log_mean(_distances(whole, 8)) - contrast if len(whole) > 9 else 0.0
    cycles = []
    for length in (2, 4):
        means = [_log_mean(step[first::length]) for first in range(length) if len(step[first::length]) >= 2]
        cycles.append(max(means) - contrast if means else 0.0)
    return [_log_mean(_distances(halves, 1)[1::2]), contrast, distant, *cycles]


def _means(total: DoubleArray, edges: IndexArray) -> DoubleArray:
    """Mean spectra between edges, from the sum of the spectra before each frame."""
    return np.diff(total[edges], axis=0) / np.maximum(np.diff(edges), 1)[:, None]


def _distances(spectra: DoubleArray, gap: int) -> DoubleArray:
    """Cosine distance of every spectrum from the one ``gap`` rows later; 0 between silent spectra."""
    first, second = spectra[:-gap], spectra[gap:]
    product = np.einsum("ij,ij->i", first, second) + _TINY
    size = np.sqrt(np.einsum("ij,ij->i", first, first) * np.einsum("ij,ij->i", second, second)) + _TINY
    return 1.0 - product / size


def _log_mean(distances: DoubleArray) -> float:
    return float(np.log(distances.mean() + _STILL))
