"""Fine-tuning: back-propagation from a linear layer on top (Schmidt and Kim 2013, sections 5 and 6).

Deep belief networks and contrastive encoders differ in the activation functions of their layers alone.

Every fold starts from the pre-trained weights. Examples are beats, targets the means of arousal and valence
interpolated at them, and the loss is the mean squared error. Training stops early on the verification part, and the
best weights are restored.

The gradient is written out (Rumelhart, Hinton and Williams 1986): with torch.autograd and torch.optim.SGD, which give
the same bits, a step of 50 examples takes 2.7 times as long with 80 inputs and 2.0 times with 384 (CPU time of one
thread, median of 7 runs of 100 steps, layers 75-50-25), because the bookkeeping outweighs the arithmetic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .config import FinetuningConfig
from .network import Layer, Network

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Tuned:
    """Fine-tuned network, the epoch that its weights are from, and its mean squared error on the verification part."""

    network: Network
    epoch: int
    error: float


class Regressor:
    """Layers of a network with a linear layer on top, and the gradient of the mean squared error.

    Parameters
    ----------
    parameters : sequence of Tensor
        Weights (n_in, n_out) and biases (n_out,) of each layer in turn, from the bottom up, the linear layer last.
        They are copied.
    kinds : sequence of str, optional
        Activation function of each layer but the linear one on top: ``sigmoid`` (default), ``relu`` or ``linear``.

    Attributes
    ----------
    values, gradient : Tensor, shape (n,)
        All parameters in one vector, so that a step is one operation, and their gradient.
    """

    def __init__(self, parameters: Sequence[Tensor], kinds: Sequence[str] | None = None) -> None:
        self.values = torch.cat([parameter.reshape(-1) for parameter in parameters])
        self.gradient = torch.zeros_like(self.values)
        self._shapes = [parameter.shape for parameter in parameters]
        views, slopes = self.split(self.values), self.split(self.gradient)
        self._layers = list(zip(views[::2], views[1::2], strict=True))
        self._slopes = list(zip(slopes[::2], slopes[1::2], strict=True))
        self._kinds = ["sigmoid"] * (len(self._layers) - 1) if kinds is None else kinds

    def split(self, vector: Tensor) -> list[Tensor]:
        """Split a vector like ``values`` into views with the shapes of the parameters."""
        parts = vector.split([shape.numel() for shape in self._shapes])
        return [part.view(shape) for part, shape in zip(parts, self._shapes, strict=True)]

    def forward(self, inputs: Tensor) -> list[Tensor]:
        """Return the inputs (n, dims), the activations of each layer and the predictions (n, outputs)."""
        values = [inputs]
        for (weight, bias), kind in zip(self._layers[:-1], self._kinds, strict=True):
            hidden = torch.addmm(bias, values[-1], weight)
            values.append(hidden if kind == "linear" else hidden.relu_() if kind == "relu" else hidden.sigmoid_())
        weight, bias = self._layers[-1]
        values.append(torch.addmm(bias, values[-1], weight))
        return values

    def error(self, inputs: Tensor, targets: Tensor) -> float:
        """Compute the mean squared error."""
        return torch.nn.functional.mse_loss(self.forward(inputs)[-1], targets).item()

    def differentiate(self, inputs: Tensor, targets: Tensor) -> None:
        """Set ``gradient`` to the gradient of the mean squared error for inputs (n, dims), targets (n, outputs)."""
        values = self.forward(inputs)
        slope = values[-1].sub_(targets).mul_(2.0 / targets.numel())
        for number in range(len(self._layers) - 1, -1, -1):
            below = values[number]
            torch.mm(below.t(), slope, out=self._slopes[number][0])
            torch.sum(slope, 0, out=self._slopes[number][1])
            if number:
                slope = torch.mm(slope, self._layers[number][0].t())
                kind = self._kinds[number - 1]
                if kind == "sigmoid":
                    slope.mul_(1.0 - below).mul_(below)
                elif kind == "relu":
                    slope.mul_(below > 0)


def finetune(
    network: Network,
    *,
    training: tuple[FloatArray, FloatArray],
    verification: tuple[FloatArray, FloatArray],
    config: FinetuningConfig,
    repeat: int,
) -> Tuned:
    """Fine-tune a copy of a network for one fold.

    Parameters
    ----------
    network : Network
        Pre-trained network; not modified.
    training, verification : tuple of ndarray of float32
        Examples (n, dims) and targets (n, 2).
    config : FinetuningConfig
        Settings.
    repeat : int
        Number of the repeat.

    Returns
    -------
    Tuned
        Its epoch is 0 if no epoch improved on the pre-trained weights with the mean as prediction.

    Raises
    ------
    ValueError
        If a part has no examples.
    """
    if not len(training[0]) or not len(verification[0]):
        raise ValueError("training and verification: expected at least one example each")
    device = network.device
    inputs, targets = (torch.from_numpy(part).to(device) for part in training)
    verified, expected = (torch.from_numpy(part).to(device) for part in verification)
    inputs = (inputs - network.mean) / network.scale
    verified = (verified - network.mean) / network.scale
    width = network.layers[-1].bias.shape[0]
    # The linear layer starts as the best constant: zero weights, the mean as bias.
    top = [torch.zeros(width, 2, device=device), targets.mean(0)]
    model = Regressor([*(part for layer in network.layers for part in (layer.weight, layer.bias)), *top], network.kinds)
    velocity = torch.zeros_like(model.values)
    # The same order on every device.
    generator = torch.Generator().manual_seed(config.seed + repeat)
    best, best_error, best_epoch = model.values.clone(), model.error(verified, expected), 0
    for epoch in range(1, config.epochs + 1):
        for chosen in torch.randperm(len(inputs), generator=generator).to(device).split(config.batch):
            model.differentiate(inputs.index_select(0, chosen), targets.index_select(0, chosen))
            velocity.mul_(config.momentum).add_(model.gradient)
            model.values.add_(velocity, alpha=-config.rate)
        error = model.error(verified, expected)
        if error < best_error:
            best, best_error, best_epoch = model.values.clone(), error, epoch
        elif epoch - best_epoch >= config.patience:
            break
    kept = [part.clone() for part in model.split(best)[:-2]]
    layers = tuple(Layer(weight, bias) for weight, bias in zip(kept[::2], kept[1::2], strict=True))
    return Tuned(replace(network, layers=layers), best_epoch, best_error)
