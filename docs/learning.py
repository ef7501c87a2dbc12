"""Write docs/learning.md: what pre-training brings, on the synthetic corpora: python docs/learning.py FOLDER.

Runs the commands themselves; FOLDER keeps datasets, models and results, so that it can be called again.
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
    """Run a command and give its JSON."""
    call = [sys.executable, "-m", "emobench", *arguments, "--json", "--quiet"]
    environment = {**os.environ, "EMOBENCH_CACHE": str(folder / "cache")}
    ran = subprocess.run(call, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(ran.stdout)


def measure(folder: Path) -> dict[str, dict[tuple[str, int, str], list[tuple[float, float]]]]:
    """Mean distance and its standard deviation over the repeats, for each rate, row and seed."""
    emobench(folder, "build-data")
    found = {}
    for rate in RATES:
        rows = defaultdict(list)
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
                    rows[result["features"], result["layer"], result["phase"]].append((score["mean"], score["std"]))
                elif result["features"] == "constant":
                    rows["constant", 0, ""].append((result["scores"]["mean_distance"]["mean"], 0.0))
        found[rate] = dict(rows)
    return found


def apart(rows: dict[tuple[str, int, str], list[tuple[float, float]]], better: str, worse: str) -> str:
    """Domains and layers where all seeds of one phase score less than all of another."""
    found = [
        f"`{domain}` {layer}"
        for domain in DOMAINS
        for layer in range(3)
        if max(rows[domain, layer, better])[0] < min(rows[domain, layer, worse])[0]
    ]
    return ", ".join(found) or "nowhere"


def main(folder: Path) -> None:
    """Measure and write."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        "# Does it learn?",
        "",
        "What pre-training brings against random weights, and against training from scratch, by domain and layer: mean",
        "distance (less is better) on the synthetic corpus as `emobench build-data` makes it (240 clips, 200 clips for",
        f"pre-training, seed 0). Each number is the mean over the seeds {', '.join(map(str, SEEDS))} of weights, order",
        "and sampling, on the same five folds; in brackets the least and the most of them.",
        "`python docs/learning.py FOLDER` writes this page.",
        "",
    ]
    for rate, rows in measure(folder).items():
        constant = mean(value for value, _ in rows["constant", 0, ""])
        spread = mean(std for (name, _, _), scores in rows.items() if name != "constant" for _, std in scores)
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
                    values = [value for value, _ in rows[domain, layer, phase]]
                    cells.append(f"{mean(values):.4f} ({min(values):.4f} to {max(values):.4f})")
                lines.append(f"| `{domain}` | {layer} | " + " | ".join(cells) + " |")
        for better, worse in (("pre-trained", "random"), ("fine-tuned", "random-fine-tuned")):
            above, below = apart(rows, better, worse), apart(rows, worse, better)
            told = f"Every seed of *{PHASES[better]}* is better than every seed of *{PHASES[worse]}* in"
            lines += ["", f"{told} {above}; worse in {below}."]
        lines.append("")
    (HERE / "learning.md").write_text("\n".join(lines))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
