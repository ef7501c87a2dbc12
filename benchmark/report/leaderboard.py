"""The leaderboard: results on disk as tables in a form, or as a page."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...cards.tables import FORMATS, SUFFIXES, Table, to_csv, to_json, to_latex, to_markdown
from ...errors import InputError
from ...runtime.files import write_text
from ..results.store import Results, read_results
from ..scoring.ranking import Ranking, ranking
from .tables import tables

PAGE = "html"


@dataclass(frozen=True)
class Leaderboard:
    """Results below a folder, ranked.

    Attributes
    ----------
    folder : Path
        Of the results.
    results : Results
        As they were read.
    ranking : Ranking
        Of them.
    tables : list of Table
        Of them.
    """

    folder: Path
    results: Results
    ranking: Ranking
    tables: list[Table]

    def page(self, data: Path) -> str:
        """One HTML page of all of it; clips are named as the datasets below ``data`` name them."""
        from ...cards.page import render
        from .page import make_page

        return render(make_page(self.results, self.ranking, self.tables, folder=self.folder, data=data))

    def rendered(self, form: str, *, data: Path) -> str:
        """The leaderboard as text in a form; see :func:`rendered` and :meth:`page`."""
        check_format(form, page=True)
        return self.page(data) if form == PAGE else rendered(self.tables, form)

    def save(self, form: str, out: str, *, data: Path) -> list[Path]:
        """Write the leaderboard as :func:`save` does; a page is one file, ``leaderboard.html`` in a folder."""
        check_format(form, page=True)
        if form != PAGE:
            return save(self.tables, form, out)
        place = Path(out) / f"leaderboard{SUFFIXES[PAGE]}" if _is_folder(out) else Path(out)
        write_text(place, self.page(data))
        return [place]


def load(folder: Path) -> Leaderboard:
    """Read and rank all results below a folder.

    Raises
    ------
    InputError
        If there is no result.
    """
    found = read_results(folder)
    if not found.rows:
        lines = "".join(f" {problem}" for problem in found.problems[:1])
        raise InputError(f"{folder}: no results yet.{lines} Make some with 'emobench run --features mfcc'.")
    ranked = ranking(found)
    return Leaderboard(folder, found, ranked, tables(found.rows, ranked))


def load_tables(folder: Path) -> tuple[list[Table], list[str]]:
    """Tables of all results below a folder, ranked, and a line for each file that is none.

    Raises
    ------
    InputError
        If there is no result.
    """
    made = load(folder)
    return made.tables, made.results.problems


def _is_folder(out: str) -> bool:
    return Path(out).is_dir() or out.endswith("/")


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
    if not _is_folder(out):
        write_text(place, rendered(made, form))
        return [place]
    texts = {place / f"{table.slug}{SUFFIXES.get(form, '')}": rendered([table], form) for table in made}
    for path, text in texts.items():
        write_text(path, text)
    return list(texts)


def check_format(form: str, *, page: bool = False) -> None:
    """Raise InputError unless tables, or a leaderboard that may be a page, can be rendered in this form."""
    known = (*FORMATS, PAGE) if page else FORMATS
    if form not in known:
        raise InputError(f"--format {form}: expected {', '.join(known)}.")


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

        from ...cards.tables import to_rich

        text = io.StringIO()
        console = Console(width=132, color_system=None, file=text)
        for table in made:
            console.print(to_rich(table))
        return text.getvalue()
    return "\n".join((to_markdown if form == "markdown" else to_latex)(table) for table in made)
