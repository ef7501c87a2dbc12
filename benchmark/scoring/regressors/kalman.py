r"""Linear dynamical system over the predictions of ridge regression (Schmidt and Kim, ICMLA 2010).

The targets of a clip are the states :math:`x_{t+1} = A x_t + w`, and the predictions are noisy observations of them,
:math:`z_t = H x_t + b + v`. It assumes linear dynamics that are the same in all clips and errors that are independent
from second to second; then the smoothed states (Rauch, Tung and Striebel 1965) are the best estimate from all seconds
of a clip, later ones included. A and the covariance of w are estimated from the targets of the training part. H, b and
the covariance of v are estimated from the verification part, since predictions of the training part are too good.

Real errors are alike from second to second, which the model takes for many independent witnesses. So the covariance of
v is multiplied by a factor that is chosen on the verification part, by estimating H, b and the covariance of v on one
half of its clips and scoring the other; "no smoothing" may also be chosen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from ....protocols import regressors
from .mlr import Linear
from .ridge import fit_ridge, mean_distance
from .scaling import FloatArray, Scaling
from .sequences import Groups, by_length
from .stored import Arrays, joined, part

# Factors of the observation noise.
NOISE = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)

# Where targets are linear in each other, as variances may be in means, the states spread along some directions by
# rounding only. Directions with less than this part of the largest spread are left out of least squares, which would
# otherwise divide by them, and all covariances are increased by a small multiple of the identity.
CUT = float(np.finfo(np.float32).eps)
SMALL = 1e-9


@dataclass(frozen=True)
class Dynamics:
    """Linear dynamical system of states with mean zero.

    Attributes
    ----------
    transition, innovation : ndarray, shape (k, k)
        A, and the covariance of w.
    initial : ndarray, shape (k, k)
        Covariance of the first state.
    observation, offset, noise : ndarray, shape (k, k), (k,), (k, k)
        H, b, and the covariance of v.
    """

    transition: FloatArray
    innovation: FloatArray
    initial: FloatArray
    observation: FloatArray
    offset: FloatArray
    noise: FloatArray

    def smooth(self, observed: FloatArray) -> FloatArray:
        """Return the expected states given all observations of each sequence, both of shape (n, length, k)."""
        count, length, size = observed.shape
        covariance, state = self.initial, np.zeros((count, size))
        filtered, covariances = np.empty_like(observed), np.empty((length, size, size))
        predicted, ahead = np.empty_like(observed), np.empty((length, size, size))
        for time in range(length):
            if time:
                state, covariance = (
                    state @ self.transition.T,
                    self.transition @ covariance @ self.transition.T + self.innovation,
                )
            predicted[:, time], ahead[time] = state, covariance
            spread = self.observation @ covariance @ self.observation.T + self.noise
            gain = np.linalg.solve(spread, self.observation @ covariance).T
            state = state + (observed[:, time] - self.offset - state @ self.observation.T) @ gain.T
            covariance = covariance - gain @ self.observation @ covariance
            filtered[:, time], covariances[time] = state, covariance
        smoothed = filtered.copy()
        for time in range(length - 2, -1, -1):
            back = np.linalg.solve(ahead[time + 1], self.transition @ covariances[time]).T
            smoothed[:, time] += (smoothed[:, time + 1] - predicted[:, time + 1]) @ back.T
        return smoothed


@dataclass(frozen=True)
class Smoothed:
    """Predictions of a linear map, smoothed over time unless ``dynamics`` is None."""

    base: Linear
    scaling: Scaling
    dynamics: Dynamics | None
    chosen: Mapping[str, float]

    def __call__(self, features: FloatArray, groups: Groups) -> FloatArray:
        """Predict targets, shape (n, k), from features of shape (n, d) and the sequence of each row."""
        predicted = self.base(features)
        if self.dynamics is None:
            return predicted
        states = (predicted - self.scaling.mean) / self.scaling.scale
        for rows in by_length(groups):
            states[rows] = self.dynamics.smooth(states[rows])
        return self.scaling.inverse(states)

    def arrays(self) -> dict[str, FloatArray]:
        """Return the fitted parameters."""
        dynamics = {} if self.dynamics is None else vars(self.dynamics)
        return joined({"base": self.base.arrays(), "scaling": vars(self.scaling), "dynamics": dynamics})


def estimate(states: FloatArray, groups: Groups, observed: FloatArray, against: FloatArray) -> Dynamics:
    """Estimate a system from standardised states of the training part and pairs of the verification part."""
    small = SMALL * np.eye(states.shape[1])
    after = np.flatnonzero(np.diff(groups) == 0) + 1
    before, now = states[after - 1], states[after]
    transition = np.linalg.lstsq(before, now, rcond=CUT)[0].T.astype(np.float64)
    # States of a system that grows without limit are not those of music.
    transition = transition / max(1.0, float(np.abs(np.linalg.eigvals(transition)).max()))
    left = now - before @ transition.T
    design = np.column_stack([against, np.ones(len(against))])
    solution = np.linalg.lstsq(design, observed, rcond=CUT)[0].astype(np.float64)
    error = observed - design @ solution
    return Dynamics(
        transition=transition,
        innovation=left.T @ left / max(1, len(left)) + small,
        initial=states.T @ states / len(states) + small,
        observation=solution[:-1].T,
        offset=solution[-1],
        noise=error.T @ error / len(error) + small * max(1.0, float(observed.var(axis=0).max())),
    )


class Kalman:
    """Kalman smoothing of the predictions of ridge regression."""

    name, title = "kalman", "ridge regression with Kalman smoothing"
    order = 6
    sequential = True

    def fit(
        self,
        features: FloatArray,
        targets: FloatArray,
        verification: tuple[FloatArray, FloatArray],
        *,
        groups: tuple[Groups, Groups],
    ) -> Smoothed:
        """Fit the training part; the factor of the noise is chosen on the verification part."""
        base = fit_ridge(features, targets, verification)
        scaling = Scaling.of(targets)
        checked, wanted = verification
        found = (base(checked) - scaling.mean) / scaling.scale
        against = (wanted - scaling.mean) / scaling.scale
        states = (targets - scaling.mean) / scaling.scale

        def smoothed(factor: float, rows: npt.NDArray[np.bool_]) -> Smoothed:
            system = estimate(states, groups[0], found[rows], against[rows])
            chosen = {**base.chosen, "noise": factor}
            return Smoothed(base, scaling, replace(system, noise=factor * system.noise), chosen)

        # Few clips decide H, so the factor is chosen on clips that did not: each half is scored with the other's H.
        half = groups[1] < np.median(groups[1])
        unsmoothed = Smoothed(base, scaling, None, {**base.chosen, "noise": 0.0})
        if half.all() or not half.any():
            return unsmoothed

        def distance(factor: float) -> float:
            predicted = np.empty_like(wanted)
            for rows in (half, ~half):
                predicted[rows] = smoothed(factor, ~rows)(checked[rows], groups[1][rows])
            return mean_distance(predicted, wanted)

        best = min(NOISE, key=distance)
        if mean_distance(unsmoothed(checked, groups[1]), wanted) <= distance(best):
            return unsmoothed
        return smoothed(best, np.ones(len(half), bool))

    def restore(self, arrays: Arrays, features: FloatArray) -> Smoothed:
        """Restore the linear map and the system from their parameters."""
        dynamics = part(arrays, "dynamics")
        base, scaling = Linear.of(part(arrays, "base")), Scaling(**part(arrays, "scaling"))
        return Smoothed(base, scaling, Dynamics(**dynamics) if dynamics else None, {})


regressors.register(cast("Any", Kalman()))
