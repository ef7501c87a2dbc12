"""Publication of a leaderboard: results and predictions to a repository, their page to a static Space."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

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
from ..report.reliability import reliabilities
from ..report.tables import tables
from ..results.beside import COMPACT, FEATURES, PARAMETERS, compact, features_path, parameters_path
from ..results.checks import Level
from ..results.model import Result, predictions_path
from ..results.predictions import PredictionsError
from ..results.store import VERIFIED, ResultStore
from ..results.verify import refuse_wrong, verify
from ..results.verify_data import Datasets
from .dataset import forbidden_in

_log = logging.getLogger(__name__)

RESULTS = "results"
PREDICTIONS = ".predictions.parquet"
Sent = Literal["float32", "float16", "none"]
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
    sizes : list of str
        Lines on the sizes of what is sent, and on the level of verification that is lost by what is not.
    """

    results: Release
    space: Release | None
    new: list[str]
    problems: list[str]
    sizes: list[str]

    def announce(self) -> None:
        """Log the sizes."""
        for line in self.sizes:
            _log.info("%s", line)


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
    features: Sent = "float32",
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
    features : {"float32", "float16", "none"}
        How to send the features that the regressors received. Without those of float32, others can verify the entries
        only to the level scores.

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
    merges = look and not create_pr
    published, head = _published(repo, datasets if merges else None) if look else (ResultStore(folder / "none"), None)
    there, _ = intact(published)
    for name in own.keys() & there.keys():
        if own[name].scores != there[name].scores:
            raise InputError(
                f"{own[name].path}: {repo} has an entry of the same signature with other scores; one of the two was "
                "changed."
            )
    new = {name: result for name, result in own.items() if name not in there}
    levels: dict[str, Level] = dict(published.levels or {})
    for result in progress(new.values(), "verifying", "entry", len(new), leave=False):
        if level := refuse_wrong(result, datasets, models, store).level:
            levels[result.signature] = level
    if merges:
        there = _verified(there, published, datasets, models, levels, problems)
    uploads = [upload for name, result in new.items() for upload in _uploads(name, result, features)]
    sizes = _sizes(new, uploads, features)
    count = counted(len(new), "entry", "entries")
    shared = {"forbidden": forbidden_in(folder), "private": private}
    own_use = {"marker": f"{RESULTS}/", "parent": head}
    if create_pr:
        proposal = Release(repo, "dataset", uploads, f"Add {count}", create_pr=True, **own_use, **shared)
        return Board(proposal, None, list(new), problems, sizes)
    merged = ResultStore.of(folder, [*there.values(), *new.values()], published, store)
    merged.levels = levels
    uploads += _summaries(repo, merged)
    uploads.append(Upload(f"{RESULTS}/{VERIFIED}", merged.verification().encode()))
    page = render_page(merged)
    tagged = f"results-{digest(sorted(map(_name, merged.results)))[:12]}" if tag else None
    message = f"Add {count}" if new else "Update tables and page"
    results = Release(repo, "dataset", uploads, message, tag=tagged, **own_use, **shared)
    shown = None
    if space is not None:
        check_name(space)
        files = [Upload("README.md", space_card(repo).encode()), Upload("index.html", page.encode())]
        shown = Release(space, "space", files, f"Leaderboard of {repo}", marker="index.html", sdk="static", **shared)
    return Board(results, shown, list(new), problems, sizes)


def publish_board(made: Board) -> list[Released]:
    """Upload the results, then the page."""
    if made.results.create_pr and not made.new:
        return []
    # Everything is checked before anything is sent.
    planned = [plan(release) for release in (made.results, made.space) if release is not None]
    made.announce()
    return [carry_out(each) for each in planned]


def _uploads(name: str, result: Result, features: Sent) -> list[Upload]:
    # The JSON is sent as it was read and verified.
    inside, path = f"{RESULTS}/{name}", result.path
    uploads = [Upload(f"{inside}.json", result.text.encode())]
    uploads.append(Upload(f"{inside}{PREDICTIONS}", predictions_path(path)))
    if parameters_path(path).is_file():
        uploads.append(Upload(f"{inside}{PARAMETERS}", parameters_path(path)))
    if not features_path(path).is_file() or features == "none":
        return uploads
    if features == "float32":
        return [*uploads, Upload(f"{inside}{FEATURES}", features_path(path))]
    if (rounded := compact(features_path(path))) is None:
        raise InputError(
            f"{features_path(path)}: holds values outside the range of float16, ±65,504; leave `compact` out, or use "
            "`without_features`."
        )
    return [*uploads, Upload(f"{inside}{COMPACT}", rounded)]


def _sizes(new: Mapping[str, Result], uploads: Sequence[Upload], features: Sent) -> list[str]:
    """Say how large predictions and features are, and what is lost without features of float32."""
    if not new:
        return []

    def size(*endings: str) -> str:
        return f"{sum(each.size for each in uploads if each.path.endswith(endings)):,} bytes"

    full = sum(path.stat().st_size for each in new.values() if (path := features_path(each.path)).is_file())
    lines = [f"predictions: {size(PREDICTIONS)}; features and parameters: {size(FEATURES, COMPACT, PARAMETERS)}"]
    if features != "float32" and full:
        what = "rounded to float16" if features == "float16" else "left out"
        lines.append(
            f"the features, {full:,} bytes, are {what}: others can verify these entries only to the level scores, not "
            "to regression"
        )
    return lines


def _verified(
    there: Mapping[str, Result],
    store: ResultStore,
    datasets: Datasets,
    models: Path,
    levels: dict[str, Level],
    problems: list[str],
) -> dict[str, Result]:
    """Verify the entries of the repository that were merged since the last publication; leave out those that fail."""
    kept = {}
    merged = [result for result in there.values() if result.signature not in levels]
    reports = {
        result.signature: verify(result.path, datasets, models, store)
        for result in progress(merged, "verifying merged entries", "entry", len(merged), leave=False)
    }
    for name, result in there.items():
        report = reports.get(result.signature)
        if report is not None and report.failed:
            first = next(line for check in report.checks for line in check.failures)
            problems.append(f"{RESULTS}/{name}.json in the repository: {first}; see 'emobench verify'.")
            continue
        if report is not None and report.level:
            levels[result.signature] = report.level
        kept[name] = result
    return kept


def _published(repo: str, datasets: Datasets | None) -> tuple[ResultStore, str | None]:
    """Return the results in a repository, and its latest commit if there is one.

    Features and parameters are fetched only of results that are to be verified, of which ``datasets`` holds the
    dataset.
    """
    repository = Repository(repo, "dataset", write=True)
    head = repository.head()
    names = [path for path in repository.files(head) if path.startswith(f"{RESULTS}/")] if head else []
    if not head or not names:
        return ResultStore(Path("none")), head
    large = (FEATURES, COMPACT, PARAMETERS)
    store = ResultStore(repository.snapshot(head, [name for name in names if not name.endswith(large)]) / RESULTS)
    levels = store.levels or {}
    unknown = [each for each in store.results if each.signature not in levels and datasets and datasets.of(each).task]
    stems = {f"{RESULTS}/{_name(each)}" for each in unknown}
    if more := [name for name in names if name.endswith(large) and name.rsplit(".", 2)[0] in stems]:
        repository.snapshot(head, more)
    return store, head


def _summaries(repo: str, store: ResultStore) -> list[Upload]:
    """Make the card with its pictures, and the table of all scores."""
    made = tables(store.entries, variants=store.variants, levels=store.entry_levels)
    by_file = tables(store.results, variants=store.variants, levels=store.levels)
    names = {result.signature: _name(result) for result in store.results}
    files = {signature: f"{RESULTS}/{name}.predictions.parquet" for signature, name in names.items()}
    records = [
        {**record, "predictions": files[str(record["signature"])]} for table in by_file for record in table.records
    ]
    encoded = io.BytesIO()
    table = pl.DataFrame(records, infer_schema_length=None, schema_overrides={"verified": pl.String})
    table.write_parquet(encoded, compression="zstd")
    predictions: dict[str, dict[str, str]] = {}
    for signature, name in sorted(names.items(), key=lambda each: each[1]):
        config, entry = name.split("/", 1)
        # The name of a split may have letters, digits and underscores only.
        predictions.setdefault(config, {})[re.sub(r"\W+", "_", entry)] = files[signature]
    predicted = sum(_seconds(store, result) for result in store.results)
    diagrams = reliabilities(store)
    pictures = {each.table.slug: f"reliability/{each.table.slug}.png" for each in diagrams}
    made += [each.table for each in diagrams]
    card = results_card(repo, made, entries=len(names), predictions=predictions, predicted=predicted, pictures=pictures)
    uploads = [Upload(pictures[each.table.slug], each.picture) for each in diagrams]
    return [Upload("README.md", card.encode()), Upload(SCORES, encoded.getvalue()), *uploads]


def _seconds(store: ResultStore, result: Result) -> int:
    try:
        return len(store.predictions(result).times)
    except PredictionsError:
        return 0
