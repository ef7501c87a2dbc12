"""Shared fixtures: real data if available, small corpora, an isolated environment."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from pathlib import Path

# Compiled kernels are kept between runs; this must be set before numba is imported. Each test worker has its own cache:
# two workers that write librosa's kernels at once can leave a cache that crashes.
os.environ["NUMBA_CACHE_DIR"] = str(
    Path(__file__).parents[1] / ".pytest_cache" / f"numba-{os.environ.get('PYTEST_XDIST_WORKER', 'alone')}"
)

import numpy as np
import polars as pl
import pytest
from emobench.builders.corpus import LabelledCorpus
from emobench.cards.dataset import About
from emobench.runtime.executor import executor

REAL = Path(__file__).parents[2] / "shared" / "real"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real labels, music and broken files."""
    if not REAL.is_dir():
        pytest.skip("the real data lie beside the checkout on the developers' machines only")
    return REAL


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use a separate cache for each test, and no settings from outside."""
    monkeypatch.setenv("EMOBENCH_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    for name in (
        "EMOBENCH_DATA",
        "EMOBENCH_QUIET",
        "HF_TOKEN",
        "HF_ENDPOINT",
        "SEVENDIGITAL_KEY",
        "SEVENDIGITAL_SECRET",
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def pool() -> Iterator[Executor]:
    """One worker process."""
    with executor(1) as pool:
        yield pool


MakeCorpus = Callable[..., LabelledCorpus]


@pytest.fixture(scope="session")
def make_corpus() -> MakeCorpus:
    """Make a corpus of random ratings without audio."""

    def make(albums: list[int], *, seconds: int = 5, workers: int = 6, seed: int = 0) -> LabelledCorpus:
        generator = np.random.default_rng(seed)
        owner = np.repeat(np.arange(len(albums)), albums)
        names = [f"c{number:03}" for number in range(len(owner))]
        clips = pl.DataFrame(
            {
                "clip_id": names,
                "song_id": names,
                "artist": [f"Artist {album}" for album in owner],
                "album": [f"Album {album}" for album in owner],
                "title": names,
                "start": 0.0,
                "duration": float(seconds),
                "audio": pl.Series([None] * len(names), dtype=pl.String),
            }
        )
        tables = []
        for name in names:
            centre = generator.uniform(-0.3, 0.3, 2)
            points = np.clip(centre + generator.normal(0, 0.15, (workers, seconds, 2)), -0.5, 0.5)
            tables.append(
                pl.DataFrame(
                    {
                        "clip_id": [name] * workers * seconds,
                        "trace": pl.Series(np.repeat(np.arange(workers), seconds), dtype=pl.Int32),
                        "annotator_id": [str(worker) for worker in np.repeat(np.arange(workers), seconds)],
                        "time": np.tile(np.arange(1.0, seconds + 1), workers),
                        "arousal": points[:, :, 0].ravel(),
                        "valence": points[:, :, 1].ravel(),
                    }
                )
            )
        about = About("Test corpus", "Made in a test.", "cc0-1.0", "@misc{test}", "None.")
        return LabelledCorpus(clips, pl.concat(tables), about, {"type": "test", "seed": seed})

    return make
