"""Comparison of two results: differences by hand, results that cannot be compared, and wrong names."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from emobench.benchmark.report.compare import compare as compare_results
from emobench.benchmark.results.store import ResultStore
from emobench.cards.tables import to_markdown
from emobench.cli.main import app
from emobench.errors import InputError
from emobench.protocols import metrics
from typer.testing import CliRunner


@pytest.fixture
def results(ran: Path, tmp_path: Path) -> Path:
    """A copy of the results that a test may change."""
    return Path(shutil.copytree(ran, tmp_path / "results"))


def find(name: str, folder: Path) -> Path:
    return ResultStore(folder).find(name).path


def compare(first: Path, second: Path) -> Any:
    store = ResultStore(first.parents[1])
    return compare_results(store.read(first), store.read(second), store)


def _change(path: Path, change: Any) -> None:
    result = json.loads(path.read_text())
    change(result)
    path.write_text(json.dumps(result))


def test_difference_interval_and_p(ran: Path) -> None:
    paths = [find(name, ran) for name in ("file:good", "file:noise")]
    found = compare(*paths)
    assert found.reason is None
    tables = [pl.read_parquet(path.with_suffix(".predictions.parquet")) for path in paths]
    scores = []
    for table in tables:
        error = (
            (pl.col("arousal") - pl.col("true_arousal")) ** 2 + (pl.col("valence") - pl.col("true_valence")) ** 2
        ).sqrt()
        scores.append(table.group_by("repeat").agg(error.mean().alias("d"))["d"].mean())
    distance = found.scores["mean_distance"]
    assert distance.difference == pytest.approx(scores[1] - scores[0], abs=1e-12)
    low, high = distance.ci95
    assert 0 < low < distance.difference < high
    assert distance.p == pytest.approx(1 / 10_000)
    assert list(found.scores) == metrics.names()
    for name, score in found.scores.items():
        assert (score.p is None) == (name not in ("mean_distance", "kl_divergence"))
        if score.first.mean is None:
            # Predictions that are constant within a clip have no correlation there.
            assert name.startswith("pearson")
            assert (score.difference, score.ci95) == (None, None)
            continue
        low, high = score.ci95
        assert low <= score.difference <= high, name


def test_the_order_of_the_results_only_changes_signs(ran: Path) -> None:
    paths = [find(name, ran) for name in ("good", "alike")]
    one, other = compare(*paths), compare(*reversed(paths))
    for name in (name for name in metrics.names() if one.scores[name].difference is not None):
        assert other.scores[name].difference == -one.scores[name].difference
        assert other.scores[name].ci95 == pytest.approx(tuple(-edge for edge in reversed(one.scores[name].ci95)))
        assert other.scores[name].p == one.scores[name].p
    assert [each.key for each in one.differences] == [each.key for each in other.differences]


def test_a_result_and_itself_do_not_differ(ran: Path) -> None:
    path = find("good", ran)
    found = compare(path, path)
    assert found.differences == []
    for score in found.scores.values():
        assert score.difference in (0, None)
        assert score.ci95 in ((0, 0), None)
        assert score.p in (None, 1.0)
    assert found.scores["ccc_arousal"].ci95 == (0, 0)


def test_every_difference_is_listed(ran: Path, results: Path) -> None:
    one, other = find("good", ran), find("good", results)

    def change(result: dict[str, Any]) -> None:
        result["environment"]["numpy"] = "9.9.9"
        del result["environment"]["scipy"]
        result["config"]["run"]["bootstrap_seed"] = 1
        result["config"]["run"]["phases"].append("random")
        result["excluded"]["c099"] = "silent"
        result["cost"]["train_seconds"] = 1e9
        result["created"] = "2030-01-01T00:00:00+00:00"

    _change(other, change)
    before = json.loads(one.read_text())
    found = {(each.what, each.key): (each.first, each.second) for each in compare(one, other).differences}
    assert found == {
        ("versions", "environment.numpy"): (before["environment"]["numpy"], "9.9.9"),
        ("versions", "environment.scipy"): (before["environment"]["scipy"], "nothing"),
        ("configuration", "config.run.bootstrap_seed"): (before["config"]["run"]["bootstrap_seed"], 1),
        ("configuration", "config.run.phases.2"): ("nothing", "random"),
        ("data", "excluded.c099"): ("nothing", "silent"),
    }


APART: dict[str, tuple[Any, str]] = {
    "folds": (
        lambda result: result["dataset"].update(folds_sha256="f" * 64),
        "of different datasets or folds, tiny@1.0.0",
    ),
    "dataset": (lambda result: result["dataset"].update(name="other"), "tiny@1.0.0 and other@1.0.0"),
    "scores": (
        lambda result: result["scores"]["mean_distance"].update(mean=0.01),
        "its predictions give a mean_distance of",
    ),
    "another score": (
        lambda result: result["scores"]["ccc_arousal"].update(mean=0.9),
        "scores.ccc_arousal: was changed after it was written",
    ),
    "albums": (lambda result: result["albums"].update(c000=3), "tested on different clips, seconds or albums"),
    "predictions": (
        lambda result: result["files"].update(predictions="0" * 64),
        "has another SHA-256 than the result records",
    ),
}


@pytest.mark.parametrize("what", list(APART))
def test_scores_that_cannot_be_compared(ran: Path, results: Path, what: str) -> None:
    change, reason = APART[what]
    one, other = find("good", ran), find("noise", results)
    _change(other, change)
    found = compare(one, other)
    assert found.reason is not None
    assert reason in found.reason
    for score in found.scores.values():
        assert (score.difference, score.ci95, score.p) == (None, None, None)
    assert found.scores["mean_distance"].first.mean > 0
    # The other differences are still listed.
    assert any(each.key == "features" for each in found.differences)
    ran_command = CliRunner().invoke(app, ["compare", str(one), str(other)])
    assert ran_command.exit_code == 1
    assert "features: file:good.csv | file:noise.csv" in ran_command.stdout
    assert ran_command.stderr.startswith("emobench: these scores cannot be compared: ")
    assert len(ran_command.stderr.splitlines()) == 1
    as_json = CliRunner().invoke(app, ["compare", str(one), str(other), "--json"])
    assert as_json.exit_code == 1
    loaded = json.loads(as_json.stdout)
    assert (loaded["comparable"], loaded["reason"]) == (False, found.reason)


def test_command(ran: Path) -> None:
    shown = CliRunner().invoke(app, ["compare", "good", "noise", "--results", str(ran)])
    assert shown.exit_code == 0, shown.output
    lines = [line.split() for line in shown.stdout.splitlines()]
    found = compare(find("good", ran), find("noise", ran))
    distance = found.scores["mean_distance"]
    row = next(line for line in lines if line[:1] == ["mean_distance"])
    assert f"{distance.difference:+.3f}" in row
    assert row[-1] == "0.0001"
    assert "data: the same" in shown.stdout
    loaded = json.loads(CliRunner().invoke(app, ["compare", "good", "noise", "--results", str(ran), "--json"]).stdout)
    assert loaded["scores"]["mean_distance"] == distance.record()
    assert loaded["first"]["features"] == "file:good.csv"
    assert "| mean\\_distance |" in to_markdown(found.table())


def test_named_by_signature_or_file(ran: Path) -> None:
    path = find("noise", ran)
    signature = path.stem.rpartition("-")[2]
    for named in (signature, signature[:7], path.stem, str(path)):
        assert find(named, ran) == path


def test_wrong_names(ran: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing: no such result in .*; 'emobench list results' shows"):
        find("nothing", ran)
    with pytest.raises(InputError, match=r"a: matches \d+ results in .*\. Give more of the name\."):
        shutil.copytree(ran, tmp_path / "two")
        for path in (tmp_path / "two").rglob("*-*.json"):
            path.rename(path.with_name(f"a{path.name}"))
        find("a", tmp_path / "two")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not a readable result"),
        ('{"schema": 1}', "was written by an older emobench"),
        ("[]", "expected a JSON object"),
    ],
)
def test_a_file_that_is_not_a_result(ran: Path, tmp_path: Path, content: str, message: str) -> None:
    wrong = tmp_path / "wrong.json"
    wrong.write_text(content)
    with pytest.raises(InputError, match=message):
        compare(find("good", ran), wrong)
    shown = CliRunner().invoke(app, ["compare", "good", str(wrong), "--results", str(ran)])
    assert shown.exit_code == 2
    assert len(shown.stderr.splitlines()) == 1


def test_an_older_schema_is_refused(ran: Path, results: Path) -> None:
    other = find("good", results)
    _change(other, lambda result: result.update(schema=1))
    with pytest.raises(InputError, match=r"older emobench \(schema 1\)\. Run the same"):
        compare(find("good", ran), other)


def test_paired_interval_is_narrower_than_those_of_the_scores(ran: Path) -> None:
    found = compare(find("noise", ran), find("again", ran))
    distance = found.scores["mean_distance"]
    assert np.allclose([distance.difference, *distance.ci95], 0, atol=1e-12)
    assert distance.p == 1.0
    assert np.ptp(distance.first.ci95) > 0.01


def test_an_exact_name_wins_over_a_beginning(ran: Path, results: Path) -> None:
    paths = {name: find(f"file:{name}.csv", results) for name in ("good", "alike", "noise", "again")}

    def named(features: str, signature: str, **changes: Any) -> Any:
        return lambda result: result.update(features=features, signature=signature * 12, **changes)

    _change(paths["good"], named("mfcc", "a"))
    _change(paths["alike"], named("mfcc+rhythm", "b", layer=0, phase="fine-tuned"))
    _change(paths["noise"], named("mfcc", "c", regressor="ridge"))
    _change(paths["again"], named("mfcc+rhythm", "d", layer=1, phase="fine-tuned"))
    for name, expected in {
        "mfcc": "good",
        "mfcc|mlr": "good",
        "mfcc|ridge": "noise",
        "mfcc+rhythm/0/fine-tuned": "alike",
        "mfcc+rhythm/1": "again",
        "dddd": "again",
    }.items():
        assert find(name, results) == paths[expected], name
    message = r"mfcc\+: matches 2 results in .*: mfcc\+rhythm/1/fine-tuned, mfcc\+rhythm/0/fine-tuned\. Give more"
    with pytest.raises(InputError, match=message):
        find("mfcc+", results)
    shown = CliRunner().invoke(app, ["compare", "mfcc", "mfcc|ridge", "--results", str(results)])
    assert shown.stdout.startswith("A and B on tiny@1.0.0")
    # A name without its regressor wins over a beginning too, and is ambiguous where regressors differ.
    _change(paths["good"], named("rhythm", "a", regressor="ridge"))
    _change(paths["noise"], named("rhythm", "c", regressor="gaussian"))
    with pytest.raises(InputError, match=r"rhythm: matches 2 results in "):
        find("rhythm", results)
    _change(paths["noise"], named("rhythm+pitch", "c", regressor="ridge"))
    assert find("rhythm", results) == paths["good"]
    _change(paths["good"], named("mfcc", "a", regressor="mlr"))
    # The same name on two datasets is ambiguous; the name of the folder helps.
    _change(paths["alike"], named("mfcc", "b", layer=None, phase=None))
    _change(paths["alike"], lambda result: result["dataset"].update(version="2.0.0"))
    with pytest.raises(InputError, match=r"mfcc: matches 2 results in .*: tiny@1\.0\.0/alike-.*, tiny@1\.0\.0/good-"):
        find("mfcc", results)
    assert find("tiny@1.0.0/alike", results) == paths["alike"]
