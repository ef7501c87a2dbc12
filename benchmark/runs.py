"""A run: every row of some SPECs on a labelled dataset, computed where it is not finished yet."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import soundfile
from tqdm import tqdm

from ..audio.decode import decode
from ..audio.seconds import mean_per_second
from ..baselines.frames import FrameConfig
from ..builders.audio_files import ClipSource, audio_hashes
from ..builders.labelled import load
from ..builders.release import MANIFEST
from ..dbn.domains import NAMES as DOMAINS
from ..environment import decoder_version, package_versions, peak_memory_mb
from ..errors import EmobenchError, InputError
from ..files import digest, plain, sha256_file
from ..parallel import bars_wanted
from . import baseline_features, results
from .feature_files import read_features
from .metrics import repaired
from .regression import REGRESSORS, fit_mlr, fit_ridge
from .spec import Row, is_file, registered, rows_of
from .task import Fold, Task, load_task

if TYPE_CHECKING:
    from .networks import NetworkConfig, Networks

FloatArray = npt.NDArray[np.float64]

# Rows that stand beside the features: the training mean, and the mean of each clip's own targets.
CONSTANT = Row(("constant",))
ORACLE = Row(("oracle",))


@dataclass(frozen=True)
class RunConfig:
    """Settings of a run.

    Attributes
    ----------
    regressor : {"mlr", "ridge"}
        Multiple linear regression, or ridge with its strength chosen on the verification part.
    layers, phases : tuple
        Of the rows with networks.
    frames : FrameConfig
        Of the standard features.
    bootstrap_seed : int
        Of the intervals.
    """

    regressor: str = "mlr"
    layers: tuple[int, ...] = (0, 1, 2)
    phases: tuple[str, ...] = ("pre-trained", "fine-tuned")
    frames: FrameConfig = field(default_factory=FrameConfig)
    bootstrap_seed: int = 0

    def __post_init__(self) -> None:
        if self.regressor not in REGRESSORS:
            raise InputError(f"--regressor {self.regressor}: expected {' or '.join(REGRESSORS)}.")


@dataclass(frozen=True)
class Places:
    """Where a run finds and leaves things."""

    dataset: Path
    out: Path
    models: Path
    audio: Path | None = None
    pretrain_data: Path | None = None


@dataclass
class Outcome:
    """What a run did.

    Attributes
    ----------
    results : list of dict
        In the order of their rows.
    paths : list of Path
        Where they lie; the predictions of each are beside it, ending in ``.parquet``.
    models : list of Path
        Weights that they were made with.
    computed : int
        Rows that were not finished before.
    notes : list of str
        What had no row, and why.
    pretrained_on : str or None
        What the networks were pre-trained on.
    """

    results: list[dict[str, Any]] = field(default_factory=list)
    paths: list[Path] = field(default_factory=list)
    models: list[Path] = field(default_factory=list)
    computed: int = 0
    notes: list[str] = field(default_factory=list)
    pretrained_on: str | None = None


@dataclass(frozen=True)
class _Part:
    """A feature of a row: values for a fold, and what decides and costs them."""

    values: Callable[[Fold], FloatArray]
    identity: object
    seconds_per_clip: Callable[[], float | None]
    training: Callable[[], dict[str, Any] | None] = lambda: None
    train_seconds: Callable[[], float] = lambda: 0.0


def run(
    specs: Sequence[str],
    places: Places,
    config: RunConfig,
    networks: NetworkConfig,
    *,
    device: str,
    workers: int,
    force: bool = False,
) -> Outcome:
    """Compute, score and write every row of some SPECs; the constant and oracle rows always.

    Parameters
    ----------
    specs : sequence of str
        Features, as :mod:`emobench.benchmark.spec` reads them.
    places : Places
        Dataset, results, models, audio and pre-training data.
    config : RunConfig
        Settings.
    networks : NetworkConfig
        Settings of networks.
    device : str
        ``cpu``, ``cuda`` or ``auto``.
    workers : int
        Processes for the audio.
    force : bool
        Compute finished rows again.

    Returns
    -------
    Outcome

    Raises
    ------
    InputError
        If a SPEC, the dataset, its audio or a feature file cannot be used, or no SPEC gives a row.
    """
    rows = [row for spec in specs for row in rows_of(spec, layers=config.layers, phases=config.phases)]
    task = load_task(load(places.dataset))
    bench = _Bench(task, places, config, networks, device, workers)
    outcome = Outcome()
    wanted = list(dict.fromkeys([*rows, CONSTANT, ORACLE]))
    unavailable: list[InputError] = []
    for row in tqdm(wanted, desc="rows", unit="row", disable=not bars_wanted(), leave=False):
        try:
            parts = bench.parts(row)
        except _UnavailableError as error:
            unavailable.append(error)
            outcome.notes.append(str(error))
            continue
        signature = bench.signature(row, parts)
        path = results.results_folder(places.out, task) / f"{row.label}-{signature}.json"
        result = None if force else results.finished(path)
        if result is None:
            result = bench.compute(row, parts, signature, path)
            outcome.computed += 1
        outcome.results.append(result)
        outcome.paths.append(path)
    if unavailable and len(unavailable) == len(rows):
        raise unavailable[0]
    outcome.pretrained_on = bench.pretrained_on
    weights = {model["path"] for result in outcome.results for model in result["model"] or ()}
    outcome.models = [places.models / path for path in sorted(weights)]
    return outcome


class _UnavailableError(InputError):
    """A feature that this dataset cannot have; other rows go on without it."""


class _Bench:
    """The features of one task, each computed once."""

    def __init__(
        self,
        task: Task,
        places: Places,
        config: RunConfig,
        networks: NetworkConfig,
        device: str,
        workers: int,
    ) -> None:
        self.task = task
        self.places = places
        self.config = config
        self.network_config = networks
        self.device = device
        self.workers = workers
        self._baselines: dict[str, baseline_features.Computed] = {}
        self._arrays: dict[str, tuple[FloatArray, object, float | None]] = {}

    @cached_property
    def audio_folder(self) -> Path | None:
        return self.places.audio or self.task.dataset.audio_folder()

    @cached_property
    def sources(self) -> list[ClipSource]:
        folder = self.audio_folder
        if folder is None:
            raise InputError(
                f"{self.places.dataset}: was built without audio, so its only features come from file:PATH. "
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
        return audio_hashes(self.sources)

    @cached_property
    def networks(self) -> Networks:
        from .networks import Networks, PretrainData, choose_device

        return Networks(
            self.task,
            self.sources,
            self.audio_hashes,
            config=self.network_config,
            data=PretrainData(self.places.pretrain_data),
            models=self.places.models,
            device=choose_device(self.device),
            workers=self.workers,
        )

    @property
    def pretrained_on(self) -> str | None:
        if "networks" not in self.__dict__:
            return None
        folder = self.places.pretrain_data
        return str(folder) if folder else "the dataset's own clips without their labels"

    def parts(self, row: Row) -> list[_Part]:
        """The features of a row; raises where one cannot be had."""
        if row == ORACLE:
            return []
        return [self._part(name, row) for name in row.parts]

    def _part(self, name: str, row: Row) -> _Part:
        if name in DOMAINS:
            layer, phase = row.layer, row.phase
            assert layer is not None and phase is not None
            bank = self.networks
            return _Part(
                values=lambda fold: bank.values(name, layer, phase, fold),
                identity=bank.identity(name, phase),
                seconds_per_clip=lambda: bank.seconds_per_clip,
                training=lambda: bank.training_record(name, phase),
                train_seconds=lambda: bank.train_seconds(name, phase),
            )
        if name == "constant":
            empty = np.zeros((len(self.task.songs), 0))
            return _Part(lambda fold: empty, "constant", lambda: 0.0)
        if name in baseline_features.FAMILIES:
            identity = [name, baseline_features.REVISION, self.config.frames, digest(self.audio_hashes)]
            return _Part(
                lambda fold: self._baseline(name).values,
                identity,
                lambda: self._baseline(name).seconds_per_clip,
            )
        values, identity, seconds = self._array(name)
        return _Part(lambda fold: values, identity, lambda: seconds)

    def _baseline(self, name: str) -> baseline_features.Computed:
        if name not in self._baselines:
            self._baselines |= baseline_features.compute(
                self.task, self.sources, [name], self.config.frames, self.workers
            )
        return self._baselines[name]

    def _array(self, name: str) -> tuple[FloatArray, object, float | None]:
        """A feature that is at hand as a whole: from a file, from analysis files, or registered."""
        if name not in self._arrays:
            if is_file(name):
                path = Path(name.removeprefix("file:"))
                self._arrays[name] = (read_features(path, self.task), ["file", sha256_file(path)], None)
            elif name == "ent":
                try:
                    values, hashes = baseline_features.echo_nest(self.task, self.audio_folder)
                except InputError as error:
                    raise _UnavailableError(str(error)) from error
                self._arrays[name] = (values, ["ent", digest(hashes)], None)
            else:
                self._arrays[name] = self._registered(name, registered()[name])
        return self._arrays[name]

    def _registered(self, name: str, point: EntryPoint) -> tuple[FloatArray, object, float]:
        """Compute a feature of another package; its function takes samples and rate, gives times and values."""
        try:
            function = point.load()
        except Exception as error:  # whatever another package raises when it is imported
            raise InputError(f"feature {name}: {point.value} cannot be imported ({error}).") from error
        began = time.process_time()
        found = []
        for source, seconds in zip(
            tqdm(self.sources, desc=f"features: {name}", unit="clip", disable=not bars_wanted()),
            self.task.seconds,
            strict=True,
        ):
            rate = self.config.frames.sample_rate
            samples = decode(source.path, sample_rate=rate, start=source.start, duration=source.duration)
            try:
                times, values = function(samples, rate)
                found.append(mean_per_second(np.asarray(values), np.asarray(times), seconds))
            except Exception as error:  # whatever another package raises
                raise InputError(f"feature {name}, clip {source.clip_id}: {error}") from error
        version = point.dist.version if point.dist else "unknown"
        identity = ["registered", point.value, version, digest(self.audio_hashes)]
        return np.concatenate(found), identity, (time.process_time() - began) / len(self.sources)

    def signature(self, row: Row, parts: Sequence[_Part]) -> str:
        """Short hash over everything that decides a row's numbers."""
        return digest(self._decided(row, parts))[:12]

    def _decided(self, row: Row, parts: Sequence[_Part]) -> dict[str, Any]:
        return plain(
            {
                "schema": results.SCHEMA,
                "manifest": sha256_file(self.task.dataset.folder / MANIFEST),
                "row": [row.features, row.layer, row.phase],
                "parts": [part.identity for part in parts],
                "regressor": self._regressor(row),
                "bootstrap_seed": self.config.bootstrap_seed,
                "versions": package_versions(),
                "decoder": decoder_version(),
            }
        )

    def _regressor(self, row: Row) -> str:
        """Regressor of a row; those without features are the same under any."""
        return "mlr" if row in (CONSTANT, ORACLE) else self.config.regressor

    def compute(self, row: Row, parts: Sequence[_Part], signature: str, path: Path) -> dict[str, Any]:
        """Regress, score and write a row."""
        began = time.perf_counter()
        predictions, dims, strengths, share = self._predict(row, parts)
        train_seconds = time.perf_counter() - began
        records = [record for part in parts if (record := part.training())]
        costs = [part.seconds_per_clip() for part in parts]
        dataset = self.task.dataset
        result = {
            "schema": results.SCHEMA,
            "signature": signature,
            "dataset": {
                "name": dataset.name,
                "version": dataset.version,
                "manifest_sha256": sha256_file(dataset.folder / MANIFEST),
                "folds_sha256": dataset.manifest["files"]["folds/train-00000.parquet"]["sha256"],
                "synthetic": bool(dataset.manifest.get("synthetic")),
            },
            "features": row.features,
            "layer": row.layer,
            "phase": row.phase,
            "dims": dims,
            "regressor": self._regressor(row),
            "n_clips": len(self.task.clips),
            "excluded": dataset.manifest["excluded"],
            "scores": results.score(self.task, predictions, seed=self.config.bootstrap_seed),
            "covariance_repaired": share,
            "targets_repaired": self.task.targets_repaired,
            "cost": {
                "seconds_per_clip": None if None in costs else sum(cost for cost in costs if cost is not None),
                "train_seconds": train_seconds + sum(part.train_seconds() for part in parts),
                "peak_rss_mb": peak_memory_mb(),
            },
            "config": plain(
                {
                    **self._decided(row, parts),
                    "run": self.config,
                    "networks": self.network_config if row.layer is not None else None,
                    "pretrained_on": self.pretrained_on if row.layer is not None else None,
                    "training": records,
                    "ridge_strength": strengths if self._regressor(row) == "ridge" else None,
                }
            ),
            "model": self._models(row),
            "environment": {**package_versions(), "libsndfile": soundfile.__libsndfile_version__},
        }
        return results.write_result(path, result, results.prediction_table(self.task, predictions))

    def _models(self, row: Row) -> list[dict[str, str]] | None:
        if row.layer is None:
            return None
        from ..dbn.network import WEIGHTS

        models = [self.networks.model(name) for name in row.parts if name in DOMAINS]
        return [{"path": f"{model.folder.name}/{WEIGHTS}", "sha256": model.sha256} for model in models]

    def _predict(
        self, row: Row, parts: Sequence[_Part]
    ) -> tuple[list[results.Predictions], int, list[float | None], float]:
        """Predictions of each repeat, width of the features, ridge strengths, share of repaired covariances."""
        targets = self.task.targets
        predictions, strengths, shares, dims = [], [], [], 0
        for fold in self.task.folds:
            if row == ORACLE:
                values = _clip_means(self.task)[fold.test]
            else:
                features = np.hstack([part.values(fold) for part in parts])
                dims = features.shape[1]
                if not np.isfinite(features).all():
                    raise EmobenchError(f"{row.features}: features hold numbers that are not finite.")
                if self._regressor(row) == "ridge":
                    verification = (features[fold.verification], targets[fold.verification])
                    fitted = fit_ridge(features[fold.train], targets[fold.train], verification)
                else:
                    fitted = fit_mlr(features[fold.train], targets[fold.train])
                strengths.append(fitted.strength)
                values = fitted(features[fold.test])
            values, share = repaired(values)
            shares.append(share)
            predictions.append(results.Predictions(fold.repeat, fold.test, values))
        return predictions, dims, strengths, float(np.mean(shares))


def _clip_means(task: Task) -> FloatArray:
    """Each row's clip's own mean targets, shape (n_rows, 5)."""
    counts = np.bincount(task.songs, minlength=len(task.clips))
    means = np.column_stack([np.bincount(task.songs, column) / counts for column in task.targets.T])
    return means[task.songs]
