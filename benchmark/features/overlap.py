"""Overlap of a corpus with the data that a feature was trained on elsewhere."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from ...builders.readers.msd.ids import TRACK_ID
from ...protocols import sources

if TYPE_CHECKING:
    from ...builders.labelled_dataset import LabelledDataset

MSD = "msd"


def overlap(
    metadata: Mapping[str, Any], training_ids: Collection[str] | None, dataset: LabelledDataset
) -> dict[str, Any] | None:
    """Compare the training data of a feature with a corpus.

    Parameters
    ----------
    metadata : mapping
        Metadata of the feature, with the names of its ``collections``.
    training_ids : collection of str or None
        Ids of the recordings that it was trained on, where its authors publish them: track ids of the Million Song
        Dataset, or those of clips and songs of the corpus.
    dataset : LabelledDataset
        Corpus.

    Returns
    -------
    dict or None
        ``clips``, the number of clips among the training ids, or None where they cannot be compared; ``of``, the number
        of clips; ``collections`` that both share. None if there is no sign of an overlap.
    """
    clips = dataset.clips.filter(dataset.clips["excluded"].is_null())
    ids = [{name for name in row if name} for row in clips.select("clip_id", "song_id").iter_rows()]
    heard = sum(bool(own & set(training_ids)) for own in ids) if training_ids is not None else 0
    by_track = any(re.fullmatch(TRACK_ID, name) for own in ids for name in own)
    shared = sorted(set(metadata.get("collections", ())) & (_collections(dataset) | ({MSD} if by_track else set())))
    if heard:
        return {"clips": heard, "of": len(clips), "collections": shared}
    # Ids that can be compared, and of which none is shared, clear the feature.
    if not shared or (shared == [MSD] and by_track and training_ids is not None):
        return None
    return {"clips": None, "of": len(clips), "collections": shared}


def _collections(dataset: LabelledDataset) -> set[str]:
    """Return the names of the collections that the music of a corpus comes from, and of the corpus itself."""
    kind = str(dataset.manifest.source.get("type", ""))
    known = sources[kind].collections if kind in sources else ()
    return {dataset.name, kind, *known} - {""}
