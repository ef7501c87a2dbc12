"""Regression and scores of one row: fitted on each fold, scored on its test part, written as a result."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ...baselines.frames import FrameConfig
from ...builders.release import MANIFEST
from ...errors import EmobenchError, InputError
from ...runtime.environment import decoder_version, package_versions, processor_name
from ...runtime.files import plain, sha256_file
from ..features.extraction import Features, Part
from ..features.spec import Row
from ..results import store as results
from ..results.seals import signature_of
from . import leakage
from .metrics import repaired
from .regression import REGRESSORS, fit_mlr, fit_ridge
from .task import Task

FloatArray = npt.NDArray[np.float64]

# Rows that stand beside the features: the training mean, and the mean of each clip's own targets.
CONSTANT = Row(("constant",))
ORACLE = Row(("oracle",))


@dataclass(frozen=True)
class RunConfig:
    """Settings of a run.

    Attributes
    ----------
    regressor : {"mlr", "ridge"}
        Multiple linear regression, or ridge with its strength chosen on the verification part.
    layers : tuple of int or None
        Of the rows with networks; None for all there are.
    phases : tuple of str
        Of these rows.
    frames : FrameConfig
        Of the standard features.
    bootstrap_seed : int
        Of the intervals.
    """

    regressor: str = "mlr"
    layers: tuple[int, ...] | None = None
    phases: tuple[str, ...] = ("pre-trained", "fine-tuned")
    frames: FrameConfig = field(default_factory=FrameConfig)
    bootstrap_seed: int = 0

    def __post_init__(self) -> None:
        if self.regressor not in REGRESSORS:
            raise InputError(f"--regressor {self.regressor}: expected {' or '.join(REGRESSORS)}.")


class Scorer:
    """Regression and scores of rows."""

    def __init__(self, task: Task, config: RunConfig, features: Features, leaks: leakage.Leakage) -> None:
        self.task = task
        self.config = config
        self.features = features
        self.leaks = leaks

    def decided(self, row: Row, parts: Sequence[Part]) -> dict[str, Any]:
        """Everything that decides a row's numbers; its signature is the hash of this."""
        return plain(
            {
                # Only where it is so, for good: every table marks such a row.
                **({"carry_over": True} if row.carry_over else {}),
                **({"leakage": leaks} if (leaks := self.leaks.of(row.parts)) else {}),
                "schema": results.SCHEMA,
                "manifest": sha256_file(self.task.dataset.folder / MANIFEST),
                "row": [row.features, row.layer, row.phase],
                "parts": [part.identity for part in parts],
                # Settings do not show that code has changed; the values that it gave do.
                "values": [self.features.values_sha256(row, part) for part in parts],
                "regressor": self._regressor(row),
                "bootstrap_seed": self.config.bootstrap_seed,
                "versions": package_versions(),
                "decoder": decoder_version(),
            }
        )

    def _processor(self, row: Row) -> str:
        """What a row was computed on; networks may have trained on a GPU."""
        if row.layer is None or self.features.device == "cpu":
            return processor_name()
        import torch

        return processor_name() + (f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else "")

    def _regressor(self, row: Row) -> str:
        """Regressor of a row; those without features are the same under any."""
        return "mlr" if row in (CONSTANT, ORACLE) else self.config.regressor

    def compute(self, row: Row, parts: Sequence[Part], decided: dict[str, Any], path: Path) -> dict[str, Any]:
        """Regress, score and write a row."""
        made = self._predict(row, parts)
        records = [record for part in parts if (record := part.training())]
        costs = [part.seconds_per_clip() for part in parts]
        dataset = self.task.dataset
        result = {
            "schema": results.SCHEMA,
            "signature": signature_of(decided),
            "dataset": {
                "name": dataset.name,
                "version": dataset.version,
                "manifest_sha256": sha256_file(dataset.folder / MANIFEST),
                "folds_sha256": dataset.manifest["files"]["folds/train-00000.parquet"]["sha256"],
                "synthetic": bool(dataset.manifest.get("synthetic")),
                **({"split": split} if (split := dataset.split) else {}),
                **self.features.places.dataset_origin,
            },
            "features": row.features,
            "layer": row.layer,
            "phase": row.phase,
            "dims": made.dims,
            "regressor": self._regressor(row),
            "n_clips": len(self.task.clips),
            "excluded": dataset.manifest["excluded"],
            "albums": dict(zip(self.task.clips, self.task.albums.tolist(), strict=True)),
            "scores": results.score(self.task, made.predictions, seed=self.config.bootstrap_seed),
            "covariance_repaired": made.repaired,
            "targets_repaired": self.task.targets_repaired,
            "cost": {
                "seconds_per_clip": None if None in costs else sum(cost for cost in costs if cost is not None),
                "train_seconds": made.seconds + sum(part.train_seconds() for part in parts),
                # The peak of a process that computes several entries is none of theirs.
                "peak_rss_mb": None,
                "processor": self._processor(row),
            },
            "leakage": {
                "found": self.leaks.of(row.parts),
                "artists_on_both_sides": list(self.leaks.artists),
                "not_checked": list(self.leaks.not_checked),
            },
            "config": plain(
                {
                    **decided,
                    "run": self.config,
                    "networks": self.features.network_config if row.layer is not None else None,
                    "pretrained_on": self.features.pretrained_on(row.parts),
                    "pretrained_clips": self.features.pretrained_clips(row),
                    "training": records,
                    "analysis_files": self.features.analysis_files(row),
                    "different_rows": made.different_rows,
                    "ridge_strength": made.strengths if self._regressor(row) == "ridge" else None,
                }
            ),
            "model": self.features.models(row),
            "environment": {**package_versions(), "libsndfile": decoder_version()},
        }
        return results.write_result(path, result, results.prediction_table(self.task, made.predictions))

    def renewed(self, result: dict[str, Any], path: Path) -> dict[str, Any]:
        """Write a finished row again, as the latest of its entry and with the origin of the dataset on the Hub."""
        dataset = {**result["dataset"], **self.features.places.dataset_origin}
        return results.write_result(path, {**result, "dataset": dataset}, pl.read_parquet(path.with_suffix(".parquet")))

    def _predict(self, row: Row, parts: Sequence[Part]) -> _Predicted:
        # What is unknown of the targets cannot be learned: such columns are predicted as unknown.
        known = self.task.known
        targets = self.task.targets[:, known]
        made = _Predicted()
        shares = []
        for fold in self.task.folds:
            if row == ORACLE:
                values = _clip_means(self.task)[fold.test]
            else:
                # The regressor sees what can be stored and checked: float32 values.
                features = np.hstack([part.values(fold) for part in parts]).astype(np.float32).astype(np.float64)
                made.dims = features.shape[1]
                if not np.isfinite(features).all():
                    raise EmobenchError(f"{row.features}: features hold numbers that are not finite.")
                different = len(np.unique(features[fold.train], axis=0))
                made.different_rows = min(different, made.different_rows or different)
                began = time.perf_counter()
                if self._regressor(row) == "ridge":
                    verification = (features[fold.verification], targets[fold.verification])
                    fitted = fit_ridge(features[fold.train], targets[fold.train], verification)
                else:
                    fitted = fit_mlr(features[fold.train], targets[fold.train])
                made.seconds += time.perf_counter() - began
                made.strengths.append(fitted.strength)
                values = np.full((len(fold.test), len(known)), np.nan)
                values[:, known] = fitted(features[fold.test])
            values, share = repaired(values)
            shares.append(share)
            made.predictions.append(results.Predictions(fold.repeat, fold.test, values))
        made.repaired = float(np.mean(shares))
        return made


@dataclass
class _Predicted:
    """Predictions of all repeats of a row.

    Attributes
    ----------
    predictions : list of Predictions
        One per repeat.
    dims : int
        Width of the features.
    strengths : list of float or None
        Ridge penalty of each repeat.
    different_rows : int or None
        Different feature vectors in the training part, of the repeat with the fewest.
    seconds : float
        Seconds that fitting the regressor took, the features being ready.
    repaired : float
        Share of the predicted covariances that were repaired.
    """

    predictions: list[results.Predictions] = field(default_factory=list)
    dims: int = 0
    strengths: list[float | None] = field(default_factory=list)
    different_rows: int | None = None
    seconds: float = 0.0
    repaired: float = 0.0


def _clip_means(task: Task) -> FloatArray:
    """Each row's clip's own mean targets, shape (n_rows, 5)."""
    counts = np.bincount(task.songs, minlength=len(task.clips))
    means = np.column_stack([np.bincount(task.songs, column) / counts for column in task.targets.T])
    return means[task.songs]
