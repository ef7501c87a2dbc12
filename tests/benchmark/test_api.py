"""The Python API: a session as in the documentation, and the errors of wrong use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import emobench as eb
import numpy as np
import polars as pl
import pytest

FRAMES = 1000


class Level(eb.Feature):
    """Mean absolute sample of frames of 1,000 samples."""

    name, title, sample_rate = "level", "Level", 16_000

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, samples: Any) -> tuple[Any, Any]:
        self.calls += 1
        frames = samples[: len(samples) // FRAMES * FRAMES].reshape(-1, FRAMES)
        times = (np.arange(len(frames)) + 0.5) * FRAMES / self.sample_rate
        return times, np.abs(frames).mean(axis=1, keepdims=True)


class Cached(Level):
    """The same, with a revision."""

    name, revision = "cached", "1"


class Fitted(Level):
    """The level less the mean arousal of the training part."""

    name, trainable = "fitted", True

    def fit(self, clips: list[Any], targets: list[Any]) -> None:
        assert len(clips) == len(targets)
        self.mean = float(np.concatenate(targets)[:, 0].mean())

    def __call__(self, samples: Any) -> tuple[Any, Any]:
        times, values = super().__call__(samples)
        return times, np.hstack([values, np.full_like(values, self.mean)])


@pytest.fixture(scope="module")
def dataset(with_audio: Path) -> Any:
    return eb.load_dataset(with_audio / "syn")


def test_a_session(dataset: Any, tmp_path: Path) -> None:
    table = eb.extract(dataset, "chroma")
    assert table.values.shape == (len(table.index), 12) and table.values.dtype == np.float32
    assert table.index.columns == ["clip_id", "time"]
    results = eb.run(dataset, ["mfcc", Level(), table], regressors=["ridge"], out=tmp_path / "results")
    references = ["constant", "oracle", "human", "ceiling"]
    assert [result.name for result in results] == ["mfcc|ridge", "level|ridge", "chroma|ridge", *references]
    # Extracted values give the same scores as the feature itself.
    (again,) = [
        each
        for each in eb.run(dataset, "chroma", regressors=["ridge"], out=tmp_path / "again")
        if each.features == "chroma"
    ]
    assert again.scores == results["chroma|ridge"].scores
    shown = results.table()
    assert shown["name"].to_list()[0] == "mfcc|ridge"
    assert shown["mean_distance"][1] == results["level|ridge"].scores["mean_distance"].mean
    predictions = results["level|ridge"].predictions
    assert isinstance(predictions, pl.DataFrame) and {"repeat", "clip_id", "time", "true_arousal"} <= set(
        predictions.columns
    )
    assert "<table" in results._repr_html_()
    found = eb.compare(results["mfcc|ridge"], results["level|ridge"])
    assert found.reason is None
    board = eb.leaderboard(tmp_path / "results")
    assert board.tables


def test_features_with_a_revision_are_cached(dataset: Any, tmp_path: Path) -> None:
    feature = Cached()
    first = eb.run(dataset, feature, out=tmp_path / "one")
    called = feature.calls
    assert called >= len(set(dataset.folds["clip_id"]))
    again = eb.run(dataset, feature, out=tmp_path / "two")
    assert feature.calls == called
    assert [each.scores for each in first] == [each.scores for each in again]


def test_a_trainable_feature_is_fitted_for_each_fold(dataset: Any, tmp_path: Path) -> None:
    results = eb.run(dataset, Fitted(), out=tmp_path)
    assert results["fitted"].dims == 2


def test_wrong_use(dataset: Any, tmp_path: Path) -> None:
    for features, message in (
        ([], "expected at least one"),
        (["mfcc,chroma"], "names joined by"),
        (["loudness"], "no feature is called 'loudness'"),
        ([Level(), Level()], "two are called 'level'"),
        ([object()], "expected an object that can be called"),
    ):
        with pytest.raises(eb.InputError, match=message):
            eb.run(dataset, features, out=tmp_path)
    with pytest.raises(eb.InputError, match="`regressor` lasso: expected one of mlr, ridge"):
        eb.run(dataset, "mfcc", regressors=["lasso"], out=tmp_path)
    with pytest.raises(eb.InputError, match="`regressor`: expected at least one"):
        eb.run(dataset, "mfcc", regressors=[], out=tmp_path)
    with pytest.raises(eb.InputError, match="`workers` -1: expected a number of at least 1"):
        eb.run(dataset, "mfcc", workers=-1, out=tmp_path)
    with pytest.raises(eb.InputError, match="oracle: is predicted from ratings and has no values"):
        eb.extract(dataset, "oracle")
    with pytest.raises(eb.InputError, match="`bogus`: no such setting; expected one of window, layers"):
        eb.pretrain("rhythm", dataset.folder, bogus=1, models=tmp_path)
    with pytest.raises(eb.InputError, match=r"`epochs`.*increasing numbers of at least 1"):
        eb.pretrain("rhythm", dataset.folder, epochs=-1, models=tmp_path)
    with pytest.raises(eb.InputError, match="`predictions`: expected a DataFrame or the path of a file, not list"):
        eb.evaluate(dataset, [{"clip_id": "a"}], name="mine", out=tmp_path)
    for returned, message in ((3, "returned int; expected two arrays, times and values"), (None, "returned NoneType")):
        with pytest.raises(eb.InputError, match=message):
            eb.extract(dataset, lambda samples, returned=returned: returned)
    with pytest.raises(eb.InputError, match="KeyError: 'band'"):
        eb.extract(dataset, lambda samples: {}["band"])
    with pytest.raises(eb.InputError, match="is trained for each fold"):
        eb.extract(dataset, "rhythm")
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        eb.nonsense  # noqa: B018


def test_the_error_for_a_name_lists_the_entries(dataset: Any, tmp_path: Path) -> None:
    results = eb.run(dataset, "constant", out=tmp_path)
    with pytest.raises(eb.InputError, match="no entry is called 'mfcc'; expected one of constant"):
        results["mfcc"]


def test_a_name_may_leave_out_the_only_regressor(dataset: Any, tmp_path: Path) -> None:
    results = eb.run(dataset, ["chroma", Level()], regressors=["ridge", "gaussian"], out=tmp_path)
    assert results["level|ridge"].regressor == "ridge"
    with pytest.raises(eb.InputError, match=r"several .* 'level'; expected one of level\|ridge, level\|gaussian\."):
        results["level"]
    one = eb.run(dataset, ["chroma", Level()], regressors=["ridge"], out=tmp_path)
    assert one["level"].signature == results["level|ridge"].signature
    assert eb.run(dataset, "chroma", out=tmp_path)["chroma|mlr"].name == "chroma"


class Batched(Level):
    """The same, several clips at a time."""

    name, batch_size = "batched", 5

    def __call__(self, samples: Any) -> Any:
        self.sizes = [*getattr(self, "sizes", []), len(samples)]
        return [super(Batched, self).__call__(each) for each in samples]


def test_a_feature_of_batches_gives_the_same_values(dataset: Any) -> None:
    feature = Batched()
    np.testing.assert_array_equal(eb.extract(dataset, feature).values, eb.extract(dataset, Level()).values)
    clips = dataset.folds["clip_id"].n_unique()
    assert feature.sizes == [5] * (clips // 5) + ([clips % 5] if clips % 5 else [])


class Window(eb.Feature):
    """One frame per second from the fourth on, whose time is the end of its context: its own second."""

    name, align = "window", "end"

    def __call__(self, samples: Any) -> tuple[Any, Any]:
        times = np.arange(4.0, len(samples) // self.sample_rate + 1)
        return times, times[:, None]


def test_seconds_before_the_first_window_take_the_first(dataset: Any) -> None:
    table = eb.extract(dataset, Window())
    seconds = table.index["time"].to_numpy()
    np.testing.assert_array_equal(table.values[:, 0], np.maximum(seconds, 4))

    class Centred(Window):
        align = "center"

    with pytest.raises(
        eb.InputError, match=r"feature window, clip s0001: returned no frame for 3 of 8 seconds \(1, 2, 3\)"
    ):
        eb.extract(dataset, Centred())


def test_a_layer_needs_a_network(dataset: Any, tmp_path: Path) -> None:
    with pytest.raises(eb.InputError, match="`layer`: only networks, such as rhythm or pitch, have layers"):
        eb.run(dataset, "mfcc", layer=1, out=tmp_path)
