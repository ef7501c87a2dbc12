"""What was found in datasets, as typed records, tables and HTML."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, overload

from pydantic import JsonValue

from ...cards.tables import Table
from ...runtime.text import counted, few

if TYPE_CHECKING:
    import polars as pl

# Kinds of findings, in the order in which they are reported, and what they mean.
KINDS = {
    "recordings": "the same recording in several clips",
    "songs": "the same song, by artist and title",
    "axes": "exchanged or inverted axes",
    "scale": "ratings on different scales",
    "targets": "targets too similar to be independent",
    "splits": "clips on both sides of a split",
}


@dataclass(frozen=True)
class Clip:
    """A clip of one of the datasets."""

    dataset: str
    clip_id: str


@dataclass(frozen=True, repr=False)
class Finding:
    """Something wrong in one dataset, or in two datasets used together.

    Attributes
    ----------
    kind : str
        One of :data:`KINDS`.
    datasets : tuple of str
        Names of the one or two datasets.
    clips : tuple of tuple of Clip
        Clips that belong together: pairs of two datasets, or groups of one dataset. Empty if all clips are affected.
    what : str
        What was found, in one sentence.
    measured : str
        What was measured, and the threshold it was compared with.
    fix : str
        What to do. Names of parameters are in backquotes.
    """

    kind: str
    datasets: tuple[str, ...]
    clips: tuple[tuple[Clip, ...], ...]
    what: str
    measured: str
    fix: str

    def __repr__(self) -> str:
        return f"Finding({self.kind!r}, {' and '.join(self.datasets)}: {self.what})"

    def named(self, most: int = 5) -> str:
        """Name the first groups of clips."""
        return few((" = ".join(clip.clip_id for clip in group) for group in self.clips), most)

    def record(self) -> dict[str, JsonValue]:
        """Return the finding as plain data."""
        clips: list[JsonValue] = [
            [{"dataset": clip.dataset, "clip_id": clip.clip_id} for clip in group] for group in self.clips
        ]
        return {
            "kind": self.kind,
            "datasets": [*self.datasets],
            "clips": clips,
            "what": self.what,
            "measured": self.measured,
            "fix": self.fix,
        }


@dataclass(frozen=True, repr=False)
class Findings(Sequence[Finding]):
    """Outcome of :func:`emobench.check`: a sequence of :class:`Finding`.

    Attributes
    ----------
    datasets : tuple of str
        Datasets that were checked.
    found : tuple of Finding
        Findings, ordered by kind.
    not_checked : tuple of str
        What could not be checked, with the reason.
    notes : tuple of str
        Other remarks, such as that two datasets have nothing in common.
    """

    datasets: tuple[str, ...]
    found: tuple[Finding, ...]
    not_checked: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @overload
    def __getitem__(self, place: int) -> Finding: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Finding, ...]: ...
    def __getitem__(self, place: int | slice) -> Finding | tuple[Finding, ...]:
        return self.found[place]

    def __len__(self) -> int:
        return len(self.found)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.found)

    def __repr__(self) -> str:
        kinds = ", ".join(finding.kind for finding in self.found) or "nothing found"
        return f"Findings({', '.join(self.datasets)}: {kinds})"

    def __str__(self) -> str:
        return str(self.summary())

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()

    def table(self) -> pl.DataFrame:
        """Return one row per finding: ``kind, datasets, clips`` (number), ``what, measured, fix``."""
        import polars as pl

        rows = [
            {
                "kind": finding.kind,
                "datasets": list(finding.datasets),
                "clips": len({clip for group in finding.clips for clip in group}),
                "what": finding.what,
                "measured": finding.measured,
                "fix": finding.fix,
            }
            for finding in self.found
        ]
        text = pl.String
        schema = {"kind": text, "datasets": pl.List(text), "clips": pl.Int64, "what": text, "measured": text}
        return pl.DataFrame(rows, schema={**schema, "fix": text})

    def summary(self) -> Table:
        """Return a table of the findings, with measurements and corrections as notes."""
        rows = [
            (
                str(number),
                finding.kind,
                " and ".join(finding.datasets),
                str(len({clip for group in finding.clips for clip in group})),
            )
            for number, finding in enumerate(self.found, 1)
        ]
        notes = []
        for number, finding in enumerate(self.found, 1):
            named = f" ({finding.named()})" if finding.clips else ""
            notes += [
                f"{number}. {finding.what[0].upper()}{finding.what[1:]}{named}.",
                f"   Measured: {finding.measured}.",
                f"   To correct this: {finding.fix}.",
            ]
        notes += self.remarks()
        title = f"{counted(len(self.found), 'finding')} in {' and '.join(self.datasets)}"
        return Table(title, "check", ("", "Finding", "Datasets", "Clips"), rows, notes, text_columns=3)

    def remarks(self) -> list[str]:
        """Return lines on what was not found and what could not be checked."""
        return [
            *(f"Note: {line}." for line in self.notes),
            *(f"Not checked: {line}." for line in self.not_checked),
        ]

    def record(self) -> dict[str, JsonValue]:
        """Return everything as plain data."""
        findings: list[JsonValue] = [finding.record() for finding in self.found]
        return {
            "datasets": [*self.datasets],
            "findings": findings,
            "not_checked": [*self.not_checked],
            "notes": [*self.notes],
        }
