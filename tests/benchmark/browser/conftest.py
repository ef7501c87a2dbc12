"""Open the page in headless Chromium, driven by playwright."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from emobench.benchmark import runs
from emobench.benchmark.features.network_config import NetworkConfig
from emobench.benchmark.report.leaderboard import load
from emobench.benchmark.scoring.task import load_task
from emobench.builders import labelled_dataset as labelled
from emobench.builders.labelled_dataset import LabelledConfig
from playwright.sync_api import Browser, sync_playwright

from .pages import ARTIST, Seen, copies

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)

# Chromium cannot use its sandbox as root, and its own requests must not count as the page's.
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium here; Debian's package chromium has it")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Seen]]:
    """Open files, each in its own context; after the test, check for errors and network requests."""
    seen: list[Seen] = []

    def open_file(path: Path, *, hash: str = "", **context: Any) -> Seen:
        one = Seen(browser.new_context(**context).new_page())
        one.page.set_default_timeout(10_000)
        one.page.on("console", lambda message: one.wrong.append(message.text))
        one.page.on("pageerror", lambda error: one.wrong.append(str(error)))
        one.page.on("dialog", lambda dialog: one.wrong.append(dialog.message) or dialog.dismiss())
        one.page.on("request", lambda request: one.asked.append(request.url))
        one.page.goto(path.as_uri() + hash)
        seen.append(one)
        return one

    yield open_file
    for one in seen:
        assert one.wrong == []
        assert [url for url in one.asked if not url.startswith(("file:", "blob:", "data:"))] == []
        assert len({url.split("#")[0] for url in one.asked if url.startswith("file:")}) == 1
        one.page.context.close()


@pytest.fixture(scope="module")
def made(make_corpus: Any, tmp_path_factory: pytest.TempPathFactory, pool: Executor) -> Path:
    """A folder with ``data/tiny``, whose first artist is a script, and ``results``: three results and eight copies."""
    folder = tmp_path_factory.mktemp("browser")
    corpus = make_corpus([1] * 40 + [2] * 10, seconds=15)
    script = pl.when(pl.col("clip_id") < "c030").then(pl.lit(ARTIST)).otherwise(pl.col("artist"))
    corpus = replace(corpus, clips=corpus.clips.with_columns(artist=script))
    dataset = folder / "data" / "tiny"
    labelled.build(corpus, dataset, name="tiny", version="1.0.0", config=LabelledConfig(), pool=pool)
    task = load_task(labelled.load(dataset))
    means = np.array([task.targets[task.clip_index == song, :2].mean(axis=0) for song in range(len(task.clips))])
    values = means + np.random.default_rng(0).normal(0, 0.1, means.shape)
    feature = folder / "<b>mine.csv"
    pl.DataFrame({"clip_id": task.clips, "x": values[:, 0], "y": values[:, 1]}).write_csv(feature)
    places = runs.Places(dataset=dataset, out=folder / "results", models=folder / "models")
    runs.run([f"file:{feature}"], places, runs.RunConfig(), NetworkConfig(), device="cpu", pool=pool)
    copies(folder / "results", 8)
    (folder / "results" / "tiny@1.0.0" / "cut.json").write_text('{"schema": 1, <i>')
    return folder


@pytest.fixture(scope="module")
def html(made: Path) -> Path:
    (path,) = load(made / "results").save("html", str(made / "leaderboard.html"), data=made / "data")
    return path
