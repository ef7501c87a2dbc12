"""The leaderboard as one HTML page that needs no network: plain data in, text out.

Names from data are escaped by the template, and by :func:`embedded` where they stand in JSON; scripts get them as
text alone. The page's security policy names the hash of each script, so nothing else can run, and nothing is fetched.
"""

from __future__ import annotations

import base64
import gzip
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

from .render import fill

# Scripts in the order in which they run; a vendored one with its licence.
LIBRARIES = ("datatables", "d3", "plot")
SCRIPTS = ("drawings.js", "panel.js", "page.js")

# Width of a drawn interval in pixels.
_WIDTH = 120

_ENDLESS = 1e100

# From this ratio of its ends on an axis is logarithmic.
_LOGARITHMIC = 20


@dataclass(frozen=True)
class Score:
    """A score: mean, sample SD over the repeats and 95 % interval; None where undefined."""

    mean: float | None
    std: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Entry:
    """A row of a ranking.

    Attributes
    ----------
    signature : str
        By which its panel is called.
    name, marks : str
        Features, and what the tables write after them.
    layer, phase, regressor
        Of the row.
    ranks : tuple of str
        By mean distance and by KL divergence, as they are shown.
    order : tuple of int or None
        The same as numbers.
    differs : tuple of int or None
        Number of entries that are significantly worse, and significantly better, by mean distance.
    beats_constant : str
        Whether it is significantly better than the training mean: yes, no, or a dash where it was not compared.
    distance, divergence : Score
        Mean distance and KL divergence.
    dims, clips : int
        Of the features, and of the dataset.
    cost : mapping
        ``seconds_per_clip, train_seconds, processor``, as far as known.
    label : str
        The row by itself, as its panel is called.
    facts : mapping
        Lines of the panel: what is said of the row beside its scores.
    """

    signature: str
    name: str
    marks: str
    layer: int | None
    phase: str | None
    regressor: str
    ranks: tuple[str, str]
    order: tuple[int | None, int | None]
    differs: tuple[int, int] | None
    beats_constant: str
    distance: Score
    divergence: Score
    dims: int
    clips: int
    cost: Mapping[str, Any]
    label: str
    facts: Mapping[str, str]


@dataclass(frozen=True)
class Section:
    """Rows of one dataset and one set of folds.

    Attributes
    ----------
    title : str
        Of the dataset.
    warning : str
        What stands above the table, and in every panel; empty where nothing does.
    entries : sequence of Entry
        Rows in the order of their mean distance.
    baseline : tuple of float or None
        Mean distance and KL divergence of the training mean.
    notes : sequence of str
        Lines below the table.
    data : mapping
        Of its panels.
    """

    title: str
    warning: str
    entries: Sequence[Entry]
    baseline: tuple[float | None, float | None]
    notes: Sequence[str]
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Page:
    """A leaderboard.

    Attributes
    ----------
    sections : sequence of Section
        One a dataset.
    problems : sequence of str
        Files that were left out, and why.
    csv, json : str
        All rows, for download.
    version, updated : str
        Of emobench, and the day of the latest result.
    """

    sections: Sequence[Section]
    problems: Sequence[str]
    csv: str
    json: str
    version: str
    updated: str


@dataclass(frozen=True)
class Axis:
    """The scale of a column of drawn intervals, in pixels from its left."""

    low: float
    high: float
    ticks: Sequence[tuple[float, str]]
    logarithmic: bool

    def place(self, value: float) -> float:
        """Where a value is drawn."""
        low, high, at = (math.log(x) if self.logarithmic else x for x in (self.low, self.high, value))
        return round(4 + (_WIDTH - 8) * min(1.0, max(0.0, (at - low) / (high - low))), 1)


def axis(scores: Sequence[Score]) -> Axis | None:
    """A scale on which all means and intervals fit; None where there is none to draw."""
    ends = [x for one in scores for x in (one.low, one.mean, one.high) if x is not None]
    # What is beyond all measure, in a result that was made up, is drawn at the end.
    drawn = [x for x in ends if abs(x) < _ENDLESS]
    if not drawn:
        return None
    low, high = min(drawn), max(drawn)
    logarithmic = low > 0 and high / low >= _LOGARITHMIC
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-9):
        margin = abs(low) * 0.1 or 0.1
        low, high = low - margin, high + margin
    steps = _decades(low, high) if logarithmic else _steps(low, high)
    made = Axis(min(low, steps[0]), max(high, steps[-1]), [], logarithmic)
    return Axis(made.low, made.high, [(made.place(step), f"{step:g}") for step in steps], logarithmic)


def _steps(low: float, high: float) -> list[float]:
    """Two to four round numbers that enclose a range."""
    rough = (high - low) / 2
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(factor for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]


def _decades(low: float, high: float) -> list[float]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    return [10.0**number for number in range(first, last + 1, max(1, (last - first + 2) // 3))]


def embedded(value: Any) -> str:
    """JSON that may stand inside a script element, whatever is in it."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def compressed(text: str) -> str:
    """Text as base64 of gzip, which browsers unpack; the same text gives the same."""
    return base64.b64encode(gzip.compress(text.encode("utf-8", "replace"), mtime=0)).decode()


def policy_hash(script: str) -> str:
    """SHA-256 of a script, as a content security policy names it."""
    return base64.b64encode(sha256(script.encode()).digest()).decode()


def _columns(section: Section) -> dict[str, Any]:
    """Which of the columns that may be alike in all rows are not, and the regressor where all have one."""
    values = {
        "regressor": {entry.regressor for entry in section.entries},
        "clips": {entry.clips for entry in section.entries},
        "processor": {entry.cost["processor"] for entry in section.entries},
    }
    shown = {name for name, found in values.items() if len(found) > 1}
    return {"shown": shown, "regressor": None if "regressor" in shown else values["regressor"].pop()}


@cache
def asset(name: str) -> str:
    """Text of a file of ``cards/static``."""
    return files("emobench.cards").joinpath("static", name).read_text(encoding="utf-8")


@cache
def scripts() -> tuple[str, ...]:
    """Scripts of the page."""
    libraries = [
        f"/*\n{asset(f'vendored/{name}.LICENSE.txt').strip()}\n*/\n{asset(f'vendored/{name}.min.js')}"
        for name in LIBRARIES
    ]
    return (*libraries, *map(asset, SCRIPTS))


def render(page: Page) -> str:
    """The page as HTML."""
    sections = []
    for section in page.sections:
        axes = [axis([getattr(entry, name) for entry in section.entries]) for name in ("distance", "divergence")]
        facts = {entry.signature: {"label": entry.label, "lines": entry.facts} for entry in section.entries}
        data = embedded({**section.data, "title": section.title, "warning": section.warning, "facts": facts})
        sections.append({"section": section, "axes": axes, "data": data, **_columns(section)})
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
        count=sum(len(section.entries) for section in page.sections),
        phases=sorted({entry.phase for section in page.sections for entry in section.entries if entry.phase}),
        width=_WIDTH,
    )
    # Half of a surrogate pair, which JSON can hold and a file cannot.
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
