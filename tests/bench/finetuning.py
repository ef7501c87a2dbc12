"""Time Table 3, given features and pre-trained networks: ``python finetuning.py --results fine.json``.

Its fifteen entries (three layers of five combinations of domains) in both phases take five folds of three fine-tuned
networks. The goal applies to 240 clips of 15 seconds on two processors. Features and pre-training are not timed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from emobench.benchmark import runs
from emobench.benchmark.features.network_config import NetworkConfig
from emobench.builders.build import build_dataset
from emobench.runtime.environment import package_versions
from emobench.runtime.executor import executor, processors
from emobench.runtime.files import read_json, write_json

SPECS = ("rhythm", "pitch", "rhythm+pitch", "pitch2d", "rhythm+pitch2d")
GOAL = 240.0


def build(folder: Path, workers: int) -> Path:
    """Build the synthetic dataset of the default size and its pre-training set."""
    with executor(workers) as pool:
        build_dataset("synthetic", out=folder / "synthetic", pool=pool)
    return folder / "synthetic"


def table3(places: runs.Places, workers: int, phases: tuple[str, ...]) -> tuple[float, runs.Outcome]:
    """Score the five combinations; return the seconds and the outcome."""
    start = time.perf_counter()
    with executor(workers) as pool:
        outcome = runs.run(
            SPECS, places, runs.RunConfig(phases=phases), NetworkConfig(), device="cpu", pool=pool, force=True
        )
    return time.perf_counter() - start, outcome


def measure(dataset: Path, work: Path, *, workers: int, rounds: int) -> dict[str, Any]:
    """Prepare what is not timed, then compute the table ``rounds`` times without cached fine-tuning."""
    beside = dataset.with_name(f"{dataset.name}-pretrain")
    places = runs.Places(
        dataset=dataset,
        out=work / "results",
        models=work / "models",
        pretrain_data=beside if beside.is_dir() else None,
    )
    prepared, _ = table3(places, workers, ("pre-trained",))
    print(f"features and pre-training, not timed: {prepared:.1f} s")
    durations: list[float] = []
    seconds: list[float] = []
    for _ in range(rounds):
        shutil.rmtree(work / "cache" / "finetuned", ignore_errors=True)
        each, outcome = table3(places, workers, ("pre-trained", "fine-tuned"))
        durations.append(each)
        alone = [
            result
            for result in outcome.results
            if result.phase == "fine-tuned" and result.layer == 0 and "+" not in result.features
        ]
        seconds = [sum(result.model_dump()["config"]["training"][0]["finetuning_seconds"]) for result in alone]
        rows = {(result.features, result.layer) for result in outcome.results if result.layer is not None}
        assert len(rows) == 15, rows
        assert len(alone) == 3, alone
        print(
            f"Table 3: {each:.1f} s, of which the folds of each network, summed: {[round(one, 1) for one in seconds]}"
        )
    return {
        "clips": read_json(dataset / "manifest.json", "manifest")["counts"]["clips"],
        "workers": workers,
        "processors": processors(),
        "seconds": durations,
        "seconds_of_the_folds": seconds,
        "goal": GOAL,
        "met": max(durations) < GOAL,
        "versions": package_versions(),
    }


def main() -> None:
    """Measure, print and write the seconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--dataset", type=Path, help="labelled dataset with audio; default: synthetic, built first")
    parser.add_argument("--work", type=Path, help="folder that keeps features and models; default: a temporary one")
    parser.add_argument("--workers", type=int, default=2, help="worker processes")
    parser.add_argument("--rounds", type=int, default=1, help="how often the table is made")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = options.work or Path(name)
        os.environ["EMOBENCH_CACHE"] = str(work / "cache")
        dataset = options.dataset or build(work / "data", options.workers)
        found = measure(dataset, work, workers=options.workers, rounds=options.rounds)
    state = "met" if found["met"] else "NOT met"
    print(f"the goal of {GOAL:.0f} s on two processors is {state} with {options.workers} workers")
    write_json(options.results, found)


if __name__ == "__main__":
    main()
