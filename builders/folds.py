"""Album-aware folds: repeats of training, verification and test parts (Schmidt and Kim 2013, section 6).

Whole albums are assigned to parts, so that no album is in two of them (the album effect: Whitman et al. 2001, Kim et
al. 2006). Albums are identified by artist and title, ignoring case, accents, spaces and punctuation.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from ..errors import InputError
from ..runtime.text import counted

SPLITS = ("train", "verification", "test")

# Names of splits whose parts are drawn; others are published.
DRAWN = ("albums", "artists")

# Largest table of the exact assignment. In larger corpora, albums are small relative to the corpus, and the greedy
# assignment is accurate enough.
_LARGEST_SEARCH = 200_000_000


@dataclass(frozen=True)
class FoldConfig:
    """Settings of the folds.

    Attributes
    ----------
    repeats : int
        Number of independent assignments (5 in the paper).
    shares : tuple of float
        Shares of the training, verification and test parts (0.5, 0.2, 0.3 in the paper). If only the test part was
        published, the other clips are divided in the ratio of the first two.
    seed : int
        Seed of the assignments.
    """

    repeats: int = 5
    shares: tuple[float, float, float] = (0.5, 0.2, 0.3)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.repeats < 1:
            raise ValueError(f"repeats={self.repeats}: expected at least 1")
        if len(self.shares) != 3 or min(self.shares) <= 0 or abs(sum(self.shares) - 1) > 1e-9:
            raise ValueError(f"shares={self.shares}: expected three shares above 0 that add up to 1")


def normalised(text: str) -> str:
    """Remove case, accents, spaces and punctuation from text in any script."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    kept = "".join(letter for letter in decomposed if letter.isalnum())
    return unicodedata.normalize("NFKC", kept)


def album_key(artist: str, album: str) -> str:
    """Return the key of an album: its normalised artist and title."""
    return f"{normalised(artist)}/{normalised(album)}"


def connected(sets: Iterable[Sequence[str]]) -> Callable[[str], str]:
    """Connect the items of each set, and return a function from an item to a representative of its component."""
    parents: dict[str, str] = {}

    def root(item: str) -> str:
        while parents.setdefault(item, item) != item:
            item = parents[item]
        return item

    for items in sets:
        for item in items:
            parents[root(item)] = root(items[0])
    return root


def _assign(sizes: np.ndarray, shares: tuple[float, float, float], generator: np.random.Generator) -> np.ndarray:
    """Assign albums to parts, within two percentage points of the shares if possible; returns their parts."""
    total = int(sizes.sum())
    wanted = np.array(shares) * total
    parts, lacking = _assign_greedily(sizes, wanted, generator)
    good = np.abs(lacking).max() <= 0.02 * total and len(set(parts.tolist())) == 3
    if good or len(sizes) * (total + 1) ** 2 > _LARGEST_SEARCH:
        return parts
    return _assign_exactly(sizes, wanted, generator)


def _assign_greedily(
    sizes: np.ndarray, wanted: np.ndarray, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Assign large albums first, each to the part that lacks most clips; returns the parts and what they lack."""
    lacking = wanted.copy()
    parts = np.empty(len(sizes), np.intp)
    # Equal albums in random order.
    for album in np.lexsort((generator.random(len(sizes)), -sizes)):
        part = int(np.argmax(lacking + 1e-9 * generator.random(len(wanted))))
        parts[album] = part
        lacking[part] -= sizes[album]
    return parts, lacking


def _assign_exactly(sizes: np.ndarray, wanted: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Draw one of the assignments of albums that come closest to the numbers wanted (dynamic programming)."""
    total = int(sizes.sum())
    order = generator.permutation(len(sizes))
    # reached[k, a, b]: the first k albums can be assigned with a clips in training and b in verification.
    reached = np.zeros((len(sizes) + 1, total + 1, total + 1), bool)
    reached[0, 0, 0] = True
    for step, size in enumerate(sizes[order]):
        reached[step + 1] = reached[step]
        reached[step + 1, size:] |= reached[step, :-size]
        reached[step + 1, :, size:] |= reached[step, :, :-size]
    first, second = np.indices((total + 1, total + 1))
    third = total - first - second
    error = np.max([abs(first - wanted[0]), abs(second - wanted[1]), abs(third - wanted[2])], axis=0)
    possible = reached[-1] & (first > 0) & (second > 0) & (third > 0)
    a, b = np.unravel_index(np.argmin(np.where(possible, error, np.inf)), error.shape)
    parts = np.empty(len(sizes), np.intp)
    for step in range(len(sizes) - 1, -1, -1):
        size = sizes[order[step]]
        before = [(a - size, b), (a, b - size), (a, b)]
        options = [part for part, (i, j) in enumerate(before) if i >= 0 and j >= 0 and reached[step, i, j]]
        part = options[int(generator.integers(len(options)))]
        parts[order[step]] = part
        a, b = before[part]
    return parts


def by_artist(clips: pl.DataFrame) -> pl.DataFrame:
    """Return the grouping by which folds keep all clips of an artist together: ``clip_id, artist, album``."""
    return clips.select("clip_id", "artist", album=pl.lit(""))


def fold_table(clips: pl.DataFrame, config: FoldConfig, parts: Mapping[str, str] | None = None) -> pl.DataFrame:
    """Assign clips to the parts of each repeat.

    Parameters
    ----------
    clips : DataFrame
        ``clip_id, artist, album``, in any order.
    config : FoldConfig
        Repeats, shares and seed.
    parts : mapping of str to str, optional
        Published part of clips, ``train``, ``verification`` or ``test``. Clips without one are assigned to training and
        verification parts at random. By default all parts are drawn.

    Returns
    -------
    DataFrame
        ``repeat, clip_id, album, split``; ``album`` is the album's key.

    Raises
    ------
    InputError
        If there are fewer albums than parts to fill, or a published split leaves a part empty.
    """
    clips = clips.select("clip_id", "artist", "album").sort("clip_id")
    keys = [album_key(artist, album) for _, artist, album in clips.iter_rows()]
    fixed = [None if parts is None else parts.get(clip) for clip in clips["clip_id"]]
    drawn = np.array([part is None for part in fixed])
    names = SPLITS if parts is None else SPLITS[:2]
    lacking = [] if parts is None else sorted({"test", *parts.values()} - set(fixed))
    if lacking:
        raise InputError(f"no usable clip is in the {lacking[0]} part of the published split ({len(keys)} are usable).")
    albums, owner, sizes = np.unique(np.array(keys, dtype=object)[drawn], return_inverse=True, return_counts=True)
    if drawn.any() and len(albums) < len(names):
        raise InputError(
            f"{counted(drawn.sum(), 'usable clip')} on {counted(len(albums), 'album')}: folds need at least "
            f"{len(names)} albums, one each for {', '.join(names[:-1])} and {names[-1]}. Add clips from other albums."
        )
    tables = []
    for repeat in range(config.repeats):
        generator = np.random.default_rng([config.seed, repeat])
        assigned = np.array([SPLITS.index(part or "test") for part in fixed])
        if parts is None:
            assigned[drawn] = _assign(sizes, config.shares, generator)[owner]
        elif drawn.any():
            wanted = np.array(config.shares[:2]) / sum(config.shares[:2]) * drawn.sum()
            assigned[drawn] = _assign_greedily(sizes, wanted, generator)[0][owner]
        tables.append(
            pl.DataFrame(
                {
                    "repeat": pl.Series([repeat] * len(keys), dtype=pl.Int32),
                    "clip_id": clips["clip_id"],
                    "album": keys,
                    "split": [SPLITS[part] for part in assigned],
                }
            )
        )
    return pl.concat(tables)
