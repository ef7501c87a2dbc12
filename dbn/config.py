"""Settings of pre-training and fine-tuning. This module does not import torch."""

from __future__ import annotations

from dataclasses import dataclass

from .parameters import check_ranges


@dataclass(frozen=True)
class PretrainingConfig:
    """Settings of pre-training. The defaults are the paper's.

    Attributes
    ----------
    window : int
        Beats per input window, 1 to 16.
    layers : tuple of int
        Hidden units of each layer, from the bottom up.
    epochs : tuple of int
        Numbers of epochs after which weights are kept.
    rate : float
        Learning rate of the gradient summed over a batch.
    schedule : {"constant", "linear", "cosine"}
        Decay of the learning rate to 0 over the epochs of an RBM.
    batch : int
        Examples per batch. As the gradient is summed, mostly a matter of speed.
    init_scale : float
        Standard deviation of the initial weights (Hinton 2010, section 8).
    steps : int
        Steps of Gibbs sampling (CD-k).
    persistent, sample_visible, momentum, weight_decay, sparsity_target, sparsity_cost
        As in :class:`.rbm.RBM`.
    held_out : float
        Fraction of the clips that is not trained on, for the free-energy gap.
    seed : int
        Seed of the weights, the order of the examples and the samples.
    """

    window: int = 4
    layers: tuple[int, ...] = (75, 50, 25)
    epochs: tuple[int, ...] = (5, 10, 20, 50)
    rate: float = 1e-5
    schedule: str = "constant"
    batch: int = 100
    init_scale: float = 0.01
    steps: int = 1
    persistent: bool = False
    sample_visible: bool = False
    momentum: float = 0.0
    weight_decay: float = 0.0
    sparsity_target: float | None = None
    sparsity_cost: float = 0.1
    held_out: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        check_ranges(vars(self))
        if not 0 <= self.seed < 2**63 - 1:
            raise ValueError(f"`seed` {self.seed}: expected a whole number from 0 to below {2**63 - 1}.")


@dataclass(frozen=True)
class FinetuningConfig:
    """Settings of fine-tuning.

    Attributes
    ----------
    rate : float
        Learning rate of stochastic gradient descent on the mean loss of a batch.
    momentum : float
        Momentum coefficient.
    batch : int
        Examples per batch.
    epochs : int
        Maximum number of epochs.
    patience : int
        Epochs without a lower verification error after which training stops.
    seed : int
        Seed of the order of the examples; the number of the repeat is added to it.
    """

    rate: float = 0.5
    momentum: float = 0.9
    batch: int = 50
    epochs: int = 200
    patience: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        # Pre-training has several numbers of epochs, fine-tuning has one.
        check_ranges(vars(self) | {"epochs": (self.epochs,)})
