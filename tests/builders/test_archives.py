"""Unpacking of archives: what an interruption leaves, and archives that are damaged or hostile."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from emobench.errors import EmobenchError
from emobench.runtime import archives
from emobench.runtime.archives import content, unpack

FILES = {"a.csv": b"1,2\n" * 1000, "clips/1.mp3": os.urandom(5000), "clips/2.mp3": os.urandom(5000)}


def zip_of(path: Path, files: dict[str, bytes], kind: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", kind) as file:
        for name, data in files.items():
            # writestr would replace backslashes and strip leading slashes on some systems.
            info = zipfile.ZipInfo("x")
            info.filename = name
            file.writestr(info, data, compress_type=kind)
    return path


def tar_of(path: Path, files: dict[str, bytes], **more: object) -> Path:
    with tarfile.open(path, "w:gz") as file:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for key, value in more.items():
                setattr(info, key, value)
            file.addfile(info, io.BytesIO(data))
    return path


MAKERS = {"x.zip": zip_of, "x.tar.gz": tar_of}


def read(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", MAKERS)
def test_unpacks_all_files_and_replaces_the_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "old").write_text("old")
    unpack(MAKERS[name](tmp_path / name, FILES), tmp_path / "x", version="1")
    assert read(tmp_path / "x") == FILES
    assert content(tmp_path / "x") == [3, sum(map(len, FILES.values()))]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x", name]


@pytest.mark.parametrize("kind", [zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions(tmp_path: Path, kind: int) -> None:
    unpack(zip_of(tmp_path / "x.zip", FILES, kind), tmp_path / "x", version="1")
    assert read(tmp_path / "x") == FILES


def test_attributes_of_macos_are_left_out_and_backslashes_separate(tmp_path: Path) -> None:
    files = {"__MACOSX/._a.csv": b"x", "sub/._b.csv": b"x", "sub\\b.csv": b"1"}
    unpack(zip_of(tmp_path / "x.zip", files), tmp_path / "x", version="1")
    assert read(tmp_path / "x") == {"sub/b.csv": b"1"}


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("member", ["../evil", "/etc/evil", "a/../../evil", "..\\evil"])
def test_paths_outside_of_the_folder(tmp_path: Path, name: str, member: str) -> None:
    (tmp_path / "in").mkdir()
    made = MAKERS[name](tmp_path / "in" / name, {member: b"x"})
    with pytest.raises(EmobenchError, match=r"contains '.*evil', a path outside of its folder"):
        unpack(made, tmp_path / "in" / "x", version="1")
    assert not list(tmp_path.rglob("*evil*"))
    assert not (tmp_path / "in" / "x").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices(tmp_path: Path, kind: bytes) -> None:
    made = tar_of(tmp_path / "x.tar.gz", {"link": b""}, type=kind, linkname="/etc/passwd")
    with pytest.raises(EmobenchError, match="contains 'link', a link or device"):
        unpack(made, tmp_path / "x", version="1")
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("name", MAKERS)
def test_bombs(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "_LEAST", 10**6)
    made = MAKERS[name](tmp_path / name, {str(number): bytes(600_000) for number in range(2)})
    with pytest.raises(EmobenchError, match=r"unpacks to more than 1\.0 MB or 1,000,000 files"):
        unpack(made, tmp_path / "x", version="1")
    monkeypatch.undo()
    monkeypatch.setattr(archives, "_MOST_FILES", 1)
    with pytest.raises(EmobenchError, match="or 1 files"):
        unpack(made, tmp_path / "x", version="1")


def test_a_tar_archive_that_declares_a_huge_file(tmp_path: Path) -> None:
    info = tarfile.TarInfo("huge")
    info.size = 10**13
    (tmp_path / "x.tar.gz").write_bytes(gzip.compress(info.tobuf()))
    with pytest.raises(EmobenchError, match=r"unpacks to more than 1\.1 GB"):
        unpack(tmp_path / "x.tar.gz", tmp_path / "x", version="1")


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("share", [0.1, 0.6, 0.98])
def test_truncated_archives(tmp_path: Path, name: str, share: float) -> None:
    made = MAKERS[name](tmp_path / name, FILES)
    made.write_bytes(made.read_bytes()[: int(share * made.stat().st_size)])
    with pytest.raises(EmobenchError, match=rf"{name}: damaged or incomplete \(.+\); delete it and rerun"):
        unpack(made, tmp_path / "x", version="1")
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("kind", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_changed_bytes(tmp_path: Path, name: str, kind: int) -> None:
    made = zip_of(tmp_path / name, FILES, kind) if name == "x.zip" else tar_of(tmp_path / name, FILES)
    data = bytearray(made.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 50] = bytes(50)
    made.write_bytes(data)
    with pytest.raises(EmobenchError, match=rf"{name}: damaged or incomplete"):
        unpack(made, tmp_path / "x", version="1")


def test_an_encrypted_archive(tmp_path: Path) -> None:
    made = zip_of(tmp_path / "x.zip", {"a": b"secret"}, zipfile.ZIP_STORED)
    data = bytearray(made.read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + flags] |= 1
    made.write_bytes(data)
    with pytest.raises(EmobenchError, match=r"cannot be unpacked \(.*encrypted.*\); unpack it by hand"):
        unpack(made, tmp_path / "x", version="1")


@pytest.mark.parametrize("name", MAKERS)
def test_an_interrupted_call_is_continued(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = MAKERS[name](tmp_path / name, FILES)
    write, written = archives._write, []

    def interrupted(archive: Path, member: archives._Member, target: Path) -> None:
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(member.name)
        write(archive, member, target)

    monkeypatch.setattr(archives, "_write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        unpack(made, tmp_path / "x", version="sha1:1111111111")
    assert not (tmp_path / "x").exists()
    monkeypatch.setattr(archives, "_write", lambda *each: (written.append(each[1].name), write(*each)))
    unpack(made, tmp_path / "x", version="sha1:1111111111")
    assert written == list(FILES)  # each file once
    assert read(tmp_path / "x") == FILES
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x", name]


def test_files_of_another_version_are_not_kept(tmp_path: Path) -> None:
    begun = tmp_path / ".x.unpacking-11111111"
    begun.mkdir()
    (begun / "a.csv").write_bytes(bytes(len(FILES["a.csv"])))
    unpack(zip_of(tmp_path / "x.zip", FILES), tmp_path / "x", version="sha1:22222222")
    assert read(tmp_path / "x") == FILES
    assert not begun.exists()


def test_too_little_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = zip_of(tmp_path / "x.zip", FILES)
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=9000))
    with pytest.raises(EmobenchError, match=r"14\.0 kB are to be unpacked, but only 9\.0 kB are free there"):
        unpack(made, tmp_path / "x", version="1")
    # Files that are unpacked already need no more space.
    begun = tmp_path / ".x.unpacking-1"
    begun.mkdir()
    (begun / "a.csv").write_bytes(FILES["a.csv"])
    with pytest.raises(EmobenchError, match=r"10\.0 kB are to be unpacked"):
        unpack(made, tmp_path / "x", version="1")
    (begun / "clips").mkdir()
    (begun / "clips/1.mp3").write_bytes(FILES["clips/1.mp3"])
    unpack(made, tmp_path / "x", version="1")
    assert read(tmp_path / "x") == FILES
