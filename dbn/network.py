"""Deep belief networks as feature extractors: their layers, and the folder of a pre-trained model."""

from __future__ import annotations

import re
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

# Examples that are passed through a network at once.
_BLOCK = 8192


@dataclass(frozen=True)
class Layer:
    """Sigmoid layer: the forward weights and hidden biases of an RBM.

    Attributes
    ----------
    weight : Tensor, shape (n_in, n_out)
        Weights.
    bias : Tensor, shape (n_out,)
        Biases.
    """

    weight: Tensor
    bias: Tensor

    def __call__(self, inputs: Tensor) -> Tensor:
        """Compute ``sigmoid(inputs W + bias)``, shape (n, n_out)."""
        return torch.addmm(self.bias, inputs, self.weight).sigmoid_()

    def to(self, device: torch.device) -> Layer:
        """Return the layer on a device."""
        return Layer(self.weight.to(device), self.bias.to(device))


@dataclass(frozen=True)
class Network:
    """The forward pass of a deep belief network (Schmidt and Kim 2013, section 5).

    Attributes
    ----------
    mean, scale : Tensor, shape (dims,)
        Mean and standard deviation of the inputs in the pre-training set; inputs are normalised with them.
    layers : tuple of Layer
        Layers from the bottom up.
    """

    mean: Tensor
    scale: Tensor
    layers: tuple[Layer, ...]

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self.mean.device

    def activations(self, inputs: Tensor) -> list[Tensor]:
        """Compute the activations of each layer, shapes (n, width), for raw inputs (n, dims)."""
        hidden = (inputs - self.mean) / self.scale
        found = []
        for layer in self.layers:
            hidden = layer(hidden)
            found.append(hidden)
        return found

    def features(self, examples: Examples) -> list[npt.NDArray[np.float32]]:
        """Compute the activations of each layer for all examples, block by block; arrays of shape (n, width)."""
        blocks = torch.from_numpy(examples.matrix()).split(_BLOCK)
        found = [self.activations(block.to(self.device)) for block in blocks]
        return [torch.cat(parts).cpu().numpy() for parts in zip(*found, strict=True)]


def layer_tensors(layers: Mapping[tuple[int, int], Layer]) -> dict[str, Tensor]:
    """Name the tensors of layers, which are given by their epochs and number, as in :mod:`.checkpoint`."""
    return {
        f"epochs{epochs}.layer{number}.{part}": getattr(layer, part)
        for (epochs, number), layer in layers.items()
        for part in ("weight", "bias")
    }


def layers_in(tensors: Mapping[str, Tensor]) -> dict[tuple[int, int], Layer]:
    """Find the layers among named tensors, by their epochs and number; KeyError where a bias is missing."""
    found = (re.fullmatch(r"epochs(\d+)\.layer(\d+)\.weight", name) for name in tensors)
    return {
        (int(match[1]), int(match[2])): Layer(tensors[match[0]], tensors[match[0][: -len("weight")] + "bias"])
        for match in found
        if match
    }


@dataclass(frozen=True)
class Model:
    """A pre-trained model.

    Attributes
    ----------
    folder : Path
        Folder of the model.
    domain : Domain
        Input of the network.
    config : dict
        Configuration that produced the model.
    networks : mapping
        Number of pre-training epochs to the network after them; 0 is the control, random weights.
    sha256 : str
        SHA-256 of the file of weights.
    seconds : float
        Duration of the training.
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
    """Write the folder of a model; it is complete once the weights are there."""
    first = next(iter(networks.values()))
    layers = {
        (epochs, number): layer for epochs, network in networks.items() for number, layer in enumerate(network.layers)
    }
    write_json(folder / TRAINING, plain(log))
    # Last, after the configuration, which contains their hash.
    with replacing(folder / WEIGHTS) as temporary:
        write_tensors(temporary, {"mean": first.mean, "scale": first.scale, **layer_tensors(layers)})
        write_json(folder / CONFIG, plain({"domain": domain, **config, "weights_sha256": sha256_file(temporary)}))


def _check_shapes(networks: Mapping[int, Network]) -> None:
    """Raise ValueError unless there is a network and the layers of each fit together."""
    if not networks:
        raise ValueError("contains no network")
    for epochs, network in networks.items():
        if not network.layers:
            raise ValueError("the configuration names no layers")
        width = network.mean.shape
        if network.scale.shape != width:
            raise ValueError(f"mean of shape {tuple(width)} and scale of shape {tuple(network.scale.shape)}")
        for number, layer in enumerate(network.layers):
            if layer.weight.shape != (*width, *layer.bias.shape):
                raise ValueError(f"layer {number} after {epochs} epochs does not fit the layer below it")
            width = layer.bias.shape


def load_model(folder: Path, *, device: torch.device) -> Model:
    """Read the folder of a model.

    Raises
    ------
    InputError
        If there is no model, or its parts are damaged or do not fit together.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = folder / WEIGHTS
    if not path.is_file():
        raise InputError(f"{folder}: contains no model (no {WEIGHTS}); train one with 'emobench pretrain'.")
    try:
        config = read_json(folder / CONFIG, "model configuration")
        sha256 = sha256_file(path)
        if config["weights_sha256"] != sha256:
            raise InputError(f"{WEIGHTS} is damaged or was replaced: its SHA-256 is not the one in {CONFIG}")
        logs = read_json(folder / TRAINING, "training log")["rbms"]
        seconds = sum(epoch["seconds"] for log in logs.values() for epoch in log)
        domain = Domain(**config["domain"])
        tensors = load_file(path, device=str(device))
        layers, depth = layers_in(tensors), len(config["training"]["layers"])
        networks = {
            epochs: Network(tensors["mean"], tensors["scale"], tuple(layers[epochs, number] for number in range(depth)))
            for epochs in sorted({epochs for epochs, _ in layers})
        }
        _check_shapes(networks)
    except (SafetensorError, EmobenchError, KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InputError(
            f"{folder}: unreadable model ({error}); remove the folder and train it again with 'emobench pretrain'."
        ) from error
    return Model(folder=folder, domain=domain, config=config, networks=networks, sha256=sha256, seconds=seconds)
