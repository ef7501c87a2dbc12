"""A labelled dataset as arrays: one row per second, in the same order for features and targets."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import polars as pl

from ...builders.labelled_dataset import LabelledDataset
from ...builders.targets import PARAMETERS
from .gaussians import repaired

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Fold:
    """Rows of the three parts of one repeat, as indices into the rows of the task."""

    repeat: int
    train: IntArray
    verification: IntArray
    test: IntArray


@dataclass(frozen=True)
class Task:
    """Targets and folds on which features are scored.

    Attributes
    ----------
    dataset : LabelledDataset
        Dataset.
    clips : list of str
        Clips in the folds, in the order of the dataset.
    seconds : list of ndarray
        Times of the targets of each clip.
    clip_index : ndarray of int, shape (n_rows,)
        Index of each row's clip in ``clips``.
    targets : ndarray, shape (n_rows, 5)
        ``[mu_a, mu_v, var_a, var_v, cov_av]``, NaN where unknown. Covariances that are not positive definite are
        repaired.
    raw_targets : ndarray, shape (n_rows, 5)
        Targets of the dataset, without repair.
    targets_repaired : float
        Share of the rows whose covariance was repaired.
    albums : ndarray of int, shape (n_clips,)
        Album of each clip.
    folds : list of Fold
        Parts of each repeat.
    """

    dataset: LabelledDataset
    clips: list[str]
    seconds: list[FloatArray]
    clip_index: IntArray
    targets: FloatArray
    raw_targets: FloatArray
    targets_repaired: float
    albums: IntArray
    folds: list[Fold]

    @property
    def known(self) -> npt.NDArray[np.bool_]:
        """Whether each column of the targets is known for every row, shape (5,)."""
        return np.asarray(np.isfinite(self.targets).all(axis=0))

    @property
    def times(self) -> FloatArray:
        """Time of each row, shape (n_rows,)."""
        return np.concatenate(self.seconds)

    @property
    def album_by_clip(self) -> dict[str, int]:
        """Album of each clip, by its id."""
        return dict(zip(self.clips, self.albums.tolist(), strict=True))

    def rows_of(self, clips: npt.NDArray[np.bool_]) -> IntArray:
        """Return the rows of the clips marked in a mask of shape (n_clips,)."""
        return np.flatnonzero(clips[self.clip_index])


def load_task(dataset: LabelledDataset) -> Task:
    """Arrange the targets and folds of a dataset."""
    in_folds = set(dataset.folds["clip_id"])
    clips = [clip for clip in dataset.clips["clip_id"] if clip in in_folds]
    number = {clip: place for place, clip in enumerate(clips)}
    rows = dataset.targets.filter(pl.col("clip_id").is_in(clips)).sort(
        pl.col("clip_id").replace_strict(number, return_dtype=pl.Int64), "time"
    )
    clip_index = rows["clip_id"].replace_strict(number, return_dtype=pl.Int64).to_numpy().astype(np.intp)
    raw_targets = rows.select(pl.col(PARAMETERS).cast(pl.Float64)).to_numpy()
    targets, share = repaired(raw_targets)
    bounds = np.searchsorted(clip_index, np.arange(len(clips) + 1))
    times = rows["time"].to_numpy()
    first = dataset.folds.filter(pl.col("repeat") == dataset.folds["repeat"].min())
    album_of = dict(first.select("clip_id", "album").iter_rows())
    _, albums = np.unique(np.array([album_of[clip] for clip in clips], dtype=object), return_inverse=True)
    folds = []
    for (repeat,), part in dataset.folds.group_by("repeat", maintain_order=True):
        split = dict(part.select("clip_id", "split").iter_rows())
        own = np.array([split.get(clip, "") for clip in clips])[clip_index]
        folds.append(
            Fold(int(str(repeat)), *(np.flatnonzero(own == name) for name in ("train", "verification", "test")))
        )
    return Task(
        dataset=dataset,
        clips=clips,
        seconds=[times[low:high] for low, high in pairwise(bounds)],
        clip_index=clip_index,
        targets=targets,
        raw_targets=raw_targets,
        targets_repaired=share,
        albums=albums.astype(np.intp),
        folds=folds,
    )
