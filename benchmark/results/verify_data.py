"""Comparison of a result with its origin: the dataset with its targets and folds, and the weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from ...builders.labelled_dataset import load
from ...builders.release import MANIFEST, load_manifest
from ...builders.targets import PARAMETERS
from ...errors import EmobenchError
from ...runtime.files import sha256_file
from ..scoring import annotators
from ..scoring.leakage import shared_with_training
from ..scoring.rescore import TOLERANCE
from ..scoring.scores import Predictions, prediction_table
from ..scoring.task import Task, load_task
from .checks import Check, short
from .model import Result
from .predictions import KEYS, TRUE

# Name of the check of keys and targets of the predictions.
FOLDS = "targets and folds"


@dataclass(frozen=True)
class Found:
    """Dataset of a result as arrays, or the reason why there is none."""

    task: Task | None = None
    failures: list[str] = field(default_factory=list)
    note: str = ""


class Datasets:
    """Datasets to verify results with. Each is read once.

    Parameters
    ----------
    given : sequence of Path
        Datasets. If empty, ``folder/<name>`` is used.
    folder : Path
        Folder of datasets.
    only : bool
        Whether the dataset of a result must be one of those given.

    Raises
    ------
    InputError
        If one of those given is not a dataset.
    """

    def __init__(self, given: Sequence[Path], folder: Path, *, only: bool) -> None:
        self.given = {place: load_manifest(place) for place in given}
        self.folder = folder
        self.only = only
        self._read: dict[tuple[object, ...], Found] = {}

    def of(self, result: Result) -> Found:
        """Find and read the dataset of a result."""
        dataset, label = result.dataset, result.dataset.label
        candidates = list(self.given) or [self.folder / dataset.name]
        for place in candidates:
            if (place / MANIFEST).is_file() and sha256_file(place / MANIFEST) == dataset.manifest_sha256:
                key = (place, result.task, result.context)
                if key not in self._read:
                    self._read[key] = _read(place, result)
                return self._read[key]
        if not self.given:
            known = "has another manifest" if (candidates[0] / MANIFEST).is_file() else "does not exist"
            return Found(note=f"{candidates[0]} {known}; give the dataset with `dataset`")
        failures = []
        for place, manifest in self.given.items():
            name = manifest.title
            if name == label:
                failures.append(f"dataset.manifest_sha256: {place} is {label}, but has another manifest")
            elif self.only:
                failures.append(f"dataset: {place} is {name}; the result was made on {label}")
        return Found(failures=failures, note=f"{label} is not one of the datasets given")


def _read(place: Path, result: Result) -> Found:
    """Read a dataset, every file of which must match its manifest, for the task of a result."""
    try:
        files = load_manifest(place).files
    except EmobenchError as error:
        return Found(failures=[str(error)])
    failures = []
    for name, entry in files.items():
        if not (place / name).is_file():
            failures.append(f"{place / name}: is missing, but listed in the manifest")
        elif sha256_file(place / name) != entry.sha256:
            failures.append(f"{place / name}: was changed after it was built (its SHA-256 differs from the manifest)")
    if failures:
        return Found(failures=failures)
    try:
        return Found(task=load_task(load(place), result.task, result.context))
    except EmobenchError as error:
        return Found(failures=[str(error)])


def check_dataset(result: Result, predictions: pl.DataFrame | None, found: Found) -> list[Check]:
    """Compare a result and its predictions with the dataset."""
    if found.task is None:
        checks = [Check("dataset", found.failures, [found.note], done=False, required=True)]
        return [
            *checks,
            Check(FOLDS, notes=["the dataset is not available, or not complete"], done=False),
        ]
    task = found.task
    manifest = task.dataset.manifest
    recorded = {
        "dataset.name": (result.dataset.name, task.dataset.name),
        "dataset.version": (result.dataset.version, task.dataset.version),
        "dataset.folds_sha256": (
            result.dataset.folds_sha256,
            manifest.files["folds/train-00000.parquet"].sha256,
        ),
        "dataset.synthetic": (result.dataset.synthetic, manifest.synthetic),
        "dataset.split": (result.dataset.split, task.dataset.split),
        "n_clips": (result.n_clips, len(task.clips)),
        "excluded": (result.excluded, manifest.excluded),
        "albums": (result.albums, task.album_by_clip),
        "leakage.shared_with_training": tuple(
            shared and shared.model_dump(exclude={"recording"})
            for shared in (result.leakage.shared_with_training, shared_with_training(task.dataset))
        ),
    }
    failures = [
        f"{name}: is {short(stored)}; the dataset says {short(wanted)}"
        for name, (stored, wanted) in recorded.items()
        if stored != wanted
    ]
    notes = [f"{task.dataset.folder}: every file matches its manifest"]
    if (shared := result.leakage.shared_with_training) and shared.recording is not None:
        notes.append("recordings that test clips share with training were not compared again")
    checks = [Check("dataset", failures, notes)]
    if predictions is None:
        return [*checks, Check(FOLDS, notes=["the predictions cannot be read"], done=False)]
    wanted = _expected(task, result.features)
    wrong = [*_folds(predictions, task, wanted), *_targets(predictions, wanted)]
    return [
        *checks,
        Check(FOLDS, wrong, [f"all test seconds of {len(task.folds)} repeats, with their targets"]),
    ]


def _expected(task: Task, features: str) -> pl.DataFrame:
    """Return the keys and targets of the predictions that an entry on the dataset must have."""
    expected = []
    # Predictions of one half of the annotators are scored against the other half.
    single = annotators.Annotators(task) if features == annotators.HUMAN and not annotators.lacking(task) else None
    for fold in task.folds:
        true = None
        if single is not None:
            true = single.human.true[fold.test]
        expected.append(Predictions(fold.repeat, fold.test, np.zeros((len(fold.test), len(PARAMETERS))), true))
    return prediction_table(task, expected).select(*KEYS, *TRUE)


def _folds(predictions: pl.DataFrame, task: Task, wanted: pl.DataFrame) -> list[str]:
    """Name predictions that are not in the folds, and those that are missing."""
    lines = []
    parts = {(repeat, clip): part for repeat, clip, _, part in task.dataset.folds.iter_rows()}
    foreign = predictions.join(wanted, on=KEYS, how="anti", maintain_order="left")
    missing = wanted.join(predictions, on=KEYS, how="anti", maintain_order="left")
    for rows, what in ((foreign, "is not a test second"), (missing, "has no prediction")):
        if len(rows):
            repeat, clip, time = rows.select(KEYS).row(0)
            part = parts.get((repeat, clip))
            where = f"in the {part} part of the repeat" if part else "in no part of it"
            more = f", and {len(rows) - 1} more" if len(rows) > 1 else ""
            lines.append(f"predictions: repeat {repeat}, clip {clip}, {time:g} s {what} (the clip is {where}){more}")
    return lines


def _targets(predictions: pl.DataFrame, wanted: pl.DataFrame) -> list[str]:
    """Name targets that differ from those of the dataset."""
    both = predictions.join(wanted, on=KEYS, suffix="_wanted", maintain_order="left")
    lines = []
    for name in TRUE:
        differs = (pl.col(name) - pl.col(f"{name}_wanted")).abs() > TOLERANCE
        one_is_null = pl.col(name).is_null() != pl.col(f"{name}_wanted").is_null()
        wrong = both.filter(differs.fill_null(False) | one_is_null)
        if len(wrong):
            row = wrong.row(0, named=True)
            more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
            lines.append(
                f"predictions: column {name}, repeat {row['repeat']}, clip {row['clip_id']}, {row['time']:g} s: is "
                f"{row[name]!r}; the dataset's target is {row[f'{name}_wanted']!r}{more}"
            )
    return lines


def check_weights(result: Result, models: Path) -> list[Check]:
    """Compare the weights behind a result with what it records, if they are available."""
    if not result.model:
        return []
    failures, notes, done = [], [], False
    for model in result.model:
        path = models / model.path
        if not path.is_file():
            notes.append(f"{path} does not exist")
        elif sha256_file(path) != model.sha256:
            failures.append(f"model: {path} has another SHA-256 than the result records")
        else:
            done = True
            notes.append(f"{path} matches")
    return [Check("weights", failures, notes, done)]
