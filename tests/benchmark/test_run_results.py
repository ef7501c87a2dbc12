"""The best entry of a run, and the sentence about it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from emobench.benchmark.results.model import Result
from emobench.benchmark.results.store import ResultStore
from emobench.benchmark.run_results import Results
from emobench.benchmark.runs import Outcome
from emobench.benchmark.scoring.ranking import beating_constant, ranking

from . import made

BEATS = "significantly better than predicting the training mean"


def _results(folder: Path, *names: str) -> Results:
    """Results of a run that had only these entries; ``good`` and ``noise`` are files of the fixture."""
    store = ResultStore(folder)
    features = {name: name if name in ("constant", "oracle") else f"file:{name}.csv" for name in names}
    by_features = {each.features: each for each in store.results}
    return Results(Outcome(results=[by_features[each] for each in features.values()], store=store))


def _distance(results: Results, name: str) -> str:
    return f"{results[name].scores['mean_distance'].mean:.3f}"


def test_the_best_entry_beats_the_training_mean(ran: Path) -> None:
    results = _results(ran, "noise", "good", "constant", "oracle")
    assert results.best is results["file:good.csv"]
    distance = _distance(results, "file:good.csv")
    assert results.summary() == f"Best entry: file:good.csv, mean distance {distance}; {BEATS}."


def test_a_single_entry_that_does_not(ran: Path) -> None:
    results = _results(ran, "noise", "constant", "oracle")
    distance = _distance(results, "file:noise.csv")
    assert results.summary() == f"file:noise.csv: mean distance {distance}; not {BEATS}."


def test_without_the_training_mean_nothing_is_said_about_it(ran: Path) -> None:
    results = _results(ran, "good", "noise")
    assert results.summary() == f"Best entry: file:good.csv, mean distance {_distance(results, 'file:good.csv')}."


def test_references_alone_have_no_best(ran: Path) -> None:
    results = _results(ran, "constant", "oracle")
    assert (results.best, results.summary()) == (None, None)


def test_entries_that_leak_are_not_best() -> None:
    def result(distance: float, **config: object) -> Result:
        plain = made.plain()
        plain["scores"]["mean_distance"]["mean"] = distance
        plain["config"] |= config
        return Result.model_validate(plain, strict=False)

    honest = result(0.15)
    leaking = [result(0.1, leakage=["albums on both sides"]), result(0.12, carry_over=True)]
    assert Results(Outcome(results=[*leaking, honest])).best is honest
    assert Results(Outcome(results=leaking)).summary() is None


def test_the_test_is_that_of_the_leaderboard(ran: Path) -> None:
    store = ResultStore(ran)
    standings = ranking(store).standings["mean_distance"]
    assert {name: each.beats_constant for name, each in standings.items()} == beating_constant(store, store.results)


def test_damaged_predictions_are_left_out(ran: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(ran, tmp_path / "results"))
    results = _results(folder, "good", "constant")
    good = results["file:good.csv"]
    next(folder.rglob("good-*.predictions.parquet")).write_bytes(b"nothing")
    with pytest.raises(KeyError):
        _ = beating_constant(ResultStore(folder), list(results))[good.signature]
    assert (results.summary() or "").endswith(f"{_distance(results, 'file:good.csv')}.")
