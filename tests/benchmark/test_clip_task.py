"""The task of clips and the context of features, against values worked out by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import emobench as eb
import numpy as np
import polars as pl
import pytest
from emobench.benchmark.scoring.task import load_task
from emobench.errors import InputError

SECONDS = 6


class Counter(eb.Feature):
    """The number of each second, ten frames per second."""

    name, sample_rate = "counter", 8000

    def __call__(self, samples: Any) -> tuple[Any, Any]:
        times = (np.arange(len(samples) // 800) + 0.5) / 10
        return times, np.ceil(times)[:, None]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips of six seconds on albums of their own, with ratings over time and of whole clips."""
    import soundfile

    place = tmp_path_factory.mktemp("clips")
    generator = np.random.default_rng(0)
    clips, over_time, whole = [], [], []
    for number in range(12):
        clip = f"c{number:02d}"
        soundfile.write(place / f"{clip}.wav", 0.1 * generator.standard_normal(SECONDS * 22050), 22050)
        clips.append((clip, f"{clip}.wav", f"artist {number}", f"album {number}"))
        for worker in "xyz":
            ratings = generator.uniform(-0.5, 0.5, (SECONDS, 2))
            over_time += [(clip, worker, second + 1, *ratings[second]) for second in range(SECONDS)]
            whole.append((clip, worker, *ratings.mean(axis=0)))
    pl.DataFrame(clips, ["clip_id", "audio", "artist", "album"], orient="row").write_csv(place / "clips.csv")
    columns = ["clip_id", "annotator_id", "time", "arousal", "valence"]
    pl.DataFrame(over_time, columns, orient="row").write_csv(place / "over_time.csv")
    pl.DataFrame(whole, [each for each in columns if each != "time"], orient="row").write_csv(place / "whole.csv")
    for name in ("over_time", "whole"):
        eb.build_dataset(
            "table", clips=place / "clips.csv", labels=place / f"{name}.csv", audio=place, out=place / "data" / name
        )
    return place / "data"


def test_ratings_of_clips_are_those_of_seconds_averaged(folder: Path) -> None:
    """Each annotator's mean over the clip was written to the second table, so both give the same targets."""
    over_time, whole = (eb.load_dataset(folder / name) for name in ("over_time", "whole"))
    assert whole.static and not over_time.static
    cards = [(folder / name / "README.md").read_text() for name in ("over_time", "whole")]
    assert "The time of a target is the end of the second" in cards[0] and "A second has 3 ratings" in cards[0]
    assert (
        "A clip has one target, whose time is the end of the clip" in cards[1] and "12 clips have a target" in cards[1]
    )
    assert len(whole.targets) == 12 and set(whole.targets["time"]) == {SECONDS}
    averaged, static = load_task(over_time, "clip"), load_task(whole)
    assert static.kind == averaged.kind == "clip"
    np.testing.assert_allclose(averaged.raw_targets, static.raw_targets, atol=1e-12)
    ratings = over_time.annotations.filter(pl.col("clip_id") == "c03").group_by("trace", maintain_order=True)
    means = ratings.agg(pl.col("arousal", "valence").mean()).select("arousal", "valence").to_numpy()
    covariance = np.cov(means.T)
    expected = [*means.mean(axis=0), covariance[0, 0], covariance[1, 1], covariance[0, 1]]
    np.testing.assert_allclose(static.raw_targets[3], expected, atol=1e-12)


def test_features_are_pooled_over_the_context(folder: Path) -> None:
    dataset = eb.load_dataset(folder / "over_time")
    plain = eb.extract(dataset, Counter())
    np.testing.assert_array_equal(plain.values[:SECONDS, 0], [1, 2, 3, 4, 5, 6])
    three = eb.extract(dataset, Counter(), context=3)
    # Seconds before the third have a shorter context.
    means, spreads = [1, 1.5, 2, 3, 4, 5], [0, 0.5, *[np.sqrt(2 / 3)] * 4]
    np.testing.assert_allclose(three.values[:SECONDS], np.column_stack([means, spreads]), rtol=1e-6)
    for pooled in (eb.extract(dataset, Counter(), context="clip"), eb.extract(folder / "whole", Counter())):
        np.testing.assert_allclose(pooled.values, [[3.5, np.std(range(6))]] * len(pooled.values), rtol=1e-6)
    assert len(eb.extract(dataset, Counter(), task="clip").values) == 12


def test_every_kind_of_feature_in_the_task_of_clips(folder: Path, tmp_path: Path) -> None:
    rows = [(f"c{number:02d}", float(number % 5), float(number % 3)) for number in range(12)]
    pl.DataFrame(rows, ["clip_id", "a", "b"], orient="row").write_csv(tmp_path / "mine.csv")
    table = eb.extract(folder / "whole", "chroma")
    results = eb.run(
        folder / "whole", ["mfcc", Counter(), f"file:{tmp_path / 'mine.csv'}", table], regressors="ridge", out=tmp_path
    )
    dims = {each.features: each.dims for each in results}
    assert dims == {
        "mfcc": 40,
        "counter": 2,
        "file:mine.csv": 2,
        "chroma": 24,
        **dict.fromkeys(("constant", "human", "ceiling"), 0),
    }
    assert {(each.task, each.context) for each in results if not each.reference} == {("clip", "clip")}
    # Five repeats of 12 clips with one prediction each.
    assert len(results["mfcc|ridge"].predictions) == 5 * round(0.3 * 12)
    assert eb.verify(results["mfcc|ridge"], datasets=[folder / "whole"]).ok


def test_entries_of_one_board_differ_in_context(folder: Path, tmp_path: Path) -> None:
    from emobench.benchmark.report.tables import tables
    from emobench.benchmark.results.store import ResultStore

    for context in (None, 3):
        eb.run(folder / "over_time", "mfcc", regressors="ridge", context=context, out=tmp_path)
    eb.run(folder / "over_time", "mfcc", regressors="ridge", task="clip", out=tmp_path)
    results = ResultStore(tmp_path).results
    names = {each.name for each in results}
    assert names == {"mfcc|ridge", "mfcc|context-3|ridge", "constant", "oracle", "human", "ceiling"}
    seconds, clips, axes = sorted(tables(results), key=lambda table: "per clip" in table.title)
    assert len(clips.rows) == 4 and "one prediction per clip" in clips.title
    assert [row[:2] for row in axes.rows if "MFCC" in row[1]] == [
        ("Arousal", "MFCC [ridge]"),
        ("Valence", "MFCC [ridge]"),
    ]
    assert [row[0] for row in seconds.rows][:2] == ["MFCC [ridge]", "MFCC [context 3 s] [ridge]"]
    assert any(note.startswith("Entries differ in their context (1 s, 3 s)") for note in seconds.notes)
    assert not any("context" in note for note in clips.notes)
    comparison = eb.compare(*(each for each in results if each.features == "mfcc" and each.task == "second"))
    assert "context" in {difference.key for difference in comparison.differences}


def test_predictions_of_clips_need_no_time(folder: Path, tmp_path: Path) -> None:
    task = load_task(eb.load_dataset(folder / "whole"))
    table = pl.DataFrame({"clip_id": task.clips, "arousal": task.targets[:, 0], "valence": task.targets[:, 1]})
    result = eb.evaluate(folder / "whole", table, name="perfect", out=tmp_path)
    assert result.task == "clip" and result.scores["mean_distance"].mean == 0
    again = eb.evaluate(folder / "over_time", table, name="perfect", task="clip", out=tmp_path)
    assert again.scores["mean_distance"].mean == pytest.approx(0, abs=1e-12)


def test_wrong_tasks_and_contexts(folder: Path, tmp_path: Path) -> None:
    for name, settings, message in (
        ("whole", {"task": "second"}, "`task` second: whole has one rating per clip; use the task clip"),
        ("whole", {"context": 5}, "`context` 5: the task clip uses the whole clip"),
        ("over_time", {"task": "songs"}, "`task` songs: expected second or clip"),
        ("over_time", {"context": 0}, "`context` 0: expected a number of seconds, at least 1, or clip"),
        ("over_time", {"context": "song"}, "`context` song: expected a number of seconds"),
    ):
        with pytest.raises(InputError, match=message):
            eb.run(folder / name, "mfcc", out=tmp_path, **cast("Any", settings))
