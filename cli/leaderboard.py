"""Render results as tables or as a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import InputError
from ..runtime.text import counted
from .options import AsJson, ResultsFolder
from .output import print_tables, say, tell


def leaderboard(
    results: ResultsFolder = Path("results"),
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="rich, markdown, latex, csv, json or html. Default: chosen by the ending of --out, otherwise rich.",
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="Write to this file instead of printing; if it ends with /, to a folder, one file per table.",
        ),
    ] = None,
    outside_data: Annotated[
        bool,
        typer.Option(
            "--outside-data/--no-outside-data",
            help="Include entries whose features were trained on outside data, or do not state that they were not.",
        ),
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Show all results with their ranks, with one section per dataset.

    The format html gives a page in which every entry can be opened.

    For example:

      emobench leaderboard

      emobench leaderboard --out leaderboard.md

      emobench leaderboard --out leaderboard.html

      emobench leaderboard --format csv

      emobench leaderboard --no-outside-data
    """
    from ..api.results import leaderboard as ranked
    from ..benchmark.report.leaderboard import format_of

    if as_json and form not in (None, "json"):
        raise InputError(f"leaderboard: --json and --format {form} exclude each other; expected one of them.")
    form = "json" if as_json else form or format_of(out)
    made = ranked(results, outside_data=outside_data)
    for problem in made.store.problems:
        tell(f"left out: {problem}", err=True)
    if made.left_out:
        count = counted(made.left_out, "entry", "entries")
        tell(f"left out: {count} with outside data, or without a statement about them", err=True)
    if form == "rich" and out is None:
        print_tables(made.tables)
        return
    if out is None:
        typer.echo(made.rendered(form), nl=False)
        return
    for path in made.save(form, out):
        say(f"wrote {path}")
