"""Features of networks for a task: pre-trained once, or also fine-tuned for each fold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...audio import texture
from ...audio.analysis import REVISION, TEXTURE, Analysis
from ...builders import labelled_dataset as labelled
from ...builders.audio_files import ClipSource, audio_hashes
from ...builders.labelled_dataset import analyse_clip
from ...builders.release import load_manifest
from ...dbn.model import Model
from ...errors import InputError
from ...runtime.devices import torch_device
from ...runtime.executor import ordered_map
from ...runtime.files import digest
from ..scoring.regressors.mlr import fit_mlr
from ..scoring.task import Fold, Task, load_task
from . import tuning
from .clip_examples import ClipExamples, clip_examples
from .models import ensure_model
from .network_config import NetworkConfig
from .tuning import FoldWork, arrays_of, network_of, tune_carried, tune_folds

if TYPE_CHECKING:
    from ...dbn.network import Network

FloatArray = npt.NDArray[np.float64]

CONTROL = 0


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
        Pre-training dataset, or a labelled one, whose labels are not used; None for the clips of the task.
    models : Path
        Folder of models.
    device : str
        ``cpu``, ``cuda`` or ``auto``.
    pool : Executor
        Of :func:`emobench.runtime.executor.executor`, for the audio and the folds.
    trained : mapping of str to Model, optional
        Models that were trained elsewhere, by their domains; checked already (:mod:`.external_models`).
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
        device: str,
        pool: Executor,
        trained: Mapping[str, Model] | None = None,
    ) -> None:
        self.task = task
        self.config = config
        self.trained = trained or {}
        self._sources = sources
        self.audio_hashes = audio_hashes
        places = [[s.start, s.duration, *([] if s.beats is None else [list(s.beats)])] for s in sources]
        self.audio_identity = [audio_hashes, REVISION, config.analysis, places]
        self._data = data
        self._models = models
        self._device = device
        self._pool = pool
        self._model: dict[str, Model] = dict(self.trained)
        self._shown: dict[str, ClipExamples] = {}
        self._tables: dict[tuple[str, int], list[FloatArray]] = {}
        self._distances: dict[str, dict[int, dict[int, float]]] = {}
        self._tuned: dict[tuple[str, bool], dict[int, _TunedFold]] = {}

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

    def inputs(self, name: str) -> list[object]:
        """Return what determines the beat-synchronous features that a network sees."""
        own = self.config.of(name)[0].table == "texture"
        return [*self.audio_identity, *([texture.REVISION, TEXTURE] if own else [])]

    @property
    def seconds_per_clip(self) -> float:
        """Median processor seconds that beats, timbre and pitch of a clip took."""
        # The first clip of a process also pays for imports and compiled code, so not the mean.
        return float(np.median([clip.seconds for clip in self.analyses]))

    def model(self, name: str) -> Model:
        """Return the pre-trained model of a domain."""
        if name not in self._model:
            labelled_clips = self._pretraining_clips
            self._model[name] = ensure_model(
                *self.config.of(name),
                data=self._data if labelled_clips is None else None,
                own_clips=lambda: labelled_clips.analyses if labelled_clips else [],
                identity=labelled_clips.inputs(name) if labelled_clips else None,
                analysis=self.config.analysis,
                models=self._models,
                device=self._device,
            )
        return self._model[name]

    @cached_property
    def _pretraining_clips(self) -> Networks | None:
        """The labelled clips to pre-train on; None for a pre-training dataset."""
        if self._data is None:
            return self
        if load_manifest(self._data).kind != "labelled":
            return None
        return own_networks(self._data, config=self.config, models=self._models, device=self._device, pool=self._pool)

    def pretrained_clips(self, name: str) -> int:
        """Count the clips of the task, test clips included, on whose audio a domain's model was pre-trained.

        Known for labelled clips alone, whose audio is recorded clip by clip.
        """
        if name in self.trained:
            own = self.trained[name].config.get("clips_sha256") == digest(self.inputs(name))
            return len(self.task.clips) if own else 0
        clips = self._pretraining_clips
        known = set(clips.audio_hashes.values()) if clips else set()
        return sum(self.audio_hashes[clip] in known for clip in self.task.clips)

    def identity(self, name: str, phase: str) -> dict[str, Any]:
        """Return what determines the features of a domain in a phase, for the signature of an entry."""
        decided: dict[str, Any] = {
            "domain": name,
            "model_sha256": self.model(name).sha256,
            "audio": digest(self.inputs(name)),
        }
        if self.config.own_statistics:
            decided["own_statistics"] = True
        if phase.endswith("fine-tuned"):
            decided |= {"finetuning": self.config.finetuning_of(name), "revision": tuning.REVISION}
            if self.config.carry_over:
                decided["carry_over"] = True
        return decided

    def values(self, name: str, layer: int, phase: str, fold: Fold) -> FloatArray:
        """Return the features of a domain for one fold, shape (n_rows, width of the layer)."""
        control = phase.startswith("random")
        if phase.endswith("fine-tuned"):
            return self._finetuned(name, control)[fold.repeat].layers[layer]
        return self._pretrained(name, self._epochs(name, fold, control))[layer]

    def training_record(self, name: str, phase: str) -> dict[str, Any]:
        """Return what was chosen and reached in each repeat, and the seconds of training."""
        record: dict[str, Any] = {"model": self.model(name).folder.resolve().name}
        if name in self.trained:
            record["trained_elsewhere"] = self.model(name).config
        control = phase.startswith("random")
        if not control:
            record["epochs"] = [self._epochs(name, fold, control) for fold in self.task.folds]
            record["verification_distance"] = [self.distances(name)[fold.repeat] for fold in self.task.folds]
        if phase.endswith("fine-tuned"):
            tuned = self._finetuned(name, control)
            facts = [tuned[fold.repeat].facts for fold in self.task.folds]
            for fact in ("epoch", "error", "seconds"):
                record[f"finetuning_{fact}"] = [each[fact] for each in facts]
            if self.config.carry_over:
                # The first fold alone starts from pre-trained weights.
                record["carried_over"] = True
                if not control:
                    record["epochs"] = record["epochs"][:1]
                    record["verification_distance"] = record["verification_distance"][:1]
        return record

    def train_seconds(self, name: str, phase: str) -> float:
        """Return the seconds that pre-training of a domain and fine-tuning of its folds took."""
        seconds = 0.0 if phase.startswith("random") else self.model(name).seconds
        return seconds + sum(self.training_record(name, phase).get("finetuning_seconds", []))

    def distances(self, name: str) -> dict[int, dict[int, float]]:
        """Return the mean distance on the verification part of each repeat after each number of pre-training epochs.

        The distance is that of linear regression on the pre-trained features, averaged over the layers;
        only training and verification targets are used.
        """
        if name not in self._distances:
            counts = [count for count in self.model(name).networks if count != CONTROL]
            self._distances[name] = {
                fold.repeat: {
                    count: float(
                        np.mean(
                            [_verification_distance(table, self.task, fold) for table in self._pretrained(name, count)]
                        )
                    )
                    for count in counts
                }
                for fold in self.task.folds
            }
        return self._distances[name]

    def choice(self, name: str) -> dict[int, int]:
        """Choose the pre-training epochs of each repeat, by mean distance on its verification part."""
        return {repeat: min(found, key=found.__getitem__) for repeat, found in self.distances(name).items()}

    def _epochs(self, name: str, fold: Fold, control: bool) -> int:
        return CONTROL if control else self.choice(name)[fold.repeat]

    def _examples(self, name: str) -> ClipExamples:
        if name not in self._shown:
            self._shown[name] = clip_examples(self.model(name).domain, self.analyses, self.task)
            if name in self.trained:
                from .external_models import check_normalisation

                check_normalisation(self.trained[name], self._shown[name].data)
        return self._shown[name]

    def _network(self, name: str, epochs: int) -> Network:
        """Return the network after some epochs, which normalises inputs as the settings say."""
        network = self.model(name).networks[epochs]
        if not self.config.own_statistics:
            return network
        import torch

        from ...dbn.batches import input_statistics

        mean, scale = (
            torch.from_numpy(part).to(network.device) for part in input_statistics(self._examples(name).data)
        )
        return replace(network, mean=mean, scale=scale)

    def _pretrained(self, name: str, epochs: int) -> list[FloatArray]:
        if (name, epochs) not in self._tables:
            network, shown = self._network(name, epochs), self._examples(name)
            self._tables[name, epochs] = shown.per_second(network.features(shown.data), self.task)
        return self._tables[name, epochs]

    def _finetuned(self, name: str, control: bool) -> dict[int, _TunedFold]:
        """Fine-tune all folds of a network, in parallel unless each needs the previous one."""
        if (name, control) not in self._tuned:
            shown, device = self._examples(name), torch_device(self._device)
            tune = tune_carried if self.config.carry_over else tune_folds
            made = tune(
                [self._work(name, self._epochs(name, fold, control), fold) for fold in self.task.folds],
                pool=self._pool,
                device=device,
                description=f"fine-tuning {name}" + (" from random weights" if control else ""),
            )
            found = {}
            for fold, arrays in zip(self.task.folds, made, strict=True):
                layers = shown.per_second(network_of(name, arrays, device).features(shown.data), self.task)
                epoch, error, seconds = (float(value) for value in arrays["facts"])
                found[fold.repeat] = _TunedFold(layers, {"epoch": epoch, "error": error, "seconds": seconds})
            self._tuned[name, control] = found
        return self._tuned[name, control]

    def _work(self, name: str, epochs: int, fold: Fold) -> FoldWork:
        import torch

        shown = self._examples(name)
        training, verification = (
            np.isin(shown.clips, self.task.clip_index[rows]) for rows in (fold.train, fold.verification)
        )
        targets = (shown.targets[training], shown.targets[verification])
        key = {
            "revision": tuning.REVISION,
            "domain": name,
            "model_sha256": self.model(name).sha256,
            "audio": digest(self.inputs(name)),
            "finetuning": self.config.finetuning_of(name),
            "epochs": epochs,
            "repeat": fold.repeat,
            "targets": digest([part.tobytes().hex() for part in targets]),
            **({"own_statistics": True} if self.config.own_statistics else {}),
            "torch": torch.__version__,
            "device": torch_device(self._device).type,
        }
        return FoldWork(
            name=name,
            key=key,
            start=arrays_of(self._network(name, epochs)),
            rows=shown.data.rows,
            window=shown.data.window,
            firsts=(shown.data.starts[training], shown.data.starts[verification]),
            targets=targets,
            config=self.config.finetuning_of(name),
            repeat=fold.repeat,
        )


@dataclass(frozen=True)
class _TunedFold:
    """Features per second of each layer, and what fine-tuning reached, of one repeat."""

    layers: list[FloatArray]
    facts: dict[str, float]


def _verification_distance(features: FloatArray, task: Task, fold: Fold) -> float:
    features = task.pooled(features)
    fitted = fit_mlr(features[fold.train], task.targets[fold.train, :2])
    error = fitted(features[fold.verification]) - task.targets[fold.verification, :2]
    return float(np.hypot(error[:, 0], error[:, 1]).mean())


def own_networks(data: Path, *, config: NetworkConfig, models: Path, device: str, pool: Executor) -> Networks:
    """Return networks that are pre-trained on the clips of a labelled dataset, without their labels.

    Raises
    ------
    InputError
        If it was built without audio.
    """
    dataset = labelled.load(data)
    folder = dataset.audio_folder()
    if folder is None:
        raise InputError(f"{data}: was built without audio; pre-training needs some.")
    sources = dataset.sources(folder)
    return Networks(
        load_task(dataset),
        sources,
        audio_hashes(sources),
        config=config,
        data=None,
        models=models,
        device=device,
        pool=pool,
    )
