"""Domains: the inputs of a network (Schmidt and Kim 2013, sections 4.3 to 4.5, Table 1).

A domain turns the beat-synchronous matrix of a clip (B segments) into rows, one per segment or patch. An example
consists of ``window`` consecutive rows. Examples are overlapping views of the rows and are never stored. Dimensions:
``rhythm`` 4 x 20 = 80, ``pitch`` 4 x 48 = 192, ``pitch2d`` 4 x 96 = 384. A domain that the paper does
not have is ``texture``, 4 x 142 = 568.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import scipy

FloatArray = npt.NDArray[np.float32]

NAMES = ("rhythm", "pitch", "pitch2d", "texture")


@dataclass(frozen=True)
class Domain:
    """A domain and its window.

    Attributes
    ----------
    name : {"rhythm", "pitch", "pitch2d", "texture"}
        Name of the domain.
    window : int
        Beats per window, 1 to 16 (the paper's 4).
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
        """Beat-synchronous features that it is made of: ``rhythm``, ``pitch`` or ``texture``."""
        return "pitch" if self.name == "pitch2d" else self.name

    @property
    def patch(self) -> int:
        """Segments per row: the window for 2-d FFT patches, else 1."""
        return self.window if self.name == "pitch2d" else 1

    @property
    def context(self) -> int:
        """Segments per example minus one: 3, or 6 for ``pitch2d``."""
        return (self.window - 1) + (self.patch - 1)

    def example_count(self, lengths: Sequence[int]) -> int:
        """Count the examples of clips of these lengths in segments: ``max(B - context, 0)`` each (Table 1)."""
        return sum(max(length - self.context, 0) for length in lengths)

    def row_dims(self, bands: int) -> int:
        """Return the width of a row for segments with ``bands`` values."""
        return bands // 2 * self.window if self.name == "pitch2d" else bands

    def rows(self, segments: FloatArray) -> FloatArray:
        """Compute the rows of a clip.

        Parameters
        ----------
        segments : ndarray of float32, shape (B, bands)
            Beat-synchronous features.

        Returns
        -------
        ndarray of float32
            Of shape (B, bands), or (max(B - window + 1, 0), bands // 2 * window) for ``pitch2d``: the
            magnitudes of the 2-d FFT of each patch of ``window`` segments. The FFT of a real patch is conjugate
            symmetric, so the first half of the semitone axis contains all of them.
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
        Rows of all clips, concatenated.
    starts : ndarray of int64, shape (n_examples,)
        First row of each example.
    beats : ndarray of int64, shape (n_examples,)
        Last beat of each example, counted within its clip; its time is the time of the example.
    counts : ndarray of int64, shape (n_clips,)
        Number of examples of each clip.
    window : int
        Rows per example.
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

    def of_clips(self, chosen: npt.NDArray[np.bool_]) -> Examples:
        """Select the examples of clips by a mask of shape (n_clips,). The rows are shared."""
        kept = np.repeat(chosen, self.counts)
        return replace(self, starts=self.starts[kept], beats=self.beats[kept], counts=self.counts[chosen])

    def matrix(self) -> FloatArray:
        """Copy all examples to an array of shape (n_examples, dims), for small sets."""
        width = self.rows.shape[1]
        if not len(self):
            return np.zeros((0, self.dims), np.float32)
        views = np.lib.stride_tricks.sliding_window_view(self.rows.reshape(-1), self.dims)[::width]
        return views[self.starts]


def examples(
    domain: Domain, clips: Iterable[FloatArray], *, lengths: Sequence[int] | None = None, pad: bool = False
) -> Examples:
    """Make the examples of clips.

    Parameters
    ----------
    domain : Domain
        Definition of rows and windows.
    clips : iterable of ndarray of float32, shape (B, bands)
        Beat-synchronous features of each clip; iterated once if ``lengths`` are given.
    lengths : sequence of int, optional
        Segments of each clip; with these only the rows are held in memory.
    pad : bool
        Repeat the first segment of a clip that is too short until it makes one example, for labelled clips, which
        all need a value. Without it such a clip has no example.

    Returns
    -------
    made : Examples
        ``max(B - context, 0)`` per clip: B - 3 for ``rhythm`` and ``pitch`` and B - 6 for ``pitch2d`` with the
        paper's window (Table 1).

    Raises
    ------
    ValueError
        If there are no clips, or they differ in their number of bands.
    """
    if lengths is None:
        clips = list(clips)
        lengths = [len(clip) for clip in clips]
    segments = np.array(lengths, np.int64)
    if pad:
        segments = np.where(segments > 0, np.maximum(segments, domain.context + 1), 0)
    row_counts = np.maximum(segments - domain.patch + 1, 0)
    offsets = np.concatenate([[0], np.cumsum(row_counts)])
    rows = np.zeros((0, 0), np.float32)
    bands = 0
    for number, clip in enumerate(clips):
        if not bands:
            bands = clip.shape[1]
            rows = np.empty((offsets[-1], domain.row_dims(bands)), np.float32)
        elif clip.shape[1] != bands:
            raise ValueError("clips: expected all with the same number of bands")
        lacking = int(segments[number]) - len(clip)
        whole = np.concatenate([np.repeat(clip[:1], lacking, axis=0), clip]) if lacking > 0 else clip
        rows[offsets[number] : offsets[number + 1]] = domain.rows(whole)
    if not bands:
        raise ValueError("clips: expected at least one")
    counts = np.maximum(segments - domain.context, 0)
    places = np.arange(counts.sum(), dtype=np.int64) - np.repeat(np.cumsum(counts) - counts, counts)
    return Examples(
        rows=rows,
        starts=places + np.repeat(offsets[:-1], counts),
        beats=places + np.repeat(np.array(lengths, np.int64) - counts, counts),
        counts=counts,
        window=domain.window,
    )
