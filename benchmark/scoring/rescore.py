"""Predictions of a result, scored again."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
from threadpoolctl import threadpool_limits

from ...builders.targets import PARAMETERS
from ..results.checks import Check
from ..results.model import Result
from ..results.predictions import KEYS, TRUE
from .scores import score_repeats
from .significance import RepeatPredictions

TOLERANCE = 1e-12


def contradictions(table: pl.DataFrame) -> list[str]:
    """Name seconds that occur twice in a repeat, and targets that differ between repeats."""
    lines = []
    twice = table.filter(table.select(KEYS).is_duplicated())
    if len(twice):
        repeat, clip, time = twice.select(KEYS).row(0)
        lines.append(f"clip {clip} at {time:g} s occurs twice in repeat {repeat}")
    for name in TRUE:
        differing = table.group_by("clip_id", "time", maintain_order=True).agg(pl.col(name).n_unique())
        differing = differing.filter(pl.col(name) > 1)
        if len(differing):
            clip, time = differing.row(0)[:2]
            lines.append(f"column {name}: clip {clip} at {time:g} s has different values in different repeats")
    return lines


def check_scores(result: Result, predictions: pl.DataFrame, albums: Mapping[str, int]) -> Check:
    """Compare every number of a result's scores with what its predictions give.

    Parameters
    ----------
    result : Result
        Result with its scores and bootstrap seed.
    predictions : DataFrame
        Predictions of all repeats.
    albums : mapping of str to int
        Album of each clip.
    """
    listed = predictions["clip_id"].unique(maintain_order=True).to_list()
    foreign = [clip for clip in listed if clip not in albums]
    if foreign:
        return Check("scores", [f"predictions: clip {foreign[0]} is not one of the {len(albums)} clips of the folds"])
    repeats = [_repeat(rows, albums) for _, rows in predictions.group_by("repeat", maintain_order=True)]
    with threadpool_limits(1):
        again = score_repeats(repeats, seed=result.config.bootstrap_seed)
    failures = []
    for name in dict.fromkeys([*again, *result.scores]):
        if name not in result.scores or name not in again:
            wrong = "is missing" if name in again else "is not a metric of emobench or of an installed package"
            failures.append(f"scores.{name}: {wrong}")
            continue
        stored, expected = result.scores[name], again[name]
        for part in ("mean", "std", "per_repeat", "ci95"):
            failures += _unequal(f"scores.{name}.{part}", getattr(stored, part), getattr(expected, part))
    done = f"{len(again)} scores of {len(repeats)} repeats with their deviations and intervals, equal to {TOLERANCE:g}"
    return Check("scores", failures, [done])


def _repeat(rows: pl.DataFrame, albums: Mapping[str, int]) -> RepeatPredictions:
    tested = rows["clip_id"].unique(maintain_order=True)
    clips = rows["clip_id"].replace_strict(tested, pl.Series(range(len(tested))), return_dtype=pl.Int64)
    return RepeatPredictions(
        rows.select(TRUE).to_numpy(),
        rows.select(PARAMETERS).to_numpy(),
        clips.to_numpy().astype(np.intp),
        np.array([albums[clip] for clip in tested], np.intp),
    )


def _unequal(name: str, stored: object, again: object) -> list[str]:
    """Name each number that differs, with both values."""
    if isinstance(stored, tuple) and isinstance(again, tuple):
        if len(stored) != len(again):
            return [f"{name}: has {len(stored)} numbers; the predictions give {len(again)}"]
        return [
            line
            for place, (one, other) in enumerate(zip(stored, again, strict=True))
            for line in _unequal(f"{name}[{place}]", one, other)
        ]
    if stored is None and again is None:
        return []
    close = (
        isinstance(stored, float)
        and isinstance(again, float)
        and abs(stored - again) <= TOLERANCE * max(1.0, abs(again))
    )
    return [] if close else [f"{name}: is {stored!r}; the predictions give {again!r}"]
