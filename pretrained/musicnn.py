"""musicnn (Pons and Serra 2019): its log-mel spectrogram and its forward pass in torch.

The network is the one of the package ``musicnn`` 0.1.0, whose weights :mod:`emobench.pretrained.musicnn_weights` reads.
Names of tensors are those of its checkpoints.

References
----------
J. Pons and X. Serra, "musicnn: Pre-trained convolutional neural networks for music audio tagging", late-breaking demo,
ISMIR 2019. https://arxiv.org/abs/1909.06654
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

SAMPLE_RATE = 16_000
FFT, HOP, BANDS = 512, 256, 96
PATCH = 187

# Outputs of the network and their widths.
OUTPUTS = {"penultimate": 200, "tags": 50, "mean": 753, "max": 753}

# Patches per call of the network, which bounds its memory.
_BATCH = 32

# The default of TensorFlow's batch normalisation.
_EPSILON = 1e-3

# Convolutions of the front-end by their numbers. Those of timbre are 7 frames long.
_TIMBRAL, _TEMPORAL = (0, 1), (2, 3, 4)
_REACH = 3


def log_mel(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the spectrogram that the network reads: log10(10000·S + 1) of the power in 96 mel bands.

    It is computed in float32; the original's float16 overflows on loud audio.

    Parameters
    ----------
    samples : ndarray of float32, shape (n_samples,)
        Mono signal at 16 kHz.

    Returns
    -------
    ndarray of float32, shape (1 + n_samples // 256, 96)
    """
    import librosa

    power = librosa.feature.melspectrogram(y=samples, sr=SAMPLE_RATE, n_fft=FFT, hop_length=HOP, n_mels=BANDS)
    return np.log10(10_000 * power.T + 1).astype(np.float32)


def patches(
    spectrogram: npt.NDArray[np.float32], n_samples: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float32], list[int]]:
    """Place patches of 187 frames that end at each full second.

    The last frame of the patch of second t is the last one whose window ends at t, so that the patch ends with that
    second and contains no later sample. Audio shorter than 3 s is repeated to the length of one patch, as in training.

    Parameters
    ----------
    spectrogram : ndarray of float32, shape (n_frames, 96)
        Spectrogram of :func:`log_mel`.
    n_samples : int
        Number of samples.

    Returns
    -------
    times : ndarray, shape (n,)
        Ends of the patches in seconds.
    spectrogram : ndarray of float32, shape (n_frames, 96)
        The spectrogram, at least as long as a patch.
    starts : list of int
        First frames of the patches.
    """
    seconds = np.arange(1, n_samples // SAMPLE_RATE + 1)
    starts = (seconds * SAMPLE_RATE - FFT // 2) // HOP - (PATCH - 1)
    whole = starts >= 0
    if not whole.any():
        return np.array([n_samples / SAMPLE_RATE]), np.resize(spectrogram, (PATCH, BANDS)), [0]
    return seconds[whole].astype(float), spectrogram, starts[whole].tolist()


class Network:
    """The network with its weights on a device.

    Parameters
    ----------
    weights : mapping of str to ndarray
        Tensors of a checkpoint by name.
    device : torch.device
        Device to compute on.
    """

    def __init__(self, weights: Mapping[str, npt.NDArray[np.float32]], device: torch.device) -> None:
        import torch

        self._device = device
        self._weights = {name: torch.from_numpy(np.array(each)).to(device) for name, each in weights.items()}

    def __call__(
        self, spectrogram: npt.NDArray[np.float32], starts: Sequence[int]
    ) -> dict[str, npt.NDArray[np.float32]]:
        """Compute the outputs for patches of a spectrogram.

        Parameters
        ----------
        spectrogram : ndarray of float32, shape (n_frames, 96)
            Spectrogram of :func:`log_mel`.
        starts : sequence of int
            First frames of the patches, increasing.

        Returns
        -------
        dict of str to ndarray, shape (n, d)
            One row per patch, by the names in ``OUTPUTS``.
        """
        import torch

        parts = []
        with torch.inference_mode():
            for at in range(0, len(starts), _BATCH):
                first, last = starts[at], starts[at : at + _BATCH][-1]
                frames = torch.from_numpy(np.ascontiguousarray(spectrogram[first : last + PATCH]))
                found = self._forward(frames.to(self._device), [start - first for start in starts[at : at + _BATCH]])
                parts.append({name: each.cpu().numpy() for name, each in found.items()})
        return {name: np.concatenate([part[name] for part in parts]) for name in OUTPUTS}

    def of_clips(
        self, spectrograms: Sequence[npt.NDArray[np.float32]], starts: Sequence[Sequence[int]]
    ) -> list[dict[str, npt.NDArray[np.float32]]]:
        """Compute the outputs for patches of several spectrograms in shared batches; see :meth:`__call__`."""
        offsets = np.cumsum([0, *map(len, spectrograms)])
        every = [int(offset) + start for offset, own in zip(offsets, starts, strict=False) for start in own]
        found = self(np.concatenate(spectrograms), every)
        bounds = np.cumsum([0, *map(len, starts)])
        return [{name: each[low:high] for name, each in found.items()} for low, high in pairwise(bounds.tolist())]

    def _forward(self, frames: torch.Tensor, starts: Sequence[int]) -> dict[str, torch.Tensor]:
        import torch
        from torch.nn import functional as nn

        # Convolutions of torch have channels before time and mel bands: (n, channels, time, bands).
        image = self._normalised(frames[None, None], 0)
        cut = torch.stack([image[0, :, start : start + PATCH] for start in starts])
        front = [self._timbral(image, cut, starts, number) for number in _TIMBRAL]
        for number in _TEMPORAL:
            # "Same" padding, which TensorFlow makes one longer at the end for even lengths.
            length = self._weights[_numbered("conv2d", number) + "/kernel"].shape[0]
            front.append(self._front(nn.pad(cut, (0, 0, (length - 1) // 2, length // 2)), number))
        layers = [torch.cat(front, 1)]
        layers.append(self._middle(layers[0], 5))
        layers.append(layers[1] + self._middle(layers[1], 6))
        layers.append(layers[2] + self._middle(layers[2], 7))
        found = torch.cat(layers, 1)
        mean, largest = found.mean(2), found.amax(2)
        # The maximum and the mean of each channel are neighbours.
        pooled = self._normalised(torch.stack([largest, mean], 2).flatten(1), 9)
        penultimate = self._normalised(nn.relu(self._dense(pooled, 0)), 10)
        tags = torch.sigmoid(self._dense(penultimate, 1))
        return {"penultimate": penultimate, "tags": tags, "mean": mean, "max": largest}

    def _timbral(self, image: torch.Tensor, cut: torch.Tensor, starts: Sequence[int], number: int) -> torch.Tensor:
        """Convolve the patches, which are padded with zeros; overlapping patches share all but their edges."""
        import torch
        from torch.nn import functional as nn

        inner = self._front(image, number)[0]
        left = self._front(nn.pad(cut[:, :, : 2 * _REACH], (0, 0, _REACH, 0)), number)
        right = self._front(nn.pad(cut[:, :, -2 * _REACH :], (0, 0, 0, _REACH)), number)
        middle = torch.stack([inner[:, start : start + PATCH - 2 * _REACH] for start in starts])
        return torch.cat([left, middle, right], 2)

    def _front(self, image: torch.Tensor, number: int) -> torch.Tensor:
        """Convolve with filters in time and frequency, and take the maximum over frequency."""
        from torch.nn import functional as nn

        name = _numbered("conv2d", number)
        kernel = self._weights[f"{name}/kernel"].permute(3, 2, 0, 1)
        mapped = nn.relu(nn.conv2d(image, kernel, self._weights[f"{name}/bias"]))
        return self._normalised(mapped, number + 1).amax(3)

    def _middle(self, signal: torch.Tensor, number: int) -> torch.Tensor:
        """Convolve all channels in time."""
        from torch.nn import functional as nn

        name = _numbered("conv2d", number)
        kernel = self._weights[f"{name}/kernel"].squeeze(2).permute(2, 1, 0)
        mapped = nn.relu(nn.conv1d(signal, kernel, self._weights[f"{name}/bias"], padding=3))
        return self._normalised(mapped, number + 1)

    def _dense(self, rows: torch.Tensor, number: int) -> torch.Tensor:
        name = _numbered("dense", number)
        return rows @ self._weights[f"{name}/kernel"] + self._weights[f"{name}/bias"]

    def _normalised(self, values: torch.Tensor, number: int) -> torch.Tensor:
        from torch.nn import functional as nn

        name = _numbered("batch_normalization", number)
        mean, variance = (self._weights[f"{name}/moving_{each}"] for each in ("mean", "variance"))
        scale, shift = self._weights[f"{name}/gamma"], self._weights[f"{name}/beta"]
        return nn.batch_norm(values, mean, variance, scale, shift, eps=_EPSILON)


def _numbered(kind: str, number: int) -> str:
    return f"{kind}_{number}" if number else kind
