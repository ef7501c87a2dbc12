"""Your own corpus: two CSV tables and, optionally, a folder of audio.

clips.csv has the columns clip_id, audio, artist, album and optionally title, start, duration: one row per clip.
labels.csv has clip_id, annotator_id, time, arousal, valence: one row per rating, where time is the end of the rated
second, counted from the start of the clip. If no rating has a time, ratings apply to whole clips, and each clip has one
target.

A second, or a whole clip, needs ratings of at least two annotators. The card of the dataset (README.md) takes its
title, licence, terms and citation from options: a card that is edited later no longer matches the manifest.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ...cards.dataset import Provenance
from ...errors import InputError
from ...protocols import REQUIRED, Source, option, sources

if TYPE_CHECKING:
    from ..corpus import LabelledCorpus


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of tables."""

    clips: Path = option(REQUIRED, "Table of the clips.")
    labels: Path = option(REQUIRED, "Table of the ratings.")
    audio: Path | None = option(
        None, "Folder to which the column audio is relative; by default the folder of the table of clips."
    )
    scale: str | tuple[float, float] = option(
        "-0.5,0.5", "Lowest and highest possible rating, such as 1,9.", metavar="LOW,HIGH"
    )
    title: str | None = option(None, "Title of the corpus, for the card.")
    license: str | None = option(None, "Licence of the ratings as the Hub names it, such as cc-by-4.0.")
    terms: str | None = option(None, "Terms of use of the ratings and the music, for the card.")
    citation: Path | None = option(None, "BibTeX file with the citation, for the card.", metavar="FILE")
    annotators: str = option("", "Who rated the music, for the card.")
    instructions: str = option("", "What the annotators were asked to do, for the card.")
    biases: str = option("", "Known biases of the music or the ratings, for the card.")
    errors: str = option("", "Known errors and limits of the corpus, for the card.")

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", parse_scale(self.scale))
        if self.license is not None and not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", self.license):
            raise InputError(f"`license` {self.license}: expected an identifier of the Hub, such as cc-by-4.0.")


def parse_scale(scale: str | tuple[float, float]) -> tuple[float, float]:
    """Parse a scale given as ``"LOW,HIGH"`` or as a pair of numbers.

    Raises
    ------
    InputError
        If it is not two finite numbers in increasing order.
    """
    shown = scale if isinstance(scale, str) else ",".join(map(str, scale))
    try:
        low, high = (float(end) for end in shown.split(","))
    except ValueError:
        raise InputError(f"`scale` {shown}: expected two numbers such as -1,1 or 1,9.") from None
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise InputError(f"`scale` {shown}: expected two finite numbers, the lower first.")
    return low, high


def load(options: Options, *, out: Path, seed: int) -> LabelledCorpus:
    """Read both tables."""
    from ..readers import table

    low, high = parse_scale(options.scale)
    corpus = table.load(options.clips, options.labels, options.audio, low=low, high=high)
    given: dict[str, str | None] = {"title": options.title, "license": options.license, "terms": options.terms}
    if options.citation is not None:
        given["citation"] = _read_text(options.citation)
    origin = Provenance(
        annotators=options.annotators,
        instructions=options.instructions,
        biases=(options.biases,) if options.biases else (),
        limitations=(options.errors,) if options.errors else (),
    )
    stated = {name: text for name, text in given.items() if text is not None}
    about = replace(corpus.about, **stated, provenance=origin)
    # Another card is another content of the dataset.
    card = stated | {name: value for name, value in vars(origin).items() if value}
    return replace(corpus, about=about, settings=corpus.settings | ({"card": card} if card else {}))


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise InputError(f"`citation` {path}: cannot be read ({reason}); expected a BibTeX file.") from error


sources.register(
    Source(
        "table",
        "Your own corpus from two CSV tables.",
        Options,
        load,
        examples=(
            "build-data table --clips clips.csv --labels labels.csv --audio music/ --scale 1,9",
            "build-data table --clips clips.csv --labels labels.csv --dry-run",
            "build-data table --clips clips.csv --labels labels.csv --license cc-by-4.0 --citation corpus.bib",
        ),
    )
)
