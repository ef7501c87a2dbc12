"""Cards of models: README.md with the YAML header that the Hub reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .render import fill, markdown, yaml_text

_INPUTS = {
    "rhythm": "20 MFCCs of the percussive spectrum, averaged between beats",
    "pitch": "48 semitones of the harmonic spectrum from G2, averaged between beats",
    "pitch2d": "magnitudes of the 2-D FFT of patches of beats and semitones",
    "texture": "levels of 40 harmonic and 40 percussive mel bands, 48 semitones and 14 of spectral contrast, averaged "
    "between beats",
}


@dataclass(frozen=True)
class ModelFacts:
    """Facts for the card of a model.

    Attributes
    ----------
    name : str
        Name of the model's folder.
    domain : {"rhythm", "pitch", "pitch2d", "texture"}
        Input domain of the network.
    window : int
        Number of beats, or patches, of an input window.
    layers : sequence of int
        Numbers of hidden units, from the lowest layer up.
    epochs : sequence of int
        Numbers of epochs after which weights were kept; 0 for random weights.
    examples : int
        Number of training windows.
    data : str
        Name of the training data.
    settings : mapping
        Name to value of each training setting.
    log : mapping
        Content of ``training.json``: ``rbms`` maps the name of each RBM to its epochs.
    data_sha256 : str or None
        SHA-256 that identifies the training data, such as that of the manifest.
    license : str
        License identifier of the Hub for the weights, which may depend on the training data.
    synthetic : bool
        Whether the training music was generated.
    """

    name: str
    domain: str
    window: int
    layers: Sequence[int]
    epochs: Sequence[int]
    examples: int
    data: str
    settings: Mapping[str, Any]
    log: Mapping[str, Any]
    data_sha256: str | None = None
    license: str = "apache-2.0"
    synthetic: bool = False


def model_card(facts: ModelFacts) -> str:
    """Write the card of a model, Markdown with a YAML header; names in the facts may contain any characters."""
    rbms = [
        (name, epochs[-1]["epoch"], epochs[-1].get("reconstruction_error"), epochs[-1].get("free_energy_gap"))
        for name, epochs in facts.log["rbms"].items()
        if epochs
    ]
    return fill(
        "model.md.j2",
        facts=facts,
        inputs=_INPUTS[facts.domain],
        trained=[count for count in facts.epochs if count],
        rbms=[(markdown(name), last, _number(error), _number(gap)) for name, last, error, gap in rbms],
        settings=[(markdown(name), markdown(_value(value))) for name, value in facts.settings.items()],
        name=markdown(facts.name),
        data=markdown(facts.data),
        data_yaml=yaml_text(facts.data),
        license_yaml=yaml_text(facts.license),
    )


@dataclass(frozen=True)
class ContrastiveFacts:
    """Facts for the card of a contrastive encoder.

    Attributes
    ----------
    name, window, examples, data, settings, data_sha256, license, synthetic
        As for :class:`ModelFacts`.
    clips : int
        Number of training clips.
    log : sequence of mapping
        Content of ``updates`` in ``training.json``.
    """

    name: str
    window: int
    clips: int
    examples: int
    data: str
    settings: Mapping[str, Any]
    log: Sequence[Mapping[str, float]]
    data_sha256: str | None = None
    license: str = "apache-2.0"
    synthetic: bool = False


def contrastive_card(facts: ContrastiveFacts) -> str:
    """Write the card of a contrastive encoder, Markdown with a YAML header."""
    return fill(
        "contrastive.md.j2",
        facts=facts,
        inputs=_INPUTS["texture"],
        first=facts.log[0],
        last=facts.log[-1],
        settings=[(markdown(name), markdown(_value(value))) for name, value in facts.settings.items()],
        name=markdown(facts.name),
        data=markdown(facts.data),
        data_yaml=yaml_text(facts.data),
        license_yaml=yaml_text(facts.license),
    )


def _value(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(_value(each) for each in value)
    return str(value)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
