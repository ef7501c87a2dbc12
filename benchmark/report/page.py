"""Arrange results and their ranking as the plain data that :mod:`emobench.cards.page` renders."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import polars as pl

from ... import __version__
from ...builders.release import MANIFEST, load_manifest
from ...cards.page import Entry, Page, Score, Section
from ...cards.tables import Table, to_csv, to_json
from ...errors import EmobenchError
from ...protocols import regressors
from ...runtime.files import sha256_file
from ...runtime.progress import progress
from ...runtime.text import counted
from ..results.model import Cost, MetricScore, Result
from ..results.predictions import PredictionsError, TestPredictions
from ..results.seeds import SeedGroup
from ..results.store import ResultStore
from ..scoring.gaussians import AXES
from ..scoring.pairs import LEVEL
from ..scoring.ranking import Ranking
from .axes import axis_scores
from .groups import pareto
from .labels import SCORES, board_title, by_distance, entry_label, interval, number, phase_shown, residual_notes, spread
from .notes import SYNTHETIC, Levels, unranked_notes
from .page_clips import Limits, Pool, panel_of
from .provenance import Provenance, parameters_shown, provenance
from .tables import NOT_VERIFIED, beats_constant_shown, tables

CLIPS = "clips/train-00000.parquet"
INTERVAL = "95\N{NO-BREAK SPACE}% interval"


def make_page(store: ResultStore, ranking: Ranking, made: Sequence[Table], *, data: Path) -> Page:
    """Arrange results as a page.

    Parameters
    ----------
    store, ranking : ResultStore, Ranking
        Results to show, and their ranking.
    made : sequence of Table
        Tables of the results, for download.
    data : Path
        Folder of datasets. Clips of a dataset in it are shown by artist and title.

    Returns
    -------
    Page
    """
    read: dict[str, TestPredictions | str] = {}
    for result in progress(store.entries, "page", "entry", leave=False):
        try:
            read[result.signature] = store.predictions(result)
        except PredictionsError as error:
            read[result.signature] = str(error)
    keys = list(dict.fromkeys(result.board for result in store.entries))
    limits = Limits.of(len(store.entries), max((_longest(part) for part in read.values()), default=0))
    sections = []
    for key in keys:
        for external in (False, True):
            own = [each for each in store.entries if each.board == key and each.external == external]
            if own:
                title = board_title(own[0], keys) + (": predictions made outside emobench" if external else "")
                sections.append(_section(own, ranking, read, store, title, limits, data))
    return Page(
        sections=sections,
        problems=[problem.replace(f"{store.folder}/", "") for problem in store.problems],
        csv=to_csv(made),
        json=to_json(made),
        level=LEVEL,
        version=__version__,
        updated=max(result.created for result in store.results)[:10],
    )


def _longest(stored: TestPredictions | str) -> int:
    """Return the largest number of test seconds of a clip in a repeat."""
    if isinstance(stored, str):
        return 0
    seconds = pl.DataFrame({"clip": stored.clips, "repeat": stored.repeats}).group_by("clip", "repeat").len()
    return int(seconds["len"].to_numpy().max())


def _section(
    results: Sequence[Result],
    ranking: Ranking,
    read: Mapping[str, TestPredictions | str],
    store: ResultStore,
    title: str,
    limits: Limits,
    data: Path,
) -> Section:
    ordered = sorted(results, key=by_distance)
    names, remark = clip_names(ordered[0], data)
    pool = Pool(names)
    for result in ordered:
        stored = read[result.signature]
        pool.panels.entries[result.signature] = (
            stored if isinstance(stored, str) else panel_of(stored, list(result.albums), pool, limits)
        )
    front = pareto(ordered)
    board = [result for result in store.entries if result.board == ordered[0].board]
    constant = next((result for result in board if result.features == "constant"), None)
    variants, levels = store.variants, store.entry_levels
    # Without a ranking: the page itself explains ranks and costs, in the names of its columns.
    notes = dict.fromkeys(note for table in tables(ordered, levels=levels) for note in table.notes)
    return Section(
        title=title,
        warning=SYNTHETIC if SYNTHETIC in notes else "",
        entries=[_entry(result, ranking, variants.get(result.signature, ""), front, levels) for result in ordered],
        baseline=(
            constant.scores["mean_distance"].mean if constant else None,
            constant.scores["kl_divergence"].mean if constant else None,
        ),
        notes=[*(note for note in notes if note != SYNTHETIC), *_more_notes(ordered, ranking, variants), remark],
        panels=pool.panels,
    )


def _more_notes(results: Sequence[Result], ranking: Ranking, variants: Mapping[str, str]) -> list[str]:
    """Return notes on entries without a rank, regressors and processors."""
    processors = sorted({result.cost.processor for result in results if result.cost.processor})
    names = sorted({result.regressor for result in results if result.regressor and not result.reference})
    used = ", ".join(f"{name} ({regressors.title(name)})" for name in names)
    return [
        *([f"Regressor{'s' if len(names) > 1 else ''}: {used}."] if used else []),
        *residual_notes(results),
        *unranked_notes(results, ranking, variants),
        *([f"Times were measured on {' and '.join(processors)}."] if processors else []),
    ]


def _entry(result: Result, ranking: Ranking, variant: str, front: Collection[str], levels: Levels | None) -> Entry:
    origin = provenance(result)
    distance, divergence = (ranking.standings[name].get(result.signature) for name in SCORES)
    return Entry(
        signature=result.signature,
        label=entry_label(result, variant),
        reference=result.reference,
        layer=result.layer,
        phase=phase_shown(result),
        regressor=result.regressor,
        ranks=(distance and distance.rank, divergence and divergence.rank),
        differs=distance and (distance.better_than, distance.worse_than),
        beats_constant=beats_constant_shown(result, ranking),
        distance=_score(result.scores["mean_distance"]),
        divergence=_score(result.scores["kl_divergence"]),
        dims=result.dims,
        clips=result.n_clips,
        seconds_per_clip=result.cost.seconds_per_clip,
        train_seconds=result.cost.train_seconds,
        processor=result.cost.processor,
        facts=_facts(result, ranking) | _verified(result, levels),
        group=origin.group,
        outside=origin.outside_shown,
        parameters=origin.parameters,
        front=result.signature in front,
        verified="" if levels is None else levels.get(result.signature, NOT_VERIFIED),
    )


def _score(score: MetricScore) -> Score:
    low, high = score.ci95 or (None, None)
    return Score(score.mean, score.std, low, high, spread(score).strip())


def _facts(result: Result, ranking: Ranking) -> dict[str, str]:
    """Return the lines of an entry's panel."""
    signature, facts = result.signature, {}
    for name, what in zip(SCORES, ("mean distance", "KL divergence"), strict=True):
        score, found = result.scores[name], ranking.standings[name].get(signature)
        facts[what[0].upper() + what[1:]] = f"{number(score)}, {INTERVAL} {interval(score.ci95)}"
        if found is not None:
            counts = [("better than", found.better_than), ("worse than", found.worse_than)]
            differs = " and ".join(
                f"significantly {how} {counted(count, 'entry', 'entries')}" for how, count in counts if count
            )
            between = f"{INTERVAL} {interval(found.behind_ci95)}"
            behind = f"; {found.behind:.3f} behind the best entry (uncorrected {between})" if found.behind else ""
            facts[f"Rank by {what}"] = (
                f"{found.rank}; {differs or 'not significantly different from any other'}{behind}"
            )
    for axis in AXES if result.task == "clip" else ():
        facts[axis.title()] = ", ".join(" ".join(pair) for pair in axis_scores(result, axis).items())
    if signature in ranking.unranked:
        facts["No rank"] = ranking.unranked[signature]
    dims = "unknown number of" if result.dims is None else result.dims
    facts["Features"] = f"{dims} dimensions, regressor {result.regressor or 'unknown'}, {result.n_clips} clips"
    facts["Cost"] = f"{_cost(result.cost)} (stated by the author, not verifiable)"
    if not result.reference:
        facts |= _origin(provenance(result))
    made_by = result.environment.get("emobench")
    facts["Computed"] = result.created[:10] + (f" by emobench {made_by}" if made_by else "")
    facts["Signature"] = signature
    if isinstance(result, SeedGroup):
        pairs = zip(result.seeds, result.members, strict=True)
        facts["Seeds"] = ", ".join(f"{seed} ({member.signature})" for seed, member in pairs)
    return facts


def _origin(origin: Provenance) -> dict[str, str]:
    """Return what an entry's panel says of the origin of its features."""
    lines = {
        "Group": origin.group,
        "Licence": origin.licence or "not stated",
        "Parameters": parameters_shown(origin.parameters),
        "Training data": origin.training_data or "not stated",
        "Labels used": origin.labels_used or "not stated",
        "Outside data": origin.outside_shown,
        "Overlap": origin.overlap,
    }
    return {name: text for name, text in lines.items() if text}


def _verified(result: Result, levels: Levels | None) -> dict[str, str]:
    if levels is None:
        return {}
    level = levels.get(result.signature)
    return {"Verified": "no" if level is None else f"to {level}, when it was published or merged"}


def _cost(cost: Cost) -> str:
    forms = {
        "seconds_per_clip": "{:.2g} s per clip",
        "train_seconds": "{:.2g} s of training",
        "processor": "on {}",
    }
    known = {name: value for name in forms if (value := getattr(cost, name)) is not None}
    return ", ".join(forms[name].format(value) for name, value in known.items()) or "unknown"


def clip_names(result: Result, data: Path) -> tuple[dict[str, tuple[str, str]], str]:
    """Look up artist and title of the clips of a result's dataset.

    Parameters
    ----------
    result : Result
        Result.
    data : Path
        Folder of datasets. The dataset must have the name and the manifest of the result's.

    Returns
    -------
    names : dict
        Artist and title by clip; empty if the dataset is missing, differs or cannot be read.
    note : str
        Note for the page, with the reason if there are no names.
    """
    place = data / result.dataset.name
    without = "Clips are shown by id, without artist and title:"
    if not (place / MANIFEST).is_file() or sha256_file(place / MANIFEST) != result.dataset.manifest_sha256:
        return {}, f"{without} the dataset was not found."
    try:
        entry = load_manifest(place).files.get(CLIPS)
        if entry is None or not (place / CLIPS).is_file() or sha256_file(place / CLIPS) != entry.sha256:
            return {}, f"{without} the clips of the dataset were changed after it was built."
        clips = pl.read_parquet(place / CLIPS, columns=["clip_id", "artist", "title"]).fill_null("")
    except (EmobenchError, OSError, pl.exceptions.PolarsError) as error:
        return {}, f"{without} the clips of the dataset cannot be read ({str(error).splitlines()[0]})."
    names = {clip: (artist, title) for clip, artist, title in clips.iter_rows()}
    return names, "Artists and titles are those of the dataset."
