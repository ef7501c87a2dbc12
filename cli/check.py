"""Look for errors in datasets."""

from __future__ import annotations

from typing import Annotated

import typer

from ..runtime.progress import status
from .options import AsJson, Scheduler, Workers
from .output import print_json, print_tables, say


def check(
    datasets: Annotated[
        list[str], typer.Argument(metavar="DATASET", help="Labelled datasets: folders, or hf://user/name@v1.0.0.")
    ],
    workers: Workers = None,
    scheduler: Scheduler = None,
    as_json: AsJson = False,
) -> None:
    """Look for errors in datasets: duplicate recordings and songs, exchanged axes, changed scales, leaking splits.

    Each dataset is checked by itself and with each of the others. The exit status is 1 if something is found.

    For example:

      emobench check data/mine

      emobench check data/deam data/emomusic --json
    """
    status("starting")
    from ..api.checking import check as checked

    found = checked(*datasets, workers=workers, scheduler=scheduler)
    if as_json:
        print_json(found.record())
    elif found:
        print_tables([found.summary()])
    else:
        say(f"{' and '.join(found.datasets)}: nothing found.")
        for note in found.remarks():
            say(f"  {note}")
    if found:
        raise typer.Exit(1)
