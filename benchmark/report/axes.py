"""RMSE, R², CCC and Pearson's r of arousal and of valence, which papers on ratings of whole clips report."""

from __future__ import annotations

from collections.abc import Sequence

from ...cards.tables import Table
from ..results.model import Result
from ..scoring.gaussians import AXES
from .labels import DASH, interval, minus, shared_notes

MEASURES = {"r2": "R²", "rmse": "RMSE", "ccc": "CCC", "pearson": "r"}

SCALE = "RMSE is on the scale of the targets, -0.5 to 0.5. r is Pearson's, undefined for constant predictions."
MEANS = "Means over the repeats, and a 95 % interval of R² from a bootstrap over albums."
POOLED = (
    "All test clips of a repeat are scored together. R² compares the squared error with that of the mean of the test "
    "clips, so it is at most 0 for the training mean."
)


def axis_scores(result: Result, axis: str) -> dict[str, str]:
    """Return the scores of an axis, formatted, by their names."""
    scores = {title: result.scores.get(f"{measure}_{axis}") for measure, title in MEASURES.items()}
    return {
        title: DASH if score is None or score.mean is None else minus(score.mean) for title, score in scores.items()
    }


def axes_table(results: Sequence[Result], labels: Sequence[str], *, name: str, slug: str) -> Table:
    """Arrange the scores of each axis, one row per entry and axis.

    Parameters
    ----------
    results : sequence of Result
        Results of one board.
    labels : sequence of str
        Name of each result.
    name, slug : str
        Name of the dataset, and of the table as a file.

    Returns
    -------
    Table
        Axis by axis, entries by R², references last. It has no records: those of the other tables have these numbers.
    """
    rows = []
    for axis in AXES:
        for result, label in zip(results, labels, strict=True):
            r2 = result.scores.get(f"r2_{axis}")
            best = float("inf") if r2 is None or r2.mean is None else -r2.mean
            cells = (axis.title(), label, *axis_scores(result, axis).values(), interval(r2.ci95 if r2 else None))
            rows.append(((AXES.index(axis), result.reference, best), cells))
    return Table(
        title=f"Scores by axis: {name}",
        slug=slug,
        columns=("Axis", "Feature Type", *MEASURES.values(), "R² 95\N{NO-BREAK SPACE}%"),
        rows=[row for _, row in sorted(rows, key=lambda row: row[0])],
        notes=[MEANS, POOLED, SCALE, *shared_notes(results)],
        text_columns=2,
        optional=[(6,)],
    )
