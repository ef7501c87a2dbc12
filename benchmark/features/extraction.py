"""The features of a task, each computed once: from audio, networks, files, analysis files or other packages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...audio import cache
from ...baselines.frames import FrameConfig
from ...builders.audio_files import ClipSource, audio_hashes
from ...builders.release import MANIFEST, load_manifest
from ...dbn.domains import NAMES as DOMAINS
from ...errors import InputError
from ...runtime.environment import code_sha256, decoder_version, package_versions
from ...runtime.files import digest, sha256_file
from ..scoring.task import Fold, Task
from . import baselines as baseline_features
from . import plugins as plugin_features
from .echo_nest import EchoNest, MissingAnalysisError, echo_nest
from .files import read_columns
from .spec import Row, is_file, registered

if TYPE_CHECKING:
    from ...dbn.network import Model
    from .networks import NetworkConfig, Networks

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Places:
    """Where a run finds and leaves things.

    Attributes
    ----------
    dataset, out, models : Path
        Labelled dataset, folder of results, folder of the models that are trained here.
    audio : Path or None
        Audio of the clips, where it is not where the dataset keeps it.
    pretrain_data : Path or None
        Pre-training dataset; None for the labelled clips without their labels.
    trained : tuple of Path
        Models that were trained elsewhere, one a domain.
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
    msd: Path | None = None
    dataset_origin: Mapping[str, str] = field(default_factory=dict)
    pretrain_origin: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Part:
    """A feature of a row: values for a fold, and what decides and costs them.

    Attributes
    ----------
    values : callable
        Gives the values of all rows of the task for a fold, shape (n_rows, d).
    identity : object
        Describes where the values come from: settings, and hashes of audio, weights and files.
    seconds_per_clip, training, train_seconds : callable
        Give the processor seconds per clip, the record of the training, and its seconds.
    per_fold : bool
        Whether the values depend on the fold.
    reproducible : bool
        Whether ``identity`` and the code of emobench determine the values, so that their hash can be looked up
        without computing them.
    """

    values: Callable[[Fold], FloatArray]
    identity: object
    seconds_per_clip: Callable[[], float | None]
    training: Callable[[], dict[str, Any] | None] = lambda: None
    train_seconds: Callable[[], float] = lambda: 0.0
    per_fold: bool = False
    reproducible: bool = False


class UnavailableError(InputError):
    """A feature that this dataset cannot have; other rows go on without it."""


class Features:
    """The features of one task, each computed once.

    Parameters
    ----------
    task : Task
        Clips, seconds and folds.
    places : Places
        Audio, models and pre-training data.
    families : sequence of str
        Standard features that will be asked for.
    frames : FrameConfig
        Of the standard features.
    networks : NetworkConfig
        Settings of networks.
    device : str
        ``cpu``, ``cuda`` or ``auto``.
    pool : Executor
        Of :func:`emobench.runtime.executor.executor`, for the audio and the folds.
    trained : mapping of str to Model, optional
        Models that were trained elsewhere, by their domains.
    """

    def __init__(
        self,
        task: Task,
        places: Places,
        families: Sequence[str],
        frames: FrameConfig,
        networks: NetworkConfig,
        device: str,
        pool: Executor,
        trained: Mapping[str, Model] | None = None,
    ) -> None:
        self.task = task
        self.places = places
        self.families = families
        self.frames = frames
        self.network_config = networks
        self.device = device
        self.pool = pool
        self.trained = trained or {}
        self._baselines: dict[str, baseline_features.Computed] = {}
        self._arrays: dict[str, tuple[FloatArray, object, float | None]] = {}
        self._files: dict[str, tuple[list[str], FloatArray]] = {}

    @cached_property
    def audio_folder(self) -> Path | None:
        """Where the audio lies: as asked for, else as the dataset keeps it."""
        return self.places.audio or self.task.dataset.audio_folder()

    @cached_property
    def sources(self) -> list[ClipSource]:
        """Audio of each clip; raises InputError where a clip has none."""
        folder = self.audio_folder
        if folder is None:
            raise InputError(
                f"{self.places.dataset}: has no audio here, so its only features come from file:PATH. "
                "Name the audio with --audio DIR, or build the dataset with it."
            )
        sources = self.task.dataset.sources(folder)
        lacking = [item.path for item in sources if not item.path.is_file()]
        unnamed = sorted(set(self.task.clips) - {item.clip_id for item in sources})
        if unnamed:
            raise InputError(
                f"clip {unnamed[0]} and {len(unnamed) - 1} others name no audio file; build the dataset with --audio."
            )
        if lacking:
            raise InputError(
                f"{lacking[0]}: no such audio file, and {len(lacking) - 1} others are missing; name their folder "
                "with --audio DIR."
            )
        by_clip = {item.clip_id: item for item in sources}
        return [by_clip[clip] for clip in self.task.clips]

    @cached_property
    def audio_hashes(self) -> dict[str, str | None]:
        """SHA-256 of the audio of each clip."""
        return audio_hashes(self.sources)

    @cached_property
    def echo_nest(self) -> EchoNest:
        """Echo Nest timbre of the clips."""
        return echo_nest(self.task, self.audio_folder, self.places.msd)

    def analysis_files(self, row: Row) -> dict[str, Any] | None:
        """Where the files behind a row's Echo Nest timbre were found, and what they hold; None for other rows."""
        if "ent" not in row.parts:
            return None
        found = self.echo_nest
        beside = len(found.hashes) - found.by_track
        return {"by_track_id": found.by_track, "beside_audio": beside, "sha256": digest(found.hashes)}

    @cached_property
    def networks(self) -> Networks:
        """The networks of the task."""
        from .networks import Networks, choose_device

        return Networks(
            self.task,
            self.sources,
            self.audio_hashes,
            config=self.network_config,
            data=self.places.pretrain_data,
            models=self.places.models,
            device=choose_device(self.device),
            pool=self.pool,
            trained=self.trained,
        )

    def pretrained_on(self, names: Iterable[str]) -> str | None:
        """What the networks among some features were pre-trained on; None where there are none."""
        found = [
            self._trained_name(self.trained[name]) if name in self.trained else self._pretraining_name()
            for name in names
            if name in DOMAINS
        ]
        return "; ".join(dict.fromkeys(found)) or None

    def pretrained_clips(self, row: Row) -> int:
        """Number of the task's clips, test clips included, that the networks of a row were pre-trained on."""
        if row.phase is None or row.phase.startswith("random"):
            return 0
        return max(self.networks.pretrained_clips(name) for name in row.parts if name in DOMAINS)

    # Names, not paths: where things lie is this machine's.

    def _trained_name(self, model: Model) -> str:
        return f"{model.config.get('data', 'unknown data')} (elsewhere: {model.folder.resolve().name})"

    def _pretraining_name(self) -> str:
        if self.places.pretrain_data is None:
            return "the dataset's own clips without their labels"
        manifest = load_manifest(self.places.pretrain_data)
        name = f"{manifest['name']}@{manifest['version']}"
        name += " without its labels" if manifest["kind"] == "labelled" else ""
        origin = self.places.pretrain_origin
        return f"{name} (hf://{origin['repo']}@{origin['commit']})" if origin else name

    def parts(self, row: Row) -> list[Part]:
        """The features of a row; raises where one cannot be had."""
        return [self._part(name, row) for name in row.parts]

    def _part(self, name: str, row: Row) -> Part:
        if name in DOMAINS:
            layer, phase = row.layer, row.phase
            assert layer is not None and phase is not None
            bank = self.networks
            return Part(
                values=lambda fold: bank.values(name, layer, phase, fold),
                identity=bank.identity(name, phase),
                seconds_per_clip=lambda: bank.seconds_per_clip,
                training=lambda: bank.training_record(name, phase),
                train_seconds=lambda: bank.train_seconds(name, phase),
                per_fold=True,
                reproducible=True,
            )
        if name == "constant":
            empty = np.zeros((len(self.task.songs), 0))
            return Part(lambda fold: empty, "constant", lambda: 0.0)
        if name in baseline_features.FAMILIES:
            identity = [name, baseline_features.REVISION, self.frames, digest(self.audio_hashes)]
            return Part(
                lambda fold: self._baseline(name).values,
                identity,
                lambda: self._baseline(name).seconds_per_clip,
                reproducible=True,
            )
        values, identity, seconds = self._array(name)
        return Part(lambda fold: values, identity, lambda: seconds)

    def values_sha256(self, row: Row, part: Part) -> str:
        """SHA-256 of the float32 values of a part of a row, of all folds where they depend on the fold."""

        def compute() -> cache.Arrays:
            folds = self.task.folds if part.per_fold else self.task.folds[:1]
            return {"sha256": np.array(_sha256(part.values(fold) for fold in folds))}

        if not part.reproducible:
            return str(compute()["sha256"])
        data = sha256_file(self.task.dataset.folder / MANIFEST)
        key = [part.identity, row.layer, row.phase, data, code_sha256(), package_versions(), decoder_version()]
        return str(cache.cached("values", [*key, str(self.device)], compute)["sha256"])

    def _baseline(self, name: str) -> baseline_features.Computed:
        if name not in self._baselines:
            # All that will be asked for at once: they share the decoding and the spectrogram.
            names = [name, *(other for other in self.families if other != name)]
            self._baselines |= baseline_features.compute(self.task, self.sources, names, self.frames, self.pool)
        return self._baselines[name]

    def _array(self, name: str) -> tuple[FloatArray, object, float | None]:
        """A feature that is at hand as a whole: from a file, from analysis files, or registered."""
        if name not in self._arrays:
            if is_file(name):
                self._arrays[name] = (self.columns(name)[1], ["file", sha256_file(_path(name))], None)
            elif name == "ent":
                try:
                    found = self.echo_nest
                except MissingAnalysisError as error:
                    raise UnavailableError(str(error)) from error
                self._arrays[name] = (found.values, ["ent", digest(found.hashes)], None)
            else:
                point = registered()[name]
                made = plugin_features.compute(point, self.sources, self.task.seconds, self.frames.sample_rate)
                version = point.dist.version if point.dist else "unknown"
                # Another package's code may change without its version: other values are another feature.
                identity = ["registered", point.value, version, digest(self.audio_hashes), _sha256([made.values])]
                self._arrays[name] = (made.values, identity, made.seconds_per_clip)
        return self._arrays[name]

    def columns(self, name: str) -> tuple[list[str], FloatArray]:
        """Columns of a feature file and their values, shape (n_rows, d)."""
        if name not in self._files:
            self._files[name] = read_columns(_path(name), self.task)
        return self._files[name]

    def audible(self) -> list[ClipSource]:
        """Audio of the clips of the task that have some at hand."""
        folder = self.audio_folder
        return [] if folder is None else [item for item in self.task.dataset.sources(folder) if item.path.is_file()]

    def weights(self, row: Row) -> list[Path]:
        """Files of weights behind a row."""
        from ...dbn.network import WEIGHTS

        return [self.networks.model(name).folder / WEIGHTS for name in row.parts if name in DOMAINS]

    def models(self, row: Row) -> list[dict[str, str]] | None:
        """Path below the folder of models and SHA-256 of the weights behind a row."""
        if row.layer is None:
            return None
        models = [self.networks.model(name) for name in row.parts if name in DOMAINS]
        # The folder's own name, however it was named: where it lies is this machine's.
        return [
            {"path": "/".join(path.resolve().parts[-2:]), "sha256": model.sha256}
            for model, path in zip(models, self.weights(row), strict=True)
        ]


def _sha256(arrays: Iterable[FloatArray]) -> str:
    """SHA-256 of arrays as float32."""
    hashed = sha256()
    for array in arrays:
        values = np.ascontiguousarray(array, np.float32)
        hashed.update(repr(values.shape).encode() + values.tobytes())
    return hashed.hexdigest()


def _path(name: str) -> Path:
    return Path(name.removeprefix("file:"))
