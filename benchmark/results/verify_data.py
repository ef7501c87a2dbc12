"""A result against what it was made from: the dataset with its targets and folds, and the weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ...builders.labelled_dataset import load
from ...builders.release import MANIFEST, load_manifest
from ...builders.targets import PARAMETERS
from ...errors import EmobenchError
from ...runtime.files import sha256_file
from ..scoring.rescore import KEYS, TOLERANCE, TRUE
from ..scoring.task import Task, load_task
from .checks import Check, short
from .store import Predictions, prediction_table


@dataclass(frozen=True)
class Found:
    """The dataset of a result: as arrays where it is whole, else why not."""

    task: Task | None = None
    failures: list[str] = field(default_factory=list)
    note: str = ""


class Datasets:
    """Where datasets may be; each is read once.

    Parameters
    ----------
    given : sequence of Path
        Datasets that were named. Without any, ``folder/<name>`` is looked at.
    folder : Path
        Folder of datasets.
    only : bool
        Whether the dataset of a result must be among those given.

    Raises
    ------
    InputError
        If one that was named is no dataset.
    """

    def __init__(self, given: Sequence[Path], folder: Path, *, only: bool) -> None:
        self.given = {place: load_manifest(place) for place in given}
        self.folder = folder
        self.only = only
        self._read: dict[Path, Found] = {}

    def of(self, result: Mapping[str, Any]) -> Found:
        """Find and read the dataset of a result."""
        dataset = result["dataset"]
        label = f"{dataset['name']}@{dataset['version']}"
        candidates = list(self.given) or [self.folder / dataset["name"]]
        for place in candidates:
            if (place / MANIFEST).is_file() and sha256_file(place / MANIFEST) == dataset["manifest_sha256"]:
                if place not in self._read:
                    self._read[place] = _read(place)
                return self._read[place]
        if not self.given:
            known = "holds another manifest" if (candidates[0] / MANIFEST).is_file() else "is not there"
            return Found(note=f"{candidates[0]} {known}; name the dataset with --dataset")
        failures = []
        for place, manifest in self.given.items():
            name = manifest.title
            if name == label:
                failures.append(f"dataset.manifest_sha256: {place} is {label}, but has another manifest")
            elif self.only:
                failures.append(f"dataset: {place} is {name}; the result was made on {label}")
        return Found(failures=failures, note=f"{label} is none of the datasets that were named")


def _read(place: Path) -> Found:
    """Read a dataset whose every file is as its manifest says."""
    try:
        files = load_manifest(place).files
    except EmobenchError as error:
        return Found(failures=[str(error)])
    failures = []
    for name, entry in files.items():
        if not (place / name).is_file():
            failures.append(f"{place / name}: is missing though the manifest lists it")
        elif sha256_file(place / name) != entry.sha256:
            failures.append(f"{place / name}: was changed after it was built (its SHA-256 is not the manifest's)")
    if failures:
        return Found(failures=failures)
    try:
        return Found(task=load_task(load(place)))
    except EmobenchError as error:
        return Found(failures=[str(error)])


def check_dataset(result: Mapping[str, Any], predictions: pl.DataFrame | None, found: Found) -> list[Check]:
    """Compare a result and its predictions with the dataset."""
    if found.task is None:
        checks = [Check("dataset", found.failures, [found.note], done=False, required=True)]
        return [*checks, Check("targets and folds", notes=["the dataset is not at hand, or not whole"], done=False)]
    task = found.task
    manifest = task.dataset.manifest
    recorded = {
        "dataset.name": (result["dataset"]["name"], task.dataset.name),
        "dataset.version": (result["dataset"]["version"], task.dataset.version),
        "dataset.folds_sha256": (
            result["dataset"]["folds_sha256"],
            manifest.files["folds/train-00000.parquet"].sha256,
        ),
        "dataset.synthetic": (result["dataset"].get("synthetic", False), manifest.synthetic),
        "dataset.split": (result["dataset"].get("split"), task.dataset.split),
        "n_clips": (result["n_clips"], len(task.clips)),
        "excluded": (result["excluded"], manifest.excluded),
    }
    if "albums" in result:
        recorded["albums"] = (result["albums"], dict(zip(task.clips, task.albums.tolist(), strict=True)))
    failures = [
        f"{name}: is {short(stored)}; the dataset says {short(wanted)}"
        for name, (stored, wanted) in recorded.items()
        if stored != wanted
    ]
    said = f"{task.dataset.folder}: every file is as its manifest says"
    checks = [Check("dataset", failures, [said])]
    if predictions is None:
        return [*checks, Check("targets and folds", notes=["the predictions cannot be read"], done=False)]
    wrong = [*_folds(predictions, task), *_targets(predictions, task)]
    said = f"every test second of {len(task.folds)} repeats, and its target"
    return [*checks, Check("targets and folds", wrong, [said])]


def _expected(task: Task) -> pl.DataFrame:
    """Keys and truths of the predictions that a row of the dataset must have."""
    nothing = [Predictions(fold.repeat, fold.test, np.zeros((len(fold.test), len(PARAMETERS)))) for fold in task.folds]
    return prediction_table(task, nothing).select(*KEYS, *TRUE)


def _folds(predictions: pl.DataFrame, task: Task) -> list[str]:
    """Predictions that the folds do not ask for, and those that are missing."""
    wanted, lines = _expected(task), []
    parts = {(repeat, clip): part for repeat, clip, _, part in task.dataset.folds.iter_rows()}
    foreign = predictions.join(wanted, on=KEYS, how="anti", maintain_order="left")
    missing = wanted.join(predictions, on=KEYS, how="anti", maintain_order="left")
    for rows, what in ((foreign, "is no test second"), (missing, "has no prediction")):
        if len(rows):
            repeat, clip, time = rows.select(KEYS).row(0)
            part = parts.get((repeat, clip))
            where = f"in the {part} part of the repeat" if part else "in none of its parts"
            more = f", and {len(rows) - 1} more" if len(rows) > 1 else ""
            lines.append(f"predictions: repeat {repeat}, clip {clip}, {time:g} s {what} (the clip is {where}){more}")
    return lines


def _targets(predictions: pl.DataFrame, task: Task) -> list[str]:
    """Truths that are not the dataset's targets."""
    both = predictions.join(_expected(task), on=KEYS, suffix="_wanted", maintain_order="left")
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


def check_weights(result: Mapping[str, Any], models: Path) -> list[Check]:
    """Compare the weights behind a result with what it records, where they are at hand."""
    if not result["model"]:
        return []
    failures, notes, done = [], [], False
    for model in result["model"]:
        path = models / model["path"]
        if not path.is_file():
            notes.append(f"{path} is not there")
        elif sha256_file(path) != model["sha256"]:
            failures.append(f"model: {path} has another SHA-256 than the result records")
        else:
            done = True
            notes.append(f"{path} is what the result records")
    return [Check("weights", failures, notes, done)]
