"""Entries of one dataset in pairs: intervals of their differences, and tests.

All entries were tested on the same seconds, and a mean over seconds is a sum over albums. So the difference of two
entries is a sum of one number per album, over all repeats in which the album is tested, and

- the paired bootstrap draws whole albums with replacement, the same draw for all entries and repeats, as for the
  intervals of the scores (:mod:`.significance`);
- the randomisation test flips the sign of an album's number, once for all its repeats: if two entries were equally
  good, each flip would be as likely (Noreen 1989). With few albums, all flips are enumerated.

Many pairs are corrected together: under the same flips of all entries, the largest standardised difference of all
pairs is the threshold for each pair (Westfall and Young 1993). Pairs that exceed it are removed, and the others are
tested again (Romano and Wolf 2005). As with Holm's correction, the chance of a single false positive is at most 5 %,
but the dependence between pairs is taken into account, and few flips suffice for many pairs: Holm's correction would
need millions of flips for the pairs of 500 entries.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

LEVEL = 0.05

# Number of flips or draws processed at a time, so that a block stays in the processor's cache.
_BLOCK = 256

# Smaller differences are rounding, since scores are between 0 and 1.
_ROUNDING = 1e-12


def contributions(sums: FloatArray, seconds: FloatArray) -> FloatArray:
    """Compute what each album contributes to the score of each entry.

    Parameters
    ----------
    sums : ndarray, shape (n_entries, n_repeats, n_albums)
        Distances of an entry, summed over the test seconds of an album in a repeat.
    seconds : ndarray, shape (n_repeats, n_albums)
        Number of these seconds.

    Returns
    -------
    ndarray, shape (n_entries, n_albums)
        The sum over the albums is the score: the mean over the repeats of the mean over the seconds.
    """
    return (sums / seconds.sum(axis=1)[:, None]).mean(axis=1)


def bootstrap_scores(sums: FloatArray, seconds: FloatArray, *, draws: int, seed: int) -> FloatArray:
    """Compute the scores of all entries for draws of albums.

    Parameters
    ----------
    sums, seconds : ndarray
        As in :func:`contributions`.
    draws, seed : int
        Number of draws and their seed; the draws are those of :func:`.significance.album_intervals`.

    Returns
    -------
    ndarray, shape (at most draws, n_entries)
        Draws without any test second are left out; a draw's score is the mean over the repeats that have some.
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
    """Return signs of albums, shape (n_flips, n_albums), and whether they are all possible ones.

    All are enumerated if there are at most ``draws``. Of a flip and its reverse, which are equivalent in a two-sided
    test, only one is included. The first flip changes nothing.
    """
    if n_albums - 1 < np.log2(draws + 1):
        numbers = np.arange(2 ** (n_albums - 1))
        return 1.0 - 2.0 * ((numbers[:, None] >> np.arange(n_albums)) & 1), True
    generator = np.random.default_rng(seed)
    return generator.integers(0, 2, (draws, n_albums)).astype(np.float64) * 2.0 - 1.0, False


def _p_values(reached: npt.NDArray[np.intp], flips: int, every: bool) -> FloatArray:
    """Return the share of flips that reach a difference; with random flips, the observed data count as one more.

    Otherwise a p-value could be 0 (Phipson and Smyth 2010).
    """
    return reached / flips if every else (reached + 1) / (flips + 1)


def pair_p(differences: FloatArray, *, draws: int, seed: int) -> float:
    """Compute the two-sided p-value of one pair, not corrected for others.

    Parameters
    ----------
    differences : ndarray, shape (n_albums,)
        Difference of the contributions of two entries.
    draws, seed : int
        Number of random flips and their seed.
    """
    counted = differences[np.abs(differences) > _ROUNDING]
    if not len(counted):
        return 1.0
    signs, every = sign_flips(len(counted), draws=draws, seed=seed)
    found = np.abs(signs @ counted)
    reached = np.count_nonzero(found >= abs(counted.sum()) * (1 - 1e-9))
    return float(_p_values(np.array(reached), len(signs), every))


def corrected_p(shares: FloatArray, *, draws: int, seed: int, family: BoolArray | None = None) -> FloatArray:
    """Compute two-sided p-values of pairs of entries, corrected for the number of pairs.

    Parameters
    ----------
    shares : ndarray, shape (n_entries, n_albums)
        Contributions, from :func:`contributions`.
    draws, seed : int
        Number of random flips and their seed.
    family : ndarray of bool, shape (n_entries, n_entries), optional
        Symmetric mask of the pairs to test and to correct for. Default: all pairs.

    Returns
    -------
    ndarray, shape (n_entries, n_entries)
        Symmetric; 1 for pairs outside the family. The chance that any pair without a true difference has a p-value
        below :data:`LEVEL` is at most :data:`LEVEL`.
    """
    n_entries = len(shares)
    # What all entries share cancels in a difference, but would cost digits.
    centred = shares - shares.mean(axis=0)
    counted = centred[:, (np.abs(centred) > _ROUNDING).any(axis=0)]
    p = np.ones((n_entries, n_entries))
    if n_entries < 2 or not counted.shape[1]:
        return p
    signs, every = sign_flips(counted.shape[1], draws=draws, seed=seed)
    flipped = counted @ signs.T
    scale = _scales(counted)
    total = counted.sum(axis=1)
    observed = np.abs(total[:, None] - total) * scale * (1 - 1e-9)
    left = np.triu(np.ones((n_entries, n_entries), bool) if family is None else family, 1)
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
    """Return one over the standard deviation of each pair's difference under flips; 0 if there is no difference."""
    scale = np.zeros((len(shares), len(shares)))
    for row in range(len(shares)):
        deviation = np.sqrt(((shares - shares[row]) ** 2).sum(axis=1))
        scale[row] = np.where(deviation > _ROUNDING, 1.0 / np.maximum(deviation, _ROUNDING), 0.0)
    return scale


def _largest(flipped: FloatArray, scale: FloatArray, left: BoolArray) -> FloatArray:
    """Return the largest standardised difference of the remaining pairs under each flip, shape (n_flips,)."""
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
