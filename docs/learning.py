"""Write the tables of docs/learning.md: ``python docs/learning.py FOLDER VGMIDI POP909``.

FOLDER keeps datasets, models, results and the output of every command, so that an interrupted run can be resumed.
VGMIDI is the dataset that ``emobench build-data vgmidi --download`` builds, and POP909 a folder of MIDI files.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import mean, stdev
from typing import Any

PAGE = Path(__file__).with_name("learning.md")
FOUR = "mfcc+chroma+spectral_shape+spectral_contrast"
DOMAINS = ("rhythm", "pitch", "pitch2d", "texture")
SEEDS = (0, 1, 2)
EPOCHS = "20"
CORPORA = {
    "VGMIDI, per piece": ("vgmidi", "clip"),
    "VGMIDI, per second": ("vgmidi", "second"),
    "synthetic corpus, per second": ("synthetic", "second"),
}
SONGS = (60, 240)

# Of test to training clips; the corrected t statistic uses it (Nadeau and Bengio 2003).
SHARE = 0.3 / 0.5

Scores = dict[str, list[list[float]]]


class Measured:
    """Commands, whose JSON output is kept, and the scores of their entries."""

    def __init__(self, folder: Path, datasets: dict[str, Path]) -> None:
        self.folder, self.datasets = folder, datasets

    def emobench(self, *arguments: str) -> Any:
        """Run a command, unless its output is there, and return its output."""
        name = hashlib.sha256("\0".join(arguments).encode()).hexdigest()[:16]
        kept = self.folder / "output" / f"{name}.json"
        if not kept.is_file():
            call = [sys.executable, "-m", "emobench", *arguments, "--json", "--quiet"]
            environment = {**os.environ, "EMOBENCH_CACHE": str(self.folder / "cache")}
            ran = subprocess.run(call, cwd=self.folder, env=environment, stdout=subprocess.PIPE, text=True, check=True)
            kept.parent.mkdir(exist_ok=True)
            kept.write_text(ran.stdout)
        return json.loads(kept.read_text())

    def scores(self, corpus: str, *arguments: str, seeds: tuple[int, ...] = SEEDS) -> Scores:
        """Return the mean distance of each repeat, for each seed, by the name of the entry."""
        data, task = CORPORA[corpus]
        found: Scores = {}
        for seed in seeds:
            where = ["--dataset", str(self.datasets[data]), "--task", task, "--regressor", "ridge"]
            ran = self.emobench("run", *where, *arguments, "--seed", str(seed))
            for result in ran["results"]:
                layer = "" if result["layer"] is None else f"/{result['layer']}/{result['phase']}"
                distances = result["scores"]["mean_distance"]["per_repeat"]
                found.setdefault(result["features"] + layer, []).append(distances)
        return found


def average(scores: list[list[float]]) -> float:
    """Return the mean over seeds and repeats."""
    return mean(mean(repeats) for repeats in scores)


def shown(scores: list[list[float]]) -> str:
    """Format the mean, and the range over the seeds."""
    seeds = [mean(repeats) for repeats in scores]
    spread = f" ({min(seeds):.4f} to {max(seeds):.4f})" if len(seeds) > 1 else ""
    return f"{mean(seeds):.4f}{spread}"


def apart(scores: list[list[float]], others: list[list[float]]) -> str:
    """Format the difference of means over seeds, and its corrected t statistic over the repeats."""
    one, other = ([mean(repeats) for repeats in zip(*each, strict=True)] for each in (scores, others))
    differences = [first - second for first, second in zip(one, other, strict=True)]
    spread = stdev(differences) * (1 / len(differences) + SHARE) ** 0.5
    return f"{mean(differences):+.4f} (t {mean(differences) / spread:+.1f})".replace("-", "−")


def table(columns: list[str], rows: list[list[str]], *, text: int) -> list[str]:
    """Format a table."""
    ruler = ["---"] * text + ["---:"] * (len(columns) - text)
    return ["", *(f"| {' | '.join(row)} |" for row in (columns, ruler, *rows)), ""]


def contrastive_rows(measured: Measured, corpus: str, four: list[list[float]]) -> list[list[str]]:
    """Compare encoders with random weights and the standard features."""
    rows = []
    for window in (4, 8):
        found = measured.scores(
            corpus, "--features", "contrastive", "--features", f"{FOUR}+contrastive", "--window", str(window)
        )
        for spec, name in (("contrastive", "alone"), (f"{FOUR}+contrastive", "with the four")):
            trained, control = (found[f"{spec}/0/{phase}"] for phase in ("pre-trained", "random"))
            rows.append(
                [f"{window} beats, {name}", shown(trained), shown(control), apart(trained, control)]
                + [apart(trained, four)]
            )
    return rows


def network_rows(measured: Measured, corpus: str, four: list[list[float]]) -> list[list[str]]:
    """Compare deep belief networks with random weights and the standard features, one seed."""
    specs = {(domain, "alone"): domain for domain in DOMAINS}
    specs |= {(domain, "with the four"): f"{FOUR}+{domain}" for domain in DOMAINS}
    asked = [word for spec in specs.values() for word in ("--features", spec)]
    settings = ["--phase", "pre-trained", "--phase", "random", "--epochs", EPOCHS, "--layer", "0", "--layer", "2"]
    found = measured.scores(corpus, *asked, *settings, seeds=(0,))
    rows = []
    for (domain, name), spec in specs.items():
        for layer in (0, 2):
            trained, control = (found[f"{spec}/{layer}/{phase}"] for phase in ("pre-trained", "random"))
            rows.append(
                [f"`{domain}` {layer}, {name}", shown(trained), shown(control), apart(trained, control)]
                + [apart(trained, four)]
            )
    return rows


def tuned_rows(measured: Measured, corpus: str, four: list[list[float]]) -> list[list[str]]:
    """Compare fine-tuned networks with networks that were trained from random weights, one seed."""
    asked = [word for domain in DOMAINS for word in ("--features", domain)]
    settings = ["--phase", "fine-tuned", "--phase", "random-fine-tuned", "--epochs", EPOCHS, "--layer", "2"]
    found = measured.scores(corpus, *asked, *settings, seeds=(0,))
    rows = []
    for domain in DOMAINS:
        trained, control = (found[f"{domain}/2/{phase}"] for phase in ("fine-tuned", "random-fine-tuned"))
        rows.append([f"`{domain}` 2", shown(trained), shown(control), apart(trained, control), apart(trained, four)])
    return rows


def transfer_rows(measured: Measured, four: list[list[float]], pop909: Path) -> list[list[str]]:
    """Compare pre-training sets for VGMIDI, per piece, 8 beats."""
    sets: list[tuple[str, list[str]]] = [("its own 200 pieces", [])]
    for clips in SONGS:
        songs, out = measured.folder / f"songs-{clips}", measured.folder / "data" / f"pop909-{clips}"
        if not songs.is_dir():
            for song in sorted(pop909.iterdir())[:clips]:
                shutil.copytree(song, songs / song.name)
        measured.emobench("build-data", "midi", "--folder", str(songs), "--out", str(out))
        sets.append((f"{clips} pop songs", ["--pretrain-data", str(out)]))
    rows = []
    for name, data in sets:
        for own in ([], ["--own-statistics"]) if data else ([],):
            specs = ["--features", "contrastive", "--features", f"{FOUR}+contrastive", "--window", "8"]
            found = measured.scores("VGMIDI, per piece", *specs, *data, *own)
            trained, control = (found[f"contrastive/0/{phase}"] for phase in ("pre-trained", "random"))
            joined = found[f"{FOUR}+contrastive/0/pre-trained"]
            statistics = "VGMIDI's" if own or not data else "of the set"
            rows.append([name, statistics, shown(trained), apart(trained, control), shown(joined), apart(joined, four)])
    return rows


def main(folder: Path, vgmidi: Path, pop909: Path) -> None:
    """Measure, and write the tables between the marks of the page."""
    folder.mkdir(parents=True, exist_ok=True)
    datasets = {"synthetic": folder / "data" / "synthetic", "vgmidi": vgmidi}
    measured = Measured(folder, datasets)
    columns = ["", "trained", "random", "trained − random", "trained − the four"]
    lines: list[str] = []
    for corpus in CORPORA:
        if CORPORA[corpus][0] == "synthetic":
            measured.emobench("build-data")
        references = measured.scores(corpus, "--features", FOUR, seeds=(0,))
        four = references[FOUR]
        lines += [
            f"## {corpus[0].upper()}{corpus[1:]}",
            "",
            f"The training mean scores {shown(references['constant'])}, the four standard families {shown(four)}, and "
            f"one half of the annotators, predicted by the other half, {shown(references['human'])}.",
        ]
        lines += table(["contrastive", *columns[1:]], contrastive_rows(measured, corpus, four), text=1)
        lines += table(["network, layer", *columns[1:]], network_rows(measured, corpus, four), text=1)
        if CORPORA[corpus][0] == "synthetic":
            columns_of_tuned = ["fine-tuned, layer", "from pre-trained", "from random", "difference", "− the four"]
            lines += table(columns_of_tuned, tuned_rows(measured, corpus, four), text=1)
        if corpus == "VGMIDI, per piece":
            lines += ["Encoders that were pre-trained on other music, 8 beats:"]
            columns_of_sets = ["pre-training set", "mean and scale", "alone", "− random", "with the four", "− the four"]
            lines += table(columns_of_sets, transfer_rows(measured, four, pop909), text=2)
    before, _, after = PAGE.read_text().partition("<!-- tables -->\n")
    _, end, after = after.partition("<!-- end of tables -->\n")
    PAGE.write_text(before + "<!-- tables -->\n" + "\n".join(lines).strip() + "\n\n" + end + after)


if __name__ == "__main__":
    main(*(Path(argument).resolve() for argument in sys.argv[1:4]))
