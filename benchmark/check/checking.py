"""All checks of one or several datasets."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from itertools import combinations

from ...builders.labelled_dataset import LabelledDataset
from ...errors import InputError
from ...runtime.progress import status
from . import axes, recordings, songs, splits, targets
from .corpora import Corpus, by_id, by_song
from .findings import KINDS, Finding, Findings


def check(datasets: Sequence[LabelledDataset], pool: Executor) -> Findings:
    """Look for errors within datasets and between them.

    Parameters
    ----------
    datasets : sequence of LabelledDataset
        Datasets.
    pool : Executor
        Executor from :func:`emobench.runtime.executor.executor`, which computes fingerprints.

    Raises
    ------
    InputError
        If no dataset is given, or one of them twice.
    """
    corpora = [Corpus(name, dataset) for name, dataset in zip(_names(datasets), datasets, strict=True)]
    heard = recordings.listen(corpora, pool)
    status("comparing targets and splits")
    found: list[Finding] = []
    not_checked = list(heard.not_checked)
    notes: list[str] = []
    linked: dict[tuple[int, int], set[tuple[str, str]]] = {}
    for place, corpus in enumerate(corpora):
        pairs = heard.pairs.get((place, place), {})
        again = songs.pairs(corpus)
        linked[place, place] = {*pairs, *again}
        found += recordings.within(corpus, pairs) + songs.within(corpus, again) + axes.within(corpus)
        found += axes.compare(corpus, corpus, list(pairs))[0]
        overlapping, said = splits.within(corpus)
        found, notes = found + overlapping, notes + said
    for (place, one), (twin, other) in combinations(enumerate(corpora), 2):
        pairs = heard.pairs.get((place, twin), {})
        links = {**by_song(one, other), **by_id(one, other)}
        both = list(dict.fromkeys([*pairs, *links]))
        linked[place, twin] = set(both)
        if not both:
            audible = all(each.dataset.audio_folder() is not None for each in (one, other))
            what = "no recording and no song" if audible else "no song"
            notes.append(f"{one.name} and {other.name} have {what} in common")
            continue
        compared, lacking = axes.compare(one, other, both)
        not_checked += [lacking] if lacking else []
        found += recordings.across(one, other, pairs) + songs.across(one, other, links) + compared
        found += splits.across(one, other, both)

    def same(one: int, clip: str, other: int, twin: str) -> bool:
        return (clip, twin) in linked[one, other] or (one == other and (twin, clip) in linked[one, one])

    found += targets.similar(corpora, same)
    order = list(KINDS)
    found.sort(key=lambda finding: order.index(finding.kind))
    return Findings(tuple(corpus.name for corpus in corpora), tuple(found), tuple(not_checked), tuple(notes))


def _names(datasets: Sequence[LabelledDataset]) -> list[str]:
    """Name datasets by name and version, or by their folders where these are equal."""
    if not datasets:
        raise InputError("`datasets`: none given; expected at least one dataset.")
    folders = [dataset.folder.resolve() for dataset in datasets]
    for place, folder in enumerate(folders):
        if folder in folders[:place]:
            raise InputError(f"{datasets[place].folder}: named twice; expected different datasets.")
    titles = [dataset.manifest.title for dataset in datasets]
    return [
        str(dataset.folder) if titles.count(title) > 1 else title
        for dataset, title in zip(datasets, titles, strict=True)
    ]
