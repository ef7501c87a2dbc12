"""Splits that overlap: within a dataset, and the test part of one dataset with the training part of another."""

from __future__ import annotations

from collections.abc import Iterable

from ...runtime.text import counted, few
from ..scoring.leakage import KEEP_TOGETHER, doubled, folds_by_artist, split_albums, split_artists
from .corpora import Corpus
from .findings import Clip, Finding
from .fixes import leave_out


def within(corpus: Corpus) -> tuple[list[Finding], list[str]]:
    """Report what the folds of a dataset should keep together but do not; of a published split, only say it.

    A published split is what it is and claims nothing about albums and artists.
    """
    dataset = corpus.dataset
    twice, albums, artists = doubled(dataset), split_albums(dataset), split_artists(dataset)
    if dataset.published_split:
        notes = [
            f"the published split {dataset.split} of {corpus.name} has {counted(len(albums), 'album')} and "
            f"{counted(len(artists), 'artist')} in several parts"
        ]
        albums = artists = []
    else:
        notes = []
        artists = artists if folds_by_artist(dataset) else []
    found = []
    for what, names in (
        ("clips that occur twice in a repeat", twice),
        ("albums on both sides of a fold", albums),
        ("artists on both sides of a fold, though the folds are by artist", artists),
    ):
        if names:
            measured = f"{len(names)} ({few(names)}); expected none"
            found.append(Finding("splits", (corpus.name,), (), f"{len(names)} {what}", measured, KEEP_TOGETHER))
    return found, notes


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
    most = " in the repeat with most" if max(len(ours), len(theirs)) > 1 else ""
    measured = f"{count / tested:.0%} of the test clips{most}; expected none"
    clips = tuple((Clip(one.name, first), Clip(other.name, second)) for first, second in worst)
    names = (one.name, other.name)
    return [Finding("splits", names, clips, what, measured, leave_out(*names))]
