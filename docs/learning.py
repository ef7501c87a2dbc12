"""Write docs/learning.md, the effect of pre-training on the synthetic corpora: ``python docs/learning.py FOLDER``.

It runs the commands. FOLDER keeps datasets, models and results, so that an interrupted run can be resumed.
"""

import json
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from statistics import mean
from typing import Any

HERE = Path(__file__).parent
DOMAINS = ("rhythm", "pitch", "pitch2d")
RATES = ("1e-5", "1e-4")
SEEDS = (0, 1, 2)
PHASES = {
    "random": "random weights",
    "pre-trained": "pre-trained",
    "random-fine-tuned": "trained from scratch",
    "fine-tuned": "pre-trained and fine-tuned",
}


def emobench(folder: Path, *arguments: str) -> Any:
    """Run a command and return its JSON output."""
    call = [sys.executable, "-m", "emobench", *arguments, "--json", "--quiet"]
    environment = {**os.environ, "EMOBENCH_CACHE": str(folder / "cache")}
    ran = subprocess.run(call, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(ran.stdout)


def measure(folder: Path) -> dict[str, dict[tuple[str, int, str], list[tuple[float, float]]]]:
    """Return the mean distance and its standard deviation over the repeats, by rate, entry and seed."""
    emobench(folder, "build-data")
    found = {}
    for rate in RATES:
        entries = defaultdict(list)
        for seed in SEEDS:
            settings = ["--seed", str(seed), "--models", f"models-{rate}"]
            names = [part for name in DOMAINS for part in ("--features", name)]
            made = emobench(folder, "pretrain", *names, "--rate", rate, *settings)
            models = [part for model in made for part in ("--model", model["model"])]
            results = emobench(
                folder, "run", *names, *models, "--control", "--seed", str(seed), "--out", f"results-{rate}"
            )
            for result in results["results"]:
                if result["features"] in DOMAINS:
                    score = result["scores"]["mean_distance"]
                    entries[result["features"], result["layer"], result["phase"]].append((score["mean"], score["std"]))
                elif result["features"] == "constant":
                    entries["constant", 0, ""].append((result["scores"]["mean_distance"]["mean"], 0.0))
        found[rate] = dict(entries)
    return found


def separated(entries: dict[tuple[str, int, str], list[tuple[float, float]]], better: str, worse: str) -> str:
    """List the domains and layers in which every seed of one phase has a lower error than every seed of another."""
    found = [
        f"`{domain}` {layer}"
        for domain in DOMAINS
        for layer in range(3)
        if max(entries[domain, layer, better])[0] < min(entries[domain, layer, worse])[0]
    ]
    return ", ".join(found) or "none"


def main(folder: Path) -> None:
    """Measure and write the page."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        "# Does pre-training help?",
        "",
        "This page compares pre-trained networks with random weights, and fine-tuning of pre-trained networks with",
        "training from scratch, by domain and layer. The scores are mean distances (lower is better) on the synthetic",
        "corpus built by `emobench build-data` (240 clips, 200 clips for pre-training, seed 0). Each number is the",
        f"mean over the seeds {', '.join(map(str, SEEDS))} of weights, order and sampling, on the same five folds,",
        "with the minimum and maximum in parentheses. `python docs/learning.py FOLDER` writes this page.",
        "",
    ]
    for rate, entries in measure(folder).items():
        constant = mean(value for value, _ in entries["constant", 0, ""])
        spread = mean(std for (name, _, _), scores in entries.items() if name != "constant" for _, std in scores)
        lines += [
            f"## Learning rate {rate}" + (", the paper's" if rate == "1e-5" else ""),
            "",
            f"The training mean scores {constant:.4f}. The mean standard deviation over the folds is {spread:.4f}.",
            "",
            "| features | layer | " + " | ".join(PHASES.values()) + " |",
            "| --- | --- |" + " ---: |" * len(PHASES),
        ]
        for domain in DOMAINS:
            for layer in range(3):
                cells = []
                for phase in PHASES:
                    values = [value for value, _ in entries[domain, layer, phase]]
                    cells.append(f"{mean(values):.4f} ({min(values):.4f} to {max(values):.4f})")
                lines.append(f"| `{domain}` | {layer} | " + " | ".join(cells) + " |")
        for better, worse in (("pre-trained", "random"), ("fine-tuned", "random-fine-tuned")):
            lines += ["", f"Layers in which every seed of *{PHASES[better]}* is", ""]
            lines += [f"- better than every seed of *{PHASES[worse]}*: {separated(entries, better, worse)};"]
            lines += [f"- worse than every seed of *{PHASES[worse]}*: {separated(entries, worse, better)}."]
        lines.append("")
    (HERE / "learning.md").write_text("\n".join(lines))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
