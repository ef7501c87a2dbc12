"""A stack of layers, and the folder in which a pre-trained model lies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..errors import EmobenchError, InputError
from ..runtime.files import plain, read_json, replacing, sha256_file, write_json
from .checkpoint import write_tensors
from .domains import Domain, Examples

WEIGHTS = "weights.safetensors"
CONFIG = "config.json"
TRAINING = "training.json"


@dataclass(frozen=True)
class Layer:
    """Forward weights (n_in, n_out) and biases (n_out,) of one layer."""

    weight: Tensor
    bias: Tensor

    def __call__(self, inputs: Tensor) -> Tensor:
        """``sigmoid(inputs W + bias)``, shape (n, n_out)."""
        return torch.addmm(self.bias, inputs, self.weight).sigmoid_()


@dataclass(frozen=True)
class Network:
    """Forward weights of the machines, one after another (Schmidt and Kim 2013, section 5).

    Attributes
    ----------
    mean, scale : Tensor, shape (dims,)
        Of the inputs in the pre-training set; an input is ``(x - mean) / scale``.
    layers : tuple of Layer
        From the bottom up.
    """

    mean: Tensor
    scale: Tensor
    layers: tuple[Layer, ...]

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self.mean.device

    def activations(self, inputs: Tensor) -> list[Tensor]:
        """Activations of each layer, shapes (n, width), for inputs (n, dims) as they come."""
        hidden = (inputs - self.mean) / self.scale
        found = []
        for layer in self.layers:
            hidden = layer(hidden)
            found.append(hidden)
        return found

    def features(self, examples: Examples) -> list[npt.NDArray[np.float32]]:
        """Activations of each layer for all examples, in blocks; arrays of shape (n, width)."""
        blocks = [self.activations(torch.from_numpy(block).to(self.device)) for block in _blocks(examples.matrix())]
        return [torch.cat(parts).cpu().numpy() for parts in zip(*blocks, strict=True)]


def _blocks(matrix: npt.NDArray[np.float32], size: int = 8192) -> list[npt.NDArray[np.float32]]:
    return [matrix[first : first + size] for first in range(0, len(matrix), size)]


@dataclass(frozen=True)
class Model:
    """A pre-trained model.

    Attributes
    ----------
    folder : Path
        Where it lies.
    domain : Domain
        What it is shown.
    config : dict
        All that decided it.
    networks : mapping
        Number of pre-training epochs to the network after them; 0 is the control, random weights.
    sha256 : str
        Of the file of weights.
    seconds : float
        That training took.
    """

    folder: Path
    domain: Domain
    config: dict[str, Any]
    networks: Mapping[int, Network]
    sha256: str
    seconds: float


def save_model(
    folder: Path,
    *,
    domain: Domain,
    config: Mapping[str, Any],
    networks: Mapping[int, Network],
    log: Mapping[str, Any],
) -> None:
    """Write a model's folder, the weights last: with them it is whole."""
    first = next(iter(networks.values()))
    tensors = {"mean": first.mean, "scale": first.scale}
    for epochs, network in networks.items():
        for number, layer in enumerate(network.layers):
            tensors[f"epochs{epochs}.layer{number}.weight"] = layer.weight
            tensors[f"epochs{epochs}.layer{number}.bias"] = layer.bias
    write_json(folder / TRAINING, plain(log))
    # The weights come last, after the configuration that names their hash: with them the folder is complete.
    with replacing(folder / WEIGHTS) as temporary:
        write_tensors(temporary, tensors)
        write_json(folder / CONFIG, plain({"domain": domain, **config, "weights_sha256": sha256_file(temporary)}))


def _check_shapes(networks: Mapping[int, Network]) -> None:
    """Raise ValueError unless there is a network and the layers of each fit together."""
    if not networks:
        raise ValueError("holds no network")
    for epochs, network in networks.items():
        if not network.layers:
            raise ValueError("its configuration names no layers")
        width = network.mean.shape
        if network.scale.shape != width:
            raise ValueError(f"mean of shape {tuple(width)} and scale of {tuple(network.scale.shape)}")
        for number, layer in enumerate(network.layers):
            if layer.weight.shape != (*width, *layer.bias.shape):
                raise ValueError(f"layer {number} after {epochs} epochs does not fit what is below it")
            width = layer.bias.shape


def load_model(folder: Path, *, device: torch.device) -> Model:
    """Read a model's folder.

    Raises
    ------
    InputError
        If it is no model, or its parts do not fit together.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = folder / WEIGHTS
    if not path.is_file():
        raise InputError(f"{folder}: no model there (no {WEIGHTS}); train one with 'emobench pretrain'.")
    try:
        config = read_json(folder / CONFIG, "model configuration")
        sha256 = sha256_file(path)
        if config["weights_sha256"] != sha256:
            raise InputError(f"{WEIGHTS} is damaged or was replaced: its SHA-256 is not the one in {CONFIG}")
        machines = read_json(folder / TRAINING, "training log")["machines"]
        seconds = sum(epoch["seconds"] for machine in machines.values() for epoch in machine)
        domain = Domain(**config["domain"])
        tensors = load_file(path, device=str(device))
        epochs = sorted({int(name[6:].split(".")[0]) for name in tensors if name.startswith("epochs")})
        networks = {
            count: Network(
                mean=tensors["mean"],
                scale=tensors["scale"],
                layers=tuple(
                    Layer(
                        tensors[f"epochs{count}.layer{number}.weight"],
                        tensors[f"epochs{count}.layer{number}.bias"],
                    )
                    for number in range(len(config["training"]["layers"]))
                ),
            )
            for count in epochs
        }
        _check_shapes(networks)
    except (SafetensorError, EmobenchError, KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InputError(
            f"{folder}: not a readable model ({error}); remove the folder and train it again with 'emobench pretrain'."
        ) from error
    return Model(
        folder=folder,
        domain=domain,
        config=config,
        networks=networks,
        sha256=sha256,
        seconds=seconds,
    )
