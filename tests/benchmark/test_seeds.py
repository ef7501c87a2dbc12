"""Results of several seeds as one entry: scores, intervals, tables, comparison and names."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from emobench.api.results import leaderboard
from emobench.api.results import verify as verify_entry
from emobench.api.running import run
from emobench.benchmark import runs
from emobench.benchmark.report.compare import compare
from emobench.benchmark.results.seeds import SeedGroup, entries_of
from emobench.benchmark.results.store import ResultStore
from emobench.benchmark.run_results import Results
from emobench.benchmark.scoring.scores import score_repeats
from emobench.cli.main import app
from emobench.errors import InputError
from typer.testing import CliRunner

from .encoders import SMALL, build, of_seed


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory, pool: Executor) -> Path:
    return build(tmp_path_factory.mktemp("seeds") / "tiny", pool)


@pytest.fixture(scope="module")
def three(dataset: Path, pool: Executor) -> Any:
    """Encoder and control of three seeds beside one standard feature."""
    places = runs.Places(dataset=dataset, out=dataset.parent / "three", models=dataset.parent / "models")
    config = runs.RunConfig(phases=("pre-trained",), regressors=("ridge",))
    settings = [replace(SMALL, **of_seed(seed)) for seed in (2, 0, 1)]
    return Results(runs.run_seeds(["contrastive", "chroma"], places, config, settings, device="cpu", pool=pool))


def test_seeds_are_files_of_their_own_and_one_entry(three: Any, dataset: Path) -> None:
    assert three.outcome.computed == len(three.outcome.paths) == 11
    names = [f"contrastive/0/{phase}|ridge" for phase in ("pre-trained", "random")]
    assert [each.name for each in three if not each.reference] == [*names, "chroma|ridge"]
    group = three[names[0]]
    assert type(group).__name__ == SeedGroup.__name__
    assert group.seeds == (0, 1, 2)
    paths = {member.path for member in group.members}
    assert paths < set(three.outcome.paths)
    means = [member.scores["mean_distance"].mean for member in group.members]
    score = group.scores["mean_distance"]
    assert score.mean == pytest.approx(np.mean(means), abs=1e-12)
    assert score.spread == (min(means), max(means))
    repeats = np.mean([member.scores["mean_distance"].per_repeat for member in group.members], axis=0)
    assert score.per_repeat == pytest.approx(repeats)
    assert score.std == pytest.approx(np.std(repeats, ddof=1))
    assert group.predictions.columns[:2] == ["seed", "repeat"]
    assert group.predictions["seed"].unique().sort().to_list() == [0, 1, 2]
    checked: Any = verify_entry(group, datasets=[dataset], models=dataset.parent / "models")
    assert [report.path for report in checked.reports] == [member.path for member in group.members]
    assert checked.ok


def test_equal_seeds_give_the_interval_of_one(three: Any) -> None:
    store = three.outcome.store
    member = three["contrastive/0/random|ridge"].members[0]
    group = SeedGroup.of([member, member], store.predictions)
    for name, score in score_repeats(store.predictions(member).by_repeat(), seed=0).items():
        assert group.scores[name].ci95 == pytest.approx(score.ci95), name
    np.testing.assert_allclose(
        store.predictions(group).scores()["mean_distance"], store.predictions(member).scores()["mean_distance"]
    )


def test_tables_page_csv_and_comparison_agree(three: Any) -> None:
    group, control, _ = (each for each in three if not each.reference)
    board = leaderboard(three.outcome.store.folder)
    record = board.table().filter(pl.col("features") == "contrastive", pl.col("phase") == "pre-trained").to_dicts()[0]
    means = [member.scores["mean_distance"].mean for member in group.members]
    assert record["mean_distance"] == group.scores["mean_distance"].mean
    assert (record["mean_distance_lowest_seed"], record["mean_distance_highest_seed"]) == (min(means), max(means))
    assert (record["seeds"], record["signature"]) == ("0,1,2", group.signature)
    assert record["seed_signatures"].split(",") == [member.signature for member in group.members]
    assert board.ranking.standings["mean_distance"][group.signature].rank == record["rank"]
    counted = [each for each in three if each.features not in ("oracle", "human", "ceiling")]
    assert next(iter(board.ranking.counts.values())) == len(counted) == 4
    cell = f"{np.mean(means):.3f} ± {group.scores['mean_distance'].std:.3f} ({min(means):.3f}–{max(means):.3f})"
    (networks_table,) = [table for table in board.tables if table.title.startswith("Emotion regression from learned")]
    assert networks_table.rows[0][1] == "Contrastive [ridge] [3 seeds]"
    assert cell in networks_table.rows[0]
    assert any("Contrastive, layer 0, pre-trained [ridge] [3 seeds]" in row for row in board.tables[2].rows)
    page = board.page()
    assert group.signature in page
    assert page.count(f'<br><span class="sd">({min(means):.3f}–{max(means):.3f})</span>') == 1
    (table,) = three.controls()
    (row,) = table.rows
    assert row[3] == cell
    apart = [
        member.scores["mean_distance"].mean - other.scores["mean_distance"].mean
        for member, other in zip(group.members, control.members, strict=True)
    ]
    first, *_, last = row[5].replace("\N{MINUS SIGN}", "-").replace("(", "").replace(")", "").split(" ")
    assert float(first) == pytest.approx(np.mean(apart), abs=6e-4)
    assert float(last) == pytest.approx(max(apart), abs=6e-4)
    found: Any = compare(
        three.outcome.store.find(control.name), three.outcome.store.find(group.name), three.outcome.store
    )
    pair = found.scores["mean_distance"]
    assert pair.difference == pytest.approx(np.mean(apart))
    assert float(row[7]) == pytest.approx(pair.p, abs=1e-4)
    low, high = (float(part.replace("\N{MINUS SIGN}", "-")) for part in row[6].split(" to "))
    assert (low, high) == pytest.approx(pair.ci95, abs=6e-4)
    assert found.record()["first"]["seeds"] == [0, 1, 2]


def test_seeds_on_the_command_line_and_in_python(dataset: Path, tmp_path: Path) -> None:
    places = ["--dataset", str(dataset), "--out", str(tmp_path / "results"), "--models", str(tmp_path / "models")]
    arguments = ["run", *places, "--features", "contrastive", "--updates", "3", "--seeds", "0,7", "--workers", "1"]
    ran = CliRunner().invoke(app, [*arguments, "--json"])
    assert ran.exit_code == 0, ran.stderr
    shown = json.loads(ran.stdout)
    assert [each["phase"] for each in shown["results"] if each["layer"] is not None] == ["pre-trained", "random"] * 2
    trained, control = shown["seed_groups"]
    assert (trained["name"], trained["seeds"]) == ("contrastive/0/pre-trained", [0, 7])
    own = {each["signature"]: each["scores"]["mean_distance"]["mean"] for each in shown["results"]}
    means = [own[signature] for signature in control["signatures"]]
    assert control["scores"]["mean_distance"]["spread"] == [min(means), max(means)]
    results = run(
        dataset, "contrastive", updates=3, seeds=[0, 7], out=tmp_path / "results", models=tmp_path / "models", workers=1
    )
    assert results.outcome.computed == 0
    assert results["contrastive/0/random"].scores["mean_distance"].mean == control["scores"]["mean_distance"]["mean"]
    wrong = CliRunner().invoke(app, [*arguments[:-4], "--seeds", "0,x"])
    assert wrong.exit_code == 2
    assert "--seeds 0,x: expected whole numbers joined by commas." in wrong.stderr


def test_results_are_found_by_signature_and_entries_by_name(three: Any) -> None:
    store = ResultStore(three.outcome.store.folder)
    group = three["contrastive/0/pre-trained|ridge"]
    assert store.find("contrastive/0/pre-trained|ridge").signature == group.signature
    assert store.find("contrastive-layer0-pre").signature == group.signature
    for member in group.members:
        assert store.find(member.signature).path == member.path
        assert store.find(member.path.stem).path == member.path


def test_only_other_seeds_of_the_same_settings_are_one_entry(three: Any) -> None:
    store = three.outcome.store
    one, two, _ = three["contrastive/0/pre-trained|ridge"].members

    def entries(**changes: Any) -> list[int]:
        other = two.model_copy(update={"config": two.config.model_copy(update=changes)})
        return [len(entry.members) for entry in entries_of([one, other], store.predictions)]

    networks_of = dict(two.config.networks)
    assert entries() == [2]
    assert entries(networks=networks_of | {"contrastive": networks_of["contrastive"] | {"steps": 30}}) == [1, 1]
    assert entries(networks=networks_of | {"own_statistics": True}) == [1, 1]
    assert entries(residual_covariance=not two.config.residual_covariance) == [1, 1]
    assert entries(pretrained_on="other music") == [1, 1]
    assert entries(networks=one.config.networks) == [1, 1]  # the same seed
    assert entries(networks=None) == [1, 1]
    assert entries(networks={"contrastive": "none"}) == [1, 1]


def test_a_seed_without_predictions_leaves_the_entry_without_intervals(three: Any, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(three.outcome.store.folder, tmp_path / "results"))
    group = three["contrastive/0/pre-trained|ridge"]
    (folder / group.members[1].path.relative_to(three.outcome.store.folder)).with_suffix(
        ".predictions.parquet"
    ).write_bytes(b"nothing")
    board = leaderboard(folder)
    (entry,) = [each for each in board.store.entries if each.name == group.name]
    assert len(entry.members) == 3
    assert entry.scores["mean_distance"].ci95 is None
    assert entry.scores["mean_distance"].mean == pytest.approx(group.scores["mean_distance"].mean)
    assert "cannot be used" in board.ranking.unranked[entry.signature]


# Wrong input


def test_wrong_seeds(dataset: Path, pool: Executor, tmp_path: Path) -> None:
    places = runs.Places(dataset=dataset, out=tmp_path, models=tmp_path)

    def try_seeds(spec: str, *seeds: int) -> None:
        settings = [replace(SMALL, **of_seed(seed)) for seed in seeds]
        runs.run_seeds([spec], places, runs.RunConfig(), settings, device="cpu", pool=pool)

    with pytest.raises(InputError, match=r"^`seeds` 1,2,1: expected different seeds, such as 0,1,2\.$"):
        try_seeds("contrastive", 1, 2, 1)
    with pytest.raises(
        InputError, match=r"^`seeds`: only networks, such as contrastive, have seeds; `features` names none of them"
    ):
        try_seeds("chroma", 1, 2)
    with pytest.raises(InputError, match=r"^`seeds` : expected different seeds"):
        try_seeds("contrastive")
