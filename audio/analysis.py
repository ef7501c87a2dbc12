"""Analysis of Figure 1 of the paper: beats, and timbre and pitch between beats; and texture, which keeps the level.

Segment ``i`` ends at beat ``i`` and starts at beat ``i - 1``, or at the start of the clip for the first beat. A clip of
N beats has N segments, so a window of four segments needs at least four beats.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..errors import AudioError
from ..runtime.files import sha256_file
from . import _jit
from . import texture as textures
from .beats import BeatConfig, track_beats
from .cache import cached
from .contrast import BANDS
from .decode import decode, rms_db
from .pitch import PitchConfig, pitch_bands
from .texture import TextureConfig
from .timbre import TimbreConfig, mel_cepstrum, mel_parts

FloatArray = npt.NDArray[np.float32]

# Part of the cache key. Increment it when the same audio and settings give different values than before. Texture has
# settings and a revision of its own, so that results on the paper's inputs keep their signatures.
REVISION = 4
TEXTURE = TextureConfig()
_TEXTURE = f"texture{textures.REVISION}"

# Seconds by which a given beat may be after the end of the decoded signal.
_LATE = 0.1


@dataclass(frozen=True)
class AnalysisConfig:
    """Settings of the analysis.

    Attributes
    ----------
    sample_rate : int
        Sample rate of the analysis in hertz.
    beats, timbre, pitch : BeatConfig, TimbreConfig, PitchConfig
        Settings of the three parts.
    """

    sample_rate: int = 22050
    beats: BeatConfig = field(default_factory=BeatConfig)
    timbre: TimbreConfig = field(default_factory=TimbreConfig)
    pitch: PitchConfig = field(default_factory=PitchConfig)

    @property
    def widths(self) -> dict[str, int]:
        """Number of values of each segment by their kind."""
        texture = 2 * self.timbre.n_mels + self.pitch.n_bands + 2 * BANDS
        return {"rhythm": self.timbre.n_mfcc, "pitch": self.pitch.n_bands, "texture": texture}


@dataclass(frozen=True)
class Analysis:
    """Beats and features of a clip.

    Attributes
    ----------
    beats : ndarray of float64, shape (n_beats,)
        Times of the beats in seconds from the start of the clip.
    rhythm : ndarray of float32, shape (n_beats, 20)
        Mean percussion timbre of each segment.
    pitch : ndarray of float32, shape (n_beats, 48)
        Mean semitone bands of each segment.
    texture : ndarray of float32, shape (n_beats, 142)
        Mean levels of each segment in decibels: 40 harmonic and 40 percussive mel bands, 48 semitones, and spectral
        contrast (7 valleys, 7 differences).
    duration : float
        Duration of the decoded signal in seconds.
    rms_db : float
        Level in decibels relative to full scale.
    seconds : float
        Processor time of the analysis in seconds.
    """

    beats: npt.NDArray[np.float64]
    rhythm: FloatArray
    pitch: FloatArray
    texture: FloatArray
    duration: float
    rms_db: float
    seconds: float


def mean_per_segment(frames: FloatArray, beats: npt.NDArray[np.float64], frame_rate: float) -> FloatArray:
    """Average frames between beats.

    Parameters
    ----------
    frames : ndarray of float32, shape (n_frames, d)
        Frame ``k`` is at ``k / frame_rate`` seconds.
    beats : ndarray, shape (n_beats,)
        Times of the beats in seconds, increasing.
    frame_rate : float
        Frames per second.

    Returns
    -------
    ndarray of float32, shape (n_beats, d)
        Row ``i`` is the mean over the frames from beat ``i - 1`` (0 for the first) to beat ``i``, at least one, as in
        ``librosa.util.sync`` without the segment after the last beat.
    """
    bounds = np.minimum(np.floor(beats * frame_rate + 1e-6).astype(np.intp), len(frames))
    out = np.zeros((len(beats), frames.shape[1]), np.float32)
    _average(frames, bounds, out)
    return out


@_jit.njit
def _average(frames: FloatArray, bounds: npt.NDArray[np.intp], out: FloatArray) -> None:
    """Add to each row of ``out`` the mean of the frames up to its bound."""
    start = 0
    for row, stop in enumerate(bounds):
        first = min(start, len(frames) - 1)
        last = max(stop, first + 1)
        mean = out[row]
        for frame in range(first, last):
            for column in range(len(mean)):
                mean[column] += frames[frame, column]
        for column in range(len(mean)):
            mean[column] /= np.float32(last - first)
        start = stop


def analyse(samples: FloatArray, config: AnalysisConfig, beats: Sequence[float] | None = None) -> Analysis:
    """Track the beats of a signal, and average timbre and pitch between them.

    Parameters
    ----------
    samples : ndarray of float32, shape (n_samples,)
        Mono signal at the configured sample rate, not empty.
    config : AnalysisConfig
        Settings.
    beats : sequence of float, optional
        Times of the beats in seconds, increasing; by default they are tracked.

    Returns
    -------
    Analysis

    Raises
    ------
    AudioError
        If a given beat is after the end of the signal (``beats_after_end``).
    """
    began = time.process_time()
    rate = config.sample_rate
    if beats and beats[-1] > len(samples) / rate + _LATE:
        raise AudioError("beats_after_end", f"beat at {beats[-1]:g} s: the audio ends at {len(samples) / rate:g} s.")
    times = track_beats(samples, rate, config.beats) if beats is None else np.array(beats, np.float64)
    timbre_rate, pitch_rate = rate / config.timbre.hop, rate / config.pitch.hop
    harmonic, percussive = mel_parts(samples, rate, config.timbre)
    semitones = pitch_bands(samples, rate, config.pitch)
    rhythm = mean_per_segment(mel_cepstrum(percussive, config.timbre), times, timbre_rate)
    pitch = mean_per_segment(semitones, times, pitch_rate)
    texture = [
        (np.hstack([textures.levels(harmonic, TEXTURE), textures.levels(percussive, TEXTURE)]), timbre_rate),
        (textures.levels(np.square(semitones), TEXTURE), pitch_rate),
        (textures.contrast_levels(samples, rate, TEXTURE), rate / TEXTURE.hop),
    ]
    return Analysis(
        beats=times,
        rhythm=rhythm,
        pitch=pitch,
        texture=np.hstack([mean_per_segment(frames, times, frame_rate) for frames, frame_rate in texture]),
        duration=len(samples) / rate,
        rms_db=rms_db(samples),
        seconds=time.process_time() - began,
    )


def analyse_file(
    path: Path,
    *,
    start: float,
    duration: float | None,
    config: AnalysisConfig,
    beats: Sequence[float] | None = None,
) -> Analysis:
    """Analyse a file or a part of it, cached by the file's content and the settings.

    Parameters
    ----------
    path : Path
        Audio file.
    start, duration : float
        Part to analyse, in seconds. Without a duration, up to the end of the file.
    config : AnalysisConfig
        Settings.
    beats : sequence of float, optional
        As for :func:`analyse`; times count from ``start``.

    Returns
    -------
    Analysis

    Raises
    ------
    AudioError
        If the file is missing, cannot be decoded, is truncated, ends before ``start`` (``too_short``), or before a
        given beat (``beats_after_end``).
    """
    if not path.is_file():
        raise AudioError("missing", f"{path}: no such audio file.")

    def compute() -> dict[str, npt.NDArray]:
        began = time.process_time()
        samples = decode(path, sample_rate=config.sample_rate, start=start, duration=duration)
        if len(samples) == 0:
            raise AudioError("too_short", f"{path}: ends before {start:g} s, the start of the clip.")
        decoding = time.process_time() - began
        found = analyse(samples, config, beats)
        scalars = np.array([found.duration, found.rms_db, found.seconds + decoding])
        parts = {"beats": found.beats, "rhythm": found.rhythm, "pitch": found.pitch, _TEXTURE: found.texture}
        return {**parts, "scalars": scalars}

    key = ["analysis", REVISION, sha256_file(path), start, duration, config]
    if beats is not None:
        key.append(list(beats))
    # An entry of an earlier version lacks the texture.
    stored = cached("analysis", key, compute, holding=_TEXTURE)
    duration_found, level, seconds = (float(value) for value in stored["scalars"])
    return Analysis(
        beats=stored["beats"],
        rhythm=stored["rhythm"],
        pitch=stored["pitch"],
        texture=stored[_TEXTURE],
        duration=duration_found,
        rms_db=level,
        seconds=seconds,
    )
