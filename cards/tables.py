"""Tables in the forms people want: terminal, Markdown, LaTeX, CSV, JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ..runtime.text import printable_json, visible
from .render import markdown as _markdown
from .render import one_line as _one_line

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, Group, RenderResult
    from rich.table import Table as RichTable

FORMATS = ("rich", "markdown", "latex", "csv", "json")
SUFFIXES = {"rich": ".txt", "markdown": ".md", "latex": ".tex", "csv": ".csv", "json": ".json", "html": ".html"}


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
        The same rows with full precision, for CSV and JSON; none where another table has them.
    text_columns : int
        Columns to align left.
    optional : sequence of int
        Columns that a narrow terminal goes without, the first to go first; no file does.
    """

    title: str
    slug: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()
    records: Sequence[dict[str, Any]] = field(default_factory=list)
    text_columns: int = 1
    optional: Sequence[int] = ()


# What is left of a name where the terminal is narrow, before an optional column goes.
_NAME_WIDTH = 20


def to_rich(table: Table) -> Group:
    """For a terminal; to be printed with ``rich``. Control characters in names are shown as escapes."""
    from rich.console import Group
    from rich.text import Text

    notes = (Text(visible(note)) for note in table.notes)
    shown = replace(
        table,
        columns=[visible(column) for column in table.columns],
        rows=[[visible(cell) for cell in row] for row in table.rows],
    )
    return Group(Text(visible(table.title), style="bold"), _Fitting(shown), *notes, Text())


@dataclass(frozen=True)
class _Fitting:
    """A table that goes without optional columns where they do not fit, and says so; at last its numbers break."""

    table: Table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.text import Text

        hidden: list[int] = []
        endless = options.update(width=10_000)

        def fits() -> bool:
            roomy = _rich_table(self.table, hidden, name_width=_NAME_WIDTH)
            return console.measure(roomy, options=endless).minimum <= options.max_width

        for place in self.table.optional:
            if fits():
                break
            hidden.append(place)
        yield _rich_table(self.table, hidden, broken=not fits())
        if hidden:
            names = ", ".join(self.table.columns[place] for place in sorted(hidden))
            yield Text(f"Too narrow here for: {names}.")


def _rich_table(table: Table, hidden: Collection[int], *, name_width: int = 0, broken: bool = False) -> RichTable:
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    shown = RichTable(box=box.SIMPLE_HEAD)
    kept = [place for place in range(len(table.columns)) if place not in hidden]
    for place in kept:
        # Numbers stay on one line as long as they can; the last of the names gives way where the terminal is narrow.
        number, gives_way = place >= table.text_columns, place == table.text_columns - 1
        gives_way |= broken and number
        longest = max((len(row[place]) for row in table.rows), default=0)
        least = min(longest, name_width) if gives_way else longest
        heading = table.columns[place].replace(" ", "\n") if number else table.columns[place]
        if broken and number:
            heading = heading.replace("-", "-\n")
            least = max(map(len, heading.split("\n")))
        shown.add_column(
            Text(heading),
            justify="right" if number else "left",
            no_wrap=not gives_way,
            overflow="fold",
            min_width=least if name_width or (broken and (number or not gives_way)) else None,
        )
    for row in table.rows:
        shown.add_row(*(Text(row[place]) for place in kept))
    return shown


def to_markdown(table: Table) -> str:
    """As a GitHub table under a heading."""
    lines = [f"## {_markdown(table.title)}", ""]
    lines.append("| " + " | ".join(_markdown(column) for column in table.columns) + " |")
    lines.append(
        "| " + " | ".join("---" if place < table.text_columns else "---:" for place in range(len(table.columns))) + " |"
    )
    lines += ["| " + " | ".join(_markdown(cell) for cell in row) + " |" for row in table.rows]
    for note in table.notes:
        lines += ["", _markdown(note)]
    return "\n".join(lines) + "\n"


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
    "–": "--",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
}


# Of the Latin letters below U+0180 what LaTeX's standard fonts lack.
_NOT_IN_LATEX = "«»ÐÞðþĄąĐđĘęĦħĮįĸĿŀŉŊŋŦŧŲųſ"


def _latex(text: str) -> str:
    return "".join(_LATEX.get(letter) or _in_fonts(letter) for letter in _one_line(text))


def _in_fonts(letter: str) -> str:
    # At a letter that the fonts lack pdflatex would stop.
    return letter if letter < "\u0180" and letter.isprintable() and letter not in _NOT_IN_LATEX else "?"


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


def _csv_cell(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = visible(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def to_csv(tables: Sequence[Table]) -> str:
    """The records of all tables, one header, RFC 4180.

    Control characters are shown as escapes; text that a spreadsheet would run as a formula gets an apostrophe.
    """
    records = [record for table in tables for record in table.records]
    columns = list(dict.fromkeys(name for record in records for name in record))
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writerow({column: _csv_cell(column) for column in columns})
    writer.writerows({name: _csv_cell(value) for name, value in record.items()} for record in records)
    return out.getvalue()


def to_json(tables: Sequence[Table]) -> str:
    """The tables with their titles, records and notes; one that shows the records of another is left out."""
    shown = [
        {"title": table.title, "notes": list(table.notes), "rows": list(table.records)}
        for table in tables
        if table.records
    ]
    return printable_json(json.dumps(shown, indent=2, ensure_ascii=False, allow_nan=False)) + "\n"
