"""Targets against numpy, and by hand."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from emobench.builders.targets import TargetConfig, target_table, targets_at
from emobench.errors import InputError


def _annotations(rows: list[tuple[str, int, float, float, float]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["clip_id", "trace", "time", "arousal", "valence"], orient="row")


def test_by_hand() -> None:
    table = target_table(
        _annotations([("x", 0, 1.0, 0.1, 0.2), ("x", 1, 1.0, 0.3, -0.2), ("x", 2, 1.0, 0.2, 0.0)]), TargetConfig()
    )
    row = table.row(0, named=True)
    assert row["n"] == 3
    assert row["arousal"] == pytest.approx(0.2, abs=1e-15)
    assert row["valence"] == pytest.approx(0.0, abs=1e-15)
    assert row["arousal_var"] == pytest.approx(0.01, abs=1e-15)  # (0.01 + 0.01 + 0) / 2
    assert row["valence_var"] == pytest.approx(0.04, abs=1e-15)
    assert row["covariance"] == pytest.approx(-0.02, abs=1e-15)  # (-0.1*0.2 + 0.1*-0.2 + 0) / 2


def test_equals_numpy_cov_and_keeps_the_order_of_clips() -> None:
    generator = np.random.default_rng(1)
    rows = [
        (clip, trace, float(second), *generator.uniform(-0.5, 0.5, 2))
        for clip in ("b", "a")
        for trace in range(7)
        for second in (3, 1, 2)
    ]
    table = target_table(_annotations(rows), TargetConfig())
    assert table["clip_id"].to_list() == ["b"] * 3 + ["a"] * 3
    assert table["time"].to_list() == [1, 2, 3] * 2
    for row in table.iter_rows(named=True):
        points = np.array([r[3:] for r in rows if r[0] == row["clip_id"] and r[2] == row["time"]])
        expected = np.cov(points.T, ddof=1)
        assert [row["arousal"], row["valence"]] == pytest.approx(points.mean(axis=0), abs=1e-15)
        found = [row["arousal_var"], row["valence_var"], row["covariance"]]
        assert found == pytest.approx([expected[0, 0], expected[1, 1], expected[0, 1]], abs=1e-15)


def test_ratings_of_a_trace_within_a_second_are_averaged() -> None:
    rows = [("x", 0, 0.5, 0.0, 0.0), ("x", 0, 1.0, 0.2, 0.0), ("x", 1, 0.75, 0.3, 0.1)]
    row = target_table(_annotations(rows), TargetConfig()).row(0, named=True)
    assert (row["n"], row["arousal"]) == (2, pytest.approx(0.2))


def test_ddof_and_lag() -> None:
    rows = [("x", trace, float(second), 0.1 * trace, 0.0) for trace in range(3) for second in (1, 2, 3)]
    biased = target_table(_annotations(rows), TargetConfig(ddof=0))
    assert biased["arousal_var"][0] == pytest.approx(0.02 / 3)
    lagged = target_table(_annotations(rows), TargetConfig(lag=1.0))
    assert lagged["time"].to_list() == [1, 2]  # ratings at 2 s apply to second 1


def test_one_rating_has_no_covariance() -> None:
    with pytest.raises(InputError, match="clip x, second 1: has 1 rating; a covariance requires at least 2"):
        target_table(_annotations([("x", 0, 1.0, 0.1, 0.2)]), TargetConfig())


@pytest.mark.parametrize("settings", [{"ddof": 2}, {"lag": -1.0}])
def test_config_is_checked(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        TargetConfig(**settings)  # pyright: ignore[reportArgumentType]


def test_interpolation_is_constant_beyond_the_ends() -> None:
    values = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, -1.0]])
    found = targets_at(np.array([0.2, 1.5, 2.25, 9.0]), np.array([1.0, 2.0, 3.0]), values)
    assert found == pytest.approx(np.array([[0.0, 1.0], [0.5, 0.5], [1.0, -0.25], [1.0, -1.0]]))
