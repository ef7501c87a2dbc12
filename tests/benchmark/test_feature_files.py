"""Feature files: both formats, with and without time, and invalid files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import polars as pl
import pytest
from emobench.benchmark.features.files import read_features
from emobench.benchmark.features.spec import parts_of
from emobench.benchmark.scoring.task import Task
from emobench.errors import InputError

CLIPS = ("11", "7", "305")
SECONDS = {"11": (1, 2, 3), "7": (1, 2), "305": (4, 5, 6, 7)}
ROWS = [(clip, second) for clip in CLIPS for second in SECONDS[clip]]


@pytest.fixture(scope="module")
def task() -> Task:
    """Three clips of 3, 2 and 4 seconds, as :func:`load_task` would arrange them."""
    return Task(
        dataset=cast(Any, None),
        clips=list(CLIPS),
        kind="second",
        context=None,
        seconds=[np.array(SECONDS[clip], np.float64) for clip in CLIPS],
        times=np.array([second for _, second in ROWS], np.float64),
        clip_index=np.array([CLIPS.index(clip) for clip, _ in ROWS], np.intp),
        targets=np.zeros((len(ROWS), 5)),
        raw_targets=np.zeros((len(ROWS), 5)),
        targets_repaired=0.0,
        albums=np.arange(3),
        folds=[],
    )


def _value(clip: str, second: float = 0) -> list[float]:
    """Return a vector that identifies its clip and second."""
    return [int(clip) / 8, -second, 1e-3 * int(clip) + second]


def _lines(timed: bool) -> list[str]:
    """Return the rows of a CSV file in reverse order."""
    if timed:
        return [",".join([clip, str(second), *map(repr, _value(clip, second))]) for clip, second in reversed(ROWS)]
    return [",".join([clip, *map(repr, _value(clip))]) for clip in reversed(CLIPS)]


def _header(timed: bool) -> str:
    return "clip_id,time,a,b,c" if timed else "clip_id,a,b,c"


def _wanted(timed: bool) -> np.ndarray:
    return np.array([_value(clip, second if timed else 0) for clip, second in ROWS])


def _csv(folder: Path, *lines: str, name: str = "features.csv") -> Path:
    path = folder / name
    path.write_text("".join(line + "\n" for line in lines))
    return path


def _parquet(folder: Path, frame: pl.DataFrame) -> Path:
    path = folder / "features.parquet"
    frame.write_parquet(path)
    return path


def _frame(timed: bool) -> pl.DataFrame:
    rows = [(clip, float(second), *_value(clip, second if timed else 0)) for clip, second in reversed(ROWS)]
    frame = pl.DataFrame(rows, schema=["clip_id", "time", "a", "b", "c"], orient="row")
    return frame if timed else frame.drop("time").unique()


# Valid files


@pytest.mark.parametrize("timed", [True, False])
def test_csv(tmp_path: Path, task: Task, timed: bool) -> None:
    found = read_features(_csv(tmp_path, _header(timed), *_lines(timed)), task)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, _wanted(timed))


@pytest.mark.parametrize("timed", [True, False])
def test_parquet(tmp_path: Path, task: Task, timed: bool) -> None:
    np.testing.assert_array_equal(read_features(_parquet(tmp_path, _frame(timed)), task), _wanted(timed))


def test_headerless_csv_as_the_moodswings_features_are_published(tmp_path: Path, task: Task) -> None:
    lines = [line.replace(",", ".mat,", 1) for line in _lines(False)]
    np.testing.assert_array_equal(read_features(_csv(tmp_path, *lines), task), _wanted(False))
    np.testing.assert_array_equal(read_features(_csv(tmp_path, *_lines(False)), task), _wanted(False))


def test_the_real_file(real_data: Path) -> None:
    path = real_data / "moodswings_turk" / "chroma_song_means.csv"
    lines = [line.split(",") for line in path.read_text().splitlines() if line]
    clips = [cells[0].removesuffix(".mat") for cells in lines]
    task = Task(
        dataset=cast(Any, None),
        clips=clips[::-1],
        kind="second",
        context=None,
        seconds=[np.array([1.0, 2.0])] * len(clips),
        times=np.tile([1.0, 2.0], len(clips)),
        clip_index=np.repeat(np.arange(len(clips)), 2),
        targets=np.zeros((2 * len(clips), 5)),
        raw_targets=np.zeros((2 * len(clips), 5)),
        targets_repaired=0.0,
        albums=np.arange(len(clips)),
        folds=[],
    )
    found = read_features(path, task)
    expected = np.repeat([[float(cell) for cell in cells[1:]] for cells in lines[::-1]], 2, axis=0)
    assert found.shape == (2 * len(clips), 12)
    np.testing.assert_array_equal(found, expected)


def test_columns_in_any_order(tmp_path: Path, task: Task) -> None:
    lines = ["b,time,clip_id,a"] + [
        f"{_value(clip, second)[1]},{second},{clip},{_value(clip, second)[0]}" for clip, second in ROWS
    ]
    # Features keep the order of the file.
    np.testing.assert_array_equal(read_features(_csv(tmp_path, *lines), task), _wanted(True)[:, [1, 0]])


def test_other_clips_and_seconds_are_ignored(tmp_path: Path, task: Task) -> None:
    lines = [_header(True), "999,1,0,0,0", *_lines(True), "7,3,0,0,0", "305,1,0,0,0", "0011,1,0,0,0"]
    np.testing.assert_array_equal(read_features(_csv(tmp_path, *lines), task), _wanted(True))


def test_csv_of_spreadsheets(tmp_path: Path, task: Task) -> None:
    path = tmp_path / "features.csv"
    quoted = [",".join(f'"{cell}"' for cell in line.split(",")) for line in [_header(True), *_lines(True)]]
    path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(quoted).encode() + b"\r\n\r\n")
    np.testing.assert_array_equal(read_features(path, task), _wanted(True))


def test_spaces_around_names_and_numbers(tmp_path: Path, task: Task) -> None:
    lines = [line.replace(",", " , ") for line in [_header(True), *_lines(True)]]
    np.testing.assert_array_equal(read_features(_csv(tmp_path, *lines), task), _wanted(True))


def test_a_table_whose_columns_are_numbered(tmp_path: Path, task: Task) -> None:
    # As pandas writes a matrix
    lines = ["clip_id,0,1,2", *_lines(False)]
    np.testing.assert_array_equal(read_features(_csv(tmp_path, *lines), task), _wanted(False))


def test_times_that_are_nearly_whole(tmp_path: Path, task: Task) -> None:
    frame = _frame(True).with_columns(pl.col("time") + 1e-9)
    np.testing.assert_array_equal(read_features(_parquet(tmp_path, frame), task), _wanted(True))


@pytest.mark.parametrize("kind", [pl.Float32, pl.Int16, pl.UInt8])
def test_parquet_types(tmp_path: Path, task: Task, kind: Any) -> None:
    frame = pl.DataFrame({"clip_id": list(CLIPS), "x": [1, 2, 3]}).with_columns(
        pl.col("x").cast(kind), pl.col("clip_id").cast(pl.Int64)
    )
    found = read_features(_parquet(tmp_path, frame), task)
    np.testing.assert_array_equal(found[:, 0], [1, 1, 1, 2, 2, 3, 3, 3, 3])


def test_float_precision_survives(tmp_path: Path, task: Task) -> None:
    number = 0.1234567890123456789
    found = read_features(_csv(tmp_path, "clip_id,x", *(f"{clip},{number!r}" for clip in CLIPS)), task)
    assert (found == number).all()


# Invalid files. Every message names the file; most name the line and what was expected.


def _refused(path: Path, task: Task, *parts: str) -> None:
    with pytest.raises(InputError) as caught:
        read_features(path, task)
    message = str(caught.value)
    assert str(path) in message
    for part in parts:
        assert part in message, message
    assert "\n" not in message
    assert caught.value.exit_code == 2


def test_no_file(tmp_path: Path, task: Task) -> None:
    _refused(tmp_path / "nothing.csv", task, "no such feature file")
    _refused(tmp_path, task, "no such feature file")


@pytest.mark.parametrize("content", ["", "\n\n"])
def test_empty_csv(tmp_path: Path, task: Task, content: str) -> None:
    path = tmp_path / "features.csv"
    path.write_text(content)
    _refused(path, task, "is empty", "expected the columns clip_id")


def test_only_a_header(tmp_path: Path, task: Task) -> None:
    _refused(_csv(tmp_path, _header(False)), task, "lacks 3 of the dataset's 3 clips", "expected")
    _refused(_parquet(tmp_path, _frame(True).clear()), task, "lacks 3 of the dataset's 3 clips")


@pytest.mark.parametrize(
    "header",
    [
        "clip,a,b,c",
        "a,b,c,d",
        "clip_id,a,b,a",
        "clip_id,clip_id,a,b",
        "Clip ID,a,b,c",
        "a;b;c;d",
    ],
)
def test_wrong_columns(tmp_path: Path, task: Task, header: str) -> None:
    _refused(_csv(tmp_path, header, *_lines(False)), task, "columns", "expected clip_id[,time],<numbers...>")


@pytest.mark.parametrize("header", ["clip_id", "clip_id,time"])
def test_no_feature_column(tmp_path: Path, task: Task, header: str) -> None:
    rows = [",".join([clip, "1"][: len(header.split(","))]) for clip in CLIPS]
    _refused(_csv(tmp_path, header, *rows), task, "expected clip_id[,time],<numbers...>")
    frame = pl.DataFrame({"clip_id": list(CLIPS), "time": [1.0] * 3}).select(header.split(","))
    _refused(_parquet(tmp_path, frame), task, "expected clip_id[,time],<numbers...>")


def test_a_column_of_text(tmp_path: Path, task: Task) -> None:
    lines = ["clip_id,title,a", *(f"{clip},Song,1.0" for clip in CLIPS)]
    _refused(_csv(tmp_path, *lines), task, "line 2", "'Song'", "number")
    frame = pl.DataFrame({"clip_id": list(CLIPS), "title": ["Song"] * 3, "a": [1.0] * 3})
    _refused(_parquet(tmp_path, frame), task, "title", "expected numbers")


@pytest.mark.parametrize("cell", ["", " ", "x", "1,5", "1 2", "0x10", "--", "N/A", "1.0.0"])
def test_text_in_a_cell(tmp_path: Path, task: Task, cell: str) -> None:
    lines = _lines(False)
    lines[1] = f'7,1.0,"{cell}",2.0'
    _refused(_csv(tmp_path, _header(False), *lines), task, "line 3", repr(cell), "number")


@pytest.mark.parametrize("cell", ["nan", "NaN", "inf", "-Infinity", "1e999", "1e308", "-1e308"])
def test_numbers_that_are_not_finite(tmp_path: Path, task: Task, cell: str) -> None:
    lines = _lines(True)
    clip, second = lines[2].split(",")[:2]
    lines[2] = f"{clip},{second},1.0,{cell},2.0"
    _refused(_csv(tmp_path, _header(True), *lines), task, "line 4", f"clip {clip}", ": b is", "expected a finite")


@pytest.mark.parametrize("bad", [None, float("nan"), float("inf")])
def test_parquet_with_holes(tmp_path: Path, task: Task, bad: float | None) -> None:
    frame = pl.DataFrame({"clip_id": list(CLIPS), "a": [1.0, 2.0, 3.0], "b": [1.0, bad, 3.0]})
    _refused(_parquet(tmp_path, frame), task, "line 2", "clip 7", ": b is", "expected a finite")


@pytest.mark.parametrize("line", ["7,1.0,2.0", "7,1.0,2.0,3.0,4.0", "7"])
@pytest.mark.parametrize("headed", [True, False])
def test_ragged_rows(tmp_path: Path, task: Task, line: str, headed: bool) -> None:
    lines = [*([_header(False)] if headed else []), _lines(False)[0], line, _lines(False)[2]]
    columns = len(line.split(","))
    number = 3 if headed else 2
    _refused(_csv(tmp_path, *lines), task, f"line {number} has {columns} columns", "expected 4")


def test_missing_clips(tmp_path: Path, task: Task) -> None:
    lines = [line for line in _lines(False) if not line.startswith(("7,", "11,"))]
    _refused(_csv(tmp_path, _header(False), *lines), task, "lacks 2 of the dataset's 3 clips", "11, 7", "expected")


def test_a_missing_second(tmp_path: Path, task: Task) -> None:
    lines = [line for line in _lines(True) if not line.startswith("305,6,")]
    _refused(_csv(tmp_path, _header(True), *lines), task, "clip 305", "lacks second 6", "expected 4, 5, 6, 7")
    frame = _frame(True).filter((pl.col("clip_id") != "7") | (pl.col("time") != 1))
    _refused(_parquet(tmp_path, frame), task, "clip 7", "lacks second 1", "expected 1, 2")


def test_times_that_are_not_the_ends_of_seconds(tmp_path: Path, task: Task) -> None:
    frame = _frame(True).with_columns(pl.col("time") - 0.5)
    _refused(_parquet(tmp_path, frame), task, "clip 11", "lacks second 1")


def test_a_clip_that_occurs_twice(tmp_path: Path, task: Task) -> None:
    lines = _lines(False)
    _refused(_csv(tmp_path, _header(False), *lines, lines[0]), task, "line 5", "clip 305", "twice", "line 2")
    # Names with and without .mat denote the same clip.
    _refused(_csv(tmp_path, *lines, lines[1].replace(",", ".mat,", 1)), task, "line 4", "clip 7", "twice", "line 2")


def test_a_second_that_occurs_twice(tmp_path: Path, task: Task) -> None:
    lines = _lines(True)
    _refused(_csv(tmp_path, _header(True), *lines, lines[-1]), task, "line 11", "clip 11 at 1 s", "twice", "line 10")
    frame = _frame(True)
    _refused(_parquet(tmp_path, pl.concat([frame, frame[3:4]])), task, "line 10", "twice", "line 4")


def test_a_file_with_times_read_as_one_vector_per_clip(tmp_path: Path, task: Task) -> None:
    # "second" is not the name of the time column, so it is a feature and clips occur repeatedly.
    lines = [_header(True).replace("time", "second"), *_lines(True)]
    _refused(_csv(tmp_path, *lines), task, "twice")


@pytest.mark.parametrize("content", [b"", b"PAR1", b"clip_id,a\n11,1\n", b"PAR1" + bytes(100) + b"PAR1"])
def test_damaged_parquet(tmp_path: Path, task: Task, content: bytes) -> None:
    path = tmp_path / "features.parquet"
    path.write_bytes(content)
    with pytest.raises(InputError, match=str(path)):
        read_features(path, task)


def test_truncated_parquet(tmp_path: Path, task: Task) -> None:
    path = _parquet(tmp_path, _frame(True))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match=str(path)):
        read_features(path, task)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe\x00\x01", "is encoded in UTF-16"),
        (b"clip_id,\xe9\n11,1\n", "probably encoded in Latin-1"),
        (b"PAR1\x00\x00\x80\x81", "is a Parquet file"),
        (b"PK\x03\x04", "is an Excel workbook"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is a Git LFS pointer"),
    ],
)
def test_files_that_are_not_csv(tmp_path: Path, task: Task, content: bytes, message: str) -> None:
    path = tmp_path / "features.csv"
    path.write_bytes(content)
    _refused(path, task, message)


@pytest.mark.parametrize("separator", [";", "\t"])
def test_other_separators(tmp_path: Path, task: Task, separator: str) -> None:
    lines = ["clip_id,x,y", *(f"{clip},{place}.5,{place}" for place, clip in enumerate(CLIPS))]
    path = _csv(tmp_path, *lines)
    expected = read_features(path, task)
    path.write_text(path.read_text().replace(",", separator))
    np.testing.assert_array_equal(read_features(path, task), expected)


def test_headers_and_endings_in_another_case(tmp_path: Path, task: Task) -> None:
    expected = read_features(_csv(tmp_path, _header(True), *_lines(True)), task)
    table = pl.read_csv(tmp_path / "features.csv").rename({"time": "Time"})
    table.rename({"clip_id": "CLIP_ID"}).write_csv(tmp_path / "FEATURES.CSV")
    np.testing.assert_array_equal(read_features(tmp_path / "FEATURES.CSV", task), expected)
    table.rename({"Time": "time"}).write_parquet(tmp_path / "F.PARQUET")
    np.testing.assert_array_equal(read_features(tmp_path / "F.PARQUET", task), expected)
    assert parts_of("file:a+b.CSV+mfcc") == ("file:a+b.CSV", "mfcc")


def test_parquet_of_lists(tmp_path: Path, task: Task) -> None:
    frame = pl.DataFrame({"clip_id": list(CLIPS), "features": [[1.0, 2.0]] * 3})
    _refused(_parquet(tmp_path, frame), task, "features", "expected numbers")


def test_parquet_of_booleans(tmp_path: Path, task: Task) -> None:
    frame = pl.DataFrame({"clip_id": list(CLIPS), "loud": [True, False, True]})
    _refused(_parquet(tmp_path, frame), task, "loud", "expected numbers")


def test_a_row_without_a_clip(tmp_path: Path, task: Task) -> None:
    frame = pl.DataFrame({"clip_id": [*CLIPS, None], "a": [1.0, 2.0, 3.0, 4.0]})
    _refused(_parquet(tmp_path, frame), task, "line 4", "clip_id")


@pytest.mark.parametrize("time", ["nan", "inf"])
def test_a_time_that_is_not_finite(tmp_path: Path, task: Task, time: str) -> None:
    _refused(_csv(tmp_path, _header(True), *_lines(True), f"7,{time},1,2,3"), task, "line 11", time)


def test_blank_lines_do_not_shift_the_line_number(tmp_path: Path, task: Task) -> None:
    lines = _lines(False)
    _refused(_csv(tmp_path, _header(False), lines[0], "", "7,1.0,x,2.0", lines[2]), task, "line 4", "'x'")


def test_underscores_are_not_part_of_a_number(tmp_path: Path, task: Task) -> None:
    lines = _lines(False)
    _refused(_csv(tmp_path, _header(False), lines[0], "7,1_0,2,2.0", lines[2]), task, "line 3", "1_0")
