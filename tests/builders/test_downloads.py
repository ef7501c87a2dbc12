"""Downloads of corpora from a server that drops, stalls, changes and lies."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from emobench.builders.downloads import Archive, Download
from emobench.errors import EmobenchError, EmobenchWarning
from emobench.runtime import downloads
from emobench.runtime.cache_content import size_shown
from emobench.runtime.files import locked

from ..test_progress import open_terminal
from .file_server import FileServer, zipped

PATH = "/corpus.zip"
NAMES = {"corpus/a.csv": b"a,b\n1,2\n", "corpus/000/noise.mp3": np.random.default_rng(0).bytes(300_000)}


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


def test_a_dropped_connection_is_continued(tmp_path: Path, server: FileServer) -> None:
    server.manners[PATH] = ["drop:100000", "drop:50000", ""]
    download(server).fetch()
    assert unpacked(tmp_path) == NAMES
    assert [each.range for each in server.gets()] == [None, "bytes=100000-", "bytes=150000-"]
    assert {each.if_range for each in server.gets()[1:]} == {'"one"'}
    assert sum(each.sent for each in server.gets()) == len(BODY)


def test_a_stalled_connection_times_out_and_is_continued(tmp_path: Path, server: FileServer) -> None:
    server.manners[PATH] = ["stall:70000", ""]
    download(server).fetch()
    assert unpacked(tmp_path) == NAMES
    assert sum(each.sent for each in server.gets()) == len(BODY)


def test_an_interrupted_command_is_continued_by_the_next(
    tmp_path: Path, server: FileServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.manners[PATH] = ["drop:100000", "drop:0"]
    with pytest.raises(EmobenchError, match=r"100.0 kB are kept; rerun the command later to continue"):
        download(server).fetch()
    assert not (folder(tmp_path) / "corpus.zip").exists()
    server.manners.clear()
    server.requests.clear()
    with caplog.at_level("INFO", "emobench"):
        download(server).fetch()
    assert "300.2 kB, of which 100.0 kB have arrived" in caplog.text
    assert unpacked(tmp_path) == NAMES
    assert [each.sent for each in server.gets()] == [len(BODY) - 100_000]


def test_a_part_that_is_already_the_whole_file(tmp_path: Path, server: FileServer) -> None:
    folder(tmp_path).mkdir(parents=True)
    (folder(tmp_path) / "corpus.zip.part").write_bytes(BODY)
    download(server).fetch()
    assert unpacked(tmp_path) == NAMES
    assert [each.status for each in server.gets()] == [416]


def test_another_part_than_was_asked_for(tmp_path: Path, server: FileServer) -> None:
    server.manners[PATH] = ["drop:100000", "shift", ""]
    download(server, None).fetch()
    assert unpacked(tmp_path) == NAMES
    assert [each.range for each in server.gets()] == [None, "bytes=100000-", None]


def test_a_part_that_is_longer_than_the_file(tmp_path: Path, server: FileServer) -> None:
    folder(tmp_path).mkdir(parents=True)
    (folder(tmp_path) / "corpus.zip.part").write_bytes(BODY + b"more")
    download(server).fetch()
    assert unpacked(tmp_path) == NAMES
    assert [each.status for each in server.gets()] == [416, 200]


@pytest.mark.parametrize("checksum", [SHA1, None])
def test_a_file_that_changes_between_two_attempts_is_never_joined(
    tmp_path: Path, server: FileServer, checksum: str | None
) -> None:
    new, server.files[PATH] = BODY, zipped({"corpus/old.csv": bytes(310_000)})
    server.etags[PATH] = '"zero"'
    server.manners[PATH] = ["drop:100000", "drop:0"]
    with pytest.raises(EmobenchError, match="kept"):
        download(server, checksum).fetch()
    server.manners.clear()
    server.files[PATH], server.etags[PATH] = new, '"one"'
    download(server, checksum).fetch()
    assert unpacked(tmp_path) == NAMES
    assert server.gets()[-1].if_range == '"zero"'
    assert server.gets()[-1].status == 200


def test_a_server_that_names_no_version(tmp_path: Path, server: FileServer) -> None:
    server.etags.clear()
    server.manners[PATH] = ["drop:100000", ""]
    download(server, None).fetch()
    # Without version and checksum, the parts could belong to two files.
    assert [each.range for each in server.gets()] == [None, None]
    assert unpacked(tmp_path) == NAMES


def test_a_server_that_ignores_range(tmp_path: Path, server: FileServer) -> None:
    server.manners[PATH] = ["drop:100000", "whole"]
    download(server).fetch()
    assert unpacked(tmp_path) == NAMES
    assert [each.status for each in server.gets()] == [200, 200]


def test_an_answer_without_a_size(tmp_path: Path, server: FileServer, caplog: pytest.LogCaptureFixture) -> None:
    server.heads = False
    server.manners[PATH] = ["chunked-drop:5000", "chunked"]
    with caplog.at_level("INFO", "emobench"):
        download(server, size="0.3 MB").fetch()
    assert unpacked(tmp_path) == NAMES
    assert "files whose size the server does not state (corpus.zip: 0.3 MB)" in caplog.text


def test_a_size_that_is_too_large(tmp_path: Path, server: FileServer) -> None:
    # The server says in the end that there is no more; the checksum then decides.
    server.manners[PATH] = ["more:10"]
    download(server).fetch()
    assert unpacked(tmp_path) == NAMES


@pytest.mark.parametrize("checksum", [SHA1, None])
def test_a_size_that_is_too_small(tmp_path: Path, server: FileServer, checksum: str | None) -> None:
    server.manners[PATH] = ["less:1000"]
    expected = "does not have the published checksum sha1:" if checksum else r"corpus\.zip: damaged or incomplete \("
    with pytest.raises(EmobenchError, match=expected):
        download(server, checksum).fetch()
    assert not (folder(tmp_path) / "corpus").exists()
    assert (folder(tmp_path) / "corpus.zip").exists() == (checksum is None)


def test_wrong_bytes(tmp_path: Path, server: FileServer) -> None:
    server.files[PATH] = zipped({"corpus/a.csv": b"changed"})
    with pytest.raises(EmobenchError, match=rf"published checksum {SHA1} and was deleted\. Rerun .* as `clips`\.$"):
        download(server).fetch()
    assert [path.name for path in folder(tmp_path).iterdir()] == []


@pytest.mark.parametrize("have", [0, 100_000])
def test_a_web_page_instead_of_the_file(tmp_path: Path, server: FileServer, have: int) -> None:
    folder(tmp_path).mkdir(parents=True)
    (folder(tmp_path) / "corpus.zip.part").write_bytes(BODY[:have])
    server.manners[PATH] = ["html"]
    with pytest.raises(EmobenchError, match=r"sent a web page .* form to fill in; otherwise download http.* by hand"):
        download(server).fetch()
    # What has arrived before is kept.
    assert (folder(tmp_path) / "corpus.zip.part").stat().st_size == have
    assert len(server.gets()) == 1


def test_something_else_than_an_archive(tmp_path: Path, server: FileServer) -> None:
    server.files[PATH] = b"<html>Please sign in</html>"
    with pytest.raises(EmobenchError, match=r"something that is not an archive \(it begins with b'<html>Please"):
        download(server, None).fetch()
    assert [path.name for path in folder(tmp_path).iterdir()] == []


@pytest.mark.parametrize("status", ["401", "403", "404", "410"])
def test_a_refusal_is_final(server: FileServer, status: str) -> None:
    server.manners[PATH] = [status]
    with pytest.raises(
        EmobenchError, match=rf"status {status} \(.*\); otherwise download http.* by hand and save it as"
    ):
        download(server).fetch()
    assert len(server.gets()) == 1


@pytest.mark.parametrize("status", ["429", "429:1", "500", "503", "503:1"])
def test_a_busy_server_is_asked_again(tmp_path: Path, server: FileServer, status: str) -> None:
    server.manners[PATH] = [status, ""]
    before = time.monotonic()
    download(server).fetch()
    assert unpacked(tmp_path) == NAMES
    assert (time.monotonic() - before >= 1) == (":1" in status)


def test_a_server_that_stays_busy(server: FileServer) -> None:
    server.manners[PATH] = ["503"]
    with pytest.raises(EmobenchError, match=r"answered with status 503\. 0 bytes are kept; rerun the command later"):
        download(server).fetch()
    assert len(server.gets()) == 5
    server.manners[PATH] = ["429:3600"]
    with pytest.raises(EmobenchError, match=r"asks to wait for 3600 s\."):
        download(server).fetch()
    assert len(server.gets()) == 6


def test_no_network(tmp_path: Path) -> None:
    closed = FileServer({})
    closed.close()
    with pytest.raises(EmobenchError, match=r"127\.0\.0\.1:\d+ cannot be reached \(no connection\); download http"):
        download(closed).fetch()
    [plan, terms] = download(closed, size="7.2 GiB").plans()
    assert plan.endswith("(7.2 GiB expected; the server cannot be reached)")
    assert terms == "Some terms."


def test_plans_download_nothing(tmp_path: Path, server: FileServer) -> None:
    [plan, _] = download(server).plans()
    assert plan == (
        f"would download {server.url}/corpus.zip to {folder(tmp_path)}/corpus.zip ({size_shown(len(BODY))})"
    )
    assert [each.method for each in server.requests] == ["HEAD"]
    assert not folder(tmp_path).exists()


def test_size_and_terms_are_said_before_the_download(
    server: FileServer, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    with caplog.at_level("INFO", "emobench"):
        download(server).fetch()
    assert [each.getMessage() for each in caplog.records] == [
        "Some terms.",
        f"downloading 1 file (corpus.zip) from {server.url} to {folder(tmp_path)}: {size_shown(len(BODY))}",
    ]


def test_a_full_disk(server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(EmobenchError, match=r"300\.\d kB are to be downloaded, but only 1\.0 kB are free there"):
        download(server).fetch()
    assert not server.gets()


def test_a_later_download_that_differs_is_reported(tmp_path: Path, server: FileServer) -> None:
    download(server, None).fetch()
    records = json.loads((folder(tmp_path) / "downloads.json").read_text())
    first = f"sha256:{hashlib.sha256(BODY).hexdigest()}"
    assert records["corpus.zip"]["checksum"] == records["corpus.zip"]["first"] == first
    shutil.rmtree(folder(tmp_path) / "corpus")
    (folder(tmp_path) / "corpus.zip").unlink()
    download(server, None).fetch()  # the same file again
    shutil.rmtree(folder(tmp_path) / "corpus")
    (folder(tmp_path) / "corpus.zip").unlink()
    server.files[PATH] = changed = zipped({"corpus/a.csv": b"changed"})
    other = f"sha256:{hashlib.sha256(changed).hexdigest()}"
    with pytest.warns(EmobenchWarning, match=rf"has the checksum {other}, but an earlier download .* had {first}\."):
        download(server, None).fetch()
    assert unpacked(tmp_path) == {"corpus/a.csv": b"changed"}


def test_a_download_that_differs_from_those_of_others(server: FileServer) -> None:
    with pytest.warns(EmobenchWarning, match="had sha256:1234"):
        download(server, None, sha256="1234").fetch()


def test_an_archive_saved_by_hand_is_used(tmp_path: Path, server: FileServer) -> None:
    folder(tmp_path).mkdir(parents=True)
    (folder(tmp_path) / "corpus.zip").write_bytes(BODY)
    assert download(server).plans() == [f"would unpack {folder(tmp_path) / 'corpus.zip'}", "Some terms."]
    download(server).fetch()
    assert unpacked(tmp_path) == NAMES
    assert not server.requests


def test_a_file_saved_by_hand_that_is_incomplete_is_downloaded_again(
    tmp_path: Path, server: FileServer, caplog: pytest.LogCaptureFixture
) -> None:
    folder(tmp_path).mkdir(parents=True)
    (folder(tmp_path) / "corpus.zip").write_bytes(BODY[:1000])
    with caplog.at_level("INFO", "emobench"):
        download(server).fetch()
    assert "corpus.zip: does not have the published checksum; downloading it again" in caplog.text
    assert unpacked(tmp_path) == NAMES


def test_unpacked_files_that_were_deleted_come_back(tmp_path: Path, server: FileServer) -> None:
    download(server).fetch()
    (folder(tmp_path) / "corpus/corpus/a.csv").unlink()
    asked = len(server.requests)
    download(server).fetch()
    assert unpacked(tmp_path) == NAMES
    # The archive is not needed any more where its content is complete.
    (folder(tmp_path) / "corpus.zip").unlink()
    download(server).fetch()
    assert len(server.requests) == asked


def test_a_killed_process_is_continued(tmp_path: Path, server: FileServer) -> None:
    body = zipped({"corpus/noise": np.random.default_rng(1).bytes(4_000_000)})
    server.files[PATH] = body
    server.manners[PATH] = ["slow"]
    script = (
        "import sys; from emobench.builders.downloads import Archive, Download; "
        f"Download('some', '', (Archive({server.url + PATH!r}, 'clips'),)).fetch()"
    )
    part = folder(tmp_path) / "corpus.zip.part"
    with subprocess.Popen([sys.executable, "-c", script]) as child:
        until = time.monotonic() + 30
        while not (part.exists() and part.stat().st_size > 500_000) and time.monotonic() < until:
            time.sleep(0.01)
        child.kill()
    kept = part.stat().st_size
    assert 500_000 < kept < len(body)
    server.requests.clear()
    server.manners.clear()
    download(server, None).fetch()
    assert [(each.range, each.sent) for each in server.gets()] == [(f"bytes={kept}-", len(body) - kept)]
    assert (folder(tmp_path) / "corpus.zip").read_bytes() == body
    assert sorted(path.name for path in folder(tmp_path).iterdir()) == ["corpus", "corpus.zip", "downloads.json"]


@pytest.mark.parametrize("clean", [True, False])
def test_an_interruption_while_the_hash_is_computed_loses_nothing(
    tmp_path: Path, server: FileServer, monkeypatch: pytest.MonkeyPatch, clean: bool
) -> None:
    def interrupted(*arguments: object, **more: object) -> bool:
        if not clean:  # as after a kill, pooch's temporary file stays
            monkeypatch.setattr("os.remove", lambda path: None)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("pooch.core.hash_matches", interrupted)
        with pytest.raises(KeyboardInterrupt):
            download(server).fetch()
    monkeypatch.undo()
    monkeypatch.setenv("EMOBENCH_DATA", str(tmp_path))
    assert len(list(folder(tmp_path).glob("tmp*"))) == (not clean)
    download(server).fetch()
    assert sum(each.sent for each in server.gets()) == len(BODY)
    assert sorted(path.name for path in folder(tmp_path).iterdir()) == ["corpus", "corpus.zip", "downloads.json"]


def test_two_processes_do_not_download_at_once(tmp_path: Path, server: FileServer) -> None:
    folder(tmp_path).mkdir(parents=True)
    with (
        locked(folder(tmp_path) / ".lock", "x"),
        pytest.raises(EmobenchError, match="another process is downloading to"),
    ):
        download(server).fetch()


def test_a_progress_bar(tmp_path: Path, server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = open_terminal(monkeypatch)
    download(server).fetch()
    assert "corpus.zip: 100%" in terminal.getvalue()
    assert "300k/300k" in terminal.getvalue()
    assert "unpacking corpus.zip: 100%" in terminal.getvalue()
