"""Cards of datasets: what stands in their README.md, with the YAML that the Hub and ``datasets`` read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .render import fill


@dataclass(frozen=True)
class About:
    """Facts of a source for its card.

    Attributes
    ----------
    title, summary : str
        Heading and first paragraph.
    license : str
        Identifier as the Hub knows it.
    citation : str
        BibTeX.
    terms : str
        What may be done with the data, and where they come from.
    synthetic : bool
        Whether machines made the music and the ratings.
    notes : str
        Further Markdown.
    """

    title: str
    summary: str
    license: str
    citation: str
    terms: str
    synthetic: bool = False
    notes: str = ""


@dataclass(frozen=True)
class LabelledFacts:
    """What the card of a labelled dataset tells.

    Attributes
    ----------
    name, version, about
        Of the dataset.
    counts : mapping
        Rows of each kind.
    excluded : mapping
        Reason to the clips excluded for it.
    shares : sequence of (int, str, int)
        Repeat, part, clips.
    statistics : mapping
        Mean, standard deviation, least and greatest of each target parameter over all seconds where it is known.
    ratings : (int, float, int) or None
        Least, median and most ratings of a second; None where they are not known.
    has_audio : bool
        Whether beats were tracked.
    min_beats : int
        Fewest beats of a clip.
    folds : str
        How folds are made, where it is not by whole albums.
    unknown : mapping
        Target parameter to the number of clips with seconds where it is null; only those that are null somewhere.
    """

    name: str
    version: str
    about: About
    counts: Mapping[str, int]
    excluded: Mapping[str, Sequence[str]]
    shares: Sequence[tuple[int, str, int]]
    statistics: Mapping[str, tuple[float, float, float, float]]
    ratings: tuple[int, float, int] | None
    has_audio: bool
    min_beats: int
    folds: str = ""
    unknown: Mapping[str, int] = field(default_factory=dict)

    @property
    def configs(self) -> list[str]:
        """Tables with rows; ``datasets`` cannot load one without."""
        return ["targets", "clips", "annotations", *(["beats"] if self.counts["beats"] else []), "folds"]


@dataclass(frozen=True)
class PretrainFacts:
    """What the card of a pre-training dataset tells.

    Attributes
    ----------
    name, version, about
        Of the dataset.
    sample : int or None
        How many clips were to be drawn among those that pass the filter; None: all of them.
    counts : mapping
        ``clips``, ``kept``, ``rejected`` (reason to clips), ``beats``, ``hours``, and ``not examined``: tracks behind
        the last one drawn.
    filter : str
        Which clips are rejected.
    licences : bool
        Whether there is a table of them.
    """

    name: str
    version: str
    about: About
    sample: int | None
    counts: Mapping[str, Any]
    filter: str
    licences: bool = False

    @property
    def configs(self) -> list[str]:
        """Tables."""
        return ["clips", "rhythm", "pitch", *(["licences"] if self.licences else [])]


def size_category(rows: int) -> str:
    """Size category of the Hub's card metadata for a number of rows."""
    bounds = (
        ("n<1K", 10**3),
        ("1K<n<10K", 10**4),
        ("10K<n<100K", 10**5),
        ("100K<n<1M", 10**6),
        ("1M<n<10M", 10**7),
    )
    return next((name for name, bound in bounds if rows < bound), "10M<n<100M")


def labelled_card(facts: LabelledFacts) -> str:
    """Card of a labelled dataset, Markdown with a YAML head."""
    return _card("labelled.md.j2", facts, rows=facts.counts["annotations"])


def pretrain_card(facts: PretrainFacts) -> str:
    """Card of a pre-training dataset, Markdown with a YAML head."""
    return _card("pretrain.md.j2", facts, rows=2 * facts.counts["beats"])


def _card(template: str, facts: Any, *, rows: int) -> str:
    return fill(template, facts=facts, about=facts.about, size=size_category(rows))
