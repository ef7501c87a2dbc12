"""Greedy pre-training: statistics, checkpoints, bytes, what is never trained on, and models on disk."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from emobench.dbn.domains import Domain, examples
from emobench.dbn.network import load_model
from emobench.dbn.pretraining import PretrainingConfig, input_statistics, model_folder, pretrain
from emobench.errors import EmobenchError, InputError
from safetensors.numpy import load_file, save_file

CPU = torch.device("cpu")
DOMAIN = Domain("rhythm", 2)
WEIGHTS = "weights.safetensors"


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Matrices this small are slower on several threads."""
    kept = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(kept)


def _clips(count: int = 12, *, bands: int = 3, seed: int = 0) -> list[np.ndarray]:
    """Clips whose bands follow one hidden switch, so that there is something to learn."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        switch = np.where(rng.random((14, 1)) < 0.5, -1.0, 1.0)
        found.append((5 + 3 * (switch * np.ones(bands) + 0.2 * rng.normal(size=(14, bands)))).astype(np.float32))
    return found


def _config(**changes: Any) -> PretrainingConfig:
    settings: dict[str, Any] = {
        "window": 2,
        "layers": (5, 4),
        "epochs": (1, 2),
        "rate": 1e-3,
        "batch": 16,
        "held_out": 0.0,
    }
    return PretrainingConfig(**(settings | changes))


def _pretrain(
    folder: Path, config: PretrainingConfig, clips: Sequence[np.ndarray] | None = None, domain: Domain = DOMAIN
) -> dict[str, np.ndarray]:
    pretrain(
        _clips() if clips is None else clips, domain, config, folder=folder, provenance={"data": "made up"}, device=CPU
    )
    return load_file(folder / WEIGHTS)


@dataclass
class Run:
    """A finished run."""

    folder: Path
    config: PretrainingConfig
    tensors: dict[str, np.ndarray] = field(repr=False)

    def errors(self, machine: str) -> list[float]:
        log = json.loads((self.folder / "training.json").read_text())["machines"][machine]
        assert [entry["epoch"] for entry in log] == list(range(1, len(log) + 1))
        return [entry["reconstruction_error"] for entry in log]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    config = _config(epochs=(5, 10, 20, 50), layers=(5, 4, 3), held_out=0.25)
    folder = tmp_path_factory.mktemp("models") / "rhythm"
    return Run(folder, config, _pretrain(folder, config))


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


def test_edges_of_clips_count_only_where_they_stand() -> None:
    # Segments 0, 1, 2: the first place of a window never sees 2, the second never 0.
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
    # Weights of nearly nothing reconstruct the mean, so the error is the variance of what comes in: 1.
    folder = tmp_path / "model"
    _pretrain(folder, _config(init_scale=1e-7, rate=1e-12, epochs=(1,), layers=(4,)))
    assert Run(folder, _config(), {}).errors("layer 0")[0] == pytest.approx(1.0, rel=1e-4)


# Checkpoints


def test_weights_after_each_number_of_epochs(run: Run) -> None:
    shapes = {"layer0.weight": (6, 5), "layer1.weight": (5, 4), "layer2.weight": (4, 3)}
    biases = {"layer0.bias": (5,), "layer1.bias": (4,), "layer2.bias": (3,)}
    wanted: dict[str, tuple[int, ...]] = {"mean": (6,), "scale": (6,)}
    for epochs in (0, 5, 10, 20, 50):
        wanted |= {f"epochs{epochs}.{name}": shape for name, shape in (shapes | biases).items()}
    assert {name: tensor.shape for name, tensor in run.tensors.items()} == wanted
    assert all(tensor.dtype == np.float32 and np.isfinite(tensor).all() for tensor in run.tensors.values())


def test_checkpoints_differ(run: Run) -> None:
    kept = [run.tensors[f"epochs{epochs}.layer0.weight"] for epochs in (0, 5, 10, 20, 50)]
    assert all(not np.array_equal(first, second) for first, second in itertools.pairwise(kept))


@pytest.mark.parametrize("epochs", [5, 20])
def test_a_checkpoint_is_what_a_shorter_run_ends_with(run: Run, tmp_path: Path, epochs: int) -> None:
    shorter = _pretrain(tmp_path / "model", _config(epochs=(epochs,), layers=(5, 4, 3), held_out=0.25))
    for part in ("weight", "bias"):
        name = f"epochs{epochs}.layer0.{part}"
        np.testing.assert_array_equal(shorter[name], run.tensors[name])


def test_upper_layers_are_trained_as_long_on_each_checkpoint(run: Run) -> None:
    machines = json.loads((run.folder / "training.json").read_text())["machines"]
    lengths = {name: len(log) for name, log in machines.items()}
    wanted = {"layer 0": 50}
    for epochs in (5, 10, 20, 50):
        wanted |= {f"layer {number} on {epochs} epochs": epochs for number in (1, 2)}
    assert lengths == wanted


def test_reconstruction_error_falls_on_structured_data(tmp_path: Path) -> None:
    # One switch moves all bands of a segment: two hidden units can tell nearly all of an input.
    folder = tmp_path / "model"
    tensors = _pretrain(folder, _config(epochs=(60,), rate=2e-3))
    errors = Run(folder, _config(), tensors).errors("layer 0")
    assert errors[0] > 0.6
    assert errors[-1] < 0.25
    # The features themselves tell the switch, which the untrained ones need not.
    data = examples(DOMAIN, _clips(6, seed=9)).matrix()
    inputs = (data - tensors["mean"]) / tensors["scale"]
    weight, bias = tensors["epochs60.layer0.weight"], tensors["epochs60.layer0.bias"]
    hidden = 1 / (1 + np.exp(-(inputs @ weight + bias)))
    switch = np.sign(inputs[:, 3:].mean(axis=1))
    fit = np.linalg.lstsq(np.column_stack([hidden, np.ones(len(hidden))]), switch, rcond=None)[1]
    assert fit[0] / len(switch) < 0.25


def test_the_control_does_not_depend_on_training(run: Run, tmp_path: Path) -> None:
    other = _pretrain(tmp_path / "model", _config(epochs=(1,), rate=1e-6, layers=(5, 4, 3), held_out=0.25))
    for number in range(3):
        name = f"epochs0.layer{number}.weight"
        np.testing.assert_array_equal(other[name], run.tensors[name])
        assert np.ptp(other[name]) > 0


# Randomness and data


def test_the_same_bytes_again(run: Run, tmp_path: Path) -> None:
    torch.manual_seed(12345)
    _pretrain(tmp_path / "model", run.config)
    for name in (WEIGHTS, "config.json"):
        assert (tmp_path / "model" / name).read_bytes() == (run.folder / name).read_bytes()


def test_another_seed_gives_other_weights(tmp_path: Path) -> None:
    first, second = (_pretrain(tmp_path / str(seed), _config(seed=seed)) for seed in (0, 1))
    for name in ("epochs2.layer0.weight", "epochs0.layer0.weight", "epochs2.layer1.weight"):
        assert not np.array_equal(first[name], second[name])


def test_held_out_clips_are_never_trained_on(tmp_path: Path) -> None:
    clips = _clips(8)
    config = _config(held_out=0.25, epochs=(1,), layers=(3,))
    _pretrain(tmp_path / "plain", config, clips)
    plain = (tmp_path / "plain" / WEIGHTS).read_bytes()
    unheard = []
    for number in range(len(clips)):
        changed = list(clips)
        changed[number] = clips[number] * -7 + 100
        _pretrain(tmp_path / str(number), config, changed)
        if (tmp_path / str(number) / WEIGHTS).read_bytes() == plain:
            unheard.append(number)
    # A quarter of eight clips, whichever, has no say in statistics and weights.
    assert len(unheard) == 2
    log = json.loads((tmp_path / str(unheard[0]) / "training.json").read_text())["machines"]["layer 0"]
    base = json.loads((tmp_path / "plain" / "training.json").read_text())["machines"]["layer 0"]
    # But they are watched.
    assert log[0]["free_energy_gap"] > base[0]["free_energy_gap"] + 10


def test_nothing_held_out(tmp_path: Path) -> None:
    _pretrain(tmp_path / "model", _config(epochs=(1,)))
    machines = json.loads((tmp_path / "model" / "training.json").read_text())["machines"]
    assert all("free_energy_gap" not in entry for log in machines.values() for entry in log)
    assert json.loads((tmp_path / "model" / "config.json").read_text())["examples"] == 12 * 13


def test_clips_without_an_example_are_passed_over(tmp_path: Path) -> None:
    clips = _clips(5)
    first = _pretrain(tmp_path / "plain", _config(), clips)
    second = _pretrain(tmp_path / "short", _config(), [*clips[:3], clips[0][:1], *clips[3:], clips[1][:0]])
    for name, tensor in first.items():
        np.testing.assert_array_equal(second[name], tensor)


@pytest.mark.parametrize(("name", "dims"), [("pitch", 12 * 2), ("pitch2d", 6 * 2 * 2)])
def test_other_domains(tmp_path: Path, name: str, dims: int) -> None:
    tensors = _pretrain(tmp_path / "model", _config(epochs=(1,)), _clips(bands=12), Domain(name, 2))
    assert tensors["epochs1.layer0.weight"].shape == (dims, 5)
    assert load_model(tmp_path / "model", device=CPU).domain == Domain(name, 2)


# The folder


def test_an_existing_model_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    _pretrain(folder, _config())
    kept = {path.name: path.read_bytes() for path in folder.iterdir()}
    _pretrain(folder, _config(seed=5), _clips(3, seed=5))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == kept
    assert sorted(kept) == ["README.md", "config.json", "training.json", WEIGHTS]


def test_a_model_without_weights_is_trained_again(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    whole = _pretrain(folder, _config())
    (folder / WEIGHTS).unlink()
    (folder / "config.json").write_text("{")
    for name, tensor in _pretrain(folder, _config()).items():
        np.testing.assert_array_equal(tensor, whole[name])
    load_model(folder, device=CPU)


def test_folder_names_tell_models_apart(tmp_path: Path) -> None:
    config = _config()
    folders = [
        model_folder(tmp_path, DOMAIN, config, "a"),
        model_folder(tmp_path, DOMAIN, config, "b"),
        model_folder(tmp_path, Domain("pitch", 2), config, "a"),
        model_folder(tmp_path, Domain("rhythm", 3), config, "a"),
        model_folder(tmp_path, DOMAIN, _config(seed=1), "a"),
        model_folder(tmp_path, DOMAIN, _config(rate=2e-3), "a"),
    ]
    assert len(set(folders)) == len(folders)
    assert model_folder(tmp_path, DOMAIN, _config(), "a") == folders[0]
    assert folders[0].parent == tmp_path
    assert folders[0].name.startswith("rhythm-")


def test_load_model_gives_back_what_was_written(run: Run) -> None:
    model = load_model(run.folder, device=CPU)
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


def test_features_are_sigmoids_one_on_another(run: Run) -> None:
    # More examples than one block has.
    clip = np.random.default_rng(1).normal(5, 3, size=(8200, 3)).astype(np.float32)
    found = load_model(run.folder, device=CPU).networks[10].features(examples(DOMAIN, [clip]))
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


def test_no_model(tmp_path: Path) -> None:
    for folder in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(InputError, match=rf"{folder}.*{WEIGHTS}.*pretrain"):
            load_model(folder, device=CPU)


@pytest.mark.parametrize("name", ["config.json", "training.json"])
@pytest.mark.parametrize("text", [None, "", "{", "[]", "{}", "\x00\xff"])
def test_missing_or_damaged_description(run: Run, tmp_path: Path, name: str, text: str | None) -> None:
    folder = _copy(run, tmp_path)
    if text is None:
        (folder / name).unlink()
    else:
        (folder / name).write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=str(folder)):
        load_model(folder, device=CPU)


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
        load_model(folder, device=CPU)


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
        load_model(folder, device=CPU)


@pytest.mark.parametrize(
    "machines",
    [
        [],
        None,
        {"layer 0": 5},
        {"layer 0": [{"epoch": 1}]},
    ],
)
def test_foreign_training_log(run: Run, tmp_path: Path, machines: object) -> None:
    folder = _copy(run, tmp_path)
    _edit(folder, "training.json", machines=machines)
    with pytest.raises(InputError, match=str(folder)):
        load_model(folder, device=CPU)


@pytest.mark.parametrize("lacking", ["mean", "scale", "epochs5.layer1.bias", "epochs50.layer0.weight"])
def test_weights_that_lack_a_tensor(run: Run, tmp_path: Path, lacking: str) -> None:
    folder = _copy(run, tmp_path)
    save_file({name: tensor for name, tensor in run.tensors.items() if name != lacking}, folder / WEIGHTS)
    with pytest.raises(InputError, match=str(folder)):
        load_model(folder, device=CPU)


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
    save_file(run.tensors | changes, folder / WEIGHTS)
    with pytest.raises(InputError, match=str(folder)):
        load_model(folder, device=CPU)


def test_weights_without_any_network(run: Run, tmp_path: Path) -> None:
    folder = _copy(run, tmp_path)
    save_file({name: run.tensors[name] for name in ("mean", "scale")}, folder / WEIGHTS)
    with pytest.raises(InputError, match=str(folder)):
        load_model(folder, device=CPU)


# Failure


def test_divergence_is_told(tmp_path: Path) -> None:
    with pytest.raises(EmobenchError, match=r"layer 0: diverged in epoch \d+.*lower the learning rate") as caught:
        _pretrain(tmp_path / "model", _config(rate=1e6, epochs=(5,)))
    assert caught.value.exit_code == 1
    assert not (tmp_path / "model" / WEIGHTS).exists()


def test_divergence_of_the_last_step_is_told(tmp_path: Path) -> None:
    with pytest.raises(EmobenchError, match="diverged"):
        _pretrain(tmp_path / "model", _config(rate=1e38, epochs=(1,), layers=(5,), batch=1000))


def test_only_short_clips(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"rhythm: no clip .* 2 beats"):
        _pretrain(tmp_path / "model", _config(), [clip[:1] for clip in _clips()])
    assert not (tmp_path / "model").exists()


def test_no_clips(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        _pretrain(tmp_path / "model", _config(), [])


def test_a_single_clip_is_never_held_out(tmp_path: Path) -> None:
    _pretrain(tmp_path / "model", _config(held_out=0.6), _clips(1))
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
        _config(**changes)


def test_the_papers_settings_are_the_default() -> None:
    config = PretrainingConfig()
    assert (config.window, config.layers, config.epochs, config.rate) == (4, (75, 50, 25), (5, 10, 20, 50), 1e-5)
