"""Greedy pre-training: statistics, checkpoints, reproducible bytes, and held-out clips."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from emobench.dbn.batches import input_statistics
from emobench.dbn.config import PretrainingConfig
from emobench.dbn.domains import Domain, examples
from emobench.dbn.model import load_model
from emobench.errors import EmobenchError, InputError

from .small_models import DOMAIN, WEIGHTS, Run, small_clips, small_config, small_pretrain

pytestmark = pytest.mark.usefixtures("one_thread")


# Normalisation


@pytest.mark.parametrize(("name", "window"), [("rhythm", 4), ("pitch", 3), ("pitch2d", 2)])
def test_statistics_of_the_stacked_matrix(name: str, window: int) -> None:
    rng = np.random.default_rng(0)
    clips = [(1000 + 10 * rng.normal(size=(n, 6))).astype(np.float32) for n in (9, 2, 30, 4)]
    data = examples(Domain(name, window), clips)
    stacked = data.matrix().astype(np.float64)
    mean, scale = input_statistics(data)
    assert mean.dtype == scale.dtype == np.float32
    np.testing.assert_allclose(mean, stacked.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(scale, stacked.std(axis=0), rtol=1e-4)


def test_edges_of_clips_count_only_at_their_positions() -> None:
    # Segments 0, 1, 2: the first position of a window never contains 2, the second never 0.
    data = examples(DOMAIN, [np.array([[0.0], [1.0], [2.0]], np.float32)])
    mean, scale = input_statistics(data)
    assert mean.tolist() == [0.5, 1.5]
    assert scale.tolist() == [0.5, 0.5]


def test_a_dimension_that_never_changes_has_scale_1() -> None:
    clip = np.column_stack([np.full(9, 1234.5), np.zeros(9), np.arange(9)]).astype(np.float32)
    mean, scale = input_statistics(examples(DOMAIN, [clip]))
    assert mean[:2].tolist() == [1234.5, 0.0]
    assert scale[[0, 1, 3, 4]].tolist() == [1.0, 1.0, 1.0, 1.0]
    assert scale[2] > 2


def test_one_example_only() -> None:
    mean, scale = input_statistics(examples(DOMAIN, [np.array([[3.0], [4.0]], np.float32)]))
    assert (mean.tolist(), scale.tolist()) == ([3.0, 4.0], [1.0, 1.0])


def test_inputs_are_normalised(tmp_path: Path) -> None:
    # Weights close to 0 reconstruct the mean, so the error is the variance of the inputs: 1.
    folder = tmp_path / "model"
    small_pretrain(folder, small_config(init_scale=1e-7, rate=1e-12, epochs=(1,), layers=(4,)))
    assert Run(folder, small_config(), {}).errors("layer 0")[0] == pytest.approx(1.0, rel=1e-4)


# Checkpoints


def test_weights_after_each_number_of_epochs(run: Run) -> None:
    shapes = {"layer0.weight": (6, 5), "layer1.weight": (5, 4), "layer2.weight": (4, 3)}
    biases = {"layer0.bias": (5,), "layer1.bias": (4,), "layer2.bias": (3,)}
    expected: dict[str, tuple[int, ...]] = {"mean": (6,), "scale": (6,)}
    for epochs in (0, 5, 10, 20, 50):
        expected |= {f"epochs{epochs}.{name}": shape for name, shape in (shapes | biases).items()}
    assert {name: tensor.shape for name, tensor in run.tensors.items()} == expected
    assert all(tensor.dtype == np.float32 and np.isfinite(tensor).all() for tensor in run.tensors.values())


def test_checkpoints_differ(run: Run) -> None:
    kept = [run.tensors[f"epochs{epochs}.layer0.weight"] for epochs in (0, 5, 10, 20, 50)]
    assert all(not np.array_equal(first, second) for first, second in itertools.pairwise(kept))


@pytest.mark.parametrize("epochs", [5, 20])
def test_a_checkpoint_equals_the_end_of_a_shorter_training(run: Run, tmp_path: Path, epochs: int) -> None:
    shorter = small_pretrain(tmp_path / "model", small_config(epochs=(epochs,), layers=(5, 4, 3), held_out=0.25))
    for part in ("weight", "bias"):
        name = f"epochs{epochs}.layer0.{part}"
        np.testing.assert_array_equal(shorter[name], run.tensors[name])


def test_upper_layers_are_trained_as_long_on_each_checkpoint(run: Run) -> None:
    logs = json.loads((run.folder / "training.json").read_text())["rbms"]
    lengths = {name: len(log) for name, log in logs.items()}
    expected = {"layer 0": 50}
    for epochs in (5, 10, 20, 50):
        expected |= {f"layer {number} on {epochs} epochs": epochs for number in (1, 2)}
    assert lengths == expected


def test_reconstruction_error_falls_on_structured_data(tmp_path: Path) -> None:
    # One switch moves all bands of a segment: two hidden units can represent nearly all of an input.
    folder = tmp_path / "model"
    tensors = small_pretrain(folder, small_config(epochs=(60,), rate=2e-3))
    errors = Run(folder, small_config(), tensors).errors("layer 0")
    assert errors[0] > 0.6
    assert errors[-1] < 0.25
    # The features represent the switch, which those of an untrained network need not.
    data = examples(DOMAIN, small_clips(6, seed=9)).matrix()
    inputs = (data - tensors["mean"]) / tensors["scale"]
    weight, bias = tensors["epochs60.layer0.weight"], tensors["epochs60.layer0.bias"]
    hidden = 1 / (1 + np.exp(-(inputs @ weight + bias)))
    switch = np.sign(inputs[:, 3:].mean(axis=1))
    fit = np.linalg.lstsq(np.column_stack([hidden, np.ones(len(hidden))]), switch, rcond=None)[1]
    assert fit[0] / len(switch) < 0.25


def test_the_control_does_not_depend_on_training(run: Run, tmp_path: Path) -> None:
    other = small_pretrain(tmp_path / "model", small_config(epochs=(1,), rate=1e-6, layers=(5, 4, 3), held_out=0.25))
    for number in range(3):
        name = f"epochs0.layer{number}.weight"
        np.testing.assert_array_equal(other[name], run.tensors[name])
        assert np.ptp(other[name]) > 0


# Randomness and data


def test_training_again_gives_the_same_bytes(run: Run, tmp_path: Path) -> None:
    torch.manual_seed(12345)
    small_pretrain(tmp_path / "model", run.config)
    for name in (WEIGHTS, "config.json"):
        assert (tmp_path / "model" / name).read_bytes() == (run.folder / name).read_bytes()


def test_another_seed_gives_other_weights(tmp_path: Path) -> None:
    first, second = (small_pretrain(tmp_path / str(seed), small_config(seed=seed)) for seed in (0, 1))
    for name in ("epochs2.layer0.weight", "epochs0.layer0.weight", "epochs2.layer1.weight"):
        assert not np.array_equal(first[name], second[name])


def test_held_out_clips_are_never_trained_on(tmp_path: Path) -> None:
    clips = small_clips(8)
    config = small_config(held_out=0.25, epochs=(1,), layers=(3,))
    small_pretrain(tmp_path / "plain", config, clips)
    plain = (tmp_path / "plain" / WEIGHTS).read_bytes()
    unheard = []
    for number in range(len(clips)):
        changed = list(clips)
        changed[number] = clips[number] * -7 + 100
        small_pretrain(tmp_path / str(number), config, changed)
        if (tmp_path / str(number) / WEIGHTS).read_bytes() == plain:
            unheard.append(number)
    # Some quarter of the eight clips has no influence on statistics and weights.
    assert len(unheard) == 2
    log = json.loads((tmp_path / str(unheard[0]) / "training.json").read_text())["rbms"]["layer 0"]
    base = json.loads((tmp_path / "plain" / "training.json").read_text())["rbms"]["layer 0"]
    # But the log covers them.
    assert log[0]["free_energy_gap"] > base[0]["free_energy_gap"] + 10


def test_no_held_out_clips(tmp_path: Path) -> None:
    small_pretrain(tmp_path / "model", small_config(epochs=(1,)))
    logs = json.loads((tmp_path / "model" / "training.json").read_text())["rbms"]
    assert all("free_energy_gap" not in entry for log in logs.values() for entry in log)
    assert json.loads((tmp_path / "model" / "config.json").read_text())["examples"] == 12 * 13


def test_clips_without_an_example_are_skipped(tmp_path: Path) -> None:
    clips = small_clips(5)
    first = small_pretrain(tmp_path / "plain", small_config(), clips)
    second = small_pretrain(tmp_path / "short", small_config(), [*clips[:3], clips[0][:1], *clips[3:], clips[1][:0]])
    for name, tensor in first.items():
        np.testing.assert_array_equal(second[name], tensor)


@pytest.mark.parametrize(("name", "dims"), [("pitch", 12 * 2), ("pitch2d", 6 * 2 * 2)])
def test_other_domains(tmp_path: Path, name: str, dims: int) -> None:
    tensors = small_pretrain(tmp_path / "model", small_config(epochs=(1,)), small_clips(bands=12), Domain(name, 2))
    assert tensors["epochs1.layer0.weight"].shape == (dims, 5)
    assert load_model(tmp_path / "model").domain == Domain(name, 2)


# Failure


def test_divergence_is_reported(tmp_path: Path) -> None:
    with pytest.raises(EmobenchError, match=r"layer 0: diverged in epoch \d+.*lower the learning rate") as caught:
        small_pretrain(tmp_path / "model", small_config(rate=1e6, epochs=(5,)))
    assert caught.value.exit_code == 1
    assert not (tmp_path / "model" / WEIGHTS).exists()


def test_divergence_of_the_last_step_is_reported(tmp_path: Path) -> None:
    with pytest.raises(EmobenchError, match="diverged"):
        small_pretrain(tmp_path / "model", small_config(rate=1e38, epochs=(1,), layers=(5,), batch=1000))


def test_features_that_are_not_finite(tmp_path: Path) -> None:
    clips = small_clips()
    clips[3][2, 1] = np.nan
    with pytest.raises(
        InputError, match="rhythm: the features of the pre-training set contain values that are not finite"
    ):
        small_pretrain(tmp_path / "model", small_config(), clips)


def test_one_example_and_one_unit(tmp_path: Path) -> None:
    small_pretrain(tmp_path / "model", small_config(layers=(1,), epochs=(1,)), [small_clips(1)[0][:2]])
    log = json.loads((tmp_path / "model" / "training.json").read_text())["rbms"]["layer 0"]
    assert log[0]["hidden_std"] == 0.0


def test_only_short_clips(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"rhythm: no clip .* 2 beats"):
        small_pretrain(tmp_path / "model", small_config(), [clip[:1] for clip in small_clips()])
    assert not (tmp_path / "model").exists()


def test_no_clips(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        small_pretrain(tmp_path / "model", small_config(), [])


def test_a_single_clip_is_never_held_out(tmp_path: Path) -> None:
    small_pretrain(tmp_path / "model", small_config(held_out=0.6), small_clips(1))
    assert (tmp_path / "model" / "weights.safetensors").is_file()


@pytest.mark.parametrize(
    "changes",
    [
        {"layers": ()},
        {"layers": (5, 0)},
        {"layers": (-1,)},
        {"epochs": ()},
        {"epochs": (0, 5)},
        {"epochs": (10, 5)},
        {"epochs": (5, 5)},
        {"rate": 0.0},
        {"rate": -1e-5},
        {"rate": float("nan")},
        {"rate": 1e39},
        {"weight_decay": 1e39},
        {"sparsity_cost": 1e39},
        {"seed": -1},
        {"seed": 2**63},
        {"layers": (10**11,)},
        {"batch": 0},
        {"init_scale": 0.0},
        {"init_scale": float("nan")},
        {"held_out": -0.1},
        {"held_out": 1.0},
        {"held_out": float("nan")},
    ],
)
def test_wrong_settings(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(changes))):
        small_config(**changes)


def test_the_papers_settings_are_the_default() -> None:
    config = PretrainingConfig()
    assert (config.window, config.layers, config.epochs, config.rate) == (4, (75, 50, 25), (5, 10, 20, 50), 1e-5)
