"""The stored predictions of a result: read, looked over and scored again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from ...builders.targets import PARAMETERS
from ...errors import EmobenchError
from ...runtime.files import sha256_file
from ...runtime.sizes import check_parquet
from ..results.checks import Check
from ..results.store import score_repeats
from .metrics import NAMES, indefinite
from .significance import RepeatPredictions

TOLERANCE = 1e-12

KEYS = ("repeat", "clip_id", "time")
TRUE = tuple(f"true_{name}" for name in PARAMETERS)
COLUMNS = {
    "repeat": pl.Int32,
    "clip_id": pl.String,
    "time": pl.Float64,
    **dict.fromkeys((*PARAMETERS, *TRUE), pl.Float64),
}


def read_predictions(path: Path, result: Mapping[str, Any]) -> tuple[pl.DataFrame | None, list[str]]:
    """Read the predictions beside a result.

    Parameters
    ----------
    path : Path
        Of the result.
    result : mapping
        Its content.

    Returns
    -------
    predictions : DataFrame or None
        None where they cannot be scored.
    damage : list of str
        A line for everything that is wrong with them.
    """
    place = path.with_suffix(".parquet")
    if not place.is_file():
        return None, [f"{place.name}: is missing; expected it beside the result"]
    damage = []
    if sha256_file(place) != result.get("predictions_sha256"):
        damage.append(f"{place.name}: its SHA-256 is not the one that the result names (predictions_sha256)")
    try:
        check_parquet(place)
    except EmobenchError as error:
        return None, [*damage, str(error).removeprefix(f"{place.parent}/")]
    try:
        table = pl.read_parquet(place)
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        return None, [*damage, f"{place.name}: cannot be read as Parquet ({str(error).strip().splitlines()[0]})"]
    if wrong := _misfit(table):
        return None, [*damage, f"{place.name}: {wrong}"]
    return table, damage + [f"{place.name}: {line}" for line in _contradictions(table)]


def _misfit(table: pl.DataFrame) -> str | None:
    """Why a table cannot be scored."""
    if dict(table.schema) != COLUMNS or table.columns != list(COLUMNS):
        lacking = [name for name in COLUMNS if name not in table.columns]
        foreign = [f"{name} ({kind})" for name, kind in table.schema.items() if COLUMNS.get(name) != kind]
        return f"has wrong columns; expected {', '.join(COLUMNS)}; lacks {lacking}, holds {foreign}"
    if table.is_empty():
        return "holds no row"
    unknown = {name for columns in (PARAMETERS, TRUE) for name in columns[2:]}
    for name, kind in COLUMNS.items():
        # The variances and the covariance may be null, where the dataset gives none.
        wrong = ~table[name].is_finite().fill_null(name in unknown) if kind == pl.Float64 else table[name].is_null()
        if wrong.any():
            row = int(wrong.arg_max() or 0)
            return f"row {row + 1}: {name} is {table[name][row]}; expected a finite value"
    for name, columns in (("true", TRUE), ("predicted", PARAMETERS)):
        rows = table.select(columns).to_numpy()
        wrong = indefinite(rows)
        if wrong.any():
            return f"row {int(np.argmax(wrong)) + 1}: the {name} covariance is not positive definite"
    return None


def _contradictions(table: pl.DataFrame) -> list[str]:
    """Seconds that stand twice in a repeat, and truths that differ from repeat to repeat."""
    lines = []
    twice = table.filter(table.select(KEYS).is_duplicated())
    if len(twice):
        repeat, clip, time = twice.select(KEYS).row(0)
        lines.append(f"clip {clip} at {time:g} s stands twice in repeat {repeat}")
    for name in TRUE:
        differing = table.group_by("clip_id", "time", maintain_order=True).agg(pl.col(name).n_unique())
        differing = differing.filter(pl.col(name) > 1)
        if len(differing):
            clip, time = differing.row(0)[:2]
            lines.append(f"column {name}: clip {clip} at {time:g} s has other values in other repeats")
    return lines


def check_scores(result: Mapping[str, Any], predictions: pl.DataFrame, albums: Mapping[str, int] | None) -> list[Check]:
    """Compare every number of the scores with what the stored predictions give.

    Parameters
    ----------
    result : mapping
        Its ``scores`` and the seed of its bootstrap.
    predictions : DataFrame
        As :func:`read_predictions` gives them.
    albums : mapping of str to int, or None
        Album of each clip; None where they are not known, and the intervals cannot be had.

    Returns
    -------
    list of Check
    """
    listed = predictions["clip_id"].unique(maintain_order=True).to_list()
    numbers = albums or {clip: place for place, clip in enumerate(listed)}
    foreign = [clip for clip in listed if clip not in numbers]
    if foreign:
        return [Check("scores", [f"predictions: clip {foreign[0]} is none of the {len(numbers)} clips of the folds"])]
    repeats = [_repeat(rows, numbers) for _, rows in predictions.group_by("repeat", maintain_order=True)]
    with threadpool_limits(1):
        again = score_repeats(repeats, seed=result["config"]["bootstrap_seed"])
    stored, failures = result["scores"], []
    for name in dict.fromkeys([*NAMES, *stored]):
        if name not in stored or name not in again:
            failures.append(f"scores.{name}: {'is missing' if name in again else 'is no score of emobench'}")
            continue
        for part in ("mean", "std", "per_repeat", "ci95"):
            if part != "ci95" or albums:
                failures += _unequal(f"scores.{name}.{part}", stored[name][part], again[name][part])
    said = f"{len(again)} scores of {len(repeats)} repeats, recomputed and equal to {TOLERANCE:g}"
    if albums:
        return [Check("scores", failures, [f"{said}, with their deviations and intervals"])]
    why = "the albums of the clips are not recorded, and the dataset is not at hand"
    return [Check("scores", failures, [said]), Check("intervals", notes=[why], done=False)]


def _repeat(rows: pl.DataFrame, albums: Mapping[str, int]) -> RepeatPredictions:
    clips = rows["clip_id"].unique(maintain_order=True)
    songs = rows["clip_id"].replace_strict(clips, pl.Series(range(len(clips))), return_dtype=pl.Int64)
    return RepeatPredictions(
        rows.select(TRUE).to_numpy(),
        rows.select(PARAMETERS).to_numpy(),
        songs.to_numpy().astype(np.intp),
        np.array([albums[clip] for clip in clips], np.intp),
    )


def _unequal(name: str, stored: object, again: object) -> list[str]:
    """A line for each number that differs, with both."""
    if isinstance(stored, Sequence) and isinstance(again, Sequence):
        if len(stored) != len(again):
            return [f"{name}: holds {len(stored)} numbers; the predictions give {len(again)}"]
        return [
            line
            for place, (one, other) in enumerate(zip(stored, again, strict=True))
            for line in _unequal(f"{name}[{place}]", one, other)
        ]
    if stored is None and again is None:
        return []
    close = (
        isinstance(stored, (int, float))
        and isinstance(again, (int, float))
        and abs(stored - again) <= TOLERANCE * max(1.0, abs(again))
    )
    return [] if close else [f"{name}: is {stored!r}; the predictions give {again!r}"]
