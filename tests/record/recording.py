"""Record of the behaviour of the command line, as plain data that can be stored and compared.

``python tests/record/recording.py`` rewrites the record. Every line that differs is a change of behaviour, to be listed
in the commit message.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import platform
import re
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

SMALL = ["--size", "12", "--pretrain-size", "3", "--seed", "3", "--workers", "1"]
TRAINING = ["--layers", "6,4", "--epochs", "1,2", "--workers", "1"]

# Valid and invalid invocations, in this order; each sees the files of the previous ones.
INVOCATIONS = [
    ["--version"],
    ["list"],
    ["list", "datasets"],
    ["list", "models"],
    ["list", "results"],
    ["leaderboard", "--format", "csv"],
    ["leaderboard", "--format", "markdown"],
    ["leaderboard", "--format", "latex"],
    ["leaderboard", "--format", "html", "--out", "page.html"],
    ["compare", "mfcc", "constant"],
    ["verify", "--all", "results"],
    ["reproduce", "table1"],
    ["build-data", *SMALL],
    ["build-data", "deam", "--annotations", "nowhere", "--dry-run"],
    ["build-data", "moodswings", "--labels", "labels.mat", "--dry-run"],
    ["build-data", "table", "--clips", "clips.csv", "--labels", "labels.csv", "--out", "data/mine"],
    ["run", "--features", "constant"],
    ["run", "--features", "file:mine.csv", "--regressor", "ridge"],
    ["run", "--features", "mfcc", "--dataset", "data/mine"],
    ["run"],
    ["run", "--features", "loudness"],
    ["run", "--features", "mfcc+mfcc"],
    ["run", "--features", "file:none.csv"],
    ["run", "--features", "mfcc", "--regressor", "forest"],
    ["run", "--features", "mfcc", "--dataset", "nowhere"],
    ["run", "--features", "rhythm", "--layer", "7"],
    ["run", "--features", "mfcc", "--colour", "red"],
    ["pretrain"],
    ["pretrain", "--features", "mfcc"],
    ["pretrain", "--features", "rhythm", "--pretrain-data", "nowhere"],
    ["build-data", "napster"],
    ["build-data", "msd"],
    ["build-data", "table", "--clips", "clips.csv", "--labels", "none.csv"],
    ["verify", "results/none.json"],
    ["verify"],
    ["compare", "mfcc", "nothing"],
    ["leaderboard", "--format", "pdf"],
    ["leaderboard", "--results", "nowhere"],
    ["reproduce", "table4"],
    ["list", "colours"],
    ["publish", "dataset", "data/none", "ann/mine"],
    ["unknown"],
]


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before = Path.cwd(), dict(os.environ)
    os.chdir(folder)
    os.environ.pop("EMOBENCH_DATA", None)
    os.environ["EMOBENCH_CACHE"] = str(folder / "cache")
    # A fixed width, independent of the terminal.
    os.environ["COLUMNS"] = "100"
    try:
        yield
    finally:
        os.chdir(before[0])
        os.environ.clear()
        os.environ.update(before[1])


def _call(arguments: list[str]) -> tuple[int, str, str]:
    """Run a command; return exit status, standard output and standard error."""
    (point,) = entry_points(group="console_scripts", name="emobench")
    main, argv = point.load(), sys.argv
    out, error = io.StringIO(), io.StringIO()
    sys.argv = ["emobench", *arguments]
    status: object = 0
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
            main()
    except SystemExit as ended:
        status = ended.code
    finally:
        sys.argv = argv
    return int(str(status or 0)), out.getvalue(), error.getvalue()


def _prepare(folder: Path) -> None:
    """Write small inputs: labels in the format of MoodSwings, a corpus of two CSV files, features of clips."""
    import numpy as np
    import scipy.io

    generator = np.random.default_rng(5)
    cells: dict[str, list[Any]] = {
        name: [] for name in ("artist", "album", "song", "songid", "userid", "round", "time", "valence", "arousal")
    }
    for clip in range(10):
        cells["artist"].append(f"artist_{clip}")
        cells["album"].append(f"Album_{clip}")
        cells["song"].append(f"0{clip}-Some_Song_{clip}")
        cells["songid"].append(np.array([[100 + clip]], np.uint16))
        cells["userid"].append(np.repeat(np.arange(5), 15).astype(np.int32)[:, None])
        cells["round"].append(np.full((75, 1), 7, np.uint8))
        cells["time"].append(np.tile(np.arange(40, 55), 5).astype(np.uint8)[:, None])
        for axis in ("valence", "arousal"):
            cells[axis].append(generator.integers(-200, 201, (75, 1)).astype(np.int16))
    struct = {}
    for name, values in cells.items():
        struct[name] = np.empty((1, len(values)), dtype=object)
        for place, value in enumerate(values):
            struct[name][0, place] = value
    scipy.io.savemat(folder / "labels.mat", {"msLiteTurk": struct})
    clips = ["clip_id,audio,artist,album", *(f"c{number},,artist {number},album" for number in range(10))]
    (folder / "clips.csv").write_text("\n".join(clips) + "\n")
    labels = ["clip_id,annotator_id,time,arousal,valence"]
    for number in range(10):
        for worker in range(4):
            for second in (1, 2, 3):
                arousal, valence = np.round(generator.uniform(-0.5, 0.5, 2), 4)
                labels.append(f"c{number},w{worker},{second},{arousal},{valence}")
    (folder / "labels.csv").write_text("\n".join(labels) + "\n")


def _hashes(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*.parquet"))
    }


def _shown(text: str, folder: Path) -> str:
    """Return the first line without the path of the folder and signatures, which change with every version."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    return re.sub(r"\b[0-9a-f]{12}\b", "SIGNATURE", lines[0].replace(str(folder), "FOLDER")) if lines else ""


def make() -> tuple[dict[str, Any], dict[str, Any]]:
    """Run the program in an empty folder, and return its behaviour and numbers.

    Returns
    -------
    record : dict
        Hashes of Parquet files, scores, and exit status and first lines of every invocation.
    arrays : dict of ndarray
        Weights of a short pre-training, and the predictions of every entry.
    """
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place).resolve()
        with _inside(folder):
            return _make(folder)


def _make(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    import numpy as np
    import polars as pl
    from safetensors.numpy import load_file

    _prepare(folder)
    for arguments in (["build-data", *SMALL], ["build-data", "moodswings", "--labels", "labels.mat"]):
        status, _, error = _call(arguments)
        assert status == 0, error
    datasets = {name: _hashes(folder / "data" / name) for name in ("synthetic", "synthetic-pretrain", "moodswings")}
    known = pl.read_parquet(folder / "data" / "synthetic" / "clips").sort("clip_id")["clip_id"]
    values = np.random.default_rng(6).normal(size=(len(known), 2))
    pl.DataFrame({"clip_id": known, "x": values[:, 0], "y": values[:, 1]}).write_csv("mine.csv")
    specs = ["mfcc", "chroma", "spectral_shape", "spectral_contrast", "file:mine.csv", "mfcc+rhythm"]
    features = [word for spec in specs for word in ("--features", spec)]
    status, _, error = _call(["run", *features, *TRAINING, "--control"])
    assert status == 0, error
    status, _, error = _call(["run", "--features", "mfcc", "--regressor", "ridge", "--workers", "1"])
    assert status == 0, error
    arrays: dict[str, Any] = {}
    (weights,) = (folder / "models").rglob("weights.safetensors")
    for name, tensor in load_file(weights).items():
        arrays[f"weights/{name}"] = tensor
    scores = {}
    for path in sorted((folder / "results").rglob("*.json")):
        result = json.loads(path.read_text())
        entry = path.stem.rpartition("-")[0] + "|" + result["regressor"]
        scores[entry] = {
            name: {part: score[part] for part in ("mean", "std", "ci95")} for name, score in result["scores"].items()
        }
        # Predictions have one of these names beside a result.
        beside = (path.with_suffix(ending) for ending in (".parquet", ".predictions.parquet"))
        table = pl.read_parquet(next(each for each in beside if each.is_file())).sort("repeat", "clip_id", "time")
        arrays[f"predictions/{entry}"] = table.select(
            "arousal", "valence", "arousal_var", "valence_var", "covariance"
        ).to_numpy()
    invocations = {}
    for arguments in INVOCATIONS:
        status, out, error = _call(arguments)
        invocations[" ".join(arguments)] = {
            "status": status,
            "stdout": _shown(out, folder),
            "stderr": _shown(error, folder),
        }
    record = {"processor": _processor(), "datasets": datasets, "scores": scores, "invocations": invocations}
    return record, arrays


def _processor() -> str:
    """Return the processor, on which hashes of computed audio depend."""
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text().splitlines() if facts.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


if __name__ == "__main__":
    import numpy as np

    place = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    made, numbers = make()
    (place / "record.json").write_text(json.dumps(made, indent=2, ensure_ascii=False) + "\n")
    np.savez_compressed(place / "arrays.npz", **numbers)
