"""Batches of examples, gathered from their rows, normalised and passed through the layers below, one at a time."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..errors import InputError
from . import kernels
from .domains import Examples
from .network import Layer

FloatArray = npt.NDArray[np.float32]


def input_statistics(data: Examples) -> tuple[FloatArray, FloatArray]:
    """Compute mean and standard deviation of each input dimension over all examples, shapes (dims,).

    The scale of a constant dimension is 1.
    """
    width = data.rows.shape[1]
    sums, squares = np.zeros((2, data.dims))
    # Close to the mean, to keep the digits of the difference of squares.
    shift = np.tile(data.rows[:: max(1, len(data.rows) // 4096)].mean(axis=0, dtype=np.float64), data.window)
    kernels.moments(data.rows.reshape(-1), data.starts * width, shift, sums, squares)
    mean = sums / len(data)
    scale = np.sqrt(np.maximum(squares / len(data) - mean**2, 0.0))
    return (shift + mean).astype(np.float32), np.where(scale > 1e-8, scale, 1.0).astype(np.float32)


def normalisation(data: Examples, title: str, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the statistics of the inputs as tensors; raises InputError with a title if they are not finite."""
    statistics = input_statistics(data)
    if not np.isfinite(statistics).all():
        raise InputError(f"{title}: the features of the pre-training set contain values that are not finite.")
    mean, scale = (torch.from_numpy(part).to(device) for part in statistics)
    return mean, scale


class Batches:
    """Inputs of an RBM, in any order.

    On the CPU they are arrays, made by compiled code; on other devices, tensors.

    Parameters
    ----------
    data : Examples
        Examples. Their rows are not copied on the CPU.
    mean, scale : Tensor, shape (dims,)
        Normalisation ``(x - mean) / scale``. Their device is that of the batches.
    layers : sequence of Layer
        Layers between the examples and the RBM.
    """

    def __init__(self, data: Examples, mean: Tensor, scale: Tensor, layers: Sequence[Layer] = ()) -> None:
        self.count, self.layers = len(data), list(layers)
        self._dims = data.dims
        self._mean, self._rate = mean, 1.0 / scale
        self._local = threading.local()
        self._compiled = mean.device.type == "cpu"
        width = data.rows.shape[1]
        if self._compiled:
            self._normal = self._mean.numpy(), self._rate.numpy()
            self._flat, self._first = data.rows.reshape(-1), data.starts * width
        else:
            rows = torch.from_numpy(data.rows).to(mean.device)
            self._views = rows.as_strided((max(len(rows) - data.window + 1, 0), data.dims), (width, 1))
            self._starts = torch.from_numpy(data.starts).to(mean.device)

    @classmethod
    def of_array(cls, data: FloatArray, device: torch.device) -> Batches:
        """Make batches of the rows of an array, as they are."""
        count, dims = data.shape
        examples = Examples(data, np.arange(count), np.zeros(count, np.int64), np.array([count]), window=1)
        return cls(examples, torch.zeros(dims, device=device), torch.ones(dims, device=device))

    def __call__(self, chosen: npt.NDArray[np.int64]) -> Any:
        """Return the inputs of the examples with these indices, shape (n, n_visible).

        An array is overwritten by the next call of the same thread.
        """
        if not self._compiled:
            indices = torch.from_numpy(chosen).to(self._mean.device)
            hidden = self._views.index_select(0, self._starts[indices]).sub_(self._mean).mul_(self._rate)
            for layer in self.layers:
                hidden = layer(hidden)
            return hidden
        inputs, *others = self._buffers(len(chosen))
        kernels.gather(self._flat, self._first, chosen, *self._normal, inputs)
        for layer, (values, hidden) in zip(self.layers, others, strict=True):
            np.dot(inputs, layer.weight.numpy(), out=values)
            kernels.sigmoid(values, layer.bias.numpy(), hidden)
            inputs = hidden
        return inputs

    def _buffers(self, count: int) -> list[Any]:
        if getattr(self._local, "count", -1) != count:
            self._local.count = count
            widths = [layer.bias.shape[0] for layer in self.layers]
            self._local.arrays = [
                np.empty((count, self._dims), np.float32),
                *(np.empty((2, count, width), np.float32) for width in widths),
            ]
        return self._local.arrays

    def tensor(self, chosen: npt.NDArray[np.int64]) -> Tensor:
        """Return the same inputs as a tensor that no later call overwrites."""
        inputs = self(chosen)
        return torch.from_numpy(inputs.copy()) if self._compiled else inputs
