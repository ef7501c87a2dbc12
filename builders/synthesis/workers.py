"""Simulated annotators, who move a pointer over the emotion plane while a clip is playing.

A worker perceives the true emotion with a delay, adds a personal bias and a bias for the clip, drifts slowly, and moves
the pointer only when its error has become large enough. The constants were chosen so that the ratings resemble those of
MoodSwings Turk (see `label_statistics`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .config import SynthesisConfig
from .plan import ClipPlan

_WORKERS, _POOL = 6, 7

FEWEST, MOST = 7, 23
# Parameters of the distribution before rounding and clipping; mean and standard deviation in the real file are 16.93
# and 2.69.
_COUNT_MEAN, _COUNT_SD = 16.93, 2.68

# Real ratings are above 0 on average on both axes, although the clips were chosen to fill all quadrants.
_LEAN = 0.066

# Shares of the variance of a worker's deviation from the crowd: personal bias, bias for the clip, and drift.
_PERSONAL, _OPINION, _DRIFT = 0.08, 0.14, 0.78
_DRIFT_SECONDS = 21.0

# Log standard deviation of the amount of drift of a trace: some hardly move, others cross the whole plane.
_ACTIVITY_SD = 0.6

# Variation between clips of the spread of the ratings (log standard deviation) and of the correlation of both axes.
_AGREEMENT_SD, _CORRELATION_SD = 0.13, 0.20


@dataclass(frozen=True, kw_only=True)
class Trace:
    """Ratings of one clip by one worker: one value per second in [-0.5, 0.5], in steps of 1/400."""

    annotator_id: int
    arousal: NDArray[np.float64]
    valence: NDArray[np.float64]


def simulate_workers(plan: ClipPlan, config: SynthesisConfig) -> list[Trace]:
    """Simulate the ratings of one clip.

    Parameters
    ----------
    plan : ClipPlan
        Plan of the clip.
    config : SynthesisConfig
        Settings, of which `worker_spread`, `n_workers` and `constant_share` are used.

    Returns
    -------
    list of Trace
        Traces of 7 to 23 different workers; item k of a trace is the rating at the end of second k + 1.
    """
    rng = np.random.default_rng((*plan.seed, _WORKERS))
    count = int(np.clip(np.rint(rng.normal(_COUNT_MEAN, _COUNT_SD)), FEWEST, MOST))
    who = np.sort(rng.choice(config.n_workers, size=count, replace=False))
    truth = np.array([plan.arousal, plan.valence])
    spread = config.worker_spread * np.exp(_AGREEMENT_SD * rng.standard_normal((2, 1)))
    together = float(np.clip(0.045 + _CORRELATION_SD * rng.standard_normal(), -0.8, 0.8))
    traces = []
    for worker in who.tolist():
        arousal, valence = _trace(truth, worker, spread, together, plan.seed[0], config.constant_share, rng)
        traces.append(Trace(annotator_id=worker + 1, arousal=arousal, valence=valence))
    return traces


def _trace(
    truth: NDArray[np.float64],
    worker: int,
    spread: NDArray[np.float64],
    together: float,
    seed: int,
    constant_share: float,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Simulate one trace, shape (2, seconds)."""
    seconds = truth.shape[1]
    # Personal parameters are the same in every clip.
    person = np.random.default_rng((seed, _POOL, worker))
    bias = person.standard_normal((2, 1))
    lag = person.uniform(0.3, 3.0)
    laziness = float(np.exp(-2.7 + 0.6 * person.standard_normal()))

    def pair(shape: tuple[int, int]) -> NDArray[np.float64]:
        x = rng.standard_normal(shape)
        x[1] = together * x[0] + np.sqrt(1.0 - together**2) * x[1]
        return x

    opinion = pair((2, 1))
    steps = pair((2, seconds))
    # Its square has mean 1, so that it does not change the spread of the ratings.
    activity = float(np.exp(_ACTIVITY_SD * rng.standard_normal() - _ACTIVITY_SD**2))
    keep = np.exp(-1.0 / _DRIFT_SECONDS)
    drift = np.empty_like(truth)
    # All workers start at the same point, so the drift is smaller at first.
    state = 0.85 * pair((2, 1))[:, 0]
    for second in range(seconds):
        state = keep * state + np.sqrt(1.0 - keep**2) * steps[:, second]
        drift[:, second] = state
    late = np.arange(1, seconds + 1) - lag
    heard = np.array([np.interp(late - 0.5, np.arange(seconds), axis) for axis in truth])
    opinions = np.sqrt(_PERSONAL) * bias + np.sqrt(_OPINION) * opinion + np.sqrt(_DRIFT) * activity * drift
    aim = _hold_back(heard + _LEAN + spread * opinions)
    if rng.random() < constant_share:
        return _to_grid(np.repeat(aim[:, :1], seconds, axis=1))
    out = _to_grid(_drag(aim, laziness * activity))
    if np.all(out == out[:, :1]):
        # Other traces must not be constant.
        out = _to_grid(_drag(aim, 0.0))
    return out


def _hold_back(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compress ratings near the ends of the scale, which real ratings seldom reach."""
    return x / (1.0 + (np.abs(x) / 0.5) ** 8) ** 0.125


def _drag(aim: NDArray[np.float64], laziness: float) -> NDArray[np.float64]:
    """Follow `aim` with a pointer that moves only when its distance exceeds `laziness`."""
    out = np.empty_like(aim)
    held = aim[:, 0]
    for second in range(aim.shape[1]):
        gap = aim[:, second] - held
        if np.hypot(gap[0], gap[1]) > laziness:
            held = held + 0.85 * gap
        out[:, second] = held
    return out


def _to_grid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.rint(np.clip(x, -0.5, 0.5) * 400.0) / 400.0
