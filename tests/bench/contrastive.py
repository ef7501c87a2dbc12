"""Cost of contrastive pre-training by the number of clips: ``python tests/bench/contrastive.py [CLIPS ...]``.

Writes tables of texture of random numbers, 64 beats per clip, as a pre-training dataset holds them, and measures
processor seconds of reading, statistics of the inputs and updates, each number of clips in a process of its own.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
import torch
from emobench.builders.segments import Segments
from emobench.dbn.config import ContrastiveConfig
from emobench.dbn.contrastive import EncoderTrainer
from emobench.dbn.domains import Domain, examples

BEATS, BANDS, FILE = 64, 142, 1000
UPDATES = 30


def measure(clips: int, window: int) -> None:
    """Print one row."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as place:
        files = []
        for first in range(0, clips, FILE):
            rows = min(FILE, clips - first) * BEATS
            values = pl.Series("features", rng.normal(size=(rows, BANDS)).astype(np.float32))
            files.append(Path(place) / f"{first:08}.parquet")
            pl.DataFrame([values.cast(pl.List(pl.Float32))]).write_parquet(files[-1])
        size = sum(path.stat().st_size for path in files)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began = time.process_time()
        data = examples(Domain("texture", window), Segments(files, [BEATS] * clips), lengths=[BEATS] * clips)
        read = time.process_time() - began
        began = time.process_time()
        config = ContrastiveConfig(window=window, steps=UPDATES)
        trainer = EncoderTrainer(data, config, folder=Path(place), device=torch.device("cpu"))
        statistics = time.process_time() - began
        began = time.process_time()
        trainer._folded()
        folding = time.process_time() - began
        began = time.process_time()
        trainer.train()
        # The untrained and the trained encoder are folded.
        update = (time.process_time() - began - 2 * folding) / UPDATES
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    cells = [f"{clips:,}", str(window), f"{size / 1e6:.0f} MB", f"{read:.2f} s", f"{statistics:.2f} s"]
    print(
        f"| {' | '.join([*cells, f'{1000 * update:.0f} ms', f'{max(peak - before, 0) / 1000:.0f} MB'])} |", flush=True
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        measure(int(sys.argv[2]), int(sys.argv[3]))
    else:
        print("| clips | beats | table | read | statistics | update | memory |")
        for clips in sys.argv[1:] or ("250", "1000", "4000"):
            for window in ("4", "8"):
                subprocess.run([sys.executable, __file__, "--one", clips, window], check=True)
