"""Features of other packages: valid and invalid return values, and changed code."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from emobench.benchmark import runs
from emobench.benchmark.features import extraction, standard
from emobench.benchmark.features.network_config import NetworkConfig
from emobench.benchmark.report.leaderboard import load, rendered
from emobench.benchmark.results.collection import verify_all
from emobench.benchmark.results.verify_data import Datasets
from emobench.errors import InputError
from emobench.protocols import features
from emobench.runtime.executor import executor

FRAMES = """
import numpy as np
def level(samples, rate=22050):
    frames = samples[: len(samples) // 1000 * 1000].reshape(-1, 1000)
    return (np.arange(len(frames)) + 0.5) * 1000 / rate, np.abs(frames).mean(axis=1, keepdims=True)
"""


@pytest.fixture
def plug_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Write a package with some code, and register each name of it as a feature."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def write(code: str, *names: str) -> None:
        (tmp_path / "loud_package.py").write_text(code)
        monkeypatch.delitem(sys.modules, "loud_package", raising=False)
        points = {name: EntryPoint(name, f"loud_package:{name}", "emobench.features") for name in names}
        monkeypatch.setattr(features, "plugins", lambda: points)

    return write


def _run(specs: list[str], folder: Path, out: Path) -> Any:
    places = runs.Places(dataset=folder / "syn", out=out / "results", models=out / "models")
    with executor(1) as pool:
        return runs.run(specs, places, runs.RunConfig(), NetworkConfig(), device="cpu", pool=pool)


def test_concatenation_with_a_standard_feature(with_audio: Path, tmp_path: Path, plug_in: Any) -> None:
    plug_in(FRAMES, "level")
    outcome = _run(["level+mfcc"], with_audio, tmp_path)
    assert outcome.results[0].dims == 21
    assert len(outcome.results[0].config.values) == 2


def test_changed_code_gives_a_new_result(with_audio: Path, tmp_path: Path, plug_in: Any) -> None:
    plug_in(FRAMES, "level")
    first = _run(["level"], with_audio, tmp_path)
    assert first.computed == 5
    assert _run(["level"], with_audio, tmp_path).computed == 0

    # Another file with the same values is the same feature; other values are another feature.
    plug_in(FRAMES + "\n# a comment\n", "level")
    assert _run(["level"], with_audio, tmp_path).computed == 0
    plug_in(FRAMES.replace("np.abs(frames)", "np.square(frames)"), "level")
    changed = _run(["level"], with_audio, tmp_path)
    assert changed.computed == 1
    assert changed.results[0].signature != first.results[0].signature
    assert changed.results[0].scores != first.results[0].scores
    # Both are on the leaderboard, and the folder passes its checks.
    shown = rendered(load(tmp_path / "results").tables, "rich")
    assert all(f"level [{result.signature[:6]}" in shown for result in (first.results[0], changed.results[0]))
    found = verify_all(tmp_path / "results", Datasets([with_audio / "syn"], with_audio, only=False), tmp_path)
    assert found.ok


def test_a_changed_standard_feature_gives_a_new_signature(
    with_audio: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = _run(["mfcc"], with_audio, tmp_path)
    computed = standard.compute

    def changed(*arguments: Any) -> Any:
        found = computed(*arguments)
        return {name: standard.Computed(each.values + 1e-3, 0.1) for name, each in found.items()}

    monkeypatch.setattr(standard, "compute", changed)
    monkeypatch.setattr(extraction, "code_sha256", lambda: "another")
    assert _run(["mfcc"], with_audio, tmp_path).results[0].signature != first.results[0].signature


def test_the_regressor_sees_float32(with_audio: Path, tmp_path: Path, plug_in: Any) -> None:
    offset = "return times, np.tile(1.0 + np.arange(len(times))[:, None] % 3 * {step}, (1, 1))"
    code = "import numpy as np\ndef fine(samples, rate=22050):\n    times = np.arange(len(samples) // rate) + 0.5\n    "
    # Steps below the resolution of float32 at 1 give a constant feature.
    plug_in(code + offset.format(step=1e-9), "fine")
    outcome = _run(["fine"], with_audio, tmp_path)
    means = {result.features: result.scores["mean_distance"].mean for result in outcome.results}
    assert means["fine"] == pytest.approx(means["constant"], abs=1e-12)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "return [1.0, 3.0], np.ones((2, 1))",
            r"clip s0001: returned no frame for 6 of 8 seconds \(2, 4, 5, 6, 7 and 1 more\); expected one in every",
        ),
        ("return np.arange(3), np.zeros((2, 1))", r"returned times of shape \(3,\) and values of shape \(2, 1\)"),
        ("return np.arange(8) + 0.5, np.zeros(8)", r"times of shape \(8,\) and values of shape \(8,\); expected"),
        ("return [], np.zeros((0, 4))", r"returned times of shape \(0,\)"),
        ("return 8 - np.arange(8), np.ones((8, 1))", "returned times that do not increase"),
        ("return np.full(8, np.nan), np.ones((8, 1))", "returned times that do not increase"),
        ("return np.arange(8) + 0.5, np.full((8, 2), np.nan)", "value 1 of frame 1 is nan; expected a finite float32"),
        ("return np.arange(8) + 0.5, np.full((8, 2), -1e308)", r"value 1 of frame 1 is -1e\+308; expected a finite"),
        ("return np.arange(8) + 0.5, np.ones((8, int(samples[0] > 0) + 1))", "returned 1, 2 columns"),
        ("raise KeyError('loud')", "feature odd, clip s0001: KeyError: 'loud'"),
        ("return None", "clip s0001: returned NoneType; expected two arrays, times and values"),
    ],
)
def test_invalid_return_values(with_audio: Path, tmp_path: Path, plug_in: Any, body: str, message: str) -> None:
    plug_in(f"import numpy as np\ndef odd(samples):\n    {body}\n", "odd")
    with pytest.raises(InputError, match=message) as caught:
        _run(["odd"], with_audio, tmp_path)
    assert str(caught.value).startswith("feature odd")
    assert not list(tmp_path.rglob("odd-*.json"))


def test_a_sparse_feature_holds_its_last_value(with_audio: Path, tmp_path: Path, plug_in: Any) -> None:
    code = "import numpy as np\ndef rare(samples):\n    return [0.5, 2.5], np.array([[1.0], [samples[:9].sum()]])\n"
    plug_in(code, "rare")
    with pytest.raises(InputError, match="returned no frame for 6 of 8 seconds"):
        _run(["rare"], with_audio, tmp_path)
    plug_in(code + "rare.sparse = True\n", "rare")
    assert _run(["rare"], with_audio, tmp_path).results[0].dims == 1


def test_a_package_that_cannot_be_imported(with_audio: Path, tmp_path: Path, plug_in: Any) -> None:
    plug_in("", "absent")
    with pytest.raises(InputError, match=r"feature absent: loud_package:absent cannot be imported"):
        _run(["absent"], with_audio, tmp_path)


def test_cost_is_that_of_each_entry(with_audio: Path, tmp_path: Path, plug_in: Any) -> None:
    # The first call is slow, as one that imports a framework is; the cost per clip is not.
    slow = "import time\nFIRST = []\n" + FRAMES.replace(
        "    frames =", "    FIRST or FIRST.append(sum(range(30_000_000)))\n    frames ="
    )
    plug_in(slow, "level")
    outcome = _run(["level", "mfcc", "chroma"], with_audio, tmp_path)
    costs = {result.features: result.cost for result in outcome.results}
    assert costs["level"].seconds_per_clip < 0.1
    # Regression on eight-second clips takes milliseconds, whichever entry comes first.
    assert all(cost.train_seconds < 0.1 for cost in costs.values())
    assert all(cost.peak_rss_mb is None for cost in costs.values())
    again = pl.read_parquet(outcome.paths[0].with_suffix(".predictions.parquet"))
    assert np.isfinite(again["arousal"].to_numpy()).all()
