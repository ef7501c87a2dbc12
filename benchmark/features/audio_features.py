"""Features that users define: functions of a clip's samples, from objects or other packages' entry points."""

from __future__ import annotations

import inspect
import json
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...audio import cache
from ...audio.cache import Arrays
from ...audio.decode import decode
from ...audio.seconds import mean_per_second, seconds_without_frame
from ...errors import EmobenchError, InputError
from ...protocols import Feature
from ...runtime.devices import torch_device
from ...runtime.files import digest, sha256_file
from ...runtime.jit_cache import set_numba_cache
from ...runtime.text import few
from .batches import Batch, batches_of, extract
from .columns import Columns, Computed, FloatArray, TaskFeature, float32_sha256

if TYPE_CHECKING:
    from ...builders.audio_files import ClipSource
    from ..scoring.task import Fold
    from .extraction import Extraction
    from .spec import Entry


class AudioFeature(TaskFeature):
    """A function of a clip's samples, averaged over each second.

    Parameters
    ----------
    feature : object
        A :class:`emobench.protocols.Feature`, an object with some of its attributes, or a function of samples.
    name : str, optional
        Name in place of the feature's own.
    version : str
        Version of the package that provides it.

    Raises
    ------
    InputError
        If it cannot be called, has no name, declares an unknown alignment, or its metadata are not JSON.
    """

    needs_audio = True

    def __init__(self, feature: Any, name: str | None = None, version: str = "unknown") -> None:
        function: Any = feature() if isinstance(feature, type) else feature
        self.name = name or getattr(function, "name", "") or getattr(function, "__name__", "")
        if not callable(function):
            raise InputError(f"feature {self.name or function!r}: expected an object that can be called with samples.")
        if not self.name or set(self.name) & set("+/|,"):
            raise InputError(f"feature {function!r}: its name is {self.name!r}; expected one without + / | and commas.")
        self.function: Callable[[Any], Any] = function
        self.title = getattr(function, "title", "") or self.name
        self.sample_rate = getattr(function, "sample_rate", Feature.sample_rate)
        self.revision = getattr(function, "revision", None)
        self.align = getattr(function, "align", "center")
        self.sparse = bool(getattr(function, "sparse", False))
        self.batch_size = getattr(function, "batch_size", None)
        self.part = getattr(function, "part", Feature.part)
        self.metadata = dict(getattr(function, "metadata", {}))
        try:
            json.dumps(self.metadata, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise InputError(f"feature {self.name}: metadata cannot be written as JSON ({error}).") from error
        self.trainable = bool(getattr(function, "trainable", False))
        self.training_ids = getattr(function, "training_ids", None)
        self.on_device = hasattr(function, "prepare")
        self.version = version
        self.parallel = bool(getattr(function, "parallel", False)) and not self.trainable
        if self.align not in ("center", "end"):
            raise InputError(f"feature {self.name}: align is {self.align!r}; expected 'center' or 'end'.")

    @classmethod
    def load(cls, point: EntryPoint) -> AudioFeature:
        """Load the feature that an entry point names.

        Raises
        ------
        InputError
            If it cannot be imported.
        """
        # Such packages import librosa and numba, which reads where compiled code is kept.
        set_numba_cache()
        try:
            feature = point.load()
        except Exception as error:  # another package may raise anything when it is imported
            raise InputError(f"feature {point.name}: {point.value} cannot be imported ({error}).") from error
        return cls(feature, point.name, point.dist.version if point.dist else "unknown")

    def columns(self, extraction: Extraction, entry: Entry) -> Columns:
        """Extract the feature from every clip, unless its revision is cached; once per fold if it is trainable."""
        audio = digest([extraction.audio_hashes, [[each.start, each.duration] for each in extraction.sources]])
        kind = type(self.function)
        origin = [f"{kind.__module__}:{kind.__qualname__}", self.version, self.sample_rate, self.align, self.sparse]
        module = _module_sha256(self.function)
        decides = None if self.revision is None or module is None else [origin, self.revision, module]
        if decides and (device := self._device(extraction)) != "cpu":
            decides.append(device)
        cached = decides and [getattr(self.function, "family", "") or self.name, *decides]

        def computed(fold: Fold) -> Computed:
            key = f"{self.name} {fold.repeat if self.trainable else 0}"
            return extraction.once(key, lambda: self._compute(extraction, fold, cached))

        first = extraction.task.folds[0]
        # Without a revision nothing tells whether the code has changed, but the values do.
        decided = [self.name, *decides] if decides else [*origin, self._hash(extraction, computed)]
        identity = ["audio feature", decided, audio]
        return Columns(
            lambda fold: computed(fold).values,
            identity if extraction.task.context is None else [identity, "context", extraction.task.context],
            lambda: computed(first).seconds_per_clip,
            pooled=True,
            per_fold=self.trainable,
            reproducible=cached is not None,
        )

    def _hash(self, extraction: Extraction, computed: Callable[[Fold], Computed]) -> str:
        folds = extraction.task.folds if self.trainable else extraction.task.folds[:1]
        return float32_sha256(computed(fold).values for fold in folds)

    def _compute(self, extraction: Extraction, fold: Fold, revision: list[object] | None) -> Computed:
        task, sources = extraction.task, extraction.sources
        if self.trainable:
            training = np.unique(task.clip_index[fold.train])
            targets = [task.targets[task.clip_index == clip] for clip in training]
            fit: Callable[..., object] = getattr(self.function, "fit")  # noqa: B009 a function has none
            self._guarded("fit", lambda: fit([self._decode(sources[clip]) for clip in training], targets))
            revision = None
        paths = [_path(revision, extraction, clip) for clip in range(len(sources))] if revision else []
        batches = batches_of(sources, task.seconds, paths, self.batch_size or 1)
        values: list[FloatArray] = []
        costs: list[float] = []
        found = extract(self, batches, extraction.pool, device=self._device(extraction), name=self.name)
        for clip, arrays in enumerate(found):
            # Pooled one by one, because the seconds of all clips may not fit into memory.
            values.append(task.pooled_clip(clip, arrays["values"][:, self.part].astype(np.float64)))
            costs.append(float(arrays["cost"]))
        widths = sorted({part.shape[1] for part in values})
        if len(widths) > 1:
            raise InputError(f"feature {self.name}: returned {few(map(str, widths))} columns; expected one number.")
        # The first clip also pays for imports and for loading a model, so the median and not the mean.
        return Computed(np.concatenate(values), float(np.median(costs)))

    def _device(self, extraction: Extraction) -> str:
        """Return the device to compute on: that of the run if the feature can be prepared for it, or else the CPU."""
        if extraction.device == "cpu" or not self.on_device:
            return "cpu"
        return torch_device(extraction.device).type

    def fetch(self) -> None:
        """Let the function download what it needs."""
        fetch = getattr(self.function, "fetch", None)
        if fetch is not None:
            self._guarded("fetch", fetch)

    def prepare(self, device: str) -> None:
        """Let the function load its model."""
        prepare = getattr(self.function, "prepare", None)
        if prepare is not None:
            torch_device(device)  # one thread on the CPU
            with suppress(AttributeError):  # an object may fix its attributes
                self.function.device = device  # pyright: ignore[reportFunctionMemberAccess]
            self._guarded("prepare", prepare)

    def extract(self, batch: Batch) -> list[Arrays]:
        """Call the function for a batch, and average its frames over each second."""
        began = time.process_time()
        samples = [self._decode(source) for source in batch.sources]
        made = self._guarded(
            repr(batch), lambda: self.function(samples) if self.batch_size else [self.function(samples[0])]
        )
        if len(made) != len(samples):
            raise InputError(f"feature {self.name}, {batch}: returned {len(made)} results for {len(samples)} clips.")
        values = [
            self._guarded(f"clip {source.clip_id}", partial(self._per_second, result, wanted))
            for source, result, wanted in zip(batch.sources, made, batch.seconds, strict=True)
        ]
        cost = np.array((time.process_time() - began) / len(samples))
        # Regressors receive float32 too.
        return [{"values": each.astype(np.float32), "cost": cost} for each in values]

    def _decode(self, source: ClipSource) -> npt.NDArray[np.float32]:
        return decode(source.path, sample_rate=self.sample_rate, start=source.start, duration=source.duration)

    def _guarded(self, where: str, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except EmobenchError:
            raise
        except Exception as error:  # code of another package may raise anything
            # Messages of other errors, such as KeyError, mean little without their type.
            kind = "" if isinstance(error, ValueError | RuntimeError) else f"{type(error).__name__}: "
            raise InputError(f"feature {self.name}, {where}: {kind}{error}") from error

    def _per_second(self, result: Any, seconds: FloatArray) -> FloatArray:
        """Check the frames of a clip and average them over each second; raise ValueError where they do not fit."""
        if not isinstance(result, tuple | list) or len(result) != 2:
            raise ValueError(f"returned {type(result).__name__}; expected two arrays, times and values")
        times, values = (np.asarray(part) for part in result)
        if values.ndim != 2 or times.ndim != 1 or len(times) != len(values) or not len(times):
            raise ValueError(
                f"returned times of shape {times.shape} and values of shape {values.shape}; expected (n,) and (n, d)"
            )
        if not np.isfinite(times).all() or (np.diff(times) < 0).any():
            raise ValueError("returned times that do not increase; expected the times of frames in order, in seconds")
        largest = np.finfo(np.float32).max
        if not (np.abs(values) <= largest).all():
            frame, column = np.argwhere(~(np.abs(values) <= largest))[0]
            raise ValueError(
                f"value {column + 1} of frame {frame + 1} is {values[frame, column]}; expected a finite float32 number"
            )
        lacking = seconds_without_frame(times, seconds)
        if self.align == "end":
            lacking = lacking[lacking > times[0]]
        if len(lacking) and not self.sparse:
            raise ValueError(
                f"returned no frame for {len(lacking)} of {len(seconds)} seconds "
                f"({few(f'{second:g}' for second in lacking)}); expected one in every second (t - 1, t], "
                "or a feature that sets sparse = True to hold its last value"
            )
        return mean_per_second(values, times, seconds)


def _path(revision: list[object], extraction: Extraction, clip: int) -> Path:
    """Return the cache entry of the values of a clip."""
    source = extraction.sources[clip]
    place = [source.start, source.duration, extraction.task.seconds[clip].tolist()]
    return cache.entry("features", [*revision, extraction.audio_hashes[source.clip_id], *place])


def _module_sha256(function: object) -> str | None:
    """Return the SHA-256 of the file that defines a function or an object's class; None if there is no file.

    Features of emobench itself say in their revision whether their values have changed.
    """
    defined = function if inspect.isroutine(function) else type(function)
    if defined.__module__.partition(".")[0] == (__package__ or "").partition(".")[0]:
        return "emobench"
    try:
        file = inspect.getsourcefile(defined)
    except TypeError:
        return None
    return sha256_file(Path(file)) if file and Path(file).is_file() else None
