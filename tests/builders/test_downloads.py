"""Downloads of corpora from a server that drops, stalls, changes and lies."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from emobench.builders.downloads import Archive, Download
from emobench.runtime import downloads

from .file_server import FileServer

PATH = "/corpus.zip"
NAMES = {"corpus/a.csv": b"a,b\n1,2\n", "corpus/000/noise.mp3": np.random.default_rng(0).bytes(300_000)}


def zipped(members: dict[str, bytes], kind: int = zipfile.ZIP_STORED) -> bytes:
    with zipfile.ZipFile(made := io.BytesIO(), "w", kind) as file:
        for name, content in members.items():
            file.writestr(zipfile.ZipInfo(name), content, compress_type=kind)
    return made.getvalue()


BODY = zipped(NAMES)
SHA1 = f"sha1:{hashlib.sha1(BODY).hexdigest()}"


@pytest.fixture
def server() -> Iterator[FileServer]:
    made = FileServer({PATH: BODY}, {PATH: '"one"'})
    yield made
    made.close()


@pytest.fixture(autouse=True)
def quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "TIMEOUT", 1.0)
    monkeypatch.setattr(downloads, "BACKOFF", 0.01)
    monkeypatch.setenv("EMOBENCH_DATA", str(tmp_path))


def download(server: FileServer, checksum: str | None = SHA1, path: str = PATH, **more: Any) -> Download:
    return Download("some", "Some terms.", (Archive(server.url + path, "clips", checksum, **more),))


def folder(tmp_path: Path) -> Path:
    return tmp_path / "downloads" / "some"


def unpacked(tmp_path: Path) -> dict[str, bytes]:
    place = folder(tmp_path) / "corpus"
    return {path.relative_to(place).as_posix(): path.read_bytes() for path in place.rglob("*") if path.is_file()}


def test_downloads_unpacks_and_then_does_nothing(tmp_path: Path, server: FileServer) -> None:
    download(server).fetch()
    assert unpacked(tmp_path) == NAMES
    assert (folder(tmp_path) / "corpus.zip").read_bytes() == BODY
    assert sorted(path.name for path in folder(tmp_path).iterdir()) == ["corpus", "corpus.zip", "downloads.json"]
    asked = len(server.requests)
    download(server).fetch()
    assert not download(server).missing()
    assert len(server.requests) == asked
