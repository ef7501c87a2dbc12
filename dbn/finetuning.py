"""Fine-tuning: back-propagation from a linear layer on top (Schmidt and Kim 2013, sections 5 and 6).

Every fold starts again from the pre-trained weights. Examples are beats, targets the means of arousal and
valence interpolated at them, the loss is the mean squared error; training stops early on the verification
part, and its best weights are restored.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .network import Layer, Network

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class FinetuningConfig:
    """Settings of fine-tuning.

    Attributes
    ----------
    rate : float
        Learning rate of stochastic gradient descent on the mean loss of a batch.
    momentum : float
        Of the gradient.
    batch : int
        Examples a step.
    epochs : int
        Most epochs.
    patience : int
        Epochs without a better verification error after which training stops.
    seed : int
        Of the order of examples; each repeat adds its number.
    """

    rate: float = 0.5
    momentum: float = 0.9
    batch: int = 50
    epochs: int = 200
    patience: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.rate > 0 or not 0 <= self.momentum < 1:
            raise ValueError("rate must be above 0 and momentum from 0 to below 1")
        if min(self.batch, self.epochs, self.patience) < 1:
            raise ValueError("batch, epochs and patience must be at least 1")


@dataclass(frozen=True)
class Tuned:
    """A fine-tuned network, the epoch whose weights it has, and its verification error (mean squared)."""

    network: Network
    epoch: int
    error: float


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
        Pre-trained weights; not changed.
    training, verification : tuple of ndarray of float32
        Examples (n, dims) and targets (n, 2).
    config : FinetuningConfig
        Settings.
    repeat : int
        Number of the fold.

    Returns
    -------
    Tuned
        Epoch 0 where no epoch was better than the pre-trained weights with the mean as prediction.
    """
    device = network.device
    inputs, targets = (torch.from_numpy(part).to(device) for part in training)
    checked, wanted = (torch.from_numpy(part).to(device) for part in verification)
    inputs = (inputs - network.mean) / network.scale
    checked = (checked - network.mean) / network.scale
    width = network.layers[-1].bias.shape[0]
    parameters: list[Tensor] = []
    for layer in network.layers:
        parameters += [layer.weight.clone(), layer.bias.clone()]
    # The linear layer starts at the best constant: no weight, the mean as bias.
    parameters += [torch.zeros(width, 2, device=device), targets.mean(0)]
    for parameter in parameters:
        parameter.requires_grad_(True)
    optimiser = torch.optim.SGD(parameters, lr=config.rate, momentum=config.momentum)
    generator = torch.Generator(device=device).manual_seed(config.seed + repeat)

    def predict(batch: Tensor) -> Tensor:
        hidden = batch
        for weight, bias in zip(parameters[:-2:2], parameters[1:-2:2], strict=True):
            hidden = torch.addmm(bias, hidden, weight).sigmoid()
        return torch.addmm(parameters[-1], hidden, parameters[-2])

    def verification_error() -> float:
        with torch.no_grad():
            return torch.nn.functional.mse_loss(predict(checked), wanted).item()

    best = [parameter.detach().clone() for parameter in parameters]
    best_error, best_epoch = verification_error(), 0
    for epoch in range(1, config.epochs + 1):
        for chosen in torch.randperm(len(inputs), generator=generator, device=device).split(config.batch):
            loss = torch.nn.functional.mse_loss(predict(inputs[chosen]), targets[chosen])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
        error = verification_error()
        if error < best_error:
            best = [parameter.detach().clone() for parameter in parameters]
            best_error, best_epoch = error, epoch
        elif epoch - best_epoch >= config.patience:
            break
    layers = tuple(Layer(weight, bias) for weight, bias in zip(best[:-2:2], best[1:-2:2], strict=True))
    return Tuned(Network(network.mean, network.scale, layers), best_epoch, best_error)
