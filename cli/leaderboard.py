"""Render results as tables or as a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..runtime.files import data_folder
from .options import AsJson
from .output import print_tables, say, tell


def leaderboard(
    results: Annotated[Path, typer.Option(help="Folder of results.")] = Path("results"),
    form: Annotated[str, typer.Option("--format", help="rich, markdown, latex, csv, json or html.")] = "rich",
    out: Annotated[
        str | None, typer.Option(help="Write to this file instead of printing; to one file a table in FOLDER/.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Render what was run, one section a dataset; html is a page with a panel for every row.

    For example:

      emobench leaderboard

      emobench leaderboard --format markdown --out leaderboard.md

      emobench leaderboard --format html --out leaderboard.html
    """
    from ..benchmark.report.leaderboard import load

    form = "json" if as_json else form
    made = load(results)
    for problem in made.store.problems:
        tell(f"left out: {problem}", err=True)
    if form == "rich" and out is None:
        print_tables(made.tables)
        return
    if out is None:
        typer.echo(made.rendered(form, data=data_folder()), nl=False)
        return
    for path in made.save(form, out, data=data_folder()):
        say(f"wrote {path}")
