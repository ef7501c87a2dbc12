"""The album bootstrap compared with closed forms: coverage, widths, grouping by album, undefined scores."""

from __future__ import annotations

import numpy as np
import pytest
from emobench.benchmark.scoring.significance import RepeatPredictions, album_intervals
from emobench.protocols import metrics


def _repeat(errors: np.ndarray, albums: np.ndarray, *, seconds: int = 3) -> RepeatPredictions:
    """Make one song per error, whose arousal is wrong by this amount in all seconds, so this is its mean distance."""
    songs = np.repeat(np.arange(len(errors)), seconds)
    rng = np.random.default_rng(0)
    true = np.column_stack([rng.uniform(-0.5, 0.5, (len(songs), 2)), np.tile([0.02, 0.02, 0.0], (len(songs), 1))])
    predicted = true.copy()
    predicted[:, 0] += np.asarray(errors)[songs]
    return RepeatPredictions(true, predicted, songs.astype(np.intp), np.asarray(albums, np.intp))


def _distance(*repeats: RepeatPredictions, draws: int = 400, seed: int = 0, level: float = 0.95) -> tuple[float, float]:
    found = album_intervals(repeats, draws=draws, seed=seed, level=level)["mean_distance"]
    assert found is not None
    return found


def test_interval_of_a_mean_in_closed_form() -> None:
    errors = np.random.default_rng(1).uniform(0.05, 0.25, 60)
    low, high = _distance(_repeat(errors, np.arange(60)), draws=4000)
    half = 1.96 * errors.std() / np.sqrt(60)
    assert low == pytest.approx(errors.mean() - half, abs=0.12 * half)
    assert high == pytest.approx(errors.mean() + half, abs=0.12 * half)


@pytest.mark.parametrize(("level", "quantile"), [(0.5, 0.674), (0.9, 1.645), (0.99, 2.576)])
def test_level(level: float, quantile: float) -> None:
    errors = np.random.default_rng(2).uniform(0.05, 0.25, 60)
    low, high = _distance(_repeat(errors, np.arange(60)), draws=4000, level=level)
    assert high - low == pytest.approx(2 * quantile * errors.std() / np.sqrt(60), rel=0.12)


def test_interval_has_its_nominal_coverage() -> None:
    rng = np.random.default_rng(3)
    covered = 0
    for trial in range(100):
        low, high = _distance(_repeat(rng.uniform(0.0, 0.4, 40), np.arange(40), seconds=1), draws=300, seed=trial)
        covered += low <= 0.2 <= high
    # Binomial with p = 0.95 (a little less for a percentile bootstrap of 40): 5 standard deviations below.
    assert 84 <= covered <= 100


def test_four_times_the_albums_halve_the_width() -> None:
    errors = np.random.default_rng(4).uniform(0.0, 0.4, 25)
    widths = []
    for count in (25, 100, 400):
        low, high = _distance(_repeat(np.tile(errors, count // 25), np.arange(count)), draws=3000)
        widths.append(high - low)
    assert widths[0] / widths[1] == pytest.approx(2, rel=0.1)
    assert widths[1] / widths[2] == pytest.approx(2, rel=0.1)


def test_more_equal_seconds_do_not_narrow_the_interval() -> None:
    errors = np.random.default_rng(5).uniform(0.0, 0.4, 20)
    few, many = (_distance(_repeat(errors, np.arange(20), seconds=seconds)) for seconds in (2, 50))
    assert few == pytest.approx(many)


def test_songs_of_an_album_are_one_unit() -> None:
    errors = np.random.default_rng(6).uniform(0.0, 0.4, 20)
    single = _distance(_repeat(errors, np.arange(20)), draws=2000)
    # Five songs per album with the same error are no more evidence than one.
    together = _distance(_repeat(np.repeat(errors, 5), np.repeat(np.arange(20), 5)), draws=2000)
    assert together == pytest.approx(single)
    apart = _distance(_repeat(np.repeat(errors, 5), np.arange(100)), draws=2000)
    assert (single[1] - single[0]) / (apart[1] - apart[0]) == pytest.approx(np.sqrt(5), rel=0.1)


def test_a_single_album_has_an_interval_of_width_zero() -> None:
    low, high = _distance(_repeat(np.array([0.1, 0.2, 0.6]), np.zeros(3, int)))
    assert low == pytest.approx(0.3)
    assert high == pytest.approx(0.3)


def test_a_draw_is_the_same_in_every_repeat() -> None:
    errors = np.random.default_rng(7).uniform(0.0, 0.4, 30)
    albums = np.arange(30)
    once = _distance(_repeat(errors, albums))
    assert _distance(_repeat(errors, albums), _repeat(errors, albums)) == pytest.approx(once)
    # What one repeat loses in a draw, the other gains, so nothing varies.
    low, high = _distance(_repeat(errors, albums), _repeat(0.4 - errors, albums))
    assert low == pytest.approx(0.2)
    assert high == pytest.approx(0.2)


def test_order_of_songs_does_not_matter() -> None:
    errors = np.random.default_rng(8).uniform(0.0, 0.4, 12)
    albums = np.repeat(np.arange(4), 3)
    order = np.random.default_rng(9).permutation(12)
    assert _distance(_repeat(errors[order], albums[order])) == pytest.approx(_distance(_repeat(errors, albums)))


def test_a_repeat_without_songs_in_a_draw_is_ignored() -> None:
    repeats = [_repeat(np.array([0.1]), np.array([0])), _repeat(np.array([0.3]), np.array([1]))]
    # Two albums drawn from two: 0.1 in a quarter of the draws, 0.2 in half, 0.3 in a quarter.
    low, high = _distance(*repeats, draws=2000, level=0.95)
    assert (low, high) == (pytest.approx(0.1), pytest.approx(0.3))
    low, high = _distance(*repeats, draws=2000, level=0.4)
    assert (low, high) == (pytest.approx(0.2), pytest.approx(0.2))


def test_a_draw_without_songs_is_ignored() -> None:
    # Album 1 has no song in any test part.
    low, high = _distance(_repeat(np.array([0.1, 0.3]), np.array([0, 2])), draws=500)
    assert low == pytest.approx(0.1)
    assert high == pytest.approx(0.3)


def test_the_seed_determines_the_result() -> None:
    repeat = _repeat(np.random.default_rng(10).uniform(0, 0.4, 15), np.arange(15))
    np.random.seed(0)
    first = album_intervals([repeat], draws=50, seed=1)
    np.random.seed(1)
    assert album_intervals([repeat], draws=50, seed=1) == first
    assert album_intervals([repeat], draws=50, seed=2) != first


def test_every_score_has_an_interval_around_its_value() -> None:
    rng = np.random.default_rng(11)
    repeat = _repeat(rng.uniform(-0.3, 0.3, 40), np.repeat(np.arange(20), 2), seconds=8)
    predicted = repeat.predicted + rng.normal(0, 0.05, repeat.predicted.shape) * [1, 1, 0, 0, 0]
    found = album_intervals([RepeatPredictions(repeat.true, predicted, repeat.clips, repeat.albums)], draws=500, seed=0)
    assert list(found) == metrics.names()
    x, y = repeat.true[:, 1], predicted[:, 1]
    plain = {
        "rmse_valence": np.sqrt(np.mean((x - y) ** 2)),
        "pearson_valence": np.corrcoef(x, y)[0, 1],
        "r2_valence": 1 - np.sum((x - y) ** 2) / np.sum((x - x.mean()) ** 2),
        "mean_distance": np.hypot(*(repeat.true - predicted)[:, :2].T).mean(),
    }
    for name, value in plain.items():
        interval = found[name]
        assert interval is not None
        assert interval[0] < value < interval[1], name


def test_a_score_that_is_never_defined_has_no_interval() -> None:
    repeat = _repeat(np.zeros(6), np.arange(6))
    predicted = repeat.predicted.copy()
    predicted[:, 0] = 0.1
    found = album_intervals([RepeatPredictions(repeat.true, predicted, repeat.clips, repeat.albums)], draws=100, seed=0)
    assert found["pearson_arousal"] is None
    assert found["pearson_arousal_per_song"] is None
    assert found["rmse_arousal"] is not None
    assert found["pearson_valence"] == (pytest.approx(1), pytest.approx(1))


def test_no_repeat() -> None:
    with pytest.raises(ValueError):
        album_intervals([], draws=10, seed=0)
