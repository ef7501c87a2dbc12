"""Compare two results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import EmobenchError
from .options import AsJson
from .output import print_json, print_tables, say


def compare(
    first: Annotated[
        str, typer.Argument(metavar="A", help="A result's file, or what its name or signature begins with.")
    ],
    second: Annotated[str, typer.Argument(metavar="B", help="Another.")],
    results: Annotated[Path, typer.Option(help="Folder of results.")] = Path("results"),
    as_json: AsJson = False,
) -> None:
    """Lay two results side by side: scores, paired difference, and every difference in how they were made.

    Exit status 1, after the differences, where the scores cannot be compared: other data, folds or clips.

    For example:

      emobench compare mfcc chroma

      emobench compare 3f2a 90bc --json

      emobench compare results/d@1.0.0/mfcc-3f2a6c0e91d2.json elsewhere/mfcc-90bc1d7e55aa.json
    """
    from ..benchmark.report.compare import compare as compare_results
    from ..benchmark.report.compare import comparison_table
    from ..benchmark.results.store import ResultStore

    store = ResultStore(results)
    found = compare_results(store.find(first), store.find(second), store)
    if as_json:
        print_json(found.record())
    else:
        print_tables([comparison_table(found)])
        for what in ("configuration", "data", "versions"):
            own = [each for each in found.differences if each.what == what]
            say(f"{what}: {'the same' if not own else ''}".rstrip())
            for each in own:
                say(f"  {each.key}: {each.first} | {each.second}")
    if found.reason is not None:
        raise EmobenchError(f"these scores cannot be compared: {found.reason}.")
