"""The leaderboard's page: results and their ranking as the plain data that :mod:`emobench.cards.page` renders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from ... import __version__
from ...builders.release import MANIFEST, load_manifest
from ...cards.page import Entry, Page, Score, Section
from ...cards.tables import Table, to_csv, to_json
from ...errors import EmobenchError
from ...runtime.files import sha256_file
from ...runtime.progress import progress
from ..results.predictions import Stored, StoredError, read_stored
from ..results.store import Results, dataset_key, phase_shown
from ..scoring.ranking import Ranking
from .page_clips import Limits, Pool, row_data
from .tables import (
    SYNTHETIC,
    beats_constant_shown,
    dataset_title,
    display_name,
    interval,
    marks,
    number,
    rank_shown,
    row_label,
    tables,
)

Result = dict[str, Any]

CLIPS = "clips/train-00000.parquet"
COSTS = ("seconds_per_clip", "train_seconds", "processor")


def make_page(results: Results, ranking: Ranking, made: Sequence[Table], *, folder: Path, data: Path) -> Page:
    """Arrange results as a page.

    Parameters
    ----------
    results, ranking : Results, Ranking
        What it shows.
    made : sequence of Table
        Their tables, for download.
    folder : Path
        Folder of the results; files that were left out are named by their places in it.
    data : Path
        Folder of datasets. Clips of one that is there are shown by artist and title.

    Returns
    -------
    Page
    """
    read: dict[str, Stored | str] = {}
    for result in progress(results.rows, "page", "row", leave=False):
        try:
            read[result["signature"]] = read_stored(result, results.paths[result["signature"]])
        except StoredError as error:
            read[result["signature"]] = str(error)
    keys = list(dict.fromkeys(map(dataset_key, results.rows)))
    limits = Limits.of(len(results.rows), max((_longest(part) for part in read.values()), default=0))
    sections = []
    for key in keys:
        own = [result for result in results.rows if dataset_key(result) == key]
        sections.append(_section(own, ranking, read, dataset_title(own[0], keys), limits, data))
    return Page(
        sections=sections,
        problems=[problem.replace(f"{folder}/", "") for problem in results.problems],
        csv=to_csv(made),
        json=to_json(made),
        version=__version__,
        updated=max(result["created"] for result in results.rows)[:10],
    )


def _longest(stored: Stored | str) -> int:
    """Test seconds of the clip that has most of them in a repeat."""
    if isinstance(stored, str):
        return 0
    seconds = pl.DataFrame({"clip": stored.clips, "repeat": stored.repeats}).group_by("clip", "repeat").len()
    return int(seconds["len"].to_numpy().max())


def _section(
    results: Sequence[Result],
    ranking: Ranking,
    read: Mapping[str, Stored | str],
    title: str,
    limits: Limits,
    data: Path,
) -> Section:
    def place(result: Result) -> float:
        mean = result["scores"]["mean_distance"]["mean"]
        return float("inf") if mean is None else mean

    ordered = sorted(results, key=place)
    names, remark = clip_names(ordered[0], data)
    pool, rows = Pool(names), {}
    for result in ordered:
        stored = read[result["signature"]]
        rows[result["signature"]] = (
            {"reason": stored} if isinstance(stored, str) else row_data(stored, list(result["albums"]), pool, limits)
        )
    constant = next((result for result in ordered if result["features"] == "constant"), None)
    scores = constant["scores"] if constant else {}
    notes = dict.fromkeys(note for table in tables(ordered, ranking) for note in table.notes)
    return Section(
        title=title,
        warning=SYNTHETIC if SYNTHETIC in notes else "",
        entries=[_entry(result, ranking) for result in ordered],
        baseline=(
            scores.get("mean_distance", {}).get("mean"),
            scores.get("kl_divergence", {}).get("mean"),
        ),
        notes=[*(note for note in notes if note != SYNTHETIC), remark],
        data={**pool.data(), "rows": rows},
    )


def _entry(result: Result, ranking: Ranking) -> Entry:
    signature = result["signature"]
    standings = [ranking.standings[name].get(signature) for name in ("mean_distance", "kl_divergence")]
    return Entry(
        signature=signature,
        name=display_name(result["features"]),
        marks=marks(result),
        layer=result["layer"],
        phase=phase_shown(result),
        regressor=result["regressor"],
        ranks=(rank_shown(result, ranking), rank_shown(result, ranking, "kl_divergence")),
        order=(standings[0].rank if standings[0] else None, standings[1].rank if standings[1] else None),
        differs=(standings[0].better_than, standings[0].worse_than) if standings[0] else None,
        beats_constant=beats_constant_shown(result, ranking),
        distance=_score(result["scores"]["mean_distance"]),
        divergence=_score(result["scores"]["kl_divergence"]),
        dims=result["dims"],
        clips=result["n_clips"],
        cost={name: result["cost"].get(name) for name in COSTS},
        label=row_label(result),
        facts=_facts(result, ranking),
    )


def _score(score: Mapping[str, Any]) -> Score:
    low, high = score["ci95"] or (None, None)
    return Score(score["mean"], score["std"], low, high)


def _facts(result: Result, ranking: Ranking) -> dict[str, str]:
    """Lines about a row for its panel."""
    signature = result["signature"]
    facts = {}
    for name, what in (("mean_distance", "mean distance"), ("kl_divergence", "KL divergence")):
        score, found = result["scores"][name], ranking.standings[name].get(signature)
        facts[what[0].upper() + what[1:]] = f"{number(score)}, 95 % interval {interval(score)}"
        if found is not None:
            between = interval({"ci95": found.behind_ci95})
            behind = f"{found.behind:.3f} ({between}) behind the best"
            facts[f"Rank by {what}"] = (
                f"{found.rank}; {found.worse_than} entries are significantly better and {found.better_than} "
                f"significantly worse; {behind if found.behind else 'the best'}"
            )
    if signature in ranking.unranked:
        facts["No rank"] = ranking.unranked[signature]
    facts["Features"] = f"{result['dims']} dimensions, regressor {result['regressor']}, {result['n_clips']} clips"
    facts["Cost"] = _cost(result["cost"])
    versions = result.get("environment")
    made_by = versions.get("emobench") if isinstance(versions, dict) else None
    facts["Computed"] = str(result["created"])[:10] + (f" by emobench {made_by}" if made_by else "")
    facts["Signature"] = signature
    return facts


def _cost(cost: Mapping[str, Any]) -> str:
    forms = {
        "seconds_per_clip": "{:.2g} s a clip",
        "train_seconds": "training {:.1f} s",
        "processor": "on {}",
    }
    known = {name: cost[name] for name in forms if cost.get(name) is not None}
    return ", ".join(forms[name].format(value) for name, value in known.items()) or "unknown"


def clip_names(result: Result, data: Path) -> tuple[dict[str, tuple[str, str]], str]:
    """Artist and title of the clips of a result's dataset where it is at hand, and a line that says whether.

    Parameters
    ----------
    result : dict
        The result.
    data : Path
        Folder of datasets; that of the result is looked for by its name, and known by its manifest.
    """
    dataset = result["dataset"]
    place = data / dataset["name"]
    without = "Clips go by their ids, without artist and title:"
    if not (place / MANIFEST).is_file() or sha256_file(place / MANIFEST) != dataset["manifest_sha256"]:
        return {}, f"{without} the dataset is not at hand."
    try:
        entry = load_manifest(place).files.get(CLIPS)
        if entry is None or not (place / CLIPS).is_file() or sha256_file(place / CLIPS) != entry.sha256:
            return {}, f"{without} those of the dataset at hand were changed after it was built."
        clips = pl.read_parquet(place / CLIPS, columns=["clip_id", "artist", "title"]).fill_null("")
    except (EmobenchError, OSError, pl.exceptions.PolarsError) as error:
        return {}, f"{without} those of the dataset at hand cannot be read ({str(error).splitlines()[0]})."
    return {clip: (artist, title) for clip, artist, title in clips.iter_rows()}, "Artists and titles are the dataset's."
