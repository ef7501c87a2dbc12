"""Multilayer perceptron with one hidden layer, trained on the squared error of the standardised targets.

It assumes little of the function and needs more rows than a linear one for it. The mean of three networks from
different seeds predicts; each stops at the epoch with the smallest mean distance on the verification part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ....protocols import regressors
from .mlr import Linear, fit_mlr
from .networks import Networks, train
from .scaling import FloatArray, Scaling
from .stored import Arrays, joined, part


@dataclass(frozen=True)
class Averaged:
    """Networks whose averaged outputs are standardised targets."""

    networks: Networks
    outputs: Scaling

    @property
    def chosen(self) -> Mapping[str, float]:
        """Number of epochs."""
        return self.networks.chosen

    def __call__(self, features: FloatArray) -> FloatArray:
        """Predict targets, shape (n, k), from features of shape (n, d)."""
        found = [output.double().numpy() for output in self.networks(features)]
        return self.outputs.inverse(np.mean(found, axis=0))

    def arrays(self) -> dict[str, Any]:
        """Return the fitted parameters."""
        return joined({"networks": self.networks.arrays(), "outputs": vars(self.outputs)})


class Perceptron:
    """Small neural network."""

    name, title = "mlp", "multilayer perceptron"
    order = 4

    def fit(
        self, features: FloatArray, targets: FloatArray, verification: tuple[FloatArray, FloatArray]
    ) -> Averaged | Linear:
        """Fit the training part; training stops early on the verification part."""
        import torch

        if not features.shape[1]:
            return fit_mlr(features, targets)
        outputs = Scaling.of(targets)
        scale = torch.from_numpy(outputs.scale[:2]).float()
        networks = train(
            features,
            (targets - outputs.mean) / outputs.scale,
            (verification[0], (verification[1] - outputs.mean) / outputs.scale),
            outputs=targets.shape[1],
            loss=lambda output, target: (output - target).square().mean(),
            score=lambda output, target: ((output - target)[:, :2] * scale).norm(dim=1).mean(),
        )
        return Averaged(networks, outputs)

    def restore(self, arrays: Arrays, features: FloatArray) -> Averaged | Linear:
        """Restore networks from their parameters."""
        if "weight" in arrays:
            return Linear.of(arrays)
        return Averaged(Networks.of(part(arrays, "networks")), Scaling(**part(arrays, "outputs")))


regressors.register(Perceptron())
