"""Arousal-valence Gaussians as arrays: one row ``[mu_a, mu_v, var_a, var_v, cov_av]`` per second.

Means are in [-0.5, 0.5]. NaN stands for an unknown variance or covariance.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

AXES = ("arousal", "valence")
EIGENVALUE_FLOOR = 1e-3
# Predictions beyond this are refused: squares of still larger ones overflow, and scores would be undefined.
LARGEST = 1e6


def covariances(rows: FloatArray) -> FloatArray:
    """Return the covariance matrices (n, 2, 2) of rows (n, 5)."""
    out = np.empty((len(rows), 2, 2))
    out[:, 0, 0], out[:, 1, 1] = rows[:, 2], rows[:, 3]
    out[:, 0, 1] = out[:, 1, 0] = rows[:, 4]
    return out


def repaired(rows: FloatArray, floor: float = EIGENVALUE_FLOOR) -> tuple[FloatArray, float]:
    """Raise the eigenvalues of each row's covariance to a floor.

    Parameters
    ----------
    rows : ndarray, shape (n, 5)
        Means and covariances; NaN where a variance or covariance is unknown.
    floor : float
        Smallest eigenvalue allowed.

    Returns
    -------
    rows : ndarray, shape (n, 5)
        Rows whose eigenvalues are all at or above the floor are unchanged, to the bit. Where only the covariance is
        unknown, the variances are floored.
    share : float
        Share of the rows that were changed.
    """
    out = rows.copy()
    known = np.asarray(np.isfinite(rows[:, 2:]).all(axis=1))
    values, vectors = np.linalg.eigh(covariances(rows[known]))
    fixed = (vectors * np.maximum(values, floor)[:, None, :]) @ vectors.transpose(0, 2, 1)
    changed = np.zeros(len(rows), bool)
    changed[known] = values[:, 0] < floor
    out[changed, 2:] = np.column_stack([fixed[:, 0, 0], fixed[:, 1, 1], fixed[:, 0, 1]])[changed[known]]
    # Comparisons with NaN are false, so unknown values stay unknown.
    low = ~known[:, None] & (rows[:, 2:4] < floor)
    out[:, 2:4] = np.where(low, floor, out[:, 2:4])
    changed |= low.any(axis=1)
    return out, float(changed.mean()) if len(rows) else 0.0


def residual_covariance(predicted: FloatArray, true: FloatArray) -> FloatArray:
    """Return the second moments of the residual means about zero, ``[var_a, var_v, cov_av]``.

    The target of a row is a Gaussian with a mean of its own, so the Gaussian whose mean is the prediction has the
    moments of the ratings only if the covariance of the residual means is added to that of the targets (moment
    matching). A systematic error counts as well, because the prediction is not corrected by it.

    Parameters
    ----------
    predicted, true : ndarray, shape (n, k)
        Rows of which the first two columns are means.
    """
    if not len(true):
        return np.zeros(3)
    arousal, valence = (true[:, :2] - predicted[:, :2]).T
    return np.array([(arousal**2).mean(), (valence**2).mean(), (arousal * valence).mean()])


def indefinite(rows: FloatArray) -> npt.NDArray[np.bool_]:
    """Return which rows (n, 5) have a variance that is not positive or a covariance that is not positive definite.

    Comparisons with NaN, which stands for an unknown value, are false.
    """
    return np.asarray((rows[:, 2] <= 0) | (rows[:, 3] <= 0) | (rows[:, 2] * rows[:, 3] <= rows[:, 4] ** 2))


def validate(true: FloatArray, predicted: FloatArray) -> None:
    """Check true and predicted Gaussians.

    Parameters
    ----------
    true, predicted : ndarray, shape (n, 5)
        NaN stands for an unknown variance or covariance.

    Raises
    ------
    ValueError
        If the shapes differ or are not (n, 5) with n > 0, a mean is not finite, a number is infinite, a variance is not
        positive, or a known covariance is not positive definite.
    """
    for name, rows in (("true", true), ("predicted", predicted)):
        if rows.ndim != 2 or rows.shape[1] != 5 or len(rows) == 0:
            raise ValueError(f"{name}: shape {rows.shape}; expected (n, 5) with n > 0")
        if not np.isfinite(rows[:, :2]).all() or np.isinf(rows).any():
            raise ValueError(f"{name}: holds numbers that are not finite")
        if indefinite(rows).any():
            raise ValueError(f"{name}: holds a covariance that is not positive definite")
    if len(true) != len(predicted):
        raise ValueError(f"predicted: {len(predicted)} rows for {len(true)} true ones")
