"""Compare two results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import EmobenchError
from .options import AsJson, ResultsFolder
from .output import print_json, print_tables, say


def compare(
    first: Annotated[
        str,
        typer.Argument(metavar="A", help="A result: its name or signature, what these begin with, or its JSON file."),
    ],
    second: Annotated[str, typer.Argument(metavar="B", help="Another result.")],
    results: ResultsFolder = Path("results"),
    as_json: AsJson = False,
) -> None:
    """Compare two results: scores, paired differences, and what differs in how they were made.

    The exit status is 1 if the scores cannot be compared because the data, folds or clips differ.

    For example:

      emobench compare mfcc chroma

      emobench compare 3f2a 90bc --json

      emobench compare results/d@1.0.0/mfcc-3f2a6c0e91d2.json elsewhere/mfcc-90bc1d7e55aa.json
    """
    from ..api.results import compare as compared

    found = compared(first, second, results=results)
    if as_json:
        print_json(found.record())
    else:
        print_tables([found.table()])
        for what in ("configuration", "data", "versions"):
            own = [each for each in found.differences if each.what == what]
            say(f"{what}: {'the same' if not own else ''}".rstrip())
            for each in own:
                say(f"  {each.key}: {each.first} | {each.second}")
    if found.reason is not None:
        raise EmobenchError(f"these scores cannot be compared: {found.reason}.")
