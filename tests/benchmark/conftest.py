"""Shared fixtures: small runs on labels alone, and a Hub on loopback with a process that talks to it."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from emobench.benchmark import runs
from emobench.benchmark.features.network_config import NetworkConfig
from emobench.benchmark.scoring.task import load_task
from emobench.builders import labelled_dataset as labelled
from emobench.builders import pretraining
from emobench.builders.labelled_dataset import LabelledConfig
from emobench.builders.pretraining import PretrainConfig
from emobench.builders.synthesis import SynthesisConfig
from emobench.builders.synthesis import corpus as synthetic


@pytest.fixture(scope="session")
def finished_run(make_corpus: Any, tmp_path_factory: pytest.TempPathFactory, pool: Executor) -> Path:
    """A folder with ``data/tiny`` and ``results/tiny@1.0.0``, whose entries are constant, oracle and file:mine.csv."""
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
def with_audio(tmp_path_factory: pytest.TempPathFactory, pool: Executor) -> Path:
    """A folder with the small synthetic datasets ``syn``, of 12 clips, and ``syn-pretrain``, of 4."""
    folder = tmp_path_factory.mktemp("audio")
    settings = SynthesisConfig(n_clips=12, clip_seconds=8, n_pretrain=4, pretrain_seconds=31)
    labelled.build(
        synthetic.load(settings), folder / "syn", name="syn", version="1.0.0", config=LabelledConfig(), pool=pool
    )
    pretraining.build(
        synthetic.load_pretraining(settings),
        folder / "syn-pretrain",
        name="syn-pretrain",
        version="1.0.0",
        config=PretrainConfig(),
        pool=pool,
    )
    return folder


@pytest.fixture(scope="session")
def rated(make_corpus: Any, tmp_path_factory: pytest.TempPathFactory, pool: Executor) -> Path:
    """A labelled dataset without audio."""
    out = tmp_path_factory.mktemp("labels") / "tiny"
    corpus = make_corpus([1] * 24 + [2] * 8, seconds=4)
    labelled.build(corpus, out, name="tiny", version="1.0.0", config=LabelledConfig(), pool=pool)
    return out


@pytest.fixture(scope="session")
def ran(rated: Path, tmp_path_factory: pytest.TempPathFactory, pool: Executor) -> Path:
    """Results of features that follow the targets closely, a little and not at all, and of one that repeats another."""
    folder = tmp_path_factory.mktemp("ran")
    task = load_task(labelled.load(rated))
    means = np.array([task.targets[task.clip_index == song, :2].mean(axis=0) for song in range(len(task.clips))])
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


TESTS = Path(__file__).parents[1]
TOKEN = "hf_" + "annsecret" * 3


def _load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, TESTS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@dataclass(frozen=True)
class Ran:
    """Output and exit status of a command."""

    status: int
    out: str
    err: str
    value: Any = None


class User:
    """The user ann of the Hub with her token; her commands run in one long-lived process."""

    def __init__(self, hub: Any, home: Path) -> None:
        self.hub = hub
        self.home = home
        self.env = {
            **os.environ,
            "HF_ENDPOINT": hub.endpoint,
            "HF_HOME": str(home / "hf"),
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "EMOBENCH_CACHE": str(home / "cache"),
            "HF_TOKEN": TOKEN,
        }
        self.process = subprocess.Popen(
            [sys.executable, str(TESTS / "hub_driver.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=self.env,
            cwd=home,
        )

    def _ask(self, **job: Any) -> Ran:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        ran = Ran(**json.loads(self.process.stdout.readline()))
        assert TOKEN not in ran.out + ran.err
        return ran

    def run(self, *arguments: object, **env: str) -> Ran:
        """Run a command of emobench."""
        return self._ask(arguments=[str(argument) for argument in arguments], env=env)

    def python(self, code: str) -> Any:
        """Return the variable ``value`` after running these lines."""
        ran = self._ask(python=code, env={})
        assert ran.status == 0, ran.err
        return ran.value

    def alone(self, *arguments: object, **env: str) -> subprocess.Popen[str]:
        """Run a command in a separate process."""
        return subprocess.Popen(
            [sys.executable, "-m", "emobench", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**self.env, **env},
            cwd=self.home,
        )

    def asked(self, *methods: str) -> list[str]:
        """Return the paths of requests of some methods since the last call, without checks of cards."""
        found = [path for method, path in self.hub.log if method in methods and path != "/api/validate-yaml"]
        self.hub.log.clear()
        return found


@pytest.fixture(scope="session")
def ann(tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    """The user, with an empty Hub."""
    server = _load("hub_server")
    with server.serving() as hub:
        hub.tokens[TOKEN] = "ann"
        user = User(hub, tmp_path_factory.mktemp("ann"))
        try:
            yield user
        finally:
            assert user.process.stdin is not None and user.process.stdout is not None
            user.process.stdin.close()
            user.process.wait(30)
            user.process.stdout.close()


@pytest.fixture(autouse=True)
def in_order(request: pytest.FixtureRequest) -> Iterator[None]:
    """Reset the failures and the log of the Hub before each test."""
    if "ann" in request.fixturenames:
        user = request.getfixturevalue("ann")
        user.hub.failures.clear()
        user.hub.before = None
        user.hub.lacking = None
        user.hub.log.clear()
    yield


@pytest.fixture(scope="session")
def failure() -> Callable[..., Any]:
    """Return a function that adds a failure: method, pattern of the path, status, times, late."""
    return _load("hub_server").Failure if "hub_server" not in sys.modules else sys.modules["hub_server"].Failure


@pytest.fixture(scope="session")
def tiny(make_corpus: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Build a small dataset from labels alone: name, version, and a seed that makes its content another one."""
    from emobench.runtime.executor import executor

    folder = tmp_path_factory.mktemp("tiny")
    made: dict[tuple[str, str, int], Path] = {}

    def build(name: str = "tiny", version: str = "1.0.0", seed: int = 0) -> Path:
        key = (name, version, seed)
        if key not in made:
            made[key] = folder / "-".join(map(str, key)) / name
            with executor(1) as pool:
                corpus = make_corpus([1] * 8 + [2] * 3, seed=seed)
                labelled.build(corpus, made[key], name=name, version=version, config=LabelledConfig(), pool=pool)
        return made[key]

    return build
