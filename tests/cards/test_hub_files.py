"""Content that is never published: secrets and paths of machines, in texts, tables and other files."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from emobench.cards.hub_files import Forbidden, Upload, forbidden_values, refuse_secrets
from emobench.errors import InputError

SECRET = "s3cr3t/value+x"
TOKEN = "hf_" + "Ab1" * 10


@pytest.fixture
def forbidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Forbidden]:
    monkeypatch.setenv("HOME", "/root")
    return forbidden_values(tmp_path, {"SEVENDIGITAL_SECRET": SECRET, "HF_TOKEN": None, "SEVENDIGITAL_KEY": "abc"})


def _parquet(**columns: object) -> bytes:
    encoded = io.BytesIO()
    pl.DataFrame(columns).write_parquet(encoded)
    return encoded.getvalue()


def _metadata(value: str) -> bytes:
    encoded = io.BytesIO()
    pq.write_table(pa.table({"x": [1]}).replace_schema_metadata({"made": value}), encoded)
    return encoded.getvalue()


def _refused(path: str, content: bytes, forbidden: list[Forbidden]) -> str:
    with pytest.raises(InputError) as message:
        refuse_secrets([Upload("fine.md", b"fine"), Upload(path, content)], forbidden)
    return str(message.value)


def test_texts(tmp_path: Path, forbidden: list[Forbidden]) -> None:
    line = _refused("README.md", f"one\ntwo\nkey = {TOKEN}\n".encode(), forbidden)
    assert line.startswith("README.md, line 3: contains a token of the Hub, which is never published")
    assert TOKEN not in line
    line = _refused("a.json", f'{{"key": "{SECRET}"}}'.encode(), forbidden)
    assert line.startswith("a.json, line 1: contains the value of SEVENDIGITAL_SECRET")
    assert SECRET not in line
    assert "the path of its folder" in _refused("a.json", f'"{tmp_path}/clips"'.encode(), forbidden)
    assert "the path of your home folder" in _refused("a.txt", b"from /root/music", forbidden)
    # A path of another machine.
    unix = (
        "/home/someone/music/a.mp3",
        "/Users/someone/a",
        "/mnt/disk1/a",
        "/srv/music/x.mp3",
        "file:///home/someone/x",
    )
    for place in (*unix, r"C:\Users\someone", r'"C:\\Users\\someone"'):
        assert "a local path" in _refused("a.txt", f"see {place}".encode(), forbidden)


def test_tables(tmp_path: Path, forbidden: list[Forbidden]) -> None:
    many = ["ok.flac"] * 1000
    line = _refused("clips/a.parquet", _parquet(clip=range(1001), audio=[*many, f"{tmp_path}/b.flac"]), forbidden)
    assert line.startswith("clips/a.parquet, column audio, row 1000: contains the path of its folder on this machine")
    assert "column tags" in _refused("a.parquet", _parquet(tags=[["x"], ["y", TOKEN]]), forbidden)
    assert "column facts" in _refused("a.parquet", _parquet(facts=[{"by": "/home/someone/x"}]), forbidden)
    column = pl.Series(["a", SECRET], dtype=pl.Categorical)
    assert "column kind" in _refused("a.parquet", _parquet(kind=column), forbidden)
    assert "the name of column" in _refused("a.parquet", _parquet(**{TOKEN: [1]}), forbidden)
    assert "metadata made" in _refused("a.parquet", _metadata("/root/build"), forbidden)
    assert "not readable as Parquet" in _refused("a.parquet", b"PAR1", forbidden)


def test_other_files(forbidden: list[Forbidden]) -> None:
    assert "its name" in _refused(f"plots/{TOKEN}.png", b"", forbidden)
    line = _refused("plots/a.png", b"\x89PNG\xff\x00" + b"Software: /home/someone/bin/x", forbidden)
    assert line.startswith("plots/a.png, among its bytes: contains a local path")


def test_similar_but_harmless_content(forbidden: list[Forbidden]) -> None:
    fine = "Grass/roots, a/root/b, https://example.org/home/ann/, ../home/x/y, hf_short, abc, C:/Music, /rooted"
    table = _parquet(title=["Grass/root", None, "at /home"], n=[1, 2, 3], empty=pl.Series([None] * 3, dtype=pl.Null))
    refuse_secrets([Upload("README.md", fine.encode()), Upload("clips/a.parquet", table)], forbidden)


def test_hashes_are_those_of_git(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"some\nbytes\x00")
    upload = Upload("a/file", path)
    found = subprocess.run(["git", "hash-object", str(path)], capture_output=True, text=True, check=True)
    assert upload.git_oid == found.stdout.strip()
    sha = subprocess.run(["sha256sum", str(path)], capture_output=True, text=True, check=True)
    assert upload.sha256 == Upload("b", path.read_bytes()).sha256 == sha.stdout.split()[0]
    assert upload.size == 11
