"""Settings of a synthetic corpus."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

# Lowest and highest value of each setting; integers for whole numbers.
_BOUNDS: dict[str, tuple[float, float]] = {
    "seed": (0, math.inf),
    "n_clips": (0, math.inf),
    "clip_seconds": (4, 600),
    "n_pretrain": (0, math.inf),
    "pretrain_seconds": (4, 600),
    "sample_rate": (8000, 96000),
    "n_workers": (23, math.inf),
    "mapping_noise": (0.0, 100.0),
    "album_share": (0.0, 1.0),
    "arousal_sd": (1e-6, 0.25),
    "valence_sd": (1e-6, 0.25),
    "movement": (0.0, 0.1),
    "worker_spread": (1e-6, 0.3),
    "constant_share": (0.0, 1.0),
}


@dataclass(frozen=True, kw_only=True)
class SynthesisConfig:
    """Settings of a synthetic corpus.

    Parameters
    ----------
    seed : int
        Seed of everything random, at least 0.
    n_clips, n_pretrain : int
        Number of labelled clips and of clips for pre-training, at least 0.
    clip_seconds, pretrain_seconds : int
        Length of a clip in whole seconds, 4 to 600.
    sample_rate : int
        Sample rate in hertz, 8000 to 96000.
    stereo : bool
        Whether to render two channels with panned instruments.
    mapping_noise : float
        Scale of the properties of a piece that do not depend on its emotion, at least 0. The default of 1 is not based
        on a measurement of real music; 0 makes emotion obvious (see docs/method.md).
    album_share : float
        Share of the variance of emotion that the clips of an album have in common, 0 to 1. It is about 0.5 for the
        published MoodSwings Turk clips.
    arousal_sd, valence_sd : float
        Standard deviation of the clips' true emotion on the scale [-0.5, 0.5], above 0 and at most 0.25.
    movement : float
        Standard deviation of the steps of the true emotion per second, before smoothing, 0 to 0.1.
    worker_spread : float
        Standard deviation of the workers' ratings, per axis, before compression at the ends of the scale; above 0 and
        at most 0.3.
    n_workers : int
        Number of workers from whom annotators are drawn, at least 23 (no worker rates a clip twice).
    constant_share : float
        Share of the traces that are constant, 0 to 1.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """

    seed: int = 0
    n_clips: int = 240
    clip_seconds: int = 15
    n_pretrain: int = 200
    pretrain_seconds: int = 45
    sample_rate: int = 22050
    stereo: bool = False
    mapping_noise: float = 1.0
    album_share: float = 0.5
    arousal_sd: float = 0.178
    valence_sd: float = 0.115
    movement: float = 0.0165
    worker_spread: float = 0.25
    n_workers: int = 250
    constant_share: float = 0.125

    def __post_init__(self) -> None:
        """Check every field."""
        for name, (low, high) in _BOUNDS.items():
            value = getattr(self, name)
            whole = isinstance(low, int)
            kinds = (int, np.integer) if whole else (int, float, np.integer, np.floating)
            if not isinstance(value, kinds) or isinstance(value, bool):
                raise ValueError(f"{name} must be a {'whole ' if whole else ''}number, not {value!r}")
            # This form rejects NaN too, because all comparisons with it are false.
            if not low <= value <= high:
                bounds = f"at least {low}" if high == math.inf else f"between {low} and {high}"
                raise ValueError(f"{name} must be {bounds}, not {value!r}")
        if not isinstance(self.stereo, bool):
            raise ValueError(f"stereo must be true or false, not {self.stereo!r}")
