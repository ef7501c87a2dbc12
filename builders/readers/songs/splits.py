"""Published splits of songs: their ids are shipped with the package, see ``builders/splits``."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from ....errors import InputError
from ....runtime.text import counted, few

LABELS = ("dynamic", "static")
ALBUMS, ARTISTS, OFFICIAL = "albums", "artists", "official"

_FOLDER = Path(__file__).parents[2] / "splits"

_ORIGINS = {
    "deam": "as used by Music2Emo (Kang and Herremans, 2025)",
    "emomusic": "as used by jukemir (Castellon, Donahue and Liang, ISMIR 2021), MARBLE (Yuan et al., NeurIPS 2023) and "
    "Music2Emo (Kang and Herremans, 2025)",
    "pmemo": "as used by Music2Emo (Kang and Herremans, 2025)",
}


class Split(Protocol):
    """A published split.

    Attributes
    ----------
    name : str
        Name of the split.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    def songs(self, annotated: Collection[str], problems: list[str], remarks: list[str]) -> list[str]:
        """List the annotated songs that the split uses, sorted by number."""
        ...

    def parts(self, songs: Collection[str]) -> dict[str, str]:
        """Return the part of each song whose part is published."""
        ...

    def describe(self, songs: Collection[str]) -> str:
        """Describe the split for the card."""
        ...


@dataclass(frozen=True)
class Official:
    """The split of a corpus that recent papers use.

    Attributes
    ----------
    corpus : str
        Source of the corpus.
    """

    corpus: str

    @property
    def name(self) -> str:
        """Name of the split."""
        return OFFICIAL

    @cached_property
    def published(self) -> Mapping[str, str]:
        """Part of each song."""
        with (_FOLDER / f"{self.corpus}.csv").open(encoding="utf-8", newline="") as file:
            return {row["clip_id"]: row["split"] for row in csv.DictReader(file)}

    def songs(self, annotated: Collection[str], problems: list[str], remarks: list[str]) -> list[str]:
        """List the annotated songs that the split uses, sorted by number; adds remarks on the others."""
        used = sorted(set(annotated) & set(self.published), key=int)
        lacking = sorted(set(self.published) - set(used), key=int)
        others = sorted(set(annotated) - set(used), key=int)
        if annotated and not used:
            problems.append(f"`split` {self.name}: none of its {len(self.published)} songs has annotations")
        if lacking:
            remarks.append(
                f"{counted(len(lacking), 'song')} of the official split without annotations: {few(lacking)}."
            )
        if others:
            remarks.append(f"{counted(len(others), 'song')} left out, not in the official split: {few(others)}.")
        return used

    def parts(self, songs: Collection[str]) -> dict[str, str]:
        """Return the part of each song."""
        return {song: self.published[song] for song in songs}

    def describe(self, songs: Collection[str]) -> str:
        """Describe the split for the card."""
        counts = Counter(self.parts(songs).values())
        sizes = ", ".join(f"{counts[part]} {name}" for part, name in _NAMES.items())
        return (
            f"The published split of {counted(len(songs), 'song')} ({sizes}), {_ORIGINS[self.corpus]}, with one "
            "repeat. It does not keep artists and albums together: tables of results count what is in several parts."
        )


_NAMES = {"train": "for training", "verification": "for verification (validation)", "test": "for test"}


@dataclass(frozen=True)
class Design:
    """Labels and folds that were asked for.

    Attributes
    ----------
    labels : {"dynamic", "static"}
        Ratings of every half second, or of whole songs.
    by_artist : bool
        Whether drawn folds keep all songs of an artist together.
    split : Split, optional
        Published split; by default folds are drawn.
    """

    labels: str = "dynamic"
    by_artist: bool = False
    split: Split | None = None

    def __post_init__(self) -> None:
        if self.labels not in LABELS:
            raise InputError(f"`labels` {self.labels}: expected {' or '.join(LABELS)}.")

    @property
    def static(self) -> bool:
        """Whether labels are of whole songs."""
        return self.labels == "static"

    def settings(self) -> dict[str, Any]:
        """Return the settings for the manifest; those of dynamic labels and folds by album are left out."""
        return {
            **({"labels": self.labels} if self.static else {}),
            **({} if self.split_name == ALBUMS else {"split": self.split_name}),
        }

    @property
    def split_name(self) -> str:
        """Name of the split."""
        return self.split.name if self.split else ARTISTS if self.by_artist else ALBUMS

    def dataset_name(self, source: str) -> str:
        """Name a dataset: other labels or another split make another dataset."""
        return (
            source
            + (f"-{self.labels}" if self.static else "")
            + ("" if self.split_name == ALBUMS else f"-{self.split_name}")
        )


def make_design(source: str, labels: str, split: str, others: Sequence[str] = ()) -> Design:
    """Make a design from the options of a source.

    Parameters
    ----------
    source : str
        Name of the source.
    labels, split : str
        Names of the labels and of the split.
    others : sequence of str
        Names of further splits of the source, for the message.

    Raises
    ------
    InputError
        If a name is unknown.
    """
    names = (ALBUMS, ARTISTS, OFFICIAL, *others)
    if split not in names:
        raise InputError(f"`split` {split}: expected {', '.join(names[:-1])} or {names[-1]}.")
    return Design(labels, split == ARTISTS, Official(source) if split == OFFICIAL else None)
