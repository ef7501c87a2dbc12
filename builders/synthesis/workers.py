"""Simulated annotators: what a crowd would have dragged over the emotion board while a clip played.

A worker hears the true emotion late, adds a bias of their own and one for this clip, drifts slowly, and
moves the pointer only when it has become wrong enough. The constants make the crowd resemble that of
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
# Drawn slightly wide, so that mean and spread are right after rounding and cutting (16.93 and 2.69 in the
# real file).
_COUNT_MEAN, _COUNT_SD = 16.93, 2.68

# Real clips lie right of and above the middle although they were chosen to fill all quadrants: people lean
# that way.
_LEAN = 0.066

# Variance of a worker's distance from the crowd: who they are, what they make of this clip, what they drift.
_PERSONAL, _OPINION, _DRIFT = 0.08, 0.14, 0.78
_DRIFT_SECONDS = 21.0

# Some traces hardly move and some wander over the whole board: log standard deviation of how much a trace
# drifts.
_ACTIVITY_SD = 0.6

# How much clips differ in what people agree on (log standard deviation), and in how their two answers go
# together.
_AGREEMENT_SD, _CORRELATION_SD = 0.13, 0.20


@dataclass(frozen=True, kw_only=True)
class Trace:
    """One worker's answers to one clip: one float64 a second in [-0.5, 0.5], on a grid of 1/400."""

    annotator_id: int
    arousal: NDArray[np.float64]
    valence: NDArray[np.float64]


def simulate_workers(plan: ClipPlan, config: SynthesisConfig) -> list[Trace]:
    """Simulate the crowd of one clip.

    Parameters
    ----------
    plan : ClipPlan
    config : SynthesisConfig
        `worker_spread`, `n_workers` and `constant_share` are used.

    Returns
    -------
    list of Trace
        7 to 23 different workers; entry k of a trace is the answer at the end of second k + 1.
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
    """Both axes of one trace, shape (2, seconds)."""
    seconds = truth.shape[1]
    # A worker is the same person in every clip.
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
    # Its square has mean 1, so that the spread of the crowd stays what it was asked to be.
    activity = float(np.exp(_ACTIVITY_SD * rng.standard_normal() - _ACTIVITY_SD**2))
    keep = np.exp(-1.0 / _DRIFT_SECONDS)
    drift = np.empty_like(truth)
    # Everybody starts from the same spot, so drift has less than its full spread at first.
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
        # Only those who were meant to may stand still.
        out = _to_grid(_drag(aim, 0.0))
    return out


def _hold_back(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keep answers on the board; near its edge they come closer but seldom touch it, as people's do."""
    return x / (1.0 + (np.abs(x) / 0.5) ** 8) ** 0.125


def _drag(aim: NDArray[np.float64], laziness: float) -> NDArray[np.float64]:
    """Follow `aim` with a pointer that is moved only when it is further off than `laziness`."""
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
