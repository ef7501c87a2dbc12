"""Agreement of predicted and true means of one axis: RMSE, R², CCC (Lin 1989) and Pearson's r.

Each is computed from all seconds together and, as in MediaEval's task Emotion in Music, within each clip and then
averaged over the clips.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ....protocols import Metric, metrics
from ..gaussians import AXES, FloatArray

# Variance that rounding leaves of a constant.
_ROUNDING = 1e-14


def moments(axis: int) -> Callable[[FloatArray, FloatArray], FloatArray]:
    """Return the function that gives x, y, x², y² and xy of a column, with x the truth and y the prediction."""

    def statistics(true: FloatArray, predicted: FloatArray) -> FloatArray:
        x, y = true[:, axis], predicted[:, axis]
        # Moments about a common origin: the scores stay the same, and rounding errors become smaller.
        origin = x.mean()
        x, y = x - origin, y - origin
        return np.column_stack([x, y, x * x, y * y, x * y])

    return statistics


def _parts(sums: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return both variances, the covariance, the mean squared error and the squared difference of the means."""
    x, y, xx, yy, xy = (sums[..., place] / sums[..., 0] for place in range(1, 6))
    var_x, var_y = xx - x**2, yy - y**2
    var_x, var_y = (np.where(variance > _ROUNDING, variance, 0.0) for variance in (var_x, var_y))
    return var_x, var_y, xy - x * y, np.maximum(xx + yy - 2 * xy, 0.0), (x - y) ** 2


def _rmse(sums: FloatArray) -> FloatArray:
    return np.sqrt(_parts(sums)[3])


def r2(sums: FloatArray) -> FloatArray:
    """Return R², 1 minus the ratio of squared error and variance, from weighted sums of moments."""
    var_x, _, _, error, _ = _parts(sums)
    return np.where(var_x > 0, 1 - error / var_x, np.nan)


def _ccc(sums: FloatArray) -> FloatArray:
    var_x, var_y, covariance, _, apart = _parts(sums)
    spread = var_x + var_y + apart
    # As with Pearson's r, nothing can agree where neither varies, such as in a clip with a single row.
    return np.where(var_x + var_y > 0, 2 * covariance / spread, np.nan)


def _pearson(sums: FloatArray) -> FloatArray:
    var_x, var_y, covariance, _, _ = _parts(sums)
    return np.where((var_x > 0) & (var_y > 0), covariance / np.sqrt(var_x * var_y), np.nan)


_SCORES = {"rmse": ("RMSE", _rmse), "r2": ("R²", r2), "ccc": ("CCC", _ccc), "pearson": ("Pearson's r", _pearson)}
_STATISTICS = {axis: moments(place) for place, axis in enumerate(AXES)}

for per_clip in (False, True):
    for place, (name, (title, score)) in enumerate(_SCORES.items()):
        for axis in AXES:
            metrics.register(
                Metric(
                    f"{name}_{axis}" + ("_per_song" if per_clip else ""),
                    f"{title} {axis.title()}" + (" per Clip" if per_clip else ""),
                    statistics=_STATISTICS[axis],
                    score=score,
                    per_clip=per_clip,
                    higher_is_better=name != "rmse",
                    column=False,
                    order=(20 if per_clip else 10) + place,
                )
            )
