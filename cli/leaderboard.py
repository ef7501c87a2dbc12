"""Render results as tables or as a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import AsJson, ResultsFolder
from .output import print_tables, say, tell


def leaderboard(
    results: ResultsFolder = Path("results"),
    form: Annotated[
        str, typer.Option("--format", metavar="FORMAT", help="rich, markdown, latex, csv, json or html.")
    ] = "rich",
    out: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="Write to this file instead of printing; if it ends with /, to a folder, one file per table.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Rank and render all results, with one section per dataset.

    The format html gives a page in which every entry can be opened.

    For example:

      emobench leaderboard

      emobench leaderboard --format markdown --out leaderboard.md

      emobench leaderboard --format html --out leaderboard.html
    """
    from ..api.results import leaderboard as ranked

    form = "json" if as_json else form
    made = ranked(results)
    for problem in made.store.problems:
        tell(f"left out: {problem}", err=True)
    if form == "rich" and out is None:
        print_tables(made.tables)
        return
    if out is None:
        typer.echo(made.rendered(form), nl=False)
        return
    for path in made.save(form, out):
        say(f"wrote {path}")
