"""Tables in the forms people want: terminal, Markdown, LaTeX, CSV, JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Group

FORMATS = ("rich", "markdown", "latex", "csv", "json")
SUFFIXES = {"rich": ".txt", "markdown": ".md", "latex": ".tex", "csv": ".csv", "json": ".json"}


@dataclass(frozen=True)
class Table:
    """A table of plain text.

    Attributes
    ----------
    title : str
        What it shows, and of which dataset.
    slug : str
        Its name as a file, without an ending.
    columns : sequence of str
        Headings; the first ``text_columns`` hold names, the others numbers.
    rows : sequence of sequence of str
        Cells.
    notes : sequence of str
        Lines below it.
    records : sequence of dict
        The same rows with full precision, for CSV and JSON.
    text_columns : int
        Columns to align left.
    """

    title: str
    slug: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()
    records: Sequence[dict[str, Any]] = field(default_factory=list)
    text_columns: int = 1


def to_rich(table: Table) -> Group:
    """For a terminal; to be printed with ``rich``. Names from data are shown as they stand."""
    from rich import box
    from rich.console import Group
    from rich.table import Table as RichTable
    from rich.text import Text

    shown = RichTable(box=box.SIMPLE_HEAD)
    for place, column in enumerate(table.columns):
        # Numbers stay on one line; the last of the names gives way where the terminal is narrow.
        shown.add_column(
            Text(column.replace(" ", "\n") if place >= table.text_columns else column),
            justify="left" if place < table.text_columns else "right",
            no_wrap=place != table.text_columns - 1,
        )
    for row in table.rows:
        shown.add_row(*(Text(cell) for cell in row))
    return Group(Text(table.title, style="bold"), shown, *(Text(note) for note in table.notes), Text())


def to_markdown(table: Table) -> str:
    """As a GitHub table under a heading."""
    lines = [f"## {table.title}", ""]
    lines.append("| " + " | ".join(_markdown(column) for column in table.columns) + " |")
    lines.append(
        "| " + " | ".join("---" if place < table.text_columns else "---:" for place in range(len(table.columns))) + " |"
    )
    lines += ["| " + " | ".join(_markdown(cell) for cell in row) + " |" for row in table.rows]
    for note in table.notes:
        lines += ["", _markdown(note)]
    return "\n".join(lines) + "\n"


def _markdown(text: str) -> str:
    for sign in "\\|`*_<>[]":
        text = text.replace(sign, f"\\{sign}" if sign not in "<>" else {"<": "&lt;", ">": "&gt;"}[sign])
    return text


_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "−": r"$-$",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}


def _latex(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in text)


def to_latex(table: Table) -> str:
    """As a ``table`` with booktabs rules."""
    alignment = "l" * table.text_columns + "r" * (len(table.columns) - table.text_columns)
    body = [" & ".join(_latex(cell) for cell in row) + r" \\" for row in table.rows]
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\begin{{tabular}}{{{alignment}}}",
            r"\toprule",
            " & ".join(_latex(column) for column in table.columns) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            rf"\caption{{{_latex(' '.join([table.title + '.', *table.notes]))}}}",
            r"\end{table}",
            "",
        ]
    )


def to_csv(tables: Sequence[Table]) -> str:
    """The records of all tables, one header, RFC 4180."""
    records = [record for table in tables for record in table.records]
    columns = list(dict.fromkeys(name for record in records for name in record))
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return out.getvalue()


def to_json(tables: Sequence[Table]) -> str:
    """The tables with their titles, records and notes."""
    shown = [{"title": table.title, "notes": list(table.notes), "rows": list(table.records)} for table in tables]
    return json.dumps(shown, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
