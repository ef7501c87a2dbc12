"""Growth of the cost of a pre-training set with its number of clips: time and memory.

Measures builds of 100, 1,000 and 10,000 short clips, and one of clips like those of the paper (30-second stereo MP3),
each twice: the second time all shards are finished, so only the work of the main process remains. Writes JSON, from
which ``docs/scale.py`` makes the table, the plot and the estimates of ``docs/scale.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import polars as pl
import soundfile
from emobench.builders import pretraining
from emobench.builders.corpus import PretrainCorpus
from emobench.builders.quality import QualityConfig
from emobench.builders.synthesis import STYLES, render_excerpt
from emobench.cards.dataset import About
from emobench.runtime.environment import peak_memory_mb
from emobench.runtime.executor import executor
from emobench.runtime.files import write_json

DISTINCT = 50


def make_clips(folder: Path, *, seconds: float, mp3: bool) -> None:
    """Render ``DISTINCT`` clips."""
    folder.mkdir()
    styles = sorted(STYLES)
    rate = 44100 if mp3 else 22050
    for number in range(DISTINCT):
        sound = render_excerpt(
            tempo=70.0 + 2 * number,
            style=styles[number % len(styles)],
            drums=number % 3 > 0,
            duration=seconds,
            seed=number,
            sample_rate=rate,
        ).audio
        if mp3:
            stereo = pl.DataFrame({"left": sound, "right": sound * 0.9}).to_numpy()
            soundfile.write(
                folder / f"{number}.mp3",
                stereo,
                rate,
                format="MP3",
                subtype="MPEG_LAYER_III",
                bitrate_mode="CONSTANT",
                compression_level=2 / 3,
            )
        else:
            soundfile.write(folder / f"{number}.wav", sound, rate, subtype="PCM_16")


def build(source: Path, audio: Path, out: Path, *, count: int, workers: int) -> dict[str, float]:
    """Build a set of ``count`` clips, each a link to a rendered one, in a separate process."""
    audio.mkdir(exist_ok=True)
    originals = sorted(source.iterdir())
    names = [f"{number:06}{originals[0].suffix}" for number in range(count)]
    for number, name in enumerate(names):
        if not (audio / name).exists():
            os.link(originals[number % len(originals)], audio / name)
    clips = pl.DataFrame(
        {"track_id": names, "artist": "A", "album": "B", "title": names, "seven_digital_id": None, "audio": names},
        schema_overrides={"seven_digital_id": pl.String},
    )
    about = About("Growth", "Made by a benchmark.", "cc0-1.0", "@misc{growth}", "None.")
    config = pretraining.PretrainConfig(quality=QualityConfig(min_duration=4.0, min_bit_rate=0))
    start = time.perf_counter()
    with executor(workers) as pool:
        corpus = PretrainCorpus(clips, about, {"type": "growth"}, audio)
        tally = pretraining.build(corpus, out, name="growth", version="1.0.0", config=config, pool=pool)
    seconds = time.perf_counter() - start
    assert tally
    size = sum(path.stat().st_size for path in out.rglob("*.parquet"))
    return {
        "clips": count,
        "workers": workers,
        "seconds": seconds,
        "busy": tally.busy,
        "finished_before": tally.kept_before,
        "hours": tally.hours,
        "worker_mb": tally.peak_rss_mb,
        "main_mb": peak_memory_mb(),
        "dataset_mb": size / 1e6,
    }


def measure(folder: Path, source: Path, *, count: int, workers: int) -> list[dict[str, float]]:
    """Build a set from scratch, and again with all shards finished."""
    found = []
    for attempt in ("first", "again"):
        call = [__file__, "--one", str(source), str(folder / "audio"), str(folder / attempt), str(count), str(workers)]
        environment = {**os.environ, "EMOBENCH_CACHE": str(folder / "cache")}
        ran = subprocess.run([sys.executable, *call], env=environment, capture_output=True, text=True, check=True)
        found.append(json.loads(ran.stdout.splitlines()[-1]))
    return found


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path)
    parser.add_argument("--counts", default="100,1000,10000")
    parser.add_argument("--real", type=int, default=600, help="30-second clips")
    parser.add_argument("--one", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        source, audio, out, count, workers = options.one
        print(json.dumps(build(Path(source), Path(audio), Path(out), count=int(count), workers=int(workers))))
        return
    workers = len(os.sched_getaffinity(0))
    results: dict[str, list[dict[str, float]]] = {"short": [], "real": []}
    # Hard links need the same file system.
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make_clips(folder / "short", seconds=5.0, mp3=False)
        make_clips(folder / "real", seconds=30.0, mp3=True)
        plan = [("short", int(count), workers) for count in options.counts.split(",")]
        plan += [("real", options.real, workers), ("real", max(1, options.real // 3), 1)]
        for kind, count, processes in plan:
            place = folder / f"{kind}-{count}-{processes}"
            place.mkdir()
            rows = measure(place, folder / kind, count=count, workers=processes)
            results[kind] += rows
            for row in rows:
                print(kind, json.dumps({name: round(value, 2) for name, value in row.items()}), flush=True)
    if options.results:
        write_json(options.results, results)


if __name__ == "__main__":
    main()
