"""Result of one leaderboard entry, schema 2: fields, validation and the published JSON Schema from one definition.

``result.schema.json`` beside this module is generated from :class:`Result` (``make schema``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    PrivateAttr,
    StringConstraints,
    model_validator,
)

from ...errors import InputError
from ...protocols import features
from ...runtime.files import digest, json_text
from .config import Config, Digest, FreeForm, Model, Name, Phase, Sha256, Share, Versions

if TYPE_CHECKING:
    import polars as pl


# Sections whose fields have digests of their own.
SECTIONS = ("dataset", "scores", "cost", "config", "environment")


def _date(text: str) -> str:
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError("should have a time zone")
    return text


class DatasetRef(Model):
    """Dataset of a result.

    Attributes
    ----------
    name, version : str
        As in its manifest.
    manifest_sha256, folds_sha256 : str
        SHA-256 of the manifest and of the table of folds.
    synthetic : bool
        Whether music and ratings are synthetic.
    split : str or None
        Name of the split, such as ``artists`` or that of a published one; None if albums were assigned at random.
    repo, commit : str or None
        Repository and commit on the Hub, if the dataset was loaded from there.
    """

    name: Name
    version: Name
    manifest_sha256: Sha256
    folds_sha256: Sha256
    synthetic: bool = False
    split: str | None = None
    repo: str | None = None
    commit: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")] | None = None

    @property
    def label(self) -> str:
        """Name and version, ``name@version``."""
        return f"{self.name}@{self.version}"

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Values that comparable results share: name, version, manifest and folds."""
        return self.name, self.version, self.manifest_sha256, self.folds_sha256


class MetricScore(Model):
    """Score of one metric; None where it is undefined.

    Attributes
    ----------
    mean, std : float or None
        Mean over the repeats and their sample standard deviation (None with a single repeat).
    per_repeat : tuple of float or None
        Score of each repeat.
    ci95 : (float, float) or None
        95 % interval of the mean, from a bootstrap over albums.
    """

    mean: float | None
    std: float | None
    per_repeat: tuple[float | None, ...]
    ci95: tuple[float, float] | None


class Cost(Model):
    """Cost of one entry; None where it was not measured for this entry alone.

    Attributes
    ----------
    seconds_per_clip : float or None
        Seconds of one processor from audio to features.
    train_seconds : float or None
        Seconds of pre-training, fine-tuning and regression, all repeats together.
    peak_rss_mb : float or None
        Peak memory in MB.
    processor : str or None
        Model of the processor, and of the GPU where one was used.
    """

    seconds_per_clip: NonNegativeFloat | None = None
    train_seconds: NonNegativeFloat | None = None
    peak_rss_mb: NonNegativeFloat | None = None
    processor: str | None = None


class Shared(Model):
    """Test clips of a published split that share something with a clip for training or verification.

    Attributes
    ----------
    test_clips : int
        Number of test clips.
    artist, album, recording : int or None
        Number of test clips that share an artist, an album or a recording; None where it is not known, or audio was
        not compared.
    """

    test_clips: PositiveInt
    artist: NonNegativeInt | None
    album: NonNegativeInt | None
    recording: NonNegativeInt | None


class Leakage(Model):
    """Outcome of the check for leakage.

    Attributes
    ----------
    found : tuple of str
        Leaks that ``allow_leakage`` let pass.
    artists_on_both_sides : tuple of int
        Number of artists with clips both in the test part and in another part, for each repeat.
    not_checked : tuple of str
        Checks that were not possible, with the reason.
    shared_with_training : Shared or None
        What test clips share with training or verification, if the split is a published one.
    """

    found: tuple[str, ...] = ()
    artists_on_both_sides: tuple[NonNegativeInt, ...] = ()
    not_checked: tuple[str, ...] = ()
    shared_with_training: Shared | None = None


class Weights(Model):
    """Weights of a model: path below the folder of models, and SHA-256."""

    path: Annotated[str, StringConstraints(pattern=r"^[^/]+/[^/]+$")]
    sha256: Sha256


class Files(Model):
    """SHA-256 of the files beside a result.

    Attributes
    ----------
    predictions : str
        Predictions.
    features : str or None
        Features that the regressor received; None for references and external predictions.
    parameters : str or None
        Fitted parameters of a regressor without a closed form.
    """

    predictions: Sha256
    features: Sha256 | None = None
    parameters: Sha256 | None = None


class Entry(Model):
    """Leaderboard entry as it was computed.

    Attributes
    ----------
    schema_ : int
        Schema of the result.
    signature : str
        Short hash of everything that decides the numbers.
    dataset : DatasetRef
        Dataset.
    features : str
        Names of the features, joined by ``+``.
    layer, phase : int or None, str or None
        Layer and training phase of the networks among them; both are None without networks.
    dims : int or None
        Number of dimensions; None where unknown.
    task : {"second", "clip"}
        Whether every second or every clip is predicted.
    context : int, "clip" or None
        Seconds over which features are pooled, or the whole clip; None for the past second.
    regressor : str or None
        Name of the regressor; None for external predictions.
    n_clips : int
        Number of clips.
    excluded : dict
        Reason for each clip that is in no fold.
    albums : dict
        Number of each clip's album, by which the bootstrap resamples.
    scores : dict
        Score of each metric.
    covariance_repaired, targets_repaired : float
        Share of the covariances of predictions and of targets that were repaired.
    cost : Cost
        Cost.
    leakage : Leakage
        Outcome of the check for leakage.
    config : Config
        Configuration that produced the result.
    model : tuple of Weights
        Weights behind the features.
    feature_metadata : dict
        Title of each feature, and what it declares of its licence, parameters and training data.
    external : bool
        Whether the predictions were made outside emobench.
    environment : dict
        Versions of packages.
    """

    schema_: Literal[2] = Field(alias="schema")
    signature: Digest
    dataset: DatasetRef
    features: Annotated[str, StringConstraints(min_length=1)]
    layer: NonNegativeInt | None
    phase: Phase | None
    dims: NonNegativeInt | None
    task: Literal["second", "clip"] = "second"
    context: Literal["clip"] | PositiveInt | None = None
    regressor: Name | None
    n_clips: PositiveInt
    excluded: dict[str, str]
    albums: Annotated[dict[str, NonNegativeInt], Field(min_length=1)]
    scores: dict[Name, MetricScore]
    covariance_repaired: Share
    targets_repaired: Share
    cost: Cost
    leakage: Leakage
    config: Config
    model: tuple[Weights, ...] = ()
    feature_metadata: dict[str, FreeForm] = Field(default_factory=dict)
    external: bool = False
    environment: Versions

    @model_validator(mode="after")
    def _consistent(self) -> Entry:
        if (self.layer is None) != (self.phase is None):
            raise ValueError("phase should be null if and only if layer is null")
        if missing := {"mean_distance", "kl_divergence"} - set(self.scores):
            raise ValueError(f"scores should hold {' and '.join(sorted(missing))}")
        return self

    @property
    def name(self) -> str:
        """Full name, such as ``mfcc``, ``rhythm+pitch/1/fine-tuned``, ``mfcc|ridge`` or ``mfcc|context-10``."""
        layer = "" if self.layer is None else f"/{self.layer}/{self.phase}"
        context = "" if self.task == "clip" or self.context is None else f"|context-{self.context}"
        return f"{self.features}{layer}{context}" + ("" if self.regressor in (None, "mlr") else f"|{self.regressor}")

    @property
    def board(self) -> tuple[str, ...]:
        """Values that comparable entries share: dataset, folds and task."""
        return *self.dataset.key, self.task

    @property
    def reference(self) -> bool:
        """Whether the entry is a reference, such as the training mean, and not a method to compare."""
        references = {each.name for each in features if getattr(each, "reference", False)}
        return self.features in references

    @property
    def key(self) -> str:
        """Identity of the entry: data, folds, features and settings, whatever versions computed it."""
        shown = [self.features, self.layer, self.phase, self.regressor]
        return digest([self.board, shown, self.config.settings])


class Result(Entry):
    """Result as it is on disk.

    Attributes
    ----------
    sequence : int
        Order in which results of the same entry were written to a folder; clocks may jump.
    files : Files
        SHA-256 of predictions, features and parameters.
    created : str
        Time of writing, ISO 8601.
    digests : dict
        Digest of each field, by which accidental changes are found and named. Whoever changes a result on purpose can
        renew it; only recomputation finds that (:mod:`.verify`).
    """

    sequence: PositiveInt
    files: Files
    created: Annotated[str, AfterValidator(_date)]
    digests: dict[str, Digest]

    _path: Path | None = PrivateAttr(None)
    _text: str = PrivateAttr("")

    @property
    def path(self) -> Path:
        """JSON file of the result."""
        assert self._path is not None, "the result is not on disk"
        return self._path

    @property
    def text(self) -> str:
        """Content of the file as it was read or written."""
        return self._text

    @property
    def members(self) -> tuple[Result, ...]:
        """The result itself; of an entry of several seeds (:class:`.seeds.SeedGroup`) the result of each."""
        return (self,)

    @property
    def changed(self) -> list[str]:
        """One line for each field that was changed after the result was written, without renewing its digest."""
        stored, now = self.digests, field_digests(self.model_dump(by_alias=True))
        names = [name for name in {**stored, **now} if stored.get(name) != now.get(name)]
        return [f"{name}: was changed after it was written" for name in names]

    @property
    def predictions(self) -> pl.DataFrame:
        """Predictions of all test seconds, read from the file beside the result."""
        from .predictions import read_table

        table, damage = read_table(self)
        if table is None or damage:
            raise InputError(damage[0])
        return table

    def at(self, path: Path, text: str) -> Self:
        """Return the result with the file that it was read from or written to."""
        self._path, self._text = path, text
        return self

    def to_json(self) -> str:
        """Return the content of the result's file."""
        return json_text(self.model_dump(by_alias=True))

    def __repr__(self) -> str:
        mean = self.scores["mean_distance"].mean
        distance = "undefined" if mean is None else f"{mean:.3f}"
        return f"Result({self.name!r} on {self.dataset.label}, mean distance {distance}, {self.signature})"

    __str__ = __repr__


def field_digests(fields: Mapping[str, Any]) -> dict[str, str]:
    """Return a digest of each field of a result, given as plain data; those of sections one by one."""
    flat: dict[str, Any] = {}
    for name, value in fields.items():
        flat |= {f"{name}.{each}": part for each, part in value.items()} if name in SECTIONS else {name: value}
    return {name: digest(value)[:12] for name, value in flat.items() if name != "digests"}


def predictions_path(path: Path) -> Path:
    """Return the path of the predictions beside a result."""
    return path.with_suffix(".predictions.parquet")


def json_schema() -> str:
    """Return the JSON Schema (draft 2020-12) of a result, as it is shipped in ``result.schema.json``."""
    schema = Result.model_json_schema(by_alias=True, mode="serialization")
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    return json.dumps(whole, indent=2) + "\n"
