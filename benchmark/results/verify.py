"""Verification of a result: fields, seals, predictions, scores, dataset, folds, weights and signature."""

from __future__ import annotations

from pathlib import Path

from ...errors import InputError
from ..scoring.rescore import check_scores, contradictions
from .checks import Check, Report, short
from .config import Decided
from .model import Result, predictions_path
from .reading import InvalidResultError
from .seals import broken
from .store import ResultStore
from .verify_data import Datasets, check_dataset, check_weights


def verify(path: Path, datasets: Datasets, models: Path, store: ResultStore | None = None) -> Report:
    """Verify a result and its predictions.

    Parameters
    ----------
    path : Path
        JSON file of the result; its predictions are beside it.
    datasets : Datasets
        Where to look for the dataset.
    models : Path
        Folder of models, for the weights.
    store : ResultStore, optional
        Store that may have read the result already.

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
        return Report(path, [Check("file", error.lines)])
    predictions, damage = store.table(result)
    if predictions is not None:
        damage = [*damage, *(f"{predictions_path(path).name}: {line}" for line in contradictions(predictions))]
    fields, cells = broken(result, predictions)
    checks = [
        Check("file", _as_written(result), ["all fields of the schema, and no others"]),
        Check("seals", fields + [f"predictions: {line}" for line in cells], ["every field and every column"]),
        Check("predictions", damage, ["SHA-256, columns and types"]),
        Check("signature", _signature(result), ["computed again from the configuration"]),
    ]
    found = datasets.of(result)
    task = found.task
    if predictions is None:
        checks.append(Check("scores", notes=["the predictions cannot be read"], done=False))
    else:
        albums = task.album_by_clip if task else result.albums
        checks.append(check_scores(result, predictions, albums))
    checks += [*check_dataset(result, predictions, found), *check_weights(result, models)]
    return Report(path, checks, result)


def refuse_wrong(result: Result, datasets: Datasets, models: Path, store: ResultStore) -> None:
    """Raise InputError for the first problem of a result that is to be published."""
    report = verify(result.path, datasets, models, store)
    for check in report.checks:
        if check.failures:
            raise InputError(f"{result.path}: {check.name}: {check.failures[0]}. Run the entry again with `force`.")


def _as_written(result: Result) -> list[str]:
    """Name the first line that ``emobench run`` would have written differently for the same content."""
    expected = result.to_json()
    if result.text == expected:
        return []
    lines = zip(result.text.split("\n"), expected.split("\n"), strict=False)
    number, text = next(((place, one) for place, (one, other) in enumerate(lines, 1) if one != other), (0, ""))
    if not number:
        return ["does not end as emobench writes it"]
    return [f"line {number} is not as emobench writes it: {text.strip()[:80]!r}"]


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
    path = result.path.resolve()
    expected = config.file_name.replace(config.signature, result.signature)
    if path.name != expected:
        wrong.append(f"the file is called {path.name}; its content requires {expected}")
    if path.parent.name != result.dataset.label:
        wrong.append(f"the file is in the folder {path.parent.name}; it belongs in {result.dataset.label}")
    return wrong
