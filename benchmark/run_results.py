"""Results of a run as a sequence with names, and as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, overload

import polars as pl

from ..errors import InputError
from .results.model import Result
from .runs import Outcome


class Results(Sequence[Result]):
    """Results of a run, in the order of their entries.

    ``results[0]`` takes a position, ``results["mfcc"]`` the full name of an entry.

    Attributes
    ----------
    outcome : Outcome
        Notes, remarks and models of the run.
    """

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        self._results = list(outcome.results)

    def __len__(self) -> int:
        return len(self._results)

    def __iter__(self) -> Iterator[Result]:
        return iter(self._results)

    @overload
    def __getitem__(self, name: int | str) -> Result: ...
    @overload
    def __getitem__(self, name: slice) -> Sequence[Result]: ...
    def __getitem__(self, name: int | str | slice) -> Result | Sequence[Result]:
        """Return a result by position or by name; an ambiguous or unknown name raises InputError."""
        if not isinstance(name, str):
            return self._results[name]
        found = [each for each in self._results if each.name == name]
        if len(found) != 1:
            known = ", ".join(each.name for each in self._results)
            what = "several entries are called" if found else "no entry is called"
            raise InputError(f"{what} {name!r}; expected one of {known}.")
        return found[0]

    def table(self) -> pl.DataFrame:
        """Return one row per entry: name, dimensions, and mean and standard deviation of every metric."""
        rows = []
        for each in self._results:
            row: dict[str, Any] = {"name": each.name, "dims": each.dims}
            for metric, score in each.scores.items():
                row |= {metric: score.mean, f"{metric}_std": score.std}
            rows.append(row)
        return pl.DataFrame(rows, infer_schema_length=None)

    def __repr__(self) -> str:
        return f"Results({', '.join(each.name for each in self._results)})"

    def _repr_html_(self) -> str:
        shown = self.table().select("name", "dims", "mean_distance", "mean_distance_std", "kl_divergence")
        return shown._repr_html_()
