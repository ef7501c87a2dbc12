"""Contrastive encoders: loss, pairs and disturbances beside formulas; learning; resumption; wrong input."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from emobench.dbn import checkpoint, contrastive
from emobench.dbn.config import ContrastiveConfig
from emobench.dbn.contrastive import EncoderTrainer, pretrain_encoder
from emobench.dbn.domains import Domain, examples
from emobench.dbn.model import load_model
from emobench.errors import EmobenchError, InputError
from safetensors.numpy import load_file

CPU = torch.device("cpu")
BANDS = 12
DOMAIN = Domain("texture", 2)
SMALL: dict[str, Any] = {"window": 2, "layers": (16, 8), "projector": 6, "steps": 120, "batch": 20, "seed": 5}
STILL: dict[str, Any] = {"level_shift": 0.0, "noise": 0.0, "masked": 0.0, "dropout": 0.0}


def _clips(count: int = 30, beats: int = 9, seed: int = 0) -> list[np.ndarray]:
    """Make clips of which each has values of its own in three bands, and noise in the others."""
    rng = np.random.default_rng(seed)
    clips = []
    for _ in range(count):
        clip = rng.normal(size=(beats, BANDS))
        clip[:, :3] = rng.normal(size=3) + 0.1 * clip[:, :3]
        clips.append(clip.astype(np.float32))
    return clips


def _trainer(folder: Path, clips: list[np.ndarray] | None = None, **changes: Any) -> EncoderTrainer:
    data = examples(DOMAIN, _clips() if clips is None else clips)
    return EncoderTrainer(data, ContrastiveConfig(**(SMALL | changes)), folder=folder, device=CPU)


def _train(folder: Path, clips: list[np.ndarray] | None = None, **changes: Any) -> dict[str, np.ndarray]:
    config = ContrastiveConfig(**(SMALL | changes))
    clips = _clips() if clips is None else clips
    pretrain_encoder(clips, DOMAIN, config, folder=folder, provenance={"data": "made | up"}, device=CPU)
    return load_file(folder / "weights.safetensors")


# One update


def test_loss_by_the_formula(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = _trainer(tmp_path, **STILL)
    seen: list[np.ndarray] = []
    monkeypatch.setattr(
        trainer, "_inputs", lambda places: seen.append(places.numpy()) or trainer._views[trainer._starts[places]]
    )
    loss, hit = trainer._loss()
    (places,) = seen
    hidden = (trainer.data.matrix()[places].astype(np.float64) - trainer.mean.numpy()) / trainer.scale.numpy()
    for module in [*trainer.encoder, *trainer.projector]:
        if isinstance(module, torch.nn.Linear):
            hidden = hidden @ module.weight.detach().numpy().T.astype(np.float64) + module.bias.detach().numpy()
        elif isinstance(module, torch.nn.BatchNorm1d):
            hidden = (hidden - hidden.mean(0)) / np.sqrt(hidden.var(0) + 1e-5)
        else:
            hidden = np.maximum(hidden, 0)
    hidden /= np.linalg.norm(hidden, axis=1, keepdims=True)
    count = len(places) // 2
    similar = np.exp(hidden[:count] @ hidden[count:].T / 0.2)
    own = np.diag(similar)
    expected = -(np.log(own / similar.sum(axis=1)) + np.log(own / similar.sum(axis=0))).mean() / 2
    assert loss.item() == pytest.approx(expected, rel=1e-4)
    assert hit.item() == (similar.argmax(axis=1) == np.arange(count)).mean()


def test_pairs_are_different_windows_of_one_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Clips of 1 beat have no window, those of 2 beats have one and those of 9 beats eight.
    clips = [part for clip in _clips(8) for part in (clip, clip[:2], clip[:1])]
    trainer = _trainer(tmp_path, clips, batch=100)
    owner = np.repeat(np.arange(len(clips)), trainer.data.counts)
    drawn: list[np.ndarray] = []
    inputs = trainer._inputs
    monkeypatch.setattr(trainer, "_inputs", lambda places: drawn.append(places.numpy()) or inputs(places))
    used = set()
    for step in range(60):
        trainer.step = step
        trainer._loss()
        first, second = np.split(drawn[-1], 2)
        np.testing.assert_array_equal(owner[first], owner[second])
        assert sorted(owner[first]) == [clip for clip in range(len(clips)) if clip % 3 != 2]
        single = owner[first] % 3 == 1
        np.testing.assert_array_equal(first == second, single)
        used |= set(zip(first[~single] % 9, second[~single] % 9, strict=True))
    # All windows appear in both places.
    assert {int(one) for one, _ in used} == {int(two) for _, two in used}
    assert {int(place) for place in np.concatenate(drawn)} == set(range(len(trainer.data)))


def test_disturbances_have_the_sizes_of_the_settings(tmp_path: Path) -> None:
    trainer = _trainer(tmp_path, **STILL)
    inputs = torch.zeros(4000, 2 * BANDS)
    ones = torch.ones_like(inputs)

    def disturbed(source: torch.Tensor, **changes: Any) -> np.ndarray:
        trainer.config = ContrastiveConfig(**(SMALL | STILL | changes))
        return trainer._disturbed(source, torch.Generator().manual_seed(3)).numpy().reshape(-1, 2, BANDS)

    shifted = disturbed(inputs, level_shift=0.3)
    levels = shifted[:, :, : BANDS - 7]
    np.testing.assert_array_equal(levels, np.broadcast_to(levels[:, :1, :1], levels.shape))
    assert levels[:, 0, 0].std() == pytest.approx(0.3, rel=0.05)
    assert not shifted[:, :, BANDS - 7 :].any()
    noise = disturbed(inputs, noise=0.1)
    assert noise.std() == pytest.approx(0.1, rel=0.02)
    masked = disturbed(ones, masked=0.2)
    np.testing.assert_array_equal(masked[:, 0], masked[:, 1])
    assert set(np.unique(masked)) == {0.0, 1.0}
    assert (masked == 0).mean() == pytest.approx(0.2, abs=0.01)
    dropped = disturbed(ones, dropout=0.2)
    assert dropped.mean() == pytest.approx(1.0, abs=0.01)
    assert (dropped == 0).mean() == pytest.approx(0.2, abs=0.01)
    assert (dropped[:, 0] != dropped[:, 1]).any()


# Training


def test_the_folded_encoder_equals_the_modules(tmp_path: Path) -> None:
    trainer = _trainer(tmp_path)
    trainer.train()
    encoder = trainer._folded()
    inputs = torch.from_numpy(trainer.data.matrix())
    # Batch normalisation over all windows, as the weights contain it.
    expected = trainer.encoder.train()((inputs - trainer.mean) / trainer.scale)
    (found,) = encoder.activations(inputs)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_an_encoder_finds_other_windows_of_a_clip(tmp_path: Path) -> None:
    """On clips that it has not seen, more often than random weights."""
    _train(tmp_path / "model", _clips(200), steps=300, batch=100, rate=1e-2, layers=(64, 16), projector=16)
    model = load_model(tmp_path / "model")
    unseen = examples(DOMAIN, _clips(60, beats=4, seed=9))
    first = np.concatenate([[0], np.cumsum(unseen.counts)[:-1]])

    def accuracy(values: np.ndarray) -> float:
        values = values / np.linalg.norm(values, axis=1, keepdims=True)
        similar = values[first] @ values[first + 2].T
        return float((similar.argmax(axis=1) == np.arange(len(first))).mean())

    shares = {steps: accuracy(network.features(unseen)[0]) for steps, network in model.networks.items()}
    assert shares[0] < 0.2
    assert shares[300] > 0.4
    log = json.loads((tmp_path / "model" / "training.json").read_text())["updates"]
    assert [entry["step"] for entry in log] == [50, 100, 150, 200, 250, 300]
    assert log[-1]["loss"] < log[0]["loss"]


def test_the_seed_determines_the_weights(tmp_path: Path) -> None:
    first, again, other = (_train(tmp_path / name, seed=seed) for name, seed in (("a", 5), ("b", 5), ("c", 6)))
    for name, expected in first.items():
        np.testing.assert_array_equal(again[name], expected)
        assert name in ("mean", "scale") or name.endswith("bias") or (other[name] != expected).any()


@pytest.mark.parametrize("saves", [1, 2])
def test_an_interrupted_training_ends_with_the_same_bits(
    tmp_path: Path, saves: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = _train(tmp_path / "whole")
    monkeypatch.setattr(contrastive, "_SECONDS_BETWEEN_CHECKPOINTS", -1.0)
    left, save = [saves], checkpoint.save

    def saving(*arguments: Any) -> None:
        save(*arguments)
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "save", saving)
    folder = tmp_path / "interrupted"
    with pytest.raises(KeyboardInterrupt):
        _train(folder)
    assert (folder / checkpoint.NAME).is_file()
    assert not (folder / "weights.safetensors").exists()
    # From the checkpoint, not from the start.
    steps: list[int] = []
    loss = EncoderTrainer._loss
    monkeypatch.setattr(EncoderTrainer, "_loss", lambda self: steps.append(self.step) or loss(self))
    found = _train(folder)
    assert steps == list(range(50 * saves, 120))
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)
    assert not (folder / checkpoint.NAME).exists()
    logs = [json.loads((place / "training.json").read_text())["updates"] for place in (folder, tmp_path / "whole")]
    found_losses, expected_losses = ([entry["loss"] for entry in log] for log in logs)
    assert found_losses == expected_losses


@pytest.mark.slow
def test_a_killed_process_ends_with_the_same_bits(tmp_path: Path) -> None:
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path; import test_contrastive as test; "
        "test.contrastive._SECONDS_BETWEEN_CHECKPOINTS = -1.0; "
        "test.torch.set_num_threads(1); test._train(Path(sys.argv[2]), steps=1000)"
    )

    def start(folder: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", script, str(Path(__file__).parent), str(folder)])

    for _ in range(3):
        process = start(tmp_path / "killed")
        until = time.monotonic() + 60
        while not (tmp_path / "killed" / checkpoint.NAME).exists() and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(0.5)
        process.kill()
        process.wait()
    assert checkpoint.load(tmp_path / "killed")
    for name in ("killed", "whole"):
        assert start(tmp_path / name).wait(timeout=120) == 0
    found, expected = (load_file(tmp_path / name / "weights.safetensors") for name in ("killed", "whole"))
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


# Folder of the model


def test_folder(tmp_path: Path) -> None:
    _train(tmp_path)
    model = load_model(tmp_path)
    assert model.name == "contrastive"
    assert model.domain == DOMAIN
    assert sorted(model.networks) == [0, 120]
    assert model.config["training"]["temperature"] == 0.2
    assert model.seconds > 0
    card = (tmp_path / "README.md").read_text()
    assert "made \\| up" in card
    assert "16-8" in card
    weights = (tmp_path / "weights.safetensors").read_bytes()
    _train(tmp_path, seed=6)
    assert (tmp_path / "weights.safetensors").read_bytes() == weights
    (tmp_path / "weights.safetensors").write_bytes(weights[:-1] + bytes([weights[-1] ^ 1]))
    with pytest.raises(InputError, match="is damaged or was replaced"):
        load_model(tmp_path)


# Wrong input


@pytest.mark.parametrize(
    "clips", [[], _clips(1), [clip[:1] for clip in _clips(5)], [_clips(1)[0], _clips(1)[0][:1]]], ids=range(4)
)
def test_fewer_than_two_clips(tmp_path: Path, clips: list[np.ndarray]) -> None:
    with pytest.raises(InputError, match=r"contrastive: expected at least two clips of 2 beats in the pre-training"):
        _train(tmp_path, clips)
    assert not list(tmp_path.iterdir())


def test_inputs_that_are_not_finite(tmp_path: Path) -> None:
    clips = _clips()
    clips[3][2, 1] = np.nan
    with pytest.raises(InputError, match="contain values that are not finite"):
        _train(tmp_path, clips)


def test_training_that_diverges(tmp_path: Path) -> None:
    with pytest.raises(EmobenchError, match=r"diverges before update 50; lower `rate` 1e\+30\."):
        _train(tmp_path, rate=1e30)
    assert not (tmp_path / "weights.safetensors").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch": 1}, "`batch` 1: expected at least 2 clips"),
        ({"temperature": 0.0}, "`temperature` 0.0: expected a number above 0"),
        ({"dropout": 1.0}, "`dropout` 1.0: expected a number from 0 to below 1"),
        ({"masked": -0.1}, "`masked` -0.1: expected"),
        ({"layers": ()}, "at least one layer"),
        ({"steps": 0}, "`steps` 0: expected a whole number of at least 1"),
        ({"seed": -1}, "`seed` -1"),
    ],
)
def test_settings_out_of_range(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ContrastiveConfig(**changes)
