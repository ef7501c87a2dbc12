"""Cards of models: what stands in the README.md of a model's folder, with the YAML that the Hub reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .render import fill, markdown, yaml_text

_INPUTS = {
    "rhythm": "20 MFCC of the percussive spectrum, the mean between beats",
    "pitch": "48 semitones of the harmonic spectrum from G2 up, the mean between beats",
    "pitch2d": "magnitudes of the 2-d FFT of patches of semitones between beats",
}


@dataclass(frozen=True)
class ModelFacts:
    """What the card of a model tells.

    Attributes
    ----------
    name : str
        Of its folder.
    domain : {"rhythm", "pitch", "pitch2d"}
        What the network is shown.
    window : int
        Beats, or patches, an input window.
    layers : sequence of int
        Hidden units from the bottom up.
    epochs : sequence of int
        After how many epochs weights were kept; 0 for random ones.
    examples : int
        Windows it was trained on.
    data : str
        Name of the data they come from.
    settings : mapping
        Of the training, name to value.
    log : mapping
        As ``training.json``: ``rbms`` maps the name of each RBM to its epochs.
    data_sha256 : str or None
        Of the manifest of the data, or of what stands for it.
    license : str
        Of the weights, an identifier as the Hub knows it; the data may ask for another one than ours.
    synthetic : bool
        Whether machines made the music.
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
    """Card of a model, Markdown with a YAML head.

    Parameters
    ----------
    facts : ModelFacts
        What it tells. Names may hold whatever a file name may.

    Returns
    -------
    str
        The text of its README.md; the same facts give the same text.
    """
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
