"""Speed of the features beside plain code and a lower bound: ``python features.py --results features.json``.

One thread. Times vary by a third on shared machines, so the variants are measured in turn, over several rounds of one
run, and the goals are ratios of medians.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

os.environ.update(
    dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
)

import numpy as np
import scipy.ndimage
import soundfile
from emobench.audio.analysis import AnalysisConfig, analyse, mean_per_segment
from emobench.audio.beats import track_beats
from emobench.audio.decode import decode
from emobench.audio.median import running_median
from emobench.audio.mpeg import walk
from emobench.audio.pitch import pitch_bands
from emobench.audio.spectra import magnitude
from emobench.audio.timbre import percussion_timbre
from emobench.baselines.chroma import chroma
from emobench.baselines.frames import FrameConfig
from emobench.baselines.mfcc import mfcc
from emobench.baselines.spectral_contrast import spectral_contrast
from emobench.baselines.spectral_shape import spectral_shape
from emobench.builders.synthesis import render_excerpt
from emobench.dbn.domains import Domain
from emobench.runtime.environment import package_versions
from emobench.runtime.files import write_json

CONFIG = AnalysisConfig()
RATE = CONFIG.sample_rate
PITCH_2D = Domain("pitch2d")
KERNEL = 31
STAGES = ("decode", "beats", "timbre", "pitch", "2-d FFT")

Times = dict[str, list[float]]


def make_clip(path: Path, seconds: float) -> None:
    """Write rendered music as a stereo MP3 of 128 kbit/s at 44.1 kHz."""
    left, right = (
        render_excerpt(tempo=110, style=style, drums=drums, duration=seconds, seed=1, sample_rate=44100).audio
        for style, drums in (("rock", True), ("folk", False))
    )
    audio = np.stack([0.8 * left + 0.2 * right, 0.2 * left + 0.8 * right], axis=1)
    # Two thirds of the way from 320 down to 32 kbit/s.
    soundfile.write(
        path,
        audio,
        44100,
        format="MP3",
        subtype="MPEG_LAYER_III",
        bitrate_mode="CONSTANT",
        compression_level=2 / 3,
    )


class Watch:
    """Seconds spent under each name, once per round."""

    def __init__(self) -> None:
        self.times: Times = defaultdict(list)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Time a block."""
        start = time.perf_counter()
        yield
        self.times[name].append(time.perf_counter() - start)

    def __getitem__(self, name: str) -> float:
        """Return the median of a name."""
        return float(np.median(self.times[name]))


# One thread


def staged(path: Path, watch: Any) -> None:
    """Run our chain stage by stage."""
    with watch("ours decode"):
        samples = decode(path, sample_rate=RATE)
    with watch("ours beats"):
        beats = track_beats(samples, RATE, CONFIG.beats)
    with watch("ours timbre"):
        frames = percussion_timbre(samples, RATE, CONFIG.timbre)
        mean_per_segment(frames, beats, RATE / CONFIG.timbre.hop)
    with watch("ours pitch"):
        frames = pitch_bands(samples, RATE, CONFIG.pitch)
        segments = mean_per_segment(frames, beats, RATE / CONFIG.pitch.hop)
    with watch("ours 2-d FFT"):
        PITCH_2D.rows(segments)


def whole(path: Path) -> None:
    """Run our chain as it is used, without the cache."""
    PITCH_2D.rows(analyse(decode(path, sample_rate=RATE), CONFIG).pitch)


def floor(path: Path) -> None:
    """Run what every chain needs: decoding and three magnitude spectrograms."""
    samples = decode(path, sample_rate=RATE)
    for part in (CONFIG.beats, CONFIG.timbre, CONFIG.pitch):
        magnitude(samples, n_fft=part.n_fft, hop=part.hop)


def baselines(samples: np.ndarray) -> None:
    """Compute the four standard features that need audio from one spectrogram."""
    config = FrameConfig()
    spectrum = config.spectrum(samples)
    for family in (mfcc, chroma, spectral_shape, spectral_contrast):
        family(spectrum, config)


def measure_one_thread(clip: Path, short: Path, *, rounds: int, plain_rounds: int) -> Watch:
    """Measure everything that runs on one thread, in turn."""
    import plain

    bank = plain.whole_bank()
    samples = decode(clip, sample_rate=RATE)
    spectrum = magnitude(samples, n_fft=CONFIG.timbre.n_fft, hop=CONFIG.timbre.hop)
    watch = Watch()
    rehearsal = Watch()
    for name in (short, clip):
        staged(name, rehearsal)
        baselines(decode(name, sample_rate=RATE))
    plain.chain(short, bank, rehearsal)
    plain.baselines(plain.load(short))
    for number in range(rounds):
        staged(clip, watch)
        with watch("ours"):
            whole(clip)
        with watch("floor"):
            floor(clip)
        with watch("floor, librosa.stft"):
            plain.spectra(decode(clip, sample_rate=RATE))
        with watch("frame walk"):
            walk(clip)
        with watch("baselines"):
            baselines(samples)
        with watch("plain baselines"):
            plain.baselines(samples)
        for axis in (0, 1):
            with watch(f"median {axis}"):
                running_median(spectrum, size=KERNEL, axis=axis)
        if number < plain_rounds:
            with watch("plain"):
                plain.chain(clip, bank, lambda stage: watch(f"plain {stage}"))
            for axis in (0, 1):
                with watch(f"plain median {axis}"):
                    scipy.ndimage.median_filter(spectrum, size=(KERNEL, 1) if axis == 0 else (1, KERNEL))
    for axis in (0, 1):
        for kind in ("median", "plain median"):
            watch.times[f"{kind} {axis}, ns"] = [
                1e9 * seconds / spectrum.size for seconds in watch.times[f"{kind} {axis}"]
            ]
    return watch


# Several processes


def _start(clip: Path, ready: Any) -> None:
    whole(clip)
    ready.wait()


def _spin(_: Path) -> None:
    """Run work that shares nothing, to see what two processes achieve on this machine under its present load."""
    sum(range(4_000_000))


def measure_workers(clip: Path, *, clips: int, rounds: int) -> dict[str, float]:
    """Measure clips per second of one and two worker processes in turn, and empty loops for comparison."""
    context = multiprocessing.get_context("spawn")
    times: Times = defaultdict(list)
    pools = {}
    for workers in (1, 2):
        ready = context.Barrier(workers + 1)
        pools[workers] = context.Pool(workers, _start, (clip, ready))
        ready.wait()
    for _ in range(rounds):
        for workers, pool in pools.items():
            for work, name in ((whole, "clips"), (_spin, "loops")):
                start = time.perf_counter()
                pool.map(work, [clip] * clips, chunksize=1)
                times[f"{workers} {name}/s"].append(clips / (time.perf_counter() - start))
    for pool in pools.values():
        pool.terminate()
        pool.join()
    found = {name: float(np.median(rates)) for name, rates in times.items()}
    for name in ("clips", "loops"):
        ratios = np.array(times[f"2 {name}/s"]) / np.array(times[f"1 {name}/s"])
        found[f"ratio of {name}"] = float(np.median(ratios))
    return found


def _peak_mb() -> float:
    """Return the peak memory of this process; ``getrusage`` would include the peak of the parent."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def _peaks(clip: Path, counts: tuple[int, ...]) -> list[float]:
    found = []
    for number in range(1, max(counts) + 1):
        whole(clip)
        if number in counts:
            found.append(_peak_mb())
    return found


def measure_memory(clip: Path) -> dict[str, float]:
    """Measure the peak memory of a worker after 5 and after 40 clips."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        few, many = pool.apply(_peaks, (clip, (5, 40)))
    return {"after 5 clips, MB": few, "after 40 clips, MB": many, "growth, MB": many - few}


FIRST = """
import sys
from pathlib import Path
from emobench.audio.analysis import AnalysisConfig, analyse_file
analyse_file(Path(sys.argv[1]), start=0.0, duration=None, config=AnalysisConfig())
"""


def measure_cold_start(clip: Path, folder: Path) -> dict[str, float]:
    """Measure the seconds from the start of the interpreter to the end of the first analysis."""
    environment = {**os.environ, "EMOBENCH_CACHE": str(folder)}
    environment.pop("NUMBA_CACHE_DIR", None)
    seconds = []
    for _ in range(4):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", FIRST, str(clip)], env=environment, check=True)
        seconds.append(time.perf_counter() - start)
        for entry in (folder / "analysis").rglob("*.npz"):
            entry.unlink()
    return {"empty cache, s": seconds[0], "kernels cached, s": float(np.median(seconds[1:]))}


# Results


def goals(watch: Watch, workers: dict[str, float], memory: dict[str, float], cold: dict[str, float]) -> list[Any]:
    """Return the goals, the measurements and whether each goal is met."""
    median = np.mean([watch["median 0, ns"], watch["median 1, ns"]])
    plain_median = np.mean([watch["plain median 0, ns"], watch["plain median 1, ns"]])
    loops = workers["ratio of loops"]
    rows = [
        ("the plain chain against ours", ">=", 60.0, watch["plain"] / watch["ours"], "times"),
        ("ours against the floor", "<=", 1.7, watch["ours"] / watch["floor"], "times"),
        ("ours against the floor by librosa.stft", "<=", 2.0, watch["ours"] / watch["floor, librosa.stft"], "times"),
        (f"median of {KERNEL} (scipy {plain_median:.0f})", "<=", 12.0, median, "ns an element"),
        ("librosa's baselines against ours", ">=", 3.0, watch["plain baselines"] / watch["baselines"], "times"),
        ("frame walk of the clip (45 s, 128 kbit/s)", "<=", 4.0, 1e3 * watch["frame walk"], "ms"),
        (f"two workers against one (empty loops {loops:.2f})", ">=", 1.8, workers["ratio of clips"], "times"),
        ("peak memory of a worker, 60-second clip", "<=", 500.0, memory["after 40 clips, MB"], "MB"),
        ("its growth from 5 to 40 clips", "<=", 5.0, memory["growth, MB"], "MB"),
        ("first result, kernels cached", "<=", 5.0, cold["kernels cached, s"], "s"),
        ("first result, nothing cached", "<=", 5.0, cold["empty cache, s"], "s"),
    ]
    return [
        {
            "what": what,
            "goal": f"{sign} {limit:g} {unit}",
            "measured": float(value),
            "met": bool(value >= limit if sign == ">=" else value <= limit),
        }
        for what, sign, limit, value, unit in rows
    ]


def tables(watch: Watch, rows: list[Any]) -> str:
    """Render two Markdown tables: the stages and the goals."""
    lines = ["| stage | plain, ms | ours, ms | times |", "|---|---|---|---|"]
    for stage in (*STAGES, "all"):
        ours, plain = (watch[kind if stage == "all" else f"{kind} {stage}"] for kind in ("ours", "plain"))
        lines.append(f"| {stage} | {1e3 * plain:,.1f} | {1e3 * ours:.1f} | {plain / ours:.1f} |")
    lines += [f"| {name} | | {1e3 * watch[name]:.1f} | |" for name in ("floor", "floor, librosa.stft")]
    ours, plain = watch["baselines"], watch["plain baselines"]
    lines += [f"| baselines | {1e3 * plain:.1f} | {1e3 * ours:.1f} | {plain / ours:.1f} |", ""]
    lines += ["| what | goal | measured | met |", "|---|---|---|---|"]
    lines += [
        f"| {row['what']} | {row['goal']} | {row['measured']:.2f} | {'yes' if row['met'] else 'NO'} |" for row in rows
    ]
    return "\n".join(lines)


def processor() -> str:
    """Return the name of the processor."""
    facts = Path("/proc/cpuinfo")
    names = [line for line in facts.read_text().splitlines() if line.startswith("model name")] if facts.exists() else []
    return names[0].partition(":")[2].strip() if names else platform.processor()


def main() -> None:
    """Measure, print the tables and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--seconds", type=float, default=45.0, help="length of the clip")
    parser.add_argument("--rounds", type=int, default=15, help="repeats of which the median is taken")
    parser.add_argument("--plain-rounds", type=int, default=2, help="repeats of the plain chain")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        short, clip, minute = (folder / f"{kind}.mp3" for kind in ("short", "clip", "minute"))
        for path, seconds in ((short, 5.0), (clip, options.seconds), (minute, 60.0)):
            make_clip(path, seconds)
        workers = measure_workers(clip, clips=16, rounds=5)
        memory = measure_memory(minute)
        cold = measure_cold_start(clip, folder / "cache")
        watch = measure_one_thread(clip, short, rounds=options.rounds, plain_rounds=options.plain_rounds)
    rows = goals(watch, workers, memory, cold)
    print(tables(watch, rows))
    results = {
        "processor": processor(),
        "processors": os.cpu_count(),
        "versions": package_versions(heavy=False),
        "goals": rows,
        "medians": {name: watch[name] for name in watch.times},
        "times": watch.times,
        "workers": workers,
        "memory": memory,
        "cold_start": cold,
    }
    write_json(options.results, results)


if __name__ == "__main__":
    main()
