"""A small run that tests of results share: labels alone, one row of a feature file."""

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
