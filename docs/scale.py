"""Write the figures of ``make bench`` into docs/scale.md and docs/training.md: python docs/scale.py build/bench."""

import json
import sys
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
from emobench.runtime.shards import Work, cut

HERE = Path(__file__).parent
CLIPS = (50_000, 1_000_000)
CORES = (1, 16, 256)


def duration(seconds: float) -> str:
    """A time that one would say."""
    for unit, size in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def estimate(clips: int, cores: int, busy: float, alone: float) -> float:
    """Seconds: shards go round by round, each as long as its clips; what one process does alone comes on top."""
    shards = cut(range(clips), Work(dict, dict, lambda item: item, {}, ""))
    rounds = -(-len(shards) // cores)
    return rounds * len(shards[0].items) * busy + clips * alone


def plot(first: list[dict], again: list[dict], path: Path) -> None:
    """Time and memory over the number of clips."""
    mpl.rcParams["svg.hashsalt"] = "emobench"
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    counts = [row["clips"] for row in first]
    left.loglog(counts, [row["seconds"] for row in first], "o-", label="from nothing")
    left.loglog(counts, [row["seconds"] for row in again], "s--", label="all shards finished before")
    left.set(xlabel="clips of 5 seconds", ylabel="seconds", title="Time")
    right.semilogx(counts, [row["worker_mb"] for row in first], "o-", label="a worker")
    right.semilogx(counts, [row["main_mb"] for row in first], "s--", label="the main process")
    right.set(xlabel="clips of 5 seconds", ylabel="MB", title="Peak memory", ylim=(0, 500))
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    figure.savefig(path, metadata={"Date": None})


def main(folder: Path) -> None:
    """Write both."""
    results = json.loads((folder / "growth.json").read_text())
    features = json.loads((folder / "features.json").read_text())
    first, again = (results["short"][start::2] for start in (0, 1))
    many, many_again, one, _ = results["real"]
    busy, alone = one["busy"] / one["clips"], many_again["seconds"] / many_again["clips"]
    plot(first, again, HERE / "scale.svg")
    growth = [
        f"| {row['clips']:,} | {row['seconds']:.1f} | {1000 * row['seconds'] / row['clips']:.1f} "
        f"| {then['seconds']:.1f} | {row['worker_mb']:.0f} | {row['main_mb']:.0f} |"
        for row, then in zip(first, again, strict=True)
    ]
    estimates = [
        f"| {clips:,} | {many['hours'] / many['clips'] * clips:,.0f} | "
        + " | ".join(duration(estimate(clips, cores, busy, alone)) for cores in CORES)
        + " |"
        for clips in CLIPS
    ]
    insert(
        HERE / "scale.md",
        growth=growth,
        estimates=estimates,
        measured=[
            f"Measured on {features['processor']}, two cores: a 30-second stereo MP3 takes a worker {busy:.3f} s; "
            f"two workers finish {many['clips'] / many['seconds']:.1f} clips a second, one "
            f"{one['clips'] / one['seconds']:.1f} (with starting up). What the main process does alone "
            f"(checksums, tables, card) takes {1000 * alone:.2f} ms a clip."
        ],
    )
    insert(HERE / "training.md", speed=speed(json.loads((folder / "rbm.json").read_text()), features["processor"]))


def speed(results: dict, processor: str) -> list[str]:
    """Tables of the speed of training."""
    rows, sizes = results["speed"], results["full_size"]
    names = ["products", "ours", "ours, two threads", "scikit-learn", "torch"]
    labels = [
        "the five matrix products alone",
        "emobench",
        "emobench, two threads",
        "scikit-learn",
        "torch, DataLoader",
    ]
    return [
        "",
        f"Examples a second of CD-1 on {processor} (visible/hidden units, batch):",
        "",
        "| | " + " | ".join(f"{row['visible']}/{row['hidden']}, {row['batch']:,}" for row in rows) + " |",
        "| --- |" + " ---: |" * len(rows),
        *(
            f"| {label} | " + " | ".join(f"{row[name]:,.0f}" for row in rows) + " |"
            for name, label in zip(names, labels, strict=True)
        ),
        # Left empty until one is measured; then with its name.
        "| emobench, one GPU |" + " |" * len(rows),
        "",
        "The paper's number of examples, from generated Parquet files, batches of 100:",
        "",
        "| domain | examples | read a second | trained a second, by layer | 50 epochs of all layers | peak memory |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        *(
            f"| `{size['domain']}` | {size['examples']:,} | {size['read_per_second']:,.0f} | "
            f"{', '.join(f'{rate:,.0f}' for rate in size['rates'])} | {60 * size['hours_of_50_epochs']:.0f} min | "
            f"{size['peak_mb']:,.0f} MB |"
            for size in sizes
        ),
        "",
    ]


def insert(path: Path, **parts: list[str]) -> None:
    """Put lines between the marks of their names."""
    text = path.read_text()
    for name, lines in parts.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        before, rest = text.split(begin)
        text = before + begin + "\n".join(lines) + "\n" + end + rest.split(end, 1)[1]
    path.write_text(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
