"""``build-data SOURCE --download``, from an empty folder to a dataset, with servers on the loopback interface."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import soundfile
from emobench.builders.downloads import Archive, Download
from emobench.builders.release import load_manifest
from emobench.builders.sources import deam, emomusic, fma, vgmidi
from emobench.builders.synthesis import render_excerpt
from emobench.cli.main import app
from emobench.runtime import downloads
from typer.testing import CliRunner

from .deam_folder import SONGS, write_folder
from .file_server import FileServer, tarred, zipped
from .test_fma import _write


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setattr(downloads, "TIMEOUT", 1.0)
    monkeypatch.setattr(downloads, "BACKOFF", 0.01)
    monkeypatch.setenv("EMOBENCH_DATA", str(tmp_path / "data"))
    made = FileServer({})
    yield made
    made.close()


def _run(*arguments: object, code: int = 0) -> str:
    ran = CliRunner().invoke(app, ["build-data", *map(str, arguments)], env={"COLUMNS": "120"})
    assert ran.exit_code == code, ran.output
    return ran.output


def _fetch(download: Download | None) -> None:
    assert download is not None
    download.fetch()


def _excerpt(path: Path, seconds: int, **more: Any) -> bytes:
    sound = render_excerpt(tempo=120, style="rock", drums=True, duration=seconds, seed=1, sample_rate=22_050).audio
    soundfile.write(path, sound, 22_050, **more)
    return path.read_bytes()


def _zip_folder(folder: Path, top: str) -> bytes:
    files = sorted(path for path in (folder / top).rglob("*") if path.is_file())
    return zipped({path.relative_to(folder).as_posix(): path.read_bytes() for path in files})


@pytest.fixture
def fma_server(server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FileServer:
    (tmp_path / "fma").mkdir()
    _write(tmp_path / "fma")
    sound = _excerpt(tmp_path / "a.mp3", 30, format="MP3", bitrate_mode="CONSTANT", compression_level=0)
    bodies = {
        "/fma_metadata.zip": _zip_folder(tmp_path / "fma", "fma_metadata"),
        "/fma_small.zip": zipped({f"fma_small/000/{name}": sound for name in ("000002.mp3", "000005.mp3")}),
    }
    server.files |= bodies

    def moved(archive: Archive) -> Archive:
        path = f"/{archive.file}"
        return replace(archive, url=server.url + path, checksum=f"sha1:{hashlib.sha1(bodies[path]).hexdigest()}")

    monkeypatch.setattr(fma, "METADATA", moved(fma.METADATA))
    monkeypatch.setitem(fma.CLIPS, "small", moved(fma.CLIPS["small"]))
    return server


def test_fma(fma_server: FileServer, tmp_path: Path) -> None:
    place = tmp_path / "data" / "downloads" / "fma"
    text = " ".join(_run("fma", "--download", "--dry-run").split())
    assert "would build" in text
    assert f"would download {fma_server.url}/fma_metadata.zip" in text
    assert "each track under the licence that its artist chose" in text
    assert not fma_server.gets()
    assert not (tmp_path / "data").exists()

    fma_server.manners["/fma_small.zip"] = ["drop:100000", ""]
    text = _run("fma", "--download", "--workers", 1)
    assert f"downloading 2 files (fma_metadata.zip, fma_small.zip) from {fma_server.url} to {place}: " in text
    assert "fma_small.zip: the connection was lost at 100.0 kB; trying again in 0 s" in text
    clips = load_manifest(tmp_path / "data" / "fma")
    assert clips.counts["kept"] == 2
    assert sum(each.sent for each in fma_server.gets("small.zip")) == len(fma_server.files["/fma_small.zip"])

    before = len(fma_server.requests)
    assert "up to date" in _run("fma", "--download", "--subset", "small", "--workers", 1)
    assert "2 clips" in _run("fma", "--download", "--dry-run")
    assert len(fma_server.requests) == before


def test_folders_that_are_given_are_not_downloaded(fma_server: FileServer, tmp_path: Path) -> None:
    given = ("--metadata", tmp_path / "fma" / "fma_metadata", "--workers", 1)
    _run("fma", "--download", *given)
    assert {each.path for each in fma_server.requests} == {"/fma_small.zip"}


def test_wrong_options_of_fma() -> None:
    assert _run("fma", code=2) == (
        "emobench: --metadata: required by the source fma without --download. Pass the folder, or --download to fetch "
        "it.\n"
    )
    assert "--clips: required by the source fma without" in _run("fma", "--metadata", "x", code=2)
    assert "--subset full: expected small, medium, large." in _run("fma", "--download", "--subset", "full", code=2)
    given = ("--metadata", "x", "--clips", "y", "--subset", "small")
    assert "pass --download and leave out --clips" in _run("fma", *given, code=2)


def test_a_failure_is_one_line_and_exit_status_1(fma_server: FileServer) -> None:
    fma_server.manners["/fma_metadata.zip"] = ["403"]
    *_, line = _run("fma", "--download", code=1).splitlines()
    assert line.startswith(
        f"emobench: {fma_server.url}/fma_metadata.zip: the server answered with status 403 (Forbidden);"
    )
    assert line.endswith("/data/downloads/fma/fma_metadata.zip, or unpack it and pass its folder as --metadata.")


def test_published_checksums() -> None:
    assert fma.METADATA.checksum == "sha1:f0df49ffe5f2a6008d7dc83c6915b31835dfe733"
    assert {name: each.url.rpartition("/")[2] for name, each in fma.CLIPS.items()} == {
        "small": "fma_small.zip",
        "medium": "fma_medium.zip",
        "large": "fma_large.zip",
    }
    lengths = [len((each.checksum or "").removeprefix("sha1:")) for each in fma.CLIPS.values()]
    assert lengths == [40, 40, 40]


def test_deam(server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    published = write_folder(tmp_path / "published")
    sound = _excerpt(tmp_path / "a.wav", 19)
    server.files |= {
        "/DEAM_Annotations.zip": _zip_folder(published, "annotations"),
        "/metadata.zip": _zip_folder(published, "metadata"),
        "/DEAM_audio.zip": zipped({f"MEMD_audio/{song}.wav": sound for song in SONGS}),
    }
    for name in ("ANNOTATIONS", "METADATA", "AUDIO"):
        archive: Archive = getattr(deam, name)
        monkeypatch.setattr(deam, name, replace(archive, url=f"{server.url}/{archive.file}", sha256=None))
    text = _run("deam", "--download", "--workers", 1)
    assert f"built {tmp_path / 'data' / 'deam'} (deam 1.0.0; 5 clips" in text
    records = json.loads((tmp_path / "data/downloads/deam/downloads.json").read_text())
    assert records["DEAM_audio.zip"]["unpacked"] == [5, 5 * len(sound)]
    for name, record in records.items():
        assert record["checksum"] == f"sha256:{hashlib.sha256(server.files['/' + name]).hexdigest()}"
    # The dataset is the one of the same files unpacked by hand.
    by_hand = tmp_path / "data" / "downloads" / "deam"
    given = ("--annotations", by_hand / "DEAM_Annotations", "--audio", by_hand / "DEAM_audio", "--workers", 1)
    assert "up to date" in _run("deam", *given)


def test_tar_archives(server: FileServer, tmp_path: Path) -> None:
    server.files["/clips_45sec.tar.gz"] = tarred({"clips_45seconds/1.mp3": b"sound"})
    archive = Archive(f"{server.url}/clips_45sec.tar.gz", "audio")
    Download("emomusic", "Terms.", (archive,)).fetch()
    assert (archive.place("emomusic") / "clips_45seconds" / "1.mp3").read_bytes() == b"sound"
    assert archive.place("emomusic") == tmp_path / "data" / "downloads" / "emomusic" / "clips_45sec"


def test_emomusic(server: FileServer, real_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    annotations = {path.name: path.read_bytes() for path in (real_data / "emomusic").glob("*.csv")}
    music = {f"clips_45seconds/{path.name}": path.read_bytes() for path in (real_data / "emomusic" / "audio").iterdir()}
    for name, files in (("ANNOTATIONS", annotations), ("AUDIO", music)):
        archive: Archive = getattr(emomusic, name)
        server.files[f"/{archive.file}"] = tarred(files)
        monkeypatch.setattr(emomusic, name, replace(archive, url=f"{server.url}/{archive.file}"))
    server.manners["/clips_45sec.tar.gz"] = ["html"]
    assert "sent a web page instead of the file" in _run("emomusic", "--download", code=1)
    server.manners.clear()
    _fetch(emomusic.download(emomusic.Options(download=True)))
    assert "(labelled; 744 clips, " in (text := _run("emomusic", "--download", "--dry-run"))
    assert "10 clips with audio" in text


def test_vgmidi(server: FileServer, real_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("midirenderer")
    found = vgmidi.archive()
    assert found.url == "https://codeload.github.com/lucasnfe/vgmidi/zip/1e62f0af8c866ded8e665cefad06dc02c35cb739"
    files = [path for path in (real_data / "vgmidi" / "labelled").rglob("*") if path.is_file()]
    top = f"vgmidi-{found.url.rpartition('/')[2]}"
    # As GitHub sends it: without a size, and not always the same bytes.
    server.files["/zip"] = zipped(
        {f"{top}/{path.relative_to(real_data / 'vgmidi').as_posix()}": path.read_bytes() for path in files}
    )
    server.manners["/zip"] = ["chunked"]
    server.heads = False
    moved = replace(found, url=f"{server.url}/zip")
    monkeypatch.setattr(vgmidi, "archive", lambda: moved)
    assert "size unknown; the server does not state a size" in " ".join(
        _run("vgmidi", "--download", "--dry-run").split()
    )
    _fetch(vgmidi.download(vgmidi.Options(download=True)))
    assert "(labelled; 200 clips, " in _run("vgmidi", "--download", "--dry-run")
    # A file of another version is named.
    next((tmp_path / "data").rglob("*.mid")).write_bytes(b"MThd")
    assert "would download" not in _run("vgmidi", "--folder", moved.place("vgmidi") / top, "--dry-run", code=2)


@pytest.mark.parametrize(
    ("source", "option"), [("deam", "annotations"), ("emomusic", "annotations"), ("vgmidi", "folder")]
)
def test_without_folder_and_download(source: str, option: str) -> None:
    expected = f"emobench: --{option}: required by the source {source} without --download. Pass the folder, or "
    assert _run(source, code=2).startswith(expected)
