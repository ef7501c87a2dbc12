"""Settings of pre-training, of contrastive encoders and of fine-tuning. This module does not import torch."""

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


# Name of the encoder among the networks, whose other names are their domains.
CONTRASTIVE = "contrastive"


@dataclass(frozen=True)
class ContrastiveConfig:
    """Settings of a contrastive encoder. The defaults are those that were compared on several corpora.

    Attributes
    ----------
    window : int
        Beats per input window, 1 to 16.
    layers : tuple of int
        Units of each layer of the encoder, from the bottom up; the last one is the feature.
    projector : int
        Units of both layers of the projector, which is used in training only.
    steps : int
        Updates of the weights.
    rate : float
        Initial learning rate of AdamW, which decays to 0 along a cosine.
    batch : int
        Clips per update, of which each gives a pair of windows; all clips if there are fewer.
    temperature : float
        Temperature of the loss.
    level_shift, noise : float
        Standard deviations, in those of the inputs, of a shift of all levels of a window, and of noise in every input.
    masked : float
        Probability that a band of a window is replaced by its mean.
    dropout : float
        Probability that an input is dropped.
    seed : int
        Seed of weights, batches and augmentation.
    """

    window: int = 4
    layers: tuple[int, ...] = (512, 512, 128)
    projector: int = 128
    steps: int = 800
    rate: float = 1e-3
    batch: int = 256
    temperature: float = 0.2
    level_shift: float = 0.3
    noise: float = 0.1
    masked: float = 0.2
    dropout: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        check_ranges(vars(self))
        if self.batch < 2:
            raise ValueError(
                f"`batch` {self.batch}: expected at least 2 clips, because each is contrasted with the others."
            )
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
