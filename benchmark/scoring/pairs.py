"""Rows of one dataset in pairs: intervals of differences and tests of them.

All rows were tested on the same seconds, and a mean over seconds is a sum over albums. So the difference of
two rows is a sum of one number an album, over all the repeats in which it is tested, and

- the paired bootstrap draws whole albums with replacement, the same draw for all rows and repeats, as the
  intervals of the scores do (:mod:`.significance`);
- the randomisation test flips the sign of an album's number, once for all its repeats: were the rows equal,
  each flip would be as likely (Noreen 1989). Where there are few albums, all flips are gone through.

Many pairs are corrected together: under the same flips of all rows, the largest standardised difference of
all pairs is what a pair must beat (Westfall and Young 1993), step by step, without the pairs that did
(Romano and Wolf 2005). This holds the chance of a single false one at 5 %, as Holm's correction does, but it knows
which pairs go together, and a p-value survives however many pairs there are: Holm's would need millions of
flips for those of 500 rows.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

LEVEL = 0.05

# Flips, or draws, that are worked on at a time: a block stays in the processor's cache.
_BLOCK = 256

# A difference below this, of rows between 0 and 1, is rounding.
_ROUNDING = 1e-12


def contributions(sums: FloatArray, seconds: FloatArray) -> FloatArray:
    """What each album adds to the score of each row.

    Parameters
    ----------
    sums : ndarray, shape (n_rows, n_repeats, n_albums)
        A row's distances, summed over an album's test seconds of a repeat.
    seconds : ndarray, shape (n_repeats, n_albums)
        Number of these seconds.

    Returns
    -------
    ndarray, shape (n_rows, n_albums)
        Their sum over the albums is the score: the mean over the repeats of the mean over the seconds.
    """
    return (sums / seconds.sum(axis=1)[:, None]).mean(axis=1)


def bootstrap_scores(sums: FloatArray, seconds: FloatArray, *, draws: int, seed: int) -> FloatArray:
    """Scores of all rows in draws of albums.

    Parameters
    ----------
    sums, seconds : ndarray
        As in :func:`contributions`.
    draws, seed : int
        Of the bootstrap; the draws are those of :func:`.significance.album_intervals`.

    Returns
    -------
    ndarray, shape (at most draws, n_rows)
        A draw without any test second is left out; a repeat that has none in a draw has no say in it.
    """
    n_albums = seconds.shape[1]
    counts = np.random.default_rng(seed).multinomial(n_albums, np.full(n_albums, 1.0 / n_albums), size=draws)
    weights = counts.astype(np.float64)
    total = weights @ seconds.T
    defined = total > 0
    scores = np.zeros((draws, len(sums)))
    for repeat in range(len(seconds)):
        shown = weights @ sums[:, repeat].T
        scores += np.where(defined[:, [repeat]], shown / np.where(defined, total, 1.0)[:, [repeat]], 0.0)
    drawn = defined.any(axis=1)
    return scores[drawn] / defined[drawn].sum(axis=1)[:, None]


def sign_flips(n_albums: int, *, draws: int, seed: int) -> tuple[FloatArray, bool]:
    """Signs of albums, shape (n_flips, n_albums), and whether these are all there are.

    All are gone through where they are not more than ``draws``. Of a flip and its reverse, which say the
    same of a two-sided test, one is there; the first is that which flips nothing.
    """
    if n_albums - 1 < np.log2(draws + 1):
        numbers = np.arange(2 ** (n_albums - 1))
        return 1.0 - 2.0 * ((numbers[:, None] >> np.arange(n_albums)) & 1), True
    generator = np.random.default_rng(seed)
    return generator.integers(0, 2, (draws, n_albums)).astype(np.float64) * 2.0 - 1.0, False


def _p_values(reached: npt.NDArray[np.intp], flips: int, every: bool) -> FloatArray:
    """Share of the flips that reach a difference; of random ones, the data as they are count as one more.

    Without the latter, a p-value could be 0 (Phipson and Smyth 2010).
    """
    return reached / flips if every else (reached + 1) / (flips + 1)


def pair_p(differences: FloatArray, *, draws: int, seed: int) -> float:
    """Two-sided p-value of one pair, not corrected for others.

    Parameters
    ----------
    differences : ndarray, shape (n_albums,)
        Difference of the two rows' contributions.
    draws, seed : int
        Of the flips.
    """
    counted = differences[np.abs(differences) > _ROUNDING]
    if not len(counted):
        return 1.0
    signs, every = sign_flips(len(counted), draws=draws, seed=seed)
    found = np.abs(signs @ counted)
    reached = np.count_nonzero(found >= abs(counted.sum()) * (1 - 1e-9))
    return float(_p_values(np.array(reached), len(signs), every))


def corrected_p(shares: FloatArray, *, draws: int, seed: int, family: BoolArray | None = None) -> FloatArray:
    """Two-sided p-values of pairs of rows, corrected for the number of pairs.

    Parameters
    ----------
    shares : ndarray, shape (n_rows, n_albums)
        Contributions, from :func:`contributions`.
    draws, seed : int
        Number of random flips and their seed.
    family : ndarray of bool, shape (n_rows, n_rows), optional
        Symmetric mask of the pairs to test and to correct for. Default: all pairs.

    Returns
    -------
    ndarray, shape (n_rows, n_rows)
        Symmetric; 1 for pairs outside the family. The chance that any pair without a true difference has a p-value
        below :data:`LEVEL` is at most :data:`LEVEL`.
    """
    n_rows = len(shares)
    # What all rows share takes no part in a difference, but would cost digits.
    centred = shares - shares.mean(axis=0)
    counted = centred[:, (np.abs(centred) > _ROUNDING).any(axis=0)]
    p = np.ones((n_rows, n_rows))
    if n_rows < 2 or not counted.shape[1]:
        return p
    signs, every = sign_flips(counted.shape[1], draws=draws, seed=seed)
    flipped = counted @ signs.T
    scale = _scales(counted)
    total = counted.sum(axis=1)
    observed = np.abs(total[:, None] - total) * scale * (1 - 1e-9)
    left = np.triu(np.ones((n_rows, n_rows), bool) if family is None else family, 1)
    reached_so_far = 0.0
    while left.any():
        largest = np.sort(_largest(flipped, scale, left))
        reached = len(largest) - np.searchsorted(largest, observed[left], side="left")
        values = np.maximum(_p_values(reached, len(largest), every), reached_so_far)
        p[left] = values
        apart = values < LEVEL
        if not apart.any():
            break
        reached_so_far = float(values[apart].max())
        left[left] = ~apart
    return np.minimum(p, p.T)


def _scales(shares: FloatArray) -> FloatArray:
    """One over the standard deviation of each pair's difference under flips; 0 where there is no difference."""
    scale = np.zeros((len(shares), len(shares)))
    for row in range(len(shares)):
        deviation = np.sqrt(((shares - shares[row]) ** 2).sum(axis=1))
        scale[row] = np.where(deviation > _ROUNDING, 1.0 / np.maximum(deviation, _ROUNDING), 0.0)
    return scale


def _largest(flipped: FloatArray, scale: FloatArray, left: BoolArray) -> FloatArray:
    """Largest standardised difference of the pairs that are left under each flip, shape (n_flips,)."""
    largest = np.zeros(flipped.shape[1])
    partners = [(row, np.flatnonzero(left[row])) for row in np.flatnonzero(left.any(axis=1))]
    for first in range(0, len(largest), _BLOCK):
        block = np.ascontiguousarray(flipped[:, first : first + _BLOCK])
        found = largest[first : first + _BLOCK]
        for row, others in partners:
            differences = block[others] - block[row]
            np.abs(differences, out=differences)
            differences *= scale[row, others][:, None]
            np.maximum(found, differences.max(axis=0), out=found)
    return largest
