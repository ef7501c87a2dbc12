"""Leaderboard: the results in a folder as tables, in text formats or as an HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ...cards.tables import FORMATS, SUFFIXES, Table, to_csv, to_json, to_latex, to_markdown
from ...errors import InputError
from ...runtime.files import data_folder, write_text
from ...runtime.text import counted
from ..results.store import ResultStore
from ..scoring.ranking import Ranking, ranking
from .controls import control_tables
from .provenance import provenance
from .tables import tables

if TYPE_CHECKING:
    import polars as pl

PAGE = "html"
ALIASES = {"md": "markdown"}


@dataclass(frozen=True)
class Leaderboard:
    """Ranked results.

    Attributes
    ----------
    store : ResultStore
        Results.
    ranking : Ranking
        Ranking of the results.
    tables : list of Table
        Tables of the results.
    left_out : int
        Number of entries that were left out because of outside data.
    """

    store: ResultStore
    ranking: Ranking
    tables: list[Table]
    left_out: int = 0

    def page(self, data: Path | None = None) -> str:
        """Render everything as one HTML page.

        Parameters
        ----------
        data : Path, optional
            Folder of datasets, from which clips take their artists and titles.
        """
        from ...cards.page import render
        from .page import make_page

        return render(make_page(self.store, self.ranking, self.tables, data=data or data_folder()))

    def table(self) -> pl.DataFrame:
        """Return one row per entry, with full precision: what the CSV format holds."""
        import polars as pl

        return pl.DataFrame([record for table in self.tables for record in table.records], infer_schema_length=None)

    def to_html(self, path: str | Path) -> Path:
        """Write the leaderboard as an HTML page, and return its path."""
        [written] = self.save(PAGE, str(path))
        return written

    def __repr__(self) -> str:
        results, datasets = counted(len(self.store.results), "result"), counted(len(self.ranking.counts), "dataset")
        return f"Leaderboard({results} of {datasets})"

    def __str__(self) -> str:
        return rendered(self.tables, "rich")

    def _repr_html_(self) -> str:
        return "".join(table._repr_html_() for table in self.tables)

    def rendered(self, form: str, *, data: Path | None = None) -> str:
        """Render the leaderboard in a format; see :func:`rendered` and :meth:`page`."""
        form = check_format(form, page=True)
        return self.page(data) if form == PAGE else rendered(self.tables, form)

    def save(self, form: str, out: str, *, data: Path | None = None) -> list[Path]:
        """Write the leaderboard as :func:`save` does; the page of a folder is its file ``leaderboard.html``."""
        form = check_format(form, page=True)
        if form != PAGE:
            return save(self.tables, form, out)
        place = Path(out) / f"leaderboard{SUFFIXES[PAGE]}" if _is_folder(out) else Path(out)
        write_text(place, self.page(data))
        return [place]


def load(folder: Path, *, outside_data: bool = True) -> Leaderboard:
    """Read and rank all results in a folder.

    Parameters
    ----------
    folder : Path
        Folder of results.
    outside_data : bool
        Whether entries are included whose features were trained on outside data, or do not state that they were not.

    Raises
    ------
    InputError
        If there is no result.
    """
    store = ResultStore(folder)
    if outside_data:
        return rank(store)
    kept = [result for result in store.results if provenance(result).outside_data is False]
    if store.results and all(result.reference for result in kept):
        raise InputError(f"{folder}: no entry states that it uses no outside data.")
    own = ResultStore.of(folder, kept, store)
    own.problems.extend(store.problems)
    return replace(rank(own), left_out=len(store.results) - len(kept))


def rank(store: ResultStore) -> Leaderboard:
    """Rank the results of a store.

    Raises
    ------
    InputError
        If there is no result.
    """
    if not store.results:
        raise no_results(store.folder, store.problems)
    ranked = ranking(store)
    entries = store.entries
    made = [*tables(entries, ranked, store.variants, store.entry_levels), *control_tables(entries, store)]
    return Leaderboard(store, ranked, made)


def no_results(folder: Path, problems: Sequence[str]) -> InputError:
    """Return the error for a folder without results."""
    lines = "".join(f" {problem}" for problem in problems[:1])
    return InputError(f"{folder}: no results yet.{lines} Make some with 'emobench run --features mfcc'.")


def _is_folder(out: str) -> bool:
    return Path(out).is_dir() or out.endswith("/")


def save(made: Sequence[Table], form: str, out: str) -> list[Path]:
    """Write tables to one file, or to one file each if ``out`` is a folder or ends with a slash.

    Returns
    -------
    list of Path
        Files that were written.

    Raises
    ------
    InputError
        If the format is unknown.
    """
    form, place = check_format(form), Path(out)
    if not _is_folder(out):
        write_text(place, rendered(made, form))
        return [place]
    texts = {place / f"{table.slug}{SUFFIXES[form]}": rendered([table], form) for table in made}
    for path, text in texts.items():
        write_text(path, text)
    return list(texts)


def check_format(form: str, *, page: bool = False) -> str:
    """Return the format that a name stands for.

    Raises
    ------
    InputError
        If tables, or a leaderboard (``page``), cannot be rendered in it.
    """
    form = ALIASES.get(form, form)
    known = (*FORMATS, PAGE) if page else FORMATS
    if form not in known:
        raise InputError(f"`form` {form}: expected {', '.join(known)}.")
    return form


def format_of(out: str | None) -> str:
    """Return the format that the name of a file implies; ``rich`` where it implies none."""
    suffix = Path(out or "").suffix
    return next((form for form, known in SUFFIXES.items() if known == suffix), "rich")


def rendered(made: Sequence[Table], form: str) -> str:
    """Render tables as text.

    Parameters
    ----------
    made : sequence of Table
        Tables.
    form : {"rich", "markdown", "md", "latex", "csv", "json"}
        Format; ``rich`` gives plain text, 132 columns wide.

    Raises
    ------
    InputError
        If the format is unknown.
    """
    form = check_format(form)
    if form == "csv":
        return to_csv(made)
    if form == "json":
        return to_json(made)
    if form == "rich":
        return "".join(map(str, made))
    return "\n".join((to_markdown if form == "markdown" else to_latex)(table) for table in made)
