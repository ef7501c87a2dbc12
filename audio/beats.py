"""Beat tracking: onset profile, tempo, dynamic programme (Schmidt and Kim 2013, section 4.2).

The onset profile is taken from a mel spectrogram at a hop of 64 samples. The beats are those of Ellis's
dynamic programme (Journal of New Music Research 36(1), 2007) as librosa 0.11 runs it, frame for frame.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import scipy.ndimage

from . import _jit
from .separation import SeparationConfig, percussive
from .spectra import frame_count, map_spectrum, mel_power
from .tempo import MetreWeights, autocorrelation, comb_tempo, librosa_tempo, metre_tempo

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]
IndexArray = npt.NDArray[np.int64]

_LANES = 64
_PROFILES = ("flux", "percussive", "laplace")
_TEMPOS = ("metre", "comb", "librosa")

# Frames that are averaged before the harmony is compared.
_POOL = 4


@dataclass(frozen=True)
class BeatConfig:
    """Settings of the beat tracker.

    Attributes
    ----------
    n_fft, hop : int
        Window and hop of the spectrogram in samples. The paper's hop is 64. On rendered music a window of 512
        finds about a hundredth fewer of the beats than 1024, and 2048 as many at twice the cost.
    n_mels : int
        Mel bands (the paper's 128).
    profile : {"flux", "percussive", "laplace"}
        ``flux`` is the mean over bands of the half-wave rectified difference over ``lag`` frames of the
        compressed mel spectrogram, ``percussive`` the same of its percussive part, ``laplace`` the paper's
        multidimensional Laplace filter of the percussive part, rectified. On rendered music of known beats
        ``flux`` finds most, with drums and without.
    lag : int
        Frames between the two ends of the difference; 8 are 23 ms, about the length of an attack.
    compression : float
        The spectrogram, scaled to a maximum of 1, is compressed as ``log(1 + compression * mel)``, so
        that soft onsets count beside loud ones; 0 leaves it as it is. Not for ``laplace``.
    tempo : {"metre", "comb", "librosa"}
        Which estimate of :mod:`.tempo`. ``comb`` looks at onsets only; ``metre`` compares what the beats of
        its tempo, of the half and of the double do with the harmony.
    start_bpm, std_bpm : float
        Log-normal prior of the tempo: its centre in beats a minute and its spread in octaves. librosa's
        spread is 1, against the logarithm of the autocorrelation; ``comb`` weighs it against the
        autocorrelation itself, and ``metre`` by a weight of its own.
    metre_weights : MetreWeights
        Of the evidence for a tempo in ``metre``.
    double_weight, quarter_weight : float
        Of the autocorrelation at two beats and, taken off, at quarters of a beat, in ``comb``. Beats found
        hardly change between 0.5 and 1 for the one and 0.2 and 0.7 for the other.
    tempo_step : int
        Frames between two windows of the autocorrelation. 16 costs four times as much as 64.
    tightness : float
        How closely the beats keep to the tempo. The score of a beat grows with the frames a second, so that
        librosa's 100 at its hop of 512 weighs as much as 800 at 64; from 400 on little changes.
    separation : SeparationConfig
        Of the harmonic from the percussive part.

    Raises
    ------
    ValueError
        Naming the field that is out of range.
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
    """Strength of onsets over time.

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
        Not negative; all zero for silence.
    """
    return _onsets(samples, sample_rate, config)[0]


def _onsets(samples: FloatArray, sample_rate: int, config: BeatConfig) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Onset profile, that of the middle of the spectrum, and the harmony.

    The middle is from an eighth to a half of the bands (some 500 to 2500 hertz), where chords and melodies
    start; the harmony is the compressed spectrum from a sixteenth to a half, a row for ``_POOL`` frames.
    """
    middle = slice(config.n_mels // 8, max(config.n_mels // 8 + 1, config.n_mels // 2))
    chords = slice(config.n_mels // 16, middle.stop)
    if not samples.any():
        silence = np.zeros(frame_count(len(samples), config.hop), np.float32)
        return silence, silence, _pool(silence[:, None])

    def transform(block: npt.NDArray[np.complex64], out: FloatArray) -> None:
        power = np.square(block.real)
        power += np.square(block.imag)
        mel_power(power, sample_rate=sample_rate, n_fft=config.n_fft, n_mels=config.n_mels, out=out)
        np.sqrt(out, out=out)

    mel = map_spectrum(samples, n_fft=config.n_fft, hop=config.hop, width=config.n_mels, transform=transform)
    largest = mel.max()
    compressed = _compress(mel, largest, config.compression)
    harmony = _pool(compressed[:, chords])
    if config.profile == "laplace":
        rise = np.maximum(-scipy.ndimage.laplace(percussive(mel, config.separation)), 0.0)
        return rise.mean(axis=1), rise[:, middle].mean(axis=1), harmony
    if config.profile == "percussive":
        compressed = _compress(percussive(mel, config.separation), largest, config.compression)
    rise = _rise(compressed, config.lag)
    return rise.mean(axis=1), rise[:, middle].mean(axis=1), harmony


def _compress(spectrum: FloatArray, largest: np.floating, compression: float) -> FloatArray:
    """Logarithm of one plus the spectrum, scaled; the spectrum itself where ``compression`` is 0."""
    if compression <= 0 or largest <= 0:
        return spectrum
    scaled = spectrum * (np.float32(compression) / largest)
    return np.log1p(scaled, out=scaled)


def _pool(frames: FloatArray) -> FloatArray:
    """Means of ``_POOL`` frames each; what is left at the end is dropped."""
    count = len(frames) // _POOL
    return frames[: count * _POOL].reshape(count, _POOL, frames.shape[1]).mean(axis=1)


def _rise(spectrum: FloatArray, lag: int) -> FloatArray:
    """Half-wave rectified difference over ``lag`` frames; 0 in the first ``lag``."""
    rise = np.zeros_like(spectrum)
    if len(spectrum) > lag:
        np.subtract(spectrum[lag:], spectrum[:-lag], out=rise[lag:])
        np.maximum(rise, 0.0, out=rise)
    return rise


@_jit.njit
def _accumulate(score: DoubleArray, cost: DoubleArray, shortest: int, total: DoubleArray, back: IndexArray) -> None:
    """Best cumulative score of every frame, and the beat before it.

    ``total`` is (reach + frames), -inf before the first frame, so that the search needs no bounds. No
    frame looks back less than ``shortest``: so many frames make a block, whose lanes go side by side.
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
    """Profile over its standard deviation, smoothed by a Gaussian of a 32nd of the period."""
    spread = profile.std(ddof=1) if len(profile) > 1 else np.float32(0.0)
    scaled = (profile / (spread + np.finfo(np.float32).tiny)).astype(np.float64)
    scaled[0] = 0.0  # librosa's sum leaves out the first frame
    window = np.exp(-0.5 * (np.arange(-period, period + 1) * 32.0 / period) ** 2)
    return np.convolve(scaled, window)[period : period + len(profile)]


def _last_beat(total: DoubleArray) -> int:
    """Last local maximum of the cumulative score that reaches half their median; the last frame if none."""
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
    """Frames of the beats of an onset profile at a known tempo (Ellis 2007).

    Parameters
    ----------
    profile : ndarray of float32, shape (n_frames,)
        Strength of onsets.
    rate : float
        Frames a second.
    bpm : float
        Beats a minute.
    tightness : float
        Weight of the squared logarithm of the ratio of a beat's length to the tempo's.
    trim : bool
        Drop the beats at both ends whose onsets are weak.

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
    loud = np.flatnonzero(score >= 0.01 * score.max())
    back[: loud[0]] = -1  # the first beat is no weaker than that
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
    loud = np.flatnonzero(score > threshold)
    if len(loud) == 0:
        return found[:0]
    return found[(found >= loud[0]) & (found <= loud[-1])]


def track_beats(samples: FloatArray, sample_rate: int, config: BeatConfig) -> DoubleArray:
    """Times of the beats of a signal.

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
        Seconds, rising; empty where there is no onset.
    """
    profile, middle, harmony = _onsets(samples, sample_rate, config)
    if not profile.any():
        return np.zeros(0)
    rate = sample_rate / config.hop
    correlation = autocorrelation(profile, rate, step=config.tempo_step)
    prior = {"start_bpm": config.start_bpm, "std_bpm": config.std_bpm}
    weights = {"double_weight": config.double_weight, "quarter_weight": config.quarter_weight}
    if config.tempo == "metre":
        coarse = _pool(profile[:, None])[:, 0]

        def beats_at(bpm: float) -> IndexArray:
            # The score of a beat grows with the frames a second, and the tightness with it.
            return beat_frames(coarse, rate / _POOL, bpm=bpm, tightness=config.tightness / _POOL, trim=False)

        bpm = metre_tempo(
            correlation,
            autocorrelation(middle, rate, step=config.tempo_step),
            harmony,
            rate,
            around=comb_tempo(correlation, rate, **weights, **prior),
            beats_at=beats_at,
            weights=config.metre_weights,
            **prior,
        )
    elif config.tempo == "comb":
        bpm = comb_tempo(correlation, rate, **weights, **prior)
    else:
        bpm = librosa_tempo(correlation, rate, **prior)
    frames = beat_frames(profile, rate, bpm=bpm, tightness=config.tightness)
    return np.asarray(frames * (config.hop / sample_rate), np.float64)
