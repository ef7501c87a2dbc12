"""Features of a result, computed again from audio and weights."""

from __future__ import annotations

from concurrent.futures import Executor
from pathlib import Path
from typing import Any, cast

import numpy as np
from pydantic import TypeAdapter, ValidationError
from threadpoolctl import threadpool_limits

from ...errors import EmobenchError, InputError
from ...runtime.files import plain, sha256_file
from ..features.extraction import Extraction, Places
from ..features.spec import Entry, is_file, parts_of, resolve
from ..scoring.task import Task
from .beside import Float32Array
from .checks import Check, short
from .model import Result

# Largest difference between features that are stored and computed again, in standard deviations of their column.
TOLERANCE = 1e-3

NAME = "features"


def extraction_of(
    result: Result, task: Task, places: Places, pool: Executor | None = None, networks: Any = None
) -> tuple[Extraction, Entry]:
    """Return the extraction of a result's features, and its entry; references need neither pool nor networks."""
    features = {name: resolve(name) for name in parts_of(result.features)}
    extraction = Extraction(task, places, features, networks, "cpu", cast("Executor", pool))
    return extraction, Entry(tuple(features), result.layer, result.phase, result.config.carry_over)


def check_features(
    result: Result, values: list[Float32Array], task: Task, *, models: Path, audio: Path | None, pool: Executor
) -> Check:
    """Compute the features of a result again from audio and weights, and compare them with those stored.

    Values that this machine has cached for the same audio, settings and code count as computed.
    """
    places = Places(task.dataset.folder, models, models, audio=audio)
    try:
        again, same = _computed(result, task, places, pool)
    except EmobenchError as error:
        return Check(NAME, [], [str(error)], done=False, required=True)
    repeats = [fold.repeat for fold in task.folds]
    every = values if len(values) > 1 else values * len(again)
    lines = []
    for repeat, stored, made in zip(repeats, every, again, strict=False):
        if stored.shape != made.shape:
            lines.append(f"{made.shape[1]} columns are computed; the result has {stored.shape[1]}")
            break
        allowed = TOLERANCE * made.std(axis=0) + 1e-6 * np.abs(made).max(axis=0)
        wrong = ~(np.abs(stored - made) <= allowed)
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            where = f"repeat {repeat}, clip {task.clips[task.clip_index[row]]}, {task.times[row]:g} s"
            lines.append(
                f"{where}: value {column + 1} is {stored[row, column]:.6g}; the audio gives {made[row, column]:.6g} "
                f"({wrong.any(axis=1).sum()} of {len(wrong)} rows differ)"
            )
            break
    tuned = bool(result.phase and result.phase.endswith("fine-tuned"))
    if lines and (tuned or not same):
        why = "computed with other audio, beats, weights, settings or code than on this machine (config.parts)"
        if same:
            why = "networks that were fine-tuned again on this machine differ"
        return Check(NAME, [], [f"{why}: {lines[0]}"], done=False, required=True)
    return Check(NAME, lines, [f"computed again, equal to {TOLERANCE:g} SD of each column"], required=True)


def _computed(result: Result, task: Task, places: Places, pool: Executor) -> tuple[list[Float32Array], bool]:
    """Compute the features of a result; also return whether they are said to come from the same audio and settings.

    Raises
    ------
    EmobenchError
        If this is not possible on this machine.
    """
    for name in parts_of(result.features):
        if is_file(name):
            raise EmobenchError(f"{name} was computed elsewhere")
        if name.startswith("hear:"):
            raise EmobenchError(f"{name} would run a module that the result names")
    networks: Any = None
    external = {}
    if result.layer is not None:
        networks, external = _networks(result, places.models)
    extraction, entry = extraction_of(result, task, places, pool, networks)
    extraction.external = external
    with threadpool_limits(1):
        columns = extraction.columns(entry)
        per_fold = any(each.per_fold for each in columns)
        made = [
            np.hstack([each.values(fold) for each in columns]).astype(np.float32)
            for fold in (task.folds if per_fold else task.folds[:1])
        ]
        return made, [plain(each.identity) for each in columns] == [*result.config.parts]


def _networks(result: Result, models: Path) -> tuple[Any, dict[str, Any]]:
    """Return the settings of a result's networks, and the models with the weights that it names."""
    from ..features.external_models import trained_models
    from ..features.network_config import NetworkConfig

    for each in result.model:
        path = models / each.path
        if not path.is_file() or sha256_file(path) != each.sha256:
            raise EmobenchError(f"{path}: there are no weights with the SHA-256 that the result records")
    try:
        networks = TypeAdapter(NetworkConfig).validate_python(result.config.networks)
    except (ValidationError, InputError) as error:
        raise EmobenchError(f"config.networks: not the settings of networks ({short(error)})") from error
    names = parts_of(result.features)
    found = trained_models(
        [models / Path(each.path).parent for each in result.model],
        [name for name in names if resolve(name).layered],
        analysis=networks.analysis,
        window=networks.pretraining.window,
        control=bool(result.phase and result.phase.startswith("random")),
        device="cpu",
    )
    return networks, found
