"""The behaviour of the program has not changed: hashes, weights, predictions, scores and messages equal a record."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

HERE = Path(__file__).parent
RECORD = json.loads((HERE / "record.json").read_text())


def test_behaviour_equals_the_record(tmp_path: Path) -> None:
    # A single test, because several could run the program in several test workers.
    call = [sys.executable, str(HERE / "recording.py"), str(tmp_path)]
    ran = subprocess.run(call, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    record = json.loads((tmp_path / "record.json").read_text())
    same = record["processor"] == RECORD["processor"]
    _check_datasets(record["datasets"], same)
    _check_numbers(tmp_path / "arrays.npz", 1e-12 if same else 1e-5)
    _check_scores(record["scores"], 1e-12 if same else 1e-4)
    assert record["invocations"] == RECORD["invocations"]


def _check_datasets(datasets: dict[str, dict[str, str]], same: bool) -> None:
    assert {name: list(files) for name, files in datasets.items()} == {
        name: list(files) for name, files in RECORD["datasets"].items()
    }
    # Labels are exact everywhere; values computed from audio may differ in the last bit on another processor.
    for name in RECORD["datasets"] if same else ["moodswings"]:
        assert datasets[name] == RECORD["datasets"][name]


def _check_numbers(path: Path, tolerance: float) -> None:
    """Compare weights and predictions."""
    with np.load(HERE / "arrays.npz") as stored, np.load(path) as arrays:
        assert sorted(arrays.files) == sorted(stored.files)
        for name in stored.files:
            np.testing.assert_allclose(arrays[name], stored[name], rtol=0, atol=tolerance, err_msg=name)


def _check_scores(found: dict[str, Any], tolerance: float) -> None:
    assert sorted(found) == sorted(RECORD["scores"])
    for entry, scores in RECORD["scores"].items():
        assert list(found[entry]) == list(scores)
        for name, score in scores.items():
            for part, value in score.items():
                expected = None if value is None else pytest.approx(value, rel=tolerance, abs=tolerance)
                assert found[entry][name][part] == expected, (entry, name, part)
