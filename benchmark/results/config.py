"""Field types of results, and the configuration that decides their numbers."""

from __future__ import annotations

import math
from pathlib import PurePath
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    NonNegativeInt,
    PositiveInt,
    StringConstraints,
)

from ...runtime.files import digest

SCHEMA = 2


def _finite(value: JsonValue) -> JsonValue:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("should not hold NaN or infinity")
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _finite(inner)
    return value


Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{12}$")]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=200)]
Share = Annotated[float, Field(ge=0, le=1)]
FreeForm = Annotated[JsonValue, AfterValidator(_finite)]
Versions = dict[str, str]
Phase = Literal["pre-trained", "fine-tuned", "random", "random-fine-tuned"]


class Model(BaseModel):
    """Base of all parts of a result: immutable and strict, without other fields and without NaN or infinity."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        allow_inf_nan=False,
        json_schema_serialization_defaults_required=True,
    )


# Fields of Decided that may differ between two computations of the same entry.
VERSIONS = frozenset({"versions", "decoder", "values"})


class Decided(Model):
    """Everything that decides an entry's numbers. The signature is its hash.

    Attributes
    ----------
    schema_ : int
        Schema of the result.
    manifest : str
        SHA-256 of the dataset's manifest.
    entry : (str, int or None, str or None)
        Features, layer and phase.
    parts : tuple
        Origin of each feature: settings, and hashes of audio, weights and files.
    values : tuple of str
        SHA-256 of the float32 values of each feature, of all folds where they depend on the fold.
    regressor : str or None
        Name of the regressor; None for external predictions.
    task : {"second", "clip"}
        Whether every second or every clip is predicted.
    context : int, "clip" or None
        Seconds over which features are pooled, or the whole clip; None for the past second.
    bootstrap_seed : int
        Bootstrap seed.
    residual_covariance : bool
        Whether the covariance of the residuals on the verification part was added to the predicted covariances. It
        decides the signature only where it is true, so entries without it keep theirs.
    versions : dict
        Versions of Python and the packages that compute.
    decoder : str
        Version of libsndfile.
    carry_over : bool
        Whether fine-tuned weights were carried over from fold to fold, which leaks.
    leakage : tuple of str
        Leaks that ``allow_leakage`` let pass.
    """

    schema_: Literal[2] = Field(alias="schema")
    manifest: Sha256
    entry: tuple[Annotated[str, StringConstraints(min_length=1)], NonNegativeInt | None, Phase | None]
    parts: tuple[FreeForm, ...]
    values: tuple[Sha256, ...]
    regressor: Name | None
    task: Literal["second", "clip"] = "second"
    context: PositiveInt | Literal["clip"] | None = None
    bootstrap_seed: NonNegativeInt
    versions: Versions
    decoder: str
    carry_over: bool = False
    leakage: tuple[str, ...] = ()
    residual_covariance: bool = False

    def _decided(self, without: frozenset[str] = frozenset()) -> dict[str, Any]:
        without |= set() if self.residual_covariance else {"residual_covariance"}
        return self.model_dump(by_alias=True, include=set(Decided.model_fields) - without)

    @property
    def signature(self) -> str:
        """Short hash of the fields of :class:`Decided`."""
        return digest(self._decided())[:12]

    @property
    def settings(self) -> str:
        """Hash of the same fields without the versions, which identifies the entry."""
        return digest(self._decided(VERSIONS))

    @property
    def file_name(self) -> str:
        """Name of the result's file: features, layer, phase and signature, without characters a path cannot hold."""
        features, layer, phase = self.entry
        parts = (PurePath(part[5:]).stem if part.startswith("file:") else part for part in features.split("+"))
        text = "+".join(parts)
        if layer is not None:
            text += f"-layer{layer}-{phase}" + ("-carried-over" if self.carry_over else "")
        if self.task == "clip":
            text += "-clip"
        elif self.context is not None:
            text += f"-context-{self.context}"
        text = "".join(letter if letter.isalnum() or letter in "+-_." else "_" for letter in text)
        return f"{text}{'-leakage-allowed' if self.leakage else ''}-{self.signature}.json"


class Config(Decided):
    """Configuration that produced a result.

    Attributes
    ----------
    run, networks : dict or None
        Settings of the run and of its networks.
    pretrained_on : str or None
        Name of the data that the networks were pre-trained on.
    pretrained_clips : int
        Number of the dataset's own clips that the networks were pre-trained on, without labels.
    training : tuple
        Record of the training of each network.
    analysis_files : dict or None
        Echo Nest analyses behind the features.
    widths : tuple of int
        Number of columns of each feature, by which its values are found in the features that are stored.
    different_rows : int or None
        Number of distinct feature vectors in the smallest training part.
    ridge_strength : tuple of float or None
        Ridge penalty chosen in each repeat.
    """

    run: FreeForm = None
    networks: FreeForm = None
    pretrained_on: str | None = None
    pretrained_clips: NonNegativeInt = 0
    training: tuple[FreeForm, ...] = ()
    analysis_files: FreeForm = None
    widths: tuple[NonNegativeInt, ...] = ()
    different_rows: NonNegativeInt | None = None
    ridge_strength: tuple[float | None, ...] | None = None
