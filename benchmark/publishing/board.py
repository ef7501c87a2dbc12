"""``emobench publish leaderboard``: results and predictions to a repository, their page to a static Space."""

from __future__ import annotations

import io
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from ...cards.hub import Repository, check_name
from ...cards.hub_files import Upload
from ...cards.hub_pages import results_card, space_card
from ...cards.hub_release import Release, Released, carry_out, plan
from ...errors import InputError
from ...runtime.files import digest
from ...runtime.progress import progress
from ..report.tables import tables
from ..results.store import finished, read_results
from ..results.verify import refuse_wrong
from ..results.verify_data import Datasets
from .dataset import forbidden_in

RESULTS = "results"
SCORES = "scores/train-00000.parquet"


@dataclass(frozen=True)
class Rows:
    """Results of a folder that are whole.

    Attributes
    ----------
    results : dict
        ``<dataset>@<version>/<name>``, without an ending, to the result; its predictions lie beside it.
    folder : Path
        Where they lie.
    problems : list of str
        What was left out, and why.
    """

    results: dict[str, dict[str, Any]]
    folder: Path
    problems: list[str]

    def paths(self, name: str) -> dict[str, Path]:
        """The two files of a row, by their paths below the folder."""
        return {f"{name}{ending}": self.folder / f"{name}{ending}" for ending in (".json", ".parquet")}


def read_rows(folder: Path) -> Rows:
    """Results of a folder with their predictions."""
    found = read_results(folder)
    rows, problems = {}, list(found.problems)
    for path in found.paths.values():
        whole = finished(path)
        if whole is None:
            problems.append(f"{path}: it or its predictions are not as they were written; 'emobench verify' says more.")
        else:
            rows[path.relative_to(folder).with_suffix("").as_posix()] = whole
    return Rows(rows, folder, problems)


def check_rows(rows: Rows, names: Sequence[str], datasets: Datasets, models: Path) -> None:
    """Refuse to send rows that anyone could find wrong with ``emobench verify``.

    Raises
    ------
    InputError
        Naming the first that fails.
    """
    for name in progress(names, "verifying", "row", leave=False):
        refuse_wrong(rows.folder / f"{name}.json", datasets, models)


@dataclass(frozen=True)
class Board:
    """What ``publish leaderboard`` sends.

    Attributes
    ----------
    results : Release
        To the repository of results.
    space : Release or None
        To the Space.
    new : list of str
        Rows that are not in the repository yet.
    problems : list of str
        Files that were left out, and why.
    """

    results: Release
    space: Release | None
    new: list[str]
    problems: list[str]


def board(
    folder: Path,
    repo: str,
    *,
    space: str | None,
    render_page: Callable[[Path], str],
    datasets: Datasets,
    models: Path,
    private: bool = True,
    tag: bool = False,
    create_pr: bool = False,
    look: bool = True,
) -> Board:
    """What of a results folder goes: rows that are not there yet, and the tables and page of all rows.

    Parameters
    ----------
    folder : Path
        As ``run --out`` writes it.
    repo, space : str
        ``user/name`` of the repository of results, and of the Space; None for no Space.
    render_page : callable
        Gives the page of a results folder, one HTML file.
    datasets, models
        Against which new rows are verified, as for :func:`.verify.verify`.
    private, create_pr
        As in :class:`.hub_release.Release`; a proposal holds the new rows alone.
    tag : bool
        Tag the commit with the hash of its rows.
    look : bool
        Whether to look at what the repository holds; without, all rows here count as new.

    Raises
    ------
    InputError
        If there is no row, one fails its check, or one differs from that of the same signature there.
    """
    check_name(repo)
    own = read_rows(folder)
    if not own.results:
        lines = "".join(f" {problem}" for problem in own.problems[:1])
        raise InputError(f"{folder}: no results yet.{lines} Make some with 'emobench run --features mfcc'.")
    there, head = _published(repo) if look else (None, None)
    known = there.results if there else {}
    for name in own.results.keys() & known.keys():
        if own.results[name]["scores"] != known[name]["scores"]:
            raise InputError(
                f"{folder / name}.json: {repo} holds a row of the same signature with other scores; one of the two "
                "was changed."
            )
    new = [name for name in own.results if name not in known]
    check_rows(own, new, datasets, models)
    sent = {path: place for name in new for path, place in own.paths(name).items()}
    uploads = [Upload(f"{RESULTS}/{path}", place) for path, place in sent.items()]
    count = f"{len(new)} row{'' if len(new) == 1 else 's'}"
    shared = {"forbidden": forbidden_in(folder), "private": private}
    own_use = {"marker": f"{RESULTS}/", "parent": head}
    if create_pr:
        proposal = Release(repo, "dataset", uploads, f"Add {count}", create_pr=True, **own_use, **shared)
        return Board(proposal, None, new, own.problems)
    with tempfile.TemporaryDirectory() as scratch:
        whole = Path(scratch)
        for path, place in {**(_files(there) if there else {}), **sent}.items():
            (whole / path).parent.mkdir(parents=True, exist_ok=True)
            (whole / path).symlink_to(place.resolve())
        merged = read_rows(whole)
        uploads += _summaries(repo, merged)
        page = render_page(whole)
    name = f"results-{digest(sorted(merged.results))[:12]}" if tag else None
    results = Release(
        repo, "dataset", uploads, f"Add {count}" if new else "Render again", tag=name, **own_use, **shared
    )
    shown = None
    if space is not None:
        check_name(space)
        files = [Upload("README.md", space_card(repo).encode()), Upload("index.html", page.encode())]
        shown = Release(space, "space", files, f"Leaderboard of {repo}", marker="index.html", sdk="static", **shared)
    return Board(results, shown, new, own.problems)


def publish_board(made: Board) -> list[Released]:
    """Send the results, then the page."""
    if made.results.create_pr and not made.new:
        return []
    # All is checked before anything is sent.
    planned = [plan(release) for release in (made.results, made.space) if release is not None]
    return [carry_out(each) for each in planned]


def _files(rows: Rows) -> dict[str, Path]:
    return {path: place for name in rows.results for path, place in rows.paths(name).items()}


def _published(repo: str) -> tuple[Rows | None, str | None]:
    """The rows of a repository of results and its latest commit; None where there is none."""
    repository = Repository(repo, "dataset", write=True)
    head = repository.head()
    names = [path for path in repository.files(head) if path.startswith(f"{RESULTS}/")] if head else []
    if head is None or not names:
        return None, head
    return read_rows(repository.snapshot(head, names) / RESULTS), head


def _summaries(repo: str, rows: Rows) -> list[Upload]:
    """The card, and all scores as one table."""
    made = tables(list(rows.results.values()))
    names = {result["signature"]: name for name, result in rows.results.items()}
    records = [
        {**record, "predictions": f"{RESULTS}/{names[record['signature']]}.parquet"}
        for table in made
        for record in table.records
    ]
    encoded = io.BytesIO()
    pl.DataFrame(records, infer_schema_length=None).write_parquet(encoded, compression="zstd")
    predictions: dict[str, dict[str, str]] = {}
    for name in sorted(rows.results):
        config, row = name.split("/", 1)
        # A split's name takes letters, digits and underscores.
        predictions.setdefault(config, {})[re.sub(r"\W+", "_", row)] = f"{RESULTS}/{name}.parquet"
    card = results_card(
        repo,
        made,
        rows=len(rows.results),
        predictions=predictions,
        predicted=sum(_length(place) for path, place in _files(rows).items() if path.endswith(".parquet")),
    )
    return [Upload("README.md", card.encode()), Upload(SCORES, encoded.getvalue())]


def _length(path: Path) -> int:
    return pl.scan_parquet(path).select(pl.len()).collect().item()
