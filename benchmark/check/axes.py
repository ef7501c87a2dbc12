"""Exchanged or inverted axes and changed scales, by comparing two ratings of the same clips.

Every clip is reduced to the mean of its targets over time. The correlations between both axes of one rating and both
axes of the other show which axes belong together; thresholds are in the comments of the constants.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from ...runtime.text import counted
from .corpora import Corpus
from .findings import Clip, Finding

FloatArray = npt.NDArray[np.float64]

AXES = ("arousal", "valence")

# With fewer clips, correlations of both axes with each other decide too often.
FEWEST = 10
# Axes belong together if they correlate at least this much. Static and dynamic ratings of the 744 songs of emoMusic
# correlate with 0.94 and 0.95; different groups of raters of the same songs agree less.
_RELATED = 0.5
# Share of bootstrap samples of the clips in which the other axis has to agree better, or the sign has to be negative.
_CERTAIN = 0.99
# The same for a run of clips, which was chosen because it agrees with the other axis. On random orders of emoMusic's
# songs with correct axes, 1 of 1,200 draws of 20 to 744 songs was exchanged by mistake.
_CERTAIN_RUN = 1.0
_DRAWS = 1000
# Ratings that correlate at least this much are the same ratings, so they should have the same unit and origin. Between
# kinds of ratings (0.95 above), a ratio of spreads other than 1 is no error.
_SAME_RATINGS = 0.98
_RATIO = 1.05
# On the scale from -0.5 to 0.5.
_OFFSET = 0.02


@dataclass(frozen=True)
class Ratings:
    """Mean ratings of clips, shape (n, 2), with the words that describe them."""

    what: str
    values: FloatArray

    def of(self, places: npt.NDArray[np.intp]) -> Ratings:
        """Return the ratings of some clips."""
        return Ratings(self.what, self.values[places])


def levels(table: pl.DataFrame) -> dict[str, FloatArray]:
    """Average the arousal and valence of each clip of a table of targets or annotations."""
    means = table.group_by("clip_id").agg(pl.col(AXES).mean()).drop_nulls()
    return {clip: np.array(values) for clip, *values in means.iter_rows()}


def compare(one: Corpus, other: Corpus, pairs: Sequence[tuple[str, str]]) -> tuple[list[Finding], str | None]:
    """Compare the targets of pairs of clips; also say why that is not possible."""
    ours, theirs = levels(one.dataset.targets), levels(other.dataset.targets)
    rated = sorted((pair for pair in pairs if pair[0] in ours and pair[1] in theirs), key=_natural)
    if len(rated) < FEWEST:
        few = f"axes of {one.name} and {other.name}: {counted(len(rated), 'rated clip')} in common; {FEWEST} are needed"
        return [], few if pairs else None
    clips = tuple((Clip(one.name, first), Clip(other.name, second)) for first, second in rated)
    first = Ratings(one.name, np.array([ours[pair[0]] for pair in rated]))
    second = Ratings(other.name, np.array([theirs[pair[1]] for pair in rated]))
    return _compared(tuple(dict.fromkeys((one.name, other.name))), clips, first, second), None


def _natural(pair: tuple[str, str]) -> list[tuple[int, str]]:
    """Sort ids by the numbers in them, so that runs of ids are parts of a corpus."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", pair[0])]


def within(corpus: Corpus) -> list[Finding]:
    """Compare the ratings of single annotators with the targets, where both were published."""
    ratings, targets = levels(corpus.dataset.annotations), levels(corpus.dataset.targets)
    both = [clip for clip in targets if clip in ratings]
    if len(both) < FEWEST:
        return []
    first = Ratings("the annotations", np.array([ratings[clip] for clip in both]))
    second = Ratings("the targets", np.array([targets[clip] for clip in both]))
    return _compared((corpus.name,), tuple((Clip(corpus.name, clip),) for clip in both), first, second)


def _compared(
    datasets: tuple[str, ...], clips: tuple[tuple[Clip, ...], ...], one: Ratings, other: Ratings
) -> list[Finding]:
    if len(clips) < FEWEST:
        return []
    whole, drawn = _bootstrap(one, other)
    exchanged = _exchanged(whole, drawn, _CERTAIN)
    found = []
    numbers = _numbers(whole, one.what, other.what)
    if exchanged is not None:
        what = f"arousal and valence are exchanged in {one.what} or in {other.what}"
        threshold = (
            f"each axis agrees better with the other axis in {exchanged:.1%} of {_DRAWS} bootstrap samples (threshold "
            f"{_CERTAIN:.0%}, with correlations of at least {_RELATED:g})"
        )
        fix = (
            "find out from the documentation or from a third rating which of them is right, exchange the columns "
            "arousal and valence of the other one's ratings, and build that dataset again under a new version"
        )
        found.append(Finding("axes", datasets, clips, what, f"{numbers}; {threshold}", fix))
    else:
        run = _run(one, other)
        inside, outside = np.flatnonzero(run), np.flatnonzero(~run)
        if len(inside) >= FEWEST and _exchanged(*_bootstrap(one.of(inside), other.of(inside)), _CERTAIN_RUN):
            return [
                finding
                for part in (inside, outside)
                for finding in _compared(datasets, tuple(clips[at] for at in part), one.of(part), other.of(part))
            ]
    for axis, name in enumerate(AXES):
        partner = axis if exchanged is None else 1 - axis
        r = whole[axis, partner]
        shown = name if exchanged is None else f"{name} (of {other.what}: {AXES[partner]})"
        negative = float(np.mean(drawn[:, axis, partner] < 0))
        if r <= -_RELATED and negative >= _CERTAIN:
            what = f"{shown} is inverted in {one.what} or in {other.what}"
            threshold = f"negative in {negative:.1%} of {_DRAWS} bootstrap samples (threshold {_CERTAIN:.0%})"
            fix = "change the sign of that axis in the ratings of one of them, and build that dataset again"
            found.append(Finding("axes", datasets, clips, what, f"{numbers}; {threshold}", fix))
        found += _scale(datasets, clips, shown, one, other, axis, partner, r)
    return found


def _bootstrap(one: Ratings, other: Ratings) -> tuple[FloatArray, FloatArray]:
    """Return the correlations of the axes, shape (2, 2), and those of bootstrap samples of the clips."""
    count = len(one.values)
    draws = np.random.default_rng(0).integers(count, size=(_DRAWS, count))
    drawn = [_correlations(one.values[part], other.values[part]) for part in np.array_split(draws, 20)]
    return _correlations(one.values[None], other.values[None])[0], np.concatenate(drawn)


def _exchanged(whole: FloatArray, drawn: FloatArray, certain: float) -> float | None:
    """Return the share of samples in which the other axis agrees better, if the axes are exchanged."""
    own, crossed = (np.abs(drawn[:, 0, k]) + np.abs(drawn[:, 1, 1 - k]) for k in (0, 1))
    share = float(np.mean(crossed > own))
    related = min(abs(whole[0, 1]), abs(whole[1, 0])) >= _RELATED
    return share if related and share >= certain else None


def _run(one: Ratings, other: Ratings) -> npt.NDArray[np.bool_]:
    """Mark the run of clips that speaks most for exchanged axes: corpora are often published in parts."""
    left, right = ((each.values - each.values.mean(axis=0)) / (each.values.std(axis=0) + 1e-9) for each in (one, other))
    evidence = (np.square(left - right) - np.square(left - right[:, ::-1])).sum(axis=1)
    total = np.concatenate([[0.0], np.cumsum(evidence)])
    rise = total - np.minimum.accumulate(total)
    last = int(np.argmax(rise))
    first = int(np.argmin(total[: last + 1]))
    places = np.arange(len(evidence))
    return (places >= first) & (places < last)


def _scale(
    datasets: tuple[str, ...],
    clips: tuple[tuple[Clip, ...], ...],
    name: str,
    one: Ratings,
    other: Ratings,
    axis: int,
    partner: int,
    r: float,
) -> list[Finding]:
    """Report ratings that are the same except for their unit or origin."""
    if abs(r) < _SAME_RATINGS:
        return []
    left, right = one.values[:, axis], np.sign(r) * other.values[:, partner]
    ratio, offset = float(right.std() / left.std()), float(right.mean() - left.mean())
    if max(ratio, 1 / ratio) <= _RATIO and abs(offset) <= _OFFSET:
        return []
    what = f"{name} is on different scales in {one.what} and {other.what}"
    measured = (
        f"the ratings correlate with {r:.3f}, so they are the same ratings (threshold {_SAME_RATINGS:g}), but those of "
        f"{other.what} have {ratio:.3f} times the spread (threshold {_RATIO:g} or its inverse) and a mean that is "
        f"{offset:+.3f} away (threshold {_OFFSET:g}, where the scale is 1 wide)"
    )
    fix = "build one of them again with the scale on which its ratings were given (`scale`)"
    return [Finding("scale", datasets, clips, what, measured, fix)]


def _correlations(one: FloatArray, other: FloatArray) -> FloatArray:
    """Correlate both axes of one rating (draws, n, 2) with both of another; 0 where an axis is constant."""
    left, right = (each - each.mean(axis=1, keepdims=True) for each in (one, other))
    norms = np.sqrt(np.square(left).sum(axis=1)[:, :, None] * np.square(right).sum(axis=1)[:, None, :])
    products = np.einsum("dni,dnj->dij", left, right)
    return np.where(norms > 1e-12, products / np.where(norms > 1e-12, norms, 1), 0)


def _numbers(whole: FloatArray, one: str, other: str) -> str:
    pairs = [
        f"{AXES[axis]} with {AXES[partner]} {whole[axis, partner]:.2f}"
        for axis, partner in ((0, 0), (1, 1), (0, 1), (1, 0))
    ]
    return f"correlations of {one} with {other}: {', '.join(pairs)}"
