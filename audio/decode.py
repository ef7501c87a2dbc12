"""Decoding of audio files to mono float32 samples.

libsndfile reads WAV, FLAC, Ogg Vorbis and MPEG audio. Channels are averaged, and soxr resamples.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from ..errors import AudioError
from .mpeg import walk

FloatArray = npt.NDArray[np.float32]

EXTENSIONS = (".flac", ".wav", ".ogg", ".oga", ".mp3")


@dataclass(frozen=True)
class AudioInfo:
    """Properties that the header of an audio file states.

    Attributes
    ----------
    codec : str
        libsndfile's name of the encoding, such as ``MPEG_LAYER_III``.
    sample_rate : int
        Sample rate in hertz.
    channels : int
        Number of channels.
    duration : float
        Duration in seconds.
    """

    codec: str
    sample_rate: int
    channels: int
    duration: float


def probe(path: Path) -> AudioInfo:
    """Read the header of an audio file.

    Raises
    ------
    AudioError
        With the reason ``missing`` or ``undecodable``.
    """
    if not path.is_file():
        raise AudioError("missing", f"{path}: no such audio file.")
    try:
        with soundfile.SoundFile(path) as sound:
            return AudioInfo(
                codec=sound.subtype,
                sample_rate=sound.samplerate,
                channels=sound.channels,
                duration=sound.frames / sound.samplerate,
            )
    except (soundfile.LibsndfileError, OSError) as error:
        raise AudioError("undecodable", f"{path}: not readable as audio ({error}).") from error


def measure(path: Path) -> float:
    """Decode a file to find its duration in seconds; headers of MPEG audio often announce a frame more than there is.

    Raises
    ------
    AudioError
        With the reason ``missing`` or ``undecodable``.
    """
    info = probe(path)
    try:
        with soundfile.SoundFile(path) as sound:
            # `blocks` of soundfile would count the samples that the header announces.
            samples = 0
            while length := len(sound.read(info.sample_rate, dtype="float32")):
                samples += length
    except (soundfile.LibsndfileError, OSError, MemoryError, ValueError) as error:
        raise AudioError("undecodable", f"{path}: not decodable as audio ({error}).") from error
    return samples / info.sample_rate


def decode(path: Path, *, sample_rate: int = 22050, start: float = 0.0, duration: float | None = None) -> FloatArray:
    """Decode a file or a part of it to mono.

    Parameters
    ----------
    path : Path
        WAV, FLAC, Ogg Vorbis or MPEG audio.
    sample_rate : int
        Sample rate of the result in hertz; the default is the paper's.
    start, duration : float
        Part to decode, in seconds. Without a duration, up to the end of the file.

    Returns
    -------
    ndarray of float32, shape (n_samples,)
        Mean of the channels. Shorter than requested if the file ends earlier.

    Raises
    ------
    AudioError
        With the reason ``missing``, ``undecodable`` (also if samples are not finite) or ``truncated`` (fewer samples
        than libsndfile announces; for WAV it announces what the file has).
    ValueError
        If ``start`` or ``duration`` is negative.
    """
    if start < 0 or (duration is not None and duration < 0):
        raise ValueError(f"start={start}, duration={duration}: expected non-negative numbers of seconds")
    info = probe(path)
    first = round(start * info.sample_rate)
    wanted = -1 if duration is None else round(duration * info.sample_rate)
    if round(info.duration * info.sample_rate) <= first:
        return np.zeros(0, np.float32)
    promised = _length(path, info) - first
    if wanted >= 0:
        promised = min(promised, wanted)
    try:
        with soundfile.SoundFile(path) as sound:
            if first:
                sound.seek(first)
            samples = sound.read(wanted, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError, MemoryError, ValueError) as error:
        raise AudioError("undecodable", f"{path}: not decodable as audio ({error}).") from error
    if len(samples) < promised:
        raise AudioError(
            "truncated",
            f"{path}: ends after {len(samples)} of the {promised} samples that its header announces.",
        )
    if not np.isfinite(samples).all():
        raise AudioError("undecodable", f"{path}: contains samples that are not finite.")
    mono = samples[:, 0].astype(np.float32)
    for channel in range(1, samples.shape[1]):
        mono += samples[:, channel]
    if samples.shape[1] > 1:
        mono /= samples.shape[1]
    if info.sample_rate == sample_rate or len(mono) == 0:
        return mono
    return np.asarray(soxr.resample(mono, info.sample_rate, sample_rate, quality="HQ"), np.float32)


def _length(path: Path, info: AudioInfo) -> int:
    """Number of samples in a file. For MPEG audio without a frame count libsndfile only estimates it."""
    promised = round(info.duration * info.sample_rate)
    if not info.codec.startswith("MPEG"):
        return promised
    try:
        frames = walk(path)
    except AudioError:
        return promised
    samples = (frames.frames - 1) * frames.samples_per_frame - sum(frames.gapless or ())
    return max(0, min(promised, samples))


def rms_db(samples: FloatArray) -> float:
    """Root mean square of samples in decibels relative to full scale; -inf for silence."""
    power = float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0
    return 10.0 * np.log10(power) if power > 0 else -np.inf
