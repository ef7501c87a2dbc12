"""The tables of the paper beside computed ones."""

from __future__ import annotations

import csv
import io
import json
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from emobench.benchmark import reproduction, runs
from emobench.benchmark.features.network_config import NetworkConfig
from emobench.benchmark.results.model import MetricScore
from emobench.builders import labelled_dataset as labelled
from emobench.builders.labelled_dataset import LabelledConfig
from emobench.cards.tables import Table, to_csv
from emobench.cli.main import app
from emobench.dbn.config import FinetuningConfig, PretrainingConfig
from emobench.errors import InputError
from typer.testing import CliRunner

NETWORKS = NetworkConfig(
    pretraining=PretrainingConfig(layers=(8, 6, 4), epochs=(1,), rate=1e-4),
    finetuning=FinetuningConfig(epochs=2, patience=1),
)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reproduction")


@pytest.fixture(scope="module")
def made(with_audio: Path, work: Path, pool: Executor) -> dict[str, Table]:
    places = runs.Places(
        dataset=with_audio / "syn",
        out=work / "results",
        models=work / "models",
        pretrain_data=with_audio / "syn-pretrain",
    )
    return {
        name: reproduction.reproduce(name, places, NETWORKS, device="cpu", pool=pool) for name in reproduction.TABLES
    }


def test_the_papers_numbers() -> None:
    # Copied from Tables 1 to 3 of the paper.
    paper = reproduction.paper()
    assert [(row.dims, row.examples) for row in paper.table1] == [
        (80, 4_645_595),
        (192, 4_645_526),
        (384, 4_495_526),
    ]
    assert {row.features: row.mean_distance for row in paper.table2} == {
        "mfcc": (0.140, 0.004),
        "chroma": (0.182, 0.005),
        "spectral_shape": (0.153, 0.005),
        "spectral_contrast": (0.139, 0.005),
        "ent": (0.151, 0.005),
    }
    assert len(paper.table3) == 5 * 3 * 2
    best = min(paper.table3, key=lambda row: (row.mean_distance or (1.0, 0.0))[0])
    assert (best.features, best.layer, best.phase) == ("rhythm+pitch2d", 2, "fine-tuned")
    assert best.mean_distance == (0.113, 0.022)


def test_examples_are_counted_from_the_beats(made: dict[str, Table], with_audio: Path) -> None:
    table = made["table1"]
    assert table.title == "Table 1 of the paper beside syn-pretrain@1.0.0 (synthetic)"
    beats = pl.read_parquet(with_audio / "syn-pretrain" / "clips" / "*.parquet").filter("kept")["n_beats"]
    assert len(beats) == 4
    counts = {"rhythm": (beats - 3).sum(), "pitch": (beats - 3).sum(), "pitch2d": (beats - 6).sum()}
    for record, dims in zip(table.records, (80, 192, 384), strict=True):
        assert (record["dims"], record["dims_paper"]) == (dims, dims)
        assert record["examples"] == counts[record["domain"]]
        assert record["examples_difference"] == record["examples"] - record["examples_paper"]
    assert table.rows[0][:5] == ("Rhythm", "80", "80", f"{counts['rhythm']:,}", "4,645,595")
    assert table.rows[0][5:] == (f"{counts['rhythm'] / 4:.1f}", "92.9")


def test_examples_of_a_labelled_dataset(with_audio: Path, tmp_path: Path, pool: Executor) -> None:
    places = runs.Places(dataset=with_audio / "syn", out=tmp_path, models=tmp_path)
    table = reproduction.reproduce("table1", places, NETWORKS, device="cpu", pool=pool)
    clips = pl.read_parquet(with_audio / "syn" / "clips" / "*.parquet").filter(pl.col("excluded").is_null())
    assert table.records[0]["examples"] == (clips["n_beats"] - 3).clip(0).sum()
    assert table.records[2]["examples"] == (clips["n_beats"] - 6).clip(0).sum()
    assert table.records[0]["clips"] == len(clips)


@pytest.mark.parametrize("name", ["table2", "table3"])
def test_every_number_is_beside_that_of_the_paper(made: dict[str, Table], work: Path, name: str) -> None:
    table, rows = made[name], getattr(reproduction.paper(), name)
    results = [json.loads(path.read_text()) for path in (work / "results").glob("*/*.json")]
    scores = {(each["features"], each["layer"], each["phase"]): each["scores"] for each in results}
    assert "syn@1.0.0 (synthetic)" in table.title
    assert len(table.rows) == len(table.records) == len(rows) + 4
    assert [record["features"] for record in table.records[-4:]] == ["constant", "oracle", "human", "ceiling"]
    for row, record, cells in zip(rows, table.records, table.rows, strict=False):
        own = scores.get((row.features, row.layer, row.phase))
        if row.features == "ent":
            assert own is None
            assert record["mean_distance"] is None and record["signature"] is None
            assert any("Echo Nest timbre" in note for note in table.notes)
            continue
        assert own is not None
        for place, metric in ((0, "mean_distance"), (4, "kl_divergence")):
            score, (paper, spread) = own[metric], getattr(row, metric)
            outside = paper < score["ci95"][0] or paper > score["ci95"][1]
            assert record[metric] == score["mean"]
            assert record[f"{metric}_difference"] == pytest.approx(score["mean"] - paper, abs=1e-15)
            assert record[f"{metric}_paper_outside"] == outside
            shown = cells[table.text_columns + place :]
            assert shown[0] == f"{score['mean']:.3f} ± {score['std']:.3f}"
            assert shown[2] == f"{paper:.3f} ± {spread:.3f}" + ("*" if outside else "")
            assert float(shown[3].replace("−", "-")) == pytest.approx(score["mean"] - paper, abs=5.1e-4)
    exported = list(csv.DictReader(io.StringIO(to_csv([table]))))
    assert [float(row["mean_distance"] or "nan") for row in exported[:1]] == [table.records[0]["mean_distance"]]


def test_a_published_number_at_the_limit_is_within() -> None:
    score = MetricScore(mean=0.15, std=0.01, per_repeat=(), ci95=(0.14, 0.16))
    inside = reproduction.compared(score, (0.14, 0.004))
    assert inside["_paper_outside"] is False
    assert inside["_difference"] == pytest.approx(0.01)
    assert reproduction.compared(score, (0.1399, 0.004))["_paper_outside"] is True
    undefined = MetricScore(mean=None, std=None, per_repeat=(), ci95=None)
    assert reproduction.compared(undefined, (0.14, 0.004))["_paper_outside"] is None


def test_command(
    made: dict[str, Table], with_audio: Path, work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["--dataset", str(with_audio / "syn"), "--out", str(work / "results"), "--models", str(work / "models")]
    ran = CliRunner().invoke(app, ["reproduce", "table2", *arguments, "--json"])
    assert ran.exit_code == 0, ran.output
    (shown,) = json.loads(ran.stdout)
    assert [row["features"] for row in shown["rows"]][:2] == ["mfcc", "chroma"]
    ran = CliRunner().invoke(app, ["reproduce", "table1", *arguments, "--format", "markdown"])
    assert ran.exit_code == 0, ran.output
    assert "| Rhythm | 80 | 80 |" in ran.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["table4"], "reproduce table4: nothing of this name to reproduce; expected table1, table2, table3, emomusic,"),
        (["table2", "--features", "mfcc"], "--features: the features of table2 are those of the paper"),
        (["table2", "--format", "xml"], "--format xml: expected rich, markdown"),
        (["table1", "--pretrain-data", "nowhere"], "nowhere: no dataset there"),
        (["table3", "--dataset", "nowhere"], "nowhere: no dataset there"),
        (["table3", "--device", "abacus"], "--device abacus: expected cpu, cuda or auto"),
    ],
)
def test_wrong_use(
    arguments: list[str], message: str, with_audio: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EMOBENCH_DATA", str(with_audio))
    if "--dataset" not in arguments:
        arguments = [*arguments, "--dataset", str(with_audio / "syn")]
    ran = CliRunner().invoke(app, ["reproduce", *arguments])
    assert ran.exit_code == 2, ran.output
    assert message in ran.stderr
    assert not list(tmp_path.iterdir())


def test_labels_alone_have_no_standard_features(make_corpus: Any, tmp_path: Path, pool: Executor) -> None:
    labelled.build(
        make_corpus([1] * 12), tmp_path / "tiny", name="tiny", version="1.0.0", config=LabelledConfig(), pool=pool
    )
    places = runs.Places(dataset=tmp_path / "tiny", out=tmp_path / "results", models=tmp_path / "models")
    for name in reproduction.TABLES:
        with pytest.raises(InputError, match=r"was built without audio|has no audio on this machine"):
            reproduction.reproduce(name, places, NETWORKS, device="cpu", pool=pool)
