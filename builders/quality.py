"""Quality filter of pre-training datasets (Schmidt and Kim 2013, section 3.1).

The paper drops clips below 128 kbit/s, below 22,050 Hz, shorter than 30 s, silent clips, and corrupt files or frames.
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
    """Thresholds of the quality filter; the defaults are those of the paper.

    Attributes
    ----------
    min_bit_rate : int
        Minimum bit rate in bits per second; lossless files always pass.
    min_sample_rate : int
        Minimum sample rate in hertz.
    min_duration : float
        Minimum duration in seconds.
    duration_tolerance : float
        Seconds by which a clip may be shorter than ``min_duration``.
    silence_db : float
        Level in decibels relative to full scale below which a clip is silent.
    min_beats : int
        Minimum number of beats.
    """

    min_bit_rate: int = option(128_000, "Minimum bit rate in bits per second; lossless files always pass.")
    min_sample_rate: int = option(22_050, "Minimum sample rate in hertz.")
    min_duration: float = option(30.0, "Minimum duration in seconds.")
    duration_tolerance: float = 0.1
    silence_db: float = option(-60.0, "Level in decibels relative to full scale below which a clip is silent.")
    min_beats: int = 4

    def __post_init__(self) -> None:
        if self.min_bit_rate < 0 or 0 < self.min_bit_rate < 1000:
            raise InputError(f"`min_bit_rate` {self.min_bit_rate}: expected bits per second, such as 128000, or 0.")
        if self.min_sample_rate < 0 or 0 < self.min_sample_rate < 1000:
            raise InputError(f"`min_sample_rate` {self.min_sample_rate}: expected hertz, such as 22050, or 0.")
        if not 0 <= self.min_duration < math.inf:
            raise InputError(f"`min_duration` {self.min_duration:g}: expected seconds, such as 30, or 0.")
        if not self.silence_db <= 0:
            raise InputError(
                f"`silence_db` {self.silence_db:g}: expected decibels relative to full scale, such as -60."
            )

    def describe(self) -> str:
        """Describe the filter for the card."""
        return (
            "Clips are rejected if they are missing, cannot be decoded, have broken or truncated MPEG frames, or have "
            f"less than {self.min_bit_rate / 1000:g} kbit/s (unless lossless), {self.min_sample_rate:,} Hz, "
            f"{self.min_duration:g} s (with a tolerance of {self.duration_tolerance:g} s), {self.silence_db:g} dB "
            f"relative to full scale, or {self.min_beats} beats."
        )


def check_sample(sample: int) -> None:
    """Raise InputError if the size of a sample is invalid; 0 means all clips."""
    if sample < 0:
        raise InputError(f"`sample` {sample}: expected a number of clips, or 0 for all that pass the filter.")


@dataclass(frozen=True)
class ClipFacts:
    """Facts about a decoded clip; columns of the table ``clips`` of a pre-training dataset."""

    codec: str
    bit_rate: int
    sample_rate: int
    channels: int
    duration: float
    rms_db: float
    n_beats: int


# Reasons for rejection, with the condition under which a clip is rejected.
RULES: dict[str, Callable[[ClipFacts, QualityConfig], bool]] = {
    "low_bit_rate": lambda clip, config: not clip.codec.startswith(LOSSLESS) and clip.bit_rate < config.min_bit_rate,
    "low_sample_rate": lambda clip, config: clip.sample_rate < config.min_sample_rate,
    "too_short": lambda clip, config: clip.duration < config.min_duration - config.duration_tolerance,
    "silent": lambda clip, config: clip.rms_db < config.silence_db,
    "too_few_beats": lambda clip, config: clip.n_beats < config.min_beats,
}


def rejection(clip: ClipFacts, config: QualityConfig) -> str | None:
    """Return the first reason to reject a clip, or None if it passes."""
    return next((reason for reason, fails in RULES.items() if fails(clip, config)), None)
