"""Write the figures of ``make bench`` into docs/{scale,training,pretrained}.md: python docs/scale.py build/bench."""

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
    """Format a duration in the largest unit of which it has at least two."""
    for unit, size in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def estimate(clips: int, cores: int, busy: float, alone: float) -> float:
    """Estimate seconds: rounds of shards on all cores, then the part that one process does alone."""
    shards = cut(range(clips), Work(dict, dict, lambda item: item, {}, ""))
    rounds = -(-len(shards) // cores)
    return rounds * len(shards[0].items) * busy + clips * alone


def plot(first: list[dict], again: list[dict], path: Path) -> None:
    """Plot time and memory against the number of clips."""
    mpl.rcParams["svg.hashsalt"] = "emobench"
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    counts = [row["clips"] for row in first]
    left.loglog(counts, [row["seconds"] for row in first], "o-", label="first build")
    left.loglog(counts, [row["seconds"] for row in again], "s--", label="rebuild, all shards finished")
    left.set(xlabel="clips of 5 seconds", ylabel="seconds", title="Time")
    right.semilogx(counts, [row["worker_mb"] for row in first], "o-", label="worker")
    right.semilogx(counts, [row["main_mb"] for row in first], "s--", label="main process")
    right.set(xlabel="clips of 5 seconds", ylabel="MB", title="Peak memory", ylim=(0, 500))
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    figure.savefig(path, metadata={"Date": None})


def main(folder: Path) -> None:
    """Write the figures of both pages."""
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
            f"On {features['processor']} with two cores, a worker needs {busy:.3f} s for a 30-second stereo MP3. Two "
            f"workers finish {many['clips'] / many['seconds']:.1f} clips per second, one worker "
            f"{one['clips'] / one['seconds']:.1f} (including start-up). The part that only the main process does "
            f"(checksums, tables, card) takes {1000 * alone:.2f} ms per clip."
        ],
    )
    insert(HERE / "pretrained.md", measured=embeddings(json.loads((folder / "embeddings.json").read_text())))
    insert(HERE / "training.md", speed=speed(json.loads((folder / "rbm.json").read_text()), features["processor"]))


def percent(share: float) -> str:
    """Format a share in percent, with a typographic minus sign."""
    return f"{100 * share:.1f} %".replace("-", "\N{MINUS SIGN}")


def embeddings(results: dict) -> list[str]:
    """Render the table of the cost of embeddings."""
    models = ["musicnn", "Wav2Vec2 base"]
    one, several = results["batches"].values()
    return [
        f"Measured on one core of {results['processor']} with stereo MP3 files of {results['seconds']} s, median of "
        f"{results['rounds']} rounds of {results['clips']} clips, in seconds of the processor. Wav2Vec2 base has "
        "random weights and 13 layers. *Bare* is a plain loop that reads a file with soundfile and soxr and calls the "
        "model; *again* reads the cache. The last two columns are computed for 50,000 clips on 16 cores.",
        "",
        "| model | bare, s per clip | emobench | overhead | again | memory of a worker | disk per clip | 50,000 clips "
        "| their disk space |",
        "| --- |" + " ---: |" * 8,
        *(
            f"| {name} | {row['bare']:.2f} | {row['ours']:.2f} | {percent(row['overhead'])} | {row['again']:.4f} "
            f"| {row['worker_mb']:,.0f} MB | {row['bytes_per_clip'] / 1000:,.0f} kB "
            f"| {duration(3600 * row['hours_of_all'] / 16)} | {row['gb_of_all']:.1f} GB |"
            for name in models
            for row in [results[name]]
        ),
        "",
        f"On this core, Wav2Vec2 base needs {one:.1f} s per clip one by one and {several:.1f} s in a batch of "
        f"{results['clips']}.",
    ]


def speed(results: dict, processor: str) -> list[str]:
    """Render the tables of training speed."""
    rows, sizes = results["speed"], results["full_size"]
    names = ["products", "ours", "ours, two threads", "scikit-learn", "torch"]
    labels = [
        "only the five matrix products",
        "emobench",
        "emobench, two threads",
        "scikit-learn",
        "torch, DataLoader",
    ]
    return [
        "",
        f"Examples per second of CD-1 on {processor}, by visible/hidden units and batch size:",
        "",
        "| | " + " | ".join(f"{row['visible']}/{row['hidden']}, {row['batch']:,}" for row in rows) + " |",
        "| --- |" + " ---: |" * len(rows),
        *(
            f"| {label} | " + " | ".join(f"{row[name]:,.0f}" for row in rows) + " |"
            for name, label in zip(names, labels, strict=True)
        ),
        # Empty until a GPU is measured.
        "| emobench, one GPU |" + " |" * len(rows),
        "",
        "The paper's number of examples, read from generated Parquet files, in batches of 100:",
        "",
        "| domain | examples | read per second | trained per second, by layer | 50 epochs, all layers | peak memory |",
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
    """Replace the lines between the markers of each name."""
    text = path.read_text()
    for name, lines in parts.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        before, rest = text.split(begin)
        text = before + begin + "\n".join(lines) + "\n" + end + rest.split(end, 1)[1]
    path.write_text(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
