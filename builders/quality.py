"""The quality filter of the pre-training set (Schmidt and Kim 2013, section 3.1), one rule a function.

A rule looks at what is known of a clip and says whether it fails. The paper drops clips under 128 kbit/s,
under 22,050 Hz, under 30 s, silent ones, and ones with bad frames or corrupt files.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import InputError
from ..protocols import option

LOSSLESS = ("PCM_", "FLOAT", "DOUBLE", "ALAC")


@dataclass(frozen=True)
class QualityConfig:
    """Thresholds, the paper's by default.

    Attributes
    ----------
    min_bit_rate : int
        Bits a second; does not concern lossless encodings.
    min_sample_rate : int
        Hertz.
    min_duration : float
        Seconds.
    duration_tolerance : float
        Seconds by which a clip may fall short of ``min_duration``.
    silence_db : float
        Level in decibels relative to full scale below which a clip is silent.
    min_beats : int
        Fewest beats that make an example.
    """

    min_bit_rate: int = option(128_000, "Minimum bit rate in bits per second; lossless files always pass.")
    min_sample_rate: int = option(22_050, "Minimum sample rate in hertz.")
    min_duration: float = option(30.0, "Minimum duration in seconds.")
    duration_tolerance: float = 0.1
    silence_db: float = option(-60.0, "Level in decibels relative to full scale below which a clip is silent.")
    min_beats: int = 4

    def __post_init__(self) -> None:
        if self.min_bit_rate < 0 or 0 < self.min_bit_rate < 1000:
            raise InputError(f"`min_bit_rate` {self.min_bit_rate}: expected bits a second, such as 128000, or 0.")
        if self.min_sample_rate < 0 or 0 < self.min_sample_rate < 1000:
            raise InputError(f"`min_sample_rate` {self.min_sample_rate}: expected hertz, such as 22050, or 0.")
        if not 0 <= self.min_duration < math.inf:
            raise InputError(f"`min_duration` {self.min_duration:g}: expected seconds, such as 30, or 0.")
        if not self.silence_db <= 0:
            raise InputError(f"`silence_db` {self.silence_db:g}: expected decibels of full scale, such as -60.")

    def told(self) -> str:
        """What is rejected, for the card."""
        return (
            "Rejected are clips that are missing or cannot be decoded, whose MPEG frames are broken or cut, and those "
            f"of less than {self.min_bit_rate / 1000:g} kbit/s (unless lossless), {self.min_sample_rate:,} Hz, "
            f"{self.min_duration:g} s ({self.duration_tolerance:g} s are tolerated), {self.silence_db:g} dB of full "
            f"scale, or {self.min_beats} beats."
        )


def check_sample(sample: int) -> None:
    """Raise InputError unless a sample can be drawn; 0 means all clips."""
    if sample < 0:
        raise InputError(f"`sample` {sample}: expected a number of clips, or 0 for all that pass the filter.")


@dataclass(frozen=True)
class ClipFacts:
    """What is known of a decoded clip; the columns of the pre-training set's ``clips``."""

    codec: str
    bit_rate: int
    sample_rate: int
    channels: int
    duration: float
    rms_db: float
    n_beats: int


def low_bit_rate(clip: ClipFacts, config: QualityConfig) -> bool:
    """Fewer bits a second than asked, unless the encoding is lossless."""
    return not clip.codec.startswith(LOSSLESS) and clip.bit_rate < config.min_bit_rate


def low_sample_rate(clip: ClipFacts, config: QualityConfig) -> bool:
    """Fewer samples a second than asked."""
    return clip.sample_rate < config.min_sample_rate


def too_short(clip: ClipFacts, config: QualityConfig) -> bool:
    """Shorter than asked by more than the tolerance."""
    return clip.duration < config.min_duration - config.duration_tolerance


def silent(clip: ClipFacts, config: QualityConfig) -> bool:
    """Quieter than the level of silence."""
    return clip.rms_db < config.silence_db


def too_few_beats(clip: ClipFacts, config: QualityConfig) -> bool:
    """Fewer beats than an example needs."""
    return clip.n_beats < config.min_beats


RULES: dict[str, Callable[[ClipFacts, QualityConfig], bool]] = {
    "low_bit_rate": low_bit_rate,
    "low_sample_rate": low_sample_rate,
    "too_short": too_short,
    "silent": silent,
    "too_few_beats": too_few_beats,
}


def rejection(clip: ClipFacts, config: QualityConfig) -> str | None:
    """Name of the first rule that a clip fails; None where it passes all."""
    return next((name for name, fails in RULES.items() if fails(clip, config)), None)
