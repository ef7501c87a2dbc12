"""The same song in several clips, by artist and title, or by id where corpora share a numbering."""

from __future__ import annotations

from collections.abc import Sequence

from ...runtime.text import counted
from .corpora import Corpus, Links, components
from .findings import Clip, Finding
from .fixes import keep_together, leave_out


def pairs(found: Sequence[Finding]) -> set[tuple[str, str]]:
    """Return the pairs of clip ids in the groups of findings."""
    return {(group[0].clip_id, clip.clip_id) for finding in found for group in finding.clips for clip in group[1:]}


def within(corpus: Corpus) -> list[Finding]:
    """Report songs in several clips that the folds do not keep together, such as on an album and a compilation."""
    clips_of: dict[str, list[str]] = {}
    for clip, song in corpus.songs.items():
        clips_of.setdefault(song, []).append(clip)
    found = [
        (clips[0], clip)
        for clips in clips_of.values()
        for clip in clips[1:]
        if len({corpus.group(each) for each in clips}) > 1
    ]
    if not found:
        return []
    groups = components(found)
    what = f"{counted(len(groups), 'song')} in several clips that the folds do not keep together"
    measured = (
        "artist and title are equal without case, accents, spaces and punctuation, and the albums of the folds differ"
    )
    clips = tuple(tuple(Clip(corpus.name, clip) for clip in group) for group in groups)
    return [Finding("songs", (corpus.name,), clips, what, measured, keep_together(groups))]


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
    equal = {"id": "the ids, in a shared numbering", "artist and title": "artist and title, normalised"}
    measured = "; ".join(f"{counted(count, 'pair')} equal in {equal[why]}" for why, count in reasons)
    clips = tuple((Clip(one.name, first), Clip(other.name, second)) for first, second in links)
    names = (one.name, other.name)
    return [Finding("songs", names, clips, what, measured, leave_out(*names))]
