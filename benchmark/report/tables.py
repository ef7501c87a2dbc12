"""Results as the paper's tables: single features (Table 2) and networks (Table 3), one dataset at a time.

With a ranking these have ranks, and a third table adds what the paper does not report: significant differences,
intervals, and the cost of each entry.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import JsonValue

from ...cards.tables import Table
from ...dbn.config import CONTRASTIVE
from ...dbn.domains import NAMES as DOMAINS
from ...protocols import features as registry
from ..features.spec import parts_of
from ..results.model import Result
from ..results.seeds import SeedGroup, SeedScore
from .axes import axes_table
from .groups import group_table
from .labels import (
    CARRIED,
    DASH,
    SCORES,
    board_title,
    by_distance,
    display_name,
    entry_label,
    further_metrics,
    interval,
    leak_mark,
    marks,
    number,
    phase_shown,
    plain,
    shared_notes,
    spread,
)
from .mediaeval import MEDIAEVAL, per_song_table
from .notes import COST, INTERVALS, LEAKS, Levels, Variants, notes_of, rank_notes
from .provenance import provenance

if TYPE_CHECKING:
    from ..scoring.ranking import Ranking, Standing

INTERVAL = "95\N{NO-BREAK SPACE}% Interval"
PHASES = ("Pre-training", "Fine-tuning")
STANDING_COLUMNS = (
    "Feature Type",
    "Rank",
    "Mean Distance",
    INTERVAL,
    "Better Than",
    "Worse Than",
    "Beats Constant",
    "KL Rank",
    "KL",
    f"KL {INTERVAL}",
    "Dims",
    "Seconds per Clip",
    "Training Seconds",
)
NOT_VERIFIED = "no"


def rank_shown(result: Result, ranking: Ranking, score: str = "mean_distance") -> str:
    """Return the rank of an entry, or a dash if it has none."""
    standing = ranking.standings[score].get(result.signature)
    return DASH if standing is None else str(standing.rank)


def beats_constant_shown(result: Result, ranking: Ranking) -> str:
    """Say whether an entry beats the training mean by mean distance: yes, no, or a dash if it was not compared."""
    standing = ranking.standings["mean_distance"].get(result.signature)
    return DASH if standing is None or standing.beats_constant is None else "yes" if standing.beats_constant else "no"


def _record(result: Result, ranking: Ranking | None, levels: Levels | None) -> dict[str, JsonValue]:
    """Return an entry with full precision."""
    record: dict[str, JsonValue] = {
        "dataset": result.dataset.label,
        "features": result.features + leak_mark(result),
        "layer": result.layer,
        "phase": phase_shown(result),
        "regressor": result.regressor,
        "residual_covariance": result.config.residual_covariance,
        "dims": result.dims,
        "n_clips": result.n_clips,
    }
    if ranking is not None:
        for name, prefix in zip(SCORES, ("", "kl_"), strict=True):
            record |= _rank_fields(ranking.standings[name].get(result.signature), prefix)
        record["no_rank"] = ranking.unranked.get(result.signature)
    for name, score in result.scores.items():
        low, high = score.ci95 or (None, None)
        record |= {name: score.mean, f"{name}_std": score.std, f"{name}_low": low, f"{name}_high": high}
        if isinstance(score, SeedScore):
            record |= dict(
                zip((f"{name}_lowest_seed", f"{name}_highest_seed"), score.spread or (None, None), strict=True)
            )
    return record | {
        "covariance_repaired": result.covariance_repaired,
        "pretrained_clips": result.config.pretrained_clips,
        **result.cost.model_dump(),
        **provenance(result).record(),
        "signature": result.signature,
        **_seeds(result),
        **({} if levels is None else {"verified": levels.get(result.signature)}),
    }


def _seeds(result: Result) -> dict[str, JsonValue]:
    """Return the columns of an entry of several seeds; other entries have none, and are empty there in CSV."""
    if not isinstance(result, SeedGroup):
        return {}
    seeds, signatures = result.seeds, (member.signature for member in result.members)
    return {"seeds": ",".join(map(str, seeds)), "seed_signatures": ",".join(signatures)}


def _rank_fields(standing: Standing | None, prefix: str) -> dict[str, JsonValue]:
    columns = ("rank", "better_than", "worse_than", "beats_constant", "behind")
    low, high = standing.behind_ci95 if standing else (None, None)
    values = {column: getattr(standing, column, None) for column in columns} | {"behind_low": low, "behind_high": high}
    return {f"{prefix}{column}": value for column, value in values.items()}


def tables(
    results: Sequence[Result],
    ranking: Ranking | None = None,
    variants: Variants | None = None,
    levels: Levels | None = None,
) -> list[Table]:
    """Arrange results as tables. Results of different datasets or folds are never in the same table.

    Parameters
    ----------
    results : sequence of Result
        Results to show.
    ranking : Ranking, optional
        Ranking of these results (:func:`emobench.benchmark.scoring.ranking.ranking`).
    variants : mapping, optional
        Variants by signature (:attr:`emobench.benchmark.results.store.ResultStore.variants`).
    levels : mapping, optional
        Level to which each entry was verified when it was published, by signature
        (:attr:`emobench.benchmark.results.store.ResultStore.levels`); None if they were not published.

    Returns
    -------
    list of Table
        For each dataset, those that have entries of: features, networks, predictions made elsewhere, MediaEval's
        measures; with a ranking also those of ranks, intervals and cost, and of the best entry of each group.
    """
    made, variants = [], variants or {}
    keys = list(dict.fromkeys(result.board for result in results))
    for key in keys:
        own = [result for result in results if result.board == key]
        name = board_title(own[0], keys)
        ours = [result for result in own if not result.external]
        single = [result for result in ours if result.layer is None]
        external = [result for result in own if result.external]
        if single:
            title = f"Emotion regression from standard features: {name}"
            made.append(_single_table(single, title, "features", ranking, variants, levels))
        if deep := [result for result in ours if result.layer is not None]:
            made.append(_deep_table(deep, name, ranking, variants, levels))
        if external:
            title = f"Predictions made outside emobench: {name}"
            made.append(_single_table(external, title, "external", ranking, variants, levels))
        labels = [entry_label(result, variants.get(result.signature, "")) for result in own]
        if own[0].dataset.split in MEDIAEVAL and own[0].task == "second":
            made.append(per_song_table(own, labels, name=name, slug=_slug(own[0], "per-song")))
        if own[0].task == "clip":
            made.append(axes_table(own, labels, name=name, slug=_slug(own[0], "axes")))
        if ranking is not None and ours:
            made.append(_standing_table(ours, name, "ranks", ranking, variants, levels))
        if ranking is not None and external:
            made.append(_standing_table(external, name, "external-ranks", ranking, variants, levels))
        if ranking is not None and (best := group_table(own, name, _slug(own[0], "groups"), ranking, variants)):
            made.append(best)
    return made


def _slug(result: Result, what: str) -> str:
    dataset = result.dataset
    what = f"clip-{what}" if result.task == "clip" else what
    return f"{dataset.label}-{dataset.manifest_sha256[:8]}-{dataset.folds_sha256[:8]}-{what}"


def _single_table(
    results: Sequence[Result],
    title: str,
    slug: str,
    ranking: Ranking | None,
    variants: Variants,
    levels: Levels | None,
) -> Table:
    order, further = registry.names(), further_metrics()

    def place(result: Result) -> tuple[bool, int, str, bool, str]:
        features = result.features
        return (
            result.reference,
            order.index(features) if features in order else len(order),
            features,
            result.context is not None,
            marks(result),
        )

    ordered, rows = sorted(results, key=place), []
    for result in ordered:
        cells = [number(result.scores[score]) for score in SCORES]
        if ranking is not None:
            ranks = [rank_shown(result, ranking, score) for score in SCORES]
            cells = [ranks[0], cells[0], ranks[1], cells[1]]
        label = display_name(result.features, result.feature_metadata)
        label += marks(result, variants.get(result.signature, ""))
        rows.append((label, *cells, *(number(result.scores.get(metric.name)) for metric in further)))
    columns = ("Average Mean Distance", "Average KL Divergence")
    if ranking is not None:
        columns = ("Rank", columns[0], "KL Rank", columns[1])
    return Table(
        title=title,
        slug=_slug(results[0], slug),
        columns=("Feature Type", *columns, *(metric.title for metric in further)),
        rows=rows,
        notes=notes_of(results, ranking, levels),
        records=[_record(result, ranking, levels) for result in ordered],
        optional=[(3,)] if ranking is not None else [],
    )


def _deep_table(
    results: Sequence[Result], name: str, ranking: Ranking | None, variants: Variants, levels: Levels | None
) -> Table:
    by_row: dict[tuple[str, str, bool, bool, int], dict[str, Result]] = {}
    for result in results:
        phase, marked = result.phase or "", marks(result, variants.get(result.signature, ""))
        column = "fine-tuned" if phase.endswith("fine-tuned") else "pre-trained"
        key = (result.features, marked, phase.startswith("random"), result.config.carry_over, result.layer or 0)
        by_row.setdefault(key, {})[column] = result

    def place(key: tuple[str, str, bool, bool, int]) -> tuple[int, list[int], str, bool, bool, int]:
        parts = key[0].split("+")
        ranks = [DOMAINS.index(part) if part in DOMAINS else len(DOMAINS) for part in parts]
        return len(parts), ranks, key[0] + key[1], *key[2:]

    rows, records = [], []
    for key in sorted(by_row, key=place):
        features, marked, control, carried, layer = key
        cells = []
        for column in ("pre-trained", "fine-tuned"):
            result = by_row[key].get(column)
            if ranking is not None:
                cells.append(rank_shown(result, ranking) if result else DASH)
            # Only fine-tuned weights are carried over: the pre-trained entry has its own row.
            nothing = DASH if carried and column == "pre-trained" else "not run"
            cells += [number(result.scores[score]) if result else nothing for score in SCORES]
            if result:
                records.append(_record(result, ranking, levels))
        metadata = next(iter(by_row[key].values())).feature_metadata
        label = display_name(features, metadata) + (", random weights" if control else "")
        deep = any(part in DOMAINS for part in parts_of(features))
        rows.append(
            (
                f"Layer {layer}" if deep else "Encoder",
                label + (f", fine-tuned, {CARRIED}" if carried else "") + marked,
                *cells,
            )
        )
    notes = notes_of(results, ranking, levels)
    if any(key[2] for key in by_row):
        notes.append("Random weights: control without pre-training.")
    if any(key[3] for key in by_row):
        notes.append(LEAKS)
    shown = ("Rank", "Distance", "KL") if ranking is not None else ("Distance", "KL")
    encoders = any(CONTRASTIVE in parts_of(result.features) for result in results)
    learned = "learned features" if encoders else "deep belief networks"
    return Table(
        title=f"Emotion regression from {learned}: {name}",
        slug=_slug(results[0], "networks"),
        columns=("DBN Layer", "Feature Type", *(f"{phase} {part}" for phase in PHASES for part in shown)),
        rows=rows,
        notes=notes,
        records=records,
        text_columns=2,
        optional=[(2, 5)] if ranking is not None else [],
    )


def _standing_table(
    results: Sequence[Result], name: str, slug: str, ranking: Ranking, variants: Variants, levels: Levels | None
) -> Table:
    """Arrange ranks, intervals and cost, the best entry first and references last."""
    processors = sorted({result.cost.processor for result in results if result.cost.processor})
    several, further, rows = len(processors) > 1, further_metrics(), []
    for result in sorted(results, key=lambda each: (each.reference, by_distance(each))):
        distance, divergence = (result.scores[score] for score in SCORES)
        standing = ranking.standings["mean_distance"].get(result.signature)
        row = [
            entry_label(result, variants.get(result.signature, "")),
            rank_shown(result, ranking),
            plain(distance.mean, ".3f") + spread(distance),
            interval(distance.ci95),
            DASH if standing is None else str(standing.better_than),
            DASH if standing is None else str(standing.worse_than),
            beats_constant_shown(result, ranking),
            rank_shown(result, ranking, "kl_divergence"),
            plain(divergence.mean, ".3f") + spread(divergence),
            interval(divergence.ci95),
            plain(result.dims, "d"),
            plain(result.cost.seconds_per_clip, ".2g"),
            plain(result.cost.train_seconds, ".1f"),
        ]
        row += [number(result.scores.get(metric.name)) for metric in further]
        row += [result.cost.processor or DASH] if several else []
        rows.append(row if levels is None else [*row, levels.get(result.signature, NOT_VERIFIED)])
    external, last = results[0].external, len(STANDING_COLUMNS) + len(further)
    cost = [f"{COST} Measured on {' and '.join(processors)}."] if processors else []
    return Table(
        title=f"Ranks, intervals and cost{' of predictions made outside emobench' if external else ''}: {name}",
        slug=_slug(results[0], slug),
        columns=[
            *STANDING_COLUMNS,
            *(metric.title for metric in further),
            *(["Processor"] if several else []),
            *([] if levels is None else ["Verified"]),
        ],
        rows=rows,
        notes=[*rank_notes(results, ranking, variants), *shared_notes(results), INTERVALS, *cost],
        optional=[(9,), (8,), (7,), (11, 12), (4, 5), (10,), *([(last,)] if several else [])],
    )
