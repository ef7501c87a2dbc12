"""Search for files in a folder: links, names that are not UTF-8, and all sources that search."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from emobench.builders.audio_files import find_audio
from emobench.builders.options import make_options, options_of
from emobench.builders.readers import deam, fma
from emobench.builders.readers.msd import reading as msd
from emobench.builders.tree import files_below
from emobench.errors import InputError
from emobench.protocols import sources
from polars import DataFrame

from .msd_files import TRACKS, write_database, write_h5

LATIN = os.fsdecode(b"caf\xe9")


def _put(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


def _found(folder: Path, *suffixes: str) -> list[str]:
    problems: list[str] = []
    found = files_below(folder, suffixes, problems)
    assert not problems
    return found


def test_suffixes_in_any_case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _put(tmp_path, "b.MP3", "a/z.mp3", "a/音楽.Mp3", "c.flac", "d.txt")
    assert _found(tmp_path, ".mp3", ".flac") == ["a/z.mp3", "a/音楽.Mp3", "b.MP3", "c.flac"]
    monkeypatch.chdir(tmp_path)
    assert _found(Path(), ".flac") == ["c.flac"]


def test_links_are_followed_and_may_be_circular(tmp_path: Path) -> None:
    folder = _put(tmp_path / "here", "z/1.mp3")
    _put(tmp_path / "elsewhere", "x/2.mp3")
    (folder / "z" / "up").symlink_to(folder)
    (folder / "a").symlink_to(folder / "z")
    (folder / "far").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(folder)
    (folder / "nowhere").symlink_to(tmp_path / "nothing")
    (folder / "file.mp3").symlink_to(tmp_path / "elsewhere" / "x" / "2.mp3")
    assert _found(folder, ".mp3") == ["far/x/2.mp3", "file.mp3", "z/1.mp3"]
    (tmp_path / "link").symlink_to(folder)
    assert _found(tmp_path / "link", ".mp3") == ["far/x/2.mp3", "file.mp3", "z/1.mp3"]


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    problems: list[str] = []
    _put(tmp_path, "1.mp3", f"{LATIN}/2.mp3", f"{LATIN}.mp3", f"{LATIN}.jpg")
    assert files_below(tmp_path, (".mp3",), problems) == ["1.mp3"]
    assert problems == [
        rf"{tmp_path}: names of files or folders that are not valid UTF-8: caf\xe9.mp3, caf\xe9/2.mp3. Rename them"
    ]


def _songs(folder: Path) -> object:
    clips = DataFrame({"clip_id": ["2"], "song_id": ["2"], "artist": ["A"], "album": ["B"], "title": ["C"]})
    return find_audio(clips, folder)


SOURCES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "msd": ("TRAAAAK128F9318786.mp3", lambda folder: msd.load(write_database(folder.parent / "t.db"), folder)),
    "msd, metadata": ("TRAAAAK128F9318786.h5", lambda folder: msd.load(folder, folder.parent)),
    "fma": ("000/000002.mp3", lambda folder: fma.load(folder.parent / "tracks.csv", folder)),
    "fma, metadata": ("tracks.csv", lambda folder: fma.load(folder, folder.parent)),
    "deam": ("2.mp3", lambda folder: deam.load(folder.parent, folder)),
    "deam, annotations": ("arousal.csv", lambda folder: deam.load(folder, None)),
    "moodswings": ("2.mp3", _songs),
}


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_reports_them(tmp_path: Path, source: str) -> None:
    name, load = SOURCES[source]
    with pytest.raises(InputError, match="not valid UTF-8") as caught:
        load(_put(tmp_path / "given", f"{LATIN}/{name}"))
    assert rf"caf\xe9/{name}" in str(caught.value)
    assert ("given: contains" in str(caught.value)) == (source == "deam, annotations")
    str(caught.value).encode()


@pytest.mark.parametrize(
    ("source", "option"),
    [("moodswings", "labels"), ("fma", "clips"), ("moodswings", "audio"), ("fma", "metadata"), ("deam", "annotations")],
)
def test_paths_of_options_that_are_not_utf8(tmp_path: Path, source: str, option: str) -> None:
    given = {each.name: tmp_path for each in options_of(sources[source]) if each.required}
    with pytest.raises(InputError, match=r"/caf\\xe9/x: the path is not valid UTF-8"):
        make_options(sources[source], {**given, option: tmp_path / LATIN / "x"})


def test_linked_folders_of_clips_and_metadata(tmp_path: Path) -> None:
    first = TRACKS[0][0]
    _put(tmp_path / "disk", f"{first}.MP3")
    write_h5(tmp_path / "tables" / f"{first}.H5", TRACKS[:1])
    for name, target in (("clips", "disk"), ("metadata", "tables")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "A").symlink_to(tmp_path / target)
    corpus = msd.load(tmp_path / "metadata", tmp_path / "clips")
    assert corpus.clips["audio"].to_list() == [f"A/{first}.MP3"]
