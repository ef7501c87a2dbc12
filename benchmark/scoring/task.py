"""A labelled dataset as arrays: one row per second or per clip, in the same order for features and targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast, get_args

import numpy as np
import numpy.typing as npt
import polars as pl

from ...builders.labelled_dataset import LabelledDataset
from ...builders.targets import PARAMETERS, clip_targets
from ...errors import InputError
from .gaussians import repaired

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

Kind = Literal["second", "clip"]
KINDS = get_args(Kind)
Context = int | Literal["clip"] | None


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
    kind : {"second", "clip"}
        Whether every second or every clip is predicted.
    context : int, "clip" or None
        Seconds before each row over which features are pooled (mean and standard deviation), or the whole clip; None
        for the past second alone.
    seconds : list of ndarray
        Seconds of each clip in which features are computed; without context those of the targets.
    times : ndarray, shape (n_rows,)
        Time of each row: the end of its second, or of its clip.
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
    kind: Kind
    context: Context
    seconds: list[FloatArray]
    times: FloatArray
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
    def sequences(self) -> IntArray:
        """Number of each row's sequence of consecutive seconds of one clip, shape (n_rows,)."""
        apart = (np.diff(self.clip_index) != 0) | (np.abs(np.diff(self.times) - 1) > 1e-6)
        return np.concatenate([[0], np.cumsum(apart)]).astype(np.intp)

    @property
    def album_by_clip(self) -> dict[str, int]:
        """Album of each clip, by its id."""
        return dict(zip(self.clips, self.albums.tolist(), strict=True))

    def rows_of(self, clips: npt.NDArray[np.bool_]) -> IntArray:
        """Return the rows of the clips marked in a mask of shape (n_clips,)."""
        return np.flatnonzero(clips[self.clip_index])

    def pooled(self, values: FloatArray) -> FloatArray:
        """Pool values of the seconds of all clips over the context of each row.

        Parameters
        ----------
        values : ndarray, shape (n_seconds, d)
            Values of each second of each clip, in the order of ``seconds``.

        Returns
        -------
        ndarray, shape (n_rows, 2 * d)
            Mean and standard deviation over the context. Without context, the values themselves.
        """
        bounds = np.cumsum([0, *map(len, self.seconds)])
        clips = [self.pooled_clip(clip, values[bounds[clip] : bounds[clip + 1]]) for clip in range(len(self.clips))]
        return np.concatenate(clips)

    def pooled_clip(self, clip: int, values: FloatArray) -> FloatArray:
        """Pool values of the seconds of one clip, shape (n_seconds, d), as :meth:`pooled` does."""
        if self.context is None:
            return values
        rows = []
        for time in self.times[np.searchsorted(self.clip_index, clip) : np.searchsorted(self.clip_index, clip + 1)]:
            own = values
            if self.context != "clip":
                last = max(1, np.searchsorted(self.seconds[clip], time + 1e-6, side="right"))
                first = np.searchsorted(self.seconds[clip], time - self.context + 1e-6, side="right")
                own = values[min(first, last - 1) : last]
            rows.append(np.concatenate([own.mean(axis=0), own.std(axis=0)]))
        return np.stack(rows)


def load_task(dataset: LabelledDataset, kind: str | None = None, context: int | str | None = None) -> Task:
    """Arrange the targets and folds of a dataset.

    Parameters
    ----------
    dataset : LabelledDataset
        Dataset.
    kind : {"second", "clip"}, optional
        Whether every second or every clip is predicted; by default every clip if each has one rating, else every
        second.
    context : int, "clip" or None
        Seconds over which features are pooled; for the task of clips always the whole clip.

    Raises
    ------
    InputError
        If kind or context is invalid, or seconds are to be predicted although each clip has one rating.
    """
    kind = kind or ("clip" if dataset.static else "second")
    if kind not in KINDS:
        raise InputError(f"`task` {kind}: expected {' or '.join(KINDS)}.")
    if context not in (None, "clip") and not (isinstance(context, int) and context >= 1):
        raise InputError(f"`context` {context}: expected a number of seconds, at least 1, or clip.")
    if kind == "second" and dataset.static:
        raise InputError(f"`task` second: {dataset.name} has one rating per clip; use the task clip.")
    if kind == "clip":
        if context not in (None, "clip"):
            raise InputError(f"`context` {context}: the task clip uses the whole clip; leave `context` out.")
        context = "clip"
    pooling = cast("Context", context)
    in_folds = set(dataset.folds["clip_id"])
    clips = [clip for clip in dataset.clips["clip_id"] if clip in in_folds]
    number = {clip: place for place, clip in enumerate(clips)}
    targets_of = dataset.targets if kind == "second" or dataset.static else _clip_targets(dataset)
    rows = targets_of.filter(pl.col("clip_id").is_in(clips)).sort(
        pl.col("clip_id").replace_strict(number, return_dtype=pl.Int64), "time"
    )
    clip_index = rows["clip_id"].replace_strict(number, return_dtype=pl.Int64).to_numpy().astype(np.intp)
    raw_targets = rows.select(pl.col(PARAMETERS).cast(pl.Float64)).to_numpy()
    targets, share = repaired(raw_targets)
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
        kind=cast("Kind", kind),
        context=pooling,
        seconds=_seconds(dataset, clips, clip_index, times, pooling),
        times=times,
        clip_index=clip_index,
        targets=targets,
        raw_targets=raw_targets,
        targets_repaired=share,
        albums=albums.astype(np.intp),
        folds=folds,
    )


def _seconds(
    dataset: LabelledDataset, clips: list[str], clip_index: IntArray, times: FloatArray, context: Context
) -> list[FloatArray]:
    """Return the seconds of each clip in which features are computed: those of the targets, or all for a context."""
    if context is None:
        return [times[clip_index == clip] for clip in range(len(clips))]
    durations = dict(dataset.clips.select("clip_id", "duration").iter_rows())
    # A second that the end of the clip cuts off has too few frames to count like the others.
    return [np.arange(1.0, max(1, int(durations[clip] + 1e-6)) + 1) for clip in clips]


def _clip_targets(dataset: LabelledDataset) -> pl.DataFrame:
    """Summarise ratings over time as one target per clip.

    The ratings of each annotator are averaged over the clip, and their mean and covariance are taken over the
    annotators. If a corpus published only statistics of each second, the target is their mean, and variances are
    unknown: the spread of the annotators' averages does not follow from that of single seconds.
    """
    rated = dataset.targets.filter(pl.col("n").is_not_null())["clip_id"].unique()
    settings = dataset.manifest.config.dataset.get("targets", {})
    ratings = dataset.annotations.filter(pl.col("clip_id").is_in(rated.implode()))
    tables = [
        dataset.targets.filter(~pl.col("clip_id").is_in(rated.implode()))
        .group_by("clip_id", maintain_order=True)
        .agg(pl.col("n").first(), pl.col("arousal", "valence").mean())
        .with_columns(pl.lit(None, pl.Float64).alias(name) for name in PARAMETERS[2:])
        .join(dataset.clips.select("clip_id", time="duration"), on="clip_id")
    ]
    if len(ratings):
        tables.append(clip_targets(ratings, dataset.clips, settings.get("ddof", 1)))
    return pl.concat(tables, how="diagonal").select(dataset.targets.columns)
