"""Published leaderboards: levels of verification, features that are rounded or left out, forgeries that were merged."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from emobench.benchmark.results.beside import compact_path, features_path
from emobench.benchmark.results.model import predictions_path
from emobench.benchmark.results.store import ResultStore
from emobench.benchmark.scoring.task import load_task
from emobench.builders import labelled_dataset as labelled

from .forging import forged

Tiny = Callable[..., Path]


@pytest.fixture(scope="module")
def results(ann: Any, tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of a feature with a closed-form and a trained regressor, and external predictions."""
    folder = tmp_path_factory.mktemp("levels")
    task = load_task(labelled.load(tiny()))
    values = np.random.default_rng(0).normal(size=(len(task.clips), 3)) * 100
    table = pl.DataFrame({"clip_id": task.clips, **{f"x{place}": values[:, place] for place in range(3)}})
    table.write_csv(folder / "mine.csv")
    arguments = ("--dataset", tiny(), "--out", folder / "results")
    ran = ann.run("run", "-f", f"file:{folder / 'mine.csv'}", "--regressor", "ridge", "--regressor", "svr", *arguments)
    assert ran.status == 0, ran.err
    made = pl.DataFrame({"clip_id": task.clips, "arousal": 0.1, "valence": 0.1})
    made = made.join(_rows(task), on="clip_id")
    made.write_csv(folder / "theirs.csv")
    ran = ann.run("evaluate", folder / "theirs.csv", "--name", "theirs", *arguments)
    assert ran.status == 0, ran.err
    return folder / "results"


def _rows(task: Any) -> pl.DataFrame:
    return pl.DataFrame({"clip_id": [task.clips[clip] for clip in task.clip_index], "time": task.times})


def _levels(ann: Any, repo: str) -> dict[str, str]:
    recorded = json.loads(ann.hub.content("dataset", repo, "main", "results/verified.json"))
    return {signature: each["level"] for signature, each in recorded.items()}


def _shown(ann: Any, repo: str) -> dict[str, str | None]:
    """Level of each entry in the published table of scores, by signature."""
    content = ann.hub.content("dataset", repo, "main", "scores/train-00000.parquet")
    return dict(pl.read_parquet(content).select("signature", "verified").iter_rows())


def _column(page: str) -> dict[str, str]:
    """Cell of each entry in the column Verified of the page's tables, by signature."""
    found = {}
    for table in re.findall(r'<table class="ranking".*?</table>', page, re.DOTALL):
        place = re.findall(r'<th scope="col"[^>]*data-key="([\w-]+)"', table).index("verified")
        for signature, row in re.findall(r'<tr data-entry="(\w+)"[^>]*>(.*?)</tr>', table, re.DOTALL):
            found[signature] = re.findall(r"<t[dh]\b[^>]*>(.*?)</t[dh]>", row, re.DOTALL)[place]
    return found


def test_the_board_shows_the_level_of_each_entry(ann: Any, tiny: Tiny, results: Path) -> None:
    call = ("publish", "leaderboard", "ann/levels", "--results", results)
    ran = ann.run(*call, EMOBENCH_DATA=str(tiny().parent))
    assert ran.status == 0, ran.err
    size = sum(path.stat().st_size for path in results.glob("*/*.predictions.parquet"))
    assert f"predictions: {size:,} bytes; features and parameters: " in ran.err
    levels = {each.signature: "scores" if each.external else "regression" for each in ResultStore(results).results}
    assert _levels(ann, "ann/levels") == levels == _shown(ann, "ann/levels")
    page = ann.hub.content("space", "ann/levels-space", "main", "index.html").decode()
    assert "to regression, when it was published or merged" in page
    assert _column(page) == levels
    assert "tiny@1.0.0: predictions made outside emobench" in page
    card = ann.hub.content("dataset", "ann/levels", "main", "README.md").decode()
    assert f"Verified when they were published or merged: {len(levels) - 1} to regression" in card
    assert "Verified when they were published or merged: 1 to scores" in card
    # Where the dataset is missing, what was recorded is kept.
    ran = ann.run(*call)
    assert "already there, complete and unchanged" in ran.out
    assert _shown(ann, "ann/levels") == levels


def test_entries_that_were_not_verified_are_shown_as_such(ann: Any, results: Path) -> None:
    ran = ann.run("publish", "leaderboard", "ann/unknown", "--results", results)
    assert ran.status == 0, ran.err
    assert _levels(ann, "ann/unknown") == {}
    assert set(_shown(ann, "ann/unknown").values()) == {None}
    page = ann.hub.content("space", "ann/unknown-space", "main", "index.html").decode()
    assert list(_column(page).values()) == 7 * ["no"]
    assert "6 not verified" in ann.hub.content("dataset", "ann/unknown", "main", "README.md").decode()


def test_merged_entries_are_verified_and_forged_ones_left_out(
    ann: Any, tiny: Tiny, results: Path, tmp_path: Path
) -> None:
    own = Path(shutil.copytree(results, tmp_path / "own"))
    for path in own.glob("*/mine-*"):
        path.unlink()
    call = ("publish", "leaderboard", "ann/merged", "--results", own, "--space", "")
    data = {"EMOBENCH_DATA": str(tiny().parent)}
    assert ann.run(*call, **data).status == 0
    task = load_task(labelled.load(tiny()))
    honest, other = (each for each in ResultStore(results).results if each.features == "file:mine.csv")
    truth = [task.targets[fold.test] for fold in task.folds]
    wrong = forged(other, task, tmp_path / "forged", truth)
    files = [
        *(path for path in results.glob(f"*/{honest.path.stem}*")),
        *(path for path in (tmp_path / "forged").glob(f"*/{wrong.stem}*")),
    ]
    repo = ann.hub.repos["dataset", "ann/merged"]
    ann.hub.add(repo, {f"results/tiny@1.0.0/{path.name}": path.read_bytes() for path in files})
    ran = ann.run(*call, **data)
    assert ran.status == 0, ran.err
    assert f"left out: results/tiny@1.0.0/{wrong.stem}.json in the repository: predictions: column arousal" in ran.err
    levels = _levels(ann, "ann/merged")
    assert levels[honest.signature] == "regression"
    assert wrong.stem.rpartition("-")[2] not in {**levels, **_shown(ann, "ann/merged")}


@pytest.mark.parametrize("option", ["--compact", "--without-features"])
def test_features_that_are_rounded_or_left_out(
    ann: Any, tiny: Tiny, results: Path, tmp_path: Path, option: str
) -> None:
    repo = f"ann/{option.strip('-')}"
    call = ("publish", "leaderboard", repo, "--results", results, "--space", "", option)
    data = {"EMOBENCH_DATA": str(tiny().parent)}
    ran = ann.run(*call, **data)
    assert ran.status == 0, ran.err
    full = sum(path.stat().st_size for path in results.glob("*/*.features.parquet"))
    what = "rounded to float16" if option == "--compact" else "left out"
    lost = "others can verify these entries only to the level scores, not to regression"
    assert f"the features, {full:,} bytes, are {what}: {lost}" in ran.err
    files = {path for path in ann.hub.repos["dataset", repo].commits[ann.hub.repos["dataset", repo].branches["main"]]}
    assert not any(path.endswith(".features.parquet") for path in files)
    (result, _) = (each for each in ResultStore(results).results if each.features == "file:mine.csv")
    copy = tmp_path / "results" / "tiny@1.0.0" / result.path.name
    copy.parent.mkdir(parents=True)
    rounded = f"results/tiny@1.0.0/{compact_path(result.path).name}"
    assert (rounded in files) == (option == "--compact")
    for path in files:
        if result.path.stem in path:
            (copy.parent / Path(path).name).write_bytes(ann.hub.content("dataset", repo, "main", path))
    if option == "--compact":
        before = np.array(pl.read_parquet(features_path(result.path))["values"].to_list())
        after = np.array(pl.read_parquet(compact_path(copy))["values"].to_list(), np.float64)
        np.testing.assert_array_equal(after, before.astype(np.float16))
    ran = ann.run("verify", "--all", tmp_path / "results", **data)
    why = "published as float16; float32 is needed" if option == "--compact" else "there is no "
    assert ran.status == 1
    assert f"not verified  {copy} (only scores): " in ran.out
    assert why in ran.out
    assert predictions_path(copy).is_file()


def test_values_that_float16_cannot_hold(ann: Any, tiny: Tiny, results: Path, tmp_path: Path) -> None:
    clips = load_task(labelled.load(tiny())).clips
    pl.DataFrame({"clip_id": clips, "x": np.linspace(0, 1e6, len(clips))}).write_csv(tmp_path / "large.csv")
    arguments = ("--dataset", tiny(), "--out", tmp_path / "results")
    assert ann.run("run", "-f", f"file:{tmp_path / 'large.csv'}", *arguments).status == 0
    ran = ann.run("publish", "leaderboard", "ann/large", "--results", tmp_path / "results", "--compact", "--dry-run")
    assert ran.status == 2
    assert (
        "holds values outside the range of float16, ±65,504; leave --compact out, or use --without-features" in ran.err
    )
    ran = ann.run("publish", "leaderboard", "ann/large", "--results", results, "--compact", "--without-features")
    assert ran.status == 2
    assert "--compact and --without-features: expected at most one of them" in ran.err
