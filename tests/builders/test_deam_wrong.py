"""DEAM: problems in its folder, each described in one line."""

from __future__ import annotations

import csv
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from emobench.builders.build import survey
from emobench.builders.readers import deam
from emobench.builders.readers.deam.split import SplitConfig
from emobench.builders.readers.songs.splits import Design
from emobench.errors import InputError

from .deam_folder import DYNAMIC, RATERS, STATIC, ratings, write_folder, write_text


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "DEAM")


def _replaced(place: str, old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        text = (folder / place).read_text(encoding="utf-8")
        assert old in text
        (folder / place).write_text(text.replace(old, new), encoding="utf-8")

    return change


def _replaced_everywhere(places: str, pattern: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        for path in folder.glob(places):
            path.write_text(re.sub(pattern, new, path.read_text(encoding="utf-8")), encoding="utf-8")

    return change


def _swap(folder: Path) -> None:
    first, second = (folder / DYNAMIC / f"{axis}.csv" for axis in ("arousal", "valence"))
    (folder / "kept").write_bytes(first.read_bytes())
    second.replace(first)
    (folder / "kept").replace(second)


def _swap_workers(folder: Path) -> None:
    first, second = (folder / RATERS / axis for axis in ("arousal", "valence"))
    first.rename(folder / "kept")
    second.rename(first)
    (folder / "kept").rename(second)


def _copied(place: str, other: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / other).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / place, folder / other)

    return change


def _removed(place: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (shutil.rmtree if (folder / place).is_dir() else Path.unlink)(folder / place)

    return change


WRONG: dict[str, Callable[[Path], None]] = {
    r"arousal\.csv and valence\.csv: swapped": _swap,
    r"arousal\.csv and valence\.csv: contain the same numbers": _copied(
        f"{DYNAMIC}/arousal.csv", f"{DYNAMIC}/valence.csv"
    ),
    r"swapped, or the folders arousal and valence of the workers are": _swap_workers,
    r"arousal\.csv: lacks the column song_id": _replaced(f"{DYNAMIC}/arousal.csv", "song_id", "x"),
    r"arousal\.csv: expected the columns sample_15000ms": _replaced(f"{DYNAMIC}/arousal.csv", "sample_", "x"),
    r"valence\.csv: invalid song_id: '\.\./2001';": _replaced(f"{DYNAMIC}/valence.csv", "2001,", "../2001,"),
    r"arousal\.csv: invalid song_id: '٢';": _replaced(f"{DYNAMIC}/arousal.csv", "\n2,", "\n٢,"),
    r"arousal\.csv: invalid song_id: '9{40}';": _replaced(f"{DYNAMIC}/arousal.csv", "\n2,", f"\n{'9' * 5000},"),
    r"arousal\.csv: column 'sample_9{20}ms': expected sample_<milliseconds>ms within three hours": _replaced(
        f"{DYNAMIC}/arousal.csv", "sample_18500ms", f"sample_{'9' * 20}ms"
    ),
    r"valence\.csv: column 'sample_9000000000ms': expected": _replaced(
        f"{DYNAMIC}/valence.csv", "sample_18500ms", "sample_9000000000ms"
    ),
    r"2\.csv: column 'sample_x': expected": _replaced(f"{RATERS}/valence/2.csv", "sample_18500ms", "sample_x"),
    r"valence\.csv: duplicate song_id: 3[;.]": _replaced(f"{DYNAMIC}/valence.csv", "\n2,", "\n003,"),
    r"songs that only one of them contains: 2, 9[;.]": _replaced(f"{DYNAMIC}/valence.csv", "\n2,", "\n9,"),
    r"_std\.csv: expected numbers from 0 to 1, one per column \(row 2, sample_15000ms: 'x'\)": _replaced(
        f"{DYNAMIC}/arousal_std.csv", "1002,0.2", "1002,x"
    ),
    r"2\.csv: expected numbers from -10 to 10, .*row 2, sample_15000ms: '11'": _replaced(
        f"{RATERS}/arousal/2.csv", f"w0,{ratings('arousal', '2')[0, 0]}", "w0,11"
    ),
    r"files of workers with ratings outside -1 to 1: .*/arousal/2\.csv[;.]": _replaced(
        f"{RATERS}/arousal/2.csv", f"w0,{ratings('arousal', '2')[0, 0]}", "w0,1.5"
    ),
    r"2\.csv: expected .*row 2: 10 cells, but 9 columns": _replaced(f"{RATERS}/arousal/2.csv", "w0,", "w0,0.5,"),
    r"two files for 2; expected one": _copied(f"{RATERS}/arousal/2.csv", f"{RATERS}/arousal/02.csv"),
    r"two files for arousal; expected one": _copied(f"{DYNAMIC}/arousal.csv", "copy/arousal.csv"),
    r"expected a song id as the file name": _copied(f"{RATERS}/arousal/2.csv", f"{RATERS}/arousal/a.csv"),
    r"songs with files of workers for valence only: 2[;.]": _removed(f"{RATERS}/arousal/2.csv"),
    r"contains only valence\.csv": _removed(f"{DYNAMIC}/arousal.csv"),
    r"contains no metadata\*\.csv": _removed("metadata"),
    r"metadata_2013\.csv: lacks the column artist": _replaced("metadata/metadata_2013.csv", "Artist", "x"),
    r"metadata_2015\.csv: row 2: song id '2' is not a number, or a duplicate": _replaced(
        "metadata/metadata_2015.csv", "2001,", "2,"
    ),
    r"_2000\.csv: lacks the column valence_std": _replaced(STATIC, "valence_std", "x"),
    r"_2000\.csv: row 2: song 2: expected means from 1 to 9": _replaced(STATIC, "\n2, 3.1", "\n2, 0.3"),
    r"songs with neither two workers .* nor means of the half seconds: 2001[;.]": _replaced_everywhere(
        f"{DYNAMIC}/*[el].csv", "\n2001,.*", f"\n2001,0.5{',' * 8}"
    ),
}


@pytest.mark.parametrize("message", list(WRONG))
def test_wrong_annotations(folder: Path, message: str) -> None:
    WRONG[message](folder)
    with pytest.raises(InputError, match=message):
        deam.load(folder, None)


def test_metadata_that_match_nothing(folder: Path) -> None:
    for path in (folder / "metadata").iterdir():
        path.unlink()
    write_text(folder / "metadata/metadata_2013.csv", "song_id,Artist,Song title\n77,Artist,Title\n")
    with pytest.raises(InputError, match="the metadata contain none of the annotated songs"):
        deam.load(folder, None)


def test_every_problem_is_listed_at_once(folder: Path, tmp_path: Path) -> None:
    _removed("metadata")(folder)
    _replaced(f"{DYNAMIC}/arousal.csv", "\n2,", "\n77,")(folder)
    music = tmp_path / "music"
    for name in ("a/55.mp3", "b/55.ogg", "cover.jpg"):
        write_text(music / name, "")
    with pytest.raises(InputError) as caught:
        deam.load(folder, music)
    message = str(caught.value)
    assert message.startswith("build-data deam: 4 problems: ")
    assert "contains no metadata*.csv" in message
    assert "songs that only one of them contains: 2, 77;" in message
    assert "songs with more than one file: 55: a/55.mp3 and b/55.ogg;" in message
    assert "none of its files is named after a song id, such as 2.mp3" in message


def test_files_of_other_kinds(folder: Path, tmp_path: Path) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    write_text(folder / f"{DYNAMIC}/arousal.csv", pointer)
    write_text(folder / "metadata/metadata_2013.csv", "PK\x03\x04")
    write_text(tmp_path / "development.csv", pointer)
    with pytest.raises(InputError) as caught:
        deam.load(folder, None, Design(split=SplitConfig("mediaeval2015", tmp_path / "development.csv")))
    message = str(caught.value)
    for name in ("arousal.csv", "development.csv"):
        assert f"{name}: is a Git LFS pointer, not the file itself; run 'git lfs pull' in its folder" in message
    assert "metadata_2013.csv: is an Excel workbook (.xlsx)" in message


def test_tables_with_semicolons(folder: Path) -> None:
    before = deam.load(folder, None)
    for path in folder.rglob("*.csv"):
        if path.name != "metadata_2014.csv":
            with path.open(encoding="utf-8", newline="") as file:
                rows = [[cell.strip() for cell in row] for row in csv.reader(file, skipinitialspace=True)]
            with path.open("w", encoding="utf-8", newline="") as file:
                csv.writer(file, delimiter=";").writerows(rows)
    after = deam.load(folder, None)
    assert after.clips.equals(before.clips)
    assert after.annotations.equals(before.annotations)


def test_missing_folders(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"2 problems: .*nowhere: no such folder.*; .*nothing: no such folder"):
        deam.load(tmp_path / "nowhere", tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"3 problems: .*neither arousal\.csv.*no metadata.*contains no audio"):
        deam.load(tmp_path / "empty", tmp_path / "empty")
    with pytest.raises(InputError, match="`annotations`: required by the source deam"):
        survey("deam", out=tmp_path / "out")
