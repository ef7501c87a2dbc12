"""Render the leaderboard as one HTML page that works offline: plain data in, text out.

The template escapes names from the data, :func:`embedded` escapes them inside JSON, and the scripts insert them as text
only. The content security policy of the page lists the hash of each script, so no other script runs and nothing is
fetched.
"""

from __future__ import annotations

import base64
import gzip
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

from .page_overview import HEIGHT, WIDTH, overview
from .page_panels import Panels
from .render import fill

# Scripts in the order in which they run. The licence of each vendored library precedes its code.
LIBRARIES = ("datatables", "d3", "plot")
SCRIPTS = ("drawings.js", "panel.js", "columns.js", "page.js")

# Width of an interval plot in pixels, and the margin at both ends.
_WIDTH, _MARGIN = 120, 5

# Larger magnitudes (in a forged result) are drawn at the end of the axis.
_LARGEST = 1e100

# An axis is logarithmic when its ends differ by at least this factor.
_LOGARITHMIC = 20


@dataclass(frozen=True)
class Score:
    """Mean, sample standard deviation over repeats and 95 % interval of a metric; None where undefined.

    ``spread`` is the lowest and highest score of several seeds, as text; empty for a single one.
    """

    mean: float | None
    std: float | None
    low: float | None
    high: float | None
    spread: str = ""


@dataclass(frozen=True)
class Entry:
    """Leaderboard entry.

    Attributes
    ----------
    signature : str
        Signature of the result, which identifies the panel of the entry.
    label : str
        Full name: features, layer, phase, and marks such as the regressor.
    reference : bool
        Whether the entry is a reference, such as the training mean, listed apart from the others.
    layer, phase, regressor
        Layer and phase of the network (None without a network), and regressor.
    ranks : tuple of int or None
        Ranks by mean distance and by KL divergence.
    differs : tuple of int or None
        Number of entries that are significantly worse, and significantly better, by mean distance.
    beats_constant : str
        Whether the entry is significantly better than the training mean: yes, no, or a dash if not compared.
    distance, divergence : Score
        Mean distance and KL divergence.
    dims, clips : int or None, int
        Dimensions of the features (None if unknown), and number of clips in the dataset.
    seconds_per_clip, train_seconds, processor : float, float, str or None
        Cost; None where unknown.
    facts : mapping
        Further lines of the panel, by their names.
    group, outside, parameters : str, str, int or None
        Group of the features, whether they were trained on outside data (yes, no or unknown), and their parameters.
    front : bool
        Whether no other entry is both better and cheaper.
    verified : str
        Level to which the entry was verified when it was published; empty if the leaderboard was not published.
    """

    signature: str
    label: str
    reference: bool
    layer: int | None
    phase: str | None
    regressor: str | None
    ranks: tuple[int | None, int | None]
    differs: tuple[int, int] | None
    beats_constant: str
    distance: Score
    divergence: Score
    dims: int | None
    clips: int
    seconds_per_clip: float | None
    train_seconds: float | None
    processor: str | None
    facts: Mapping[str, str]
    group: str = ""
    outside: str = ""
    parameters: int | None = None
    front: bool = False
    verified: str = ""


@dataclass(frozen=True)
class Section:
    """Leaderboard entries of one dataset and one set of folds.

    Attributes
    ----------
    title : str
        Name of the dataset.
    warning : str
        Warning above the table and in every panel; may be empty.
    entries : sequence of Entry
        Entries sorted by mean distance.
    baseline : tuple of float or None
        Mean distance and KL divergence of the training mean.
    notes : sequence of str
        Lines below the table.
    panels : Panels
        Data of the panels.
    """

    title: str
    warning: str
    entries: Sequence[Entry]
    baseline: tuple[float | None, float | None]
    notes: Sequence[str]
    panels: Panels = field(default_factory=Panels)

    @property
    def best(self) -> Entry | None:
        """Ranked entry with the lowest mean distance, references aside."""
        ranked = (entry for entry in self.entries if not entry.reference and entry.ranks[0] is not None)
        return next((entry for entry in ranked if entry.distance.mean is not None), None)


@dataclass(frozen=True)
class Page:
    """Leaderboard of several datasets.

    Attributes
    ----------
    sections : sequence of Section
        One section per dataset and set of folds.
    problems : sequence of str
        Files that are not results, each with the reason.
    csv, json : str
        All entries, for download.
    level : float
        Significance level of the comparisons.
    version, updated : str
        Version of emobench, and date of the latest result.
    """

    sections: Sequence[Section]
    problems: Sequence[str]
    csv: str
    json: str
    level: float
    version: str
    updated: str


@dataclass(frozen=True)
class Axis:
    """Scale of the interval plots in one column.

    Attributes
    ----------
    low, high : float
        Ends of the axis, which are the ends of the data.
    ticks : sequence of (float, str)
        Positions in pixels from the left, and labels.
    logarithmic : bool
        Whether the scale is logarithmic.
    """

    low: float
    high: float
    ticks: Sequence[tuple[float, str]]
    logarithmic: bool

    def place(self, value: float) -> float:
        """Return the position of a value in pixels; values beyond an end are placed at that end."""
        bounded = min(self.high, max(self.low, value))
        low, high, at = (math.log(x) if self.logarithmic else x for x in (self.low, self.high, bounded))
        return round(_MARGIN + (_WIDTH - 2 * _MARGIN) * (at - low) / (high - low), 1)

    def beyond(self, value: float) -> int:
        """Return -1 for a value below the axis, 1 for one above it, otherwise 0."""
        return (value > self.high) - (value < self.low)


def axis(scores: Sequence[Score]) -> Axis | None:
    """Return the axis from the lowest to the highest mean or interval end, or None without any."""
    ends = [x for one in scores for x in (one.low, one.mean, one.high) if x is not None and abs(x) < _LARGEST]
    if not ends:
        return None
    low, high = min(ends), max(ends)
    logarithmic = low > 0 and high / low >= _LOGARITHMIC
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-9):
        margin = abs(low) * 0.1 or 0.1
        low, high = low - margin, high + margin
    bare = Axis(low, high, [], logarithmic)
    steps = _decades(low, high) if logarithmic else _steps(low, high)
    return Axis(low, high, [(bare.place(step), f"{step:g}") for step in steps], logarithmic)


def _steps(low: float, high: float) -> list[float]:
    """Return two to four round numbers inside a range."""
    power = 10.0 ** math.floor(math.log10(high - low))
    for factor in (5, 2, 1, 0.5):
        step = factor * power
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last > first:
            break
    return [round(number * step, 12) for number in range(first, last + 1, 2 if last - first > 3 else 1)]


def _decades(low: float, high: float) -> list[float]:
    """Return two to five powers of ten, or 1 and 3 times these, inside a range that spans more than a decade."""
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    tens = [10.0**number for number in exponents if low <= 10.0**number <= high]
    if len(tens) > 1:
        return tens[:: 1 + len(tens) // 5]
    found = (factor * 10.0**number for number in exponents for factor in (1, 3))
    return [number for number in found if low <= number <= high]


def embedded(value: Any) -> str:
    """Return a value as JSON that is safe inside a script element."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def compressed(text: str) -> str:
    """Return text as base64 of gzip, which browsers decompress; deterministic."""
    return base64.b64encode(gzip.compress(text.encode("utf-8", "replace"), mtime=0)).decode()


def policy_hash(script: str) -> str:
    """Return the SHA-256 hash of a script in the form of a content security policy."""
    return base64.b64encode(sha256(script.encode()).digest()).decode()


def _differing(section: Section) -> set[str]:
    """Return the optional columns in which entries differ; the regressor of references does not count."""
    entries = [entry for entry in section.entries if not entry.reference]
    values = {
        "regressor": {entry.regressor for entry in entries},
        "clips": {entry.clips for entry in section.entries},
        "processor": {entry.processor for entry in section.entries},
    }
    return {name for name, found in values.items() if len(found) > 1}


@cache
def asset(name: str) -> str:
    """Return the text of a file in ``cards/static``."""
    return files("emobench.cards").joinpath("static", name).read_text(encoding="utf-8")


@cache
def scripts() -> tuple[str, ...]:
    """Return the scripts of the page in the order in which they run."""
    libraries = [
        f"/*\n{asset(f'vendored/{name}.LICENSE.txt').strip()}\n*/\n{asset(f'vendored/{name}.min.js')}"
        for name in LIBRARIES
    ]
    return (*libraries, *map(asset, SCRIPTS))


def _axes(section: Section) -> list[Axis | None]:
    """Return the axes of mean distance and KL divergence, which unranked references such as the oracle do not widen."""
    entries = [entry for entry in section.entries if not entry.reference or entry.ranks[0] is not None]
    bare = [Score(mean, None, None, None) for mean in section.baseline]
    return [
        axis([*(getattr(entry, name) for entry in entries), constant])
        for name, constant in zip(("distance", "divergence"), bare, strict=True)
    ]


def _origins(page: Page) -> list[str]:
    """Return the groups of all entries; empty if there is one only, which needs no columns and no filter."""
    entries = [entry for section in page.sections for entry in section.entries if not entry.reference]
    found = list(dict.fromkeys(entry.group for entry in entries if entry.group))
    return found if len(found) > 1 else []


def render(page: Page) -> str:
    """Return the page as HTML."""
    sections, origins = [], _origins(page)
    for section in page.sections:
        facts = {entry.signature: {"label": entry.label, "lines": entry.facts} for entry in section.entries}
        data = embedded({**asdict(section.panels), "title": section.title, "warning": section.warning, "facts": facts})
        groups = [[entry for entry in section.entries if entry.reference is kind] for kind in (False, True)]
        shown = _differing(section)
        sections.append(
            {
                "section": section,
                "groups": groups,
                "axes": _axes(section),
                "data": data,
                "shown": shown,
                "overview": overview(section.entries, origins),
            }
        )
    texts = embedded({"csv": compressed(page.csv), "json": compressed(page.json)})
    hashes = [policy_hash(script) for script in scripts()]
    text = fill(
        "page.html.j2",
        page=page,
        sections=sections,
        texts=texts,
        scripts=scripts(),
        hashes=hashes,
        style=asset("page.css"),
        counts=[sum(len(each["groups"][kind]) for each in sections) for kind in (0, 1)],
        phases=sorted({entry.phase for section in page.sections for entry in section.entries if entry.phase}),
        width=_WIDTH,
        origins=origins,
        verified=any(entry.verified for section in page.sections for entry in section.entries),
        plot=(WIDTH, HEIGHT),
    )
    # JSON can contain half of a surrogate pair, which cannot be encoded in a file.
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
