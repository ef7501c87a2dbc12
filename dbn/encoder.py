"""Contrastive encoder: a network of rectified linear layers whose last, linear layer is the feature."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from .network import Network


@dataclass(frozen=True)
class Encoder(Network):
    """The forward pass of a contrastive encoder; batch normalisation is part of the weights."""

    def activations(self, inputs: Tensor) -> list[Tensor]:
        """Compute the feature, a list with one tensor of shape (n, width), for raw inputs (n, dims)."""
        hidden = (inputs - self.mean) / self.scale
        for layer in self.layers[:-1]:
            hidden = (hidden @ layer.weight + layer.bias).relu_()
        return [hidden @ self.layers[-1].weight + self.layers[-1].bias]
