"""Verification of a folder of results."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from ...errors import EmobenchError, InputError
from ...runtime.progress import progress
from .beside import COMPACT, FEATURES, PARAMETERS
from .checks import Check, Level, Report
from .store import VERIFIED, ResultStore
from .verify import verify
from .verify_data import Datasets


@dataclass(frozen=True, repr=False)
class Collection:
    """Outcome of the verification of a folder.

    Attributes
    ----------
    folder : Path
        Folder of results.
    reports : list of Report
        Report of each result, in the order of their paths.
    strays : list of str
        One line for each file that is not part of a result.
    """

    folder: Path
    reports: list[Report]
    strays: list[str]

    @property
    def ok(self) -> bool:
        """Whether every result is verified and there are no other files."""
        return not self.strays and all(report.ok for report in self.reports)

    def __repr__(self) -> str:
        return f"Collection({sum(report.ok for report in self.reports)} of {len(self.reports)} results verified)"

    def record(self) -> dict[str, JsonValue]:
        """Return all reports as plain data."""
        results: list[JsonValue] = [report.record() for report in self.reports]
        return {"folder": str(self.folder), "ok": self.ok, "results": results, "strays": [*self.strays]}


def verify_all(
    folder: Path, datasets: Datasets, models: Path, *, level: Level = "regression", **options: Any
) -> Collection:
    """Verify every result in a folder; also name duplicates and files that do not belong there.

    Parameters
    ----------
    folder : Path
        Folder of results.
    datasets : Datasets
        Datasets to verify the results with.
    models : Path
        Folder of models, for the weights.
    level : {"scores", "regression", "features"}
        Level.
    **options
        Further options of :func:`.verify.verify`.

    Returns
    -------
    Collection

    Raises
    ------
    InputError
        If the folder does not exist or holds no result.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected a folder of results written by 'emobench run'.")
    files = sorted(_files(folder))
    results = [path for path in files if path.suffix == ".json" and path.parent != folder and path.is_file()]
    if not results:
        raise InputError(f"{folder}: no results yet. Make some with 'emobench run --features mfcc'.")
    store = ResultStore(folder)
    reports = [
        _verified(path, datasets, models, store, level=level, **options)
        for path in progress(results, "verifying", "result", leave=False)
    ]
    _name_duplicates(reports)
    endings = (".json", ".predictions.parquet", FEATURES, COMPACT, PARAMETERS)
    whole = {path.with_suffix(ending) for path in results for ending in endings}
    strays = [
        f"{path}: is not part of a result; expected only <entry>-<signature>.json and files with its name that end in "
        f"{', '.join(endings[1:])}"
        for path in files
        if path not in whole
    ]
    return Collection(folder, reports, strays)


def _files(folder: Path) -> Iterator[Path]:
    """Yield all files in folders of datasets, and data files outside them."""
    for path in folder.iterdir():
        if path.is_dir() and not path.name.startswith("."):
            inside = list(path.iterdir() if "@" in path.name else path.rglob("*"))
            if "@" in path.name or any(_is_data(each) for each in inside):
                yield from inside
        elif _is_data(path) and path.name != VERIFIED:
            yield path


def _is_data(path: Path) -> bool:
    return path.suffix in (".json", ".parquet")


def _verified(
    path: Path, datasets: Datasets, models: Path, store: ResultStore, *, level: Level, **options: Any
) -> Report:
    try:
        return verify(path, datasets, models, store, level=level, **options)
    except EmobenchError as error:
        return Report(path, [Check("file", [str(error).removeprefix(f"{path}: ")])], wanted=level)


def _name_duplicates(reports: list[Report]) -> None:
    """Add a failed check to every result whose entry or signature another result has."""
    seen: dict[str, Path] = {}
    for report in reports:
        if report.result is None:
            continue
        first = seen.setdefault(report.result.key, report.path)
        again = seen.setdefault(f"signature {report.result.signature}", report.path)
        if first != report.path:
            line = f"the same entry as {first}; expected each entry once, whatever versions computed it"
            report.checks.append(Check("duplicates", [line]))
        elif again != report.path:
            report.checks.append(Check("duplicates", [f"the same signature as {again}"]))
