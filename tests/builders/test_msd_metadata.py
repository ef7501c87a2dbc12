"""Tables of the Million Song Dataset in each form, valid and broken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from emobench.builders.readers.msd import metadata as msd_metadata
from emobench.builders.readers.msd.metadata import Metadata, read

from .msd_files import TRACKS, Track, write_database, write_h5, write_lines

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"


def _tree(folder: Path, tracks: list[Track]) -> Path:
    for track in tracks:
        write_h5(folder / "A" / f"{track[0]}.h5", [track])
    return folder / "A"


FORMS: dict[str, Callable[[Path], Path]] = {
    "track_metadata.db": lambda folder: write_database(folder / "track_metadata.db"),
    "msd_summary_file.h5": lambda folder: write_h5(folder / "msd_summary_file.h5", TRACKS),
    "per-track .h5": lambda folder: _tree(folder, TRACKS),
    "unique_tracks.txt": write_lines,
    "unique_tracks.txt, table": lambda folder: write_lines(folder, ids="table"),
}


def _read(place: Path) -> Metadata:
    problems: list[str] = []
    found = read(place, problems)
    assert not problems
    assert found is not None
    return found


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("by_folder", [True, False])
def test_every_form_gives_the_same_tracks(tmp_path: Path, form: str, by_folder: bool) -> None:
    path = FORMS[form](tmp_path)
    found = _read(tmp_path if by_folder else path)
    # unique_tracks.txt has no albums.
    albums = not form.startswith("unique")
    assert found.tracks.rows(named=True) == [
        {
            "track_id": track,
            "artist": artist,
            "album": album if albums else "",
            "title": title,
            "seven_digital_id": str(seven) if seven else None,
        }
        for track, seven, artist, album, title in TRACKS
    ]
    assert found.source["metadata"] == form.split(",", maxsplit=1)[0]
    assert len(found.source["sha256"]) == 64


def test_the_order_of_rows_does_not_matter(tmp_path: Path) -> None:
    write_database(tmp_path / "a.db")
    write_database(tmp_path / "b.db", TRACKS[::-1])
    assert _read(tmp_path / "a.db").tracks.equals(_read(tmp_path / "b.db").tracks)


def test_joining_files_in_several_steps_gives_the_same_tracks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tracks: list[Track] = [(f"TRAAAAA128F{number:07X}", number, "a", "b", "c") for number in range(1, 8)]
    whole = _read(_tree(tmp_path, tracks))
    monkeypatch.setattr(msd_metadata, "_FILES_AT_ONCE", 3)
    joined = _read(tmp_path / "A")
    assert joined.tracks.equals(whole.tracks)
    assert joined.source == whole.source
    assert len(joined.tracks) == 7


def test_another_list_of_ids_changes_the_hash_of_the_source(tmp_path: Path) -> None:
    first = _read(write_lines(tmp_path / "a")).source
    assert _read(write_lines(tmp_path / "b")).source == first
    assert (
        _read(write_lines(tmp_path / "c", TRACKS[:3])).source["seven_digital_ids_sha256"]
        == (first["seven_digital_ids_sha256"])
    )
    (tmp_path / "b" / "7digital_id.txt").write_text("1\n2\n3\n")
    assert _read(tmp_path / "b").source["seven_digital_ids_sha256"] != first["seven_digital_ids_sha256"]


def test_a_list_of_ids_with_semicolons_and_other_headers(tmp_path: Path) -> None:
    write_lines(tmp_path, ids="table")
    ids = tmp_path / "7digital_ids.csv"
    ids.write_text(ids.read_text().replace(",", ";").replace("track_id", "Track_ID"))
    assert _read(tmp_path).tracks["seven_digital_id"].to_list() == [str(t[1]) if t[1] else None for t in TRACKS]


def test_without_a_list_of_ids_there_are_none(tmp_path: Path) -> None:
    assert _read(write_lines(tmp_path, ids="none")).tracks["seven_digital_id"].to_list() == [None] * 4


def test_a_path_with_the_special_characters_of_uris(tmp_path: Path) -> None:
    odd = tmp_path / "50% ?#[x] 音楽"
    odd.mkdir()
    write_database(odd / "track_metadata.db")
    assert len(_read(odd).tracks) == 4


def test_of_several_forms_the_database_is_read(tmp_path: Path) -> None:
    write_lines(tmp_path)
    write_h5(tmp_path / "msd_summary_file.h5", TRACKS[:1] * 2)
    write_database(tmp_path / "track_metadata.db")
    assert _read(tmp_path).source["metadata"] == "track_metadata.db"


def _exchanged(folder: Path) -> Path:
    """Files of three tracks, two of which have each other's name."""
    for name, track in ((TRACKS[0], TRACKS[1]), (TRACKS[1], TRACKS[0]), (TRACKS[2], TRACKS[2])):
        write_h5(folder / "A" / f"{name[0]}.h5", [track])
    return folder / "A"


def _nothing(folder: Path) -> Path:
    return folder / "nothing"


def _foreign(folder: Path) -> Path:
    (folder / "notes.txt").write_text("hello")
    return folder / "notes.txt"


def _no_table(folder: Path) -> Path:
    import sqlite3

    sqlite3.connect(folder / "track_metadata.db").execute("CREATE TABLE other (x)").connection.close()
    return folder


def _not_text(folder: Path, column: str, value: str) -> Path:
    """A database in which SQLite keeps, as text or a blob, bytes that are not UTF-8."""
    import sqlite3

    with sqlite3.connect(write_database(folder / "t.db")) as connection:
        connection.execute(f"UPDATE songs SET {column} = {value} WHERE track_id = '{TRACKS[2][0]}'")
    connection.close()
    return folder / "t.db"


def _cut(path: Path) -> Path:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def _tree_with_pointer(folder: Path) -> Path:
    tree = _tree(folder, TRACKS[:2])
    (tree / f"{TRACKS[1][0]}.h5").write_text(POINTER)
    return tree


def _lines(folder: Path, change: Callable[[Path], object]) -> Path:
    write_lines(folder)
    change(folder)
    return folder


def _changed(track: str | None = None, seven: int | None = None) -> list[tuple[str, int, str, str, str]]:
    first = (track or TRACKS[0][0], TRACKS[0][1] if seven is None else seven, *TRACKS[0][2:])
    return [first, *TRACKS[1:]]


WRONG: dict[str, tuple[Callable[[Path], Path], list[str]]] = {
    "nothing": (_nothing, ["nothing: no such file or folder", "track_metadata.db"]),
    "empty folder": (lambda folder: folder, ["contains no metadata"]),
    "no rows in .h5": (lambda folder: write_h5(folder / "A" / "B.h5", []).parent, ["has no tracks"]),
    "another file": (_foreign, ["notes.txt: not metadata; expected track_metadata.db"]),
    "another database": (_no_table, ["table songs does not exist"]),
    "missing column": (
        lambda folder: write_database(folder / "t.db", leave_out="track_7digitalid"),
        ["table songs lacks the columns track_7digitalid"],
    ),
    "cut database": (
        lambda folder: _cut(
            write_database(folder / "t.db", [(f"TRAAAAA128F{n:07X}", n, "A", "B", "C") for n in range(999)])
        ),
        ["t.db: not readable as SQLite"],
    ),
    "text that is not UTF-8": (
        lambda folder: _not_text(folder, "artist_name", "CAST(x'ff41fe' AS TEXT)"),
        ["cells of the table songs that are not UTF-8 text: track TRAAABD128F429CF47: artist_name b'\\xffA\\xfe'"],
    ),
    "a blob that is not text": (
        lambda folder: _not_text(folder, "release", "x'fffe'"),
        ["cells of the table songs that are not UTF-8 text: track TRAAABD128F429CF47: release b'\\xff\\xfe'"],
    ),
    "a track id that is not UTF-8": (
        lambda folder: _not_text(folder, "track_id", "CAST(x'ff' AS TEXT)"),
        ["track \\xff: track_id b'\\xff'"],
    ),
    "no rows": (lambda folder: write_database(folder / "t.db", []), ["t.db: has no tracks"]),
    "cut summary": (
        lambda folder: _cut(write_h5(folder / "msd_summary_file.h5", TRACKS)),
        ["msd_summary_file.h5: not readable as a summary file"],
    ),
    "damaged track files": (
        lambda folder: [_cut(_tree(folder, [track]) / f"{track[0]}.h5") for track in TRACKS[1:]][-1].parents[1],
        [".h5 files that are damaged", "TRAAAAV128F421A322.h5", "TRAAAED128E0783FAB.h5"],
    ),
    "wrong track ids": (
        lambda folder: write_database(folder / "t.db", _changed("../../etc/passwd")),
        ["invalid track ids: '../../etc/passwd'"],
    ),
    "track twice": (
        lambda folder: write_database(folder / "t.db", [*TRACKS, TRACKS[0]]),
        ["duplicate track ids: TRAAAAK128F9318786"],
    ),
    "impossible 7digital id": (
        lambda folder: write_database(folder / "t.db", _changed(seven=-7)),
        ["7digital ids that are not numbers: '-7' (track TRAAAAK128F9318786)"],
    ),
    "two problems": (
        lambda folder: write_database(folder / "t.db", [*_changed("TRX"), TRACKS[1]]),
        ["invalid track ids: 'TRX'", "duplicate track ids: TRAAAAV"],
    ),
    "lines of other parts": (
        lambda folder: _lines(folder, lambda f: (f / "unique_tracks.txt").write_text("TRX<SEP>a<SEP>b<SEP>c\na,b\n")),
        ["lines that do not have four parts separated by <SEP>: 2;"],
    ),
    "lines in another encoding": (
        lambda folder: _lines(folder, lambda f: (f / "unique_tracks.txt").write_bytes("é<SEP>".encode("latin-1") * 3)),
        ["unique_tracks.txt: not readable as text in UTF-8"],
    ),
    "ids without tracks": (
        lambda folder: _lines(folder, lambda f: (f / "msd_id.txt").unlink()),
        ["msd_id.txt: missing", "both are needed"],
    ),
    "more ids than tracks": (
        lambda folder: _lines(folder, lambda f: (f / "7digital_id.txt").write_text("1\n2\n3\n4\n")),
        ["msd_id.txt: 3 lines, but 7digital_id.txt has 4"],
    ),
    "ids of a track twice": (
        lambda folder: _lines(folder, lambda f: (f / "msd_id.txt").write_text(f"{TRACKS[0][0]}\n" * 3)),
        ["duplicate tracks in the list of 7digital ids: TRAAAAK128F9318786"],
    ),
    "ids of other tracks": (
        lambda folder: _lines(
            folder, lambda f: (f / "7digital_ids.csv").write_text("track_id,seven_digital_id\nTRZZZZZ128F0000000,5\n")
        ),
        ["7digital_ids.csv: none of its 1 ids belongs to a track of unique_tracks.txt (such as TRAAAA"],
    ),
    "no ids in the list": (
        lambda folder: _lines(folder, lambda f: (f / "7digital_ids.csv").write_text("track_id,seven_digital_id\n")),
        ["7digital_ids.csv: none of its 0 ids"],
    ),
    "lists of ids under each other's names": (
        lambda folder: _lines(
            folder,
            lambda f: [
                (f / "msd_id.txt").rename(f / "x"),
                (f / "7digital_id.txt").rename(f / "msd_id.txt"),
                (f / "x").rename(f / "7digital_id.txt"),
            ],
        ),
        ["msd_id.txt: none of its 3 ids belongs to a track", "7digital_id.txt: 7digital ids that are not numbers: 'TR"],
    ),
    "a wrong id in the list": (
        lambda folder: _lines(
            folder,
            lambda f: (f / "7digital_ids.csv").write_text(f"track_id,seven_digital_id\n{TRACKS[0][0]},../x\n"),
        ),
        ["7digital_ids.csv: 7digital ids that are not numbers: '../x' (track TRAAAAK128F9318786)"],
    ),
    "a control character": (
        lambda folder: _lines(
            folder, lambda f: (f / "unique_tracks.txt").write_text("TRX<SEP>a<SEP>b\x01<SEP>c\nTRY<SEP>a<SEP>b<SEP>c\n")
        ),
        ["unique_tracks.txt: not readable as text in UTF-8 without the character U+0001"],
    ),
    "track files under each other's names": (
        _exchanged,
        [
            "A: .h5 files that contain another track",
            ": TRAAAAK128F9318786.h5: TRAAAAV128F421A322, TRAAAAV128F421A322.h5: TRA",
        ],
    ),
    "digits of another script": (
        lambda folder: _lines(
            folder,
            lambda f: (f / "7digital_ids.csv").write_text(f"track_id,seven_digital_id\n{TRACKS[0][0]},1٣\n"),
        ),
        ["7digital ids that are not numbers: '1٣' (track TRAAAAK128F9318786)"],
    ),
    "a Git LFS pointer instead of the list of tracks": (
        lambda folder: _lines(folder, lambda f: (f / "unique_tracks.txt").write_text(POINTER)),
        ["unique_tracks.txt: is a Git LFS pointer"],
    ),
    "a Git LFS pointer instead of a list of ids": (
        lambda folder: _lines(folder, lambda f: (f / "7digital_id.txt").write_text(POINTER)),
        ["7digital_id.txt: is a Git LFS pointer"],
    ),
    "a Git LFS pointer instead of the database": (
        lambda folder: _lines(folder, lambda f: (f / "track_metadata.db").write_text(POINTER)),
        ["track_metadata.db: is a Git LFS pointer"],
    ),
    "a Git LFS pointer instead of a track file": (
        _tree_with_pointer,
        [".h5 files that are damaged", "TRAAAAV128F421A322.h5: a Git LFS pointer"],
    ),
    "a workbook of ids": (
        lambda folder: _lines(folder, lambda f: (f / "7digital_ids.csv").write_bytes(b"PK\x03\x04")),
        ["7digital_ids.csv: is an Excel workbook"],
    ),
    "a table of other columns": (
        lambda folder: _lines(folder, lambda f: (f / "7digital_ids.csv").write_text("a,b\n1,2\n")),
        ["7digital_ids.csv: expected the columns track_id, seven_digital_id"],
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_problems_are_named(tmp_path: Path, case: str) -> None:
    make, wanted = WRONG[case]
    problems: list[str] = []
    read(make(tmp_path), problems)
    text = "; ".join(problems)
    for part in wanted:
        assert part in text
    assert "\n" not in text


def test_real_files(real_data: Path) -> None:
    lines = _read(real_data / "msd" / "unique_tracks_5000.txt")
    assert len(lines.tracks) == 5000
    problems: list[str] = []
    tree = read(real_data / "msd" / "h5", problems)
    assert tree is not None
    assert len(tree.tracks) == 40
    assert [problem.split(": ")[2] for problem in problems] == ["TRAAAAW128F429D538.h5"]
    row = tree.tracks.filter(pl.col("track_id") == "TRBHLBZ128F9300586").row(0)
    assert row == ("TRBHLBZ128F9300586", "Avril Lavigne", "My World", "Unwanted", "4416793")


def test_the_names_of_the_subset(tmp_path: Path) -> None:
    write_database(tmp_path / "subset_track_metadata.db")
    problems: list[str] = []
    found = read(tmp_path, problems)
    assert not problems
    assert found is not None
    assert found.source["metadata"] == "track_metadata.db"
    assert len(found.tracks) == len(TRACKS)
    lines = tmp_path / "lines"
    lines.mkdir()
    (lines / "subset_unique_tracks.txt").write_text(
        "".join(f"{track[0]}<SEP>S<SEP>{track[2]}<SEP>{track[4]}\n" for track in TRACKS), encoding="utf-8"
    )
    found = read(lines, problems)
    assert not problems
    assert found is not None
    assert found.tracks["track_id"].to_list() == sorted(track[0] for track in TRACKS)
