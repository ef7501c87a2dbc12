"""Data of the page: numbers of results and predictions, packed small, and files that are not results."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from emobench.benchmark.report.leaderboard import load, rendered
from emobench.benchmark.report.page import clip_names, make_page
from emobench.benchmark.report.page_clips import (
    MEAN,
    SPREAD,
    Limits,
    Pool,
    chosen,
    ellipses,
    packed,
    panel_of,
    unpacked,
)
from emobench.benchmark.results.model import Result
from emobench.benchmark.results.store import ResultStore
from emobench.benchmark.scoring.gaussians import covariances
from emobench.cards.page import Page
from emobench.cards.page_panels import Panel
from emobench.errors import InputError
from emobench.protocols import Feature, features
from hypothesis import given, settings
from hypothesis import strategies as st

GetRow = Callable[[str], Path]
HOW = ("better", "worse")


def _read(path: Path) -> Result:
    return ResultStore(path.parents[1]).read(path)


def _page(results: Path, data: Path) -> Page:
    made = load(results)
    return make_page(made.store, made.ranking, made.tables, data=data)


@given(st.lists(st.floats(-3, 3), max_size=20), st.sampled_from([MEAN, SPREAD]))
def test_packed_numbers_are_right_to_half_a_unit(values: list[float], unit: float) -> None:
    found = unpacked(packed(values, unit), unit)
    assert np.abs(found - values).max(initial=0.0) <= unit / 2 + 1e-12


def test_packed_numbers_that_are_too_large_stay_at_the_end() -> None:
    assert unpacked(packed([-1e9, 1e9], MEAN), MEAN).tolist() == [-32.767, 32.767]


def test_an_ellipse_holds_its_covariance() -> None:
    generator = np.random.default_rng(0)
    roots = generator.normal(0, 0.3, (50, 2, 2))
    expected = roots @ roots.transpose(0, 2, 1) + 1e-3 * np.eye(2)
    rows = np.column_stack([np.zeros((50, 2)), expected[:, 0, 0], expected[:, 1, 1], expected[:, 0, 1]])
    deviation_a, deviation_v, correlation = unpacked(packed(ellipses(rows), SPREAD), SPREAD).reshape(-1, 3).T
    found = np.column_stack(
        [np.zeros((50, 2)), deviation_a**2, deviation_v**2, correlation * deviation_a * deviation_v]
    )
    assert np.allclose(covariances(found), expected, atol=3e-4)


@given(st.integers(1, 60), st.integers(2, 12))
def test_chosen_clips(clips: int, most: int) -> None:
    best, between, worst = chosen(clips, most)
    together = [*best, *between, *worst]
    assert together == sorted(set(together))
    assert len(together) == min(clips, most)
    assert set(together) <= set(range(clips))
    assert best == list(range(len(best)))
    assert worst == list(range(clips - len(worst), clips))
    assert len(best) == len(worst) <= 5


@settings(max_examples=30)
@given(st.integers(1, 3000), st.integers(1, 2000))
def test_limits_keep_a_page_small(entries: int, seconds: int) -> None:
    limits = Limits.of(entries, seconds)
    assert 2 <= limits.clips <= 12
    if entries <= 500:
        assert entries * limits.clips * min(seconds, 120) <= 150_000
        assert entries * limits.points <= 200_000


def test_entries_have_the_numbers_of_the_records(ran: Path, tmp_path: Path) -> None:
    page = _page(ran, tmp_path)
    (section,) = page.sections
    (records,) = (each["rows"] for each in json.loads(page.json))
    by_signature = {record["signature"]: record for record in records}
    assert {entry.signature for entry in section.entries} == set(by_signature)
    for entry in section.entries:
        record = by_signature[entry.signature]
        for name, score in (("mean_distance", entry.distance), ("kl_divergence", entry.divergence)):
            assert score.mean == record[name]
            assert (score.std, score.low, score.high) == tuple(
                record[f"{name}_{part}"] for part in ("std", "low", "high")
            )
        assert entry.ranks == (record["rank"], record["kl_rank"])
        assert entry.differs == (None if entry.ranks[0] is None else (record["better_than"], record["worse_than"]))
        counts = [record["better_than"] or 0, record["worse_than"] or 0]
        said = [
            sum(map(int, re.findall(f"{how} than (\\d+)", entry.facts.get("Rank by mean distance", "")))) for how in HOW
        ]
        assert said == counts
        assert entry.reference == (record["features"] in ("constant", "oracle", "human", "ceiling"))
        assert (entry.dims, entry.clips) == (record["dims"], record["n_clips"])
    assert [entry.beats_constant for entry in section.entries].count("yes") == 2
    assert any(note.startswith("No rank for oracle") for note in section.notes)
    assert "Regressor: mlr (multiple linear regression)." in section.notes
    assert not any("1 plus the number" in note for note in section.notes)
    means = [entry.distance.mean for entry in section.entries]
    assert means == sorted(means, key=lambda mean: (mean is None, mean))
    assert page.csv == rendered(load(ran).tables, "csv")
    assert section.baseline == next(
        (entry.distance.mean, entry.divergence.mean) for entry in section.entries if entry.label.startswith("constant")
    )


def test_references_are_the_features_that_say_so(row: GetRow) -> None:
    result = _read(row("mine"))

    def reference(name: str) -> bool:
        return result.model_copy(update={"features": name}).reference

    assert [
        name for name in ("constant", "oracle", "human", "ceiling", "mfcc", "mfcc+constant") if reference(name)
    ] == [
        "constant",
        "oracle",
        "human",
        "ceiling",
    ]
    feature = Feature()
    feature.name, feature.reference = "chance", True  # pyright: ignore[reportAttributeAccessIssue]
    features.register(feature)
    try:
        assert reference("chance")
    finally:
        features.unregister("chance")
    assert not reference("chance")


def _distances(table: pl.DataFrame) -> pl.DataFrame:
    """Predictions with the distance of each second."""
    apart = [(pl.col(axis) - pl.col(f"true_{axis}")) ** 2 for axis in ("arousal", "valence")]
    return table.with_columns(distance=(apart[0] + apart[1]).sqrt())


def test_panels_have_the_numbers_of_the_predictions(results: Path, row: GetRow, tmp_path: Path) -> None:
    result = json.loads(row("mine").read_text())
    data = _page(results, tmp_path).sections[0].panels
    found = data.entries[result["signature"]]
    assert isinstance(found, Panel)
    table = _distances(pl.read_parquet(row("mine").with_suffix(".predictions.parquet")))
    first = table.filter(pl.col("repeat") == pl.col("repeat").min().over("clip_id"))
    means = ("arousal", "valence", "distance", "true_arousal", "true_valence")
    clips = first.group_by("clip_id").agg(pl.col(means).mean()).sort("distance")
    ids = [data.clips[place].id for place in data.sets[found.set]]
    assert sorted(ids) == sorted(clips["clip_id"])
    assert found.tested == len(clips)
    points = dict(zip(ids, unpacked(found.points, MEAN).reshape(-1, 3), strict=True))
    for clip, arousal, valence, distance, *target in clips.select("clip_id", *means).iter_rows():
        assert np.allclose(points[clip], (arousal, valence, distance), atol=6e-4)
        assert np.allclose(next(each.mean for each in data.clips if each.id == clip), target, atol=6e-4)
    shown = [ids[place] for place in found.shown]
    order = clips["clip_id"].to_list()
    assert shown[: found.best] == order[: found.best]
    assert shown[-found.worst :] == order[-found.worst :]
    for clip, path in zip(shown, found.paths, strict=True):
        own = first.filter(pl.col("clip_id") == clip).sort("time")
        known = next(each for each in data.clips if each.id == clip)
        assert known.times is not None
        assert known.target is not None
        assert data.times[known.times] == own["time"].to_list()
        for prefix, packs in (("", path), ("true_", known.target)):
            expected = own.select(f"{prefix}arousal", f"{prefix}valence").to_numpy()
            assert np.allclose(unpacked(packs.means, MEAN).reshape(-1, 2), expected, atol=6e-4)
            spreads = unpacked(packs.spreads, SPREAD).reshape(-1, 3)
            assert np.allclose(spreads[:, 0] ** 2, own[f"{prefix}arousal_var"], atol=3e-4)
            covariance = spreads.prod(axis=1)
            assert np.allclose(covariance, own[f"{prefix}covariance"], atol=3e-4)
    seconds = table.group_by("time").agg(pl.col("distance").mean()).sort("time")
    assert data.times[found.second.times] == seconds["time"].to_list()
    assert np.allclose(unpacked(found.second.distance, MEAN), seconds["distance"], atol=6e-4)
    signs = [(True, True), (True, False), (False, False), (False, True)]
    for (high, positive), each in zip(signs, found.quadrant, strict=True):
        own = table.filter(((pl.col("true_arousal") >= 0) == high) & ((pl.col("true_valence") >= 0) == positive))
        assert each.seconds == len(own)
        assert each.distance == (round(own["distance"].mean(), 3) if len(own) else None)  # pyright: ignore


def test_an_entry_is_thinned_to_its_limits(row: GetRow) -> None:
    store, result = ResultStore(row("mine").parents[1]), _read(row("mine"))
    stored, pool = store.predictions(result), Pool({})
    found = panel_of(stored, list(result.albums), pool, Limits(clips=2, points=4))
    assert (len(found.paths), found.best, found.worst) == (2, 1, 1)
    assert len(pool.panels.sets[found.set]) <= 6 < found.tested
    everything = panel_of(stored, list(result.albums), Pool({}), Limits(clips=12, points=1000))
    assert everything.paths[0] == found.paths[0]
    assert everything.paths[-1] == found.paths[-1]


def test_entries_share_equal_targets(results: Path, tmp_path: Path) -> None:
    data = _page(results, tmp_path).sections[0].panels
    assert len(data.entries) == 5
    # Half of the annotators are scored against the other half.
    assert len(data.sets) == 2
    for members in data.sets:
        ids = [data.clips[clip].id for clip in members]
        assert len(ids) == len(set(ids))


def test_artists_and_titles_of_a_dataset_that_is_found(results: Path, row: GetRow, finished_run: Path) -> None:
    result = _read(row("mine"))
    names, remark = clip_names(result, finished_run / "data")
    assert names["c003"] == ("Artist 3", "c003")
    assert remark == "Artists and titles are those of the dataset."
    page = _page(results, finished_run / "data")
    assert {clip.artist for clip in page.sections[0].panels.clips} <= {f"Artist {album}" for album in range(12)}
    assert remark in page.sections[0].notes


def test_clips_are_shown_by_id_without_the_dataset(row: GetRow, finished_run: Path, tmp_path: Path) -> None:
    result = _read(row("mine"))
    assert clip_names(result, tmp_path) == (
        {},
        "Clips are shown by id, without artist and title: the dataset was not found.",
    )
    dataset = result.dataset.model_copy(update={"manifest_sha256": "0" * 64})
    other = result.model_copy(update={"dataset": dataset})
    assert clip_names(other, finished_run / "data")[1].endswith("the dataset was not found.")
    shutil.copytree(finished_run / "data", tmp_path / "data")
    path = tmp_path / "data" / "tiny" / "clips" / "train-00000.parquet"
    pl.read_parquet(path).with_columns(artist=pl.lit("Someone else")).write_parquet(path)
    names, remark = clip_names(result, tmp_path / "data")
    assert names == {}
    assert remark.endswith("were changed after it was built.")


def test_files_that_are_not_results_and_entries_without_predictions(results: Path, row: GetRow, tmp_path: Path) -> None:
    folder = results / "tiny@1.0.0"
    (folder / "cut.json").write_text(row("mine").read_text()[:300])
    (folder / "foreign.json").write_text('{"name": "<b>x</b>"}')
    (folder / "older.json").write_text('{"schema": 0}')
    row("mine").with_suffix(".predictions.parquet").write_bytes(b"damaged")
    page = _page(results, tmp_path)
    assert len(page.problems) == 3
    assert page.problems[0].startswith("tiny@1.0.0/cut.json: not a readable result")
    assert "foreign.json: is not a result of emobench" in page.problems[1]
    assert "older.json: was written by an older emobench (schema 0)" in page.problems[2]
    (section,) = page.sections
    assert len(section.entries) == 5
    signature = json.loads(row("mine").read_text())["signature"]
    reason = section.panels.entries[signature]
    assert isinstance(reason, str)
    assert "has another SHA-256" in reason
    (entry,) = [entry for entry in section.entries if entry.signature == signature]
    assert entry.ranks == (None, None)
    assert "SHA-256" in entry.facts["No rank"]
    text = load(results).page(tmp_path)
    assert str(tmp_path) not in text
    assert "tiny@1.0.0/older.json: was written by an older emobench (schema 0)" in text


def test_datasets_and_folds_never_share_a_section(results: Path, row: GetRow, tmp_path: Path) -> None:
    result = json.loads(row("mine").read_text())
    changes = {"folds_sha256": "4" * 64}, {"manifest_sha256": "5" * 64}, {"name": "made", "synthetic": True}
    for number, change in enumerate(changes):
        changed = result | {"dataset": result["dataset"] | change, "signature": f"{number:012}"}
        row("mine").with_name(f"other-{number}.json").write_text(json.dumps(changed))
    sections = _page(results, tmp_path).sections
    assert [len(section.entries) for section in sections] == [5, 1, 1, 1]
    titles = [section.title for section in sections]
    assert len(set(titles)) == 4
    assert titles[3] == "made@1.0.0 (synthetic)"
    assert [section.warning[:15] for section in sections] == ["", "", "", "Synthetic music"]


def test_saved_as_one_file(results: Path, tmp_path: Path) -> None:
    made = load(results)
    text = made.rendered("html", data=tmp_path)
    assert made.save("html", str(tmp_path / "x.html"), data=tmp_path) == [tmp_path / "x.html"]
    assert made.save("html", f"{tmp_path}/new/", data=tmp_path) == [tmp_path / "new" / "leaderboard.html"]
    assert (tmp_path / "x.html").read_text(encoding="utf-8") == text
    assert (tmp_path / "new" / "leaderboard.html").read_text(encoding="utf-8") == text
    assert made.save("csv", str(tmp_path / "x.csv"), data=tmp_path) == [tmp_path / "x.csv"]
    with pytest.raises(InputError, match=re.escape("expected rich, markdown, latex, csv, json, html")):
        made.rendered("pdf", data=tmp_path)


ODD: list[dict[str, Any]] = [
    {"signature": "</script><b>"},
    {"features": "\ud800<script>alert(1)</script>"},
    {"environment": 3},
    {"created": ""},
    {"albums": {"x": 0}},
]


@pytest.mark.parametrize("change", ODD)
def test_odd_values_are_rendered(results: Path, row: GetRow, change: dict[str, Any], tmp_path: Path) -> None:
    row("mine").write_text(json.dumps(json.loads(row("mine").read_text()) | change))
    text = load(results).page(tmp_path)
    text.encode("utf-8")
    assert text.count("<script>") == 7
