"""Restricted Boltzmann machines with Gaussian or binary visible units (Schmidt and Kim 2013, section 5).

Energies, with visibles v, hiddens h, weights W (visible x hidden), visible biases b, hidden biases c:

- Gaussian visibles of unit variance, equation (3): ``E = |v - b|^2 / 2 - c.h - v W h``
- binary visibles, equation (4): ``E = -b.v - c.h - v W h``

Conditionals, equations (1) and (2): ``p(h_j = 1 | v) = sigmoid(c_j + v W_j)``; ``p(v | h)`` is
``N(b + W h, 1)`` or ``sigmoid(b + W h)``. Training is contrastive divergence with one step
(Hinton 2002), the gradient summed over the batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class RBM:
    """Parameters of one machine.

    Attributes
    ----------
    weight : Tensor, shape (n_visible, n_hidden)
        W.
    visible_bias : Tensor, shape (n_visible,)
        b.
    hidden_bias : Tensor, shape (n_hidden,)
        c.
    gaussian : bool
        Whether the visible units are Gaussian; else binary.
    """

    weight: Tensor
    visible_bias: Tensor
    hidden_bias: Tensor
    gaussian: bool

    @classmethod
    def create(cls, n_visible: int, n_hidden: int, *, gaussian: bool, scale: float, generator: torch.Generator) -> RBM:
        """Start with weights drawn from N(0, scale^2) and biases of 0, on the generator's device."""
        device = generator.device
        return cls(
            weight=torch.randn(n_visible, n_hidden, generator=generator, device=device) * scale,
            visible_bias=torch.zeros(n_visible, device=device),
            hidden_bias=torch.zeros(n_hidden, device=device),
            gaussian=gaussian,
        )

    def energy(self, visible: Tensor, hidden: Tensor) -> Tensor:
        """Energy of joint states, equations (3) and (4); shape (n,) for (n, n_visible) and (n, n_hidden)."""
        interaction = ((visible @ self.weight) * hidden).sum(1) + hidden @ self.hidden_bias
        if self.gaussian:
            return ((visible - self.visible_bias) ** 2).sum(1) / 2 - interaction
        return -(visible @ self.visible_bias) - interaction

    def free_energy(self, visible: Tensor) -> Tensor:
        """``-log sum_h exp(-E(v, h))``, shape (n,) for (n, n_visible)."""
        softplus = torch.nn.functional.softplus(visible @ self.weight + self.hidden_bias).sum(1)
        if self.gaussian:
            return ((visible - self.visible_bias) ** 2).sum(1) / 2 - softplus
        return -(visible @ self.visible_bias) - softplus

    def hidden(self, visible: Tensor) -> Tensor:
        """``p(h = 1 | v)``, shape (n, n_hidden)."""
        return torch.addmm(self.hidden_bias, visible, self.weight).sigmoid_()

    def visible(self, hidden: Tensor) -> Tensor:
        """Mean of ``p(v | h)``, equations (1) and (2); shape (n, n_visible)."""
        mean = torch.addmm(self.visible_bias, hidden, self.weight.T)
        return mean if self.gaussian else mean.sigmoid_()

    def sample_visible(self, hidden: Tensor, generator: torch.Generator) -> Tensor:
        """Draw from ``p(v | h)``, shape (n, n_visible)."""
        mean = self.visible(hidden)
        if self.gaussian:
            return mean + torch.randn(mean.shape, generator=generator, device=mean.device, dtype=mean.dtype)
        uniform = torch.rand(mean.shape, generator=generator, device=mean.device, dtype=mean.dtype)
        return (uniform < mean).to(mean.dtype)


class ContrastiveDivergence:
    """CD-1 for one machine, with buffers that are used again for every batch of the same size.

    Parameters
    ----------
    machine : RBM
        Changed in place.
    rate : float
        Learning rate; the gradient is the sum over the batch, so the batch size hardly matters
        (the paper's 1e-5).
    sample_visible : bool
        Draw the reconstruction instead of taking its mean (Hinton 2010, section 3.2, advises the mean).
    generator : torch.Generator
        Source of randomness, on the machine's device.
    """

    def __init__(self, machine: RBM, *, rate: float, sample_visible: bool, generator: torch.Generator) -> None:
        self.machine = machine
        self.rate = rate
        self.sample_visible = sample_visible
        self.generator = generator
        self._uniform = torch.empty(0)

    def statistics(self, data: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Both phases of one step.

        Parameters
        ----------
        data : Tensor, shape (n, n_visible)
            Examples.

        Returns
        -------
        hidden, reconstruction, hidden_again : Tensor
            ``p(h | data)``, the reconstruction from a sample of it, and ``p(h | reconstruction)``.
        """
        machine = self.machine
        hidden = machine.hidden(data)
        if self._uniform.shape != hidden.shape or self._uniform.dtype != hidden.dtype:
            self._uniform = torch.empty_like(hidden)
        # Comparing uniforms is several times faster than torch.bernoulli.
        sample = (torch.rand(hidden.shape, out=self._uniform, generator=self.generator) < hidden).to(hidden.dtype)
        reconstruction = (
            machine.sample_visible(sample, self.generator) if self.sample_visible else machine.visible(sample)
        )
        return hidden, reconstruction, machine.hidden(reconstruction)

    def step(self, data: Tensor) -> Tensor:
        """Take one step up the approximate gradient.

        Parameters
        ----------
        data : Tensor, shape (n, n_visible)
            Examples.

        Returns
        -------
        Tensor
            Squared error of the reconstruction, summed over units and examples.
        """
        machine, rate = self.machine, self.rate
        hidden, reconstruction, hidden_again = self.statistics(data)
        machine.weight.addmm_(data.T, hidden, alpha=rate)
        machine.weight.addmm_(reconstruction.T, hidden_again, alpha=-rate)
        machine.visible_bias.add_((data.sum(0) - reconstruction.sum(0)), alpha=rate)
        machine.hidden_bias.add_((hidden.sum(0) - hidden_again.sum(0)), alpha=rate)
        return torch.sum((data - reconstruction) ** 2)
