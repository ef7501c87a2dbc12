"""Tables as text for terminals, Markdown, LaTeX, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from typing import TYPE_CHECKING, Any

from ..runtime.text import printable_json, visible
from .render import markdown as _markdown
from .render import one_line as _one_line
from .scatter import Scatter

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, Group, RenderResult
    from rich.table import Table as RichTable

FORMATS = ("rich", "markdown", "latex", "csv", "json")
SUFFIXES = {"rich": ".txt", "markdown": ".md", "latex": ".tex", "csv": ".csv", "json": ".json", "html": ".html"}


@dataclass(frozen=True, repr=False)
class Table:
    """A table of plain text.

    Attributes
    ----------
    title : str
        Content of the table and name of the dataset.
    slug : str
        Name of its file without a suffix.
    columns : sequence of str
        Headings; the first ``text_columns`` columns have text, the others numbers.
    rows : sequence of sequence of str
        Cells.
    notes : sequence of str
        Lines below the table.
    records : sequence of dict
        The same rows with full precision, for CSV and JSON; empty if another table has them.
    text_columns : int
        Number of columns to align left.
    optional : sequence of tuple of int
        Groups of columns to hide in narrow terminals, in this order. Files always have all columns.
    plot : Scatter or None
        Plot below the table, in terminals and text files only.
    """

    title: str
    slug: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()
    records: Sequence[dict[str, Any]] = field(default_factory=list)
    text_columns: int = 1
    optional: Sequence[tuple[int, ...]] = ()
    plot: Scatter | None = None

    def __repr__(self) -> str:
        return f"Table({self.title!r}, {len(self.rows)} rows)"

    def __str__(self) -> str:
        """Return the table as plain text, at most 132 columns wide."""
        from rich.console import Console

        text = io.StringIO()
        Console(width=132, color_system=None, file=text).print(to_rich(self))
        return text.getvalue()

    def _repr_html_(self) -> str:
        """Return the table as notebooks show it."""

        def cells(row: Sequence[str], tag: str) -> str:
            sides = ["left" if place < self.text_columns else "right" for place in range(len(row))]
            made = (
                f'<{tag} style="text-align:{side}">{escape(cell)}</{tag}>'
                for side, cell in zip(sides, row, strict=True)
            )
            return f"<tr>{''.join(made)}</tr>"

        rows = "".join(cells(row, "td") for row in self.rows)
        notes = "".join(f"<p><small>{escape(note)}</small></p>" for note in self.notes)
        return (
            f"<table><caption>{escape(self.title)}</caption><thead>{cells(self.columns, 'th')}</thead>"
            f"<tbody>{rows}</tbody></table>{notes}"
        )


# Width to which names may be wrapped in a narrow terminal before an optional column is hidden.
_NAME_WIDTH = 20


def to_rich(table: Table) -> Group:
    """Format a table for a terminal, to be printed with ``rich``; control characters are shown as escapes."""
    from rich.console import Group
    from rich.text import Text

    notes = (Text(visible(note)) for note in table.notes)
    shown = replace(
        table,
        columns=[visible(column) for column in table.columns],
        rows=[[visible(cell) for cell in row] for row in table.rows],
    )
    plot = [table.plot, Text()] if table.plot else []
    return Group(Text(visible(table.title), style="bold"), _Fitting(shown), *plot, *notes, Text())


@dataclass(frozen=True)
class _Fitting:
    """A table that wraps names, then hides optional columns, then wraps numbers until it fits."""

    table: Table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.text import Text

        table, endless = self.table, options.update(width=10_000)
        names = [row[table.text_columns - 1] for row in table.rows]
        whole = max(map(len, names), default=0)
        piece = max((len(piece) for name in names for piece in _pieces(name)), default=0)
        least = max(piece, min(whole, _NAME_WIDTH))

        def width(hidden: Collection[int], name: int, broken: bool = False) -> int:
            return console.measure(_rich_table(table, hidden, name, broken), options=endless).minimum

        hidden: list[int] = []
        for group in table.optional:
            if width(hidden, least) <= options.max_width:
                break
            hidden += group
        broken = width(hidden, least) > options.max_width
        least = piece if broken else least
        used = max((len(line) for name in names for line in _wrapped(name, least).split("\n")), default=0)
        spare = options.max_width - width(hidden, least, broken)
        yield _rich_table(table, hidden, max(1, min(whole, used + spare)), broken)
        if hidden:
            columns = [table.columns[place] for place in sorted(hidden)]
            listed = " and ".join(filter(None, [", ".join(columns[:-1]), columns[-1]]))
            yield Text(f"Columns left out for lack of space: {listed}.")


def _pieces(name: str) -> list[str]:
    """Split a name where it may be wrapped: after spaces and plus signs."""
    return re.findall(r"[^+ ]*[+ ]|[^+ ]+", name)


def _wrapped(name: str, width: int) -> str:
    """Wrap a name to lines of a width; longer pieces keep a line of their own."""
    lines = [""]
    for piece in _pieces(name):
        if lines[-1] and len((lines[-1] + piece).rstrip()) > width:
            lines.append("")
        lines[-1] += piece
    return "\n".join(line.rstrip() for line in lines)


def _rich_table(table: Table, hidden: Collection[int], name_width: int, broken: bool) -> RichTable:
    """Make a table whose names are wrapped to a width; if ``broken``, numbers and headings are wrapped too."""
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    shown = RichTable(box=box.SIMPLE_HEAD)
    columns: list[list[str]] = []
    for place, title in enumerate(table.columns):
        if place in hidden:
            continue
        number, is_name = place >= table.text_columns, place == table.text_columns - 1
        heading = title.replace(" ", "\n") if number else title
        if broken and number:
            heading = heading.replace("-", "-\n")
        cells = [_wrapped(row[place], name_width) if is_name else row[place] for row in table.rows]
        columns.append(cells)
        # Numbers may be wrapped at their spaces.
        parts = [part for cell in [heading, *cells] for part in (cell.split() if broken and number else [cell])]
        shown.add_column(
            Text(heading),
            justify="right" if number else "left",
            no_wrap=not (broken and number),
            overflow="fold",
            min_width=max((len(line) for part in parts for line in part.split("\n")), default=0),
        )
    for row in zip(*columns, strict=True):
        shown.add_row(*map(Text, row))
    return shown


def to_markdown(table: Table) -> str:
    """Format a table as GitHub Markdown under a heading."""
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


# Latin letters below U+0180 that LaTeX's standard fonts lack.
_NOT_IN_LATEX = "«»ÐÞðþĄąĐđĘęĦħĮįĸĿŀŉŊŋŦŧŲųſ"


def _latex(text: str) -> str:
    return "".join(_LATEX.get(letter) or _in_fonts(letter) for letter in _one_line(text))


def _in_fonts(letter: str) -> str:
    # pdflatex stops at characters that the fonts lack.
    return letter if letter < "\u0180" and letter.isprintable() and letter not in _NOT_IN_LATEX else "?"


def to_latex(table: Table) -> str:
    """Format a table as a LaTeX ``table`` with booktabs rules."""
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
    """Format the records of all tables as CSV (RFC 4180) with one header.

    Control characters are shown as escapes. Text that a spreadsheet would interpret as a formula gets an apostrophe.
    """
    records = [record for table in tables for record in table.records]
    columns = list(dict.fromkeys(name for record in records for name in record))
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writerow({column: _csv_cell(column) for column in columns})
    writer.writerows({name: _csv_cell(value) for name, value in record.items()} for record in records)
    return out.getvalue()


def to_json(tables: Sequence[Table]) -> str:
    """Format tables as JSON with titles, records and notes, without tables that share the records of another."""
    shown = [
        {"title": table.title, "notes": list(table.notes), "rows": list(table.records)}
        for table in tables
        if table.records
    ]
    return printable_json(json.dumps(shown, indent=2, ensure_ascii=False, allow_nan=False)) + "\n"
