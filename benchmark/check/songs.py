"""The same song in several clips, by artist and title, or by id where corpora share a numbering."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from ...runtime.text import counted
from .corpora import Corpus, Links, components
from .findings import Clip, Finding
from .fixes import keep_together, leave_out


def pairs(corpus: Corpus) -> list[tuple[str, str]]:
    """Pair clips of one song that the folds do not keep together, such as of an album and a compilation."""
    clips_of: dict[str, list[str]] = {}
    for clip, song in corpus.songs.items():
        clips_of.setdefault(song, []).append(clip)
    return [
        (one, other)
        for clips in clips_of.values()
        for one, other in combinations(clips, 2)
        if corpus.group(one) != corpus.group(other)
    ]


def within(corpus: Corpus, apart: Sequence[tuple[str, str]]) -> list[Finding]:
    """Report songs in several clips that the folds do not keep together."""
    if not apart:
        return []
    groups = components(apart)
    what = f"{counted(len(groups), 'song')} in several clips that the folds do not keep together"
    measured = f"artist and title equal when normalised; {corpus.apart(apart)}"
    clips = tuple(tuple(Clip(corpus.name, clip) for clip in group) for group in groups)
    return [Finding("songs", (corpus.name,), clips, what, measured, keep_together(corpus, groups))]


def across(one: Corpus, other: Corpus, links: Links) -> list[Finding]:
    """Report songs that are in both corpora."""
    if not links:
        return []
    counts = [len({pair[side] for pair in links}) for side in (0, 1)]
    what = (
        f"{counts[0]} of {counted(len(one.clips), 'clip')} of {one.name} and {counts[1]} of {len(other.clips)} of "
        f"{other.name} are of the same songs"
    )
    reasons = [(why, list(links.values()).count(why)) for why in dict.fromkeys(links.values())]
    equal = {"id": "by id, in a shared numbering", "artist and title": "by artist and title, normalised"}
    measured = ", ".join(f"{counted(count, 'pair')} {equal[why]}" for why, count in reasons)
    clips = tuple((Clip(one.name, first), Clip(other.name, second)) for first, second in links)
    names = (one.name, other.name)
    return [Finding("songs", names, clips, what, measured, leave_out(*names))]
