"""Results of a run as a sequence with names, and as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, overload

import polars as pl

from ..cards.tables import Table
from ..errors import InputError
from .report.controls import control_tables
from .report.labels import by_distance
from .results.model import Result
from .results.seeds import SeedGroup, SeedScore, entries_of
from .runs import Outcome
from .scoring.ranking import beating_constant


class Results(Sequence[Result]):
    """Results of a run, in the order of their entries.

    ``results[0]`` takes a position, ``results["mfcc"]`` the full name of an entry. Several seeds form one entry, whose
    ``members`` are the results of the seeds.

    Attributes
    ----------
    outcome : Outcome
        Notes, remarks and models of the run.
    """

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome
        found, store = outcome.results, outcome.store
        self._results = entries_of(found, store.predictions) if store else list(found)

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
        found = [each for each in self._results if name in (each.name, f"{each.name}|{each.regressor}")]
        found = found or [each for each in self._results if each.name == f"{name}|{each.regressor}"]
        if len(found) != 1:
            known = ", ".join(each.name for each in found or self._results)
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
                if isinstance(score, SeedScore) and score.spread:
                    row |= dict(zip((f"{metric}_lowest_seed", f"{metric}_highest_seed"), score.spread, strict=True))
            rows.append(row)
        return pl.DataFrame(rows, infer_schema_length=None)

    @property
    def best(self) -> Result | None:
        """Result with the smallest mean distance, apart from references and entries that leak; None without one."""
        return min(self._compared(), key=by_distance, default=None)

    def summary(self) -> str | None:
        """Say in one sentence which entry is best, and whether it is significantly better than the training mean.

        The tests are corrected for the number of entries of this run.
        """
        best, store = self.best, self.outcome.store
        if best is None:
            return None
        sentence = f"mean distance {by_distance(best):.3f}"
        beats = beating_constant(store, self._results).get(best.signature) if store else None
        if beats is not None:
            sentence += f"; {'' if beats else 'not '}significantly better than predicting the training mean"
        several = len(self._compared()) > 1
        return f"Best entry: {best.name}, {sentence}." if several else f"{best.name}: {sentence}."

    def seed_groups(self) -> list[SeedGroup]:
        """Return the entries of several seeds."""
        return [each for each in self._results if isinstance(each, SeedGroup)]

    def controls(self) -> list[Table]:
        """Compare learned features with random weights of the same size, where both were scored."""
        store = self.outcome.store
        return control_tables(self._results, store) if store else []

    def _compared(self) -> list[Result]:
        found = (each for each in self._results if not each.reference and each.scores["mean_distance"].mean is not None)
        return [each for each in found if not each.config.carry_over and not each.config.leakage]

    def __repr__(self) -> str:
        return f"Results({', '.join(each.name for each in self._results)})"

    def _repr_html_(self) -> str:
        shown = self.table().select("name", "dims", "mean_distance", "mean_distance_std", "kl_divergence")
        return shown._repr_html_()
