"""List what is available."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ..errors import InputError
from .options import AsJson, Models, ResultsFolder
from .output import print_json, print_tables, say, tell


def list_things(
    what: Annotated[
        str,
        typer.Argument(metavar="WHAT", help="features, sources, regressors, metrics, datasets, models or results."),
    ] = "features",
    folder: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="With --plot: folder of the pictures. Default: plots.")
    ] = None,
    results: ResultsFolder = Path("results"),
    models: Models = Path("models"),
    plot: Annotated[
        bool, typer.Option("--plot", help="models: also draw training curves and learned weights as PNG.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List what is available.

    For example:

      emobench list

      emobench list datasets --json

      emobench list models --plot pictures/
    """
    from ..api.listing import available

    if plot and what != "models":
        raise InputError(f"list {what} --plot: only models can be drawn; use 'emobench list models --plot'.")
    if folder is not None and not plot:
        raise InputError(
            f"list {what} {folder}: a folder is used with --plot only; use 'emobench list models --plot DIR'."
        )
    found = available(what, results=results, models=models)
    drawn = None
    if plot:
        from ..benchmark.report.listing import draw_models

        drawn = draw_models(models, folder or Path("plots"))
    pictures = drawn.pictures if drawn else {}
    for problem in [*found.notes, *(drawn.problems if drawn else [])]:
        tell(f"left out: {problem}", err=True)
    if as_json:
        records = [dict(record) for record in found.records]
        for record in records if plot else []:
            record["plots"] = [str(path) for path in pictures.get(record["folder"], [])]
        print_json(records)
        return
    print_tables([replace(found, notes=())])
    for path in (path for paths in pictures.values() for path in paths):
        say(f"wrote {path}")
