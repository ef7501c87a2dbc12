"""Publication of a dataset: its files, checked, and on request its audio."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path, PurePath
from typing import Any

import polars as pl
import yaml
from huggingface_hub import DatasetCard

from ...builders.manifest import MANIFEST, Manifest, check_files, load_manifest
from ...builders.release import read_table
from ...cards import hub_release
from ...cards.hub import Repository, check_name, stored_token
from ...cards.hub_files import Forbidden, Upload, forbidden_values
from ...cards.hub_release import Release, Released
from ...errors import EmobenchError, InputError
from ...runtime.files import digest, parquet_bytes, read_json, sha256_file

AUDIO = "audio"
# The file by which `datasets` finds the audio files of the folder, see `audio_uploads`.
METADATA = "metadata.parquet"


def forbidden_in(folder: Path) -> list[Forbidden]:
    """Return what must not be published from a folder: secrets and paths known to this process."""
    names = ("HF_TOKEN", "SEVENDIGITAL_KEY", "SEVENDIGITAL_SECRET")
    secrets = {**{name: os.environ.get(name) for name in names}, "the stored token of the Hub": stored_token()}
    return forbidden_values(folder, secrets)


def dataset_release(
    folder: Path,
    repo: str,
    *,
    with_audio: bool = False,
    private: bool = True,
    create_pr: bool = False,
    tag: bool = True,
) -> Release:
    """Prepare the release of a dataset: the files of its manifest, unchanged, and on request its audio.

    Parameters
    ----------
    folder : Path
        Folder of the dataset. Files that its manifest does not list, such as ``local.json``, are not sent.
    repo : str
        ``user/name``.
    with_audio : bool
        Whether to send the clips' audio too, where its licence allows.
    private, create_pr
        As in :class:`.hub_release.Release`.
    tag : bool
        Whether to tag the commit with the version, as ``v1.0.0``.

    Raises
    ------
    InputError
        If it is not a dataset, was changed after it was built, its card is invalid, or its audio may not be sent.
    """
    check_name(repo)
    manifest = load_manifest(folder)
    check_files(folder, manifest)
    card = (folder / "README.md").read_text(encoding="utf-8") if "README.md" in manifest.files else ""
    check_card(card, manifest.files, f"{folder / 'README.md'}")
    uploads = [Upload(name, folder / name) for name in (*manifest.files, MANIFEST)]
    if with_audio:
        uploads += audio_uploads(folder, manifest)
    return Release(
        repo=repo,
        kind="dataset",
        uploads=uploads,
        message=f"{manifest.name} {manifest.version}",
        forbidden=forbidden_in(folder),
        marker=MANIFEST,
        tag=f"v{manifest.version}" if tag else None,
        reserved=f"v{manifest.version}",
        private=private,
        owned=frozenset({AUDIO, *(name.split("/")[0] for name in manifest.files if "/" in name)}),
        create_pr=create_pr,
    )


def publish_dataset(release: Release) -> Released:
    """Release a dataset.

    Raises
    ------
    InputError
        If the repository holds another dataset.
    """
    repository = Repository(release.repo, release.kind, write=True)
    head = repository.head()
    if head is not None and MANIFEST in repository.files(head):
        path, _ = repository.download(MANIFEST, head)
        there, own = (read_json(place, "manifest").get("name") for place in (path, _source(release, MANIFEST)))
        if there != own:
            raise InputError(
                f"{release.repo}: contains the dataset {there}, but this is {own}; choose another repository."
            )
    done = hub_release.publish(release)
    if done.tag is not None:
        # The cache then knows the commit of this tag, so that a later move of the tag is noticed.
        with suppress(EmobenchError):
            repository.download(MANIFEST, done.tag)
    return done


def _source(release: Release, path: str) -> Path:
    source = next(upload.source for upload in release.uploads if upload.path == path)
    assert isinstance(source, Path)
    return source


def check_card(text: str, files: Mapping[str, Any], where: str) -> None:
    """Check a dataset's card: readable YAML, a licence, size, tags, and configs that have files.

    Raises
    ------
    InputError
        If one of these is missing.
    """
    try:
        if not text.startswith("---\n"):
            raise ValueError("it does not begin with ---")
        data = DatasetCard(text).data.to_dict()
    except (ValueError, yaml.YAMLError) as error:
        raise InputError(f"{where}: the card has no readable YAML header ({' '.join(str(error).split())}).") from error
    lacking = [name for name in ("license", "size_categories", "tags", "configs") if not data.get(name)]
    if lacking:
        raise InputError(f"{where}: the card's header lacks {', '.join(lacking)}; build the dataset again.")
    for config in data["configs"]:
        for entry in config["data_files"]:
            table = entry["path"].split("/")[0]
            if not any(name.startswith(f"{table}/") and name.endswith(".parquet") for name in files):
                raise InputError(
                    f"{where}: config {config['config_name']} names {entry['path']}, but there is no such file."
                )


def audio_uploads(folder: Path, manifest: Manifest) -> list[Upload]:
    """Return the audio of the clips that are used, as ``audio/`` and the path in the table of clips.

    ``audio/metadata.parquet`` describes the files, so that ``load_dataset(REPO, data_dir="audio")`` gives a column of
    the type ``datasets.Audio``. The tables themselves contain paths: reading them must not require an audio decoder.

    Raises
    ------
    InputError
        If its licence does not allow it, it is not available, or it differs from what the dataset was built from.
    """
    _refuse_closed(folder, manifest)
    try:
        place = folder / str(read_json(folder / "local.json", "local.json")["audio"])
    except (EmobenchError, KeyError) as error:
        raise InputError(f"{folder}: `with_audio`: the location of its audio is not known.") from error
    clips = read_table(folder, "clips")
    pretraining = manifest.kind == "pretrain"
    used = clips.filter(pl.col("kept") if pretraining else pl.col("excluded").is_null())
    names = list(dict.fromkeys(used["audio"].drop_nulls()))
    for name in names:
        if PurePath(name).is_absolute() or ".." in PurePath(name).parts:
            raise InputError(f"{folder}: clips: audio {name!r} leaves the audio folder.")
        if not (place / name).resolve().is_relative_to(place.resolve()):
            raise InputError(
                f"{place / name}: is a link out of the audio folder; `with_audio` sends only files inside it."
            )
        if not (place / name).is_file():
            raise InputError(f"{place / name}: no such audio file; `with_audio` needs the audio of every clip.")
    recorded = manifest.source.get("audio_sha256")
    if recorded is not None:
        key = "track_id" if pretraining else "clip_id"
        found = {clip: _hash(place, name) for clip, name in clips.select(key, "audio").iter_rows()}
        # As builders.pretraining and builders.labelled record them.
        if recorded != (digest([list(item) for item in found.items()]) if pretraining else found):
            raise InputError(f"{place}: the audio is not what {manifest.name} was built from; build it again.")
    columns = [name for name in ("clip_id", "track_id", "artist", "album", "title") if name in used.columns]
    described = used.filter(pl.col("audio").is_not_null()).select(pl.col("audio").alias("file_name"), *columns)
    return [
        *(Upload(f"{AUDIO}/{name}", place / name) for name in names),
        Upload(f"{AUDIO}/{METADATA}", parquet_bytes(described)),
    ]


def _hash(place: Path, name: str | None) -> str | None:
    return sha256_file(place / name) if name is not None and (place / name).is_file() else None


def _refuse_closed(folder: Path, manifest: Manifest) -> None:
    """Raise InputError unless the licence allows anyone to share the audio."""
    if manifest.synthetic:
        return
    licences = manifest.source.get("licences")
    if licences:
        closed = sum(licences.values()) - manifest.source.get("redistributable", 0)
        if not closed:
            return
        raise InputError(
            f"{folder}: `with_audio`: the licences of {closed} of its {sum(licences.values())} tracks do not allow it; "
            "publish it without audio."
        )
    raise InputError(
        f"{folder}: `with_audio`: no licence of this dataset allows its music to be shared; publish it without audio."
    )
