"""Hidden states of models of the Hugging Face Hub: ``hf:REPO[@REVISION][#LAYER]``."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ....audio import cache
from ....audio.decode import decode
from ....audio.seconds import mean_per_second
from ....errors import EmobenchError, InputError
from ....protocols import features
from ....runtime.devices import torch_device
from ....runtime.files import digest
from ..batches import Batch, batches_of, extract
from ..columns import Columns, FloatArray, TaskFeature

if TYPE_CHECKING:
    from ....pretrained.encoder import ModelFiles
    from ...scoring.task import Fold
    from ..extraction import Extraction
    from ..spec import Entry

# Increase it when the same audio and model give different numbers.
REVISION = 1

# Clips of a batch: a worker process holds the hidden states of all its layers.
_BATCH = 8


class HuggingFace(TaskFeature):
    """Hidden states of an audio model, averaged over each second.

    Without a layer, the one that ridge regression predicts the verification part best from is taken in each fold.

    Parameters
    ----------
    argument : str
        ``REPO[@REVISION][#LAYER]``; empty as the entry of the registry.
    """

    order, argument = 40, "REPO[@REVISION][#LAYER]"
    origin = "a model of the Hugging Face Hub on audio"
    needs_audio = on_device = True

    def __init__(self, argument: str) -> None:
        self.name = f"hf:{argument}"
        found = re.fullmatch(r"(?P<repo>.*?)(@(?P<revision>[^@/#]+))?(#(?P<layer>\d+))?", argument)
        assert found is not None
        self.repo, self.revision = found["repo"], found["revision"]
        if Path(argument.partition("#")[0]).is_dir():
            self.repo, self.revision = argument.partition("#")[0], None
        self.layer = None if found["layer"] is None else int(found["layer"])
        self.title = Path(self.repo).name + ("" if self.layer is None else f", layer {self.layer}")
        if not argument:
            self.title = "hidden states of a model"

    def with_argument(self, argument: str) -> HuggingFace:
        """Return the feature of a model.

        Raises
        ------
        InputError
            If the argument names no repository, or its layer is not a number.
        """
        made = HuggingFace(argument)
        if not made.repo or ("#" in argument and made.layer is None):
            raise InputError(
                f"`features` hf:{argument}: expected hf:REPO[@REVISION][#LAYER], such as hf:user/model or "
                "hf:user/model@main#7."
            )
        return made

    def columns(self, extraction: Extraction, entry: Entry) -> Columns:
        """Find the model; audio is read when values are first asked for."""
        return extraction.once(f"{self.name} columns", lambda: self._columns(extraction))

    def _columns(self, extraction: Extraction) -> Columns:
        from ....pretrained.encoder import find_model

        model = find_model(self.repo, self.revision, trust_remote_code=extraction.trust_remote_code)
        from ..spec import without_folder

        states = _States(self.name, model, extraction)
        self.metadata = {
            "model": Path(self.repo).name if model.commit is None else self.repo,
            "commit": model.commit,
            "weights_sha256": dict(model.weights_sha256),
            "own_code": model.own_code,
            "parameters": model.parameters,
            "group": "pretrained elsewhere",
            **_described(model.card),
        }
        chosen: dict[int, int] = {}

        def values(fold: Fold) -> FloatArray:
            if self.layer is not None:
                return states.of(self.layer)
            if fold.repeat not in chosen:
                chosen[fold.repeat] = _best_layer(states, extraction, fold)
            return states.of(chosen[fold.repeat])

        def record() -> dict[str, Any] | None:
            # Results say by how many folds each layer was chosen, and which fold chose which.
            counts = Counter(chosen.values())
            return (
                {
                    "feature": without_folder(self.name),
                    "layers": {str(repeat): layer for repeat, layer in sorted(chosen.items())},
                    "most_chosen": counts.most_common(1)[0][0],
                }
                if chosen
                else None
            )

        return Columns(
            values,
            states.identity,
            lambda: states.seconds_per_clip,
            pooled=True,
            per_fold=self.layer is None,
            training=record,
        )


def _described(card: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a model card states; nothing is assumed where it says nothing."""
    licence, datasets = card.get("license"), card.get("datasets")
    names = [datasets] if isinstance(datasets, str) else datasets if isinstance(datasets, list) else []
    names = [each for each in names if isinstance(each, str)]
    found: dict[str, Any] = {"licence": str(licence)} if licence else {}
    if names:
        collections = sorted({part.lower() for name in names for part in (name, name.rpartition("/")[2])})
        found |= {"training_data": ", ".join(names), "collections": collections}
    return {**found, "outside_data": True}


class _States:
    """Hidden states of all clips of a task by layer; all layers of a clip are cached together."""

    def __init__(self, name: str, model: ModelFiles, extraction: Extraction) -> None:
        self._name, self._model, self._extraction = name, model, extraction
        task = extraction.task
        self._device = "cpu" if extraction.device == "cpu" else torch_device(extraction.device).type
        self._key = ["hf", REVISION, model.sha256, self._device]
        # Values are pooled here, because that of all layers of all seconds may not fit into memory.
        self.identity = [*self._key, digest(extraction.audio_hashes), "context", task.context]
        self._paths: list[Path] = []
        self._pooled: dict[int, npt.NDArray[np.float32]] = {}
        self.seconds_per_clip: float | None = None
        self.layers = 0

    def of(self, layer: int) -> FloatArray:
        """Return the pooled values of a layer, shape (n_rows, d)."""
        self._extract()
        if layer >= self.layers:
            raise InputError(f"`features` {self._name}: expected a layer from 0 to {self.layers - 1}.")
        if layer not in self._pooled:
            task, rows = self._extraction.task, []
            for clip, path in enumerate(self._paths):
                with np.load(path) as stored:
                    rows.append(task.pooled_clip(clip, stored[f"layer{layer}"].astype(np.float64)))
            # float32, which is what regressors receive.
            self._pooled[layer] = np.concatenate(rows).astype(np.float32)
        return self._pooled[layer].astype(np.float64)

    def _extract(self) -> None:
        """Compute the states of clips that are not cached."""
        if self._paths:
            return
        extraction, costs = self._extraction, []
        paths = [
            cache.entry(
                "features",
                [*self._key, extraction.audio_hashes[source.clip_id], source.start, source.duration, seconds.tolist()],
            )
            for source, seconds in zip(extraction.sources, extraction.task.seconds, strict=True)
        ]
        batches = batches_of(extraction.sources, extraction.task.seconds, paths, _BATCH)
        encoding = _Encoding(self._name, self._model)
        for arrays in extract(encoding, batches, extraction.pool, device=self._device, name=self._name):
            self.layers = len(arrays) - 1
            costs.append(float(arrays["cost"]))
        self._paths, self.seconds_per_clip = paths, float(np.median(costs))


class _Encoding:
    """Computes the hidden states of batches of clips."""

    parallel = True

    def __init__(self, name: str, model: ModelFiles) -> None:
        self._name, self._model = name, model

    def fetch(self) -> None:
        """Do nothing: the model is on this machine."""

    def prepare(self, device: str) -> None:
        """Load the model."""
        from ....pretrained.encoder import Encoder

        self._encoder = Encoder(self._model, torch_device(device))

    def extract(self, batch: Batch) -> list[cache.Arrays]:
        """Compute the states of each clip, averaged over each second."""
        encoder, began = self._encoder, time.process_time()
        samples = [
            decode(source.path, sample_rate=encoder.sample_rate, start=source.start, duration=source.duration)
            for source in batch.sources
        ]
        try:
            found = encoder.batch(samples)
        except EmobenchError:
            raise
        except Exception as error:  # code of the model may raise anything
            raise InputError(f"{self._name}, {batch}: {error}") from error
        made = []
        for source, seconds, (times, states) in zip(batch.sources, batch.seconds, found, strict=True):
            if not np.isfinite(states).all():
                raise InputError(f"{self._name}, clip {source.clip_id}: returned values that are not finite.")
            made.append(
                {
                    f"layer{layer}": mean_per_second(states[:, layer], times, seconds).astype(np.float32)
                    for layer in range(encoder.layers)
                }
            )
        cost = np.array((time.process_time() - began) / len(made))
        return [{**arrays, "cost": cost} for arrays in made]


def _best_layer(states: _States, extraction: Extraction, fold: Fold) -> int:
    """Return the layer from which ridge regression predicts the means of the verification part best."""
    from ...scoring.regressors.ridge import fit_ridge

    task = extraction.task
    targets = task.targets[:, task.known]
    states.of(0)
    errors = []
    for layer in range(states.layers):
        values = states.of(layer)
        verification = (values[fold.verification], targets[fold.verification])
        fitted = fit_ridge(values[fold.train], targets[fold.train], verification)
        error = fitted(verification[0])[:, :2] - verification[1][:, :2]
        errors.append(float(np.hypot(error[:, 0], error[:, 1]).mean()))
    return int(np.argmin(errors))


features.register(HuggingFace(""))
