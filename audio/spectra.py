"""Short-time spectra and filter banks. Matrices have shape (frames, bins).

Frames are centred on multiples of the hop and the signal is padded with zeros, as in
``librosa.stft(center=True, pad_mode="constant")``; windows are periodic Hann windows.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import scipy

from ..runtime.jit_cache import set_numba_cache
from . import _jit

FloatArray = npt.NDArray[np.float32]
ComplexArray = npt.NDArray[np.complex64]

_BLOCK_BYTES = 1 << 21

# Bands per matrix product: enough columns for speed, and few zeros, as adjacent bands share their bins.
_BLOCK_BANDS = 16


@lru_cache(maxsize=16)
def hann(n_fft: int) -> FloatArray:
    """Periodic Hann window of ``n_fft`` samples."""
    # Equal to scipy.signal.get_window("hann", n_fft), whose import takes 0.7 s in every process.
    return (0.5 + 0.5 * np.cos(np.linspace(-np.pi, np.pi, n_fft + 1)[:-1])).astype(np.float32)


def frame_count(n_samples: int, hop: int) -> int:
    """Number of frames of a signal: one at each multiple of the hop, starting at 0."""
    return 1 + n_samples // hop


def map_spectrum(
    samples: FloatArray,
    *,
    n_fft: int,
    hop: int,
    width: int,
    transform: Callable[[ComplexArray, FloatArray], object],
) -> FloatArray:
    """Apply a function to the short-time Fourier transform of a signal, block by block.

    Parameters
    ----------
    samples : ndarray of float32, shape (n_samples,)
        Mono signal.
    n_fft, hop : int
        Window and hop in samples.
    width : int
        Number of columns of the result.
    transform : callable
        Function of a complex64 block of shape (frames, n_fft // 2 + 1) and a float32 output of shape (frames, width).
        Blocks fit into the processor's cache, and the whole complex spectrogram is never in memory.

    Returns
    -------
    ndarray of float32, shape (1 + n_samples // hop, width)
    """
    half = n_fft // 2
    padded = np.zeros(len(samples) + 2 * half, np.float32)
    padded[half : half + len(samples)] = samples
    frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::hop]
    count = frame_count(len(samples), hop)
    out = np.empty((count, width), np.float32)
    step = max(1, _BLOCK_BYTES // (4 * n_fft))
    buffer = np.empty((step, n_fft), np.float32)
    window = hann(n_fft)
    for first in range(0, count, step):
        last = min(first + step, count)
        block = buffer[: last - first]
        np.multiply(frames[first:last], window, out=block)
        transform(np.asarray(scipy.fft.rfft(block, axis=1, workers=1)), out[first:last])
    return out


def magnitude(samples: FloatArray, *, n_fft: int, hop: int, bins: int | None = None) -> FloatArray:
    """Magnitude spectrogram.

    Parameters
    ----------
    samples : ndarray of float32, shape (n_samples,)
        Mono signal.
    n_fft, hop : int
        Window and hop in samples.
    bins : int, optional
        Number of bins to keep, the lowest ones.

    Returns
    -------
    ndarray of float32, shape (1 + n_samples // hop, bins or n_fft // 2 + 1)
        Equal to ``abs(librosa.stft(samples, n_fft=n_fft, hop_length=hop)).T`` to float32 precision.
    """
    width = bins or n_fft // 2 + 1

    def transform(block: ComplexArray, out: FloatArray) -> None:
        np.abs(block[:, :width], out=out)

    return map_spectrum(samples, n_fft=n_fft, hop=hop, width=width, transform=transform)


def squared(spectrum: ComplexArray) -> FloatArray:
    """Squared magnitudes of a contiguous matrix of complex64."""
    power = np.empty(spectrum.shape, np.float32)
    _square(spectrum.view(np.float32), power)
    return power


@_jit.njit
def _square(parts: FloatArray, power: FloatArray) -> None:
    """Square magnitudes by real and imaginary parts in adjacent columns; strided views of them take twice as long."""
    for row in range(power.shape[0]):
        for column in range(power.shape[1]):
            real, imaginary = parts[row, 2 * column], parts[row, 2 * column + 1]
            power[row, column] = real * real + imaginary * imaginary


@lru_cache(maxsize=16)
def mel_bank(sample_rate: int, n_fft: int, n_mels: int) -> FloatArray:
    """Slaney's mel filter bank (librosa's default), shape (n_fft // 2 + 1, n_mels)."""
    # librosa imports numba, which then reads where compiled code is kept.
    set_numba_cache()
    import librosa

    return np.ascontiguousarray(librosa.filters.mel(sr=sample_rate, n_fft=n_fft, n_mels=n_mels).T)


@lru_cache(maxsize=16)
def _mel_blocks(sample_rate: int, n_fft: int, n_mels: int) -> list[tuple[slice, slice, FloatArray]]:
    """Bins, bands and weights of the non-zero parts of the bank, ``_BLOCK_BANDS`` bands each."""
    bank = mel_bank(sample_rate, n_fft, n_mels)
    blocks = []
    for first in range(0, n_mels, _BLOCK_BANDS):
        bands = slice(first, min(first + _BLOCK_BANDS, n_mels))
        # In a short spectrum, a band between two bins has no weights.
        used = np.flatnonzero(bank[:, bands].any(axis=1))
        bins = slice(int(used[0]), int(used[-1]) + 1) if len(used) else slice(0, 0)
        blocks.append((bins, bands, np.ascontiguousarray(bank[bins, bands])))
    return blocks


def mel_power(
    power: FloatArray, *, sample_rate: int, n_fft: int, n_mels: int, out: FloatArray | None = None
) -> FloatArray:
    """Energy of the mel bands: the product with :func:`mel_bank`, which is sparse.

    Parameters
    ----------
    power : ndarray of float32, shape (frames, n_fft // 2 + 1)
        Squared magnitudes.
    sample_rate, n_fft, n_mels : int
        Parameters of the bank.
    out : ndarray of float32, shape (frames, n_mels), optional
        Output array.

    Returns
    -------
    ndarray of float32, shape (frames, n_mels)
    """
    if out is None:
        out = np.empty((len(power), n_mels), np.float32)
    for bins, bands, weights in _mel_blocks(sample_rate, n_fft, n_mels):
        np.matmul(power[:, bins], weights, out=out[:, bands])
    return out


@lru_cache(maxsize=16)
def semitone_bank(sample_rate: int, n_fft: int, *, f_min: float, n_bands: int, overlap: float) -> FloatArray:
    """Magnitude constant-Q bank of semitone bands over the bins of an FFT.

    Gaussian bands centred at ``f_min * 2 ** (k / 12)`` with the bandwidth
    ``overlap * max(f * (2 ** (1 / 12) - 1), sample_rate / n_fft)``, each with energy one half: Ellis's
    log-frequency map (``fft2logfmx``, 2007), the bank behind the paper's "magnitude CQT filter bank".

    Parameters
    ----------
    sample_rate, n_fft : int
        Parameters of the spectrum.
    f_min : float
        Centre of the lowest band in hertz.
    n_bands : int
        Number of semitones.
    overlap : float
        Width of the Gaussians relative to the bandwidth.

    Returns
    -------
    ndarray of float32, shape (bins, n_bands)
        Weights of the lowest bins of the spectrum; above these no weight exceeds 1e-9.

    Raises
    ------
    ValueError
        If a band is above half the sample rate.
    """
    ratio = 2.0 ** (1.0 / 12.0)
    centres = f_min * ratio ** np.arange(n_bands)
    if centres[-1] * ratio > sample_rate / 2:
        raise ValueError(f"n_bands={n_bands}: the highest band is above half the sample rate")
    widths = overlap * np.maximum(centres * (ratio - 1.0), sample_rate / n_fft)
    bins = np.arange(n_fft // 2 + 1) * (sample_rate / n_fft)
    bank = np.exp(-0.5 * ((centres - bins[:, None]) / widths) ** 2)
    bank /= np.sqrt(2.0 * np.sum(bank**2, axis=0))
    used = int(np.flatnonzero((bank > 1e-9).any(axis=1))[-1]) + 1
    return np.ascontiguousarray(bank[:used].astype(np.float32))
