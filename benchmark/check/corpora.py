"""Datasets as they are checked: their names, clips, levels and folds, and which of their clips belong together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from ...builders.folds import connected, normalised
from ...builders.labelled_dataset import LabelledDataset
from ...runtime.text import counted
from ..scoring.leakage import NOBODY

FloatArray = npt.NDArray[np.float64]

# Published corpora by the type of their source in the manifest; those of one set number the same songs in the same way.
# emoMusic is the 2013 part of DEAM. Ids of other corpora overlap by accident: song 1 of PMEmo is not song 1 of DEAM.
NUMBERINGS = (
    frozenset({"deam", "emomusic"}),
    frozenset({"moodswings"}),
    frozenset({"pmemo"}),
    frozenset({"vgmidi"}),
)


@dataclass(frozen=True)
class Corpus:
    """A dataset with the name under which findings mention it; its clips are those that are not excluded."""

    name: str
    dataset: LabelledDataset

    @cached_property
    def clips(self) -> pl.DataFrame:
        """Clips that are not excluded."""
        return self.dataset.clips.filter(pl.col("excluded").is_null())

    @cached_property
    def songs(self) -> dict[str, str]:
        """Normalised artist and title of each clip that has both."""
        named = self.clips.select("clip_id", "artist", "title").drop_nulls()
        return {
            clip: f"{normalised(artist)}/{normalised(title)}"
            for clip, artist, title in named.iter_rows()
            if normalised(artist) not in NOBODY and normalised(title)
        }

    @cached_property
    def _groups(self) -> dict[str, str]:
        return dict(self.dataset.folds.select("clip_id", "album").unique("clip_id").iter_rows())

    def group(self, clip: str) -> str:
        """Return the key that the folds keep together; a clip outside the folds has a key of its own."""
        return self._groups.get(clip, f" {clip}")

    @cached_property
    def numbering(self) -> object:
        """What song ids refer to: where it is equal, equal ids are the same song. None if unknown."""
        source = self.dataset.manifest.source
        if source.get("type") == "table":
            return source.get("clips_sha256")
        return next((kinds for kinds in NUMBERINGS if source.get("type") in kinds), None)

    def apart(self, pairs: Iterable[tuple[str, str]]) -> str:
        """Say in how many repeats clips that belong together are in different parts."""
        pairs, parts = list(pairs), self.parts()
        count = sum(
            any(one in split and other in split and split[one] != split[other] for one, other in pairs)
            for _, split in parts
        )
        return f"in different parts of the folds in {count} of {counted(len(parts), 'repeat')}"

    def parts(self) -> list[tuple[int, dict[str, str]]]:
        """Return the repeats, and the split of each clip in them."""
        return [
            (int(str(repeat)), dict(rows.select("clip_id", "split").iter_rows()))
            for (repeat,), rows in self.dataset.folds.sort("repeat").group_by("repeat", maintain_order=True)
        ]


# Pairs of clip ids, the first of one corpus and the second of the same or another one, and why they belong together.
Links = Mapping[tuple[str, str], str]


def by_id(one: Corpus, other: Corpus) -> dict[tuple[str, str], str]:
    """Link clips of the same song id in datasets that share a numbering."""
    if one.numbering is None or one.numbering != other.numbering:
        return {}
    return _joined(
        dict(one.clips.select("clip_id", "song_id").iter_rows()),
        dict(other.clips.select("clip_id", "song_id").iter_rows()),
        "id",
    )


def by_song(one: Corpus, other: Corpus) -> dict[tuple[str, str], str]:
    """Link clips of the same artist and title in two datasets."""
    return _joined(one.songs, other.songs, "artist and title")


def _joined(one: Mapping[str, str], other: Mapping[str, str], why: str) -> dict[tuple[str, str], str]:
    places: dict[str, list[str]] = {}
    for clip, key in other.items():
        places.setdefault(key, []).append(clip)
    return {(clip, twin): why for clip, key in one.items() for twin in places.get(key, ())}


def components(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, ...]]:
    """Return the groups of clips that pairs connect, in order."""
    pairs = list(pairs)
    root: Callable[[str], str] = connected(pairs)
    groups: dict[str, list[str]] = {}
    for clip in sorted({clip for pair in pairs for clip in pair}):
        groups.setdefault(root(clip), []).append(clip)
    return sorted(tuple(group) for group in groups.values())
