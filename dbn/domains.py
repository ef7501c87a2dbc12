"""Domains: what a network is shown of a clip (Schmidt and Kim 2013, sections 4.3 to 4.5, Table 1).

A domain turns the beat-synchronous matrix of a clip (B segments) into rows, one a segment or patch, and
an example is ``window`` rows one after another. So examples are overlapping views of the rows and are
never stored: ``rhythm`` 4 x 20 = 80, ``pitch`` 4 x 48 = 192, ``pitch2d`` 4 x 96 = 384 dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.fft

FloatArray = npt.NDArray[np.float32]

NAMES = ("rhythm", "pitch", "pitch2d")


@dataclass(frozen=True)
class Domain:
    """A domain and its window.

    Attributes
    ----------
    name : {"rhythm", "pitch", "pitch2d"}
        Which.
    window : int
        Beats a window, 1 to 16 (the paper's 4).
    """

    name: str
    window: int = 4

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            raise ValueError(f"domain {self.name!r}: expected one of {', '.join(NAMES)}")
        if not 1 <= self.window <= 16:
            raise ValueError(f"window={self.window}: expected 1 to 16 beats")

    @property
    def table(self) -> str:
        """The beat-synchronous features it is made of, ``rhythm`` or ``pitch``."""
        return "rhythm" if self.name == "rhythm" else "pitch"

    @property
    def patch(self) -> int:
        """Segments that one row covers: the window for 2-d FFT patches, else 1."""
        return self.window if self.name == "pitch2d" else 1

    @property
    def context(self) -> int:
        """Segments that one example covers, less one: 3 for ``rhythm`` and ``pitch``, 6 for ``pitch2d``."""
        return (self.window - 1) + (self.patch - 1)

    def row_dims(self, bands: int) -> int:
        """Width of a row for segments of ``bands`` numbers."""
        return bands // 2 * self.window if self.name == "pitch2d" else bands

    def rows(self, segments: FloatArray) -> FloatArray:
        """Rows of a clip.

        Parameters
        ----------
        segments : ndarray of float32, shape (B, bands)
            Beat-synchronous features.

        Returns
        -------
        ndarray of float32
            Of shape (B, bands), or (max(B - window + 1, 0), bands // 2 * window) for ``pitch2d``: there
            the magnitudes of the 2-d FFT of each patch of ``window`` segments. Those of a real patch come
            in conjugate pairs, so the first half of the semitone axis is all of them.
        """
        if self.name != "pitch2d":
            return segments
        bands = segments.shape[1]
        if len(segments) < self.window:
            return np.zeros((0, self.row_dims(bands)), np.float32)
        patches = np.lib.stride_tricks.sliding_window_view(segments, self.window, axis=0)
        spectrum = np.abs(np.asarray(scipy.fft.fft2(patches, axes=(1, 2)))[:, : bands // 2])
        return spectrum.reshape(len(patches), -1).astype(np.float32)


@dataclass(frozen=True)
class Examples:
    """Examples of many clips as views.

    Attributes
    ----------
    rows : ndarray of float32, shape (n_rows, row_dims)
        Rows of all clips, one after another.
    starts : ndarray of int64, shape (n_examples,)
        First row of each example.
    beats : ndarray of int64, shape (n_examples,)
        Beat, within its clip, that closes each example; its time is the example's.
    counts : ndarray of int64, shape (n_clips,)
        Examples of each clip.
    window : int
        Rows an example.
    """

    rows: FloatArray
    starts: npt.NDArray[np.int64]
    beats: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]
    window: int

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def dims(self) -> int:
        """Width of an example."""
        return self.window * self.rows.shape[1]

    def matrix(self) -> FloatArray:
        """All examples, shape (n_examples, dims): a copy, for small sets."""
        width = self.rows.shape[1]
        if not len(self):
            return np.zeros((0, self.dims), np.float32)
        views = np.lib.stride_tricks.sliding_window_view(self.rows.reshape(-1), self.dims)[::width]
        return views[self.starts]


def examples(domain: Domain, clips: Sequence[FloatArray], *, pad: bool = False) -> Examples:
    """Examples of clips.

    Parameters
    ----------
    domain : Domain
        What a row and a window are.
    clips : sequence of ndarray of float32, shape (B, bands)
        Beat-synchronous features of each clip.
    pad : bool
        Repeat the first segment of a clip that is too short for one example until it makes one; for
        labelled clips, where every clip must have a value. Otherwise such a clip has none.

    Returns
    -------
    made : Examples
        Each clip has ``max(B - context, 0)`` of them: B - 3 for ``rhythm`` and ``pitch`` and B - 6 for
        ``pitch2d`` with the paper's window (Table 1).

    Raises
    ------
    ValueError
        If there is no clip, or clips differ in their number of bands.
    """
    if not clips or len({clip.shape[1] for clip in clips}) != 1:
        raise ValueError("clips: expected at least one, all with the same number of bands")
    rows, starts, beats, counts = [], [], [], []
    offset = 0
    for clip in clips:
        lacking = domain.context + 1 - len(clip) if pad and len(clip) else 0
        segments = np.concatenate([np.repeat(clip[:1], lacking, axis=0), clip]) if lacking > 0 else clip
        own = domain.rows(segments)
        count = max(len(segments) - domain.context, 0)
        rows.append(own)
        starts.append(offset + np.arange(count, dtype=np.int64))
        beats.append(np.arange(count, dtype=np.int64) + len(clip) - count)
        counts.append(count)
        offset += len(own)
    return Examples(
        rows=np.ascontiguousarray(np.concatenate(rows), np.float32),
        starts=np.concatenate(starts),
        beats=np.concatenate(beats),
        counts=np.array(counts, np.int64),
        window=domain.window,
    )
