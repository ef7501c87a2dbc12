"""Check results again."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from ..errors import InputError
from .options import AsJson, Models
from .output import print_json, say, tell, with_flags

if TYPE_CHECKING:
    from ..benchmark.results.checks import Level, Report
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
    level: Annotated[
        str,
        typer.Option(
            metavar="LEVEL",
            help="scores: score the predictions again; regression: also compute them again from the stored features; "
            "features: also compute the features again from audio and weights.",
        ),
    ] = "regression",
    retrain: Annotated[
        bool, typer.Option("--retrain", help="Fit trained regressors again too, and report the difference.")
    ] = False,
    models: Models = Path("models"),
    audio: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Audio of the clips for the level features, if not where the dataset has it."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Verify results by computing them again.

    The output names the level that was reached, and everything that was not checked. The exit status is 1 if a check
    fails or a result does not reach the level: without its dataset none is reached, and predictions that were made
    elsewhere reach only scores.

    For example:

      emobench verify results/synthetic@1.0.0/mfcc-0f9b3db44607.json

      emobench verify results/d@1.0.0/mfcc-0f9b3db44607.json --dataset data/d --json

      emobench verify --all results

      emobench verify --all results --level features --retrain
    """
    if bool(results) == (everything is not None):
        raise InputError("verify: expected either results, or a folder of results with --all DIR.")
    if everything is not None and not everything.is_dir():
        raise InputError(f"{everything}: no such folder; expected a folder of results written by 'emobench run'.")
    from ..api.results import verify as verified
    from ..benchmark.results.checks import Report

    places = [everything] if everything is not None else results or []
    wanted = cast("Level", level)
    found = [
        verified(place, level=wanted, retrain=retrain, datasets=dataset or [], models=models, audio=audio)
        for place in places
    ]
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
    for line in report.unchecked:
        say(with_flags(f"  not checked  {line}"))
    if report.level is not None and not report.ok:
        tell(with_flags(f"not verified to {report.wanted}, only to {report.level}: {'; '.join(report.missing)}"))
    elif report.state == "not verified":
        tell(with_flags(f"not verified: {'; '.join(report.missing)}"))
    elif report.ok:
        say(f"verified to {report.level}")


def _tell_all(found: Collection) -> None:
    """Print a line for each verified result and one for each failure."""
    for report in found.reports:
        if report.ok:
            say(f"verified      {report.path}")
        elif not report.failed:
            reached = f" (only {report.level})" if report.level else ""
            tell(with_flags(f"not verified  {report.path}{reached}: {'; '.join(report.missing)}"))
        for check in report.checks:
            for line in check.failures:
                tell(f"FAILED        {report.path}: {check.name}: {line}")
    for line in found.strays:
        tell(f"FAILED        {line}")
    for line, count in Counter(line for report in found.reports for line in report.unchecked).items():
        say(with_flags(f"not checked   {line} ({count} of {len(found.reports)})"))
    verified = sum(report.ok for report in found.reports)
    strays = (
        f"; {len(found.strays)} other {'file does' if len(found.strays) == 1 else 'files do'} not belong there"
        if found.strays
        else ""
    )
    wanted = found.reports[0].wanted
    say(f"{verified} of {len(found.reports)} results verified to {wanted}{strays}.")
