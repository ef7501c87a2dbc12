"""Regression and scores of one entry: fitted on each fold, scored on its test part, written as a result."""

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
from ...errors import EmobenchError
from ...protocols import regressors
from ...runtime.environment import decoder_version, package_versions, processor_name
from ...runtime.files import plain, sha256_file
from ..features.columns import Columns
from ..features.extraction import Extraction
from ..features.spec import Entry
from ..results import store as results
from ..results.seals import signature_of
from . import leakage
from .metrics import repaired
from .task import Task

FloatArray = npt.NDArray[np.float64]

# Reference entries of every run: the training mean, and the mean of each clip's own targets.
CONSTANT = Entry(("constant",))
ORACLE = Entry(("oracle",))


@dataclass(frozen=True)
class RunConfig:
    """Settings of a run.

    Attributes
    ----------
    regressors : tuple of str
        Names of regressors; each makes its own entries.
    layers : tuple of int or None
        Layers of the entries with networks; None for all there are.
    phases : tuple of str
        Phases of these entries.
    frames : FrameConfig
        Spectrogram of the standard features.
    bootstrap_seed : int
        Seed of the intervals.
    """

    regressors: tuple[str, ...] = ("mlr",)
    layers: tuple[int, ...] | None = None
    phases: tuple[str, ...] = ("pre-trained", "fine-tuned")
    frames: FrameConfig = field(default_factory=FrameConfig)
    bootstrap_seed: int = 0

    def __post_init__(self) -> None:
        for name in self.regressors:
            regressors[name]  # raises where there is none


class Scorer:
    """Regression and scores of entries.

    Parameters
    ----------
    task : Task
        Targets and folds.
    config : RunConfig
        Settings.
    extraction : Extraction
        Features of the task.
    leaks : Leakage
        Leakage that was found and allowed.
    """

    def __init__(self, task: Task, config: RunConfig, extraction: Extraction, leaks: leakage.Leakage) -> None:
        self.task = task
        self.config = config
        self.extraction = extraction
        self.leaks = leaks

    def decided(self, entry: Entry, regressor: str, columns: Sequence[Columns]) -> dict[str, Any]:
        """Everything that decides the scores of an entry; its signature is the hash of this."""
        return plain(
            {
                # Only where they apply: every table marks such an entry.
                **({"carry_over": True} if entry.carry_over else {}),
                **({"leakage": leaks} if (leaks := self.leaks.of(entry.parts)) else {}),
                "schema": results.SCHEMA,
                "manifest": sha256_file(self.task.dataset.folder / MANIFEST),
                "row": [entry.features, entry.layer, entry.phase],
                "parts": [each.identity for each in columns],
                # Settings do not show that code has changed; the values do.
                "values": [self.extraction.values_sha256(entry, each) for each in columns],
                "regressor": regressor,
                "bootstrap_seed": self.config.bootstrap_seed,
                "versions": package_versions(),
                "decoder": decoder_version(),
            }
        )

    def _processor(self, entry: Entry) -> str:
        """Name of the hardware that computed an entry; networks may have trained on a GPU."""
        if entry.layer is None or self.extraction.device == "cpu":
            return processor_name()
        import torch

        return processor_name() + (f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else "")

    def regressor_of(self, entry: Entry, asked: str) -> str:
        """Regressor of an entry; references are the same under any."""
        return "mlr" if all(self.extraction.features[part].reference for part in entry.parts) else asked

    def compute(
        self, entry: Entry, regressor: str, columns: Sequence[Columns], decided: dict[str, Any], path: Path
    ) -> dict[str, Any]:
        """Regress, score and write an entry."""
        made = self._predict(entry, regressor, columns)
        records = [record for each in columns if (record := each.training())]
        costs = [each.seconds_per_clip() for each in columns]
        networks = [each for each in columns if each.pretrained_on]
        trained_on = "; ".join(dict.fromkeys(each.pretrained_on or "" for each in networks)) or None
        files = [{"path": each.path, "sha256": each.sha256} for part in columns for each in part.models()]
        dataset = self.task.dataset
        result = {
            "schema": results.SCHEMA,
            "signature": signature_of(decided),
            "dataset": {
                "name": dataset.name,
                "version": dataset.version,
                "manifest_sha256": sha256_file(dataset.folder / MANIFEST),
                "folds_sha256": dataset.manifest.files["folds/train-00000.parquet"].sha256,
                "synthetic": dataset.manifest.synthetic,
                **({"split": split} if (split := dataset.split) else {}),
                **self.extraction.places.dataset_origin,
            },
            "features": entry.features,
            "layer": entry.layer,
            "phase": entry.phase,
            "dims": made.dims,
            "regressor": regressor,
            "n_clips": len(self.task.clips),
            "excluded": dataset.manifest.excluded,
            "albums": dict(zip(self.task.clips, self.task.albums.tolist(), strict=True)),
            "scores": results.score(self.task, made.predictions, seed=self.config.bootstrap_seed),
            "covariance_repaired": made.repaired,
            "targets_repaired": self.task.targets_repaired,
            "cost": {
                "seconds_per_clip": None if None in costs else sum(cost for cost in costs if cost is not None),
                "train_seconds": made.seconds + sum(each.train_seconds() for each in columns),
                # The peak of a process that computes several entries belongs to none of them.
                "peak_rss_mb": None,
                "processor": self._processor(entry),
            },
            "leakage": {
                "found": self.leaks.of(entry.parts),
                "artists_on_both_sides": list(self.leaks.artists),
                "not_checked": list(self.leaks.not_checked),
            },
            "config": plain(
                {
                    **decided,
                    "run": self.config,
                    "networks": self.extraction.networks if entry.layer is not None else None,
                    "pretrained_on": trained_on,
                    "pretrained_clips": max((each.pretrained_clips() for each in networks), default=0),
                    "training": records,
                    "analysis_files": next((found for each in columns if (found := each.analysis_files())), None),
                    "different_rows": made.different_rows,
                    "ridge_strength": made.strengths if regressor == "ridge" else None,
                }
            ),
            "model": files if entry.layer is not None else None,
            "environment": {**package_versions(), "libsndfile": decoder_version()},
        }
        return results.write_result(path, result, results.prediction_table(self.task, made.predictions))

    def renewed(self, result: dict[str, Any], path: Path) -> dict[str, Any]:
        """Write a finished result again, as the latest of its entry and with the origin of the dataset on the Hub."""
        dataset = {**result["dataset"], **self.extraction.places.dataset_origin}
        return results.write_result(path, {**result, "dataset": dataset}, pl.read_parquet(path.with_suffix(".parquet")))

    def _predict(self, entry: Entry, regressor: str, columns: Sequence[Columns]) -> _Predicted:
        # Unknown columns of the targets cannot be learned; they are predicted as unknown.
        known = self.task.known
        targets = self.task.targets[:, known]
        made = _Predicted()
        shares = []
        predicted = columns[0].predicted if len(columns) == 1 else None
        for fold in self.task.folds:
            if predicted is not None:
                values = predicted(fold)[fold.test]
            else:
                # The regressor sees what can be stored and checked: float32 values.
                features = np.hstack([each.values(fold) for each in columns]).astype(np.float32).astype(np.float64)
                made.dims = features.shape[1]
                if not np.isfinite(features).all():
                    raise EmobenchError(f"{entry.features}: features hold numbers that are not finite.")
                different = len(np.unique(features[fold.train], axis=0))
                made.different_rows = min(different, made.different_rows or different)
                verification = (features[fold.verification], targets[fold.verification])
                began = time.perf_counter()
                fitted = regressors[regressor].fit(features[fold.train], targets[fold.train], verification)
                made.seconds += time.perf_counter() - began
                made.strengths.append(fitted.chosen.get("strength"))
                values = np.full((len(fold.test), len(known)), np.nan)
                values[:, known] = fitted(features[fold.test])
            values, share = repaired(values)
            shares.append(share)
            made.predictions.append(results.Predictions(fold.repeat, fold.test, values))
        made.repaired = float(np.mean(shares))
        return made


@dataclass
class _Predicted:
    """Predictions of all repeats of an entry.

    Attributes
    ----------
    predictions : list of Predictions
        One per repeat.
    dims : int
        Number of columns of the features.
    strengths : list of float or None
        Penalty chosen in each repeat.
    different_rows : int or None
        Number of different feature vectors in the training part, in the repeat with the fewest.
    seconds : float
        Seconds that fitting the regressor took.
    repaired : float
        Share of the predicted covariances that were repaired.
    """

    predictions: list[results.Predictions] = field(default_factory=list)
    dims: int = 0
    strengths: list[float | None] = field(default_factory=list)
    different_rows: int | None = None
    seconds: float = 0.0
    repaired: float = 0.0
