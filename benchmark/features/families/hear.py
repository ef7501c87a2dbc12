"""Models with the interface of HEAR 2021: ``hear:MODULE[@WEIGHTS]``.

The module has ``load_model(path)``, whose result has ``sample_rate`` and ``timestamp_embedding_size``, and
``get_timestamp_embeddings(audio, model)``, which returns embeddings of shape (n_sounds, n, d) and the centres of their
frames in milliseconds, shape (n_sounds, n).

References
----------
J. Turian et al., "HEAR: Holistic evaluation of audio representations", NeurIPS 2021 Competitions and Demonstrations
Track. https://hearbenchmark.com/hear-api.html
"""

from __future__ import annotations

import importlib
import inspect
from importlib.metadata import packages_distributions, version
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ....errors import InputError
from ....protocols import features
from ....runtime.files import digest, sha256_file
from ....runtime.jit_cache import set_numba_cache
from ..audio_features import AudioFeature
from ..columns import Columns

if TYPE_CHECKING:
    from ..extraction import Extraction
    from ..spec import Entry

# Difference of a hop from their median at which timestamps count as irregular: one millisecond, or this part of it.
_IRREGULAR = 0.05
# Milliseconds that the last frame may end before or after the clip, beside two hops.
_SLACK = 100.0


class Hear(AudioFeature):
    """Timestamp embeddings of a module.

    Parameters
    ----------
    argument : str
        ``MODULE[@WEIGHTS]``; empty as the entry of the registry.
    """

    order, argument = 50, "MODULE[@WEIGHTS]"
    origin = "a module with the interface of HEAR 2021 on audio"

    def __init__(self, argument: str) -> None:
        module, _, weights = argument.partition("@")
        name = PurePath(weights).name
        super().__init__(_Embeddings(module, weights), f"hear:{module}" + (f"@{name}" if name else ""))
        self.title = f"{module}, {name}" if name else module or "embeddings of a module"

    def with_argument(self, argument: str) -> Hear:
        """Return the feature of a module.

        Raises
        ------
        InputError
            If the argument names no module, or its weights do not exist.
        """
        module, at, weights = argument.partition("@")
        if not all(part.isidentifier() for part in module.split(".")) or (at and not weights):
            raise InputError(
                f"`features` hear:{argument}: expected hear:MODULE[@WEIGHTS], such as hear:hearbaseline.naive."
            )
        if weights and not Path(weights).exists():
            raise InputError(f"`features` hear:{argument}: {weights}: no such file.")
        return Hear(argument)

    def columns(self, extraction: Extraction, entry: Entry) -> Columns:
        """Load the model, and extract its embeddings from every clip that is not cached."""
        function: Any = self.function
        extraction.once(self.name, lambda: function.load() or True)
        self.sample_rate, self.revision, self.metadata = function.sample_rate, function.revision, function.metadata
        return super().columns(extraction, entry)


class _Embeddings:
    """The function of samples of a module."""

    align, device = "center", "cpu"

    def __init__(self, module: str, weights: str) -> None:
        self._name, self._weights = module, weights
        self.metadata: dict[str, Any] = {}

    def load(self) -> None:
        """Import the module and load its model."""
        # Such modules import librosa and numba, which reads where compiled code is kept.
        set_numba_cache()
        try:
            self._module = importlib.import_module(self._name)
        except Exception as error:  # code of another package may raise anything
            raise InputError(f"hear:{self._name}: cannot be imported ({error}).") from error
        for needed in ("load_model", "get_timestamp_embeddings"):
            if not callable(getattr(self._module, needed, None)):
                raise InputError(f"hear:{self._name}: has no function {needed}; expected the interface of HEAR 2021.")
        try:
            self._model: Any = self._module.load_model(self._weights) if self._weights else self._module.load_model()
        except Exception as error:
            raise InputError(f"hear:{self._name}: load_model failed ({error}).") from error
        for name in ("sample_rate", "timestamp_embedding_size"):
            value = getattr(self._model, name, None)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InputError(f"hear:{self._name}: {name} of its model is {value!r}; expected a positive integer.")
        self.sample_rate, self._size = int(self._model.sample_rate), int(self._model.timestamp_embedding_size)
        self._describe()

    def _describe(self) -> None:
        """Collect what identifies the module: its version, its code and its weights."""
        top = self._name.partition(".")[0]
        file = inspect.getsourcefile(importlib.import_module(top)) or inspect.getsourcefile(self._module)
        folder = Path(file).parent if file and Path(file).name == "__init__.py" else None
        sources = sorted(folder.rglob("*.py")) if folder else [Path(file)] if file else []
        weights = sha256_file(Path(self._weights)) if Path(self._weights).is_file() else None
        code = digest([sha256_file(each) for each in sources])
        packages = packages_distributions().get(top)
        self.metadata = {
            "module": self._name,
            "version": version(packages[0]) if packages else None,
            "code_sha256": code,
            "weights_sha256": weights,
            "embedding_size": self._size,
            "group": "pretrained elsewhere",
        }
        if hasattr(self._model, "parameters"):
            self.metadata["parameters"] = sum(each.numel() for each in self._model.parameters())
        # Weights that the module finds on its own may change without notice, so its embeddings are not cached.
        self.revision = digest([code, weights, self.metadata["version"]]) if weights else None

    def prepare(self) -> None:
        """Move the model to the device."""
        if hasattr(self._model, "to"):
            self._model = self._model.to(self.device).eval()

    def __call__(self, samples: npt.NDArray[np.float32]) -> tuple[npt.NDArray, npt.NDArray]:
        """Return the centres of frames in seconds, shape (n,), and their embeddings, shape (n, d)."""
        import torch

        with torch.inference_mode():
            audio = torch.from_numpy(np.ascontiguousarray(samples))[None].to(self.device)
            made = self._module.get_timestamp_embeddings(audio, self._model)
        if not isinstance(made, tuple) or len(made) != 2:
            raise ValueError("get_timestamp_embeddings returned no pair of embeddings and timestamps")
        embeddings, times = (np.asarray(part.cpu() if hasattr(part, "cpu") else part, np.float64) for part in made)
        self._check(embeddings, times, 1000 * len(samples) / self.sample_rate)
        return times[0] / 1000, embeddings[0]

    def _check(self, embeddings: npt.NDArray, times: npt.NDArray, duration: float) -> None:
        """Raise ValueError if embeddings and timestamps in milliseconds do not fit each other or the clip."""
        if embeddings.ndim != 3 or len(embeddings) != 1 or embeddings.shape[2] != self._size:
            raise ValueError(f"embeddings of shape {embeddings.shape}; expected (1, n, {self._size})")
        if times.shape != embeddings.shape[:2]:
            raise ValueError(f"{times.size} timestamps for {embeddings.shape[1]} embeddings; expected equal numbers")
        if not np.isfinite(embeddings).all():
            frame = int(np.argwhere(~np.isfinite(embeddings[0]))[0][0])
            raise ValueError(f"embedding {frame + 1} is not finite (at {times[0, frame]:g} ms)")
        own = times[0]
        if not len(own) or not np.isfinite(own).all():
            raise ValueError("timestamps that are missing or not finite")
        hops = np.diff(own)
        if (hops <= 0).any():
            at = int(np.argmax(hops <= 0))
            raise ValueError(f"timestamps that do not increase: {own[at]:g} ms before {own[at + 1]:g} ms")
        hop = float(np.median(hops)) if len(hops) else duration
        uneven = np.abs(hops - hop) > max(1.0, _IRREGULAR * hop)
        if uneven.any():
            at = int(np.argmax(uneven))
            raise ValueError(f"a hop of {hops[at]:g} ms after {own[at]:g} ms; expected regular ones of {hop:g} ms")
        if own[0] < -1 or own[0] > 2 * hop + _SLACK or abs(own[-1] - duration) > 2 * hop + _SLACK:
            raise ValueError(
                f"timestamps from {own[0]:g} to {own[-1]:g} ms for a clip of {duration:g} ms; expected the centres of "
                f"frames over the whole clip. Does the model expect another sample rate than {self.sample_rate} Hz?"
            )


features.register(Hear(""))
