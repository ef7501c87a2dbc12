"""Where the features of an entry come from: their group, licence, parameters, training data, and what these overlap."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ...protocols import features as registry
from ..features.spec import parts_of
from ..results.model import Result
from .labels import DASH, display_name

HAND, LEARNED, PRETRAINED, OTHER, REFERENCE = (
    "hand-crafted",
    "learned here",
    "pretrained elsewhere",
    "other",
    "reference",
)
# The order of tables; an entry of several features belongs to the last group that one of them is in.
GROUPS = (HAND, OTHER, LEARNED, PRETRAINED)

NONE = "none"


@dataclass(frozen=True)
class Provenance:
    """Origin of the features of an entry.

    Attributes
    ----------
    group : str
        One of ``GROUPS``, or ``reference``.
    licence, training_data, labels_used : str
        What the features state, joined; empty where they state nothing.
    parameters : int or None
        Number of parameters of all features; None where one of them does not state it.
    outside_data : bool or None
        Whether one of them was trained on other data than the training part of a fold; None where unknown.
    overlap : str
        What the training data share with the corpus; empty without a sign of an overlap.
    """

    group: str
    licence: str
    parameters: int | None
    training_data: str
    labels_used: str
    outside_data: bool | None
    overlap: str

    def record(self) -> dict[str, Any]:
        """Return the columns of CSV and JSON."""
        texts = {name: getattr(self, name) or None for name in ("licence", "training_data", "labels_used", "overlap")}
        return {"group": self.group, "parameters": self.parameters, "outside_data": self.outside_data, **texts}

    @property
    def outside_shown(self) -> str:
        """Say whether outside data were used: yes, no or unknown."""
        return {True: "yes", False: "no", None: "unknown"}[self.outside_data]


def provenance(result: Result) -> Provenance:
    """Return the origin of an entry, as its result states it."""
    if result.reference:
        return Provenance(REFERENCE, "", None, "", "", False, "")
    stated = [_stated(result, part) for part in parts_of(result.features)]
    parameters = [count for each in stated if isinstance(count := each.get("parameters"), int)]
    outside = [_outside(result, each) for each in stated]
    return Provenance(
        group=max((_group(result, each) for each in stated), key=GROUPS.index),
        licence=_joined(each.get("licence") for each in stated),
        parameters=sum(parameters) if len(parameters) == len(stated) else None,
        training_data=_joined(each.get("training_data") for each in stated),
        labels_used=_joined(each.get("labels_used") for each in stated),
        outside_data=True if True in outside else None if None in outside else False,
        overlap="; ".join(filter(None, [*map(_overlap, stated), _own_clips(result)])),
    )


def origin_notes(results: Iterable[Result]) -> list[str]:
    """Describe the features of results that were trained, one line for all that state the same."""
    alike: dict[str, list[str]] = {}
    for result in results:
        for part in () if result.reference else parts_of(result.features):
            stated = _stated(result, part)
            if _group(result, stated) != HAND or stated.get("training_data") != NONE:
                titles = alike.setdefault(_description(stated), [])
                title = display_name(part, result.feature_metadata)
                titles += [] if title in titles else [title]
    return [f"{' / '.join(titles)}: {text}." for text, titles in alike.items()]


def _description(stated: Mapping[str, Any]) -> str:
    count = stated.get("parameters")
    return ", ".join(
        [
            f"licence {stated.get('licence') or 'not stated'}",
            "number of parameters not stated" if count is None else f"{parameters_shown(count)} parameters",
            f"trained on {stated.get('training_data') or 'data that are not stated'}",
            f"labels used: {stated.get('labels_used') or 'not stated'}",
            *([f"overlap: {shared}"] if (shared := _overlap(stated)) else []),
        ]
    )


def _stated(result: Result, part: str) -> Mapping[str, Any]:
    """Return the metadata of a feature, those of today for results of versions that did not record them."""
    found = result.feature_metadata.get(part)
    stated = dict(found) if isinstance(found, dict) else {}
    if not stated.keys() - {"title"} and not result.external and part in {each.name for each in registry}:
        stated |= registry[part].metadata
    return stated


def _group(result: Result, stated: Mapping[str, Any]) -> str:
    """Return the group that a feature states, or that its training implies."""
    trained = stated.get("training_data")
    if stated.get("group") in GROUPS:
        return str(stated["group"])
    if result.layer is not None and trained is None:
        return LEARNED
    return OTHER if trained is None or result.external else HAND if trained == NONE else PRETRAINED


def _outside(result: Result, stated: Mapping[str, Any]) -> bool | None:
    """Return whether a feature was trained on outside data; None where unknown."""
    if isinstance(stated.get("outside_data"), bool):
        return bool(stated["outside_data"])
    trained = stated.get("training_data")
    if result.layer is not None and trained is None:
        return None if result.config.pretrained_on is None else result.config.pretrained_clips == 0
    return None if trained is None or result.external else trained != NONE


def _overlap(stated: Mapping[str, Any]) -> str:
    shared = stated.get("overlap")
    if not isinstance(shared, dict):
        return ""
    if shared.get("clips"):
        return f"trained on {shared['clips']} of the {shared.get('of')} clips"
    return f"may have been trained on these clips ({', '.join(map(str, shared.get('collections', ())))})"


def _own_clips(result: Result) -> str:
    count = result.config.pretrained_clips
    return f"pre-trained on {count} of the {result.n_clips} clips without their labels" if count else ""


def _joined(values: Iterable[object]) -> str:
    """Join what features state, each once; without those who use nothing, if others do."""
    stated = list(dict.fromkeys(str(value) for value in values if value is not None))
    return "; ".join([value for value in stated if value != NONE] or stated)


def parameters_shown(count: int | None) -> str:
    """Format a number of parameters."""
    return DASH if count is None else f"{count:,}"
