"""Cards of datasets: README.md with the YAML header that the Hub and ``datasets`` read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .render import fill


@dataclass(frozen=True)
class Provenance:
    """Origin of a corpus and of its annotations, for its card and ``croissant.json``; what is not known is empty.

    Attributes
    ----------
    url : str
        Web page of the corpus.
    published : str
        Date of its publication, such as ``2017`` or ``2017-03-10``.
    creators : tuple of str
        People who made the corpus.
    collection : str
        How the music was chosen.
    platform : str
        Where the annotations were collected.
    annotators : str
        Who the annotators were.
    instructions : str
        What they were asked to do, and how their work was checked.
    biases, limitations : tuple of str
        Known biases, and known errors and limits.
    personal : str
        Information on persons in the data.
    """

    url: str = ""
    published: str = ""
    creators: tuple[str, ...] = ()
    collection: str = ""
    platform: str = ""
    annotators: str = ""
    instructions: str = ""
    biases: tuple[str, ...] = ()
    limitations: tuple[str, ...] = ()
    personal: str = ""


@dataclass(frozen=True)
class About:
    """Description of a source, for the cards of its datasets.

    Attributes
    ----------
    title, summary : str
        Heading and first paragraph of the card.
    license : str
        License identifier of the Hub.
    citation : str
        Citation in BibTeX.
    terms : str
        Terms of use and origin of the data.
    synthetic : bool
        Whether the music and the ratings were generated.
    notes : str
        Further Markdown.
    provenance : Provenance
        Origin of the corpus and of its annotations.
    """

    title: str
    summary: str
    license: str
    citation: str
    terms: str
    synthetic: bool = False
    notes: str = ""
    provenance: Provenance = Provenance()


@dataclass(frozen=True)
class LabelledFacts:
    """Facts for the card of a labelled dataset.

    Attributes
    ----------
    name, version, about : str, str, About
        Name, version and source of the dataset.
    counts : mapping
        Number of rows of each table.
    excluded : mapping
        Reason for exclusion to the excluded clips.
    shares : sequence of (int, str, int)
        Repeat, part of the split and number of clips.
    statistics : mapping
        Mean, standard deviation, minimum and maximum of each target parameter over all seconds with known values.
    ratings : (int, float, int) or None
        Minimum, median and maximum number of ratings per second, if known.
    has_audio : bool
        Whether beats were tracked.
    min_beats : int
        Smallest number of beats of a clip.
    static : bool
        Whether each clip has one target.
    folds : str
        Description of the folds, unless they keep albums together.
    unknown : mapping
        Target parameter to the number of clips where it is null in some second; only parameters with nulls.
    columns : mapping
        Table to the types of its columns, as :func:`emobench.builders.release.column_types` returns it.
    references : mapping
        Mean distance and KL divergence (NaN where undefined) of what annotators predict; empty without single ratings.
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
    static: bool
    folds: str = ""
    unknown: Mapping[str, int] = field(default_factory=dict)
    columns: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    references: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def configs(self) -> list[str]:
        """Names of the non-empty tables; ``datasets`` cannot load an empty one."""
        return ["targets", "clips", "annotations", *(["beats"] if self.counts["beats"] else []), "folds"]


@dataclass(frozen=True)
class PretrainFacts:
    """Facts for the card of a pre-training dataset.

    Attributes
    ----------
    name, version, about : str, str, About
        Name, version and source of the dataset.
    sample : int or None
        Number of clips to draw among those that pass the filter, or None for all of them.
    counts : mapping
        ``clips``, ``kept``, ``rejected`` (reason to number of clips), ``beats``, ``hours``, and ``not examined``
        (tracks after the last one drawn).
    filter : str
        Description of the quality filter.
    licences : bool
        Whether there is a table of licences.
    columns : mapping
        As in :class:`LabelledFacts`.
    """

    name: str
    version: str
    about: About
    sample: int | None
    counts: Mapping[str, Any]
    filter: str
    licences: bool = False
    columns: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def configs(self) -> list[str]:
        """Names of the tables."""
        return ["clips", "rhythm", "pitch", "texture", *(["licences"] if self.licences else [])]


def size_category(rows: int) -> str:
    """Return the size category of a number of rows for the metadata of the Hub's cards."""
    bounds = (
        ("n<1K", 10**3),
        ("1K<n<10K", 10**4),
        ("10K<n<100K", 10**5),
        ("100K<n<1M", 10**6),
        ("1M<n<10M", 10**7),
    )
    return next((name for name, bound in bounds if rows < bound), "10M<n<100M")


def labelled_card(facts: LabelledFacts) -> str:
    """Write the card of a labelled dataset, Markdown with a YAML header."""
    return _card("labelled.md.j2", facts, rows=facts.counts["annotations"])


def pretrain_card(facts: PretrainFacts) -> str:
    """Write the card of a pre-training dataset, Markdown with a YAML header."""
    return _card("pretrain.md.j2", facts, rows=2 * facts.counts["beats"])


def _card(template: str, facts: Any, *, rows: int) -> str:
    return fill(template, facts=facts, about=facts.about, size=size_category(rows))
