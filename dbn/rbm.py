"""Restricted Boltzmann machines with Gaussian or binary visible units (Schmidt and Kim 2013, section 5).

Energies, with visibles v, hiddens h, weights W (visible x hidden), visible biases b, hidden biases c:

- Gaussian visibles of unit variance, equation (3): ``E = |v - b|^2 / 2 - c.h - v W h``
- binary visibles, equation (4): ``E = -b.v - c.h - v W h``

Conditionals, equations (1) and (2): ``p(h_j = 1 | v) = sigmoid(c_j + v W_j)``; ``p(v | h)`` is
``N(b + W h, 1)`` or ``sigmoid(b + W h)``. :mod:`.divergence` trains them.
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
