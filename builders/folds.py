"""Album-aware folds: repeats of training, verification and test parts (Schmidt and Kim 2013, section 6).

Whole albums are dealt, so that no album stands in two parts (the album effect: Whitman et al. 2001,
Kim et al. 2006). An album is known by its artist and title without case, accents, spaces or punctuation.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import polars as pl

from ..errors import InputError

SPLITS = ("train", "verification", "test")

# Cells of the table behind an exact deal; beyond, albums are small beside the corpus and greed does.
_LARGEST_SEARCH = 200_000_000


@dataclass(frozen=True)
class FoldConfig:
    """How clips are dealt.

    Attributes
    ----------
    repeats : int
        Independent deals (the paper's 5).
    shares : tuple of float
        Of training, verification and test (the paper's 0.5, 0.2, 0.3). Where the test part is given, the ratio of
        the first two is that of the others.
    seed : int
        Of the deals.
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
    """Text without case, accents, spaces and punctuation, in any script."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    kept = "".join(letter for letter in decomposed if letter.isalnum())
    return unicodedata.normalize("NFKC", kept)


def album_key(artist: str, album: str) -> str:
    """Key of an album: the normalised artist and title."""
    return f"{normalised(artist)}/{normalised(album)}"


def _deal(sizes: np.ndarray, shares: tuple[float, float, float], generator: np.random.Generator) -> np.ndarray:
    """Deal albums to parts within two points of the shares where any deal is; the part of each album."""
    total = int(sizes.sum())
    wanted = np.array(shares) * total
    parts, lacking = _deal_greedily(sizes, wanted, generator)
    good = np.abs(lacking).max() <= 0.02 * total and len(set(parts.tolist())) == 3
    if good or len(sizes) * (total + 1) ** 2 > _LARGEST_SEARCH:
        return parts
    return _deal_exactly(sizes, wanted, generator)


def _deal_greedily(
    sizes: np.ndarray, wanted: np.ndarray, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Part of each album, and what the parts lack: large albums first, each to the part that lacks most."""
    lacking = wanted.copy()
    parts = np.empty(len(sizes), np.intp)
    # Equal albums in random order.
    for album in np.lexsort((generator.random(len(sizes)), -sizes)):
        part = int(np.argmax(lacking + 1e-9 * generator.random(len(wanted))))
        parts[album] = part
        lacking[part] -= sizes[album]
    return parts, lacking


def _deal_exactly(sizes: np.ndarray, wanted: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Deal albums as near to the numbers wanted as can be; by chance among the deals that are."""
    total = int(sizes.sum())
    order = generator.permutation(len(sizes))
    # reached[k, a, b]: the first k albums can be dealt with a clips in training and b in verification.
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
        ways = [part for part, (i, j) in enumerate(before) if i >= 0 and j >= 0 and reached[step, i, j]]
        part = ways[int(generator.integers(len(ways)))]
        parts[order[step]] = part
        a, b = before[part]
    return parts


def fold_table(clips: pl.DataFrame, config: FoldConfig, tested: Collection[str] | None = None) -> pl.DataFrame:
    """Deal clips to the parts of each repeat.

    Parameters
    ----------
    clips : DataFrame
        ``clip_id, artist, album``; the order of its rows does not matter.
    config : FoldConfig
        Repeats, shares, seed.
    tested : collection of str, optional
        Clips that are the test part of every repeat; by default it is dealt too.

    Returns
    -------
    DataFrame
        ``repeat, clip_id, album, split``; ``album`` is the album's key.

    Raises
    ------
    InputError
        If there are fewer albums than parts that are dealt: each needs one. Or if none of ``tested`` is there.
    """
    clips = clips.select("clip_id", "artist", "album").sort("clip_id")
    keys = [album_key(artist, album) for _, artist, album in clips.iter_rows()]
    dealt = ~np.array([clip in (tested or ()) for clip in clips["clip_id"]])
    names = SPLITS if tested is None else SPLITS[:2]
    if tested is not None and dealt.all():
        raise InputError(f"{len(keys)} usable clips, and none of the {len(tested)} that are to be the test part.")
    albums, owner, sizes = np.unique(np.array(keys, dtype=object)[dealt], return_inverse=True, return_counts=True)
    if len(albums) < len(names):
        raise InputError(
            f"{dealt.sum()} usable clips on {len(albums)} albums: folds need at least {len(names)} albums, one each "
            f"for {', '.join(names[:-1])} and {names[-1]}. Add clips from other albums."
        )
    tables = []
    for repeat in range(config.repeats):
        generator = np.random.default_rng([config.seed, repeat])
        parts = np.full(len(keys), SPLITS.index("test"))
        if tested is None:
            parts[dealt] = _deal(sizes, config.shares, generator)[owner]
        else:
            wanted = np.array(config.shares[:2]) / sum(config.shares[:2]) * dealt.sum()
            parts[dealt] = _deal_greedily(sizes, wanted, generator)[0][owner]
        tables.append(
            pl.DataFrame(
                {
                    "repeat": pl.Series([repeat] * len(keys), dtype=pl.Int32),
                    "clip_id": clips["clip_id"],
                    "album": keys,
                    "split": [SPLITS[part] for part in parts],
                }
            )
        )
    return pl.concat(tables)
