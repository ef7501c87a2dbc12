"""RBMs with given parameters, trained step by step in compiled code or in tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from emobench.dbn.divergence import tensor_phases
from emobench.dbn.rbm import RBM
from torch import Tensor

NAMES = ("weight_", "visible_bias_", "hidden_bias_")


class TensorRBM(RBM):
    """An RBM that uses tensors for training on the CPU too."""

    def _new_phases(self) -> Any:
        return tensor_phases


def given(weight: Tensor, visible_bias: Tensor, hidden_bias: Tensor, *, compiled: bool = True, **settings: Any) -> RBM:
    """Make an RBM with these parameters."""
    kind = RBM if compiled else TensorRBM
    rbm = kind(weight.shape[1], **settings).initialize(weight.shape[0])
    for name, values in zip(NAMES, (weight, visible_bias, hidden_bias), strict=True):
        setattr(rbm, name, values)
    rbm._velocity = [torch.zeros_like(values) for values in rbm._parameters()]
    rbm._begin_epoch(0)
    return rbm


def step(rbm: RBM, data: np.ndarray, first: int = 0, last: int | None = None) -> float:
    """Take one step on a part of the data, and return the squared error of the reconstruction."""
    last = len(data) if last is None else last
    return rbm._step(lambda low, high: data[low:high], first, last, learning_rate=rbm.learning_rate).item()


def parameters(rbm: RBM) -> list[np.ndarray]:
    """Return copies of W, b and c in float64."""
    return [getattr(rbm, name).numpy().astype(np.float64) for name in NAMES]
