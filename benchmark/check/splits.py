"""Splits that overlap: within a dataset, and the test part of one dataset with the training part of another."""

from __future__ import annotations

from collections.abc import Iterable

from ...runtime.text import counted, few
from ..scoring.leakage import KEEP_TOGETHER, doubled, folds_by_artist, split_albums, split_artists
from .corpora import Corpus, components
from .findings import Clip, Finding
from .fixes import leave_out


def within(corpus: Corpus, pairs: Iterable[tuple[str, str]]) -> list[Finding]:
    """Report what the folds of a dataset should keep together but do not."""
    dataset = corpus.dataset
    fix = KEEP_TOGETHER
    if dataset.published_split:
        fix = f"the split {dataset.split} is published as it is: report it beside one without overlap (`split` albums)"
    found = []
    for what, names, threshold in (
        ("clips that occur twice in a repeat", doubled(dataset), "each clip once per repeat"),
        ("albums on both sides of a fold", split_albums(dataset), "no album in two parts of a repeat"),
        (
            "artists on both sides of a fold, though the folds are by artist",
            split_artists(dataset) if folds_by_artist(dataset) else [],
            "no artist in two parts of a repeat",
        ),
    ):
        if names:
            measured = f"{len(names)} ({few(names)}); expected {threshold}"
            found.append(Finding("splits", (corpus.name,), (), what, measured, fix))
    apart = [pair for pair in pairs if any(_apart(split, *pair) for _, split in corpus.parts())]
    if apart:
        repeats = sum(any(_apart(split, *pair) for pair in apart) for _, split in corpus.parts())
        groups = components(apart)
        clips = tuple(tuple(Clip(corpus.name, clip) for clip in group) for group in groups)
        what = f"{counted(len(groups), 'recording or song', 'recordings or songs')} on both sides of a fold"
        measured = f"in {repeats} of {counted(len(corpus.parts()), 'repeat')}; expected none"
        found.append(Finding("splits", (corpus.name,), clips, what, measured, fix))
    return found


def _apart(split: dict[str, str], one: str, other: str) -> bool:
    return one in split and other in split and split[one] != split[other]


def across(one: Corpus, other: Corpus, pairs: Iterable[tuple[str, str]]) -> list[Finding]:
    """Report test clips of one dataset whose recording or song is in the training part of the other."""
    pairs = list(pairs)
    return [
        *_tested(one, other, pairs),
        *_tested(other, one, [(second, first) for first, second in pairs]),
    ]


def _tested(one: Corpus, other: Corpus, pairs: list[tuple[str, str]]) -> list[Finding]:
    """Compare repeat by repeat; a dataset with one repeat is compared with every repeat of the other."""
    ours, theirs = one.parts(), other.parts()
    worst: list[tuple[str, str]] = []
    tested = 0
    for repeat, split in ours:
        for twin, their in theirs:
            if repeat != twin and min(len(ours), len(theirs)) > 1:
                continue
            both = [pair for pair in pairs if split.get(pair[0]) == "test" and their.get(pair[1]) == "train"]
            if len({first for first, _ in both}) > len({first for first, _ in worst}):
                worst, tested = both, list(split.values()).count("test")
    if not worst:
        return []
    count = len({first for first, _ in worst})
    what = f"{count} of {counted(tested, 'test clip')} of {one.name} are in the training part of {other.name}"
    most = " (the repeat with most)" if max(len(ours), len(theirs)) > 1 else ""
    measured = f"{count} of {tested} test clips{most}; expected none"
    clips = tuple((Clip(one.name, first), Clip(other.name, second)) for first, second in worst)
    names = (one.name, other.name)
    return [Finding("splits", names, clips, what, measured, leave_out(*names))]
