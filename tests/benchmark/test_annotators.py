"""References from single ratings, on simulated annotators of known variance, against the analytic values."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import emobench as eb
import numpy as np
import polars as pl
import pytest
from emobench.benchmark.scoring import annotators
from emobench.benchmark.scoring.task import load_task
from emobench.errors import InputError
from scipy.special import digamma
from scipy.stats import multivariate_normal

CLIPS, RATERS = 900, 12
# Standard deviations of population means and of ratings around them.
BETWEEN, WITHIN = 0.09, 0.08


def _dataset(place: Path, ratings: np.ndarray, *, name: str, timed: bool = False) -> Any:
    """Build a dataset of ratings, shape (clips, raters, seconds, 2); one second without times is a whole clip."""
    clips, raters, seconds, _ = ratings.shape
    names = [f"c{number:04d}" for number in range(clips)]
    pl.DataFrame(
        [(clip, "", f"artist {number}", "album", "", 0, seconds) for number, clip in enumerate(names)],
        ["clip_id", "audio", "artist", "album", "title", "start", "duration"],
        orient="row",
    ).write_csv(place / "clips.csv")
    index = np.indices((clips, raters, seconds)).reshape(3, -1)
    table = pl.DataFrame(
        {
            "clip_id": [names[clip] for clip in index[0]],
            "annotator_id": [f"w{rater}" for rater in index[1]],
            **({"time": index[2] + 1.0} if timed else {}),
            "arousal": ratings.reshape(-1, 2)[:, 0],
            "valence": ratings.reshape(-1, 2)[:, 1],
        }
    )
    table.write_csv(place / "labels.csv")
    eb.build_dataset(
        "table", clips=place / "clips.csv", labels=place / "labels.csv", out=place / name, scale="-0.5,0.5"
    )
    return eb.load_dataset(place / name)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, np.ndarray]:
    """A dataset of whole-clip ratings, and the population mean of each clip."""
    generator = np.random.default_rng(3)
    means = BETWEEN * generator.standard_normal((CLIPS, 1, 1, 2))
    ratings = np.clip(means + WITHIN * generator.standard_normal((CLIPS, RATERS, 1, 2)), -0.5, 0.5)
    return _dataset(tmp_path_factory.mktemp("simulated"), ratings, name="rated"), means[:, 0, 0]


@pytest.fixture(scope="module")
def scores(simulated: tuple[Any, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, float]]:
    dataset, means = simulated
    results = eb.run(dataset, "constant", out=tmp_path_factory.mktemp("results"))
    task = load_task(dataset)
    # The model that the ceiling is about: it knows the population.
    known = pl.DataFrame(
        {
            "clip_id": task.clips,
            "arousal": means[:, 0],
            "valence": means[:, 1],
            "arousal_var": [WITHIN**2] * CLIPS,
            "valence_var": [WITHIN**2] * CLIPS,
            "covariance": [0.0] * CLIPS,
        }
    )
    perfect = eb.evaluate(dataset, known, name="perfect", out=tmp_path_factory.mktemp("perfect"))
    named = {each.features: each for each in [*results, perfect]}
    return {
        name: {metric: each.mean or 0.0 for metric, each in result.scores.items()} for name, result in named.items()
    }


def _analytic() -> dict[str, float]:
    noise, signal, n = WITHIN**2 / RATERS, BETWEEN**2, RATERS
    log = digamma((n - 1) / 2) + digamma((n - 2) / 2) + 2 * np.log(2 / (n - 1))
    return {
        # Mean length of an isotropic Gaussian vector in the plane.
        "mean_distance": np.sqrt(np.pi / 2 * noise),
        "r2_arousal": 1 - noise / (signal + noise),
        "ccc_valence": 2 * signal / (2 * signal + noise),
        "kl_divergence": 1 / n - log / 2,
    }


@pytest.mark.parametrize("metric", list(_analytic()))
@pytest.mark.parametrize("name", ["ceiling", "perfect"])
def test_the_ceiling_is_the_score_of_a_perfect_model(
    scores: dict[str, dict[str, float]], metric: str, name: str
) -> None:
    assert scores[name][metric] == pytest.approx(_analytic()[metric], rel=0.06)


def test_one_half_predicts_the_other(scores: dict[str, dict[str, float]]) -> None:
    half = WITHIN**2 / (RATERS // 2)
    expected = {
        "mean_distance": np.sqrt(np.pi / 2 * 2 * half),
        "r2_arousal": 1 - 2 * half / (BETWEEN**2 + half),
        "ccc_valence": BETWEEN**2 / (BETWEEN**2 + half),
    }
    for metric, value in expected.items():
        assert scores["human"][metric] == pytest.approx(value, rel=0.08)


def test_the_card_of_a_dataset_has_the_scores_of_its_leaderboard(
    simulated: tuple[Any, np.ndarray], scores: dict[str, dict[str, float]]
) -> None:
    card = (simulated[0].folder / "README.md").read_text()
    rows = re.findall(r"^\| `(human|ceiling)` \| (\S+) \| (\S+) \|$", card, re.MULTILINE)
    assert rows == [
        (name, *(f"{scores[name][metric]:.3f}" for metric in ("mean_distance", "kl_divergence")))
        for name in ("human", "ceiling")
    ]
    assert float(rows[1][1]) == pytest.approx(_analytic()["mean_distance"], rel=0.06)
    assert "one prediction per clip" in card


def test_kl_divergence_of_the_perfect_model_by_integration() -> None:
    """The formula in the docstring, against a Monte Carlo average over samples of ratings."""
    generator, n = np.random.default_rng(0), RATERS
    population = multivariate_normal(mean=np.zeros(2), cov=np.eye(2))  # pyright: ignore[reportArgumentType]
    divergences = []
    for _ in range(4000):
        ratings = population.rvs(n, random_state=generator)
        mean, covariance = ratings.mean(axis=0), np.cov(ratings.T)
        divergences.append(0.5 * (np.trace(covariance) + mean @ mean - 2 - np.log(np.linalg.det(covariance))))
    assert np.mean(divergences) == pytest.approx(_analytic()["kl_divergence"], rel=0.05)


def test_references_have_no_rank_and_are_verified(tmp_path: Path) -> None:
    generator = np.random.default_rng(5)
    ratings = generator.uniform(-0.4, 0.4, (20, 6, 4, 2))
    dataset = _dataset(tmp_path, ratings, name="timed", timed=True)
    results = eb.run(dataset, "constant", out=tmp_path / "results")
    assert [each.features for each in results] == ["constant", "oracle", "human", "ceiling"]
    assert all(each.reference for each in results)
    for each in results:
        assert eb.verify(each, datasets=[dataset.folder]).ok
    board = eb.leaderboard(tmp_path / "results")
    assert set(board.ranking.unranked.values()) >= {"uses the ratings of the test part"}
    human = results["human"]
    first = human.predictions.sort("clip_id", "time").row(0, named=True)
    order = np.random.default_rng([1, load_task(dataset).clips.index(first["clip_id"])]).permutation(6)
    own = ratings[int(first["clip_id"][1:]), :, int(first["time"]) - 1]
    np.testing.assert_allclose([first["arousal"], first["valence"]], own[order[:3]].mean(axis=0), atol=1e-9)
    np.testing.assert_allclose([first["true_arousal"], first["true_valence"]], own[order[3:]].mean(axis=0), atol=1e-9)
    assert eb.compare(human, results["ceiling"]).reason == "they were tested against different targets"
    forged = human.predictions.with_columns(true_arousal=pl.col("arousal"))
    forged.write_parquet(human.path.with_suffix(".predictions.parquet"))
    assert not eb.verify(human.path, datasets=[dataset.folder]).ok


def test_the_oracle_and_the_ceiling_of_annotators_who_agree(tmp_path: Path) -> None:
    """Without noise, annotators predict each other perfectly, and the ceiling is 0."""
    means = np.random.default_rng(1).uniform(-0.4, 0.4, (30, 1, 3, 2))
    ratings = np.repeat(means, 4, axis=1) + np.array([-1e-6, 1e-6, -1e-6, 1e-6])[None, :, None, None]
    results = eb.run(_dataset(tmp_path, ratings, name="agree", timed=True), "constant", out=tmp_path)
    assert results["human"].scores["mean_distance"].mean == pytest.approx(0, abs=1e-5)
    assert results["human"].scores["r2_valence"].mean == pytest.approx(1, abs=1e-5)


def test_corpora_without_enough_single_ratings(tmp_path: Path) -> None:
    generator = np.random.default_rng(2)
    dataset = _dataset(tmp_path, generator.uniform(-0.4, 0.4, (12, 4, 3, 2)), name="gaps", timed=True)
    labels = pl.read_csv(tmp_path / "labels.csv")
    labels.filter((pl.col("clip_id") != "c0003") | (pl.col("time") != 2) | (pl.col("annotator_id") < "w2")).write_csv(
        tmp_path / "labels.csv"
    )
    assert annotators.lacking(load_task(dataset)) is None
    assert "Agreement of the annotators" in (dataset.folder / "README.md").read_text()
    eb.build_dataset("table", clips=tmp_path / "clips.csv", labels=tmp_path / "labels.csv", out=tmp_path / "fewer")
    assert "Agreement of the annotators" not in (tmp_path / "fewer" / "README.md").read_text()
    reason = annotators.lacking(load_task(eb.load_dataset(tmp_path / "fewer")))
    assert reason == "clip c0003 has ratings of only 2 of its annotators at 2 s"
    assert [each.features for each in eb.run(tmp_path / "fewer", "constant", out=tmp_path)] == ["constant", "oracle"]
    with pytest.raises(InputError, match="human: clip c0003 has ratings of only 2"):
        eb.run(tmp_path / "fewer", "human", out=tmp_path)
