"""Checking a whole folder of results, as a repository of results does for every proposal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import EmobenchError, InputError
from ...runtime.progress import progress
from .checks import Check, Report
from .store import row_key
from .verify import verify
from .verify_data import Datasets


@dataclass(frozen=True)
class Collection:
    """What was found out about a folder.

    Attributes
    ----------
    folder : Path
        The folder.
    reports : list of Report
        One a result, in the order of their paths.
    strays : list of str
        A line for each file that is no result and belongs to none.
    """

    folder: Path
    reports: list[Report]
    strays: list[str]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.strays and all(report.ok for report in self.reports)

    def record(self) -> dict[str, Any]:
        """For machines."""
        results = [report.record() for report in self.reports]
        return {"folder": str(self.folder), "ok": self.ok, "results": results, "strays": self.strays}


def verify_all(folder: Path, datasets: Datasets, models: Path) -> Collection:
    """Check every result below a folder, that none stands there twice, and that nothing else lies there.

    Parameters
    ----------
    folder : Path
        As ``run --out`` writes it.
    datasets : Datasets
        Where the datasets may be.
    models : Path
        Folder of models, for the weights.

    Returns
    -------
    Collection

    Raises
    ------
    InputError
        If there is no such folder, or no result in it.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected one with results, as 'emobench run' writes it.")
    files = sorted(_files(folder))
    results = [path for path in files if path.suffix == ".json" and path.parent != folder and path.is_file()]
    if not results:
        raise InputError(f"{folder}: no results yet. Make some with 'emobench run --features mfcc'.")
    reports = [_verified(path, datasets, models) for path in progress(results, "results", "result", leave=False)]
    _name_duplicates(reports)
    whole = {*results, *(path.with_suffix(".parquet") for path in results)}
    strays = [
        f"{path}: belongs to no result; expected <dataset>@<version>/<row>-<signature>.json with its .parquet alone"
        for path in files
        if path not in whole
    ]
    return Collection(folder, reports, strays)


def _files(folder: Path) -> Iterator[Path]:
    """What may be a result, or should not be there: all in folders of datasets, data files at the top."""
    for path in folder.iterdir():
        if path.is_dir() and not path.name.startswith("."):
            inside = list(path.iterdir() if "@" in path.name else path.rglob("*"))
            if "@" in path.name or any(_is_data(each) for each in inside):
                yield from inside
        elif _is_data(path):
            yield path


def _is_data(path: Path) -> bool:
    return path.suffix in (".json", ".parquet")


def _verified(path: Path, datasets: Datasets, models: Path) -> Report:
    try:
        return verify(path, datasets, models)
    except EmobenchError as error:
        return Report(path, [Check("file", [str(error).removeprefix(f"{path}: ")])])


def _name_duplicates(reports: list[Report]) -> None:
    """Add a failed check to every result that stands in the folder already."""
    seen: dict[str, Path] = {}
    for report in reports:
        if report.result is None:
            continue
        first = seen.setdefault(row_key(report.result), report.path)
        again = seen.setdefault(f"signature {report.result['signature']}", report.path)
        if first != report.path:
            line = f"the same row as {first}; expected it once, whatever versions computed it"
            report.checks.append(Check("duplicates", [line]))
        elif again != report.path:
            report.checks.append(Check("duplicates", [f"the same signature as {again}"]))
