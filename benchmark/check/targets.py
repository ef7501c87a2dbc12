"""Target curves of different recordings that are too similar to be independent."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from ...builders.folds import SPLITS
from ...runtime.text import counted
from .corpora import Corpus
from .findings import Clip, Finding

FloatArray = npt.NDArray[np.float64]

# Shorter curves and those that vary less say little: static ratings of two clips are often equal by chance.
_SECONDS = 5
_VARIATION = 0.005
# Root mean square difference, as a share of the curve's own standard deviation over time. The smallest share between
# clips of DEAM (1,802 songs) is 36 %, of emoMusic 51 %, of PMEmo and MoodSwings about 60 % or more.
_SHARE = 0.05


def similar(corpora: Sequence[Corpus], same: Callable[[int, str, int, str], bool]) -> list[Finding]:
    """Report pairs of clips whose curves are almost the same although they vary over time.

    Parameters
    ----------
    corpora : sequence of Corpus
        Datasets.
    same : callable
        Whether two clips, each given by the place of its corpus and its id, are of one recording or song.
    """
    owners, curves = _curves(corpora)
    if len(curves) < 2:
        return []
    spread = np.array([np.sqrt(np.square(curve - curve.mean(axis=0)).mean()) for curve in curves])
    start = np.array([curve[:_SECONDS].ravel() for curve in curves])
    found: dict[tuple[int, int], list[tuple[str, str, float]]] = {}
    # A curve that is close over its whole length is close in its first seconds, too, up to this factor.
    squares = np.square(start).sum(axis=1)
    longest = np.array([len(curve) for curve in curves])
    near = (_SHARE * spread) ** 2 * 2 * longest
    for place, first in enumerate(start):
        apart = squares + squares[place] - 2 * start @ first
        for twin in np.flatnonzero(apart[place + 1 :] <= near[place] + 1e-12) + place + 1:
            (one, clip), (other, second) = owners[place], owners[twin]
            share = _difference(curves[place], curves[twin])
            if share is not None and share <= _SHARE and not same(one, clip, other, second):
                found.setdefault((one, other), []).append((clip, second, share))
    return [_finding(corpora[one], corpora[other], pairs) for (one, other), pairs in sorted(found.items())]


def _curves(corpora: Sequence[Corpus]) -> tuple[list[tuple[int, str]], list[FloatArray]]:
    owners: list[tuple[int, str]] = []
    curves: list[FloatArray] = []
    for place, corpus in enumerate(corpora):
        kept = set(corpus.clips["clip_id"])
        targets = corpus.dataset.targets.sort("clip_id", "time").select("clip_id", "arousal", "valence").drop_nulls()
        for (clip,), rows in targets.group_by("clip_id", maintain_order=True):
            curve = rows.select("arousal", "valence").to_numpy()
            if clip in kept and len(curve) >= _SECONDS and curve.std(axis=0).max() >= _VARIATION:
                owners.append((place, str(clip)))
                curves.append(curve)
    return owners, curves


def _difference(one: FloatArray, other: FloatArray) -> float | None:
    """Return the root mean square difference as a share of the variation over the seconds that both have."""
    length = min(len(one), len(other))
    one, other = one[:length], other[:length]
    variation = min(np.sqrt(np.square(each - each.mean(axis=0)).mean()) for each in (one, other))
    if variation < _VARIATION:
        return None
    return float(np.sqrt(np.square(one - other).mean()) / variation)


def _finding(one: Corpus, other: Corpus, pairs: list[tuple[str, str, float]]) -> Finding:
    names = tuple(dict.fromkeys((one.name, other.name)))
    what = f"{counted(len(pairs), 'pair')} of clips of different recordings with almost the same targets"
    shares = [share for _, _, share in pairs]
    measured = (
        f"root mean square difference {min(shares):.2%} to {max(shares):.2%} of the curve's standard deviation over "
        f"time (threshold {_SHARE:.0%}; curves of at least {_SECONDS} s that vary by {_VARIATION:g} or more)"
    )
    clips = tuple((Clip(one.name, first), Clip(other.name, second)) for first, second, _ in pairs)
    fix = (
        "look up in the source which clip the ratings belong to, remove the ratings of the other one, and build the "
        f"dataset again; if both are of one recording, keep them out of different parts of the folds "
        f"({', '.join(SPLITS)}) with `group` FILE"
    )
    return Finding("targets", names, clips, what, measured, fix)
