"""Tables as text for terminals, Markdown, LaTeX, CSV and JSON."""

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
    optional : sequence of int
        Columns to hide in narrow terminals, in this order. Files always have all columns.
    """

    title: str
    slug: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()
    records: Sequence[dict[str, Any]] = field(default_factory=list)
    text_columns: int = 1
    optional: Sequence[int] = ()


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
    return Group(Text(visible(table.title), style="bold"), _Fitting(shown), *notes, Text())


@dataclass(frozen=True)
class _Fitting:
    """A table that hides optional columns that do not fit and says so; as a last resort, numbers are wrapped."""

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
        # Numbers stay on one line if possible; in a narrow terminal, the last text column is wrapped.
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
