"""Publication of a leaderboard: results and predictions to a repository, their page to a static Space."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from ...cards.hub import Repository, check_name
from ...cards.hub_files import Upload
from ...cards.hub_pages import results_card, space_card
from ...cards.hub_release import Release, Released, carry_out, plan
from ...errors import InputError
from ...runtime.files import digest
from ...runtime.progress import progress
from ...runtime.text import counted
from ..report.leaderboard import no_results
from ..report.tables import tables
from ..results.model import Result, predictions_path
from ..results.predictions import PredictionsError
from ..results.store import ResultStore
from ..results.verify import refuse_wrong
from ..results.verify_data import Datasets
from .dataset import forbidden_in

RESULTS = "results"
SCORES = "scores/train-00000.parquet"


def intact(store: ResultStore) -> tuple[dict[str, Result], list[str]]:
    """Return the results that are as they were written, by ``<dataset>@<version>/<file>`` without ending.

    Returns
    -------
    results : dict of str to Result
    problems : list of str
        One line for each file that was left out.
    """
    found, problems = {}, list(store.problems)
    for result in store.results:
        if damage := store.damage(result):
            problems.append(f"{result.path}: {damage}; see 'emobench verify'.")
        else:
            found[_name(result)] = result
    return found, problems


def _name(result: Result) -> str:
    return f"{result.path.parent.name}/{result.path.stem}"


@dataclass(frozen=True)
class Board:
    """Releases of a leaderboard.

    Attributes
    ----------
    results : Release
        Release to the repository of results.
    space : Release or None
        Release to the Space.
    new : list of str
        Names of the entries that are not in the repository yet.
    problems : list of str
        One line for each file that was left out.
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
    render_page: Callable[[ResultStore], str],
    datasets: Datasets,
    models: Path,
    private: bool = True,
    tag: bool = False,
    create_pr: bool = False,
    look: bool = True,
) -> Board:
    """Prepare the release of a folder of results: entries that are new, and tables and page of all entries.

    Parameters
    ----------
    folder : Path
        Folder of results.
    repo, space : str
        ``user/name`` of the repository of results, and of the Space; None for no Space.
    render_page : callable
        Renders the page of a store's results.
    datasets, models
        Datasets and models against which new entries are verified, as in :func:`.verify.verify`.
    private, create_pr
        As in :class:`.hub_release.Release`; a proposal holds only the new entries.
    tag : bool
        Whether to tag the commit with the hash of its entries.
    look : bool
        Whether to look at the repository; if not, all entries count as new.

    Raises
    ------
    InputError
        If there is no result, a new one fails its verification, or one has other scores than that of the same
        signature in the repository.
    """
    check_name(repo)
    store = ResultStore(folder)
    own, problems = intact(store)
    if not own:
        raise no_results(folder, problems)
    published, head = _published(repo) if look else (ResultStore(folder / "none"), None)
    there, _ = intact(published)
    for name in own.keys() & there.keys():
        if own[name].scores != there[name].scores:
            raise InputError(
                f"{own[name].path}: {repo} has an entry of the same signature with other scores; one of the two was "
                "changed."
            )
    new = {name: result for name, result in own.items() if name not in there}
    for result in progress(new.values(), "verifying", "entry", len(new), leave=False):
        refuse_wrong(result, datasets, models, store)
    uploads = [upload for name, result in new.items() for upload in _uploads(name, result)]
    count = counted(len(new), "entry", "entries")
    shared = {"forbidden": forbidden_in(folder), "private": private}
    own_use = {"marker": f"{RESULTS}/", "parent": head}
    if create_pr:
        proposal = Release(repo, "dataset", uploads, f"Add {count}", create_pr=True, **own_use, **shared)
        return Board(proposal, None, list(new), problems)
    merged = ResultStore.of(folder, [*there.values(), *new.values()], published, store)
    uploads += _summaries(repo, merged)
    page = render_page(merged)
    tagged = f"results-{digest(sorted(map(_name, merged.results)))[:12]}" if tag else None
    message = f"Add {count}" if new else "Update tables and page"
    results = Release(repo, "dataset", uploads, message, tag=tagged, **own_use, **shared)
    shown = None
    if space is not None:
        check_name(space)
        files = [Upload("README.md", space_card(repo).encode()), Upload("index.html", page.encode())]
        shown = Release(space, "space", files, f"Leaderboard of {repo}", marker="index.html", sdk="static", **shared)
    return Board(results, shown, list(new), problems)


def publish_board(made: Board) -> list[Released]:
    """Upload the results, then the page."""
    if made.results.create_pr and not made.new:
        return []
    # Everything is checked before anything is sent.
    planned = [plan(release) for release in (made.results, made.space) if release is not None]
    return [carry_out(each) for each in planned]


def _uploads(name: str, result: Result) -> list[Upload]:
    # The JSON is sent as it was read and verified.
    json = Upload(f"{RESULTS}/{name}.json", result.text.encode())
    return [json, Upload(f"{RESULTS}/{name}.predictions.parquet", predictions_path(result.path))]


def _published(repo: str) -> tuple[ResultStore, str | None]:
    """Return the results in a repository, and its latest commit if there is one."""
    repository = Repository(repo, "dataset", write=True)
    head = repository.head()
    names = [path for path in repository.files(head) if path.startswith(f"{RESULTS}/")] if head else []
    folder = repository.snapshot(head, names) / RESULTS if head and names else Path("none")
    return ResultStore(folder), head


def _summaries(repo: str, store: ResultStore) -> list[Upload]:
    """Make the card, and the table of all scores."""
    made = tables(store.results, variants=store.variants)
    names = {result.signature: _name(result) for result in store.results}
    files = {signature: f"{RESULTS}/{name}.predictions.parquet" for signature, name in names.items()}
    records = [{**record, "predictions": files[str(record["signature"])]} for table in made for record in table.records]
    encoded = io.BytesIO()
    pl.DataFrame(records, infer_schema_length=None).write_parquet(encoded, compression="zstd")
    predictions: dict[str, dict[str, str]] = {}
    for signature, name in sorted(names.items(), key=lambda each: each[1]):
        config, entry = name.split("/", 1)
        # The name of a split may have letters, digits and underscores only.
        predictions.setdefault(config, {})[re.sub(r"\W+", "_", entry)] = files[signature]
    predicted = sum(_seconds(store, result) for result in store.results)
    card = results_card(repo, made, entries=len(names), predictions=predictions, predicted=predicted)
    return [Upload("README.md", card.encode()), Upload(SCORES, encoded.getvalue())]


def _seconds(store: ResultStore, result: Result) -> int:
    try:
        return len(store.predictions(result).times)
    except PredictionsError:
        return 0
