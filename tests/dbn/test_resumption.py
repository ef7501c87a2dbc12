"""Resumed training and training in several processes give the same weights as one uninterrupted process."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from emobench.dbn import checkpoint, pretraining, trainer
from emobench.dbn.config import PretrainingConfig
from emobench.dbn.distributed import ProcessGroup, process_group
from emobench.dbn.domains import Domain
from emobench.dbn.pretraining import pretrain
from emobench.errors import EmobenchError, InputError
from safetensors.numpy import load_file

DRIVER = Path(__file__).with_name("pretrain_driver.py")
LONG = {"epochs": [5, 100], "layers": [10, 8, 6], "batch": 5, "rate": 1e-3}


def _start(folder: Path, settings: dict[str, Any]) -> subprocess.Popen[str]:
    call = [sys.executable, str(DRIVER), str(folder), json.dumps(settings)]
    return subprocess.Popen(call, stderr=subprocess.PIPE, text=True)


def _weights(folder: Path) -> dict[str, np.ndarray]:
    return load_file(folder / "weights.safetensors")


def _finish(folder: Path, settings: dict[str, Any]) -> dict[str, np.ndarray]:
    process = _start(folder, settings)
    _, error = process.communicate(timeout=120)
    assert (process.returncode, error) == (0, "")
    return _weights(folder)


@pytest.mark.slow
@pytest.mark.parametrize(
    "more",
    [{}, {"momentum": 0.5, "persistent": True, "steps": 2, "schedule": "linear", "sample_visible": True}],
    ids=["plain", "all options"],
)
def test_training_killed_at_any_moment_ends_with_the_same_bits(tmp_path: Path, more: dict[str, Any]) -> None:
    settings = {**LONG, **more}
    undisturbed = _finish(tmp_path / "undisturbed", settings)
    moments = random.Random(len(more))
    folder = tmp_path / "killed"
    lengths = []
    for _ in range(4):
        process = _start(folder, settings)
        until = time.monotonic() + 60
        # It has resumed once it has continued from the last state.
        while not folder.exists() and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(moments.uniform(0.5, 1.2) + 1.5 * bool(lengths))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        state = checkpoint.load(folder)
        if state is not None:
            lengths.append(sum(len(log) for log in state[1]["logs"].values()))
    assert lengths == sorted(lengths)
    assert lengths
    assert lengths[0] > 0
    found = _finish(folder, settings)
    assert found.keys() == undisturbed.keys()
    for name, expected in undisturbed.items():
        np.testing.assert_array_equal(found[name], expected, err_msg=name)
    logs = [json.loads((place / "training.json").read_text())["rbms"] for place in (folder, tmp_path / "undisturbed")]
    for label, log in logs[1].items():
        errors = [[entry["reconstruction_error"] for entry in each] for each in (logs[0][label], log)]
        assert errors[0] == errors[1]
    assert not (folder / checkpoint.NAME).exists()


@pytest.mark.parametrize(
    "damage", [pytest.param(b"", marks=pytest.mark.slow), b"nonsense", pytest.param(None, marks=pytest.mark.slow)]
)
def test_training_with_a_damaged_checkpoint_starts_again(tmp_path: Path, damage: bytes | None) -> None:
    settings = {"epochs": [2], "layers": [4], "batch": 50, "rate": 1e-3}
    expected = _finish(tmp_path / "expected", settings)
    folder = tmp_path / "model"
    folder.mkdir()
    checkpoint.save(folder, {"training.weight": torch.zeros(12, 4)}, {"other": []})
    if damage is not None:
        (folder / checkpoint.NAME).write_bytes(damage)
    (folder / f".{checkpoint.NAME}.0123abcd.tmp").write_bytes(b"half a")
    found = _finish(folder, settings)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)
    assert {path.name for path in folder.iterdir()} == {path.name for path in (tmp_path / "expected").iterdir()}


def test_all_processes_read_the_checkpoint_before_one_removes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If nothing is left to train, processes do not meet elsewhere before the model is written."""
    order = []

    class Watched(ProcessGroup):
        def wait(self) -> None:
            order.append("wait")

    def refused(*_: Any, **__: Any) -> None:
        raise OSError("full")

    monkeypatch.setattr(trainer, "_SECONDS_BETWEEN_CHECKPOINTS", -1.0)
    with monkeypatch.context() as full:
        full.setattr(pretraining, "save_model", refused)
        with pytest.raises(OSError, match="full"):
            _pretrain(tmp_path)
    load, save = checkpoint.load, pretraining.save_model
    monkeypatch.setattr(checkpoint, "load", lambda folder: (order.append("read"), load(folder))[1])
    monkeypatch.setattr(pretraining, "save_model", lambda *a, **k: (order.append("written"), save(*a, **k))[1])
    config = PretrainingConfig(window=2, layers=(5,), epochs=(2,))
    cpu = torch.device("cpu")
    pretrain(_made_up(), Domain("rhythm", 2), config, folder=tmp_path, provenance={}, device=cpu, group=Watched())
    assert order == ["read", "wait", "written", "wait"]


def _made_up() -> list[np.ndarray]:
    return [np.random.default_rng(seed).normal(size=(30, 4)).astype(np.float32) for seed in range(6)]


def _pretrain(folder: Path, **settings: Any) -> None:
    config = PretrainingConfig(**{"window": 2, "layers": (5,), "epochs": (2,), **settings})
    pretrain(_made_up(), Domain("rhythm", 2), config, folder=folder, provenance={}, device=torch.device("cpu"))


def test_diverged_training_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(EmobenchError, match=r"layer 0: diverged in epoch \d+ \(reconstruction error .*lower the"):
        _pretrain(tmp_path, rate=0.4, epochs=(50,), batch=10)
    state = checkpoint.load(tmp_path)
    assert state is not None
    tensors, facts = state
    assert facts["training"] == "layer 0"
    assert all(torch.isfinite(tensor).all() for tensor in tensors.values())
    assert all(np.isfinite(entry["reconstruction_error"]) for entry in facts["logs"]["layer 0"])
    assert not (tmp_path / "weights.safetensors").exists()


def test_measurements_in_the_log(tmp_path: Path) -> None:
    _pretrain(tmp_path, rate=1e-3, held_out=0.34, layers=(5, 3))
    log = json.loads((tmp_path / "training.json").read_text())["rbms"]
    assert set(log) == {"layer 0", "layer 1 on 2 epochs"}
    entry = log["layer 0"][-1]
    tensors = _weights(tmp_path)
    clips = _made_up()
    held = sorted(np.random.default_rng(0).permutation(6)[:2].tolist())

    def inputs(numbers: list[int]) -> np.ndarray:
        windows = [np.hstack([clips[number][:-1], clips[number][1:]]) for number in numbers]
        return (np.concatenate(windows) - tensors["mean"]) / tensors["scale"]

    seen = inputs([number for number in range(6) if number not in held])
    weight, bias = tensors["epochs2.layer0.weight"], tensors["epochs2.layer0.bias"]
    hidden = 1 / (1 + np.exp(-(seen @ weight + bias)))
    assert entry["hidden_mean"] == pytest.approx(hidden.mean(), rel=1e-5)
    assert entry["hidden_std"] == pytest.approx(hidden.std(), rel=1e-3)
    assert entry["weight_norm"] == pytest.approx(np.linalg.norm(weight), rel=1e-5)
    assert entry["examples_per_second"] == pytest.approx(len(seen) / entry["seconds"], rel=1e-6)
    # The visible biases are not kept, but small; without them the gap follows from the kept weights.
    energies = [((v**2).sum(1) / 2 - np.log1p(np.exp(v @ weight + bias)).sum(1)).mean() for v in (inputs(held), seen)]
    assert entry["free_energy_gap"] == pytest.approx(energies[0] - energies[1], abs=0.05)


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_a_schedule_changes_the_weights(tmp_path: Path, schedule: str) -> None:
    _pretrain(tmp_path / "constant", rate=1e-3)
    _pretrain(tmp_path / schedule, rate=1e-3, schedule=schedule)
    one, other = (_weights(tmp_path / name)["epochs2.layer0.weight"] for name in ("constant", schedule))
    assert not np.array_equal(one, other)
    with pytest.raises(ValueError, match="`schedule` square: expected one of constant, linear, cosine"):
        PretrainingConfig(schedule="square")


def test_the_reconstruction_error_with_persistent_chains(tmp_path: Path) -> None:
    for name, settings in (("cd", {}), ("pcd", {"persistent": True})):
        _pretrain(tmp_path / name, rate=1e-7, epochs=(1,), **settings)
    errors = [
        json.loads((tmp_path / name / "training.json").read_text())["rbms"]["layer 0"][0]["reconstruction_error"]
        for name in ("cd", "pcd")
    ]
    # RBMs that have learned nothing: the variance of normalised data.
    assert errors == pytest.approx([1.0, 1.0], abs=0.05)


@pytest.mark.parametrize("window", [1, 16])
@pytest.mark.parametrize("layers", [(7,), (6, 5, 4, 3, 2)])
def test_any_window_and_depth(tmp_path: Path, window: int, layers: tuple[int, ...]) -> None:
    config = PretrainingConfig(window=window, layers=layers, epochs=(1,))
    place = tmp_path / "model"
    pretrain(_made_up(), Domain("rhythm", window), config, folder=place, provenance={}, device=torch.device("cpu"))
    tensors = _weights(place)
    assert tensors["mean"].shape == (4 * window,)
    assert [tensors[f"epochs1.layer{number}.weight"].shape[1] for number in range(len(layers))] == list(layers)


# Several processes


@pytest.mark.slow
def test_two_processes_give_the_weights_of_one(tmp_path: Path) -> None:
    settings = {
        "epochs": [2, 4],
        "layers": [10, 6],
        "batch": 101,
        "rate": 1e-3,
        "momentum": 0.5,
        "sparsity_target": 0.2,
    }
    one = _finish(tmp_path / "one", settings)
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
            *(str(DRIVER), str(tmp_path / "two"), json.dumps(settings)),
        ],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert ran.returncode == 0, ran.stderr
    two = _weights(tmp_path / "two")
    moved = 0.0
    for name, expected in one.items():
        np.testing.assert_allclose(two[name], expected, atol=1e-5, err_msg=name)
        moved = max(moved, float(np.abs(expected).max()))
    assert moved > 0.05


def test_persistent_chains_need_a_single_process(tmp_path: Path) -> None:
    config = PretrainingConfig(persistent=True, window=2)
    place = tmp_path / "model"
    with pytest.raises(InputError, match="`persistent` chains need a single process"):
        pretrain(
            _made_up(),
            Domain("rhythm", 2),
            config,
            folder=place,
            provenance={},
            device=torch.device("cpu"),
            group=ProcessGroup(0, 2),
        )


def test_a_single_process_without_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with process_group(torch.device("cpu")) as group:
        assert group == ProcessGroup(0, 1)
        group.wait()
