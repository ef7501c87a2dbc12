"""Regression and scores of one entry: fitted on each fold, scored on its test part, written as a result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from ...errors import EmobenchError, InputError
from ...protocols import regressors
from ...runtime.environment import decoder_version, package_versions, processor_name
from ...runtime.files import plain
from ..features.columns import Columns
from ..features.extraction import Extraction, Places
from ..features.overlap import overlap
from ..features.spec import Entry, without_folder
from ..results.beside import feature_table, features_path, parameters_path
from ..results.config import SCHEMA, Config, Decided, Phase
from ..results.model import Cost, DatasetRef, Result, Weights
from ..results.model import Entry as Computed
from ..results.model import Leakage as LeakageRecord
from ..results.store import ResultStore
from . import annotators, leakage
from .gaussians import repaired
from .regression import regress
from .regressors.stored import Arrays
from .scores import Predictions, prediction_table, score
from .task import Context, Task

# Reference entries of every run: the training mean, and the mean of each clip's own targets.
CONSTANT = Entry(("constant",))
ORACLE = Entry(("oracle",))
ANNOTATORS = tuple(Entry((name,)) for name in annotators.NAMES)


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
    tune_encoders : bool
        Whether contrastive encoders have entries of the fine-tuned phases, too.
    task, context
        As for :func:`.task.load_task`.
    bootstrap_seed : int
        Seed of the intervals.
    residual_covariance : bool or None
        Whether the covariance of the residual means on the verification part is added to the predicted covariances;
        None for the default of each regressor.
    """

    regressors: tuple[str, ...] = ("mlr",)
    layers: tuple[int, ...] | None = None
    phases: tuple[str, ...] = ("pre-trained", "fine-tuned")
    tune_encoders: bool = False
    task: str | None = None
    context: int | str | None = None
    bootstrap_seed: int = 0
    residual_covariance: bool | None = None

    def __post_init__(self) -> None:
        if not self.regressors:
            raise InputError("`regressor`: expected at least one, such as mlr or ridge.")
        for name in self.regressors:
            if name not in regressors:
                raise InputError(f"`regressor` {name}: expected one of {', '.join(regressors.names())}.")


def dataset_ref(task: Task, places: Places) -> DatasetRef:
    """Describe the dataset of a task, with its origin on the Hub."""
    dataset = task.dataset
    return DatasetRef(
        name=dataset.name,
        version=dataset.version,
        manifest_sha256=dataset.manifest_sha256,
        folds_sha256=dataset.manifest.files["folds/train-00000.parquet"].sha256,
        synthetic=bool(dataset.manifest.synthetic),
        split=dataset.split or None,
        **places.dataset_origin,
    )


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
        self._stored: dict[tuple[str, ...], Path] = {}
        for name in config.regressors:
            if task.kind == "clip" and getattr(regressors[name], "sequential", False):
                raise InputError(
                    f"`regressor` {name}: smooths over the seconds of a clip, and the task clip has one row per clip; "
                    "expected the task second or another regressor."
                )

    def decided(self, entry: Entry, regressor: str, columns: Sequence[Columns]) -> Decided:
        """Collect everything that decides the scores of an entry."""
        return Decided(
            schema=SCHEMA,
            manifest=self.task.dataset.manifest_sha256,
            entry=(entry.features, entry.layer, cast("Phase | None", entry.phase)),
            parts=tuple(plain(each.identity) for each in columns),
            # Settings do not show that code has changed; the values do.
            values=tuple(self.extraction.values_sha256(entry, each) for each in columns),
            regressor=regressor,
            task=self.task.kind,
            context=self._context(entry),
            bootstrap_seed=self.config.bootstrap_seed,
            residual_covariance=self._adds_residuals(entry, regressor),
            versions=package_versions(),
            decoder=decoder_version(),
            # Every table marks an entry of which one of these is true.
            carry_over=entry.carry_over,
            leakage=tuple(self.leaks.of(entry.parts)),
        )

    def _processor(self, entry: Entry) -> str:
        """Name of the hardware that computed an entry; networks and pretrained models may have used a GPU."""
        features = (self.extraction.features[part] for part in entry.parts)
        if self.extraction.device == "cpu" or not any(feature.on_device for feature in features):
            return processor_name()
        import torch

        return processor_name() + (f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else "")

    def _is_reference(self, entry: Entry) -> bool:
        return all(self.extraction.features[part].reference for part in entry.parts)

    def regressor_of(self, entry: Entry, asked: str) -> str:
        """Return the regressor of an entry; references do not depend on it."""
        return "mlr" if self._is_reference(entry) else asked

    def _adds_residuals(self, entry: Entry, regressor: str) -> bool:
        """Whether the covariance of residuals is added; never for references, nor where covariances are unknown."""
        if self._is_reference(entry) or not self.task.known.all():
            return False
        asked = self.config.residual_covariance
        return getattr(regressors[regressor], "residual_covariance", True) if asked is None else asked

    def _metadata(self, part: str, columns: Columns) -> dict[str, Any]:
        """Return what is known of the origin of a feature, and what its training data share with this corpus."""
        feature = self.extraction.features[part]
        found = {"title": feature.title, **plain(feature.metadata), **plain(columns.metadata())}
        shared = overlap(found, feature.training_ids, self.task.dataset)
        return {**found, "overlap": shared} if shared else found

    def _context(self, entry: Entry) -> Context:
        return None if self._is_reference(entry) else self.task.context

    def compute(
        self, entry: Entry, regressor: str, columns: Sequence[Columns], decided: Decided, store: ResultStore
    ) -> Result:
        """Fit, score and write an entry."""
        made = self._predict(entry, regressor, columns, decided.residual_covariance)
        costs = [each.seconds_per_clip() for each in columns]
        networks = [each for each in columns if each.pretrained_on]
        trained_on = "; ".join(dict.fromkeys(each.pretrained_on or "" for each in networks)) or None
        files = [Weights(path=each.path, sha256=each.sha256) for part in columns for each in part.models()]
        computed = Computed(
            schema=SCHEMA,
            signature=decided.signature,
            dataset=dataset_ref(self.task, self.extraction.places),
            features=entry.features,
            layer=entry.layer,
            phase=decided.entry[2],
            dims=sum(made.widths),
            task=self.task.kind,
            context=decided.context,
            regressor=regressor,
            n_clips=len(self.task.clips),
            excluded=dict(self.task.dataset.manifest.excluded),
            albums=self.task.album_by_clip,
            scores=score(self.task, made.predictions, seed=self.config.bootstrap_seed),
            covariance_repaired=made.repaired,
            targets_repaired=self.task.targets_repaired,
            # The peak memory of a process that computes several entries belongs to none of them.
            cost=Cost(
                seconds_per_clip=None if None in costs else sum(cost for cost in costs if cost is not None),
                train_seconds=made.seconds + sum(each.train_seconds() for each in columns),
                processor=self._processor(entry),
            ),
            leakage=LeakageRecord(
                found=decided.leakage,
                artists_on_both_sides=tuple(self.leaks.artists),
                not_checked=tuple(self.leaks.not_checked),
                shared_with_training=self.leaks.shared,
            ),
            feature_metadata={
                without_folder(part): self._metadata(part, each)
                for part, each in zip(entry.parts, columns, strict=True)
            },
            config=Config(
                **{field.alias or name: getattr(decided, name) for name, field in Decided.model_fields.items()},
                run=plain(self.config),
                networks=plain(self.extraction.networks) if entry.layer is not None else None,
                pretrained_on=trained_on,
                pretrained_clips=max((each.pretrained_clips() for each in networks), default=0),
                training=tuple(plain(record) for each in columns if (record := each.training())),
                analysis_files=plain(next((found for each in columns if (found := each.analysis_files())), None)),
                widths=made.widths,
                different_rows=made.different_rows,
                ridge_strength=tuple(made.strengths) if regressor == "ridge" else None,
            ),
            model=tuple(files) if entry.layer is not None else (),
            environment={**package_versions(), "libsndfile": decoder_version()},
        )
        path = store.path(computed.dataset.label, decided)
        table = prediction_table(self.task, made.predictions)
        if not computed.dims:
            return store.write(path, computed, table)
        # Entries that differ in their regressor alone have the same features.
        features = self._stored.get(decided.values) or feature_table(self.task, made.features)
        result = store.write(path, computed, table, features=features, parameters=made.parameters or None)
        self._stored[decided.values] = features_path(path)
        return result

    def finished(self, decided: Decided, store: ResultStore) -> Result | None:
        """Return the finished result of an entry, if there is one.

        It is written again if it is not the latest of its entry, or if the dataset has since been loaded from the Hub.
        """
        result = store.finished(store.path(dataset_ref(self.task, self.extraction.places).label, decided))
        if result is None:
            return None
        # A dataset that was loaded from the Hub once is still the same dataset when it is read from disk.
        origin = dict(self.extraction.places.dataset_origin)
        if all(getattr(result.dataset, name) == value for name, value in origin.items()) and store.is_latest(result):
            return result
        renewed = result.model_copy(update={"dataset": result.dataset.model_copy(update=origin)})
        beside = ((result.files.features, features_path), (result.files.parameters, parameters_path))
        features, parameters = (place(result.path) if recorded else None for recorded, place in beside)
        return store.write(result.path, renewed, result.predictions, features=features, parameters=parameters)

    def _predict(self, entry: Entry, regressor: str, columns: Sequence[Columns], residuals: bool) -> _Predicted:
        made = _Predicted()
        shares = []
        predicted, true = (columns[0].predicted, columns[0].true) if len(columns) == 1 else (None, None)
        per_fold = any(each.per_fold for each in columns)
        for fold in self.task.folds:
            if predicted is not None:
                values, share = repaired(predicted(fold)[fold.test])
                against = None if true is None else true(fold)[fold.test]
                made.predictions.append(Predictions(fold.repeat, fold.test, values, against))
                shares.append(share)
                continue
            if per_fold or not made.features:
                parts = [each.values(fold) for each in columns]
                made.widths = tuple(each.shape[1] for each in parts)
                # The regressor sees what is stored and checked: float32 values.
                with np.errstate(over="ignore"):
                    made.features.append(np.hstack(parts).astype(np.float32))
            try:
                found = regress(self.task, fold, regressor, made.features[-1], residuals=residuals)
            except EmobenchError as error:
                raise EmobenchError(f"{entry.features}: {error}") from error
            made.different_rows = min(found.different_rows, made.different_rows or found.different_rows)
            made.seconds += found.seconds
            made.strengths.append(found.strength)
            made.predictions.append(found.predictions)
            if found.parameters is not None:
                made.parameters[fold.repeat] = found.parameters
            shares.append(found.repaired)
        if made.features and all(np.array_equal(each, made.features[0]) for each in made.features[1:]):
            del made.features[1:]
        made.repaired = float(np.mean(shares))
        return made


@dataclass
class _Predicted:
    """Predictions of all repeats of an entry.

    Attributes
    ----------
    predictions : list of Predictions
        One per repeat.
    widths : tuple of int
        Number of columns of each feature.
    features : list of ndarray of float32, shape (n_rows, d)
        Features of each repeat; one array if they do not depend on the fold, none if nothing was fitted.
    parameters : dict of int to mapping
        Fitted parameters of each repeat, of regressors without a closed form.
    strengths : list of float or None
        Penalty chosen in each repeat.
    different_rows : int or None
        Number of different feature vectors in the training part, in the repeat with the fewest.
    seconds : float
        Seconds that fitting the regressor took.
    repaired : float
        Share of the predicted covariances that were repaired.
    """

    predictions: list[Predictions] = field(default_factory=list)
    widths: tuple[int, ...] = ()
    features: list[npt.NDArray[np.float32]] = field(default_factory=list)
    parameters: dict[int, Arrays] = field(default_factory=dict)
    strengths: list[float | None] = field(default_factory=list)
    different_rows: int | None = None
    seconds: float = 0.0
    repaired: float = 0.0
