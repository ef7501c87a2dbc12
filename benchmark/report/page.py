"""The leaderboard's page: results and their ranking as the plain data that :mod:`emobench.cards.page` renders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from ... import __version__
from ...builders.release import MANIFEST, load_manifest
from ...cards.page import Entry, Page, Score, Section
from ...cards.tables import Table, to_csv, to_json
from ...errors import EmobenchError
from ...runtime.files import sha256_file
from ...runtime.progress import progress
from ..results.model import Cost, MetricScore, Result
from ..results.predictions import PredictionsError, TestPredictions
from ..results.store import ResultStore
from ..scoring.ranking import Ranking
from .labels import dataset_title, display_name, entry_label, interval, marks, number, phase_shown
from .page_clips import Limits, Pool, row_data
from .tables import SYNTHETIC, beats_constant_shown, rank_shown, tables

CLIPS = "clips/train-00000.parquet"
COSTS = ("seconds_per_clip", "train_seconds", "processor")


def make_page(store: ResultStore, ranking: Ranking, made: Sequence[Table], *, data: Path) -> Page:
    """Arrange results as a page.

    Parameters
    ----------
    store, ranking : ResultStore, Ranking
        What it shows.
    made : sequence of Table
        Their tables, for download.
    data : Path
        Folder of datasets. Clips of one that is there are shown by artist and title.

    Returns
    -------
    Page
    """
    read: dict[str, TestPredictions | str] = {}
    for result in progress(store.results, "page", "entry", leave=False):
        try:
            read[result.signature] = store.predictions(result)
        except PredictionsError as error:
            read[result.signature] = str(error)
    keys = list(dict.fromkeys(result.dataset.key for result in store.results))
    limits = Limits.of(len(store.results), max((_longest(part) for part in read.values()), default=0))
    sections = []
    for key in keys:
        own = [result for result in store.results if result.dataset.key == key]
        title = dataset_title(own[0].dataset, keys)
        sections.append(_section(own, ranking, read, store.variants, title, limits, data))
    return Page(
        sections=sections,
        problems=[problem.replace(f"{store.folder}/", "") for problem in store.problems],
        csv=to_csv(made),
        json=to_json(made),
        version=__version__,
        updated=max(result.created for result in store.results)[:10],
    )


def _longest(stored: TestPredictions | str) -> int:
    """Test seconds of the clip that has most of them in a repeat."""
    if isinstance(stored, str):
        return 0
    seconds = pl.DataFrame({"clip": stored.clips, "repeat": stored.repeats}).group_by("clip", "repeat").len()
    return int(seconds["len"].to_numpy().max())


def _section(
    results: Sequence[Result],
    ranking: Ranking,
    read: Mapping[str, TestPredictions | str],
    variants: Mapping[str, str],
    title: str,
    limits: Limits,
    data: Path,
) -> Section:
    def place(result: Result) -> float:
        mean = result.scores["mean_distance"].mean
        return float("inf") if mean is None else mean

    ordered = sorted(results, key=place)
    names, remark = clip_names(ordered[0], data)
    pool, rows = Pool(names), {}
    for result in ordered:
        stored = read[result.signature]
        rows[result.signature] = (
            {"reason": stored} if isinstance(stored, str) else row_data(stored, list(result.albums), pool, limits)
        )
    constant = next((result for result in ordered if result.features == "constant"), None)
    notes = dict.fromkeys(note for table in tables(ordered, ranking, variants) for note in table.notes)
    return Section(
        title=title,
        warning=SYNTHETIC if SYNTHETIC in notes else "",
        entries=[_entry(result, ranking, variants.get(result.signature, "")) for result in ordered],
        baseline=(
            constant.scores["mean_distance"].mean if constant else None,
            constant.scores["kl_divergence"].mean if constant else None,
        ),
        notes=[*(note for note in notes if note != SYNTHETIC), remark],
        data={**pool.data(), "rows": rows},
    )


def _entry(result: Result, ranking: Ranking, variant: str) -> Entry:
    signature = result.signature
    standings = [ranking.standings[name].get(signature) for name in ("mean_distance", "kl_divergence")]
    return Entry(
        signature=signature,
        name=display_name(result.features, result.feature_metadata),
        marks=marks(result, variant),
        layer=result.layer,
        phase=phase_shown(result),
        regressor=result.regressor or "",
        ranks=(rank_shown(result, ranking), rank_shown(result, ranking, "kl_divergence")),
        order=(standings[0].rank if standings[0] else None, standings[1].rank if standings[1] else None),
        differs=(standings[0].better_than, standings[0].worse_than) if standings[0] else None,
        beats_constant=beats_constant_shown(result, ranking),
        distance=_score(result.scores["mean_distance"]),
        divergence=_score(result.scores["kl_divergence"]),
        dims=result.dims or 0,
        clips=result.n_clips,
        cost={name: getattr(result.cost, name) for name in COSTS},
        label=entry_label(result, variant),
        facts=_facts(result, ranking),
    )


def _score(score: MetricScore) -> Score:
    low, high = score.ci95 or (None, None)
    return Score(score.mean, score.std, low, high)


def _facts(result: Result, ranking: Ranking) -> dict[str, str]:
    """Lines about a row for its panel."""
    signature = result.signature
    facts = {}
    for name, what in (("mean_distance", "mean distance"), ("kl_divergence", "KL divergence")):
        score, found = result.scores[name], ranking.standings[name].get(signature)
        facts[what[0].upper() + what[1:]] = f"{number(score)}, 95 % interval {interval(score.ci95)}"
        if found is not None:
            between = interval(found.behind_ci95)
            behind = f"{found.behind:.3f} ({between}) behind the best"
            facts[f"Rank by {what}"] = (
                f"{found.rank}; {found.worse_than} entries are significantly better and {found.better_than} "
                f"significantly worse; {behind if found.behind else 'the best'}"
            )
    if signature in ranking.unranked:
        facts["No rank"] = ranking.unranked[signature]
    facts["Features"] = f"{result.dims} dimensions, regressor {result.regressor}, {result.n_clips} clips"
    facts["Cost"] = _cost(result.cost)
    made_by = result.environment.get("emobench")
    facts["Computed"] = result.created[:10] + (f" by emobench {made_by}" if made_by else "")
    facts["Signature"] = signature
    return facts


def _cost(cost: Cost) -> str:
    forms = {
        "seconds_per_clip": "{:.2g} s a clip",
        "train_seconds": "training {:.1f} s",
        "processor": "on {}",
    }
    known = {name: value for name in forms if (value := getattr(cost, name)) is not None}
    return ", ".join(forms[name].format(value) for name, value in known.items()) or "unknown"


def clip_names(result: Result, data: Path) -> tuple[dict[str, tuple[str, str]], str]:
    """Artist and title of the clips of a result's dataset where it is at hand, and a line that says whether.

    Parameters
    ----------
    result : Result
        The result.
    data : Path
        Folder of datasets; that of the result is looked for by its name, and known by its manifest.
    """
    place = data / result.dataset.name
    without = "Clips go by their ids, without artist and title:"
    if not (place / MANIFEST).is_file() or sha256_file(place / MANIFEST) != result.dataset.manifest_sha256:
        return {}, f"{without} the dataset is not at hand."
    try:
        entry = load_manifest(place).files.get(CLIPS)
        if entry is None or not (place / CLIPS).is_file() or sha256_file(place / CLIPS) != entry.sha256:
            return {}, f"{without} those of the dataset at hand were changed after it was built."
        clips = pl.read_parquet(place / CLIPS, columns=["clip_id", "artist", "title"]).fill_null("")
    except (EmobenchError, OSError, pl.exceptions.PolarsError) as error:
        return {}, f"{without} those of the dataset at hand cannot be read ({str(error).splitlines()[0]})."
    return {clip: (artist, title) for clip, artist, title in clips.iter_rows()}, "Artists and titles are the dataset's."
