"""The leaderboard: results on disk as tables in a form."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from ..cards.tables import FORMATS, SUFFIXES, Table, to_csv, to_json, to_latex, to_markdown
from ..errors import InputError
from ..files import write_text
from .ranking import ranking
from .results import read_results
from .tables import tables


def load_tables(folder: Path) -> tuple[list[Table], list[str]]:
    """Tables of all results below a folder, ranked, and a line for each file that is none.

    Raises
    ------
    InputError
        If there is no result.
    """
    found = read_results(folder)
    if not found.rows:
        lines = "".join(f" {problem}" for problem in found.problems[:1])
        raise InputError(f"{folder}: no results yet.{lines} Make some with 'emobench run --features mfcc'.")
    return tables(found.rows, ranking(found)), found.problems


def save(made: Sequence[Table], form: str, out: str) -> list[Path]:
    """Write tables to a file, or to one file each where ``out`` is a folder or ends with a slash.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    InputError
        If there is no such form.
    """
    place = Path(out)
    if not (place.is_dir() or out.endswith("/")):
        write_text(place, rendered(made, form))
        return [place]
    texts = {place / f"{table.slug}{SUFFIXES.get(form, '')}": rendered([table], form) for table in made}
    for path, text in texts.items():
        write_text(path, text)
    return list(texts)


def check_format(form: str) -> None:
    """Raise InputError unless tables can be rendered in this form."""
    if form not in FORMATS:
        raise InputError(f"--format {form}: expected {', '.join(FORMATS)}.")


def rendered(made: Sequence[Table], form: str) -> str:
    """Tables as text.

    Parameters
    ----------
    made : sequence of Table
        What to show.
    form : str
        ``rich`` gives plain text, as wide as it needs.

    Raises
    ------
    InputError
        If there is no such form.
    """
    check_format(form)
    if form == "csv":
        return to_csv(made)
    if form == "json":
        return to_json(made)
    if form == "rich":
        from rich.console import Console

        from ..cards.tables import to_rich

        text = io.StringIO()
        console = Console(width=132, color_system=None, file=text)
        for table in made:
            console.print(to_rich(table))
        return text.getvalue()
    return "\n".join((to_markdown if form == "markdown" else to_latex)(table) for table in made)
