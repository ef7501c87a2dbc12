"""Choice of the metrical level: which of several tempi the beats of a piece have.

Onsets alone hardly distinguish a tempo from two thirds, four thirds, half or twice of it, because music groups beats
and divides them. So the beats are followed through time at every such tempo (:func:`follow`), and what is then at the
beats, or halfway between them, is compared (:func:`evidence`): accents and repetition of low and high onsets within
beats and over bars, and changes of harmony. As everything is measured in beats, it holds for music whose tempo changes,
too. (Compare the dynamic bar pointer of Whiteley, Cemgil and Godsill, ISMIR 2006, and the rhythm patterns of Peeters,
EURASIP Journal on Advances in Signal Processing, 2007.)
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np
import numpy.typing as npt
import scipy

from . import _jit

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.int64]

# Tempi that are compared, as multiples of an estimate that may be at any metrical level.
_LEVELS = (1 / 3, 1 / 2, 2 / 3, 3 / 4, 1, 4 / 3, 3 / 2, 2, 3)
_SLOWEST, _FASTEST = 38.0, 250.0
_FEWEST_BEATS = 6

# Lengths of beats at one level, relative to its tempo, and the largest relative change from one beat to the next.
_SHORTEST, _LONGEST, _CHANGE = 0.8, 1.25, 0.12

# Costs of the squared logarithm of the ratio of a beat's length to that of the tempo, and to that of the beat before.
_DEVIATION_COST, _CHANGE_COST = 20.0, 300.0

# Parts of a beat at which onsets are compared, and lags in such parts: half a beat, one beat, two and four.
_PARTS = 12
_LAGS = (6, 12, 24, 48)

_LANES = 64

# Added to mean distances before taking the logarithm: the smallest meaningful change of harmony.
_STILL = 0.02
_TINY = 1e-6
_START_BPM = 110.0


@dataclass(frozen=True)
class MetreWeights:
    """Weights of the evidence for a tempo; negative weights count against it.

    Fitted as a conditional logit (the tempo with the largest sum wins) that maximises the expected F-measure;
    docs/beats.md says on which music.

    Attributes
    ----------
    low_half, low_beat, low_double, low_bar : float
        Autocorrelation of the low onsets at half a beat, one beat, two beats and four beats.
    low_two, low_three, low_four : float
        Low onsets at the strongest of two, three and four beats, relative to all beats, minus 1.
    high_half, high_beat, high_double, high_bar, high_two, high_three, high_four : float
        The same of the high onsets.
    change : float
        Change of harmony from one beat to the next. All changes are logarithms of mean cosine distances.
    on, off : float
        Change of harmony at the beats and halfway between them, from the half-beat before to that after.
    distant_two, distant_three, distant_four, distant_eight : float
        Change over two to eight beats, relative to that over one: chords last longer than beats.
    change_two, change_three, change_four : float
        Change into the strongest of two, three and four beats, relative to that into all beats.
    tempo, tempo_square, tempo_cube : float
        Octaves above 110 beats per minute, their square, and their absolute cube.
    irregular : float
        Standard deviation of the logarithm of the ratio of successive beats' lengths.
    strength : float
        Mean of the onset profile at the beats, relative to its mean.
    """

    low_half: float = 2.36
    low_beat: float = 0.41
    low_double: float = 2.81
    low_bar: float = 1.41
    low_two: float = -3.87
    low_three: float = -0.13
    low_four: float = 2.13
    high_half: float = 0.97
    high_beat: float = 0.68
    high_double: float = 0.76
    high_bar: float = -0.13
    high_two: float = 2.11
    high_three: float = 1.12
    high_four: float = 0.07
    change: float = 1.74
    on: float = 3.52
    off: float = 1.33
    distant_two: float = -2.82
    distant_three: float = -0.7
    distant_four: float = 0.85
    distant_eight: float = 1.94
    change_two: float = 1.22
    change_three: float = 4.81
    change_four: float = 4.53
    tempo: float = 1.26
    tempo_square: float = 0.36
    tempo_cube: float = -0.79
    irregular: float = -45.49
    strength: float = 1.88


@_jit.njit
def _follow(
    score: DoubleArray, shortest: int, deviation: DoubleArray, change: DoubleArray, reach: int, back: IndexArray
) -> tuple[int, int]:
    """Fill the previous length for every length of a beat and every frame at its end; returns the best end.

    ``deviation`` has the cost of every length from ``shortest`` on, and ``change`` that of every length after every
    other. ``back`` is -1 at the first beat. As no beat starts less than ``shortest`` frames before its end, blocks of
    that length are processed in parallel lanes.
    """
    count = len(deviation)
    before = shortest + count
    total = np.full((count, before + len(score)), -np.inf)
    block = min(_LANES, shortest)
    best = np.empty(block)
    origin = np.empty(block)
    for first in range(0, len(score), block):
        width = min(block, len(score) - first)
        for index in range(count):
            best[:] = -np.inf
            origin[:] = -1.0
            start = before + first - shortest - index
            for previous in range(max(0, index - reach), min(count, index + reach + 1)):
                past = total[previous, start : start + width]
                price = change[index, previous]
                name = float(previous)
                for lane in range(width):
                    value = past[lane] - price
                    known = best[lane]
                    best[lane] = value if value > known else known
                    origin[lane] = name if value > known else origin[lane]
            for lane in range(width):
                own = score[first + lane] - deviation[index]
                total[index, before + first + lane] = own + best[lane] if origin[lane] >= 0.0 else own
                back[index, first + lane] = int(origin[lane])
    largest = -np.inf
    last = (0, 0)
    for frame in range(max(0, len(score) - shortest - count + 1), len(score)):
        for index in range(count):
            if total[index, before + frame] > largest:
                largest = total[index, before + frame]
                last = (frame, index)
    return last


def follow(score: DoubleArray, period: float) -> IndexArray:
    """Find the beats of the best path through time and tempo.

    The path maximises the sum of the score at its beats minus costs of deviations from the tempo and of its changes. A
    beat's state is its frame and the length of the interval that it ends, so tempo may drift but not jump.

    Parameters
    ----------
    score : ndarray of float64, shape (n_frames,)
        Strength of onsets in standard deviations.
    period : float
        Length of a beat in frames, at least 4.

    Returns
    -------
    ndarray of int64, shape (n_beats,)
        Frames of the beats, from the start of the signal to its end.
    """
    shortest = int(period * _SHORTEST)
    lengths = np.arange(shortest, int(np.ceil(period * _LONGEST)) + 1)
    logs = np.log(lengths)
    change = _CHANGE_COST * (logs[:, None] - logs) ** 2
    back = np.empty((len(lengths), len(score)), np.int64)
    deviation = _DEVIATION_COST * (logs - np.log(period)) ** 2
    frame, index = _follow(score, shortest, deviation, change, max(1, int(_CHANGE * period)), back)
    beats = [frame]
    while back[index, frame] >= 0:
        frame, index = frame - lengths[index], back[index, frame]
        beats.append(frame)
    return np.array(beats[::-1], np.int64)


def local_score(profile: FloatArray, period: float) -> DoubleArray:
    """Profile in standard deviations, smoothed by a Gaussian of 1/32 of a beat (Ellis 2007)."""
    scaled = profile.astype(np.float64) / (profile.std() + np.finfo(np.float32).tiny)
    return scipy.ndimage.gaussian_filter1d(scaled, max(period / 32.0, 0.5))


def metre_beats(
    profile: FloatArray,
    low: FloatArray,
    high: FloatArray,
    harmony: FloatArray,
    rate: float,
    *,
    around: float,
    weights: MetreWeights,
) -> DoubleArray:
    """Follow the beats at several tempi and return those for which there is most evidence.

    Parameters
    ----------
    profile, low, high : ndarray of float32, shape (n_frames,)
        Onsets of the whole spectrum, of its lowest eighth and of its upper half (in bands).
    harmony : ndarray of float32, shape (n_frames, n_bands)
        Spectrum over time.
    rate : float
        Frames per second.
    around : float
        Tempo in beats per minute at any metrical level.
    weights : MetreWeights
        Weights of the evidence.

    Returns
    -------
    ndarray of float64, shape (n_beats,)
        Beats in frames; empty if there are fewer than six at every tempo.
    """
    longest = len(profile) / _FEWEST_BEATS
    candidates = [
        beats
        for bpm in (around * level for level in _LEVELS)
        if _SLOWEST < bpm < _FASTEST and 60.0 * rate / bpm < longest
        for beats in _phases(profile, 60.0 * rate / bpm)
        if len(beats) >= _FEWEST_BEATS
    ]
    if not candidates:
        return np.zeros(0)
    onsets, chords = (_sums(each) for each in (np.column_stack([low, high]), harmony))
    values = np.array([evidence(beats, profile, onsets, chords, rate) for beats in candidates])
    return candidates[int(np.argmax(values @ np.array(astuple(weights))))]


def _phases(profile: FloatArray, period: float) -> list[DoubleArray]:
    """Beats of the best path, and the points halfway between them."""
    beats = follow(local_score(profile, period), period).astype(np.float64)
    if len(beats) < 2:
        return [beats]
    steps = np.diff(beats)
    around = np.concatenate([[beats[0] - steps[0]], beats, [beats[-1] + steps[-1]]])
    halves = (around[1:] + around[:-1]) / 2
    return [beats, halves[(halves >= 0) & (halves < len(profile) - 1)]]


def evidence(
    beats: DoubleArray, profile: FloatArray, onsets: DoubleArray, chords: DoubleArray, rate: float
) -> list[float]:
    """Evidence that these are the beats, in the order of :class:`MetreWeights`.

    Parameters
    ----------
    beats : ndarray, shape (n_beats,)
        Beats in frames, at least six.
    profile : ndarray, shape (n_frames,)
        Onsets of the whole spectrum.
    onsets, chords : ndarray of float64, shape (n_frames + 1, n_bands)
        Sums before each frame of the low and high onsets, and of the spectrum.
    rate : float
        Frames per second.
    """
    period = float(np.median(np.diff(beats)))
    octaves = float(np.log2(60.0 * rate / period / _START_BPM))
    score = local_score(profile, period)
    strength = score[np.round(beats).astype(int)].mean() / (score.mean() + _TINY)
    irregular = np.diff(np.log(np.diff(beats))).std()
    return [
        *(value for band in _in_parts(beats, onsets).T for value in _accents(band)),
        *_changes(beats, chords),
        octaves,
        octaves**2,
        abs(octaves) ** 3,
        float(irregular),
        float(strength),
    ]


def _sums(frames: FloatArray) -> DoubleArray:
    """Sum of the frames before each frame."""
    return np.concatenate([np.zeros((1, frames.shape[1])), np.cumsum(frames, axis=0, dtype=np.float64)])


def _means(sums: DoubleArray, edges: DoubleArray) -> DoubleArray:
    """Mean frames between edges, which may be fractions."""
    edges = np.clip(edges, 0.0, len(sums) - 1.0)
    whole = np.minimum(edges.astype(int), len(sums) - 2)
    part = (edges - whole)[:, None]
    values = sums[whole] * (1.0 - part) + sums[whole + 1] * part
    return np.diff(values, axis=0) / np.maximum(np.diff(edges), _TINY)[:, None]


def _in_parts(beats: DoubleArray, onsets: DoubleArray) -> DoubleArray:
    """Mean onsets of every twelfth of a beat, the first of which is centred on the beat, relative to their mean."""
    edges = (np.arange((len(beats) - 1) * _PARTS + 1) - 0.5) / _PARTS
    values = _means(onsets, np.interp(edges, np.arange(len(beats)), beats) + 0.5)
    return values / (values.mean(axis=0) + _TINY)


def _accents(parts: DoubleArray) -> list[float]:
    """Autocorrelation of the onsets in parts of a beat, and the accents of groups of beats."""
    count = len(parts)
    centred = parts - parts.mean()
    power = centred @ centred / count + _TINY
    repeated = [
        float(centred[lag:] @ centred[:-lag] / (count - lag) / power) if count > lag + _PARTS else 0.0 for lag in _LAGS
    ]
    beats = parts[::_PARTS]
    usual = beats.mean() + _TINY
    return repeated + [
        float(_strongest(beats, size) / usual) - 1.0 if len(beats) >= 2 * size else 0.0 for size in (2, 3, 4)
    ]


def _strongest(values: DoubleArray, size: int) -> float:
    """Largest mean of every ``size``-th value."""
    groups = np.arange(len(values)) % size
    return float((np.bincount(groups, values) / np.bincount(groups)).max())


def _changes(beats: DoubleArray, chords: DoubleArray) -> list[float]:
    """Logarithms of the changes of harmony."""
    whole = _means(chords, beats)
    halves = _means(chords, np.interp(np.arange(2 * len(beats) - 1) / 2, np.arange(len(beats)), beats))
    steps = _distances(whole, 1)
    between = _distances(halves, 1)
    change = _log_mean(steps)
    distant = [_log_mean(_distances(whole, gap)) - change if len(whole) > gap + 1 else 0.0 for gap in (2, 3, 4, 8)]
    groups = [
        float(np.log(_strongest(steps, size) + _STILL)) - change if len(steps) >= 2 * size else 0.0
        for size in (2, 3, 4)
    ]
    return [change, _log_mean(between[1::2]), _log_mean(between[::2]), *distant, *groups]


def _distances(spectra: DoubleArray, gap: int) -> DoubleArray:
    """Cosine distance of every spectrum from the one ``gap`` rows later; 0 between silent spectra."""
    length = np.sqrt(np.einsum("ij,ij->i", spectra, spectra))
    product = np.einsum("ij,ij->i", spectra[:-gap], spectra[gap:]) + _TINY
    return 1.0 - product / (length[:-gap] * length[gap:] + _TINY)


def _log_mean(distances: DoubleArray) -> float:
    return float(np.log(distances.mean() + _STILL))
