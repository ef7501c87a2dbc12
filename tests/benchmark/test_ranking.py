"""Ranks of results on disk: which entries are compared, and why others are not."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from emobench.benchmark import runs
from emobench.benchmark.features.network_config import NetworkConfig
from emobench.benchmark.report.leaderboard import load, rendered
from emobench.benchmark.results.model import predictions_path
from emobench.benchmark.results.store import ResultStore
from emobench.benchmark.scoring.pairs import pair_p
from emobench.benchmark.scoring.ranking import Ranking, ranking
from emobench.benchmark.scoring.task import load_task
from emobench.builders import labelled_dataset as labelled
from emobench.protocols import features as registry
from emobench.runtime.files import sha256_file

# References that use the test part.
UNRANKED = ("oracle", "human", "ceiling")


@pytest.fixture
def results(ran: Path, tmp_path: Path) -> Path:
    """A copy of the results that a test may change."""
    return Path(shutil.copytree(ran, tmp_path / "results"))


def _by_name(folder: Path, made: Ranking | None = None) -> dict[str, dict[str, Any]]:
    """Return the standing of each entry by mean distance, or why it has none."""
    found = ResultStore(folder)
    made = made or ranking(found)
    return {
        row.features.removeprefix("file:").removesuffix(".csv"): {
            "standing": made.standings["mean_distance"].get(row.signature),
            "reason": made.unranked.get(row.signature),
            "signature": row.signature,
        }
        for row in found.results
    }


def test_ranks(ran: Path) -> None:
    rows = _by_name(ran)
    assert rows["oracle"]["reason"] == "uses the targets of the test part"
    assert rows["oracle"]["standing"] is None
    ranked = {name: row["standing"] for name, row in rows.items() if name not in UNRANKED}
    assert {name: (standing.rank, standing.beats_constant) for name, standing in ranked.items()} == {
        "good": (1, True),
        "alike": (1, True),
        "noise": (3, False),
        "again": (3, False),
        "constant": (3, None),
    }
    assert (ranked["good"].better_than, ranked["good"].worse_than) == (3, 0)
    assert (ranked["noise"].better_than, ranked["noise"].worse_than) == (0, 2)
    assert ranking(ResultStore(ran)) == ranking(ResultStore(ran))


def test_an_entry_between_two_others_does_not_give_them_one_rank(rated: Path, tmp_path: Path, pool: Executor) -> None:
    # Each entry differs little from the next; the first is far better than the last, and than the training mean.
    task = load_task(labelled.load(rated))
    means = np.array([task.targets[task.clip_index == song, :2].mean(axis=0) for song in range(len(task.clips))])
    noise = np.random.default_rng(1).normal(size=means.shape)
    specs = []
    for step, width in enumerate((0.02, 0.06, 0.09, 0.13, 0.2, 0.3, 0.6)):
        table = pl.DataFrame({"clip_id": task.clips}).with_columns(
            *(pl.Series(name, means[:, axis] + width * noise[:, axis]) for axis, name in enumerate("xy"))
        )
        table.write_csv(tmp_path / f"step{step}.csv")
        specs.append(f"file:{tmp_path / f'step{step}.csv'}")
    places = runs.Places(dataset=rated, out=tmp_path / "results", models=tmp_path / "models")
    runs.run(specs, places, runs.RunConfig(), NetworkConfig(), device="cpu", pool=pool)
    standings = {name: row["standing"] for name, row in _by_name(tmp_path / "results").items() if row["standing"]}
    ranks = [standings[f"step{step}"].rank for step in range(7)]
    assert ranks == sorted(ranks)
    assert ranks[0] == 1
    assert len(set(ranks)) >= 4
    for standing in standings.values():
        assert standing.rank == 1 + standing.worse_than
    assert standings["constant"].rank >= 5
    assert standings["step0"].beats_constant
    assert not standings["step6"].beats_constant


def test_difference_to_the_best_entry(ran: Path) -> None:
    found = ResultStore(ran)
    made = ranking(found)
    scores = {row.signature: row.scores["mean_distance"].mean or 0.0 for row in found.results}
    for signature, standing in made.standings["mean_distance"].items():
        assert standing.behind == pytest.approx(
            scores[signature] - min(scores[s] for s in made.standings["mean_distance"])
        )
        low, high = standing.behind_ci95
        assert low <= standing.behind <= high
    best = min(made.standings["mean_distance"].values(), key=lambda standing: standing.behind)
    assert (best.behind, best.behind_ci95) == (0.0, (0.0, 0.0))


def test_two_entries_have_the_p_value_of_their_pair(ran: Path, results: Path) -> None:
    for path in results.rglob("*"):
        if path.is_file() and not path.name.startswith(("good", "noise")):
            path.unlink()
    found = ResultStore(results)
    rows = {row.features: found.predictions(row) for row in found.results}
    good, noise = rows["file:good.csv"], rows["file:noise.csv"]
    # By hand: seconds are weighted equally within a repeat, and so are repeats.
    shares = np.zeros(1 + good.albums.max())
    for part, sign in ((noise, 1), (good, -1)):
        error = np.hypot(*(part.true - part.predicted)[:, :2].T)
        for repeat in range(5):
            own = part.repeats == repeat
            np.add.at(shares, part.albums[own], sign * error[own] / own.sum() / 5)
    standings = ranking(found).standings["mean_distance"]
    assert max(standing.behind for standing in standings.values()) == pytest.approx(shares.sum(), abs=1e-12)
    assert pair_p(shares, draws=4999, seed=0) < 0.05
    assert sorted(standing.rank for standing in standings.values()) == [1, 2]


def _spoil(folder: Path, name: str, change: Any) -> None:
    (path,) = folder.rglob(f"{name}-*.json")
    result = json.loads(path.read_text())
    change(result, path)
    path.write_text(json.dumps(result))


def _rewrite(result: dict[str, Any], path: Path, change: Any) -> None:
    """Change the predictions and update their hash in the result, as a forger would."""
    place = path.with_suffix(".predictions.parquet")
    change(pl.read_parquet(place)).write_parquet(place)
    result["files"]["predictions"] = sha256_file(place)


SPOILED: dict[str, tuple[Any, str]] = {
    "missing": (lambda result, path: predictions_path(path).unlink(), "cannot be read (No such"),
    "cut": (
        lambda result, path: predictions_path(path).write_bytes(b"PAR1"),
        "has another SHA-256 than the result records",
    ),
    "unknown clip": (lambda result, path: result["albums"].pop("c003"), "clip c003 is not one of the result's"),
    "other albums": (lambda result, path: result["albums"].update(c000=5), "tested on other clips, seconds or albums"),
    "other score": (
        lambda result, path: result["scores"]["mean_distance"].update(mean=0.01),
        "its predictions give a mean_distance of 0.",
    ),
    "no parquet": (
        lambda result, path: _rewrite(result, path, lambda table: table.drop("covariance")),
        "missing ['covariance']",
    ),
    "not finite": (
        lambda result, path: _rewrite(result, path, lambda table: table.with_columns(valence=pl.lit(float("nan")))),
        "row 1: valence is nan; expected a finite value",
    ),
    "leaks": (lambda result, path: result["config"].update(leakage=["a file"]), "leakage was allowed"),
    "carried over": (lambda result, path: result["config"].update(carry_over=True), "were carried over from fold"),
}


@pytest.mark.parametrize("what", list(SPOILED))
def test_an_entry_that_cannot_be_compared_is_listed_with_the_reason(results: Path, what: str) -> None:
    change, reason = SPOILED[what]
    before = _by_name(results)
    _spoil(results, "alike", change)
    rows = _by_name(results)
    assert rows["alike"]["standing"] is None
    assert reason in rows["alike"]["reason"]
    # The others are ranked without it.
    assert rows["good"]["standing"].rank == 1
    assert rows["noise"]["standing"].rank == 2
    assert before["good"]["standing"].rank == 1
    board = load(results)
    tables, problems = board.tables, board.store.problems
    assert problems == []
    shown = " ".join(rendered(tables, "rich").split())
    assert "No rank for file:alike.csv" in shown
    assert reason.split(" (")[0].split("mean_")[0] in shown
    assert reason in json.loads(rendered(tables, "json"))[0]["rows"][1]["no_rank"]


def test_entries_on_fewer_clips_are_not_compared(results: Path) -> None:
    def fewer(result: dict[str, Any], path: Path) -> None:
        _rewrite(result, path, lambda table: table.filter(pl.col("clip_id") != "c001"))
        table = pl.read_parquet(path.with_suffix(".predictions.parquet"))
        parts = [table.filter(pl.col("repeat") == repeat) for repeat in range(5)]
        for name in ("mean_distance", "kl_divergence"):
            result["scores"][name]["mean"] = np.mean([_score(part, name) for part in parts])

    _spoil(results, "good", fewer)
    assert "was tested on other clips" in _by_name(results)["good"]["reason"]


def test_entries_with_other_targets_are_not_compared(results: Path) -> None:
    def easier(result: dict[str, Any], path: Path) -> None:
        _rewrite(result, path, lambda table: table.with_columns(true_arousal=0.5 * pl.col("true_arousal")))
        table = pl.read_parquet(path.with_suffix(".predictions.parquet"))
        parts = [table.filter(pl.col("repeat") == repeat) for repeat in range(5)]
        for name in ("mean_distance", "kl_divergence"):
            result["scores"][name]["mean"] = np.mean([_score(part, name) for part in parts])

    _spoil(results, "good", easier)
    assert "was tested against other targets" in _by_name(results)["good"]["reason"]


def _score(table: pl.DataFrame, name: str) -> float:
    from emobench.benchmark.scoring.metrics import kl_divergences, mean_distances

    names = ["arousal", "valence", "arousal_var", "valence_var", "covariance"]
    true, predicted = table.select(f"true_{name}" for name in names).to_numpy(), table.select(names).to_numpy()
    return float({"mean_distance": mean_distances, "kl_divergence": kl_divergences}[name](true, predicted).mean())


def test_the_order_of_seconds_does_not_matter(ran: Path, results: Path) -> None:
    _spoil(
        results,
        "good",
        lambda result, path: _rewrite(result, path, lambda table: table.sample(fraction=1.0, shuffle=True)),
    )
    one, other = (_by_name(folder)["good"]["standing"] for folder in (ran, results))
    assert one.rank == other.rank
    assert one.behind == pytest.approx(other.behind, abs=1e-12)


def test_folds_are_ranked_separately(results: Path) -> None:
    _spoil(results, "good", lambda result, path: result["dataset"].update(folds_sha256="f" * 64))
    rows = _by_name(results)
    assert rows["good"]["standing"].rank == 1
    assert rows["alike"]["standing"].rank == 1
    assert sorted(ranking(ResultStore(results)).counts.values()) == [1, 4]


def test_tables_explain_ranks(ran: Path) -> None:
    tables = load(ran).tables
    for form in ("markdown", "latex", "rich"):
        text = rendered(tables, form)
        assert "1 plus the number of entries that are significantly better" in " ".join(text.split())
        assert "corrected for all 10 pairs of the 5 ranked entries" in " ".join(text.split())
        assert "Beats" in text
    records = {record["features"]: record for record in tables[0].records}
    assert [records["file:good.csv"][name] for name in ("rank", "worse_than", "better_than", "beats_constant")] == [
        *(1, 0, 3, True)
    ]
    assert "rank_tied" not in records["constant"]
    assert records["constant"]["beats_constant"] is records["oracle"]["beats_constant"] is None
    assert records["oracle"]["rank"] is None
    assert records["constant"]["kl_rank"] >= 1
    assert list(records["oracle"]) == list(records["constant"])
    order = [row[0] for row in tables[-1].rows]
    assert {"file:good.csv", "file:alike.csv"} == set(order[:2])
    assert set(order[-4:-1]) == {registry.title(name) for name in UNRANKED}
    assert order[-1] == "constant (training mean)"
