"""CSV files as people save them."""

from __future__ import annotations

from pathlib import Path

import pytest
from emobench.errors import InputError
from emobench.runtime.csv_files import read_csv


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_separators_headers_and_empty_rows(tmp_path: Path, separator: str) -> None:
    path = tmp_path / "a.csv"
    lines = [["\ufeffClip_ID", " Arousal"], ["a ", "1"], ["", ""], ["Ä", '"x"']]
    path.write_text("\r\n".join(separator.join(line) for line in lines) + "\r\n", encoding="utf-8")
    table = read_csv(path, ("clip_id", "arousal", "valence"))
    assert table.columns == ["row", "clip_id", "arousal"]
    assert table.rows() == [(2, "a", "1"), (4, "Ä", "x")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("clip_id\nHélène\n".encode("latin-1"), "byte 0xe9 is not UTF-8; the file is probably encoded in Latin-1"),
        (b"PK\x03\x04xl/workbook.xml", r"is an Excel workbook \(\.xlsx\)"),
        ("clip_id\n".encode("utf-16"), "is encoded in UTF-16"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is a Git LFS pointer"),
        (b"a,A\n1,2\n", "has the column a more than once"),
        (b"", "not readable as CSV"),
    ],
)
def test_other_files(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_csv(path, ("a",))


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_csv(tmp_path / "none.csv")
