"""Regression on one fold: a regressor that is fitted on the training part, or restored, predicts the test part."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import EmobenchError
from ...protocols import regressors
from .gaussians import LARGEST, FloatArray, repaired, residual_covariance
from .regressors.stored import Arrays
from .scores import Predictions
from .task import Fold, IntArray, Task


@dataclass(frozen=True)
class Regression:
    """Outcome of the regression on one fold.

    Attributes
    ----------
    predictions : Predictions
        Predictions of the test part.
    repaired : float
        Share of the predicted covariances that were repaired.
    parameters : mapping of str to ndarray or None
        Fitted parameters; None if the regressor has a closed form or provides none.
    strength : float or None
        Ridge penalty that was chosen on the verification part.
    different_rows : int
        Number of distinct feature vectors in the training part.
    seconds : float
        Seconds of fitting.
    """

    predictions: Predictions
    repaired: float
    parameters: Arrays | None
    strength: float | None
    different_rows: int
    seconds: float


def closed_form(regressor: str) -> bool:
    """Return whether a regressor gives the same numbers whenever it is fitted, so no parameters are stored."""
    return bool(getattr(regressors[regressor], "closed_form", False))


def regress(
    task: Task,
    fold: Fold,
    regressor: str,
    features: npt.NDArray[Any],
    *,
    residuals: bool,
    parameters: Arrays | None = None,
) -> Regression:
    """Predict the test part of a fold.

    Parameters
    ----------
    task : Task
        Targets.
    fold : Fold
        Training, verification and test part.
    regressor : str
        Name of the regressor.
    features : ndarray, shape (n_rows, d)
        Features of all rows of the task, which are rounded to float32.
    residuals : bool
        Whether the covariance of the residuals on the verification part is added to the predicted covariances.
    parameters : mapping of str to ndarray, optional
        Fitted parameters to use in place of fitting.
    """
    features = features.astype(np.float32).astype(np.float64)
    if not np.isfinite(features).all():
        raise EmobenchError("features hold numbers that are not finite.")
    # Unknown columns of the targets cannot be learned; they are predicted as unknown.
    known = task.known
    targets = task.targets[:, known]
    began = time.perf_counter()
    fitted, predict = _fitted(task, fold, regressor, features, targets, parameters)
    seconds = time.perf_counter() - began
    values = np.full((len(fold.test), len(known)), np.nan)
    values[:, known] = predict(fold.test)
    if residuals:
        values[:, 2:] += residual_covariance(predict(fold.verification), targets[fold.verification])
    if not np.nanmax(np.abs(values), initial=0.0) <= LARGEST:
        advice = " Try the regressor ridge." if regressor == "mlr" else ""
        raise EmobenchError(f"{regressor} predicts numbers beyond {LARGEST:g}; expected about -0.5 to 0.5.{advice}")
    values, share = repaired(values)
    arrays = getattr(fitted, "arrays", None)
    return Regression(
        predictions=Predictions(fold.repeat, fold.test, values),
        repaired=share,
        parameters=None if arrays is None or closed_form(regressor) else arrays(),
        strength=fitted.chosen.get("strength"),
        different_rows=len(np.unique(features[fold.train], axis=0)),
        seconds=seconds,
    )


def _fitted(
    task: Task, fold: Fold, regressor: str, features: FloatArray, targets: FloatArray, parameters: Arrays | None
) -> tuple[Any, Callable[[IntArray], FloatArray]]:
    """Fit or restore a regressor; return it, and the function that predicts rows."""
    method: Any = regressors[regressor]
    train, verification = fold.train, fold.verification
    sequential = getattr(method, "sequential", False)
    groups = task.sequences if sequential else None
    if parameters is not None:
        fitted = method.restore(parameters, features[train])
    else:
        more = {"groups": (groups[train], groups[verification])} if groups is not None else {}
        fitted = method.fit(features[train], targets[train], (features[verification], targets[verification]), **more)
    if groups is None:
        return fitted, lambda rows: fitted(features[rows])
    return fitted, lambda rows: fitted(features[rows], groups[rows])
