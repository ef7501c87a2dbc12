"""Deep belief networks as feature extractors: the forward pass of their layers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .domains import Examples

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
    def kinds(self) -> tuple[str, ...]:
        """Activation function of each layer: ``sigmoid``, ``relu`` or ``linear``."""
        return ("sigmoid",) * len(self.layers)

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
