"""Results on disk: ``results/<dataset>@<version>/<row>-<signature>.json`` and its predictions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from glob import escape
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ...builders.targets import PARAMETERS
from ...errors import EmobenchError, InputError
from ...runtime.files import digest, read_json, sha256_file, write_json, write_parquet
from ..features.spec import Entry
from ..scoring.metrics import NAMES, weighted_scores
from ..scoring.significance import RepeatPredictions, album_intervals
from ..scoring.task import Task
from .seals import DECIDES, VERSIONS, broken, seals_of
from .shape import misfits

SCHEMA = 1
DRAWS = 1000

# What marks a row whose fine-tuned weights were kept from fold to fold.
CARRIED = "carried over (leaks)"

# What marks a row that was let pass though its data leak.
LEAKED = "leakage allowed"


@dataclass(frozen=True)
class Predictions:
    """Test rows of one repeat: indices into the task's rows and predictions (n, 5)."""

    repeat: int
    rows: npt.NDArray[np.intp]
    values: npt.NDArray[np.float64]


def score(task: Task, predictions: Sequence[Predictions], *, seed: int) -> dict[str, Any]:
    """Scores of a row: for each metric mean, sample SD over repeats, each repeat, and a 95 % interval.

    Parameters
    ----------
    task : Task
        With the true targets.
    predictions : sequence of Predictions
        One a repeat.
    seed : int
        Of the bootstrap over albums.

    Returns
    -------
    dict
        Metric to ``mean, std, per_repeat, ci95``; what is undefined is None.
    """
    repeats = []
    for part in predictions:
        clips, songs = np.unique(task.clip_index[part.rows], return_inverse=True)
        repeats.append(RepeatPredictions(task.targets[part.rows], part.values, songs, task.albums[clips]))
    return score_repeats(repeats, seed=seed)


def score_repeats(repeats: Sequence[RepeatPredictions], *, seed: int) -> dict[str, Any]:
    """Scores of the predictions of all repeats, as :func:`score` gives them."""
    per_repeat: dict[str, list[float]] = {name: [] for name in NAMES}
    for one in repeats:
        with np.errstate(divide="ignore", invalid="ignore"):
            plain = weighted_scores(one.true, one.predicted, one.songs, np.ones((1, len(one.albums))))
        for name, value in plain.items():
            per_repeat[name].append(float(value[0]))
    intervals = album_intervals(repeats, draws=DRAWS, seed=seed)
    return {name: _summary(values, intervals[name]) for name, values in per_repeat.items()}


def _summary(values: list[float], interval: tuple[float, float] | None) -> dict[str, Any]:
    defined = np.array([value for value in values if np.isfinite(value)])
    return {
        "mean": float(defined.mean()) if len(defined) else None,
        "std": float(defined.std(ddof=1)) if len(defined) > 1 else None,
        "per_repeat": [value if np.isfinite(value) else None for value in values],
        "ci95": list(interval) if interval else None,
    }


def prediction_table(task: Task, predictions: Sequence[Predictions]) -> pl.DataFrame:
    """Arrange predictions beside the truth, one row per test second of a repeat; null where unknown."""
    times = task.times
    clips = np.array(task.clips, dtype=object)
    tables = []
    for part in predictions:
        columns: dict[str, Any] = {
            "repeat": pl.Series([part.repeat] * len(part.rows), dtype=pl.Int32),
            "clip_id": pl.Series(clips[task.clip_index[part.rows]].tolist(), dtype=pl.String),
            "time": times[part.rows],
        }
        columns |= {name: part.values[:, place] for place, name in enumerate(PARAMETERS)}
        columns |= {f"true_{name}": task.targets[part.rows, place] for place, name in enumerate(PARAMETERS)}
        tables.append(pl.DataFrame(columns))
    return pl.concat(tables).with_columns(pl.col(pl.Float64).fill_nan(None))


def results_folder(out: Path, task: Task) -> Path:
    """Folder of the results on a dataset."""
    return out / f"{task.dataset.name}@{task.dataset.version}"


def result_name(row: Entry, leaks: Sequence[str], signature: str) -> str:
    """Name of the file of a row's result."""
    return f"{row.label}{'-leakage-allowed' if leaks else ''}-{signature}.json"


def finished(path: Path) -> dict[str, Any] | None:
    """The result at ``path`` where it and its predictions are whole and as they were written; else None."""
    if not path.is_file():
        return None
    try:
        result = read_json(path, "result")
    except EmobenchError:
        return None
    if not _predicted(path, result) or ("seals" in result and broken(result, None)[0]):
        return None
    return result


def _predicted(path: Path, result: Mapping[str, Any]) -> bool:
    """Whether the predictions of a result lie beside it."""
    predictions = path.with_suffix(".parquet")
    return predictions.is_file() and result.get("predictions_sha256") == sha256_file(predictions)


def write_result(path: Path, result: dict[str, Any], predictions: pl.DataFrame) -> dict[str, Any]:
    """Write predictions, then the result that names their SHA-256; the result as written.

    Its ``sequence`` is one more than that of any other result of the same entry in the folder: clocks may jump.
    """
    write_parquet(path.with_suffix(".parquet"), predictions)
    whole = {
        **result,
        "sequence": 1 + max((_sequence(other) for other in _same_entry(path, result)), default=0),
        "predictions_sha256": sha256_file(path.with_suffix(".parquet")),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    whole["seals"] = seals_of(whole, predictions)
    write_json(path, whole)
    return whole


def _same_entry(path: Path, result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Read the other results of the same entry (:func:`row_key`) beside a result."""
    label = path.name.rpartition("-")[0]
    found = []
    for other in path.parent.glob(f"{escape(label)}-*.json"):
        if other != path:
            try:
                found.append(read_result(other))
            except EmobenchError:
                continue
    return [other for other in found if row_key(other) == row_key(result)]


def _sequence(result: Mapping[str, Any]) -> int:
    return result.get("sequence", 0)


def is_latest(path: Path, result: Mapping[str, Any]) -> bool:
    """Whether no other result of the same entry was written later in the folder."""
    return all(_sequence(other) < _sequence(result) for other in _same_entry(path, result))


def carried_over(result: dict[str, Any]) -> bool:
    """Whether the weights behind a row were kept from fold to fold, so that tested clips were trained on."""
    return bool(result.get("config", {}).get("carry_over"))


def phase_shown(result: dict[str, Any]) -> str | None:
    """The phase of a row as every table shows it."""
    return f"{result['phase']}, {CARRIED}" if carried_over(result) else result["phase"]


def leaks_of(result: dict[str, Any]) -> list[str]:
    """What leaks in a row and was let pass."""
    return list(result.get("config", {}).get("leakage", []))


def leak_mark(result: dict[str, Any]) -> str:
    """What every table writes after the features of a row that was let pass though its data leak."""
    return f" [{LEAKED}]" if leaks_of(result) else ""


def dataset_key(result: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """What results must share to be compared: the dataset's name, version, manifest and folds."""
    dataset = result["dataset"]
    return dataset["name"], dataset["version"], dataset["manifest_sha256"], dataset.get("folds_sha256", "")


@dataclass(frozen=True)
class Results:
    """Results below a folder.

    Attributes
    ----------
    rows : list of dict
        In the order of their paths, the latest where a row stands twice (:func:`row_key`), and that with its
        predictions where a file was copied. Where rows are called the same, ``variant`` tells them apart: by their
        models, else by their signatures.
    paths : dict of str to Path
        Where the result of each signature lies; its predictions are beside it, ending in ``.parquet``.
    problems : list of str
        One line for each file that is no result of this schema, or the copy of another.
    """

    rows: list[dict[str, Any]]
    paths: dict[str, Path]
    problems: list[str]


def row_key(result: Mapping[str, Any]) -> str:
    """What makes a row, whatever versions computed it: its data, folds, features and settings."""
    config = result.get("config", {})
    decided = {name: config[name] for name in DECIDES if name in config and name not in VERSIONS}
    shown = [result[part] for part in ("features", "layer", "phase", "regressor")]
    return digest([dataset_key(result), shown, decided])


def _tell_apart(rows: Sequence[dict[str, Any]]) -> None:
    """Name the variant of rows that every table would call the same."""

    def called(row: dict[str, Any]) -> str:
        return digest([dataset_key(row), row["features"], row["regressor"], carried_over(row), leaks_of(row)])

    models: dict[str, set[str]] = {}
    for row in rows:
        models.setdefault(called(row), set()).add(_model(row))
    for row in rows:
        if len(models[called(row)]) > 1 and _model(row):
            row["variant"] = f"model {_model(row)}"
    names = [digest([called(row), row["layer"], row["phase"], row.get("variant")]) for row in rows]
    for row, name in zip(rows, names, strict=True):
        if names.count(name) > 1:
            row["variant"] = " ".join([*filter(None, [row.get("variant")]), row["signature"][:6]])


def _model(row: dict[str, Any]) -> str:
    """The weights behind a row, shortly."""
    return "+".join(str(each.get("sha256"))[:6] for each in row.get("model") or [])


def other_schema(result: dict[str, Any]) -> list[str]:
    """A line that says so where a result is of another schema than this emobench reads."""
    found = result.get("schema", SCHEMA)
    return [] if type(found) is int and found == SCHEMA else [f"has schema {found!r}"]


def read_result(path: Path) -> dict[str, Any]:
    """Read one result, as far as tables need it.

    Raises
    ------
    InputError
        If it is none of this schema.
    """
    try:
        result = read_json(path, "result")
    except EmobenchError as error:
        raise InputError(str(error)) from error
    if wrong := other_schema(result) or misfits(result, whole=False):
        raise InputError(f"{path}: not a result of schema {SCHEMA} ({wrong[0]}).")
    return result


def read_results(folder: Path) -> Results:
    """Read all results below a folder.

    Parameters
    ----------
    folder : Path
        As ``run --out`` writes it.

    Returns
    -------
    Results
    """
    found: dict[Path, dict[str, Any]] = {}
    problems = []
    for path in sorted(folder.glob("*/*.json")):
        try:
            found[path] = read_result(path)
        except EmobenchError as error:
            problems.append(str(error))
    for copy, path in _replaced(found, lambda result: result["signature"]):
        problems.append(f"{copy}: has the signature of {path}, which stands.")
        del found[copy]
    for older, _ in _replaced(found, row_key):
        del found[older]
    rows = list(found.values())
    _tell_apart(rows)
    return Results(rows, {row["signature"]: path for path, row in found.items()}, problems)


def _age(result: Mapping[str, Any]) -> tuple[int, float]:
    """What orders results of an entry: their sequence in a folder, and the time for those of different folders."""
    try:
        created = datetime.fromisoformat(result["created"]).timestamp()
    except (ValueError, OverflowError):
        created = 0.0
    return _sequence(result), created


def _replaced(
    found: Mapping[Path, Mapping[str, Any]], key: Callable[[Mapping[str, Any]], str]
) -> list[tuple[Path, Path]]:
    """Files in whose place another of the same key stands: the latest that has its predictions; and that one."""
    groups: dict[str, list[Path]] = {}
    for path, result in found.items():
        groups.setdefault(key(result), []).append(path)
    replaced = []
    for group in groups.values():
        if len(group) > 1:
            stands = max(group, key=lambda path: (_predicted(path, found[path]), *_age(found[path]), path))
            replaced += [(path, stands) for path in group if path != stands]
    return replaced
