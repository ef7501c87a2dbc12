"""Detection of leakage: shared albums or artists, one recording under two ids, targets among the features."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path, PurePath

import numpy as np
import numpy.typing as npt
import polars as pl

from ...audio.fingerprint import SHORTEST
from ...builders.audio_files import ClipSource
from ...builders.folds import SPLITS, album_key, normalised
from ...builders.labelled_dataset import LabelledDataset
from ...builders.targets import PARAMETERS
from ...errors import InputError
from ...runtime.files import sha256_file
from ...runtime.progress import progress
from ...runtime.text import few
from ..recordings import same_recordings
from ..results.model import Shared
from .regressors.mlr import fit_mlr
from .task import Task

FloatArray = npt.NDArray[np.float64]

# R² that no honest feature reaches: beyond it, a column is a target or was made from targets.
SUSPECTED_R2 = 0.999

# How to correct a dataset whose folds separate clips that belong together.
KEEP_TOGETHER = (
    "build the dataset again with `group` FILE that gives them one group, or with one artist and album for all"
)

# With fewer clips, a column may match a target by chance.
_FEWEST_CLIPS = 8

# Placeholders that stand for many artists.
NOBODY = {"", "unknown", "unknownartist", "various", "variousartists"}


@dataclass(frozen=True)
class Leakage:
    """Leakage that was found.

    Attributes
    ----------
    dataset : tuple of str
        Leaks that affect every entry of the dataset, one line for each kind.
    files : mapping of str to tuple of str
        Leaks that affect the entries of a feature file, or of several joined by ``+``.
    artists : tuple of int
        Number of artists with clips both in the test part and in another part, for each repeat. This is a leak only if
        folds are by artist.
    not_checked : tuple of str
        Checks that were not possible, with the reason.
    shared : Shared or None
        What test clips of a published split share with its other parts, which is stated and not refused; None if the
        split was drawn.
    """

    dataset: tuple[str, ...]
    files: Mapping[str, tuple[str, ...]]
    artists: tuple[int, ...]
    not_checked: tuple[str, ...]
    shared: Shared | None = None

    def of(self, parts: Sequence[str]) -> list[str]:
        """Return the leaks that affect an entry of these features."""
        own = (lines for name, lines in self.files.items() if set(name.split("+")) <= set(parts))
        return [*self.dataset, *(line for lines in own for line in lines)]

    def remarks(self) -> list[str]:
        """Return lines worth reading although nothing is wrong."""
        lines = [f"leakage was not checked for {line}" for line in self.not_checked]
        if any(self.artists) and self.shared is None:
            counts = ", ".join(str(count) for count in self.artists)
            lines.append(
                f"artists with clips both in the test part and outside it, by repeat: {counts} (folds are by album)"
            )
        return lines

    def refuse(self) -> None:
        """Raise InputError if anything leaks."""
        lines = [*self.dataset, *(line for lines in self.files.values() for line in lines)]
        if lines:
            fixes = [f"To keep clips together in folds, {KEEP_TOGETHER}."] if self.dataset else []
            fixes += ["Correct the feature file."] if any(self.files.values()) else []
            raise InputError(
                f"leakage: {'; '.join(lines)}. {' '.join(fixes)} `allow_leakage` computes and marks the entries "
                "nevertheless."
            )


def examine(
    task: Task,
    sources: Sequence[ClipSource],
    files: Mapping[str, tuple[list[str], FloatArray]],
    pool: Executor,
    audio_sha256: Callable[[Path], str] = sha256_file,
    *,
    joined: Sequence[Sequence[str]] = (),
) -> Leakage:
    """Look for leakage.

    Parameters
    ----------
    task : Task
        Clips, targets and folds.
    sources : sequence of ClipSource
        Clips whose audio is available.
    files : mapping of str to (list of str, ndarray)
        Names of the columns of each feature file, and their values (n_rows, d).
    pool : Executor
        Executor from :func:`emobench.runtime.executor.executor`, for the audio.
    audio_sha256 : callable
        Function that returns the SHA-256 of an audio file.
    joined : sequence of sequence of str
        Files that are used together in an entry.

    Returns
    -------
    Leakage
    """
    twins, not_checked = _twins(task, sources, pool, audio_sha256)
    lines = _dataset_lines(task.dataset)
    shared = shared_with_training(task.dataset, twins)
    if twins and shared is None:
        pairs = few(" and ".join(pair) for pair in twins)
        lines.append(f"one recording under two ids on both sides of a fold: {pairs}")
    found = {name: tuple(_given_targets([name], columns, task)) for name, columns in files.items()}
    for names in joined:
        if len(names) > 1 and not any(found[name] for name in names):
            columns = [f"{_shown(name)} {column}" for name in names for column in files[name][0]]
            values = np.hstack([files[name][1] for name in names])
            found["+".join(names)] = tuple(_given_targets(names, (columns, values), task))
    return Leakage(tuple(lines), found, _tested_artists(task), not_checked, shared)


def shared_with_training(dataset: LabelledDataset, twins: Sequence[tuple[str, str]] | None = None) -> Shared | None:
    """Count the test clips of a published split that share something with training or verification.

    Parameters
    ----------
    dataset : LabelledDataset
        Dataset.
    twins : sequence of (str, str), optional
        Clips of the same recording in different parts; None if recordings were not compared.

    Returns
    -------
    Shared or None
        None if the split was drawn. A count is None where no clip has a known artist or album.
    """
    if not dataset.published_split:
        return None
    tested = set(dataset.folds.filter(pl.col("split") == "test")["clip_id"])

    def count(folds: pl.DataFrame) -> int | None:
        others = folds.filter(pl.col("split") != "test").select("repeat", "key").unique()
        both = folds.filter(pl.col("split") == "test").join(others, on=["repeat", "key"], how="semi")
        return both["clip_id"].n_unique() if len(folds) else None

    return Shared(
        test_clips=len(tested),
        artist=count(_by_artist(dataset)),
        album=count(_by_album(dataset)),
        recording=None if twins is None else len(tested & {clip for pair in twins for clip in pair}),
    )


def doubled(dataset: LabelledDataset) -> list[str]:
    """Return the clips that occur twice in a repeat."""
    rows = dataset.folds.group_by("repeat", "clip_id").len().filter(pl.col("len") > 1).sort("repeat", "clip_id")
    return list(dict.fromkeys(rows["clip_id"]))


def split_albums(dataset: LabelledDataset) -> list[str]:
    """Return the albums in more than one part of a repeat, by the key of the folds and by the names of the clips."""
    found = _split(dataset.folds.rename({"album": "key"}))
    return found + [key for key in _split(_by_album(dataset)) if key not in found]


def split_artists(dataset: LabelledDataset) -> list[str]:
    """Return the artists in more than one part of a repeat."""
    return _split(_by_artist(dataset))


def folds_by_artist(dataset: LabelledDataset) -> bool:
    """Whether the folds of a dataset claim to keep artists together."""
    return dataset.split == "artists"


def _dataset_lines(dataset: LabelledDataset) -> list[str]:
    """Describe what the folds and the names of the clips show; a published split may divide albums and artists."""
    found = {
        "clips that occur twice in a repeat": doubled(dataset),
        "albums on both sides of a fold": [] if dataset.published_split else split_albums(dataset),
        "artists on both sides of a fold, though the folds are by artist": (
            split_artists(dataset) if folds_by_artist(dataset) else []
        ),
    }
    return [f"{what}: {few(names)}" for what, names in found.items() if names]


def _tested_artists(task: Task) -> tuple[int, ...]:
    """Count artists both in the test part and in another part, for each repeat."""
    folds = _by_artist(task.dataset)
    tested = folds.group_by("repeat", "key").agg(both=(pl.col("split") == "test").n_unique() > 1)
    counts = dict(tested.group_by("repeat").agg(pl.col("both").sum()).iter_rows())
    return tuple(int(counts.get(fold.repeat, 0)) for fold in task.folds)


def _by_artist(dataset: LabelledDataset) -> pl.DataFrame:
    named = dataset.clips.select("clip_id", "artist").drop_nulls()
    keys = {clip: key for clip, artist in named.iter_rows() if (key := normalised(artist)) not in NOBODY}
    return _keyed(dataset, keys)


def _by_album(dataset: LabelledDataset) -> pl.DataFrame:
    named = dataset.clips.select("clip_id", "artist", "album").drop_nulls()
    keys = {
        clip: album_key(artist, album)
        for clip, artist, album in named.iter_rows()
        if normalised(artist) not in NOBODY and normalised(album)
    }
    return _keyed(dataset, keys)


def _keyed(dataset: LabelledDataset, keys: Mapping[str, str]) -> pl.DataFrame:
    """Return the folds of the clips that have a key."""
    known = pl.DataFrame({"clip_id": list(keys), "key": list(keys.values())}, {"clip_id": pl.String, "key": pl.String})
    return dataset.folds.drop("album").join(known, on="clip_id")


def _split(folds: pl.DataFrame) -> list[str]:
    """Return the keys that occur in more than one part of a repeat."""
    parts = folds.group_by("repeat", "key").agg(pl.col("split").n_unique())
    return sorted(set(parts.filter(pl.col("split") > 1)["key"]))


# The same recording under two ids


def _twins(
    task: Task, sources: Sequence[ClipSource], pool: Executor, audio_sha256: Callable[[Path], str]
) -> tuple[list[tuple[str, str]] | None, tuple[str, ...]]:
    """List clips of the same recording in different parts of a repeat; also say what was not compared."""
    wanted = set(task.clips)
    sources = [item for item in sources if item.clip_id in wanted and item.path.is_file()]
    if not sources:
        return None, ("audio: none available",)
    clips = [item.clip_id for item in sources]
    bar = progress(sources, "hashing audio", "file", leave=False)
    compared = same_recordings([(item, audio_sha256(item.path)) for item in bar], pool)
    apart = _apart(task, clips)
    pairs = [(clips[match.one], clips[match.other]) for match in compared.matches if apart[match.one, match.other]]
    lacking = len(wanted) - len(clips) + len(compared.lacking)
    not_checked = (f"audio of {lacking} clips: not available, or shorter than {SHORTEST:g} s",) if lacking else ()
    return pairs, not_checked


def _apart(task: Task, clips: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Return which pairs of clips are in different parts of some repeat, shape (n, n)."""
    apart = np.zeros((len(clips), len(clips)), bool)
    for _, rows in task.dataset.folds.group_by("repeat"):
        part = dict(rows.select("clip_id", "split").iter_rows())
        sides = np.array([SPLITS.index(part[clip]) if clip in part else -1 for clip in clips])
        apart |= (sides[:, None] != sides) & (sides >= 0) & (sides[:, None] >= 0)
    return apart


# Targets among the features


def _shown(name: str) -> str:
    """Return the name of a feature file without its folder, which is particular to this machine."""
    return f"file:{PurePath(name.removeprefix('file:')).name}"


def _wanted(task: Task) -> FloatArray:
    """Return the targets to look for: those that are scored, and the unrepaired ones if they differ."""
    wanted = np.hstack([task.targets, task.raw_targets]) if task.targets_repaired else task.targets
    # A column with unknown values counts as constant, which matches no feature.
    return np.where(np.isfinite(wanted).all(axis=0), wanted, 0.0)


def _target(column: int) -> str:
    return PARAMETERS[column % len(PARAMETERS)]


def targets_in(values: FloatArray, task: Task) -> list[str]:
    """Name columns of features that are targets of the same second, or that together predict targets too well.

    This is the check of feature files without its search for targets of other seconds, which is slow for many columns.
    """
    found = {column: _target(target) for column, target in _affine(values, _wanted(task))}
    return _suspected("the feature table", [str(column + 1) for column in range(values.shape[1])], found, values, task)


def _given_targets(files: Sequence[str], columns: tuple[list[str], FloatArray], task: Task) -> list[str]:
    """Name columns of feature files that are targets, or that together predict targets too well."""
    names, values = columns
    found = {**_copies_within(values, task), **_copies_of_clips(values, task)}
    return _suspected("+".join(map(_shown, files)), names, found, values, task)


def _suspected(name: str, names: list[str], found: Mapping[int, str], values: FloatArray, task: Task) -> list[str]:
    if found:
        listed = [f"column {names[column]} is {what}" for column, what in sorted(found.items())]
        return [f"{name} contains targets: {few(listed)}"]
    worst = _predicted(values, task)
    if worst is None:
        return []
    target, chief = worst
    return [
        f"{name} predicts {_target(target)} of held-out clips almost perfectly (R² above {SUSPECTED_R2}), mainly by "
        f"column {few([names[column] for column in chief])}: it probably contains targets"
    ]


def _copies_within(values: FloatArray, task: Task) -> dict[int, str]:
    """Find columns that follow a target second by second, at any lag within a clip."""
    found: dict[int, str] = {}
    wanted, longest = _wanted(task), int(np.bincount(task.clip_index).max())
    for lag in sorted(range(1 - longest, longest), key=abs):
        here = np.arange(max(0, -lag), len(values) - max(0, lag))
        here = here[task.clip_index[here] == task.clip_index[here + lag]]
        if len(np.unique(task.clip_index[here])) < _FEWEST_CLIPS:
            continue
        at = f" {abs(lag)} s {'later' if lag > 0 else 'earlier'}" if lag else ""
        for column, target in _affine(values[here], wanted[here + lag]):
            found.setdefault(column, f"{_target(target)}{at}")
    return found


def _copies_of_clips(values: FloatArray, task: Task) -> dict[int, str]:
    """Find columns with one value per clip that is a target of one of its seconds, or their mean."""
    _, first, counts = np.unique(task.clip_index, return_index=True, return_counts=True)
    if len(first) < _FEWEST_CLIPS:
        return {}
    one = (np.maximum.reduceat(values, first) == np.minimum.reduceat(values, first)).all(axis=0)
    held = np.flatnonzero(one)
    found: dict[int, str] = {}
    given = _wanted(task)
    means = np.add.reduceat(given, first) / counts[:, None]
    wanted = {"the clip's mean": (np.arange(len(first)), means)}
    for second in range(int(counts.max())):
        long = np.flatnonzero(counts > second)
        if len(long) >= _FEWEST_CLIPS:
            wanted[f"second {second + 1}"] = (long, given[first[long] + second])
    for what, (clips, targets) in wanted.items():
        for column, target in _affine(values[first[clips]][:, held], targets):
            found.setdefault(int(held[column]), f"{_target(target)} of {what}")
    return found


def _affine(values: FloatArray, targets: FloatArray) -> list[tuple[int, int]]:
    """Return pairs of columns of ``values`` and ``targets`` that are affine copies of each other."""
    left, right = _unit(values), _unit(targets)
    return [(int(column), int(target)) for column, target in np.argwhere(np.square(left.T @ right) > SUSPECTED_R2)]


def _unit(columns: FloatArray) -> FloatArray:
    """Centre columns and scale them to length 1; constant columns become zero."""
    centred = columns - columns.mean(axis=0)
    length = np.sqrt(np.square(centred).sum(axis=0))
    # Rounding leaves a small residue of constant columns.
    real = length > 1e-9 * np.sqrt(len(columns)) * np.abs(columns).max(axis=0, initial=0)
    return np.where(real, centred / np.where(real, length, 1), 0)


def _predicted(values: FloatArray, task: Task) -> tuple[int, list[int]] | None:
    """Find a target that linear regression predicts too well on every test part, and the main columns."""
    targets = _wanted(task)
    least = np.full(targets.shape[1], np.inf)
    weights = np.zeros((values.shape[1], targets.shape[1]))
    for fold in task.folds:
        if not len(fold.train) or len(np.unique(task.clip_index[fold.test])) < 2:
            return None
        fitted = fit_mlr(values[fold.train], targets[fold.train])
        true = targets[fold.test]
        spread = np.square(true - true.mean(axis=0)).sum(axis=0)
        error = np.square(fitted(values[fold.test]) - true).sum(axis=0)
        least = np.minimum(least, np.where(spread > 0, 1 - error / np.where(spread > 0, spread, 1), -np.inf))
        weights += np.abs(fitted.weight)
    target = int(np.argmax(least))
    if not least[target] > SUSPECTED_R2:
        return None
    order = np.argsort(-weights[:, target])
    return target, [int(column) for column in order[: min(3, len(order))]]
