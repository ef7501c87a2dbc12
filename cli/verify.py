"""Check results again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InputError
from .options import AsJson, Models
from .output import print_json, say, tell, with_flags

if TYPE_CHECKING:
    from ..benchmark.results.checks import Report
    from ..benchmark.results.collection import Collection


def verify(
    results: Annotated[
        list[str] | None,
        typer.Argument(metavar="RESULT", help="JSON files of results, or names of results in the folder results."),
    ] = None,
    everything: Annotated[
        Path | None, typer.Option("--all", metavar="DIR", help="Check every result in this folder.")
    ] = None,
    dataset: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="Dataset of the results. Default: data/NAME. May be repeated."),
    ] = None,
    models: Models = Path("models"),
    as_json: AsJson = False,
) -> None:
    """Check results again: scores, dataset, folds, weights, signature and every field.

    The exit status is 1 if a check fails, or if the dataset is not available and the result therefore not verified.

    For example:

      emobench verify results/synthetic@1.0.0/mfcc-0f9b3db44607.json

      emobench verify results/d@1.0.0/mfcc-0f9b3db44607.json --dataset data/d --json

      emobench verify --all results
    """
    if bool(results) == (everything is not None):
        raise InputError("verify: expected either results, or a folder of results with --all DIR.")
    if everything is not None and not everything.is_dir():
        raise InputError(f"{everything}: no such folder; expected a folder of results written by 'emobench run'.")
    from ..api.results import verify as verified
    from ..benchmark.results.checks import Report

    places = [everything] if everything is not None else results or []
    found = [verified(place, datasets=dataset or [], models=models) for place in places]
    if as_json:
        print_json(found[0].record() if len(found) == 1 else [each.record() for each in found])
    else:
        for each in found:
            _tell(each) if isinstance(each, Report) else _tell_all(each)
    if not all(each.ok for each in found):
        raise typer.Exit(1)


def _tell(report: Report) -> None:
    """Print a line for each check and each failure."""
    say(str(report.path))
    for check in report.checks:
        for line in check.failures:
            tell(with_flags(f"  FAILED       {check.name}: {line}"))
        if not check.failures:
            say(with_flags(f"  {check.state:<11}  {check.name}: {'; '.join(check.notes)}"))
    if report.state == "not verified":
        tell(with_flags(f"not verified: {'; '.join(report.missing)}"))
    elif report.ok:
        say("verified")


def _tell_all(found: Collection) -> None:
    """Print a line for each verified result and one for each failure."""
    for report in found.reports:
        if report.ok:
            skipped = ", ".join(check.name for check in report.checks if not check.done)
            say(f"verified      {report.path}" + (f" (not checked: {skipped})" if skipped else ""))
        elif not report.failed:
            tell(with_flags(f"not verified  {report.path}: {'; '.join(report.missing)}"))
        for check in report.checks:
            for line in check.failures:
                tell(f"FAILED        {report.path}: {check.name}: {line}")
    for line in found.strays:
        tell(f"FAILED        {line}")
    verified = sum(report.ok for report in found.reports)
    strays = (
        f"; {len(found.strays)} other {'file does' if len(found.strays) == 1 else 'files do'} not belong there"
        if found.strays
        else ""
    )
    say(f"{verified} of {len(found.reports)} results verified{strays}.")
