"""Scores compared with numbers computed by hand, integration, scipy, scikit-learn, and loops over songs."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
import scipy.stats
from emobench.benchmark.scoring.gaussians import AXES, covariances, repaired, validate
from emobench.benchmark.scoring.metrics import kl_divergences, mean_distances
from emobench.benchmark.scoring.weighting import weighted_scores
from emobench.protocols import metrics
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import r2_score, root_mean_squared_error


def _rows(count: int, seed: int) -> np.ndarray:
    """Draw means in [-0.5, 0.5] and positive definite covariances."""
    rng = np.random.default_rng(seed)
    deviations = rng.uniform(0.05, 0.3, (count, 2))
    correlation = rng.uniform(-0.9, 0.9, count)
    return np.column_stack(
        [rng.uniform(-0.5, 0.5, (count, 2)), deviations**2, correlation * deviations[:, 0] * deviations[:, 1]]
    )


def _ccc(x: np.ndarray, y: np.ndarray) -> float:
    """Compute equation (1) of Lin (1989), with the moments of the sample."""
    covariance = float(np.mean((x - x.mean()) * (y - y.mean())))
    return float(2 * covariance / (x.var() + y.var() + (x.mean() - y.mean()) ** 2))


def _pearson(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.asarray(scipy.stats.pearsonr(x, y))[0])


def _rmse(x: np.ndarray, y: np.ndarray) -> float:
    return float(root_mean_squared_error(x, y))


def _r2(x: np.ndarray, y: np.ndarray) -> float:
    return float(r2_score(x, y))


PLAIN = {"rmse": _rmse, "r2": _r2, "ccc": _ccc, "pearson": _pearson}


def _by_loops(true: np.ndarray, predicted: np.ndarray, songs: np.ndarray) -> dict[str, float]:
    """Compute every score by its definition, song by song."""
    scores = {
        "mean_distance": float(np.mean([np.linalg.norm(t[:2] - p[:2]) for t, p in zip(true, predicted, strict=True)])),
        "kl_divergence": float(np.mean([_kl(t, p) for t, p in zip(true, predicted, strict=True)])),
    }
    for place, axis in enumerate(AXES):
        for name, score in PLAIN.items():
            scores[f"{name}_{axis}"] = score(true[:, place], predicted[:, place])
            own = [score(true[songs == song, place], predicted[songs == song, place]) for song in np.unique(songs)]
            scores[f"{name}_{axis}_per_song"] = float(np.mean(own))
    return scores


def _kl(p: np.ndarray, q: np.ndarray) -> float:
    """Compute equation (7) of the paper literally, with matrices."""
    sigma_p, sigma_q = (np.array([[row[2], row[4]], [row[4], row[3]]]) for row in (p, q))
    gap = q[:2] - p[:2]
    inverse = np.linalg.inv(sigma_q)
    return 0.5 * float(
        np.log(np.linalg.det(sigma_q) / np.linalg.det(sigma_p)) + np.trace(inverse @ sigma_p) + gap @ inverse @ gap - 2
    )


def _scores(true: np.ndarray, predicted: np.ndarray, songs: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    return weighted_scores(true, predicted, songs.astype(np.intp), weights)


# Distances


def test_mean_distance_by_hand() -> None:
    true = np.array([[0.1, 0.2, 1, 1, 0], [0, 0, 1, 1, 0], [-0.5, 0.5, 1, 1, 0]])
    predicted = np.array([[0.4, -0.2, 9, 9, 0], [0, 0, 2, 2, 0], [0.5, -0.5, 1, 1, 0]])
    np.testing.assert_allclose(mean_distances(true, predicted), [0.5, 0.0, np.sqrt(2)])


def test_kl_by_hand() -> None:
    # p = N((0, 0), I), q = N((1, 2), diag(4, 9)):
    # 1/2 (log 36 + 1/4 + 1/9 + 1/4 + 4/9 - 2).
    p = np.array([[0.0, 0, 1, 1, 0]])
    q = np.array([[1.0, 2, 4, 9, 0]])
    assert kl_divergences(p, q)[0] == pytest.approx(0.5 * (np.log(36) + 1 / 4 + 1 / 9 + 1 / 4 + 4 / 9 - 2))
    # The other way round: 1/2 (log 1/36 + 4 + 9 + 1 + 4 - 2).
    assert kl_divergences(q, p)[0] == pytest.approx(0.5 * (-np.log(36) + 16))


def test_kl_with_correlation_by_hand() -> None:
    # Equal unit variances, p uncorrelated, q with the correlation 1/2: |q| = 3/4, tr(q^-1) = 8/3.
    p, q = np.array([[0.0, 0, 1, 1, 0]]), np.array([[0.0, 0, 1, 1, 0.5]])
    assert kl_divergences(p, q)[0] == pytest.approx(0.5 * (np.log(0.75) + 8 / 3 - 2))


def test_kl_is_the_integral_of_the_log_ratio() -> None:
    p, q = _rows(3, 0), _rows(3, 1)
    for one, other, found in zip(p, q, kl_divergences(p, q), strict=True):
        first, second = (
            scipy.stats.multivariate_normal(row[:2], cast(Any, [[row[2], row[4]], [row[4], row[3]]]))
            for row in (one, other)
        )
        reach = 9 * np.sqrt(one[2:4].max())
        axes = [np.linspace(mean - reach, mean + reach, 401) for mean in one[:2]]
        grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
        cell = (axes[0][1] - axes[0][0]) * (axes[1][1] - axes[1][0])
        log_p, log_q = first.logpdf(grid), second.logpdf(grid)
        assert found == pytest.approx((np.exp(log_p) * (log_p - log_q)).sum() * cell, rel=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_kl_is_never_negative_and_zero_for_equals(seed: int) -> None:
    p, q = _rows(20, seed), _rows(20, seed + 1)
    np.testing.assert_allclose(kl_divergences(p, q), [_kl(*pair) for pair in zip(p, q, strict=True)], rtol=1e-9)
    assert (kl_divergences(p, q) > 0).all()
    np.testing.assert_allclose(kl_divergences(p, p), 0, atol=1e-12)


def test_covariances() -> None:
    np.testing.assert_array_equal(covariances(np.array([[9.0, 8, 1, 2, 3]])), [[[1, 3], [3, 2]]])


# Repair


def test_repair_by_hand() -> None:
    rows = np.array(
        [
            [0.1, 0.2, 0.02, 0.03, 0.01],  # fine
            [0.1, 0.2, 1.0, 1.0, 2.0],  # eigenvalues 3 along (1, 1), -1 along (1, -1)
            [0.1, 0.2, -0.5, 0.04, 0.0],
            [0.1, 0.2, -1.0, -2.0, 0.5],
        ]
    )
    fixed, share = repaired(rows, floor=1e-3)
    np.testing.assert_array_equal(fixed[0], rows[0])
    np.testing.assert_array_equal(fixed[:, :2], rows[:, :2])
    # 3/2 [[1, 1], [1, 1]] + 0.001/2 [[1, -1], [-1, 1]]
    np.testing.assert_allclose(fixed[1, 2:], [1.5005, 1.5005, 1.4995])
    np.testing.assert_allclose(fixed[2, 2:], [1e-3, 0.04, 0], atol=1e-15)
    np.testing.assert_allclose(fixed[3, 2:], [1e-3, 1e-3, 0], atol=1e-15)
    assert share == 0.75


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_repair_changes_only_the_eigenvalues(seed: int) -> None:
    rows = np.random.default_rng(seed).normal(0, 0.1, (30, 5))
    kept = rows.copy()
    fixed, share = repaired(rows)
    np.testing.assert_array_equal(rows, kept)
    before, after = ([np.linalg.eigvalsh([[r[2], r[4]], [r[4], r[3]]]) for r in table] for table in (rows, fixed))
    np.testing.assert_allclose(after, np.maximum(before, 1e-3), atol=1e-12)
    whole = np.array(before).min(axis=1) >= 1e-3
    np.testing.assert_array_equal(fixed[whole], rows[whole])
    assert share == pytest.approx(1 - whole.mean())
    validate(fixed, fixed)


def test_repair_of_an_empty_array() -> None:
    fixed, share = repaired(np.zeros((0, 5)))
    assert (fixed.shape, share) == ((0, 5), 0.0)


def test_an_eigenvalue_at_the_floor_is_kept() -> None:
    rows = np.array([[0.0, 0, 1e-3, 1e-3, 0]])
    fixed, share = repaired(rows)
    assert share == 0.0
    np.testing.assert_array_equal(fixed, rows)


# Scores


@pytest.fixture(scope="module")
def case() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Songs of different lengths, and predictions that are correlated with the truth."""
    lengths = [3, 15, 7, 15, 2]
    songs = np.repeat(np.arange(5), lengths)
    true = _rows(len(songs), 2)
    predicted = _rows(len(songs), 3)
    predicted[:, :2] = 0.5 * true[:, :2] + 0.3 * predicted[:, :2] + 0.05
    return true, predicted, songs


def test_weights_of_one_give_the_plain_scores(case: tuple[np.ndarray, ...]) -> None:
    true, predicted, songs = case
    found = _scores(true, predicted, songs, np.ones((1, 5)))
    assert list(found) == metrics.names()
    for name, value in _by_loops(true, predicted, songs).items():
        assert found[name].shape == (1,)
        assert found[name][0] == pytest.approx(value, rel=1e-9), name


def test_order_and_size_of_equal_weights_do_not_matter(case: tuple[np.ndarray, ...]) -> None:
    true, predicted, songs = case
    order = np.random.default_rng(0).permutation(len(songs))
    plain = _scores(true, predicted, songs, np.ones((1, 5)))
    mixed = _scores(true[order], predicted[order], songs[order], np.full((1, 5), 7.0))
    for name in metrics.names():
        assert mixed[name][0] == pytest.approx(plain[name][0], rel=1e-9)


@settings(max_examples=20, deadline=None)
@given(weights=st.lists(st.integers(0, 3), min_size=5, max_size=5).filter(any))
def test_whole_weights_repeat_songs(case: tuple[np.ndarray, ...], weights: list[int]) -> None:
    true, predicted, songs = case
    chosen = [song for song, count in enumerate(weights) for _ in range(count)]
    rows = [np.flatnonzero(songs == song) for song in chosen]
    index = np.concatenate(rows)
    copies = np.repeat(np.arange(len(chosen)), [len(own) for own in rows])
    expected = _by_loops(true[index], predicted[index], copies)
    found = _scores(true, predicted, songs, np.array([weights, [1, 1, 1, 1, 1]], float))
    for name, value in expected.items():
        assert found[name][0] == pytest.approx(value, rel=1e-8), name
        assert found[name].shape == (2,)


@pytest.mark.parametrize("score", sorted(PLAIN))
@pytest.mark.parametrize("axis", AXES)
def test_per_song_scores_weigh_songs_not_seconds(case: tuple[np.ndarray, ...], score: str, axis: str) -> None:
    true, predicted, songs = case
    place = AXES.index(axis)
    found = _scores(true, predicted, songs, np.eye(5))[f"{score}_{axis}_per_song"]
    expected = [PLAIN[score](true[songs == s, place], predicted[songs == s, place]) for s in range(5)]
    np.testing.assert_allclose(found, expected, rtol=1e-8)


def test_a_perfect_prediction(case: tuple[np.ndarray, ...]) -> None:
    true, _, songs = case
    found = {name: value[0] for name, value in _scores(true, true, songs, np.ones((1, 5))).items()}
    for name, value in found.items():
        if name in ("nll", "energy_score"):
            continue  # their ideals depend on the entropy and the spread: test_calibration.py
        ideal = 1.0 if name.startswith(("r2", "ccc", "pearson")) else 0.0
        ideal = {"coverage_50": 0.5, "coverage_90": 0.9}.get(name, ideal)
        assert value == pytest.approx(ideal, abs=1e-7), name


def test_ccc_penalises_scale_and_offset_but_pearson_does_not(case: tuple[np.ndarray, ...]) -> None:
    true, _, songs = case
    moved = true.copy()
    moved[:, :2] = 0.5 * true[:, :2] + 0.1
    found = _scores(true, moved, songs, np.ones((1, 5)))
    assert found["pearson_arousal"][0] == pytest.approx(1.0)
    assert found["ccc_arousal"][0] == pytest.approx(_ccc(true[:, 0], moved[:, 0]), rel=1e-9)
    assert found["ccc_arousal"][0] < 0.9


@pytest.mark.parametrize("level", [0.0, 0.1, 1 / 3, -0.47])
def test_a_constant_prediction_has_no_correlation(case: tuple[np.ndarray, ...], level: float) -> None:
    true, predicted, songs = case
    flat = predicted.copy()
    flat[:, 0] = level
    found = _scores(true, flat, songs, np.ones((1, 5)))
    assert np.isnan(found["pearson_arousal"][0])
    assert np.isnan(found["pearson_arousal_per_song"][0])
    assert found["ccc_arousal"][0] == pytest.approx(0.0, abs=1e-12)
    assert found["r2_arousal"][0] == pytest.approx(_r2(true[:, 0], flat[:, 0]), rel=1e-9)
    assert found["rmse_arousal"][0] == pytest.approx(_rmse(true[:, 0], flat[:, 0]), rel=1e-9)
    assert found["pearson_valence"][0] == pytest.approx(_pearson(true[:, 1], flat[:, 1]), rel=1e-9)


@pytest.mark.parametrize("level", [0.0, 0.1, 1 / 3, -0.47])
def test_a_constant_truth_has_no_r2(case: tuple[np.ndarray, ...], level: float) -> None:
    true, predicted, songs = case
    flat = true.copy()
    flat[:, 0] = level
    found = _scores(flat, predicted, songs, np.ones((1, 5)))
    for name in ("r2_arousal", "pearson_arousal", "r2_arousal_per_song", "pearson_arousal_per_song"):
        assert np.isnan(found[name][0]), name
    same = _scores(flat, flat, songs, np.ones((1, 5)))
    assert np.isnan(same["ccc_arousal"][0])
    assert same["rmse_arousal"][0] == pytest.approx(0, abs=1e-9)


def test_songs_without_a_defined_score_have_no_influence(case: tuple[np.ndarray, ...]) -> None:
    true, predicted, songs = case
    true = true.copy()
    true[songs == 1, 0] = 0.1
    found = _scores(true, predicted, songs, np.array([[1.0, 1, 1, 1, 1], [0, 1, 0, 0, 0]]))
    own = [_r2(true[songs == s, 0], predicted[songs == s, 0]) for s in (0, 2, 3, 4)]
    assert found["r2_arousal_per_song"][0] == pytest.approx(np.mean(own), rel=1e-8)
    assert np.isnan(found["r2_arousal_per_song"][1])
    assert np.isfinite(found["rmse_arousal_per_song"]).all()


def test_one_second_only() -> None:
    found = _scores(_rows(1, 4), _rows(1, 5), np.array([0]), np.ones((1, 1)))
    assert np.isnan(found["r2_arousal"][0])
    assert np.isnan(found["pearson_valence"][0])
    assert found["rmse_arousal"][0] == pytest.approx(abs(_rows(1, 4)[0, 0] - _rows(1, 5)[0, 0]))


def test_a_song_without_seconds_has_no_influence(case: tuple[np.ndarray, ...]) -> None:
    true, predicted, songs = case
    plain = _scores(true, predicted, songs, np.ones((1, 5)))
    # Song 3 of six has no seconds here.
    moved = np.where(songs >= 3, songs + 1, songs)
    spare = _scores(true, predicted, moved, np.ones((1, 6)))
    for name in metrics.names():
        assert spare[name][0] == pytest.approx(plain[name][0], rel=1e-9)


def test_scores_far_from_the_origin_lose_no_precision() -> None:
    # Moments about 0 would lose all their digits here.
    songs = np.repeat([0, 1], 10)
    true, predicted = _rows(20, 6), _rows(20, 7)
    near = _scores(true, predicted, songs, np.ones((1, 2)))
    for rows in (true, predicted):
        rows[:, :2] += 1e5
    far = _scores(true, predicted, songs, np.ones((1, 2)))
    for name in metrics.names():
        assert far[name][0] == pytest.approx(near[name][0], rel=1e-6, abs=1e-8), name


# Validation


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda rows: rows[:, :4], r"shape \(6, 4\).*\(n, 5\)"),
        (lambda rows: rows[0], r"shape \(5,\)"),
        (lambda rows: rows[:0], r"shape \(0, 5\)"),
        (lambda rows: np.where(np.arange(5) == 1, np.nan, rows), "not finite"),
        (lambda rows: np.where(np.arange(5) == 0, np.inf, rows), "not finite"),
        (lambda rows: np.where(np.arange(5) == 2, 0.0, rows), "not positive definite"),
        (lambda rows: np.where(np.arange(5) >= 2, -1.0, rows), "not positive definite"),
        (lambda rows: np.where(np.arange(5) == 4, 1.0, rows), "not positive definite"),
        (lambda rows: np.where(np.isin(np.arange(5), (2, 3)), -rows, rows), "not positive definite"),
    ],
)
def test_validation_names_the_argument_and_the_problem(spoil, complaint: str) -> None:
    good, bad = _rows(6, 8), spoil(_rows(6, 9))
    with pytest.raises(ValueError, match=f"true: .*{complaint}"):
        validate(bad, good)
    with pytest.raises(ValueError, match=f"predicted: .*{complaint}"):
        validate(good, bad)


def test_validation_of_different_lengths() -> None:
    validate(_rows(6, 8), _rows(6, 9))
    with pytest.raises(ValueError, match=r"7 rows for 6"):
        validate(_rows(6, 8), _rows(7, 9))
