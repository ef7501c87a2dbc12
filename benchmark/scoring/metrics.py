"""Scores of predicted arousal-valence Gaussians.

Conventions: a target or prediction is a row ``[mu_a, mu_v, var_a, var_v, cov_av]`` in the space
[-0.5, 0.5]; one row a second. Pooled scores take all seconds together; ``_per_song`` ones are computed
within each clip and averaged over the clips where they are defined.

- ``mean_distance``: Euclidean distance of the means
- ``kl_divergence``: KL(p || q), p the workers' Gaussian and q the prediction, equation (7) of the paper;
  undefined (NaN) where the covariance of a second is unknown
- ``rmse``, ``r2``, ``ccc`` (Lin 1989), ``pearson`` for arousal and for valence

Every score is a function of weighted sums over seconds or clips, so that a bootstrap is one matrix
product: see :mod:`emobench.benchmark.scoring.significance`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

AXES = ("arousal", "valence")
CORRELATIONS = ("rmse", "r2", "ccc", "pearson")
NAMES = (
    "mean_distance",
    "kl_divergence",
    *(f"{score}_{axis}" for score in CORRELATIONS for axis in AXES),
    *(f"{score}_{axis}_per_song" for score in CORRELATIONS for axis in AXES),
)

EIGENVALUE_FLOOR = 1e-3


def covariances(rows: FloatArray) -> FloatArray:
    """Covariance matrices (n, 2, 2) of rows (n, 5)."""
    out = np.empty((len(rows), 2, 2))
    out[:, 0, 0], out[:, 1, 1] = rows[:, 2], rows[:, 3]
    out[:, 0, 1] = out[:, 1, 0] = rows[:, 4]
    return out


def repaired(rows: FloatArray, floor: float = EIGENVALUE_FLOOR) -> tuple[FloatArray, float]:
    """Floor the eigenvalues of each row's covariance.

    Parameters
    ----------
    rows : ndarray, shape (n, 5)
        Means and covariances; NaN where a variance or covariance is unknown.
    floor : float
        Smallest eigenvalue allowed.

    Returns
    -------
    rows : ndarray, shape (n, 5)
        A row whose eigenvalues are not below the floor is kept to the bit. Where the covariance is unknown, known
        variances are floored.
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
    # A comparison with NaN is false: what is unknown stays so.
    low = ~known[:, None] & (rows[:, 2:4] < floor)
    out[:, 2:4] = np.where(low, floor, out[:, 2:4])
    changed |= low.any(axis=1)
    return out, float(changed.mean()) if len(rows) else 0.0


def mean_distances(true: FloatArray, predicted: FloatArray) -> FloatArray:
    """Euclidean distance of the means of each row, shape (n,)."""
    return np.hypot(true[:, 0] - predicted[:, 0], true[:, 1] - predicted[:, 1])


def kl_divergences(true: FloatArray, predicted: FloatArray) -> FloatArray:
    """KL(p || q) in nats of each row, p the true Gaussian and q the predicted; equation (7).

    Parameters
    ----------
    true, predicted : ndarray, shape (n, 5)
        Rows with positive definite covariances.

    Returns
    -------
    ndarray, shape (n,)
    """
    p_a, p_v, p_c = true[:, 2], true[:, 3], true[:, 4]
    q_a, q_v, q_c = predicted[:, 2], predicted[:, 3], predicted[:, 4]
    p_det, q_det = p_a * p_v - p_c**2, q_a * q_v - q_c**2
    a, v = predicted[:, 0] - true[:, 0], predicted[:, 1] - true[:, 1]
    trace = (q_v * p_a + q_a * p_v - 2.0 * q_c * p_c) / q_det
    distance = (q_v * a**2 + q_a * v**2 - 2.0 * q_c * a * v) / q_det
    return 0.5 * (np.log(q_det / p_det) + trace + distance - 2.0)


def _agreement(sums: FloatArray) -> dict[str, FloatArray]:
    """Scores of one axis from sums (..., 6): weights, x, y, x^2, y^2, xy; x the truth. NaN where undefined."""
    weight = sums[..., 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        x, y, xx, yy, xy = (sums[..., place] / weight for place in range(1, 6))
        var_x, var_y, cov = xx - x**2, yy - y**2, xy - x * y
        # What rounding leaves of the variance of a constant is none.
        var_x = np.where(var_x > 1e-14, var_x, 0.0)
        var_y = np.where(var_y > 1e-14, var_y, 0.0)
        error = np.maximum(xx + yy - 2 * xy, 0.0)
        spread = var_x + var_y + (x - y) ** 2
        return {
            "rmse": np.sqrt(error),
            "r2": np.where(var_x > 0, 1 - error / var_x, np.nan),
            "ccc": np.where(spread > 0, 2 * cov / spread, np.nan),
            "pearson": np.where((var_x > 0) & (var_y > 0), cov / np.sqrt(var_x * var_y), np.nan),
        }


def weighted_scores(
    true: FloatArray, predicted: FloatArray, songs: npt.NDArray[np.intp], weights: FloatArray
) -> dict[str, FloatArray]:
    """All scores under several weightings of the songs at once.

    Parameters
    ----------
    true, predicted : ndarray, shape (n, 5)
        Rows with positive definite covariances.
    songs : ndarray of int, shape (n,)
        Song of each row, 0 to n_songs - 1.
    weights : ndarray, shape (k, n_songs)
        How often each song counts; a row of ones is the plain score.

    Returns
    -------
    dict of str to ndarray, shape (k,)
        The scores of :data:`NAMES`; NaN where one is undefined.
    """
    n_songs = weights.shape[1]

    def by_song(values: FloatArray) -> FloatArray:
        return np.bincount(songs, values, minlength=n_songs).astype(np.float64)

    seconds = by_song(np.ones(len(true)))
    total = weights @ seconds
    scores = {
        "mean_distance": weights @ by_song(mean_distances(true, predicted)) / total,
        "kl_divergence": weights @ by_song(kl_divergences(true, predicted)) / total,
    }
    for place, axis in enumerate(AXES):
        x, y = true[:, place], predicted[:, place]
        # Moments about a common origin: the scores do not change, rounding does.
        origin = x.mean()
        x, y = x - origin, y - origin
        sums = np.column_stack([seconds, *(by_song(part) for part in (x, y, x * x, y * y, x * y))])
        for score, value in _agreement(weights @ sums).items():
            scores[f"{score}_{axis}"] = value
        for score, value in _agreement(sums).items():
            defined = np.isfinite(value)
            count = weights @ defined
            with np.errstate(invalid="ignore", divide="ignore"):
                scores[f"{score}_{axis}_per_song"] = np.where(
                    count > 0, weights @ np.where(defined, value, 0.0) / count, np.nan
                )
    return {name: scores[name] for name in NAMES}


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
