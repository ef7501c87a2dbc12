"""Verification of a result at three levels: its scores, its regression, and its features.

What each level finds and does not find is described in ``docs/verification.md``.
"""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path

from ...errors import InputError
from ..scoring.rescore import check_scores, contradictions
from .checks import Check, Level, Report, short
from .config import Decided
from .model import Result, predictions_path
from .reading import InvalidResultError
from .recompute import check_regression
from .recompute_features import check_features
from .store import ResultStore
from .verify_data import FOLDS, Datasets, check_dataset, check_weights


def verify(
    path: Path,
    datasets: Datasets,
    models: Path,
    store: ResultStore | None = None,
    *,
    level: Level = "regression",
    retrain: bool = False,
    audio: Path | None = None,
    pool: Executor | None = None,
) -> Report:
    """Verify a result up to a level.

    Parameters
    ----------
    path : Path
        JSON file of the result; its predictions, features and parameters are beside it.
    datasets : Datasets
        Where to look for the dataset.
    models : Path
        Folder of models, for the weights.
    store : ResultStore, optional
        Store that may have read the result already.
    level : {"scores", "regression", "features"}
        Level. ``scores``: the stored predictions are scored again, and data, folds, hashes and signature are checked.
        ``regression``: the predictions are also computed again from the stored features. ``features``: the features
        are also computed again from audio and weights.
    retrain : bool
        Whether regressors without a closed form are fitted again, and the difference is reported.
    audio : Path, optional
        Folder of the audio, if it is not where the dataset was built.
    pool : Executor, optional
        Executor of :func:`emobench.runtime.executor.executor` that computes features; the level features needs it.

    Returns
    -------
    Report
        Every problem, not only the first.

    Raises
    ------
    InputError
        If the file is not a result of this schema.
    """
    store = store or ResultStore(path.parent.parent)
    if not path.is_file():
        raise InputError(
            f"{path}: no such file; expected a result, results/<dataset>@<version>/<entry>-<signature>.json."
        )
    try:
        result = store.read(path)
    except InvalidResultError as error:
        return Report(path, [Check("file", error.lines)], wanted=level)
    predictions, damage = store.table(result)
    if predictions is not None:
        damage = [*damage, *(f"{predictions_path(path).name}: {line}" for line in contradictions(predictions))]
    checks = [
        Check("file", result.changed, ["all fields of the schema, and no others"]),
        Check("predictions", damage, ["SHA-256, columns and types"]),
        Check("signature", _signature(result), ["computed again from the configuration"]),
    ]
    found = datasets.of(result)
    task = found.task
    if predictions is None:
        checks.append(Check("scores", notes=["the predictions cannot be read"], done=False, required=True))
    else:
        albums = task.album_by_clip if task else result.albums
        checks.append(check_scores(result, predictions, albums))
    checks += check_dataset(result, predictions, found)
    unchecked = []
    # Where rows are missing or foreign, there is nothing to compare with.
    whole = predictions is not None and not any(check.failures for check in checks if check.name == FOLDS)
    if task is not None and predictions is not None and whole and level != "scores":
        made = check_regression(result, predictions, task, retrain=retrain)
        checks.append(made.check)
        unchecked += made.open
        if level == "features" and pool is not None:
            if result.reference:
                checks.append(Check(level, notes=["references have none"]))
            elif made.features is not None:
                checks.append(check_features(result, made.features, task, models=models, audio=audio, pool=pool))
    checks += check_weights(result, models)
    report = Report(path, checks, result, wanted=level)
    return replace(report, unchecked=[*unchecked, *_unchecked(report, result)])


def _unchecked(report: Report, result: Result) -> list[str]:
    """Name what the level that a result reached does not show."""
    lines = []
    if report.level in (None, "scores"):
        lines.append("the predictions are not shown to come from the features")
    if report.level != "features" and not result.reference and not result.external:
        lines.append("the features are not shown to come from the audio")
    if result.config.bootstrap_seed:
        lines.append(f"the intervals are of bootstrap seed {result.config.bootstrap_seed}, which the author chose")
    lines += [
        f"{check.name}: {'; '.join(check.notes)}" for check in report.checks if not check.done and not check.required
    ]
    return [*lines, "cost, environment and descriptions are the author's own statements and cannot be verified"]


def refuse_wrong(result: Result, datasets: Datasets, models: Path, store: ResultStore) -> Report:
    """Verify a result that is to be published; raise InputError for its first problem."""
    report = verify(result.path, datasets, models, store)
    for check in report.checks:
        if check.failures:
            raise InputError(f"{result.path}: {check.name}: {check.failures[0]}. Run the entry again with `force`.")
    return report


def _signature(result: Result) -> list[str]:
    """Name the fields, the signature and the file name that contradict the configuration."""
    config, environment = result.config, result.environment
    weights = [part["model_sha256"] for part in config.parts if isinstance(part, dict) and "model_sha256" in part]
    same = {
        "dataset.manifest_sha256": (result.dataset.manifest_sha256, config.manifest, "config.manifest"),
        "features": (result.features, config.entry[0], "config.entry"),
        "layer": (result.layer, config.entry[1], "config.entry"),
        "phase": (result.phase, config.entry[2], "config.entry"),
        "regressor": (result.regressor, config.regressor, "config.regressor"),
        "model": ([each.sha256 for each in result.model], weights, "config.parts"),
        "environment.libsndfile": (environment.get("libsndfile"), config.decoder, "config.decoder"),
        "leakage.found": (result.leakage.found, config.leakage, "config.leakage"),
    }
    for name, version in config.versions.items():
        same[f"environment.{name}"] = (environment.get(name), version, f"config.versions.{name}")
    wrong = [
        f"{name}: is {short(stored)}; {where} says {short(expected)}"
        for name, (stored, expected, where) in same.items()
        if stored != expected
    ]
    if config.signature != result.signature:
        decides = ", ".join(field.alias or name for name, field in Decided.model_fields.items())
        wrong.append(
            f"signature: is {result.signature}; config gives {config.signature}: one of these was changed: "
            f"signature, {decides}"
        )
    # Not resolved: files that were fetched from the Hub are links to files with other names.
    path = result.path.absolute()
    expected = config.file_name.replace(config.signature, result.signature)
    if path.name != expected:
        wrong.append(f"the file is called {path.name}; its content requires {expected}")
    if path.parent.name != result.dataset.label:
        wrong.append(f"the file is in the folder {path.parent.name}; it belongs in {result.dataset.label}")
    return wrong
