"""Origin of entries: groups, outside data, overlap with the corpus, the Pareto front, and what tables show of them."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import emobench as eb
import numpy as np
import polars as pl
import pytest
from emobench.benchmark.features.overlap import overlap
from emobench.benchmark.report.groups import pareto
from emobench.benchmark.report.leaderboard import load, rendered
from emobench.benchmark.report.provenance import Provenance, provenance
from emobench.benchmark.results.model import Result
from emobench.cards.scatter import Point, Scatter
from emobench.cli.main import app
from emobench.errors import InputError
from emobench.protocols import METADATA, features
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from .made import plain

TRACKS = ["TRAAAAW128F429D538", "TRAAABD128F429CF47", "TRAAADZ128F9348C2E"]


def _result(**changes: Any) -> Result:
    return Result.model_validate_json(json.dumps(plain(**changes)))


def _origin(**changes: Any) -> Provenance:
    return provenance(_result(**changes))


@pytest.mark.parametrize(
    ("entry", "group", "outside", "parameters"),
    [
        ({"features": "mfcc"}, "hand-crafted", False, 0),
        ({"features": "mfcc+chroma"}, "hand-crafted", False, 0),
        ({"features": "musicnn"}, "pretrained elsewhere", True, 792_079),
        ({"features": "mfcc+musicnn:tags"}, "pretrained elsewhere", True, 792_079),
        ({"features": "file:mine.csv"}, "other", None, None),
        ({"features": "file:mine.csv+mfcc"}, "other", None, None),
        ({"features": "file:mine.csv+musicnn"}, "pretrained elsewhere", True, None),
        ({"features": "rhythm", "layer": 0, "phase": "pre-trained"}, "learned here", None, None),
        ({"features": "my-model", "external": True}, "other", None, None),
        ({"features": "constant"}, "reference", False, None),
    ],
)
def test_groups(entry: dict[str, Any], group: str, outside: bool | None, parameters: int | None) -> None:
    found = _origin(**entry)
    assert (found.group, found.outside_data, found.parameters) == (group, outside, parameters)


@pytest.mark.parametrize(
    ("stated", "group", "outside"),
    [
        ({}, "other", None),
        ({"training_data": "none"}, "hand-crafted", False),
        ({"training_data": "AudioSet"}, "pretrained elsewhere", True),
        (
            {"training_data": "the training part of each fold", "outside_data": False, "group": "learned here"},
            None,
            False,
        ),
        # What a result from elsewhere states may be of any type.
        ({"training_data": "none", "group": 3, "outside_data": "no", "parameters": "many"}, "hand-crafted", False),
    ],
)
def test_what_a_feature_states_decides(stated: dict[str, Any], group: str | None, outside: bool | None) -> None:
    found = _origin(features="mine", feature_metadata={"mine": {"title": "Mine", **stated}})
    assert (found.group, found.outside_data) == (group or "learned here", outside)
    assert found.parameters is None


def test_networks_pretrained_on_the_corpus_are_not_outside_data() -> None:
    config = plain()["config"] | {"entry": ["rhythm", 1, "pre-trained"], "pretrained_on": "its own clips"}
    own = {"features": "rhythm", "layer": 1, "phase": "pre-trained"}
    assert _origin(**own, config=config | {"pretrained_clips": 5}).outside_data is False
    assert "5 of the 237 clips without their labels" in _origin(**own, config=config | {"pretrained_clips": 5}).overlap
    assert _origin(**own, config=config).outside_data is True


def test_results_state_the_origin_of_their_features(with_audio: Path, tmp_path: Path) -> None:
    found = eb.run(
        with_audio / "syn",
        ["mfcc", "rhythm"],
        out=tmp_path / "results",
        models=tmp_path / "models",
        layers=[6, 4],
        epochs=1,
        regressors="ridge",
    )
    by_name = {(result.features, result.layer, result.phase): result for result in found}
    standard: Any = by_name["mfcc", None, None].feature_metadata["mfcc"]
    needed = {"licence", "parameters", "training_data", "labels_used"}
    assert needed <= standard.keys() & METADATA.keys()
    for phase, labels in (("pre-trained", "none"), ("fine-tuned", "targets of the training part")):
        network: Any = by_name["rhythm", 1, phase].feature_metadata["rhythm"]
        # 4 beats of 20 coefficients, 6 and 4 units, and their biases.
        assert network["parameters"] == 80 * 6 + 6 + 6 * 4 + 4
        assert network["labels_used"] == labels
        assert network["outside_data"] is True
        assert "syn-pretrain" in network["training_data"]


def _corpus(ids: list[str], kind: str = "table", name: str = "mine") -> Any:
    clips = pl.DataFrame({"clip_id": [f"c{place}" for place in range(len(ids))], "song_id": ids})
    clips = clips.with_columns(excluded=pl.lit(None, pl.String))
    return SimpleNamespace(clips=clips, name=name, manifest=SimpleNamespace(source={"type": kind}))


def test_training_data_are_compared_with_the_corpus() -> None:
    msd: dict[str, Any] = {"collections": ["msd"]}
    by_tracks = _corpus(TRACKS)
    assert overlap(msd, None, by_tracks) == {"clips": None, "of": 3, "collections": ["msd"]}
    # A published list decides.
    assert overlap(msd, TRACKS[1:] + ["TRZZZZZ128F0000000"], by_tracks) == {"clips": 2, "of": 3, "collections": ["msd"]}
    assert overlap(msd, ["TRZZZZZ128F0000000"], by_tracks) is None
    # Ids of other music say nothing about a corpus that shares the collection.
    assert overlap({"collections": ["fma"]}, ["000002"], _corpus(["2", "3"], "emomusic")) == {
        "clips": None,
        "of": 2,
        "collections": ["fma"],
    }
    assert overlap(msd, None, _corpus(["a", "b"])) is None
    assert overlap({}, None, by_tracks) is None
    assert overlap({}, ["c1"], _corpus(["a", "b"])) == {"clips": 1, "of": 2, "collections": []}
    assert overlap({"collections": ["someone/deam", "deam"]}, None, _corpus(["2"], "deam"))
    assert overlap(msd, None, _corpus(["a"], "moodswings"))
    assert overlap(msd, None, _corpus(["a"], "of another package")) is None
    # Excluded clips are not counted.
    some = _corpus(TRACKS)
    some.clips = some.clips.with_columns(excluded=pl.Series([None, "missing", None], dtype=pl.String))
    assert overlap(msd, TRACKS, some) == {"clips": 2, "of": 2, "collections": ["msd"]}


def test_a_feature_that_knows_the_clips_is_marked(with_audio: Path, tmp_path: Path) -> None:
    def heard(samples: Any) -> Any:
        return np.arange(8) + 0.5, np.ones((8, 1)) * np.abs(samples).mean()

    heard.metadata = {"training_data": "a list", "parameters": 1}  # pyright: ignore[reportFunctionMemberAccess]
    heard.training_ids = {"s0001", "s0002", "elsewhere"}  # pyright: ignore[reportFunctionMemberAccess]
    found = eb.run(with_audio / "syn", [heard, "mfcc"], out=tmp_path / "results", regressors="ridge")
    board = eb.leaderboard(tmp_path / "results")
    shown = rendered(board.tables, "rich")
    assert "heard [ridge] [overlap]" in shown
    assert "MFCC [ridge] [overlap]" not in shown
    assert "overlap: trained on 2 of the 12 clips" in " ".join(shown.split())
    rows = {row["features"]: row for row in csv.DictReader(io.StringIO(rendered(board.tables, "csv")))}
    assert rows["heard"]["overlap"] == "trained on 2 of the 12 clips"
    assert rows["heard"]["group"] == "pretrained elsewhere"
    assert (rows["mfcc"]["outside_data"], rows["heard"]["outside_data"]) == ("False", "True")
    assert rows["mfcc"]["overlap"] == ""
    assert "elsewhere" not in found[0].path.read_text()
    page = board.page()
    assert "Best of each group" in page
    assert "Pareto front" in page
    filtered = eb.leaderboard(tmp_path / "results", outside_data=False)
    assert {row["features"] for row in filtered.table().to_dicts()} == {
        "mfcc",
        "constant",
        "oracle",
        "human",
        "ceiling",
    }
    assert not any(table.slug.endswith("groups") for table in filtered.tables)


def _write(folder: Path, *results: dict[str, Any]) -> Path:
    for number, result in enumerate(results):
        path = folder / "d@1.0.0" / f"row{number}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(result))
    return folder


def test_without_outside_data_on_the_command_line(tmp_path: Path) -> None:
    folder = _write(tmp_path / "both", plain(), plain(features="musicnn"), plain(features="file:x.csv"))
    command = ["leaderboard", "--results", str(folder), "--format", "csv"]
    kept = {
        option: {
            row["features"] for row in csv.DictReader(io.StringIO(CliRunner().invoke(app, [*command, option]).stdout))
        }
        for option in ("--outside-data", "--no-outside-data")
    }
    assert kept == {"--outside-data": {"mfcc", "musicnn", "file:x.csv"}, "--no-outside-data": {"mfcc"}}
    told = CliRunner().invoke(app, [*command, "--no-outside-data"]).stderr
    assert "left out: 2 entries with outside data" in told
    only = _write(tmp_path / "only", plain(features="musicnn"), plain(features="constant"))
    with pytest.raises(InputError, match="no entry states that it uses no outside data"):
        load(only, outside_data=False)


def _scored(cost: float | None, mean: float | None, number: int) -> Result:
    score = plain()["scores"]["mean_distance"] | {"mean": mean}
    changed = {"cost": plain()["cost"] | {"seconds_per_clip": cost}, "signature": f"{number:012x}"}
    return _result(**changed, scores=plain()["scores"] | {"mean_distance": score})


@given(st.lists(st.tuples(st.none() | st.integers(0, 4), st.none() | st.integers(1, 5)), max_size=9))
def test_the_pareto_front_is_what_nothing_dominates(pairs: list[tuple[int | None, int | None]]) -> None:
    results = [
        _scored(None if cost is None else cost / 10, None if mean is None else mean / 10, number)
        for number, (cost, mean) in enumerate(pairs)
    ]
    front = pareto(results)
    known = [pair for pair in pairs if None not in pair]
    expected = {
        pair
        for pair in known
        if not any(o != pair and o[0] <= pair[0] and o[1] <= pair[1] for o in known)  # type: ignore[operator]
    }
    assert {pairs[int(signature, 16)] for signature in front} == expected
    # Of equal entries, one stands for all.
    assert len(front) == len(expected)


def test_the_plot_places_points_by_cost_and_score() -> None:
    points = [
        Point(0.1, 0.14, "cheap", "hand-crafted", True),
        Point(1.0, 0.15, "poor", "hand-crafted", False),
        Point(10.0, 0.12, "best", "pretrained elsewhere", True),
        Point(0.0, 0.16, "free\x1b[31m", "other", False),
    ]
    lines = Scatter(points, "seconds per clip", "Mean distance").lines(80)
    assert max(map(len, lines)) <= 80
    grid = lines[1:12]
    place = {sign: next((row, line.index(sign)) for row, line in enumerate(grid) if sign in line) for sign in "ABo+"}
    # Better scores are lower, larger costs are further to the right; what costs nothing is at the left end.
    assert place["B"][0] > place["A"][0] > place["o"][0] > place["+"][0]
    assert place["A"][1] < place["o"][1] < place["B"][1]
    assert place["+"][1] == place["A"][1]
    # On a logarithmic axis, 1 is in the middle of 0.1 and 10.
    assert abs(place["o"][1] - (place["A"][1] + place["B"][1]) / 2) <= 1
    assert any(line.split() == ["A", "0.140", "0.1", "cheap"] for line in lines)
    assert not any("\x1b" in line for line in lines)
    alike = Scatter([Point(1.0, 0.1, "a", "g", True), Point(1.0, 0.1, "b", "g", False)], "s", "d").lines(40)
    assert max(map(len, alike)) <= 40


def test_registered_features_state_their_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "plugins", dict)
    for feature in features:
        if type(feature).__name__ in ("StandardFeature", "Musicnn"):
            assert {"licence", "parameters", "training_data", "labels_used"} <= feature.metadata.keys(), feature.name
