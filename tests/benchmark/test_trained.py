"""Models that were trained elsewhere: used for their domains, or refused with one line if they do not fit."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from emobench.audio.analysis import AnalysisConfig
from emobench.benchmark import runs
from emobench.benchmark.features.external_models import trained_models
from emobench.benchmark.features.network_config import NetworkConfig
from emobench.builders import labelled_dataset as labelled
from emobench.builders.labelled_dataset import LabelledConfig
from emobench.builders.synthesis import SynthesisConfig
from emobench.builders.synthesis import corpus as synthetic
from emobench.dbn.config import FinetuningConfig, PretrainingConfig
from emobench.dbn.domains import Domain
from emobench.dbn.model import load_model
from emobench.dbn.pretraining import pretrain
from emobench.errors import InputError
from emobench.runtime.files import plain, sha256_file
from safetensors.numpy import load_file, save_file

CPU = torch.device("cpu")
BANDS = {"rhythm": 20, "pitch": 48, "pitch2d": 48}
DIMS = {"rhythm": 80, "pitch": 192, "pitch2d": 384}

# Approximate mean and standard deviation of the features of rendered music.
FEATURES = {
    "rhythm": (np.array([-250.0, 70, 20, 4] + [0] * 16), np.array([50.0, 23, 14, 8, 5, 4, 3] + [2] * 13)),
    "pitch": (7.0, 12.0),
}


def _save(tensors: dict[str, np.ndarray], path: Path) -> None:
    """Replace the weights, and their hash in the configuration."""
    save_file(tensors, path)
    config = path.with_name("config.json")
    config.write_text(json.dumps(json.loads(config.read_text()) | {"weights_sha256": sha256_file(path)}))


def _train(folder: Path, name: str = "rhythm", *, window: int = 4, layers: tuple[int, ...] = (6, 5)) -> Path:
    rng = np.random.default_rng(0)
    noise = [rng.normal(size=(20, BANDS[name])) for _ in range(6)]
    level, spread = FEATURES["rhythm" if name == "rhythm" else "pitch"]
    clips = [(level + spread * each).astype(np.float32) for each in noise]
    config = PretrainingConfig(window=window, layers=layers, epochs=(1, 2))
    pretrain(clips, Domain(name, window), config, folder=folder, provenance={"data": "elsewhere"}, device=CPU)
    return folder


@pytest.fixture(scope="module")
def masters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of each domain."""
    folder = tmp_path_factory.mktemp("masters")
    for name in DIMS:
        _train(folder / name, name)
    return folder


def _check(*folders: Path, domains: tuple[str, ...] = ("rhythm",), window: int = 4, control: bool = False) -> Any:
    return trained_models(folders, domains, analysis=AnalysisConfig(), window=window, control=control, device="cpu")


@pytest.mark.parametrize("name", list(DIMS))
def test_a_model_that_fits(masters: Path, name: str) -> None:
    (model,) = _check(masters / name, domains=(name, "rhythm"), control=True).values()
    assert model.domain == Domain(name)
    assert model.sha256 == load_model(masters / name).sha256
    assert len(model.networks[1].mean) == DIMS[name]


def test_one_model_per_domain(masters: Path) -> None:
    models = _check(*(masters / name for name in DIMS), domains=tuple(DIMS))
    assert {name: model.domain.name for name, model in models.items()} == {name: name for name in DIMS}


def test_another_window_that_the_run_shares(tmp_path: Path) -> None:
    folder = _train(tmp_path / "wide", window=6)
    assert _check(folder, window=6)["rhythm"].domain.window == 6
    with pytest.raises(InputError, match=r"window: was trained on 6 beats; expected the 4 of this run \(`window`\)\.$"):
        _check(folder)


# Wrong models

Tensors = dict[str, np.ndarray]


def _set(name: str, place: int, value: float) -> Callable[[Tensors], None]:
    def change(tensors: Tensors) -> None:
        tensors[name][place] = value

    return change


def _drop(*names: str) -> Callable[[Tensors], None]:
    def change(tensors: Tensors) -> None:
        for name in list(tensors):
            if name.startswith(names):
                del tensors[name]

    return change


def _put(name: str, value: np.ndarray) -> Callable[[Tensors], None]:
    return lambda tensors: tensors.update({name: value})


def _cut(tensors: Tensors) -> None:
    """Make it a model of windows of three beats."""
    for name in tensors:
        if name in ("mean", "scale") or name.endswith("layer0.weight"):
            tensors[name] = np.ascontiguousarray(tensors[name][:60])


WRONG_WEIGHTS = {
    "another width": (_cut, "window: its network takes 60 inputs; expected 80, a window of 4 beats of rhythm"),
    "no mean": (_drop("mean"), "normalisation: holds no mean; expected 80 numbers"),
    "no scale": (_drop("scale"), "normalisation: holds no scale; expected 80 numbers"),
    "neither": (_drop("mean", "scale"), "normalisation: holds no mean"),
    "short mean": (
        _put("mean", np.zeros(79, np.float32)),
        r"normalisation: its mean has shape \(79,\) of float32; expected \(80,\) of float32",
    ),
    "long scale": (
        _put("scale", np.ones(81, np.float32)),
        r"normalisation: its scale has shape \(81,\) of float32; expected \(80,\) of float32",
    ),
    "flat mean": (
        _put("mean", np.zeros((1, 80), np.float32)),
        r"normalisation: its mean has shape \(1, 80\) of float32",
    ),
    "one scale": (_put("scale", np.array(1, np.float32)), r"normalisation: its scale has shape \(\) of float32"),
    "doubles": (_put("mean", np.zeros(80)), r"normalisation: its mean has shape \(80,\) of float64"),
    "NaN mean": (
        _set("mean", 3, np.nan),
        "normalisation: its mean holds nan at place 3; expected finite numbers",
    ),
    "infinite scale": (
        _set("scale", 79, np.inf),
        "normalisation: its scale holds inf at place 79; expected finite numbers above 0",
    ),
    "scale of 0": (
        _set("scale", 0, 0),
        "normalisation: its scale holds 0 at place 0; expected finite numbers above 0",
    ),
    "negative scale": (
        _set("scale", 5, -1.5),
        "normalisation: its scale holds -1.5 at place 5; expected finite numbers above 0",
    ),
    "NaN weight": (_set("epochs2.layer1.bias", 1, np.nan), "weights of layer 1 after 2 epochs are not finite numbers"),
    "double weights": (
        _put("epochs1.layer1.bias", np.zeros(5)),
        "weights of layer 1 after 1 epochs are not finite numbers of float32",
    ),
    "layers that do not fit": (_put("epochs1.layer1.weight", np.zeros((7, 5), np.float32)), "does not fit"),
    "no networks": (_drop("epochs"), "unreadable model|contains no"),
    "nothing pre-trained": (_drop("epochs1", "epochs2"), "holds no pre-trained network"),
}


@pytest.mark.parametrize("case", list(WRONG_WEIGHTS))
def test_wrong_weights(masters: Path, tmp_path: Path, case: str) -> None:
    change, message = WRONG_WEIGHTS[case]
    folder = tmp_path / "model"
    shutil.copytree(masters / "rhythm", folder)
    tensors = load_file(folder / "weights.safetensors")
    change(tensors)
    _save(tensors, folder / "weights.safetensors")
    with pytest.raises(InputError, match=message) as caught:
        _check(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


WRONG_CONFIGS: dict[str, tuple[Any, str]] = {
    "unknown": ({"name": "melody", "window": 4}, "is a model of 'melody'; expected one of rhythm, pitch, pitch2d"),
    "a list": ({"name": ["rhythm"], "window": 4}, r"is a model of \['rhythm'\]; expected one of rhythm"),
    "not asked for": (
        {"name": "pitch", "window": 4},
        "is a model of pitch, which `features` does not name; expected one of",
    ),
    "no window": ({"name": "rhythm"}, r"domain: config\.json holds .*; expected a name and a window"),
    "nothing": (None, r"domain: config\.json holds None; expected a name and a window"),
    "too wide": ({"name": "rhythm", "window": 99}, "window: was trained on 99 beats; expected the 4"),
    "a fraction": ({"name": "rhythm", "window": 4.5}, r"window: was trained on 4\.5 beats; expected the 4"),
    "text": ({"name": "rhythm", "window": "4"}, "window: was trained on '4' beats; expected the 4"),
}


@pytest.mark.parametrize("case", list(WRONG_CONFIGS))
def test_wrong_domain_or_window(masters: Path, tmp_path: Path, case: str) -> None:
    domain, message = WRONG_CONFIGS[case]
    folder = tmp_path / "model"
    shutil.copytree(masters / "rhythm", folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "domain": domain}))
    with pytest.raises(InputError, match=message):
        _check(folder)


def test_a_model_that_declares_another_domain(masters: Path, tmp_path: Path) -> None:
    shutil.copytree(masters / "rhythm", tmp_path / "model")
    config = tmp_path / "model" / "config.json"
    config.write_text(config.read_text().replace('"rhythm"', '"pitch"'))
    with pytest.raises(InputError, match="its network takes 80 inputs; expected 192, a window of 4 beats of pitch"):
        _check(tmp_path / "model", domains=("pitch",))


def test_two_models_of_a_domain(masters: Path, tmp_path: Path) -> None:
    other = _train(tmp_path / "other")
    with pytest.raises(InputError, match=r"other: is a model of rhythm, like .*; expected one model per domain"):
        _check(masters / "rhythm", other)


def test_models_without_a_network_feature(masters: Path) -> None:
    with pytest.raises(
        InputError, match="is a model of rhythm, which `features` does not name; expected features of a network"
    ):
        _check(masters / "rhythm", domains=())


def test_no_random_weights(masters: Path, tmp_path: Path) -> None:
    shutil.copytree(masters / "rhythm", tmp_path / "model")
    tensors = load_file(tmp_path / "model" / "weights.safetensors")
    _drop("epochs0")(tensors)
    _save(tensors, tmp_path / "model" / "weights.safetensors")
    assert set(_check(tmp_path / "model")["rhythm"].networks) == {1, 2}
    with pytest.raises(InputError, match="holds no random weights"):
        _check(tmp_path / "model", control=True)


def test_no_model(masters: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere: no model there \(no weights\.safetensors\)"):
        _check(tmp_path / "nowhere")
    shutil.copytree(masters / "rhythm", tmp_path / "model")
    weights = tmp_path / "model" / "weights.safetensors"
    whole = weights.read_bytes()
    for broken in (b"", whole[:100], whole[:-7]):
        weights.write_bytes(broken)
        with pytest.raises(InputError, match=r"weights\.safetensors cannot be read"):
            _check(tmp_path / "model")
    weights.write_bytes(whole)
    (tmp_path / "model" / "config.json").write_text("{")
    with pytest.raises(InputError, match="not a readable model"):
        _check(tmp_path / "model")


# Runs

NETWORKS = NetworkConfig(
    pretraining=PretrainingConfig(layers=(8, 6, 4), epochs=(1, 2), rate=1e-4),
    finetuning=FinetuningConfig(epochs=2, patience=2),
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory, pool: Executor) -> Path:
    out = tmp_path_factory.mktemp("audio") / "syn"
    settings = SynthesisConfig(n_clips=12, clip_seconds=8, n_pretrain=1)
    labelled.build(synthetic.load(settings), out, name="syn", version="1.0.0", config=LabelledConfig(), pool=pool)
    return out


def _run(
    specs: list[str], dataset: Path, out: Path, pool: Executor, *, places: dict[str, Any] | None = None, **config: Any
) -> Any:
    where = runs.Places(dataset=dataset, out=out / "results", models=out / "models", **(places or {}))
    return runs.run(specs, where, runs.RunConfig(**config), NETWORKS, device="cpu", pool=pool)


def test_the_same_model_here_and_from_elsewhere(dataset: Path, tmp_path: Path, pool: Executor) -> None:
    here = _run(["rhythm"], dataset, tmp_path / "here", pool)
    folder = next((tmp_path / "here" / "models").iterdir())
    shutil.copytree(folder, tmp_path / "moved" / "mine")
    places = {"trained": (tmp_path / "moved" / "mine",), "pretrain_data": tmp_path / "none"}
    there = _run(["rhythm"], dataset, tmp_path / "there", pool, places=places)
    assert [each.signature for each in there.results] == [each.signature for each in here.results]
    assert [each.scores for each in there.results] == [each.scores for each in here.results]
    assert not (tmp_path / "there" / "models").exists()
    assert there.models == [tmp_path / "moved" / "mine" / "weights.safetensors"]
    assert there.pretrained_on[0].startswith("the labelled clips without their labels (elsewhere: ")
    (model,) = there.results[0].model
    assert (model.path, model.sha256) == ("mine/weights.safetensors", here.results[0].model[0].sha256)
    assert there.results[0].config.training[0]["trained_elsewhere"]["training"]["layers"] == [8, 6, 4]


def test_entries_follow_the_layers_of_the_model(dataset: Path, masters: Path, tmp_path: Path, pool: Executor) -> None:
    """The external model has layers of 6 and 5 units; models trained here have 8, 6 and 4."""
    places = {"trained": (masters / "rhythm",)}
    outcome = _run(["rhythm", "pitch", "rhythm+pitch"], dataset, tmp_path, pool, places=places, phases=("pre-trained",))
    dims = {(each.features, each.layer): each.dims for each in outcome.results if each.layer is not None}
    assert dims == {
        ("rhythm", 0): 6,
        ("rhythm", 1): 5,
        ("pitch", 0): 8,
        ("pitch", 1): 6,
        ("pitch", 2): 4,
        ("rhythm+pitch", 0): 14,
        ("rhythm+pitch", 1): 11,
    }
    both = outcome.results[-5].config.pretrained_on
    assert both == "elsewhere (elsewhere: rhythm); the dataset's own clips without their labels"
    assert [path.parent.name.split("-")[0] for path in outcome.models] in (["rhythm", "pitch"], ["pitch", "rhythm"])
    for layer in (2, -1):
        with pytest.raises(InputError, match=rf"`layer` {layer}: expected 0 to 1, the layers of rhythm\+pitch"):
            _run(["rhythm+pitch"], dataset, tmp_path, pool, places=places, layers=(layer,))


def test_other_weights_give_another_entry(dataset: Path, masters: Path, tmp_path: Path, pool: Executor) -> None:
    options: dict[str, Any] = {"phases": ("pre-trained",), "layers": (0,)}
    shutil.copytree(masters / "rhythm", tmp_path / "model")
    found = []
    for _ in range(2):
        outcome = _run(["rhythm"], dataset, tmp_path, pool, places={"trained": (tmp_path / "model",)}, **options)
        found.append(outcome.results[0])
        tensors = load_file(tmp_path / "model" / "weights.safetensors")
        tensors["scale"] *= 1.5
        _save(tensors, tmp_path / "model" / "weights.safetensors")
    assert found[0].signature != found[1].signature
    assert found[0].model[0].sha256 != found[1].model[0].sha256


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("rhythm", lambda mean, scale: (mean + 1e6, scale)),
        ("rhythm", lambda mean, scale: (0 * mean, 0 * scale + 1)),
        ("pitch", lambda mean, scale: (0 * mean, 0 * scale + 1)),
        ("pitch2d", lambda mean, scale: (mean, scale * 1000)),
    ],
)
def test_a_normalisation_of_other_features(
    dataset: Path, masters: Path, tmp_path: Path, pool: Executor, name: str, change: Any
) -> None:
    folder = Path(shutil.copytree(masters / name, tmp_path / "model"))
    tensors = load_file(folder / "weights.safetensors")
    tensors["mean"], tensors["scale"] = change(tensors["mean"], tensors["scale"])
    _save(tensors, folder / "weights.safetensors")
    with pytest.raises(InputError, match=r"normalisation: by its mean and scale .* root mean square of .*; expected"):
        _run([name], dataset, tmp_path, pool, places={"trained": (folder,)}, phases=("pre-trained",), layers=(0,))


def test_features_of_other_settings(dataset: Path, tmp_path: Path, pool: Executor) -> None:
    _run(["rhythm"], dataset, tmp_path / "here", pool, phases=("pre-trained",), layers=(0,))
    folder = next((tmp_path / "here" / "models").iterdir())
    config = json.loads((folder / "config.json").read_text())
    assert config["analysis"] == plain(AnalysisConfig())
    config["analysis"]["pitch"]["f_min"] = 55.0
    (folder / "config.json").write_text(json.dumps(config))
    assert _check(folder)["rhythm"].folder == folder
    config["analysis"]["timbre"]["hop"] = 128
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(
        InputError, match=r"normalisation: was trained on features with timbre \{'hop': 128\}; expected"
    ):
        _check(folder)


def test_wrong_models_end_with_status_2_before_any_work(
    masters: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from emobench.cli.main import app
    from typer.testing import CliRunner

    monkeypatch.chdir(tmp_path)
    rhythm, pitch = (("--model", str(masters / name)) for name in ("rhythm", "pitch"))
    for arguments, message in {
        ("rhythm", *pitch): "is a model of pitch, which --features does not name; expected one of rhythm.",
        ("mfcc", *rhythm): "is a model of rhythm, which --features does not name; expected features of a network.",
        ("rhythm", *rhythm, *rhythm): "expected one model per domain.",
        ("rhythm", *rhythm, "--window", "3"): "window: was trained on 4 beats; expected the 3 of this run (--window).",
        ("rhythm", *rhythm, "--layer", "2"): "--layer 2: expected 0 to 1, the layers of rhythm.",
        ("rhythm", "--model", "none"): "none: no model there (no weights.safetensors)",
    }.items():
        ran = CliRunner().invoke(app, ["run", "--features", *arguments])
        assert ran.exit_code == 2
        assert message in ran.stderr
        assert len(ran.stderr.splitlines()) == 1
