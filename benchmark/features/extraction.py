"""Extraction of features for a task: what they share, such as audio, and what each computes once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ...audio import cache
from ...builders.audio_files import ClipSource, audio_hashes
from ...builders.given_beats import given_beats
from ...errors import InputError
from ...runtime.environment import code_sha256, decoder_version, package_versions
from ...runtime.files import sha256_file
from ..scoring.task import Task
from .columns import Columns, TaskFeature, float32_sha256
from .spec import Entry

if TYPE_CHECKING:
    from ...dbn.model import Model
    from .network_config import NetworkConfig

T = TypeVar("T")

# A window of networks has four beats.
_FEWEST_BEATS = 4


@dataclass(frozen=True)
class Places:
    """Folders that a run reads and writes.

    Attributes
    ----------
    dataset, out, models : Path
        Labelled dataset, folder of results, folder of the models that are trained here.
    audio : Path or None
        Audio of the clips, if not where the dataset expects it.
    pretrain_data : Path or None
        Pre-training dataset; None for the labelled clips without their labels.
    trained : tuple of Path
        Models that were trained elsewhere, one per domain.
    beats : str or None
        Beats of the clips: a file, a folder or the name of a tracker (:mod:`emobench.builders.given_beats`).
    msd : Path or None
        Track files of the Million Song Dataset, for Echo Nest timbre.
    dataset_origin, pretrain_origin : mapping
        ``repo`` and ``commit`` of the two datasets where they came from the Hub.
    """

    dataset: Path
    out: Path
    models: Path
    audio: Path | None = None
    pretrain_data: Path | None = None
    trained: tuple[Path, ...] = ()
    beats: str | None = None
    msd: Path | None = None
    dataset_origin: Mapping[str, str] = field(default_factory=dict)
    pretrain_origin: Mapping[str, str] = field(default_factory=dict)


class Extraction:
    """Extraction of the features of one task.

    Parameters
    ----------
    task : Task
        Clips, seconds and folds.
    places : Places
        Audio, models and pre-training data.
    features : mapping of str to TaskFeature
        Features of the run by name.
    networks : NetworkConfig
        Settings of networks.
    device : str
        ``cpu``, ``cuda`` or ``auto``.
    pool : Executor
        Executor of :func:`emobench.runtime.executor.executor`, for the audio and the folds.
    external : mapping of str to Model, optional
        Models that were trained elsewhere, by their domains.
    trust_remote_code : bool
        Whether code that pretrained models bring may be executed.
    """

    def __init__(
        self,
        task: Task,
        places: Places,
        features: Mapping[str, TaskFeature],
        networks: NetworkConfig,
        device: str,
        pool: Executor,
        external: Mapping[str, Model] | None = None,
        *,
        trust_remote_code: bool = False,
    ) -> None:
        self.task = task
        self.places = places
        self.features = features
        self.networks = networks
        self.device = device
        self.pool = pool
        self.external = external or {}
        self.trust_remote_code = trust_remote_code
        self._made: dict[str, Any] = {}

    def once(self, key: str, compute: Callable[[], T]) -> T:
        """Compute a value the first time it is asked for, and keep it under its key."""
        if key not in self._made:
            self._made[key] = compute()
        return self._made[key]

    @cached_property
    def audio_folder(self) -> Path | None:
        """Folder of the audio: the one given, or the one the dataset was built with."""
        return self.places.audio or self.task.dataset.audio_folder()

    @cached_property
    def sources(self) -> list[ClipSource]:
        """Audio of each clip; raises InputError where a clip has none."""
        folder = self.audio_folder
        if folder is None:
            raise InputError(
                f"{self.places.dataset}: has no audio on this machine, so features can come only from files "
                "(file:PATH). Name the folder of its audio with `audio`, or build the dataset with audio."
            )
        sources = self.task.dataset.sources(folder)
        lacking = [item.path for item in sources if not item.path.is_file()]
        unnamed = sorted(set(self.task.clips) - {item.clip_id for item in sources})
        if unnamed:
            more = f" and {len(unnamed) - 1} more clips name" if len(unnamed) > 1 else " names"
            raise InputError(f"clip {unnamed[0]}{more} no audio file. Build the dataset with `audio`.")
        if lacking:
            more = f", and {len(lacking) - 1} more are missing" if len(lacking) > 1 else ""
            raise InputError(f"{lacking[0]}: no such audio file{more}. Name the folder of the audio with `audio`.")
        by_clip = {item.clip_id: item for item in sources}
        wanted = [by_clip[clip] for clip in self.task.clips]
        if self.places.beats is None:
            return wanted
        attach, _ = given_beats(self.places.beats, self.task.dataset.clips["clip_id"], fewest=_FEWEST_BEATS)
        return attach(wanted, self.pool)

    @cached_property
    def audio_hashes(self) -> dict[str, str | None]:
        """SHA-256 of the audio of each clip."""
        return audio_hashes(self.sources, self.sha256)

    def sha256(self, file: Path) -> str:
        """Return the SHA-256 of an audio file, computed once."""
        return self.once(f"sha256 {file}", lambda: sha256_file(file))

    def audible(self) -> list[ClipSource]:
        """Return the audio of the clips of the task that is on this machine."""
        folder = self.audio_folder
        return [] if folder is None else [item for item in self.task.dataset.sources(folder) if item.path.is_file()]

    def columns(self, entry: Entry) -> list[Columns]:
        """Return the columns of each feature of an entry.

        Raises
        ------
        UnavailableError
            If the dataset cannot have one of them.
        """
        return [self.column(part, entry) for part in entry.parts]

    def column(self, part: str, entry: Entry) -> Columns:
        """Return the columns of one feature of an entry, pooled over the context of the task."""
        found, task = self.features[part].columns(self, entry), self.task
        if found.pooled or task.context is None:
            return found
        return replace(
            found,
            values=lambda fold: task.pooled(found.values(fold)),
            identity=[found.identity, "context", task.context],
            names=found.names and [f"{name} {what}" for what in ("mean", "SD") for name in found.names],
        )

    def values_sha256(self, entry: Entry, columns: Columns) -> str:
        """Return the SHA-256 of the float32 values of columns, for all folds if they depend on the fold."""

        def compute() -> cache.Arrays:
            folds = self.task.folds if columns.per_fold else self.task.folds[:1]
            return {"sha256": np.array(float32_sha256(columns.values(fold) for fold in folds))}

        if not columns.reproducible:
            return str(compute()["sha256"])
        data = self.task.dataset.manifest_sha256
        key = [columns.identity, entry.layer, entry.phase, data, code_sha256(), package_versions(), decoder_version()]
        return str(cache.cached("values", [*key, str(self.device)], compute)["sha256"])
