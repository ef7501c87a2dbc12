"""Small runs that tests of results share: labels alone, rows of feature files."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from emobench.benchmark import runs
from emobench.benchmark.networks import NetworkConfig
from emobench.benchmark.task import load_task
from emobench.builders import labelled
from emobench.builders.labelled import LabelledConfig


@pytest.fixture(scope="session")
def finished_run(make_corpus: Any, tmp_path_factory: pytest.TempPathFactory, pool: Executor) -> Path:
    """A folder with ``data/tiny`` and ``results/tiny@1.0.0``, whose rows are constant, oracle and file:mine.csv."""
    folder = tmp_path_factory.mktemp("finished")
    dataset = folder / "data" / "tiny"
    labelled.build(
        make_corpus([1] * 9 + [2] * 3), dataset, name="tiny", version="1.0.0", config=LabelledConfig(), pool=pool
    )
    task = load_task(labelled.load(dataset))
    values = np.random.default_rng(1).normal(size=(len(task.clips), 2))
    pl.DataFrame({"clip_id": task.clips, "x": values[:, 0], "y": values[:, 1]}).write_csv(folder / "mine.csv")
    places = runs.Places(dataset=dataset, out=folder / "results", models=folder / "models")
    features = [f"file:{folder / 'mine.csv'}"]
    runs.run(features, places, runs.RunConfig(), NetworkConfig(), device="cpu", pool=pool)
    return folder


@pytest.fixture
def results(finished_run: Path, tmp_path: Path) -> Path:
    """A copy of the results of the run that a test may change."""
    return Path(shutil.copytree(finished_run / "results", tmp_path / "results"))


@pytest.fixture
def row(results: Path) -> Callable[[str], Path]:
    """Give the path of the result of a row among ``results``."""
    return lambda name: next((results / "tiny@1.0.0").glob(f"{name}-*.json"))


@pytest.fixture(scope="session")
def rated(make_corpus: Any, tmp_path_factory: pytest.TempPathFactory, pool: Executor) -> Path:
    """A labelled dataset without audio."""
    out = tmp_path_factory.mktemp("labels") / "tiny"
    corpus = make_corpus([1] * 24 + [2] * 8, seconds=4)
    labelled.build(corpus, out, name="tiny", version="1.0.0", config=LabelledConfig(), pool=pool)
    return out


@pytest.fixture(scope="session")
def ran(rated: Path, tmp_path_factory: pytest.TempPathFactory, pool: Executor) -> Path:
    """Results of features that know the targets well, a little, and not at all, and of one that is another twice."""
    folder = tmp_path_factory.mktemp("ran")
    task = load_task(labelled.load(rated))
    means = np.array([task.targets[task.songs == song, :2].mean(axis=0) for song in range(len(task.clips))])
    generator = np.random.default_rng(0)
    specs = []
    for name, noise in (("good", 0.03), ("alike", 0.03), ("noise", 10.0)):
        values = means + generator.normal(0, noise, means.shape)
        specs.append(_feature_file(folder / f"{name}.csv", task.clips, values))
    specs.append(_feature_file(folder / "again.csv", task.clips, values))
    places = runs.Places(dataset=rated, out=folder / "results", models=folder / "models")
    runs.run(specs, places, runs.RunConfig(), NetworkConfig(), device="cpu", pool=pool)
    return folder / "results"


def _feature_file(path: Path, clips: list[str], values: np.ndarray) -> str:
    pl.DataFrame({"clip_id": clips, "x": values[:, 0], "y": values[:, 1]}).write_csv(path)
    return f"file:{path}"
