"""Predictions made elsewhere, scored on the folds of a dataset."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import emobench as eb
import numpy as np
import polars as pl
import pytest
from emobench.cli.main import app
from typer.testing import CliRunner

COLUMNS = ["repeat", "clip_id", "time", "arousal", "valence", "arousal_var", "valence_var", "covariance"]


def test_stored_predictions_get_the_scores_of_their_entry(rated: Path, ran: Path, tmp_path: Path) -> None:
    entry = next(each for each in eb.leaderboard(ran).store.results if each.features.startswith("file:"))
    for form in ("parquet", "csv"):
        path = tmp_path / f"predictions.{form}"
        table = entry.predictions.select(COLUMNS).sample(fraction=1, shuffle=True, seed=1)
        table.write_parquet(path) if form == "parquet" else table.write_csv(path)
        result = eb.evaluate(rated, path, name=form, out=tmp_path / "results")
        assert result.scores == entry.scores
        assert result.external and result.regressor is None and result.cost.seconds_per_clip is None
        report = eb.verify(result, level="scores", datasets=[rated])
        assert report.ok, report.record()
        assert not eb.verify(result, datasets=[rated]).ok


def test_predictions_without_repeat_are_used_in_every_repeat(rated: Path, tmp_path: Path) -> None:
    dataset = eb.load_dataset(rated)
    truth = dataset.targets.select("clip_id", "time", pl.col("arousal") + 0.03, pl.col("valence") - 0.04)
    result = eb.evaluate(dataset, truth, name="close", out=tmp_path)
    score = result.scores["mean_distance"]
    assert score.per_repeat == pytest.approx([0.05] * dataset.folds["repeat"].n_unique())
    assert result.scores["kl_divergence"].mean is None
    assert result.predictions["arousal_var"].null_count() == len(result.predictions)
    # The same predictions give the same file.
    again = eb.evaluate(dataset, truth, name="close", out=tmp_path)
    assert again.path == result.path and again.created == result.created


def test_data_frames_of_any_kind_and_columns_of_any_name(rated: Path, tmp_path: Path) -> None:
    truth = eb.load_dataset(rated).targets.with_columns(row=pl.lit(7))
    expected = eb.evaluate(rated, truth, name="x", out=tmp_path / "polars").scores
    assert eb.evaluate(rated, truth.to_pandas(), name="x", out=tmp_path / "pandas").scores == expected
    with pytest.raises(eb.InputError, match=r"row 2: there is no clip nobody"):
        eb.evaluate(rated, _change("clip_id", "nobody", 2)(truth), name="x", out=tmp_path)
    with pytest.raises(eb.InputError, match="they are exchanged"):
        eb.evaluate(truth, eb.load_dataset(rated), name="x", out=tmp_path)  # pyright: ignore[reportArgumentType]


def test_without_out_nothing_is_left_in_the_working_folder(
    rated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    truth = eb.load_dataset(rated).targets
    assert eb.evaluate(rated, truth, name="x", out=None).scores["mean_distance"].mean == pytest.approx(0)
    assert len(eb.run(rated, "constant", out=None)[0].predictions)
    assert not list(tmp_path.iterdir())


def test_external_entries_have_a_section_and_do_not_count_in_ranks(rated: Path, ran: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    before = {each.features: each for each in eb.run(rated, "constant", out=results)}
    eb.evaluate(rated, eb.load_dataset(rated).targets, name="truth", out=results)
    board = eb.leaderboard(results)
    records = {record["features"]: record for record in board.table().to_dicts()}
    assert records["truth"]["rank"] == 1 and records["truth"]["beats_constant"] is True
    # The truth is significantly better than the training mean, whose rank it leaves alone.
    assert records["constant"]["rank"] == 1 and records["constant"]["worse_than"] == 0
    assert board.ranking.counts == {before["constant"].board: 1}
    titles = [table.title for table in board.tables if any("truth" in row[0] for row in table.rows)]
    assert [title.split(":")[0] for title in titles] == [
        "Predictions made outside emobench",
        "Ranks, intervals and cost of predictions made outside emobench",
    ]


def _change(name: str, value: Any, row: int = 3) -> Callable[[pl.DataFrame], pl.DataFrame]:
    def changed(table: pl.DataFrame) -> pl.DataFrame:
        values = table[name].to_list()
        values[row - 1] = value
        return table.with_columns(pl.Series(name, values))

    return changed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.drop("valence"), r"has no column valence; expected repeat, clip_id, time, arousal"),
        (lambda table: table.head(0), r"has no rows"),
        (
            lambda table: table.slice(1),
            r"lacks 1 of \d+ predictions in repeat 0, the first for clip \S+ at \S+ s; expected",
        ),
        (
            lambda table: pl.concat([table, table.head(1)]),
            r"row \d+: clip \S+ at \S+ s has two predictions in repeat 0",
        ),
        (_change("clip_id", "nobody"), r"row 3: there is no clip nobody in"),
        (_change("clip_id", None), r"row 3: clip_id is empty"),
        (_change("arousal", None), r"row 3: arousal is empty; expected a number on the scale of the targets"),
        (_change("arousal", float("nan")), r"row 3: arousal is nan"),
        (_change("arousal_var", float("inf")), r"row 3: arousal_var is inf"),
        (_change("valence", 1e308), r"row 3: valence is 1e\+308; expected a number on the scale of the targets"),
        (_change("valence_var", -0.01), r"row 3: the covariance is not positive definite"),
        (_change("covariance", 3.0), r"row 3: the covariance is not positive definite"),
        (lambda table: table.with_columns(pl.lit("x").alias("repeat")), r"row 1: repeat is 'x'; expected a whole"),
        (lambda table: table.with_columns(pl.lit([1.0]).alias("time")), r"column time is List"),
    ],
)
def test_wrong_predictions(
    rated: Path, ran: Path, tmp_path: Path, change: Callable[[pl.DataFrame], pl.DataFrame], message: str
) -> None:
    entry = next(each for each in eb.leaderboard(ran).store.results if each.features.startswith("file:"))
    table = change(entry.predictions.select(COLUMNS))
    with pytest.raises(eb.InputError, match=message) as raised:
        eb.evaluate(rated, table, name="mine", out=tmp_path)
    assert "\n" not in str(raised.value)
    assert not list(tmp_path.iterdir())


def test_a_scale_that_is_probably_wrong_gives_a_warning(rated: Path, tmp_path: Path) -> None:
    targets = eb.load_dataset(rated).targets.with_columns(pl.col("arousal", "valence") * 4 + 2)
    with pytest.warns(eb.EmobenchWarning, match=r"\d+% of the predicted means are outside -0.5 to 0.5"):
        eb.evaluate(rated, targets, name="scaled", out=tmp_path)


@pytest.mark.parametrize("name", ["", "a b", "../x", "mfcc", "constant", "x" * 201])
def test_wrong_names(rated: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(eb.InputError, match="`name`"):
        eb.evaluate(rated, eb.load_dataset(rated).targets, name=name, out=tmp_path)


def test_the_command(rated: Path, tmp_path: Path) -> None:
    targets = eb.load_dataset(rated).targets
    targets.write_csv(tmp_path / "mine.CSV", separator=";")
    call = ["evaluate", str(tmp_path / "mine.CSV"), "--dataset", str(rated), "--out", str(tmp_path / "results")]
    ran = CliRunner().invoke(app, [*call, "--name", "mine", "--json"])
    assert ran.exit_code == 0, ran.output
    assert json.loads(ran.stdout)["external"] is True
    ran = CliRunner().invoke(app, [*call, "--name", "mine"])
    assert "Predictions made outside emobench" in ran.stdout and "mine" in ran.stdout
    (tmp_path / "bad.csv").write_bytes(b"PK\x03\x04")
    call[1] = str(tmp_path / "bad.csv")
    ran = CliRunner().invoke(app, [*call, "--name", "mine"])
    assert ran.exit_code == 2 and "is an Excel workbook" in ran.stderr
    call[1] = str(tmp_path / "mine.txt")
    assert CliRunner().invoke(app, [*call, "--name", "mine"]).exit_code == 2


def test_metrics_as_functions() -> None:
    true = np.array([[0.1, 0.2, 0.02, 0.03, 0.0], [0.0, 0.0, 0.02, 0.03, 0.01]])
    assert eb.metrics.mean_distance(true[:1, :2], [[0.4, 0.6]]) == pytest.approx(0.5)
    assert eb.metrics.kl_divergence(true, true) == pytest.approx(0)
    wider = true * [1, 1, 2, 2, 2]
    # KL of N(m, S) from N(m, 2S) in two dimensions: (2 ln 2 + 1 - 2) / 2.
    assert eb.metrics.kl_divergence(true, wider) == pytest.approx(np.log(2) - 0.5)
    assert np.isnan(eb.metrics.kl_divergence(true[:, :2], true[:, :2]))
    found = eb.metrics.scores(true, wider, clips=["a", "b"])
    assert found["rmse_arousal"] == 0 and np.isnan(found["r2_arousal_per_song"])
    frame = pl.DataFrame(true, schema=["arousal", "valence", "arousal_var", "valence_var", "covariance"])
    assert eb.metrics.kl_divergence(frame, wider) == pytest.approx(np.log(2) - 0.5)
    with pytest.raises(ValueError, match="predicted: 1 rows for 2 true ones"):
        eb.metrics.mean_distance(true, true[:1])
