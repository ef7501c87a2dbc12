"""Datasets on the Hub: ``hf://user/name@v1.0.0`` as a folder on this machine, pinned to a commit."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..builders.labelled_dataset import LabelledDataset
from ..builders.release import MANIFEST, check_files, load_manifest
from ..errors import EmobenchWarning, InputError
from ..runtime.files import data_folder
from .features.extraction import Places

SCHEME = "hf://"

_log = logging.getLogger(__name__)
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
    """Split an address into repository and revision.

    Raises
    ------
    InputError
        If it is none.
    """
    match = _ADDRESS.fullmatch(address)
    if match is None:
        raise InputError(f"{address}: no address of a published dataset; expected hf://user/name@v1.0.0.")
    return match["repo"], match["revision"]


def locate(place: str, *, audio: bool = False) -> Located:
    """Find the folder of a dataset, downloading it first if it is named by an address of the Hub.

    Parameters
    ----------
    place : str
        Folder, or ``hf://user/name[@revision]``. Without a revision the newest version is used, and logged. A tag that
        was moved since it was last used on this machine gives a warning.
    audio : bool
        Whether to download the audio of a labelled dataset, if it was published.

    Returns
    -------
    Located
        The revision is resolved to a commit. Files in the cache of the Hub are not downloaded again, so a dataset in
        the cache can be used offline.

    Raises
    ------
    InputError
        If the address is invalid, there is no dataset, or its files differ from its manifest.
    EmobenchError
        If the Hub cannot be reached and the cache is incomplete.
    """
    if not is_published(place):
        return Located(Path(place))
    repo, revision = parse(place)
    from ..cards.hub import Repository

    repository = Repository(repo, "dataset")
    if revision is None:
        revision = repository.newest_version()
        _log.info("%s: using the newest version, %s%s@%s", place, SCHEME, repo, revision)
    before = repository.resolved_before(MANIFEST, revision)
    found, commit = repository.download(MANIFEST, revision)
    if before not in (None, commit) and revision in repository.tags():
        warnings.warn(
            f"{place}: the tag {revision} has been moved from commit {before} to {commit}. The new commit is used; "
            f"{SCHEME}{repo}@{before} is the old one.",
            EmobenchWarning,
            stacklevel=2,
        )
    manifest = load_manifest(found.parent)
    version = _VERSION.fullmatch(revision)
    if version and version[1] != manifest.version:
        raise InputError(f"{place}: the tag {revision} is on version {manifest.version}; tell its publisher.")
    folder = repository.snapshot(
        commit, [MANIFEST, *manifest.files], ["audio"] if audio and manifest.kind == "labelled" else []
    )
    try:
        check_files(folder, manifest)
    except InputError as error:
        raise InputError(
            f"{place}: {error} If the copy in the cache was damaged, remove {folder} and rerun the command."
        ) from error
    return Located(folder, {"repo": repo, "commit": commit})


def find_places(
    dataset: LabelledDataset | str | Path,
    *,
    out: str | Path = "results",
    models: str | Path = "models",
    audio: str | Path | None = None,
    pretrain_data: str | Path | None = None,
    msd: str | Path | None = None,
    beats: str | Path | None = None,
    trained: Sequence[str | Path] = (),
    audio_too: bool = False,
) -> Places:
    """Find the folders of a run, downloading datasets that are named by addresses of the Hub.

    Parameters
    ----------
    dataset : LabelledDataset, str or Path
        Dataset, or its folder or address.
    pretrain_data : str or Path, optional
        As for :func:`locate_pretraining`.
    audio_too : bool
        Whether features are computed from the audio that was published.
    out, models, audio, msd, beats, trained
        As in :class:`emobench.benchmark.features.extraction.Places`.
    """
    found = locate(str(dataset.folder if isinstance(dataset, LabelledDataset) else dataset), audio=audio_too)
    pretraining = locate_pretraining(None if pretrain_data is None else str(pretrain_data), found, data=data_folder())
    return Places(
        dataset=found.folder,
        dataset_origin=found.origin,
        out=Path(out),
        models=Path(models),
        audio=None if audio is None else Path(audio),
        msd=None if msd is None else Path(msd),
        beats=None if beats is None else str(beats),
        trained=tuple(map(Path, trained)),
        pretrain_data=pretraining.folder if pretraining else None,
        pretrain_origin=pretraining.origin if pretraining else {},
    )


def locate_pretraining(asked: str | None, dataset: Located, *, data: Path) -> Located | None:
    """Find the pre-training dataset of a run: the one asked for, or ``NAME-pretrain`` if it exists.

    Parameters
    ----------
    asked : str or None
        As for :func:`locate`.
    dataset : Located
        Labelled dataset. The default is beside it, or in ``data`` if it came from the Hub.
    data : Path
        Folder of datasets.
    """
    if asked is not None:
        return locate(asked)
    # "." and ".." have no name of their own.
    folder = dataset.folder if dataset.folder.name not in ("", "..") else dataset.folder.resolve()
    beside = folder.parent / f"{folder.name}-pretrain"
    if dataset.origin:
        beside = data / f"{load_manifest(dataset.folder).name}-pretrain"
    return Located(beside) if beside.is_dir() else None
