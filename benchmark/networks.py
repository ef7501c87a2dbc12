"""Features of deep belief networks for a task: pre-trained once, fine-tuned for each fold."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tqdm import tqdm

from ..audio import cache
from ..audio.analysis import REVISION, Analysis, AnalysisConfig
from ..audio.seconds import mean_per_second
from ..builders.audio_files import ClipSource
from ..builders.labelled import analyse_clip
from ..builders.pretraining import load_segments
from ..builders.release import MANIFEST
from ..builders.targets import targets_at
from ..dbn.domains import Domain, Examples, examples
from ..dbn.finetuning import FinetuningConfig, finetune
from ..dbn.network import Model, Network, load_model
from ..dbn.pretraining import PretrainingConfig, model_folder, pretrain
from ..errors import InputError
from ..files import digest, sha256_file
from ..parallel import bars_wanted, ordered_map
from .regression import fit_mlr
from .task import Fold, Task

FloatArray = npt.NDArray[np.float64]

CONTROL = 0


@dataclass(frozen=True)
class NetworkConfig:
    """Settings of everything about networks."""

    analysis: AnalysisConfig = field(default_factory=AnalysisConfig)
    pretraining: PretrainingConfig = field(default_factory=PretrainingConfig)
    finetuning: FinetuningConfig = field(default_factory=FinetuningConfig)


def choose_device(name: str) -> torch.device:
    """Device of a name: ``cpu``, ``cuda`` or ``auto``.

    Raises
    ------
    InputError
        If the name is another, or there is no GPU for ``cuda``.
    """
    if name not in ("cpu", "cuda", "auto"):
        raise InputError(f"--device {name}: expected cpu, cuda or auto.")
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: torch finds no GPU here; use --device cpu or install a CUDA build of torch.")
    if name == "cpu" or not torch.cuda.is_available():
        # Small matrices gain nothing from more threads, and their number would change the rounding.
        torch.set_num_threads(1)
        return torch.device("cpu")
    return torch.device("cuda")


def ensure_model(
    domain: Domain,
    config: PretrainingConfig,
    *,
    data: Path | None,
    own_clips: Callable[[], Sequence[Analysis]],
    identity: object,
    models: Path,
    device: torch.device,
) -> Model:
    """Load the model of a domain, trained first where it is not there.

    Parameters
    ----------
    domain : Domain
        What the network is shown.
    config : PretrainingConfig
        Settings.
    data : Path or None
        Pre-training dataset; None for the labelled clips without their labels.
    own_clips : callable
        Gives the analyses of the labelled clips, for no ``data``.
    identity : object
        What decides those.
    models : Path
        Folder of models.
    device : torch.device
        Where to compute.

    Returns
    -------
    Model
    """
    if data is not None:
        described: dict[str, Any] = {"data": data.name, "manifest_sha256": _manifest_hash(data)}
    else:
        described = {"data": "the labelled clips without their labels", "clips_sha256": digest(identity)}
    folder = model_folder(models, domain, config, digest(described))
    if not (folder / "weights.safetensors").is_file():
        if data is not None:
            segments = load_segments(data, domain.table)
        else:
            segments = [getattr(clip, domain.table) for clip in own_clips()]
        pretrain(segments, domain, config, folder=folder, provenance=described, device=device)
    return load_model(folder, device=device)


def _manifest_hash(folder: Path) -> str:
    path = folder / MANIFEST
    if not path.is_file():
        raise InputError(f"{folder}: no dataset there (no {MANIFEST}); build one or name another with --pretrain-data.")
    return sha256_file(path)


@dataclass(frozen=True)
class _Shown:
    """Examples of the labelled clips of one domain.

    Attributes
    ----------
    data : Examples
        The examples.
    clips : ndarray of int, shape (n_examples,)
        Clip of each.
    times : ndarray, shape (n_examples,)
        When each is closed, in seconds.
    targets : ndarray of float32, shape (n_examples, 2)
        Means interpolated at these times.
    """

    data: Examples
    clips: npt.NDArray[np.intp]
    times: FloatArray
    targets: npt.NDArray[np.float32]


class Networks:
    """Networks of a task, each made when it is first asked for.

    Parameters
    ----------
    task : Task
        Clips, targets and folds.
    sources : sequence of ClipSource
        Audio of each clip.
    audio_hashes : mapping
        SHA-256 of the audio of each clip.
    config : NetworkConfig
        Settings.
    data : Path or None
        Pre-training dataset; None for the labelled clips without their labels.
    models : Path
        Folder of models.
    device : torch.device
        Where to compute.
    pool : Executor
        Of :func:`emobench.parallel.executor`, for the audio.
    """

    def __init__(
        self,
        task: Task,
        sources: Sequence[ClipSource],
        audio_hashes: dict[str, str | None],
        *,
        config: NetworkConfig,
        data: Path | None,
        models: Path,
        device: torch.device,
        pool: Executor,
    ) -> None:
        self.task = task
        self.config = config
        self._sources = sources
        self._audio = [audio_hashes, REVISION, config.analysis, [[s.start, s.duration] for s in sources]]
        self._data = data
        self._models = models
        self._device = device
        self._pool = pool
        self._model: dict[str, Model] = {}
        self._shown: dict[str, _Shown] = {}
        self._tables: dict[tuple[str, int], list[FloatArray]] = {}
        self._choices: dict[str, dict[int, int]] = {}
        self._tuned: dict[tuple[str, int, int], tuple[list[FloatArray], dict[str, float]]] = {}

    @cached_property
    def analyses(self) -> list[Analysis]:
        """Beats, timbre and pitch of each clip of the task."""
        work = partial(analyse_clip, config=self.config.analysis)
        results = ordered_map(
            self._pool, work, self._sources, description="beat-synchronous features", crashed="undecodable"
        )
        found = []
        for source, analysis in zip(self._sources, results, strict=True):
            if isinstance(analysis, str) or not len(analysis.beats):
                reason = analysis if isinstance(analysis, str) else "too_few_beats"
                raise InputError(
                    f"clip {source.clip_id}: {source.path} cannot be used ({reason}); build the dataset with its "
                    "audio, so that such clips are excluded."
                )
            found.append(analysis)
        return found

    @property
    def seconds_per_clip(self) -> float:
        """Processor seconds that beats, timbre and pitch of a clip took."""
        return float(np.mean([clip.seconds for clip in self.analyses]))

    def model(self, name: str) -> Model:
        """The pre-trained model of a domain."""
        if name not in self._model:
            self._model[name] = ensure_model(
                Domain(name, self.config.pretraining.window),
                self.config.pretraining,
                data=self._data,
                own_clips=lambda: self.analyses,
                identity=self._audio,
                models=self._models,
                device=self._device,
            )
        return self._model[name]

    def identity(self, name: str, phase: str) -> dict[str, Any]:
        """What decides the features of a domain in a phase, for the signature of a row."""
        decided: dict[str, Any] = {
            "domain": name,
            "model_sha256": self.model(name).sha256,
            "audio": digest(self._audio),
        }
        if phase.endswith("fine-tuned"):
            decided["finetuning"] = self.config.finetuning
        return decided

    def values(self, name: str, layer: int, phase: str, fold: Fold) -> FloatArray:
        """Features of a domain at the labels' rate for one fold, shape (n_rows, width of the layer)."""
        epochs = CONTROL if phase.startswith("random") else self.choice(name)[fold.repeat]
        if phase.endswith("fine-tuned"):
            return self._finetuned(name, epochs, fold)[0][layer]
        return self._pretrained(name, epochs)[layer]

    def training_record(self, name: str, phase: str) -> dict[str, Any]:
        """What was chosen and reached in each repeat, and the seconds of training."""
        record: dict[str, Any] = {"model": self.model(name).folder.name}
        folds = self.task.folds
        if not phase.startswith("random"):
            record["epochs"] = [self.choice(name)[fold.repeat] for fold in folds]
        if phase.endswith("fine-tuned"):
            epochs = [CONTROL if phase.startswith("random") else self.choice(name)[fold.repeat] for fold in folds]
            facts = [self._finetuned(name, count, fold)[1] for count, fold in zip(epochs, folds, strict=True)]
            for fact in ("epoch", "error", "seconds"):
                record[f"finetuning_{fact}"] = [each[fact] for each in facts]
        return record

    def train_seconds(self, name: str, phase: str) -> float:
        """Seconds that pre-training of a domain and fine-tuning of its folds took."""
        seconds = 0.0 if phase.startswith("random") else self.model(name).seconds
        return seconds + sum(self.training_record(name, phase).get("finetuning_seconds", []))

    def choice(self, name: str) -> dict[int, int]:
        """Pre-training epochs chosen for each repeat: the least mean distance on its verification part.

        The distance is that of linear regression on the pre-trained features, averaged over the layers;
        training and verification targets alone decide.
        """
        if name not in self._choices:
            counts = [count for count in self.model(name).networks if count != CONTROL]
            chosen: dict[int, int] = {}
            for fold in self.task.folds:
                errors = [
                    np.mean([_verification_distance(table, self.task, fold) for table in self._pretrained(name, count)])
                    for count in counts
                ]
                chosen[fold.repeat] = counts[int(np.argmin(errors))]
            self._choices[name] = chosen
        return self._choices[name]

    def _examples(self, name: str) -> _Shown:
        if name not in self._shown:
            domain = self.model(name).domain
            data = examples(domain, [getattr(clip, domain.table) for clip in self.analyses], pad=True)
            clips = np.repeat(np.arange(len(self.task.clips)), data.counts)
            times, targets = np.empty(len(data)), np.empty((len(data), 2), np.float32)
            rows = np.searchsorted(self.task.songs, np.arange(len(self.task.clips) + 1))
            for clip, analysis in enumerate(self.analyses):
                own = clips == clip
                times[own] = analysis.beats[data.beats[own]]
                means = self.task.targets[rows[clip] : rows[clip + 1], :2]
                targets[own] = targets_at(times[own], self.task.seconds[clip], means)
            self._shown[name] = _Shown(data, clips, times, targets)
        return self._shown[name]

    def _per_second(self, name: str, layers: Sequence[npt.NDArray[np.float32]]) -> list[FloatArray]:
        """Average the activations of each clip over its past seconds, all layers at once."""
        shown = self._examples(name)
        # A saturated unit is constant: regression must not blow up its last digits.
        stacked = np.round(np.hstack(layers), 6)
        bounds = np.searchsorted(shown.clips, np.arange(len(self.task.clips) + 1))
        rows = [
            mean_per_second(stacked[low:high], shown.times[low:high], seconds)
            for low, high, seconds in zip(bounds[:-1], bounds[1:], self.task.seconds, strict=True)
        ]
        edges = np.cumsum([layer.shape[1] for layer in layers])[:-1]
        return np.split(np.concatenate(rows), edges, axis=1)

    def _pretrained(self, name: str, epochs: int) -> list[FloatArray]:
        if (name, epochs) not in self._tables:
            network = self.model(name).networks[epochs]
            self._tables[name, epochs] = self._per_second(name, network.features(self._examples(name).data))
        return self._tables[name, epochs]

    def _finetuned(self, name: str, epochs: int, fold: Fold) -> tuple[list[FloatArray], dict[str, float]]:
        memory = (name, epochs, fold.repeat)
        if memory not in self._tuned:
            # Folds are made in one go, for one bar.
            for each in tqdm(
                self.task.folds,
                desc=f"fine-tuning {name}" + (" from random weights" if epochs == CONTROL else ""),
                unit="fold",
                disable=not bars_wanted(),
            ):
                count = epochs if epochs == CONTROL else self.choice(name)[each.repeat]
                if (name, count, each.repeat) not in self._tuned:
                    self._tuned[name, count, each.repeat] = self._finetune(name, count, each)
        return self._tuned[memory]

    def _finetune(self, name: str, epochs: int, fold: Fold) -> tuple[list[FloatArray], dict[str, float]]:
        shown = self._examples(name)
        songs = self.task.songs
        parts = [np.isin(shown.clips, songs[rows]) for rows in (fold.train, fold.verification)]
        network = self.model(name).networks[epochs]

        def compute() -> cache.Arrays:
            began = time.perf_counter()
            matrix = shown.data.matrix()
            training, verification = ((matrix[part], shown.targets[part]) for part in parts)
            tuned = finetune(
                network,
                training=training,
                verification=verification,
                config=self.config.finetuning,
                repeat=fold.repeat,
            )
            facts = np.array([tuned.epoch, tuned.error, time.perf_counter() - began])
            found: cache.Arrays = {"facts": facts}
            for number, layer in enumerate(tuned.network.layers):
                found[f"weight{number}"] = layer.weight.cpu().numpy()
                found[f"bias{number}"] = layer.bias.cpu().numpy()
            return found

        key = {
            **self.identity(name, "fine-tuned"),
            "epochs": epochs,
            "repeat": fold.repeat,
            "targets": digest([shown.targets[part].tobytes().hex() for part in parts]),
            "torch": torch.__version__,
            "device": self._device.type,
        }
        stored = cache.cached("finetuned", key, compute)
        tuned = _with_weights(network, stored)
        epoch, error, seconds = (float(value) for value in stored["facts"])
        layers = self._per_second(name, tuned.features(shown.data))
        return layers, {"epoch": epoch, "error": error, "seconds": seconds}


def _with_weights(network: Network, stored: cache.Arrays) -> Network:
    layers = []
    for number, layer in enumerate(network.layers):
        weight, bias = (torch.from_numpy(stored[f"{kind}{number}"]).to(network.device) for kind in ("weight", "bias"))
        layers.append(type(layer)(weight, bias))
    return Network(network.mean, network.scale, tuple(layers))


def _verification_distance(features: FloatArray, task: Task, fold: Fold) -> float:
    fitted = fit_mlr(features[fold.train], task.targets[fold.train, :2])
    error = fitted(features[fold.verification]) - task.targets[fold.verification, :2]
    return float(np.hypot(error[:, 0], error[:, 1]).mean())
