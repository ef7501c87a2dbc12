"""musicnn (Pons and Serra 2019): its log-mel spectrogram and its forward pass in torch.

The network is the one of the package ``musicnn`` 0.1.0, whose weights :mod:`emobench.pretrained.musicnn_weights` reads.
Names of tensors are those of its checkpoints.

References
----------
J. Pons and X. Serra, "musicnn: Pre-trained convolutional neural networks for music audio tagging", late-breaking demo,
ISMIR 2019. https://arxiv.org/abs/1909.06654
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

SAMPLE_RATE = 16_000
FFT, HOP, BANDS = 512, 256, 96
PATCH = 187

# Outputs of the network and their widths.
OUTPUTS = {"penultimate": 200, "tags": 50, "mean": 753, "max": 753}

# Patches per call of the network: 64 patches need about 0.6 GB, for the maps of the first layer.
_BATCH = 16

# The default of TensorFlow's batch normalisation.
_EPSILON = 1e-3

_TIMBRAL, _TEMPORAL = (0, 1), (2, 3, 4)


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


def patches(spectrogram: npt.NDArray[np.float32], n_samples: int) -> tuple[npt.NDArray, npt.NDArray[np.float32]]:
    """Cut patches of 187 frames that end at each full second.

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
    patches : ndarray of float32, shape (n, 187, 96)
    """
    seconds = np.arange(1, n_samples // SAMPLE_RATE + 1)
    last = (seconds * SAMPLE_RATE - FFT // 2) // HOP
    whole = last >= PATCH - 1
    if not whole.any():
        return np.array([n_samples / SAMPLE_RATE]), np.resize(spectrogram, (1, PATCH, BANDS))
    cut = np.lib.stride_tricks.sliding_window_view(spectrogram, PATCH, axis=0)
    return seconds[whole].astype(float), cut[last[whole] - (PATCH - 1)].transpose(0, 2, 1)


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

    def __call__(self, batch: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
        """Compute the outputs for patches of shape (n, 187, 96), each of shape (n, d), by the names in ``OUTPUTS``."""
        import torch

        with torch.inference_mode():
            parts = [self._forward(torch.from_numpy(np.ascontiguousarray(part))) for part in _split(batch, _BATCH)]
        return {name: np.concatenate([part[name].cpu().numpy() for part in parts]) for name in OUTPUTS}

    def _forward(self, batch: torch.Tensor) -> dict[str, Any]:
        import torch
        from torch.nn import functional as nn

        # Convolutions of torch have channels before time and mel bands: (n, channels, time, bands).
        image = self._normalised(batch.to(self._device)[:, None], 0)
        wide = nn.pad(image, (0, 0, 3, 3))
        front = [self._front(wide, number) for number in _TIMBRAL]
        for number in _TEMPORAL:
            # "Same" padding, which TensorFlow makes one longer at the end for even lengths.
            length = self._weights[_numbered("conv2d", number) + "/kernel"].shape[0]
            front.append(self._front(nn.pad(image, (0, 0, (length - 1) // 2, length // 2)), number))
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


def _split(batch: npt.NDArray[np.float32], size: int) -> list[npt.NDArray[np.float32]]:
    return [batch[start : start + size] for start in range(0, len(batch), size)]
