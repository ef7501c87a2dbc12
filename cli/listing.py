"""List what is available."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ..errors import InputError
from ..runtime.files import data_folder
from .options import AsJson, Models
from .output import print_json, print_tables, say, tell


def list_things(
    what: Annotated[str, typer.Argument(help="features, datasets, models or results.")] = "features",
    folder: Annotated[Path | None, typer.Argument(help="With --plot: where pictures go. Default: plots.")] = None,
    results: Annotated[Path, typer.Option(help="Folder of results.")] = Path("results"),
    models: Models = Path("models"),
    plot: Annotated[bool, typer.Option("--plot", help="models: draw training curves and learned rows as PNG.")] = False,
    as_json: AsJson = False,
) -> None:
    """List features, datasets, models or results.

    For example:

      emobench list

      emobench list datasets --json

      emobench list models --plot pictures/
    """
    from ..benchmark.report.listing import draw_models, inventory

    if plot and what != "models":
        raise InputError(f"list {what} --plot: only models have pictures; write 'emobench list models --plot'.")
    if folder is not None and not plot:
        raise InputError(f"list {what} {folder}: a folder goes with --plot; write 'emobench list models --plot DIR'.")
    found = inventory(what, data=data_folder(), models=models, results=results)
    drawn = draw_models(models, folder or Path("plots")) if plot else None
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
