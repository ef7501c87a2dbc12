"""Beat tracking: onset profile, tempo, dynamic programming (Schmidt and Kim 2013, section 4.2).

The onset profile is computed from a mel spectrogram with a hop of 64 samples. By default, the beats are followed
through time and tempo (:mod:`.metre`). With a global tempo, as in the paper, they are those of Ellis's dynamic
programming (Journal of New Music Research 36(1), 2007), equal to librosa 0.11 in every frame.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import scipy

from . import _jit
from .metre import MetreWeights, metre_beats
from .separation import SeparationConfig, percussive
from .spectra import ComplexArray, frame_count, map_spectrum, mel_power, squared
from .tempo import autocorrelation, comb_tempo, librosa_tempo

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.int64]

_LANES = 64
_PROFILES = ("flux", "percussive", "laplace")
_TEMPOS = ("metre", "comb", "librosa")

# Number of frames to average before following the beats (12 ms).
_POOL = 4

# Share of the largest score below which no beat is before the first onset, or after the last.
_SILENT = 0.01


@dataclass(frozen=True)
class BeatConfig:
    """Settings of the beat tracker.

    Attributes
    ----------
    n_fft, hop : int
        Window and hop of the spectrogram in samples; the paper's hop is 64. On rendered music, a window of 512 finds
        about 1 % fewer of the beats than 1024, and 2048 finds as many at twice the cost.
    n_mels : int
        Number of mel bands (128 as in the paper).
    profile : {"flux", "percussive", "laplace"}
        ``flux`` is the mean over bands of the half-wave rectified difference over ``lag`` frames of the
        compressed mel spectrogram, ``percussive`` the same of its percussive part, ``laplace`` the paper's
        multidimensional Laplace filter of the percussive part, rectified. On rendered music with known beats,
        ``flux`` finds most of them, with and without drums.
    lag : int
        Distance of the two frames of the difference; 8 frames are 23 ms, about the length of an attack.
    compression : float
        The spectrogram, scaled to a maximum of 1, is compressed as ``log(1 + compression * mel)``, so
        that soft onsets count besides loud ones; 0 disables compression. ``laplace`` ignores it.
    tempo : {"metre", "comb", "librosa"}
        ``metre`` follows the beats at several multiples of the tempo of ``comb`` and chooses among them by accents,
        repetition and harmony; the tempo may change slowly. ``comb`` and ``librosa`` are the estimators of
        :mod:`.tempo`; beats are then placed at this tempo by Ellis's dynamic programming.
    start_bpm, std_bpm : float
        Centre in beats per minute and spread in octaves of the log-normal prior of ``comb`` and ``librosa``. librosa
        uses a spread of 1 and adds the prior to the logarithm of the autocorrelation; ``comb`` adds it to the
        autocorrelation itself.
    metre_weights : MetreWeights
        Weights of the evidence for a tempo in ``metre``.
    double_weight, quarter_weight : float
        Weights in ``comb`` of the autocorrelation at two beats, and of that at quarters of a beat, which is
        subtracted. Results hardly change between 0.5 and 1 and between 0.2 and 0.7, respectively.
    tempo_step : int
        Hop between windows of the autocorrelation in frames. 16 costs four times as much as 64.
    tightness : float
        Penalty on deviations from the tempo of ``comb`` and ``librosa``. The score of a beat grows with the frame rate,
        so librosa's 100 at its hop of 512 corresponds to 800 at 64; results hardly change above 400.
    separation : SeparationConfig
        Settings of the harmonic/percussive separation.

    Raises
    ------
    ValueError
        If a field is out of range; the message names it.
    """

    n_fft: int = 1024
    hop: int = 64
    n_mels: int = 128
    profile: str = "flux"
    lag: int = 8
    compression: float = 3.0
    tempo: str = "metre"
    start_bpm: float = 120.0
    std_bpm: float = 2.0
    metre_weights: MetreWeights = field(default_factory=MetreWeights)
    double_weight: float = 0.7
    quarter_weight: float = 0.4
    tempo_step: int = 64
    tightness: float = 400.0
    separation: SeparationConfig = field(default_factory=SeparationConfig)

    def __post_init__(self) -> None:
        for name, choices in (("profile", _PROFILES), ("tempo", _TEMPOS)):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name}={getattr(self, name)!r}: expected one of {', '.join(choices)}")
        if self.n_fft < 2 or self.n_fft % 2:
            raise ValueError(f"n_fft={self.n_fft}: expected an even number of at least 2")
        for name in ("hop", "n_mels", "lag", "tempo_step"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: expected at least 1")
        for name in ("start_bpm", "std_bpm", "tightness"):
            if not 0 < getattr(self, name) < np.inf:
                raise ValueError(f"{name}={getattr(self, name)}: expected a number above 0")
        for name in ("compression", "double_weight", "quarter_weight"):
            if not 0 <= getattr(self, name) < np.inf:
                raise ValueError(f"{name}={getattr(self, name)}: expected a number of at least 0")


def onset_profile(samples: FloatArray, sample_rate: int, config: BeatConfig) -> FloatArray:
    """Compute the strength of onsets over time.

    Parameters
    ----------
    samples : ndarray of float32, shape (n_samples,)
        Mono signal.
    sample_rate : int
        Hertz.
    config : BeatConfig
        Settings.

    Returns
    -------
    ndarray of float32, shape (1 + n_samples // hop,)
        Non-negative values, all zero for silence.
    """
    return _onsets(samples, sample_rate, config)[0]


@dataclass(frozen=True)
class _Coarse:
    """Means of groups of ``_POOL`` frames."""

    profile: FloatArray
    low: FloatArray
    high: FloatArray
    harmony: FloatArray


def _onsets(samples: FloatArray, sample_rate: int, config: BeatConfig) -> tuple[FloatArray, _Coarse]:
    """Compute the onset profile, and the coarse one with its low and high parts and the harmony.

    Low onsets are those of the lowest eighth of the bands (below about 450 Hz), high onsets those of the upper half
    (above about 2500 Hz). The harmony is the compressed spectrum from one sixteenth to one half of the bands.
    """
    low = slice(0, max(1, config.n_mels // 8))
    high = slice(config.n_mels // 2, config.n_mels)
    chords = slice(config.n_mels // 16, max(config.n_mels // 16 + 1, config.n_mels // 2))
    if not samples.any():
        silence = np.zeros(frame_count(len(samples), config.hop), np.float32)
        return silence, _Coarse(silence, silence, silence, silence[:, None])

    def transform(block: ComplexArray, out: FloatArray) -> None:
        mel_power(squared(block), sample_rate=sample_rate, n_fft=config.n_fft, n_mels=config.n_mels, out=out)
        np.sqrt(out, out=out)

    mel = map_spectrum(samples, n_fft=config.n_fft, hop=config.hop, width=config.n_mels, transform=transform)
    largest = mel.max()
    compressed = _compress(mel, largest, config.compression)
    harmony = _pool(compressed[:, chords])
    if config.profile == "laplace":
        rise = np.maximum(-scipy.ndimage.laplace(percussive(mel, config.separation)), 0.0)
    else:
        if config.profile == "percussive":
            compressed = _compress(percussive(mel, config.separation), largest, config.compression)
        rise = _rise(compressed, config.lag)
    profile = rise.mean(axis=1)
    bands = np.zeros((config.n_mels, 2), np.float32)
    bands[low, 0] = 1.0 / (low.stop - low.start)
    bands[high, 1] = 1.0 / (high.stop - high.start)
    parts = np.column_stack([profile, rise @ bands])
    coarse, low_onsets, high_onsets = _pool(parts).T
    return profile, _Coarse(coarse, low_onsets, high_onsets, harmony)


def _compress(spectrum: FloatArray, largest: np.floating, compression: float) -> FloatArray:
    """Logarithm of one plus the scaled spectrum; the spectrum itself if ``compression`` is 0."""
    if compression <= 0 or largest <= 0:
        return spectrum
    scaled = spectrum * (np.float32(compression) / largest)
    scaled += 1.0  # log is vectorised in numpy, log1p is not
    return np.log(scaled, out=scaled)


def _pool(frames: FloatArray) -> FloatArray:
    """Means of groups of ``_POOL`` frames; a remainder at the end is dropped."""
    count = len(frames) // _POOL
    return frames[: count * _POOL].reshape(count, _POOL, frames.shape[1]).mean(axis=1)


def _rise(spectrum: FloatArray, lag: int) -> FloatArray:
    """Half-wave rectified difference over ``lag`` frames; 0 in the first ``lag`` frames."""
    rise = np.zeros_like(spectrum)
    if len(spectrum) > lag:
        np.subtract(spectrum[lag:], spectrum[:-lag], out=rise[lag:])
        np.maximum(rise, 0.0, out=rise)
    return rise


@_jit.njit
def _accumulate(score: DoubleArray, cost: DoubleArray, shortest: int, total: DoubleArray, back: IndexArray) -> None:
    """Best cumulative score of every frame, and the beat before it.

    ``total`` has the shape (reach + frames,) and is -inf before the first frame, so that the search needs no bounds
    checks. No frame looks back less than ``shortest`` frames, so blocks of that length are processed in parallel lanes.
    """
    reach = shortest + len(cost) - 1
    block = min(_LANES, shortest)
    best = np.empty(_LANES)
    best_lag = np.empty(_LANES)
    for first in range(0, len(score), block):
        width = min(block, len(score) - first)
        best[:] = -np.inf
        best_lag[:] = 0.0
        for step in range(min(len(cost), first + width - shortest)):
            origin = reach + first - shortest - step
            past = total[origin : origin + width]
            price = cost[step]
            lag = float(shortest + step)
            for lane in range(width):
                value = past[lane] - price
                known = best[lane]
                best[lane] = value if value > known else known
                best_lag[lane] = lag if value > known else best_lag[lane]
        for lane in range(width):
            frame = first + lane
            if best_lag[lane] > 0.0:
                total[reach + frame] = score[frame] + best[lane]
                back[frame] = frame - int(best_lag[lane])
            else:
                total[reach + frame] = score[frame]
                back[frame] = -1


def _local_score(profile: FloatArray, period: int) -> DoubleArray:
    """Profile divided by its standard deviation, smoothed by a Gaussian of 1/32 of the period."""
    spread = profile.std(ddof=1) if len(profile) > 1 else np.float32(0.0)
    scaled = (profile / (spread + np.finfo(np.float32).tiny)).astype(np.float64)
    scaled[0] = 0.0  # librosa's sum omits the first frame
    window = np.exp(-0.5 * (np.arange(-period, period + 1) * 32.0 / period) ** 2)
    return np.convolve(scaled, window)[period : period + len(profile)]


def _last_beat(total: DoubleArray) -> int:
    """Last local maximum of the cumulative score that is at least half the median of all; else the last frame."""
    peak = np.zeros(len(total), bool)
    peak[1:-1] = (total[1:-1] > total[:-2]) & (total[1:-1] >= total[2:])
    peak[-1] = len(total) > 1 and total[-1] > total[-2]
    frames = np.flatnonzero(peak)
    if len(frames):
        frames = frames[total[frames] >= 0.5 * np.median(total[frames])]
    return int(frames[-1]) if len(frames) else len(total) - 1


def beat_frames(
    profile: FloatArray, rate: float, *, bpm: float, tightness: float = 100.0, trim: bool = True
) -> IndexArray:
    """Find the beats of an onset profile at a known tempo (Ellis 2007).

    Parameters
    ----------
    profile : ndarray of float32, shape (n_frames,)
        Strength of onsets.
    rate : float
        Frames per second.
    bpm : float
        Tempo in beats per minute.
    tightness : float
        Weight of the squared logarithm of the ratio between a beat's length and that of the tempo.
    trim : bool
        Whether to drop beats with weak onsets at both ends.

    Returns
    -------
    ndarray of int64, shape (n_beats,)
        ``librosa.beat.beat_track(onset_envelope=profile, bpm=bpm, tightness=tightness, trim=trim)[1]``.
    """
    if not profile.any():
        return np.zeros(0, np.int64)
    period = max(1, round(rate * 60.0 / bpm))
    score = _local_score(profile, period)
    shortest = max(1, round(period / 2))
    cost = tightness * (np.log(np.arange(shortest, 2 * period + 1)) - np.log(period)) ** 2
    total = np.full(2 * period + len(score), -np.inf)
    back = np.empty(len(score), np.int64)
    _accumulate(score, cost, shortest, total, back)
    loud = np.flatnonzero(score >= _SILENT * score.max())
    back[: loud[0]] = -1  # the first beat has at least that score
    beats = []
    frame = _last_beat(total[2 * period :])
    while frame >= 0:
        beats.append(frame)
        frame = back[frame]
    found = np.array(beats[::-1], np.int64)
    threshold = 0.0
    if trim:
        smooth = np.convolve(score[found], np.hanning(5))[2 : len(score) + 2]
        threshold = 0.5 * np.sqrt(np.mean(smooth**2))
    return _between(found, score > threshold)


def _between(beats: IndexArray, loud: npt.NDArray[np.bool_]) -> IndexArray:
    """Beats from the first loud frame to the last."""
    frames = np.flatnonzero(loud)
    return beats[(beats >= frames[0]) & (beats <= frames[-1])] if len(frames) else beats[:0]


def _refined(beats: DoubleArray, profile: FloatArray) -> IndexArray:
    """Frames with the strongest onset near beats that are given in coarse frames, without silent ends."""
    score = _local_score(profile, max(1, round(_POOL * float(np.median(np.diff(beats))))))
    # The middle of the coarse frame, and one and a half coarse frames to both sides.
    reach = _POOL * 3 // 2
    centres = np.round(beats * _POOL + (_POOL - 1) / 2).astype(int)
    near = np.clip(centres[:, None] + np.arange(-reach, reach + 1), 0, len(profile) - 1)
    found = near[np.arange(len(near)), score[near].argmax(axis=1)]
    return _between(found, score >= _SILENT * score.max())


def track_beats(samples: FloatArray, sample_rate: int, config: BeatConfig) -> DoubleArray:
    """Find the times of the beats of a signal.

    Parameters
    ----------
    samples : ndarray of float32, shape (n_samples,)
        Mono signal.
    sample_rate : int
        Hertz.
    config : BeatConfig
        Settings.

    Returns
    -------
    ndarray of float64, shape (n_beats,)
        Times in seconds, increasing; empty if there are no onsets.
    """
    profile, coarse = _onsets(samples, sample_rate, config)
    if not profile.any():
        return np.zeros(0)
    rate = sample_rate / config.hop
    correlation = autocorrelation(profile, rate, step=config.tempo_step)
    prior = {"start_bpm": config.start_bpm, "std_bpm": config.std_bpm}
    if config.tempo == "librosa":
        bpm = librosa_tempo(correlation, rate, **prior)
    else:
        weights = {"double_weight": config.double_weight, "quarter_weight": config.quarter_weight}
        bpm = comb_tempo(correlation, rate, **weights, **prior)
    followed = np.zeros(0)
    if config.tempo == "metre":
        followed = metre_beats(
            coarse.profile,
            coarse.low,
            coarse.high,
            coarse.harmony,
            rate / _POOL,
            around=bpm,
            weights=config.metre_weights,
        )
    if len(followed):
        frames = _refined(followed, profile)
    else:  # a tempo without changes, or too little music to compare tempi
        frames = beat_frames(profile, rate, bpm=bpm, tightness=config.tightness)
    return np.asarray(frames * (config.hop / sample_rate), np.float64)
