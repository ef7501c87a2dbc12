"""Measures of the MediaEval task Emotion in Music, of results on its evaluation songs.

The task scores each song separately, by RMSE and Pearson's r of arousal and of valence, and averages over the songs
(Aljanaki, Yang and Soleymani, "Emotion in Music Task at MediaEval 2015", MediaEval Workshop 2015).
"""

from __future__ import annotations

from collections.abc import Sequence

from ...cards.tables import Table
from ..results.model import Result
from ..scoring.gaussians import AXES
from .labels import plain, shared_notes

# From [-0.5, 0.5] to the task's scale of -1 to 1; a correlation has no scale.
SCALE = {"rmse": 2.0, "pearson": 1.0}

OFFICIAL = "mediaeval2015"

# Splits whose test part is the evaluation songs of the task.
MEDIAEVAL = (OFFICIAL, "evaluation2015")

COMPARABLE = (
    "RMSE and Pearson's r of each song, averaged over the songs, on MediaEval's scale of -1 to 1, which is twice that "
    "of the other tables. The task scores every half second; here the prediction for a second is compared with the "
    "mean of its two labels, so the RMSE is at most as large."
)
UNDEFINED = "r is averaged over the songs for which it is defined; it is undefined for constant predictions."
NOT_OFFICIAL = (
    "The training songs are not the 431 songs of the task's development set: these numbers are not comparable with "
    "those of its participants."
)


def per_song_table(results: Sequence[Result], labels: Sequence[str], *, name: str, slug: str) -> Table:
    """Arrange RMSE and Pearson's r per song.

    Parameters
    ----------
    results : sequence of Result
        Results of one dataset whose test part is the evaluation songs.
    labels, name, slug
        As for :func:`.axes.axes_table`.

    Returns
    -------
    Table
        Entries by RMSE of arousal, references last. It has no records: those of the other tables have these numbers.
    """
    measures = [(score, axis) for score in SCALE for axis in AXES]

    def value(result: Result, score: str, axis: str) -> float | None:
        found = result.scores.get(f"{score}_{axis}_per_song")
        return None if found is None or found.mean is None else SCALE[score] * found.mean

    rows = []
    for result, label in zip(results, labels, strict=True):
        values = [value(result, *measure) for measure in measures]
        place = (result.reference, float("inf") if values[0] is None else values[0])
        rows.append((place, (label, *(plain(found, ".3f") for found in values))))
    notes = [COMPARABLE, UNDEFINED]
    if results[0].dataset.split != OFFICIAL:
        notes.append(NOT_OFFICIAL)
    notes += shared_notes(results)
    if excluded := results[0].excluded:
        notes.append(f"{len(excluded)} songs of the split are excluded from both parts; the dataset's card names them.")
    return Table(
        title=f"MediaEval 2015, Emotion in Music: {name}",
        slug=slug,
        columns=("Feature Type", *(f"{'RMSE' if score == 'rmse' else 'r'} {axis.title()}" for score, axis in measures)),
        rows=[row for _, row in sorted(rows, key=lambda row: row[0])],
        notes=notes,
    )
