"""Domains: what a network is shown of a clip (Schmidt and Kim 2013, sections 4.3 to 4.5, Table 1).

A domain turns the beat-synchronous matrix of a clip (B segments) into rows, one a segment or patch, and
an example is ``window`` rows one after another. So examples are overlapping views of the rows and are
never stored: ``rhythm`` 4 x 20 = 80, ``pitch`` 4 x 48 = 192, ``pitch2d`` 4 x 96 = 384 dimensions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

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

    def example_count(self, lengths: Sequence[int]) -> int:
        """Examples of clips of so many segments: ``max(B - context, 0)`` each (Table 1)."""
        return sum(max(length - self.context, 0) for length in lengths)

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

    def of_clips(self, chosen: npt.NDArray[np.bool_]) -> Examples:
        """The examples of the clips that a mask of shape (n_clips,) marks; of the same rows."""
        kept = np.repeat(chosen, self.counts)
        return replace(self, starts=self.starts[kept], beats=self.beats[kept], counts=self.counts[chosen])

    def matrix(self) -> FloatArray:
        """All examples, shape (n_examples, dims): a copy, for small sets."""
        width = self.rows.shape[1]
        if not len(self):
            return np.zeros((0, self.dims), np.float32)
        views = np.lib.stride_tricks.sliding_window_view(self.rows.reshape(-1), self.dims)[::width]
        return views[self.starts]


def examples(
    domain: Domain, clips: Iterable[FloatArray], *, lengths: Sequence[int] | None = None, pad: bool = False
) -> Examples:
    """Examples of clips.

    Parameters
    ----------
    domain : Domain
        What a row and a window are.
    clips : iterable of ndarray of float32, shape (B, bands)
        Beat-synchronous features of each clip; gone through once, if their lengths are known.
    lengths : sequence of int, optional
        Segments of each clip, so that nothing but the rows is held.
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
