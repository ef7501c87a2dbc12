"""Time and peak memory of comparing the recordings of two datasets of 2,000 clips of 45 seconds.

Run it with ``python tests/bench/check.py [--audio FOLDER]`` on an otherwise idle machine. It measures

- *fingerprinting*: decoding MP3 files (44.1 kHz, stereo, 45 s) and computing their fingerprints through the package's
  worker processes, on ``--files`` files; the time for all clips is this time multiplied. Without ``--audio``, the files
  are synthesised music, rendered here (about a second each);
- *matching*: the search among all 4,000 fingerprints. Those that were not decoded are made from the decoded ones: each
  is the mixture of two that are rotated along bands and time, so codes are about as frequent as in real fingerprints.
  In the second dataset, ``--planted`` clips are excerpts of 30 seconds of clips of the first with noise (correlation
  0.95 with the original); the number found is printed;
- peak memory of this process, which holds all fingerprints.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
from emobench.audio import fingerprint
from emobench.benchmark import recordings
from emobench.builders.audio_files import ClipSource
from emobench.builders.synthesis import SynthesisConfig
from emobench.builders.synthesis import corpus as synthetic
from emobench.runtime.executor import executor
from emobench.runtime.files import sha256_file

SECONDS = 45


def render(folder: Path, count: int, workers: int) -> list[Path]:
    """Render synthetic clips as stereo MP3 files at 44.1 kHz."""
    corpus = synthetic.load(SynthesisConfig(n_clips=count, clip_seconds=SECONDS, n_pretrain=4, pretrain_seconds=31))
    assert corpus.render is not None
    with executor(workers) as pool:
        corpus.render(folder / "flac", pool)
    paths = []
    for path in sorted((folder / "flac").rglob("*.flac"))[:count]:
        sound, rate = soundfile.read(path, dtype="float32")
        paths.append(folder / f"{path.stem}.mp3")
        stereo = np.repeat(np.repeat(sound, round(44100 / rate))[:, None], 2, axis=1)
        soundfile.write(paths[-1], stereo, 44100, format="MP3", bitrate_mode="CONSTANT", compression_level=0.6)
    return paths


def varied(prints: list[np.ndarray], count: int, generator: np.random.Generator) -> list[np.ndarray]:
    """Make further fingerprints: mixtures of two that are rotated along bands and time, and reversed or not."""
    made = []
    for _ in range(count):
        one, other = (prints[place] for place in generator.choice(len(prints), 2, replace=False))
        length = min(len(one), len(other))
        weight = generator.uniform(0.3, 0.7)
        parts = [
            np.roll(each[:length], (int(generator.integers(length)), int(generator.integers(24))), (0, 1))
            for each in (one, other)
        ]
        parts = [each[:: generator.choice([-1, 1])].astype(np.float32) for each in parts]
        made.append((weight * parts[0] + (1 - weight) * parts[1]).astype(np.float16))
    return made


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--clips", type=int, default=2000, help="clips of each of the two datasets")
    parser.add_argument("--files", type=int, default=100, help="files to decode")
    parser.add_argument("--planted", type=int, default=100)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--audio", type=Path, help="folder of MP3 files of 45 s to use instead")
    options = parser.parse_args()
    generator = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as name:
        os.environ["EMOBENCH_CACHE"] = f"{name}/cache"
        folder = Path(name)
        paths = sorted(options.audio.glob("*.mp3")) if options.audio else render(folder, options.files, options.workers)
        items = [
            (ClipSource(path.stem, path, 0.0, SECONDS - 0.1), sha256_file(path)) for path in paths[: options.files]
        ]
        with executor(options.workers) as pool:
            recordings.same_recordings(items[:2], pool)  # starts the workers
            start = time.perf_counter()
            found = recordings.same_recordings(items, pool)
            took = time.perf_counter() - start
        assert not found.lacking
        os.environ["EMOBENCH_CACHE"] = f"{name}/again"
        cpu = time.process_time()
        for item in items[:20]:
            recordings._fingerprint(item)
        cpu = (time.process_time() - cpu) / len(items[:20])
        os.environ["EMOBENCH_CACHE"] = f"{name}/cache"
        prints = [recordings._fingerprint(item) for item in items]
    each = took / (len(items) - 2)
    total = 2 * options.clips
    print(f"fingerprints of {len(items)} files, {options.workers} workers: {took:.1f} s, {each * 1000:.0f} ms per clip")
    print(f"  so {each * total:.0f} s for {total} clips; in one process {cpu * 1000:.0f} ms of CPU time per clip")
    prints += varied(prints, total - options.planted - len(prints), generator)
    firsts = generator.choice(options.clips, options.planted, replace=False)
    for place in firsts:
        own = prints[place]
        begin = int(generator.integers(len(own) - 1200))
        part = own[begin : begin + 1200].astype(np.float32)
        prints.append((part + generator.normal(0, part.std() * 0.33, part.shape)).astype(np.float16))
    start, cpu = time.perf_counter(), time.process_time()
    matches = fingerprint.same_recordings(prints)
    took, cpu = time.perf_counter() - start, time.process_time() - cpu
    pairs = {(match.one, match.other) for match in matches}
    planted = {(int(place), total - options.planted + number) for number, place in enumerate(firsts)}
    print(f"matching {total} fingerprints in one process: {took:.1f} s ({cpu:.1f} s of CPU time)")
    print(f"  planted excerpts found: {len(pairs & planted)} of {len(planted)}; other pairs: {len(pairs - planted)}")
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


if __name__ == "__main__":
    main()
