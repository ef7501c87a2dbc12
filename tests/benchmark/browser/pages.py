"""Helpers of the browser tests: open pages, and results to render."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from emobench.benchmark.scoring.metrics import kl_divergences, mean_distances
from emobench.builders.targets import PARAMETERS
from emobench.runtime.files import sha256_file, write_json, write_parquet
from playwright.sync_api import Page, expect

ARTIST = "<script>window.hacked = true; alert(1)</script>"
PHASES = ("pre-trained", "fine-tuned", "random", "random-fine-tuned")


@dataclass
class Seen:
    """An open page, with its errors and requests."""

    page: Page
    wrong: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


def open_panel(page: Page, name: str) -> None:
    page.get_by_role("button", name=name).first.click()
    expect(page.get_by_role("dialog")).to_be_visible()


def first_predictions(made: Path, signature: str) -> pl.DataFrame:
    """Return the predictions of an entry in the first repeat that tests each clip, with distances."""
    path = next((made / "results").glob(f"*/*-{signature}.predictions.parquet"))
    apart = [(pl.col(axis) - pl.col(f"true_{axis}")) ** 2 for axis in ("arousal", "valence")]
    table = pl.read_parquet(path).with_columns(distance=(apart[0] + apart[1]).sqrt())
    return table.filter(pl.col("repeat") == pl.col("repeat").min().over("clip_id"))


def copies(results: Path, count: int) -> None:
    """Add results of networks whose predictions are increasingly noisy, with the resulting scores."""
    source = next(results.glob("*/constant-*.json"))
    result, table = json.loads(source.read_text()), pl.read_parquet(source.with_suffix(".predictions.parquet"))
    generator = np.random.default_rng(1)
    for number in range(count):
        off = 0.02 + 0.1 * number / count
        noisy = table.with_columns(
            (pl.col(f"true_{axis}") + pl.Series(generator.normal(0, off, len(table)))).alias(axis)
            for axis in ("arousal", "valence")
        )
        path = source.with_name(f"copy-{number:012x}.json")
        write_parquet(path.with_suffix(".predictions.parquet"), noisy)
        changed = {
            **result,
            "signature": f"{number:012x}",
            "features": f"file:{number:03}.csv+rhythm",
            "layer": number % 3,
            "phase": PHASES[number % 4],
            "scores": result["scores"] | _scores(noisy),
            "files": {"predictions": sha256_file(path.with_suffix(".predictions.parquet")), "features": None},
        }
        # The digests do not match: tables do not check them, and computing those of 500 results takes long.
        write_json(path, changed)


def _scores(table: pl.DataFrame) -> dict[str, Any]:
    true, predicted = (
        table.select(f"true_{name}" for name in PARAMETERS).to_numpy(),
        table.select(PARAMETERS).to_numpy(),
    )
    found = {}
    for name, score in (("mean_distance", mean_distances), ("kl_divergence", kl_divergences)):
        values = table.select("repeat", score=pl.Series(score(true, predicted)))
        means = values.group_by("repeat", maintain_order=True).mean()["score"].to_numpy()
        mean, std = float(means.mean()), float(means.std(ddof=1))
        found[name] = {"mean": mean, "std": std, "per_repeat": means.tolist(), "ci95": [mean - std, mean + std]}
    return found
