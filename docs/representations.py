"""Write the boards of representations.md: one corpus, both tasks, with the cost and the origin of each feature.

Called by ``make figures`` after ``figures.py``, whose folder of datasets and results it shares.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import emobench as eb
import figures

PAGE = Path(__file__).parent / "representations.md"
JOINED = figures.STANDARD[-1]
CORPUS = figures.Corpus(
    figures.CORPORA["vgmidi"].build,
    (*figures.STANDARD, "musicnn", "musicnn:tags", f"{JOINED}+musicnn"),
    figures.CORPORA["vgmidi"].files,
    tasks=("clip", "second"),
)
FRONT = "\N{BLACK STAR}"


def front(rows: list[dict[str, str]]) -> set[str]:
    """Return the entries that no other is both better and cheaper than, by signature."""
    found, best = set(), float("inf")
    for row in sorted(rows, key=lambda row: (float(row["seconds_per_clip"]), float(row["mean_distance"]))):
        if float(row["mean_distance"]) < best:
            found.add(row["signature"])
            best = float(row["mean_distance"])
    return found


def table(rows: list[dict[str, str]]) -> list[str]:
    """Write the rows of a board as Markdown."""
    lines = [
        "| entry | group | dimensions | mean distance | KL divergence | R² arousal | R² valence | seconds per clip |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    marked = front([row for row in rows if row["group"] != "reference"])
    for row in rows:
        scores = [figures.score(row, name, 3) for name in ("mean_distance", "kl_divergence")]
        scores += [figures.score(row, f"r2_{axis}", 2) for axis in figures.AXES]
        name = figures.label(row).replace(JOINED, "the four joined").replace("`the four joined`", "the four joined")
        name = name.replace("`the four joined+musicnn`", "the four joined and `musicnn`")
        reference = row["group"] == "reference"
        cost = "" if reference or not row["seconds_per_clip"] else f"{float(row['seconds_per_clip']):.2g}"
        name += f" {FRONT}" if row["signature"] in marked else ""
        dims = "" if reference else row["dims"]
        lines.append(f"| {' | '.join([name, row['group'], dims, *scores, cost])} |")
    return lines


def boards(folder: Path) -> list[str]:
    """Run the commands of the page and describe their results."""
    calls = CORPUS.runs("vgmidi")
    lines = ["```sh", *(line for call in calls for line in figures.command(f"run {call}")), "```"]
    for task, call in zip(CORPUS.tasks, calls, strict=True):
        rows = figures.board(folder, call, f"results-representations-{task}")
        lines += [
            "",
            f"One prediction per {task}: {rows[0]['n_clips']} clips, five repeats of folds by game, emobench "
            f"{eb.__version__}.",
            "",
            *table(rows),
        ]
    return lines


def main(folder: Path, real: Path) -> None:
    """Update the page if the files of the corpus are there."""
    try:
        figures.prepare(folder, CORPUS, real)
    except FileNotFoundError as error:
        sys.stdout.write(f"representations: skipped, {error}\n")
        return
    figures.build(folder, "vgmidi", CORPUS)
    figures.insert(PAGE, "board", boards(folder))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of datasets, models and results")
    parser.add_argument("--real", type=Path, default=Path("corpora"), help="folder of the published files")
    chosen = parser.parse_args()
    main(chosen.folder.resolve() / "vgmidi", chosen.real.resolve())
