"""Features that results store: what the regressor received, once for all entries of a run that share them."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from emobench.benchmark import runs
from emobench.benchmark.features.network_config import NetworkConfig
from emobench.benchmark.results.beside import features_path, parameters_path
from emobench.benchmark.results.model import Result
from emobench.benchmark.results.verify import verify
from emobench.benchmark.results.verify_data import Datasets
from emobench.benchmark.scoring.task import load_task
from emobench.builders import labelled_dataset as labelled
from emobench.protocols import Feature

SEED = 5


def _file(rated: Path, folder: Path) -> tuple[Path, pl.DataFrame]:
    """Write values of every second that float32 cannot hold exactly."""
    task = load_task(labelled.load(rated))
    values = np.random.default_rng(SEED).normal(0, 1 / 3, (len(task.times), 3))
    table = pl.DataFrame({"clip_id": [task.clips[clip] for clip in task.clip_index], "time": task.times})
    table = table.with_columns(pl.Series(f"x{place}", values[:, place]) for place in range(3))
    table.write_csv(folder / "mine.csv")
    return folder / "mine.csv", table


def _run(
    rated: Path, folder: Path, pool: Executor, origin: dict[str, str] | None = None, **config: Any
) -> list[Result]:
    places = runs.Places(dataset=rated, out=folder / "results", models=folder / "models", dataset_origin=origin or {})
    settings = replace(runs.RunConfig(), **config)
    outcome = runs.run([f"file:{folder / 'mine.csv'}"], places, settings, NetworkConfig(), device="cpu", pool=pool)
    return [each for each in outcome.results if not each.reference]


def test_float32_values_are_stored_once_for_all_regressors(rated: Path, tmp_path: Path, pool: Executor) -> None:
    _, table = _file(rated, tmp_path)
    found = _run(rated, tmp_path, pool, regressors=("mlr", "ridge", "svr"))
    stored = [features_path(each.path) for each in found]
    assert len({path.stat().st_ino for path in stored}) == 1
    assert len({each.files.features for each in found}) == 1
    values = pl.read_parquet(stored[0])
    assert values.schema == {"clip_id": pl.String, "time": pl.Float64, "values": pl.List(pl.Float32)}
    wanted = table.select("x0", "x1", "x2").to_numpy().astype(np.float32)
    np.testing.assert_array_equal(np.array(values["values"].to_list(), np.float32), wanted)
    assert values.select("clip_id", "time").equals(table.select("clip_id", "time"))
    assert [parameters_path(each.path).is_file() for each in found] == [False, False, True]
    assert not list(tmp_path.rglob("constant*.features.parquet"))


def test_features_are_stored_after_pooling(rated: Path, tmp_path: Path, pool: Executor) -> None:
    _, table = _file(rated, tmp_path)
    (found,) = _run(rated, tmp_path, pool, task="clip")
    values = pl.read_parquet(features_path(found.path))
    columns = ("x0", "x1", "x2")
    pooled = table.group_by("clip_id", maintain_order=True).agg(
        *(pl.col(name).mean() for name in columns), *(pl.col(name).std(ddof=0).alias(f"{name} sd") for name in columns)
    )
    assert values["clip_id"].to_list() == pooled["clip_id"].to_list()
    stored = np.array(values["values"].to_list())
    np.testing.assert_allclose(stored, pooled.drop("clip_id").to_numpy(), rtol=1e-6)


def test_a_result_without_its_features_is_computed_again(rated: Path, tmp_path: Path, pool: Executor) -> None:
    _file(rated, tmp_path)
    (first,) = _run(rated, tmp_path, pool, regressors=("svr",))
    for beside in (features_path(first.path), parameters_path(first.path)):
        content = beside.read_bytes()
        beside.unlink()
        (again,) = _run(rated, tmp_path, pool, regressors=("svr",))
        assert beside.read_bytes() == content
        assert again.signature == first.signature


def test_a_result_that_is_renewed_keeps_its_files(rated: Path, tmp_path: Path, pool: Executor) -> None:
    _file(rated, tmp_path)
    (first,) = _run(rated, tmp_path, pool, regressors=("svr",))
    (again,) = _run(rated, tmp_path, pool, {"repo": "ann/tiny", "commit": "a" * 40}, regressors=("svr",))
    assert again.dataset.repo == "ann/tiny"
    assert again.files == first.files
    assert verify(again.path, Datasets([rated], tmp_path, only=True), tmp_path).level == "regression"


class _Trained(Feature):
    """A feature that is fitted on the training clips of each fold."""

    name, sample_rate, trainable = "trained", 8000, True

    def fit(self, clips: list[np.ndarray], targets: list[np.ndarray]) -> None:
        self.level = float(np.mean([each[:, 0].mean() for each in targets]))

    def __call__(self, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        seconds = np.arange(0.5, len(samples) / 8000)
        loud = [np.abs(samples[int(t * 8000 - 4000) : int(t * 8000 + 4000)]).mean() for t in seconds]
        return seconds, np.column_stack([loud, np.array(loud) * self.level])


def test_features_that_depend_on_the_fold_have_its_repeat(with_audio: Path, tmp_path: Path, pool: Executor) -> None:
    import emobench as eb

    found = eb.run(with_audio / "syn", _Trained(), out=tmp_path / "results", workers=1)["trained"]
    values = pl.read_parquet(features_path(found.path))
    task = load_task(labelled.load(with_audio / "syn"))
    assert values["repeat"].to_list() == [fold.repeat for fold in task.folds for _ in task.times]
    levels = []
    for fold, (_, own) in zip(task.folds, values.group_by("repeat", maintain_order=True), strict=True):
        loud, scaled = np.array(own["values"].to_list()).T
        clips = np.unique(task.clip_index[fold.train])
        level = np.mean([task.targets[task.clip_index == clip, 0].mean() for clip in clips])
        np.testing.assert_allclose(scaled, loud * level, rtol=1e-5)
        levels.append(level)
    assert len(set(levels)) > 1
    datasets = Datasets([with_audio / "syn"], tmp_path, only=True)
    assert verify(found.path, datasets, tmp_path).level == "regression"
    # At the level features the name of the feature must be known.
    report = verify(found.path, datasets, tmp_path, level="features", pool=pool)
    assert (report.ok, report.level) == (False, "regression")
    assert any("trained" in each for each in report.missing)
