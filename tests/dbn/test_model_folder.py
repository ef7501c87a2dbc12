"""Models on disk: writing, reading and invalid files."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from emobench.dbn.checkpoint import write_tensors
from emobench.dbn.domains import Domain, examples
from emobench.dbn.model import load_model, model_folder
from emobench.errors import InputError
from emobench.runtime.files import sha256_file
from safetensors.numpy import save_file

from .small_models import DOMAIN, WEIGHTS, Run, small_clips, small_config, small_pretrain

pytestmark = pytest.mark.usefixtures("one_thread")


def test_an_existing_model_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    small_pretrain(folder, small_config())
    kept = {path.name: path.read_bytes() for path in folder.iterdir()}
    small_pretrain(folder, small_config(seed=5), small_clips(3, seed=5))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == kept
    assert sorted(kept) == ["README.md", "config.json", "training.json", WEIGHTS]


def test_weights_have_the_permissions_of_the_folder(run: Run) -> None:
    modes = {path.name: path.stat().st_mode & 0o777 for path in run.folder.iterdir()}
    assert len(set(modes.values())) == 1, modes


def test_weights_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "full").write_text("no folder")
    with pytest.raises(OSError, match="full"):
        write_tensors(tmp_path / "full" / WEIGHTS, {"mean": torch.zeros(3)})


def test_a_model_without_weights_is_trained_again(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    whole = small_pretrain(folder, small_config())
    (folder / WEIGHTS).unlink()
    (folder / "config.json").write_text("{")
    for name, tensor in small_pretrain(folder, small_config()).items():
        np.testing.assert_array_equal(tensor, whole[name])
    load_model(folder)


def test_folder_names_distinguish_models(tmp_path: Path) -> None:
    config = small_config()
    folders = [
        model_folder(tmp_path, DOMAIN, config, "a"),
        model_folder(tmp_path, DOMAIN, config, "b"),
        model_folder(tmp_path, Domain("pitch", 2), config, "a"),
        model_folder(tmp_path, Domain("rhythm", 3), config, "a"),
        model_folder(tmp_path, DOMAIN, small_config(seed=1), "a"),
        model_folder(tmp_path, DOMAIN, small_config(rate=2e-3), "a"),
    ]
    assert len(set(folders)) == len(folders)
    assert model_folder(tmp_path, DOMAIN, small_config(), "a") == folders[0]
    assert folders[0].parent == tmp_path
    assert folders[0].name.startswith("rhythm-")


def test_load_model_returns_what_was_written(run: Run) -> None:
    model = load_model(run.folder)
    assert sorted(model.networks) == [0, 5, 10, 20, 50]
    assert model.domain == DOMAIN
    assert model.config["data"] == "made up"
    assert model.config["training"]["rate"] == 1e-3
    assert model.seconds > 0
    for epochs, network in model.networks.items():
        np.testing.assert_array_equal(network.mean.numpy(), run.tensors["mean"])
        np.testing.assert_array_equal(network.scale.numpy(), run.tensors["scale"])
        for number, layer in enumerate(network.layers):
            np.testing.assert_array_equal(layer.weight.numpy(), run.tensors[f"epochs{epochs}.layer{number}.weight"])
            np.testing.assert_array_equal(layer.bias.numpy(), run.tensors[f"epochs{epochs}.layer{number}.bias"])


def test_features_are_stacked_sigmoid_layers(run: Run) -> None:
    # More examples than one block.
    clip = np.random.default_rng(1).normal(5, 3, size=(8200, 3)).astype(np.float32)
    found = load_model(run.folder).networks[10].features(examples(DOMAIN, [clip]))
    hidden = (np.hstack([clip[:-1], clip[1:]]).astype(np.float64) - run.tensors["mean"]) / run.tensors["scale"]
    assert len(found) == 3
    for number, values in enumerate(found):
        weight, bias = (run.tensors[f"epochs10.layer{number}.{part}"] for part in ("weight", "bias"))
        hidden = 1 / (1 + np.exp(-(hidden @ weight + bias)))
        assert values.shape == (8199, (5, 4, 3)[number])
        np.testing.assert_allclose(values, hidden, atol=1e-5)


def _copy(run: Run, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run.folder, tmp_path / "copy"))


def _edit(folder: Path, name: str, **changes: Any) -> None:
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def _save(folder: Path, tensors: dict[str, np.ndarray]) -> None:
    """Replace the weights, and their hash in the configuration."""
    save_file(tensors, folder / WEIGHTS)
    _edit(folder, "config.json", weights_sha256=sha256_file(folder / WEIGHTS))


def test_a_flipped_bit_of_the_weights(run: Run, tmp_path: Path) -> None:
    folder = _copy(run, tmp_path)
    content = bytearray((folder / WEIGHTS).read_bytes())
    # The last byte belongs to a number, so the file stays readable.
    content[-1] ^= 1
    (folder / WEIGHTS).write_bytes(content)
    with pytest.raises(InputError, match=rf"{folder}.*{WEIGHTS} is damaged or was replaced: its SHA-256"):
        load_model(folder)


def test_the_hash_of_the_weights_is_recorded(run: Run) -> None:
    config = json.loads((run.folder / "config.json").read_text())
    assert config["weights_sha256"] == hashlib.sha256((run.folder / WEIGHTS).read_bytes()).hexdigest()


def test_no_model(tmp_path: Path) -> None:
    for folder in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(InputError, match=rf"{folder}.*{WEIGHTS}.*pretrain"):
            load_model(folder)


@pytest.mark.parametrize("name", ["config.json", "training.json"])
@pytest.mark.parametrize("text", [None, "", "{", "[]", "{}", "\x00\xff"])
def test_missing_or_damaged_description(run: Run, tmp_path: Path, name: str, text: str | None) -> None:
    folder = _copy(run, tmp_path)
    if text is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=str(folder)):
        load_model(folder)


@pytest.mark.parametrize("damage", ["empty", "cut", "header", "text"])
def test_damaged_weights(run: Run, tmp_path: Path, damage: str) -> None:
    folder = _copy(run, tmp_path)
    content = (folder / WEIGHTS).read_bytes()
    changed = {
        "empty": b"",
        "cut": content[:-7],
        "header": b"\xff" * 8 + content[8:],
        "text": b"these are no weights at all",
    }[damage]
    (folder / WEIGHTS).write_bytes(changed)
    with pytest.raises(InputError, match=str(folder)):
        load_model(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"domain": {"name": "melody", "window": 2}},
        {"domain": {"name": "rhythm", "window": 99}},
        {"domain": {"name": "rhythm", "colour": "red"}},
        {"domain": "rhythm"},
        {"training": {}},
        {"training": {"layers": 3}},
        {"training": {"layers": [5, 4, 3, 2]}},
    ],
)
def test_foreign_configuration(run: Run, tmp_path: Path, changes: dict[str, Any]) -> None:
    folder = _copy(run, tmp_path)
    _edit(folder, "config.json", **changes)
    with pytest.raises(InputError, match=str(folder)):
        load_model(folder)


@pytest.mark.parametrize(
    "rbms",
    [
        [],
        None,
        {"layer 0": 5},
        {"layer 0": [{"epoch": 1}]},
    ],
)
def test_foreign_training_log(run: Run, tmp_path: Path, rbms: object) -> None:
    folder = _copy(run, tmp_path)
    _edit(folder, "training.json", rbms=rbms)
    with pytest.raises(InputError, match=str(folder)):
        load_model(folder)


@pytest.mark.parametrize("lacking", ["mean", "scale", "epochs5.layer1.bias", "epochs50.layer0.weight"])
def test_weights_without_a_tensor(run: Run, tmp_path: Path, lacking: str) -> None:
    folder = _copy(run, tmp_path)
    _save(folder, {name: tensor for name, tensor in run.tensors.items() if name != lacking})
    with pytest.raises(InputError, match=str(folder)):
        load_model(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"mean": np.zeros(7, np.float32)},
        {"epochs5.layer1.weight": np.zeros((9, 4), np.float32)},
        {"epochs5.layer2.bias": np.zeros(2, np.float32)},
        {"epochs0.layer0.weight": np.zeros(5, np.float32)},
    ],
    ids=["mean", "weight", "bias", "flat"],
)
def test_weights_whose_shapes_do_not_fit(run: Run, tmp_path: Path, changes: dict[str, np.ndarray]) -> None:
    folder = _copy(run, tmp_path)
    _save(folder, run.tensors | changes)
    with pytest.raises(InputError, match=str(folder)):
        load_model(folder)


def test_weights_without_any_network(run: Run, tmp_path: Path) -> None:
    folder = _copy(run, tmp_path)
    _save(folder, {name: run.tensors[name] for name in ("mean", "scale")})
    with pytest.raises(InputError, match=str(folder)):
        load_model(folder)
