"""Draw the pictures and write the boards of the pages in docs/corpora: ``make figures``.

A corpus is skipped if its published files are not in the folder REAL. The commands that the pages show are run in
FOLDER/CORPUS, which keeps datasets, models and results, so that an interrupted run can be resumed.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import emobench as eb
import numpy as np
import polars as pl
from emobench.cards.pictures import figure_at, plain_text
from PIL import Image

if TYPE_CHECKING:
    from emobench.builders.labelled_dataset import LabelledDataset

PAGES = Path(__file__).parent / "corpora"
STANDARD = ("mfcc", "chroma", "spectral_shape", "spectral_contrast", "mfcc+chroma+spectral_shape+spectral_contrast")
AXES = ("arousal", "valence")
REFERENCES = {
    "constant": "training mean",
    "oracle": "oracle (each clip's own mean)",
    "human": "human (one half of the annotators predicts the other)",
    "ceiling": "ceiling (perfect model of the population)",
}
# Colours of Okabe and Ito, which people with any colour vision can distinguish.
COLOURS = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#000000")
MARKERS = "os^Dv"


@dataclass(frozen=True)
class Corpus:
    """A corpus with the commands of its page.

    Attributes
    ----------
    build : str
        Arguments of ``emobench build-data``.
    features : sequence of str
        Features of its board, in addition to the references.
    files : dict
        Names that the commands use, and where the files are in REAL.
    options : str
        Further arguments of ``emobench run``.
    tasks : sequence of str
        Tasks, each of which gives a board.
    """

    build: str
    features: tuple[str, ...] = ("constant",)
    files: dict[str, str] = field(default_factory=dict)
    options: str = "--regressor ridge"
    tasks: tuple[str, ...] = ("second",)

    def runs(self, name: str) -> list[str]:
        """Return the arguments of ``emobench run``, one line per task."""
        chosen = " ".join(f"--features {feature}" for feature in self.features)
        call = " ".join(f"--dataset data/{name} {chosen} --features oracle {self.options}".split())
        return [
            call if task == "second" else call.replace("--features oracle", f"--task {task}") for task in self.tasks
        ]


CORPORA = {
    "synthetic": Corpus("", (*STANDARD, "rhythm+pitch")),
    "moodswings": Corpus(
        "moodswings --labels msLiteTurk.mat",
        ("file:chroma_song_means.csv",),
        {name: f"moodswings_turk/{name}" for name in ("msLiteTurk.mat", "chroma_song_means.csv")},
        options="",
    ),
    "vgmidi": Corpus(
        "vgmidi --folder vgmidi/", (*STANDARD, "rhythm+pitch"), {"vgmidi": "vgmidi"}, tasks=("second", "clip")
    ),
    "deam": Corpus("deam --annotations deam/", files={"deam": "deam"}, options=""),
    "emomusic": Corpus("emomusic --annotations emomusic/", files={"emomusic": "emomusic"}, options=""),
    "pmemo": Corpus("pmemo --annotations pmemo/", files={"pmemo": "pmemo"}, options=""),
}


def emobench(folder: Path, arguments: str) -> str:
    """Run a command in a folder and return its output."""
    call = [sys.executable, "-m", "emobench", *shlex.split(arguments), "--quiet"]
    environment = {name: value for name, value in os.environ.items() if name != "EMOBENCH_DATA"}
    return subprocess.run(call, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout


def build(folder: Path, name: str, corpus: Corpus) -> LabelledDataset:
    """Build the dataset of a corpus, again if the program has changed since it was built."""
    try:
        emobench(folder, f"build-data {corpus.build}")
    except subprocess.CalledProcessError:
        # A dataset that other code has built is refused.
        shutil.rmtree(folder / "data", ignore_errors=True)
        emobench(folder, f"build-data {corpus.build}")
    return eb.load_dataset(folder / "data" / name)


def board(folder: Path, arguments: str, out: str) -> list[dict[str, str]]:
    """Run features and return the rows of the leaderboard, without results of earlier code."""
    made = json.loads(emobench(folder, f"run {arguments} --out {out} --json"))["results"]
    signatures = {result["signature"] for result in made}
    for path in (folder / out).rglob("*-*.*"):
        if path.name.partition(".")[0].rpartition("-")[2] not in signatures:
            path.unlink()
    rows = list(csv.DictReader(io.StringIO(emobench(folder, f"leaderboard --results {out} --format csv"))))
    # References come last, in the order of REFERENCES; entries by distance.
    order = list(REFERENCES)
    return sorted(
        rows,
        key=lambda row: (
            order.index(row["features"]) if row["features"] in order else -1,
            float(row["mean_distance"]),
        ),
    )


def score(row: dict[str, str], name: str, digits: int) -> str:
    """Format a score with its standard deviation over the repeats."""
    if not row[name]:
        return "–"
    text = f"{round(float(row[name]), digits) + 0.0:.{digits}f}"  # without a sign of zero
    if row[f"{name}_std"]:
        text += f" ± {float(row[f'{name}_std']):.{digits}f}"
    return text.replace("-", "−")


def label(row: dict[str, str]) -> str:
    """Name an entry."""
    parts = [f"`{row['features']}`"]
    parts += [f"layer {row['layer']}"] * bool(row["layer"]) + [row["phase"]] * bool(row["phase"])
    return REFERENCES.get(row["features"], ", ".join(parts))


def table(rows: list[dict[str, str]]) -> list[str]:
    """Write the rows of a board as Markdown."""
    beats = {"True": "yes", "False": "no", "": "–"}
    lines = [
        "| entry | mean distance | KL divergence | R² arousal | R² valence | better than the training mean |",
        "| --- | ---: | ---: | ---: | ---: | --- |",
    ]
    for row in rows:
        scores = [score(row, name, 3) for name in ("mean_distance", "kl_divergence")]
        scores += [score(row, f"r2_{axis}", 2) for axis in AXES]
        lines.append(f"| {' | '.join([label(row), *scores, beats[row['beats_constant']]])} |")
    return lines


def boards(folder: Path, name: str, corpus: Corpus) -> list[str]:
    """Run the commands of a page and describe their results."""
    manifest = json.loads((folder / "data" / name / "manifest.json").read_text())
    lines = ["```sh", *command(f"build-data {corpus.build}")]
    lines += [line for arguments in corpus.runs(name) for line in command(f"run {arguments}")] + ["```"]
    for task, arguments in zip(corpus.tasks, corpus.runs(name), strict=True):
        rows = board(folder, arguments, f"results-{task}")
        lines += [
            "",
            f"One prediction per {task}: {rows[0]['n_clips']} clips of {manifest['name']} {manifest['version']}, five "
            f"repeats of folds by album, emobench {eb.__version__}.",
            "",
            *table(rows),
        ]
    lines += [
        "",
        *wrapped(
            "± is the standard deviation over the repeats. The last column says whether the mean distance is "
            "significantly lower than that of the training mean (p < 0.05, randomisation test over albums, corrected "
            "for the number of entries). A dash stands for a score that these labels do not allow, and for references."
        ),
    ]
    return lines


def chosen_clips(means: pl.DataFrame) -> list[str]:
    """Choose the outermost clip in each of four directions and the one nearest to the mean of all clips."""
    points = means.select(AXES).to_numpy()
    centred = points - points.mean(axis=0)
    places = [int(np.argmin((centred**2).sum(axis=1)))]
    for direction in ((1, 1), (-1, 1), (-1, -1), (1, -1)):
        values = centred @ np.array(direction)
        values[places] = -np.inf
        places.insert(-1, int(np.argmax(values)))
    return means["clip_id"][places].to_list()


def draw_plane(targets: pl.DataFrame, names: dict[str, str], path: Path) -> str:
    """Draw the mean of each clip in the arousal-valence plane and the spread of some, and return what shows it."""
    from matplotlib.patches import Ellipse

    means = targets.group_by("clip_id", maintain_order=True).agg(
        pl.col(*AXES, "arousal_var", "valence_var", "covariance").mean()
    )
    spread = ""
    with figure_at(path, (6.4, 6.8)) as figure:
        axis = figure.subplots()
        axis.axhline(0, color="#999999", linewidth=0.8)
        axis.axvline(0, color="#999999", linewidth=0.8)
        axis.scatter(means["valence"], means["arousal"], s=14, color="#888888", alpha=0.5, linewidths=0)
        for (clip, name), colour, marker in zip(names.items(), COLOURS, MARKERS, strict=True):
            row = means.row(by_predicate=pl.col("clip_id") == clip, named=True)
            at = (row["valence"], row["arousal"])
            axis.scatter(*at, s=60, color=colour, marker=marker, label=name, edgecolors="white", zorder=3)
            if row["covariance"] is not None:
                covariance = [[row["valence_var"], row["covariance"]], [row["covariance"], row["arousal_var"]]]
                sizes, directions = np.linalg.eigh(covariance)
                angle = np.degrees(np.arctan2(directions[1, 0], directions[0, 0]))
                axis.add_patch(Ellipse(at, *2 * np.sqrt(sizes), angle=angle, fill=False, edgecolor=colour, lw=1.5))
                spread = "ellipse"
            elif row["arousal_var"] is not None:
                deviations = {"xerr": row["valence_var"] ** 0.5, "yerr": row["arousal_var"] ** 0.5}
                axis.errorbar(*at, **deviations, color=colour, linewidth=1.5, zorder=2)
                spread = "cross"
        axis.set(xlim=(-0.5, 0.5), ylim=(-0.5, 0.5), aspect="equal")
        axis.set_xlabel("valence (−0.5 to 0.5)", fontsize=11)
        axis.set_ylabel("arousal (−0.5 to 0.5)", fontsize=11)
        figure.legend(loc="outside lower center", frameon=False, fontsize=10)
    return spread


def draw_traces(dataset: LabelledDataset, names: dict[str, str], path: Path) -> str:
    """Draw the ratings of some clips over time, and return what the picture shows."""
    shown = ["mean (line)"]
    with figure_at(path, (10.0, 4.8)) as figure:
        grid = figure.subplots(2, len(names), sharey=True, sharex="col")
        for column, ((clip, label), colour) in enumerate(zip(names.items(), COLOURS, strict=True)):
            targets = dataset.targets.filter(pl.col("clip_id") == clip).sort("time")
            traces = dataset.annotations.filter(pl.col("clip_id") == clip).sort("time").partition_by("trace")
            grid[0, column].set_title(label.replace(": ", "\n", 1), fontsize=9)
            grid[1, column].set_xlabel("time (s)", fontsize=11)
            for axis, name in zip(grid[:, column], AXES, strict=True):
                axis.axhline(0, color="#999999", linewidth=0.8)
                spread = targets[f"{name}_var"].sqrt()
                if spread.null_count() < len(spread):
                    low, high = targets[name] - spread, targets[name] + spread
                    axis.fill_between(targets["time"], low, high, color=colour, alpha=0.25, linewidth=0)
                    shown.append("standard deviation of the ratings (band)")
                for trace in traces if len(traces) > 1 else []:
                    axis.plot(trace["time"], trace[name], color="#808080", linewidth=0.5, alpha=0.6)
                    shown.append("single ratings (thin lines)")
                axis.plot(targets["time"], targets[name], color=colour, linewidth=2.5)
                axis.set_ylim(-0.5, 0.5)
                axis.spines[["top", "right"]].set_visible(False)
        for axis, name in zip(grid[:, 0], AXES, strict=True):
            axis.set_ylabel(f"{name} (−0.5 to 0.5)", fontsize=11)
    *others, last = dict.fromkeys(shown)
    return f"{', '.join(others)} and {last}" if others else last


def shrink(path: Path) -> None:
    """Reduce a picture to 256 colours, which more than halves its size."""
    with Image.open(path) as picture:
        reduced = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
    reduced.save(path, optimize=True)


def short(text: str) -> str:
    """Shorten a name for a title, with spaces for underscores."""
    text = " ".join(text.replace("_", " ").split())
    return plain_text(text if len(text) <= 24 else f"{text[:23].rstrip()}…")


def pictures(dataset: LabelledDataset, name: str) -> list[str]:
    """Draw both pictures of a corpus, and return the Markdown that shows them."""
    targets = dataset.targets.sort("clip_id", "time")
    chosen = chosen_clips(targets.group_by("clip_id", maintain_order=True).agg(pl.col(AXES).mean()))
    clips = {row["clip_id"]: row for row in dataset.clips.iter_rows(named=True)}
    names = {}
    for clip in chosen:
        parts = [short(clips[clip][part]) for part in ("artist", "title") if clips[clip][part]]
        names[clip] = ": ".join(parts) or f"clip {clip}"
    plane, traces = (f"{name}-{part}.png" for part in ("plane", "traces"))
    spread = draw_plane(targets, names, PAGES / plane)
    shown = draw_traces(dataset, names, PAGES / traces)
    for picture in (plane, traces):
        shrink(PAGES / picture)
    note = f" The {spread} around each shows one standard deviation of its ratings." if spread else ""
    return [
        f"![Means of all clips in the arousal-valence plane]({plane})",
        "",
        *wrapped(
            "Each point is the mean of a clip. The coloured clips are the outermost ones in four directions and the "
            f"one nearest to the mean of all clips.{note} The second picture shows the same clips over "
            f"time: {shown}."
        ),
        "",
        f"![Ratings of five clips over time]({traces})",
    ]


def wrapped(text: str, indent: str = "") -> list[str]:
    """Break text into lines of Markdown."""
    return textwrap.wrap(text, 118, break_long_words=False, break_on_hyphens=False, subsequent_indent=indent)


def command(arguments: str) -> list[str]:
    """Write a command, on several lines if it is long."""
    # An option stays on one line with its value.
    text = re.sub(r"(--\S+) (?!--)", "\\1\N{NO-BREAK SPACE}", f"emobench {arguments}".strip())
    lines = [line.replace("\N{NO-BREAK SPACE}", " ") for line in wrapped(text, indent="    ")]
    return [f"{line} \\" for line in lines[:-1]] + lines[-1:]


def insert(page: Path, part: str, lines: list[str]) -> None:
    """Replace the lines between two markers of a page."""
    text = page.read_text(encoding="utf-8")
    start, end = f"<!-- {part} -->", f"<!-- /{part} -->"
    if text.count(start) != 1 or text.count(end) != 1:
        sys.exit(f"{page}: expected the lines {start} and {end} once each.")
    made = "\n".join([start, *lines, end])
    new = re.sub(f"{re.escape(start)}.*?{re.escape(end)}", lambda _: made, text, flags=re.DOTALL)
    page.write_text(new, encoding="utf-8")


def prepare(folder: Path, corpus: Corpus, real: Path) -> None:
    """Make a folder in which the commands of a page find the files that they name.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    """
    for place in corpus.files.values():
        if not (real / place).exists():
            raise FileNotFoundError(f"{real / place} does not exist")
    folder.mkdir(parents=True, exist_ok=True)
    for name, place in corpus.files.items():
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to(real / place)


def main(folder: Path, real: Path, names: list[str]) -> None:
    """Update the pages of corpora whose files are there."""
    for name in names:
        try:
            prepare(folder / name, CORPORA[name], real)
        except FileNotFoundError as error:
            print(f"{name}: skipped, {error}")
            continue
        print(f"{name}: drawing pictures and running the board", flush=True)
        page = PAGES / f"{name}.md"
        insert(page, "pictures", pictures(build(folder / name, name, CORPORA[name]), name))
        insert(page, "board", boards(folder / name, name, CORPORA[name]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of datasets, models and results")
    parser.add_argument("--real", type=Path, default=Path("corpora"), help="folder of the published files")
    parser.add_argument("corpora", nargs="*", help="corpora whose pages are updated; default: all")
    chosen = parser.parse_args()
    if unknown := set(chosen.corpora) - set(CORPORA):
        parser.error(f"no page for {', '.join(sorted(unknown))}: expected some of {', '.join(CORPORA)}")
    main(chosen.folder.resolve(), chosen.real.resolve(), chosen.corpora or list(CORPORA))
