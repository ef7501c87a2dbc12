"""Contrastive encoder: a network of rectified linear layers whose last, linear layer is the feature."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from .config import CONTRASTIVE
from .network import Network


@dataclass(frozen=True)
class Encoder(Network):
    """The forward pass of a contrastive encoder; batch normalisation is part of the weights."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """Activation function of each layer."""
        return (*["relu"] * (len(self.layers) - 1), "linear")

    def activations(self, inputs: Tensor) -> list[Tensor]:
        """Compute the feature, a list with one tensor of shape (n, width), for raw inputs (n, dims)."""
        hidden = (inputs - self.mean) / self.scale
        for layer in self.layers[:-1]:
            hidden = (hidden @ layer.weight + layer.bias).relu_()
        return [hidden @ self.layers[-1].weight + self.layers[-1].bias]


def kind_of(name: str) -> type[Network]:
    """Return the class of the network of a feature: an encoder, or the deep belief network of a domain."""
    return Encoder if name == CONTRASTIVE else Network
