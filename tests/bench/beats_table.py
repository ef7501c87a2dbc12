"""F-measure of beat trackers on rendered music with known beats: ``python beats_table.py results.json``.

Every style at 60 to 180 beats per minute, with and without drums; ``mir_eval.beat.f_measure`` (70 ms) after the first
five seconds, and over the whole excerpt. Every tempo and seed gives another piece.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import librosa
import mir_eval
import numpy as np
from emobench.audio.beats import BeatConfig, track_beats
from emobench.builders.synthesis import STYLES, render_excerpt
from emobench.runtime.files import write_json

RATE = 22050
BANDS = ((60, 79), (80, 119), (120, 149), (150, 180))

Tracker = Callable[[np.ndarray], np.ndarray]


def _ours(config: BeatConfig) -> Tracker:
    return lambda audio: track_beats(audio, RATE, config)


TRACKERS: dict[str, Tracker] = {
    "librosa": lambda audio: librosa.beat.beat_track(y=audio, sr=RATE, units="time")[1],
    "laplace": _ours(BeatConfig(profile="laplace", tempo="comb")),
    "percussive": _ours(BeatConfig(profile="percussive", tempo="comb")),
    "comb": _ours(BeatConfig(tempo="comb")),
    "default": _ours(BeatConfig()),
}


def measure(*, seeds: int, duration: float, step: int) -> list[dict[str, Any]]:
    """Return the F-measures of every tracker on every excerpt, one row each."""
    rows = []
    for seed in range(seeds):
        for tempo in range(60, 181, step):
            for style in STYLES:
                for drums in (True, False):
                    number = 1000 * (seed + 1) + tempo
                    excerpt = render_excerpt(tempo=tempo, style=style, drums=drums, duration=duration, seed=number)
                    known = mir_eval.beat.trim_beats(excerpt.beats)
                    for name, tracker in TRACKERS.items():
                        found = tracker(excerpt.audio)
                        rows.append(
                            {
                                "tracker": name,
                                "tempo": tempo,
                                "style": style,
                                "drums": drums,
                                "seed": seed,
                                "f": float(mir_eval.beat.f_measure(known, mir_eval.beat.trim_beats(found))),
                                "f_untrimmed": float(mir_eval.beat.f_measure(excerpt.beats, found)),
                            }
                        )
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Render a Markdown table of mean F-measures, with a row per tracker and group and a column per tempo band."""
    heads = [f"{low}-{high} BPM" for low, high in BANDS]
    lines = [
        f"| tracker | drums | all | untrimmed | {' | '.join(heads)} |",
        "|---" * (4 + len(BANDS)) + "|",
    ]
    for drums in (True, False):
        for name in TRACKERS:
            group = [row for row in rows if row["tracker"] == name and row["drums"] == drums]
            columns = [[row["f"] for row in group], [row["f_untrimmed"] for row in group]]
            columns += [[row["f"] for row in group if low <= row["tempo"] <= high] for low, high in BANDS]
            means = " | ".join(f"{np.mean(column):.3f}" if column else "" for column in columns)
            lines.append(f"| {name} | {'with' if drums else 'without'} | {means} |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print the table and write the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, help="JSON file to write")
    parser.add_argument("--seeds", type=int, default=1, help="pieces of every tempo, style and group")
    parser.add_argument("--duration", type=float, default=24.0, help="seconds of an excerpt")
    parser.add_argument("--step", type=int, default=5, help="beats a minute between two tempi")
    options = parser.parse_args()
    # An excerpt without detected beats scores 0, and mir_eval warns.
    warnings.filterwarnings("ignore", message="Estimated beats are empty")
    rows = measure(seeds=options.seeds, duration=options.duration, step=options.step)
    print(table(rows))
    write_json(options.results, {"duration": options.duration, "rows": rows})


if __name__ == "__main__":
    main()
