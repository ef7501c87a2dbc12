"""The same recording in several clips, by sound."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

from ...audio.fingerprint import OVERLAP, SAME, SHORTEST, Match
from ...builders.audio_files import ClipSource, audio_hashes
from ...runtime.text import counted
from ..recordings import same_recordings
from .corpora import Corpus, components
from .findings import Clip, Finding
from .fixes import keep_together, leave_out


@dataclass(frozen=True)
class Heard:
    """Pairs of clips with the same sound.

    Attributes
    ----------
    pairs : dict of (int, int) to dict of (str, str) to Match
        For each pair of corpora, by their places, pairs of clips.
    not_checked : list of str
        What could not be compared.
    """

    pairs: dict[tuple[int, int], dict[tuple[str, str], Match]]
    not_checked: list[str]


def listen(corpora: Sequence[Corpus], pool: Executor) -> Heard:
    """Compare the audio of all clips of all corpora."""
    items: list[tuple[int, ClipSource]] = []
    hashed: list[tuple[ClipSource, str]] = []
    not_checked: list[str] = []
    for place, corpus in enumerate(corpora):
        folder = corpus.dataset.audio_folder()
        sources = [] if folder is None else [item for item in corpus.dataset.sources(folder) if item.path.is_file()]
        if not sources:
            why = "the dataset has no audio" if folder is None else f"no audio in {folder}"
            not_checked.append(f"recordings of {corpus.name} by sound: {why}")
        elif len(sources) < len(corpus.clips):
            lacking = counted(len(corpus.clips) - len(sources), "clip")
            not_checked.append(f"{lacking} of {corpus.name} by sound: no audio in {folder}")
        items += [(place, source) for source in sources]
        hashes = audio_hashes(sources)
        hashed += [(source, hashes[source.clip_id] or "") for source in sources]
    compared = same_recordings(hashed, pool)
    lacking = [items[place][0] for place in compared.lacking]
    for place, corpus in enumerate(corpora):
        if count := lacking.count(place):
            not_checked.append(
                f"{counted(count, 'clip')} of {corpus.name} by sound: not decodable, or shorter than {SHORTEST:g} s"
            )
    pairs: dict[tuple[int, int], dict[tuple[str, str], Match]] = {}
    for match in compared.matches:
        (one, first), (other, second) = items[match.one], items[match.other]
        pairs.setdefault((one, other), {})[first.clip_id, second.clip_id] = match
    return Heard(pairs, not_checked)


def within(corpus: Corpus, pairs: dict[tuple[str, str], Match]) -> list[Finding]:
    """Report clips of one recording that the folds do not keep together."""
    apart = {pair: match for pair, match in pairs.items() if corpus.group(pair[0]) != corpus.group(pair[1])}
    if not apart:
        return []
    groups = components(apart)
    what = f"{counted(len(groups), 'recording')} in several clips that the folds do not keep together"
    clips = tuple(tuple(Clip(corpus.name, clip) for clip in group) for group in groups)
    measured = f"{_measured(apart)}; {corpus.apart(apart)}"
    return [Finding("recordings", (corpus.name,), clips, what, measured, keep_together(corpus, groups))]


def across(one: Corpus, other: Corpus, pairs: dict[tuple[str, str], Match]) -> list[Finding]:
    """Report recordings that are in both corpora."""
    if not pairs:
        return []
    counts = [len({pair[side] for pair in pairs}) for side in (0, 1)]
    what = (
        f"{counts[0]} of {counted(len(one.clips), 'clip')} of {one.name} and {counts[1]} of {len(other.clips)} of "
        f"{other.name} are the same recordings"
    )
    clips = tuple((Clip(one.name, first), Clip(other.name, second)) for first, second in pairs)
    names = (one.name, other.name)
    return [Finding("recordings", names, clips, what, _measured(pairs), leave_out(*names))]


def _measured(pairs: dict[tuple[str, str], Match]) -> str:
    similar = [match.similarity for match in pairs.values()]
    shared = min(match.overlap for match in pairs.values())
    return (
        f"correlation of fingerprints {min(similar):.2f} to {max(similar):.2f} (threshold {SAME:g}), over at least "
        f"{shared:.0f} s (threshold {OVERLAP:g} s, or the whole of a shorter clip)"
    )
