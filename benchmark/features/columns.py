"""What every feature provides for a task: its columns, where they come from and what they cost."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ...errors import InputError

if TYPE_CHECKING:
    from ..scoring.task import Fold
    from .extraction import Extraction
    from .spec import Entry

FloatArray = npt.NDArray[np.float64]


class UnavailableError(InputError):
    """A feature that this dataset cannot have; other entries are computed without it."""


@dataclass(frozen=True)
class Columns:
    """Columns that a feature contributes to an entry.

    Attributes
    ----------
    values : callable
        Function from a fold to the values of all rows of the task, shape (n_rows, d).
    identity : object
        Origin of the values: settings, and hashes of audio, weights and files. Part of the signature.
    seconds_per_clip : callable
        Function that returns the processor seconds per clip, or None where they are not known.
    pooled : bool
        Whether values have one row per target already; otherwise they have one per second of each clip, and are pooled
        over the context of the task.
    names : sequence of str or None
        Names of the columns where the values were computed elsewhere, so that they are checked for leakage.
    predicted : callable or None
        Function from a fold to predictions of all rows, shape (n_rows, 5), of a feature that needs no regressor.
    true : callable or None
        Function from a fold to what these predictions are scored against, shape (n_rows, 5), if not the targets.
    per_fold : bool
        Whether the values depend on the fold.
    reproducible : bool
        Whether ``identity`` and the code of emobench determine the values, so that their hash can be looked up
        without computing them.
    training : callable
        Function that returns the record of the training, or None.
    train_seconds : callable
        Function that returns the seconds of the training.
    models : callable
        Function that returns path and SHA-256 of the weights behind the values.
    pretrained_on : str or None
        Name of the data that networks were pre-trained on.
    pretrained_clips : callable
        Function that returns the number of the task's clips among these data.
    analysis_files : callable
        Function that returns a summary of the analysis files behind the values, or None.
    metadata : callable
        Function that returns what the values add to the metadata of the feature.
    """

    values: Callable[[Fold], FloatArray]
    identity: object
    seconds_per_clip: Callable[[], float | None] = lambda: None
    pooled: bool = False
    names: Sequence[str] | None = None
    predicted: Callable[[Fold], FloatArray] | None = None
    true: Callable[[Fold], FloatArray] | None = None
    per_fold: bool = False
    reproducible: bool = False
    training: Callable[[], dict[str, Any] | None] = lambda: None
    train_seconds: Callable[[], float] = lambda: 0.0
    models: Callable[[], Sequence[ModelFile]] = lambda: ()
    pretrained_on: str | None = None
    pretrained_clips: Callable[[], int] = lambda: 0
    analysis_files: Callable[[], dict[str, Any] | None] = lambda: None
    metadata: Callable[[], Mapping[str, Any]] = lambda: MappingProxyType({})


@dataclass(frozen=True)
class ModelFile:
    """Weights behind an entry: their file and its SHA-256."""

    file: Path
    sha256: str

    @property
    def path(self) -> str:
        """Path below the folder of models, whose location is particular to this machine."""
        return "/".join(self.file.resolve().parts[-2:])


@dataclass(frozen=True)
class Computed:
    """Values of a feature for a task, shape (n_rows, d), and the median processor seconds per clip."""

    values: FloatArray
    seconds_per_clip: float


class TaskFeature:
    """A feature as the benchmark sees it: it gives the columns of an entry for a task.

    Features computed from samples (:class:`emobench.protocols.Feature`) are wrapped in one; others, such as those
    of networks or files, subclass it.

    Attributes
    ----------
    name, title : str
        Name as typed, and as tables print it.
    argument : str
        Form of the argument, for lists, where the name ends with a colon.
    order : int
        Position in tables and lists.
    layered : bool
        Whether it makes one entry per layer and phase of a network.
    single : bool
        Whether the network has one layer of features, which is joined with every layer of other networks.
    reference : bool
        Whether it is a reference rather than a feature; its scores do not depend on the regressor.
    origin : str
        Where its values come from, for lists.
    needs_audio : bool
        Whether it is computed from the clips' audio, or from files beside it.
    on_device : bool
        Whether it is computed on the device of the run.
    metadata : mapping
        What is known of its origin, see :data:`emobench.protocols.METADATA`.
    training_ids : collection of str or None
        Ids of the recordings that it was trained on elsewhere.
    """

    name: str = ""
    title: str = ""
    argument: str = "PATH"
    order: int = 100
    layered: bool = False
    single: bool = False
    reference: bool = False
    origin: str = "audio"
    needs_audio: bool = False
    on_device: bool = False
    metadata: Mapping[str, Any] = MappingProxyType({})
    training_ids: Collection[str] | None = None

    def columns(self, extraction: Extraction, entry: Entry) -> Columns:
        """Return the columns for an entry of a task.

        Raises
        ------
        UnavailableError
            If this dataset cannot have the feature.
        InputError
            If its audio, files or model cannot be used.
        """
        raise NotImplementedError


def float32_sha256(arrays: Iterable[npt.NDArray[Any]]) -> str:
    """Return the SHA-256 of arrays as float32."""
    hashed = sha256()
    for array in arrays:
        values = np.ascontiguousarray(array, np.float32)
        hashed.update(repr(values.shape).encode() + values.tobytes())
    return hashed.hexdigest()
