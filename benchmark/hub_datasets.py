"""Datasets that were published: ``hf://user/name@v1.0.0`` as a folder on this machine, pinned to its commit."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..builders.release import MANIFEST, check_files, load_manifest
from ..errors import InputError
from .features.extraction import Places

SCHEME = "hf://"
_ADDRESS = re.compile(r"hf://(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w.-][\w./-]*))?")
_VERSION = re.compile(r"v(\d+\.\d+\.\d+)")


@dataclass(frozen=True)
class Located:
    """A dataset on this machine.

    Attributes
    ----------
    folder : Path
        Where it lies.
    origin : mapping
        ``repo`` and ``commit`` where it came from the Hub; empty for one of this machine.
    """

    folder: Path
    origin: Mapping[str, str] = field(default_factory=dict)


def is_published(place: str) -> bool:
    """Whether a dataset is named by an address of the Hub."""
    # A slash too few is what a path makes of such an address.
    return place.startswith("hf:")


def parse(address: str) -> tuple[str, str | None]:
    """Repository and revision of an address.

    Raises
    ------
    InputError
        If it is none.
    """
    match = _ADDRESS.fullmatch(address)
    if match is None:
        raise InputError(f"{address}: no address of a published dataset; expected hf://user/name@v1.0.0.")
    return match["repo"], match["revision"]


def locate(place: str, *, audio: bool = False, say: Callable[[str], None] = lambda line: None) -> Located:
    """The folder of a dataset, fetched first where it is named by an address of the Hub.

    Parameters
    ----------
    place : str
        A folder, or ``hf://user/name[@revision]``; without a revision the newest version is taken.
    audio : bool
        Whether the audio of a labelled one is needed too, where it was published.
    say : callable
        Told which version was taken where none was named, and of a tag that was moved since it was last used here.

    Returns
    -------
    Located
        A revision is resolved to a commit; what is in the cache of the Hub is not fetched again, and serves a machine
        that is offline.

    Raises
    ------
    InputError
        If the address is none, or nothing of ours is there, or its files are not those of its manifest.
    EmobenchError
        If the Hub is out of reach and the cache lacks something.
    """
    if not is_published(place):
        return Located(Path(place))
    repo, revision = parse(place)
    from ..cards.hub import Repository

    repository = Repository(repo, "dataset")
    if revision is None:
        revision = repository.newest_version()
        say(f"{place}: takes the newest version, {SCHEME}{repo}@{revision}")
    before = repository.resolved_before(MANIFEST, revision)
    found, commit = repository.download(MANIFEST, revision)
    if before not in (None, commit) and revision in repository.tags():
        say(
            f"{place}: warning: the tag {revision} was on commit {before} and has been moved to {commit}; results from "
            f"now on are of the latter. {SCHEME}{repo}@{before} names the former."
        )
    manifest = load_manifest(found.parent)
    version = _VERSION.fullmatch(revision)
    if version and version[1] != manifest.version:
        raise InputError(f"{place}: the tag {revision} is on version {manifest.version}; tell who published it.")
    folder = repository.snapshot(
        commit, [MANIFEST, *manifest.files], ["audio"] if audio and manifest.kind == "labelled" else []
    )
    try:
        check_files(folder, manifest)
    except InputError as error:
        raise InputError(
            f"{place}: {error} If the copy in the cache was damaged, remove {folder} and run this again."
        ) from error
    return Located(folder, {"repo": repo, "commit": commit})


def find_places(
    dataset: str,
    pretrain_data: str | None,
    *,
    data: Path,
    audio_too: bool,
    say: Callable[[str], None],
    **others: Any,
) -> Places:
    """Where a run finds and leaves things, with datasets fetched where they are named by addresses of the Hub.

    Parameters
    ----------
    dataset, pretrain_data : str
        As for :func:`locate` and :func:`locate_pretraining`.
    data : Path
        Folder of datasets.
    audio_too : bool
        Whether features are computed from the audio that was published.
    say : callable
        As for :func:`locate`.
    **others
        The fields of :class:`.features.Places` that are known already.
    """
    found = locate(dataset, audio=audio_too, say=say)
    pretraining = locate_pretraining(pretrain_data, found, data=data, say=say)
    return Places(
        dataset=found.folder,
        dataset_origin=found.origin,
        pretrain_data=pretraining.folder if pretraining else None,
        pretrain_origin=pretraining.origin if pretraining else {},
        **others,
    )


def locate_pretraining(
    asked: str | None, dataset: Located, *, data: Path, say: Callable[[str], None]
) -> Located | None:
    """The pre-training dataset of a run: the one asked for, else ``NAME-pretrain`` where it exists.

    Parameters
    ----------
    asked : str or None
        As for :func:`locate`.
    dataset : Located
        The labelled dataset; a default lies beside it, or in ``data`` where it came from the Hub.
    data : Path
        Folder of datasets.
    say : callable
        As for :func:`locate`.
    """
    if asked is not None:
        return locate(asked, say=say)
    beside = dataset.folder.with_name(f"{dataset.folder.name}-pretrain")
    if dataset.origin:
        beside = data / f"{load_manifest(dataset.folder).name}-pretrain"
    return Located(beside) if beside.is_dir() else None
