"""The program does what it did: hashes, weights, predictions, scores and messages against a record of them."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest


def _recording() -> Any:
    spec = importlib.util.spec_from_file_location("recording", Path(__file__).with_name("recording.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["recording"] = module
    spec.loader.exec_module(module)
    return module


recording = _recording()
RECORD = json.loads(recording.RECORD.read_text())


def test_the_program_does_what_it_did() -> None:
    # One test: several would each run the program in a worker of their own.
    record, arrays = recording.make()
    same = record["processor"] == RECORD["processor"]
    _check_datasets(record["datasets"], same)
    _check_numbers(arrays, 1e-12 if same else 1e-5)
    _check_scores(record["scores"], 1e-12 if same else 1e-4)
    assert record["invocations"] == RECORD["invocations"]


def _check_datasets(datasets: dict[str, dict[str, str]], same: bool) -> None:
    assert {name: list(files) for name, files in datasets.items()} == {
        name: list(files) for name, files in RECORD["datasets"].items()
    }
    # Labels are exact everywhere; what is computed from audio may differ in the last bit on another processor.
    for name in RECORD["datasets"] if same else ["moodswings"]:
        assert datasets[name] == RECORD["datasets"][name]


def _check_numbers(arrays: dict[str, Any], tolerance: float) -> None:
    """Compare weights and predictions."""
    with np.load(recording.ARRAYS) as stored:
        assert sorted(arrays) == sorted(stored.files)
        for name in stored.files:
            np.testing.assert_allclose(arrays[name], stored[name], rtol=0, atol=tolerance, err_msg=name)


def _check_scores(found: dict[str, Any], tolerance: float) -> None:
    assert list(found) == list(RECORD["scores"])
    for entry, scores in RECORD["scores"].items():
        assert list(found[entry]) == list(scores)
        for name, score in scores.items():
            for part, value in score.items():
                wanted = None if value is None else pytest.approx(value, rel=tolerance, abs=tolerance)
                assert found[entry][name][part] == wanted, (entry, name, part)
