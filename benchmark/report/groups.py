"""Groups of entries: the best of each, and scores against cost with the Pareto front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ...cards.scatter import Point, Scatter
from ...cards.tables import Table
from ..results.model import Result
from .labels import DASH, OVERLAP, by_distance, entry_label, interval, plain
from .provenance import GROUPS, origin_notes, parameters_shown, provenance

if TYPE_CHECKING:
    from ..scoring.ranking import Ranking

COLUMNS = (
    "Group",
    "Best Entry",
    "Rank",
    "Mean Distance",
    "95\N{NO-BREAK SPACE}% Interval",
    "KL",
    "Seconds per Clip",
    "Parameters",
    "Outside Data",
    "Entries",
)
OUTSIDE = (
    "Outside Data: whether a feature was trained on other data than the training part of a fold, by what it states."
)
MARKED = f"[{OVERLAP}]: the training data of a feature may contain clips of this corpus, so its scores may be too good."


def pareto(results: Sequence[Result]) -> set[str]:
    """Return the signatures of entries than which no other is both at least as good and at least as cheap.

    Entries without a mean distance or a cost, and references, are left out.
    """
    known = [
        (result.cost.seconds_per_clip, distance, result.signature)
        for result in results
        if not result.reference
        and result.cost.seconds_per_clip is not None
        and (distance := result.scores["mean_distance"].mean) is not None
    ]
    front, best = set(), float("inf")
    for _, distance, signature in sorted(known):
        if distance < best:
            front.add(signature)
            best = distance
    return front


def groups_of(results: Sequence[Result]) -> dict[str, list[Result]]:
    """Return the entries of each group that has some, the best first, without references."""
    ordered = sorted((result for result in results if not result.reference), key=by_distance)
    found = {group: [each for each in ordered if provenance(each).group == group] for group in GROUPS}
    return {group: own for group, own in found.items() if own}


def group_table(
    results: Sequence[Result], name: str, slug: str, ranking: Ranking, variants: Mapping[str, str]
) -> Table | None:
    """Arrange the best entry of each group; None where there is one group only.

    Parameters
    ----------
    results : sequence of Result
        Results of one board.
    name, slug : str
        Name of the board, and of the table's file.
    ranking : Ranking
        Ranking of these results.
    variants : mapping
        Variants by signature.
    """
    groups = groups_of(results)
    if len(groups) < 2:
        return None
    rows = []
    for group, own in groups.items():
        best, origin = own[0], provenance(own[0])
        distance, divergence = best.scores["mean_distance"], best.scores["kl_divergence"]
        standing = ranking.standings["mean_distance"].get(best.signature)
        rows.append(
            (
                group,
                entry_label(best, variants.get(best.signature, "")),
                DASH if standing is None else str(standing.rank),
                plain(distance.mean, ".3f"),
                interval(distance.ci95),
                plain(divergence.mean, ".3f"),
                plain(best.cost.seconds_per_clip, ".2g"),
                parameters_shown(origin.parameters),
                origin.outside_shown,
                str(len(own)),
            )
        )
    marked = any(f"[{OVERLAP}]" in entry_label(result) for result in results)
    return Table(
        title=f"Best of each group: {name}",
        slug=slug,
        columns=COLUMNS,
        rows=rows,
        notes=[*([MARKED] if marked else []), OUTSIDE, *origin_notes(results)],
        text_columns=2,
        optional=[(9,), (5,), (4,), (7,), (2,)],
        plot=scatter(groups, variants),
    )


def scatter(groups: Mapping[str, Sequence[Result]], variants: Mapping[str, str]) -> Scatter | None:
    """Return the plot of score against cost; None with fewer than two points."""
    front = pareto([result for own in groups.values() for result in own])
    points = [
        Point(cost, distance, entry_label(result, variants.get(result.signature, "")), group, result.signature in front)
        for group, own in groups.items()
        for result in own
        if (cost := result.cost.seconds_per_clip) is not None
        and (distance := result.scores["mean_distance"].mean) is not None
    ]
    return Scatter(points, "seconds per clip", "Mean distance") if len(points) > 1 else None
