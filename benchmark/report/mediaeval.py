"""The measures of MediaEval's task Emotion in Music, of results on its evaluation songs.

The task scores each song by itself, RMSE and Pearson's r of arousal and of valence, and averages over the songs
(Aljanaki, Yang and Soleymani, "Emotion in Music Task at MediaEval 2015", MediaEval Workshop 2015).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...cards.tables import Table
from ..scoring.metrics import AXES

# From [-0.5, 0.5] to the task's scale from -1 to 1; a correlation has no scale.
SCALE = {"rmse": 2.0, "pearson": 1.0}

OFFICIAL = "mediaeval2015"

COMPARABLE = (
    "RMSE and Pearson's r of each song, averaged over the songs, on the scale of MediaEval from -1 to 1, twice that of "
    "the other tables. The task scores every half second; here a second's prediction is scored against the mean of its "
    "two labels, which can only make the RMSE smaller by what they differ within a second."
)
UNDEFINED = "r is averaged over the songs in which it is defined; of a constant prediction it never is."
NOT_OFFICIAL = (
    "The songs that were learned from are not the 431 of the task's development set: numbers of its participants are "
    "no comparison."
)


def per_song_table(results: Sequence[dict[str, Any]], labels: Sequence[str], *, name: str, slug: str) -> Table:
    """Table of RMSE and Pearson's r per song.

    Parameters
    ----------
    results : sequence of dict
        Of one dataset whose test part is the evaluation songs.
    labels : sequence of str
        What each is called.
    name, slug : str
        Of the dataset, and of the table as a file.

    Returns
    -------
    Table
        The lowest RMSE of arousal first, what is no feature last. Its numbers in full stand among the records of
        the other tables.
    """
    measures = [(score, axis) for score in SCALE for axis in AXES]

    def value(result: dict[str, Any], score: str, axis: str) -> float | None:
        mean = result["scores"].get(f"{score}_{axis}_per_song", {}).get("mean")
        return None if mean is None else SCALE[score] * mean

    rows = []
    for result, label in zip(results, labels, strict=True):
        values = [value(result, *measure) for measure in measures]
        cells = ["–" if found is None else f"{found:.3f}" for found in values]
        place = (result["features"] in ("constant", "oracle"), float("inf") if values[0] is None else values[0])
        rows.append((place, (label, *cells)))
    notes = [COMPARABLE, UNDEFINED]
    if results[0]["dataset"].get("split") != OFFICIAL:
        notes.append(NOT_OFFICIAL)
    if excluded := results[0].get("excluded"):
        notes.append(
            f"{len(excluded)} songs of the split are excluded from both parts, as the dataset's card names them."
        )
    return Table(
        title=f"MediaEval 2015, Emotion in Music: {name}",
        slug=slug,
        columns=("Feature Type", *(f"{'RMSE' if score == 'rmse' else 'r'} {axis.title()}" for score, axis in measures)),
        rows=[row for _, row in sorted(rows, key=lambda row: row[0])],
        notes=notes,
    )
