"""Write the tables of docs/learning.md: ``python docs/learning.py FOLDER VGMIDI POP909 RECORDINGS [--kept]``.

With ``--kept`` nothing is run, and rows whose commands have not been run are left out. FOLDER keeps datasets, models,
results and the output of every command, so that an interrupted run can be resumed. VGMIDI is the dataset that
``emobench build-data vgmidi --download`` builds, POP909 a folder of MIDI files, and RECORDINGS one of audio files.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import polars as pl

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


class NotMeasuredError(Exception):
    """A command that has not been run."""


class Measured:
    """Commands, whose JSON output is kept, and the scores of their entries."""

    def __init__(self, folder: Path, datasets: dict[str, Path], *, kept: bool = False) -> None:
        self.folder, self.datasets, self.kept = folder, datasets, kept

    def emobench(self, *arguments: str) -> Any:
        """Run a command, unless its output is there, and return its output."""
        name = hashlib.sha256("\0".join(arguments).encode()).hexdigest()[:16]
        kept = self.folder / "output" / f"{name}.json"
        if self.kept and not kept.is_file():
            raise NotMeasuredError
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
        where = ["--dataset", str(self.datasets[data]), "--task", task, "--regressor", "ridge"]
        for seed in seeds:
            try:
                ran = self.emobench("run", *where, *arguments, "--seed", str(seed))
            except NotMeasuredError:
                continue
            for result in ran["results"]:
                layer = "" if result["layer"] is None else f"/{result['layer']}/{result['phase']}"
                distances = result["scores"]["mean_distance"]["per_repeat"]
                found.setdefault(result["features"] + layer, []).append(distances)
        if not found:
            raise NotMeasuredError
        return found


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


Rows = Iterator[list[str]]


def contrastive_rows(measured: Measured, corpus: str, four: list[list[float]]) -> Rows:
    """Compare encoders with random weights and the standard features."""
    for window in (4, 8):
        specs = ["--features", "contrastive", "--features", f"{FOUR}+contrastive", "--window", str(window)]
        found = measured.scores(corpus, *specs)
        for spec, name in (("contrastive", "alone"), (f"{FOUR}+contrastive", "with the four")):
            yield row(f"{window} beats, {name}", found, f"{spec}/0", four)


def network_rows(measured: Measured, corpus: str, four: list[list[float]]) -> Rows:
    """Compare deep belief networks with random weights and the standard features, one seed."""
    settings = ["--phase", "pre-trained", "--phase", "random", "--epochs", EPOCHS, "--layer", "0", "--layer", "2"]
    for domain in DOMAINS:
        specs = {"alone": domain, "with the four": f"{FOUR}+{domain}"}
        asked = [word for spec in specs.values() for word in ("--features", spec)]
        found = measured.scores(corpus, *asked, *settings, seeds=(0,))
        for name, spec in specs.items():
            for layer in (0, 2):
                yield row(f"`{domain}` {layer}, {name}", found, f"{spec}/{layer}", four)


def tuned_rows(measured: Measured, corpus: str, four: list[list[float]]) -> Rows:
    """Compare fine-tuned networks with networks that were trained from random weights, one seed."""
    settings = ["--phase", "fine-tuned", "--phase", "random-fine-tuned", "--epochs", EPOCHS, "--layer", "2"]
    for domain in DOMAINS:
        found = measured.scores(corpus, "--features", domain, *settings, seeds=(0,))
        yield row(f"`{domain}` 2", found, f"{domain}/2", four, "fine-tuned")


def tuned_encoder_rows(measured: Measured, corpus: str, four: list[list[float]]) -> Rows:
    """Compare fine-tuned encoders with those that were trained from random weights, 4 beats, one seed."""
    found = measured.scores(corpus, "--features", "contrastive", "--phase", "fine-tuned", seeds=(0,))
    yield row("4 beats", found, "contrastive/0", four, "fine-tuned")


def pretraining_sets(measured: Measured, pop909: Path, recordings: Path) -> Iterator[tuple[str, Path]]:
    """Build pre-training sets of other music than the rated one; yield their descriptions and folders."""
    for clips in SONGS:
        songs, out = measured.folder / f"songs-{clips}", measured.folder / "data" / f"pop909-{clips}"
        if not songs.is_dir() and not measured.kept:
            for song in sorted(pop909.iterdir())[:clips]:
                shutil.copytree(song, songs / song.name)
        measured.emobench("build-data", "midi", "--folder", str(songs), "--out", str(out))
        # One minute of each.
        yield f"{clips} pop songs, {clips // 60} h", out
    out = measured.folder / "data" / "recordings"
    whole = ["--max-duration", "3600", "--min-duration", "10", "--min-bit-rate", "0"]
    measured.emobench("build-data", "audio", "--folder", str(recordings), "--out", str(out), *whole)
    kept = pl.read_parquet(out / "clips" / "*.parquet").filter("kept")
    yield f"{len(kept)} recordings, {kept['duration'].sum() / 3600:.1f} h", out


def transfer_rows(measured: Measured, four: list[list[float]], pop909: Path, recordings: Path) -> Rows:
    """Compare pre-training sets for VGMIDI, per piece, 8 beats."""
    specs = ["--features", "contrastive", "--features", f"{FOUR}+contrastive", "--window", "8"]
    for music, data in pretraining_sets(measured, pop909, recordings):
        for own in ([], ["--own-statistics"]):
            found = measured.scores("VGMIDI, per piece", *specs, "--pretrain-data", str(data), *own)
            for spec, name in (("contrastive", "alone"), (f"{FOUR}+contrastive", "with the four")):
                yield row(f"{music}{', statistics of VGMIDI' if own else ''}, {name}", found, f"{spec}/0", four)


def row(what: str, found: Scores, name: str, four: list[list[float]], phase: str = "pre-trained") -> list[str]:
    """Make the row of a trained network and its control."""
    control = found[f"{name}/{'random' if phase == 'pre-trained' else f'random-{phase}'}"]
    trained = found[f"{name}/{phase}"]
    return [what, shown(trained), shown(control), apart(trained, control), apart(trained, four)]


def collected(rows: Rows) -> list[list[str]]:
    """Return rows up to the first that is not measured."""
    found = []
    with suppress(NotMeasuredError):
        found.extend(rows)
    return found


def corpus_lines(measured: Measured, corpus: str, pop909: Path, recordings: Path) -> list[str]:
    """Measure one corpus; return its section of the page."""
    if CORPORA[corpus][0] == "synthetic":
        measured.emobench("build-data")
    references = measured.scores(corpus, "--features", FOUR, seeds=(0,))
    four = references[FOUR]
    lines = [
        f"## {corpus[0].upper()}{corpus[1:]}",
        "",
        f"The training mean scores {shown(references['constant'])}, the four standard families {shown(four)}, and one "
        f"half of the annotators, predicted by the other half, {shown(references['human'])}.",
    ]
    parts = {
        "contrastive": contrastive_rows(measured, corpus, four),
        "contrastive, fine-tuned": tuned_encoder_rows(measured, corpus, four),
        "contrastive, pre-trained on other music, 8 beats": transfer_rows(measured, four, pop909, recordings),
        "deep belief network, layer": network_rows(measured, corpus, four),
        "deep belief network, fine-tuned": tuned_rows(measured, corpus, four),
    }
    if corpus != "VGMIDI, per piece":
        del parts["contrastive, pre-trained on other music, 8 beats"]
    for title, rows in parts.items():
        if made := collected(rows):
            lines += table([title, "trained", "random", "trained − random", "trained − the four"], made, text=1)
    return lines


def main(folder: Path, vgmidi: Path, pop909: Path, recordings: Path, *, kept: bool) -> None:
    """Measure, and write the tables between the marks of the page."""
    folder.mkdir(parents=True, exist_ok=True)
    measured = Measured(folder, {"synthetic": folder / "data" / "synthetic", "vgmidi": vgmidi}, kept=kept)
    lines: list[str] = []
    for corpus in CORPORA:
        with suppress(NotMeasuredError):
            lines += corpus_lines(measured, corpus, pop909, recordings)
    before, _, after = PAGE.read_text().partition("<!-- tables -->\n")
    _, end, after = after.partition("<!-- end of tables -->\n")
    PAGE.write_text(before + "<!-- tables -->\n" + "\n".join(lines).strip() + "\n\n" + end + after)


if __name__ == "__main__":
    main(*(Path(argument).resolve() for argument in sys.argv[1:5]), kept="--kept" in sys.argv)
