"""Checking a result again: its form, seals, predictions, scores, dataset, folds, weights and signature."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from ...errors import EmobenchError, InputError
from ...runtime.files import read_json
from ..features.spec import Entry, parts_of
from ..scoring.rescore import check_scores, read_predictions
from .checks import Check, Report, short
from .seals import DECIDES, broken, signature_of
from .shape import misfits
from .store import SCHEMA, other_schema, result_name
from .verify_data import Datasets, check_dataset, check_weights


def verify(path: Path, datasets: Datasets, models: Path) -> Report:
    """Check a result and its predictions.

    Parameters
    ----------
    path : Path
        The JSON file; its predictions are beside it.
    datasets : Datasets
        Where the dataset may be.
    models : Path
        Folder of models, for the weights.

    Returns
    -------
    Report
        With everything that is wrong, not only the first.

    Raises
    ------
    InputError
        If the file is no result of this schema at all.
    """
    result = _read(path)
    wrong = misfits(result, whole=True)
    predictions, damage = read_predictions(path, result)
    checks = [
        Check("file", [*_as_written(path, result), *wrong], ["every field of the schema, and no other"]),
        _seals(result, predictions),
        Check("predictions", damage, ["SHA-256, columns and types"]),
    ]
    if wrong:
        why = "its fields are not as the schema says"
        return Report(path, [*checks, Check("signature, scores, dataset, weights", notes=[why], done=False)])
    checks.append(Check("signature", _signature(path, result), ["recomputed from what the result records"]))
    found = datasets.of(result)
    task = found.task
    if predictions is None:
        checks.append(Check("scores", notes=["the predictions cannot be read"], done=False))
    else:
        albums = dict(zip(task.clips, task.albums.tolist(), strict=True)) if task else result.get("albums")
        checks += check_scores(result, predictions, albums)
    checks += [*check_dataset(result, predictions, found), *check_weights(result, models)]
    return Report(path, checks, result)


def refuse_wrong(path: Path, datasets: Datasets, models: Path) -> None:
    """Raise InputError at the first thing that :func:`verify` finds wrong with a result that shall be released."""
    report = verify(path, datasets, models)
    for check in report.checks:
        if check.failures:
            raise InputError(f"{path}: {check.name}: {check.failures[0]}. Run the row again with --force.")


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(
            f"{path}: no such file; expected a result, results/<dataset>@<version>/<row>-<signature>.json."
        )
    try:
        result = read_json(path, "result")
    except EmobenchError as error:
        raise InputError(str(error)) from error
    if not {"signature", "features", "scores"} & set(result):
        raise InputError(f"{path}: is no result of emobench; expected a file that 'emobench run' wrote.")
    if "schema" not in result or (other := other_schema(result)):
        found = other[0] if "schema" in result else "names no schema"
        raise InputError(
            f"{path}: {found}; this emobench checks schema {SCHEMA}. Run the row again, or use another version."
        )
    return result


def _as_written(path: Path, result: Mapping[str, Any]) -> list[str]:
    """The first line whose text is not what ``emobench run`` would have written for the same content."""
    found = path.read_text(encoding="utf-8")
    wanted = json.dumps(result, indent=2, ensure_ascii=False) + "\n"
    if found == wanted:
        return []
    pairs = zip(found.split("\n"), wanted.split("\n"), strict=False)
    number, text = next(((place, one) for place, (one, other) in enumerate(pairs, 1) if one != other), (0, ""))
    if not number:
        return ["ends in another way than emobench writes it"]
    return [f"line {number} is not as emobench writes it: {text.strip()[:80]!r}"]


def _seals(result: Mapping[str, Any], predictions: pl.DataFrame | None) -> Check:
    if "seals" not in result:
        why = "the result has none (an older emobench wrote it): changes of cost, created or the environment go unseen"
        return Check("seals", notes=[why], done=False)
    fields, cells = broken(result, predictions)
    return Check("seals", fields + [f"predictions: {line}" for line in cells], ["every field and every column"])


def _signature(path: Path, result: Mapping[str, Any]) -> list[str]:
    """What the signature, the name and the fields of a result say otherwise than what decided its numbers."""
    config, dataset, model = result["config"], result["dataset"], result["model"] or []
    deep = [part["model_sha256"] for part in config["parts"] if isinstance(part, dict) and "model_sha256" in part]
    same = {
        "dataset.manifest_sha256": (dataset["manifest_sha256"], config["manifest"], "config.manifest"),
        "features": (result["features"], config["row"][0], "config.row"),
        "layer": (result["layer"], config["row"][1], "config.row"),
        "phase": (result["phase"], config["row"][2], "config.row"),
        "regressor": (result["regressor"], config["regressor"], "config.regressor"),
        "model": ([each["sha256"] for each in model], deep, "config.parts"),
        "environment.libsndfile": (result["environment"].get("libsndfile"), config["decoder"], "config.decoder"),
    }
    if "leakage" in result:
        same["leakage.found"] = (result["leakage"]["found"], config.get("leakage", []), "config.leakage")
    for name, version in config["versions"].items():
        same[f"environment.{name}"] = (result["environment"].get(name), version, f"config.versions.{name}")
    wrong = [
        f"{name}: is {short(stored)}; {where} says {short(wanted)}"
        for name, (stored, wanted, where) in same.items()
        if stored != wanted
    ]
    signature = signature_of(config)
    if signature != result["signature"]:
        decides = ", ".join(name for name in DECIDES if name in config)
        wrong.append(
            f"signature: is {result['signature']}; config gives {signature}: it or one of these was changed: {decides}"
        )
    row = Entry(parts_of(result["features"]), result["layer"], result["phase"], bool(config.get("carry_over")))
    name = result_name(row, config.get("leakage", []), result["signature"])
    folder = f"{dataset['name']}@{dataset['version']}"
    place = path.resolve()
    if place.name != name:
        wrong.append(f"the file is called {path.name}; by its content it is {name}")
    if place.parent.name != folder:
        wrong.append(f"the file lies in {place.parent.name}; by its content it belongs in {folder}")
    return wrong
