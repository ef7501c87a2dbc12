"""Examples fed to a machine: gathered from the rows, normalised, and taken through the layers below, batch by batch."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from . import kernels
from .domains import Examples
from .network import Layer

FloatArray = npt.NDArray[np.float32]


def input_statistics(data: Examples) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation of each input dimension over all examples, shapes (dims,).

    A dimension that never changes gets the scale 1.
    """
    width = data.rows.shape[1]
    sums, squares = np.zeros((2, data.dims))
    # Near the mean, so that the difference of squares keeps its digits.
    shift = np.tile(data.rows[:: max(1, len(data.rows) // 4096)].mean(axis=0, dtype=np.float64), data.window)
    kernels.moments(data.rows.reshape(-1), data.starts * width, shift, sums, squares)
    mean = sums / len(data)
    scale = np.sqrt(np.maximum(squares / len(data) - mean**2, 0.0))
    return (shift + mean).astype(np.float32), np.where(scale > 1e-8, scale, 1.0).astype(np.float32)


class Feed:
    """Examples in any order.

    Parameters
    ----------
    data : Examples
        Their rows stay where they are; nothing is stored beside them.
    mean, scale : Tensor, shape (dims,)
        An input is ``(x - mean) / scale``.
    layers : sequence of Layer
        Layers below the machine that is fed.
    compiled : bool
        Whether arrays are wanted, made by compiled code, or tensors on the device of ``mean``.
    """

    def __init__(self, data: Examples, mean: Tensor, scale: Tensor, layers: list[Layer], *, compiled: bool) -> None:
        self.count, self.layers, self.compiled = len(data), layers, compiled
        self._dims = data.dims
        self._mean, self._rate = mean, 1.0 / scale
        self._local = threading.local()
        width = data.rows.shape[1]
        if compiled:
            self._normal = self._mean.numpy(), self._rate.numpy()
            self._flat, self._first = data.rows.reshape(-1), data.starts * width
        else:
            rows = torch.from_numpy(data.rows).to(mean.device)
            self._views = rows.as_strided((max(len(rows) - data.window + 1, 0), data.dims), (width, 1))
            self._starts = torch.from_numpy(data.starts).to(mean.device)

    def __call__(self, chosen: npt.NDArray[np.int64]) -> Any:
        """Inputs (n, n_visible) of the examples with these numbers; an array is used again for the next call."""
        if not self.compiled:
            numbers = torch.from_numpy(chosen).to(self._mean.device)
            hidden = self._views.index_select(0, self._starts[numbers]).sub_(self._mean).mul_(self._rate)
            for layer in self.layers:
                hidden = layer(hidden)
            return hidden
        first, *others = self._room(len(chosen))
        kernels.gather(self._flat, self._first, chosen, *self._normal, first)
        for layer, (values, hidden) in zip(self.layers, others, strict=True):
            np.dot(first, layer.weight.numpy(), out=values)
            kernels.sigmoid(values, layer.bias.numpy(), hidden)
            first = hidden
        return first

    def _room(self, count: int) -> list[Any]:
        if getattr(self._local, "count", -1) != count:
            self._local.count = count
            widths = [layer.bias.shape[0] for layer in self.layers]
            self._local.arrays = [
                np.empty((count, self._dims), np.float32),
                *(np.empty((2, count, width), np.float32) for width in widths),
            ]
        return self._local.arrays

    def tensor(self, chosen: npt.NDArray[np.int64]) -> Tensor:
        """The same inputs as a tensor of their own."""
        found = self(chosen)
        return torch.from_numpy(found.copy()) if self.compiled else found
