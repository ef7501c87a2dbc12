"""Small files that declare many gigabytes are refused with one line, using little memory."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.io
from emobench.baselines.ent import read_segments
from emobench.benchmark.features import files as feature_files
from emobench.builders import labelled_dataset as labelled
from emobench.builders import segments
from emobench.builders.labelled_dataset import LabelledConfig
from emobench.builders.readers.mat_file import MAX_BYTES, read_mat
from emobench.errors import InputError
from emobench.runtime.files import sha256_file

from .builders.msd_files import ANALYSIS, SONGS, TRACKS, write_h5

_LIMIT = 4 * 2**30


def _command(*arguments: str) -> tuple[int, list[str], float]:
    """Run the command line with little address space; return exit status, error lines and peak memory in MB."""
    script = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv.pop(1)),) * 2)\n"
        "from emobench.cli.main import main\n"
        "try: main()\n"
        "finally:\n"
        "    from emobench.runtime.environment import peak_memory_mb\n"
        "    print('peak', peak_memory_mb())\n"
    )
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "COLUMNS": "1000"}
    call = [sys.executable, "-c", script, str(_LIMIT), *arguments]
    ran = subprocess.run(call, env=environment, capture_output=True, text=True, check=False)
    return ran.returncode, ran.stderr.splitlines(), float(ran.stdout.split("peak ")[-1])


# Parquet


def _parquet(path: Path, rows: int, **columns: Any) -> Path:
    """Write a table of equal rows, a million per row group."""
    group = min(rows, 1_000_000)
    places = pa.repeat(pa.scalar(0, pa.int32()), group)
    table = pa.table(
        {name: pa.DictionaryArray.from_arrays(places, pa.array([value])) for name, value in columns.items()}
    )
    with pq.ParquetWriter(path, table.schema, compression="zstd", store_schema=False) as writer:
        for _ in range(rows // group):
            writer.write_table(table)
    return path


@pytest.fixture(scope="module")
def dataset(make_corpus: Any, tmp_path_factory: pytest.TempPathFactory, pool: Executor) -> Path:
    out = tmp_path_factory.mktemp("data") / "tiny"
    labelled.build(make_corpus([1] * 9), out, name="tiny", version="1.0.0", config=LabelledConfig(), pool=pool)
    return out


@pytest.mark.slow
def test_a_feature_file_of_far_too_many_rows(dataset: Path, tmp_path: Path) -> None:
    path = _parquet(tmp_path / "bomb.parquet", 20_000_000, clip_id="c000", a=0.0)
    assert path.stat().st_size < 1e6
    out = ["--dataset", str(dataset), "--out", str(tmp_path / "results")]
    status, lines, peak = _command("run", "--features", f"file:{path}", *out)
    assert status == 2
    expected = "declares 20,000,000 rows; expected at most 1,000,000 for the dataset's 45 seconds."
    assert lines == [f"emobench: {path}: {expected}"]
    assert peak < 600
    with pytest.raises(InputError, match=r"declares 9,000,000 rows with 144,000,000 values in all; expected at most"):
        feature_files._table(_parquet(path, 9_000_000, clip_id="c000", **dict.fromkeys("abcdefghijklmno", 0.0)), 45)


def test_a_feature_file_of_too_many_columns_or_too_long_names(tmp_path: Path) -> None:
    path = tmp_path / "features.parquet"
    pl.DataFrame({"clip_id": ["c"], **{f"x{number}": [0.0] for number in range(17_000)}}).write_parquet(path)
    with pytest.raises(InputError, match=r"declares 17,001 columns; expected at most 16,384"):
        feature_files._table(path, 45)
    _parquet(path, 100_000, clip_id="c" * 1_000_000, a=0.0)
    assert path.stat().st_size < 1e5
    with pytest.raises(InputError, match=r"a clip_id of 1,000,000 bytes; expected at most 1000"):
        feature_files._table(path, 45)
    pl.DataFrame({"clip_id": ["c"], "x": [[0.0] * 1000]}).write_parquet(path)
    with pytest.raises(InputError, match=r"column x is List\(Float64\); expected numbers"):
        feature_files._table(path, 45)


def test_a_large_feature_file_is_read_where_the_task_is_large(tmp_path: Path) -> None:
    path = _parquet(tmp_path / "features.parquet", 2_000_000, clip_id="c", a=0.0)
    assert len(feature_files._table(path, 1_000_000).clips) == 2_000_000


@pytest.mark.parametrize("listed", [True, False])
def test_a_dataset_with_a_table_of_far_too_many_rows(dataset: Path, tmp_path: Path, listed: bool) -> None:
    folder, table = tmp_path / "tiny", "targets"
    for path in [file for file in dataset.rglob("*") if file.is_file()]:
        (folder / path.relative_to(dataset)).parent.mkdir(parents=True, exist_ok=True)
        (folder / path.relative_to(dataset)).write_bytes(path.read_bytes())
    path = folder / table / "train-00000.parquet"
    first = pl.read_parquet(path).row(0, named=True)
    _parquet(path, 17_000_000, **{name: value if value is not None else "" for name, value in first.items()})
    manifest = json.loads((folder / "manifest.json").read_text())
    entry = manifest["files"][f"{table}/train-00000.parquet"]
    rows = entry["rows"]
    entry["sha256"] = sha256_file(path)
    if listed:
        entry["rows"] = 17_000_000
    (folder / "manifest.json").write_text(json.dumps(manifest))
    message = r"17,000,000 rows with [\d,]* values in all; expected at most 134,217,728"
    with pytest.raises(InputError, match=message):
        labelled.load(folder)
    _parquet(path, 1_000_000, **{name: value if value is not None else "" for name, value in first.items()})
    entry["sha256"] = sha256_file(path)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(
        InputError, match=f"declares 1,000,000 rows, but the manifest lists {17_000_000 if listed else rows}"
    ):
        labelled.load(folder)


@pytest.mark.slow
def test_predictions_of_far_too_many_rows(dataset: Path, tmp_path: Path) -> None:
    out = ["--dataset", str(dataset), "--out", str(tmp_path / "results")]
    assert _command("run", "--features", "constant", *out)[0] == 0
    (path,) = (tmp_path / "results").rglob("constant-*.json")
    place = path.with_suffix(".predictions.parquet")
    columns = pl.read_parquet_schema(place)
    _parquet(place, 11_000_000, **{name: {"repeat": 0, "clip_id": "c000"}.get(name, 0.1) for name in columns})
    path.write_text(
        json.dumps(json.loads(path.read_text()) | {"files": {"predictions": sha256_file(place), "features": None}})
    )
    for command in (["leaderboard", "--format", "csv", "--results"], ["verify", "--all"]):
        more = ["--dataset", str(dataset)] if command[0] == "verify" else ["--out", str(tmp_path / "board.csv")]
        status, lines, peak = _command(*command, str(tmp_path / "results"), *more)
        assert (status, lines) == (1 if command[0] == "verify" else 0, [])
        assert peak < 700
    assert "declares 11,000,000 rows with 143,000,000 values in all" in (tmp_path / "board.csv").read_text()


def test_a_file_that_the_manifest_does_not_list(dataset: Path, tmp_path: Path) -> None:
    extra = dataset / "targets" / "train-00001.parquet"
    extra.write_bytes((dataset / "targets" / "train-00000.parquet").read_bytes())
    try:
        with pytest.raises(InputError, match=r"train-00001\.parquet: not in the manifest"):
            labelled.load(dataset)
    finally:
        extra.unlink()


def test_a_pre_training_dataset_with_lists_of_far_too_many_values(tmp_path: Path) -> None:
    (tmp_path / "rhythm").mkdir()
    path = tmp_path / "rhythm" / "train-00000.parquet"
    lists = pa.array([[0.0] * 10_000_000], pa.list_(pa.float32()))
    with pq.ParquetWriter(path, pa.schema({"features": lists.type}), compression="zstd") as writer:
        for _ in range(14):
            writer.write_table(pa.table({"features": lists}))
    manifest = {"schema": 1, "name": "tiny", "version": "1.0.0", "kind": "pretrain"}
    files = {"rhythm/train-00000.parquet": {"sha256": sha256_file(path), "rows": 14}}
    (tmp_path / "manifest.json").write_text(json.dumps({**manifest, "files": files}))
    with pytest.raises(InputError, match=r"14 rows with 140,000,000 values in all; expected at most 134,217,728"):
        segments.load_segments(tmp_path, "rhythm")


# MATLAB


def _element(kind: int, content: bytes) -> bytes:
    return struct.pack("<2I", kind, len(content)) + content + bytes(-len(content) % 8)


def _array(kind: int, shape: tuple[int, ...], content: bytes, name: bytes = b"msLiteTurk") -> bytes:
    flags = _element(6, struct.pack("<2I", kind, 0))
    return _element(14, flags + _element(5, struct.pack(f"<{len(shape)}i", *shape)) + _element(1, name) + content)


def _mat(path: Path, *elements: bytes) -> Path:
    path.write_bytes(b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H", 0x0100) + b"IM" + b"".join(elements))
    return path


def _compressed(declared: int, content: int) -> bytes:
    """Compress an array of zeros, with a declared and an actual number of bytes."""
    stream = zlib.compressobj(9)
    parts = [stream.compress(struct.pack("<2I", 14, declared))]
    parts += [stream.compress(bytes(2**20)) for _ in range(content >> 20)]
    packed = b"".join([*parts, stream.flush()])
    return struct.pack("<2I", 15, len(packed)) + packed


def test_a_mat_file_that_decompresses_to_gigabytes(tmp_path: Path) -> None:
    path = _mat(tmp_path / "bomb.mat", _compressed(2**30, 2**30))
    assert path.stat().st_size < 2e6
    status, lines, peak = _command("build-data", "moodswings", "--labels", str(path), "--out", str(tmp_path / "out"))
    assert status == 2
    assert len(lines) == 1
    assert f"{path}: not a MATLAB file (declares 1,073,741,832 bytes without compression; expected at most" in lines[0]
    assert peak < 600


def _nested(depth: int) -> bytes:
    inner = _array(1, (0, 0), b"", b"")
    for _ in range(depth):
        inner = _array(1, (1, 1), inner, b"")
    return inner


_VALUE = _array(9, (1, 1), _element(2, b"\1"), b"")
_WRONG_MATS: dict[str, tuple[bytes, str]] = {
    "lies about its size": (_compressed(64, 2**26), rf"declares 72 bytes.*at most {MAX_BYTES:,}"),
    "element larger than the file": (struct.pack("<2I", 14, 2**31), r"an element of 2,147,483,648 bytes; 0 follow"),
    "inner element larger than its array": (
        _array(6, (4, 1), struct.pack("<2I", 9, 2**31) + bytes(32)),
        r"an element of 2,147,483,648 bytes; 32 follow",
    ),
    "numbers that are not there": (_array(6, (2**30, 4), _element(9, bytes(8))), r"an array of 1073741824 x 4 in"),
    "cells that are not there": (_array(1, (100, 3), _VALUE * 3), r"an array of 100 x 3 in"),
    "structs that are not there": (
        _array(2, (9, 1), struct.pack("<2H", 5, 4) + struct.pack("<i", 8) + _element(1, b"a".ljust(8) * 40) + _VALUE),
        r"an array of 9 x 1 in",
    ),
    "negative": (_array(6, (-1, -1), _element(9, bytes(8))), r"an array of -1 x -1"),
    "sparse": (_array(5, (2**30, 2**30), _element(9, bytes(8))), "an array of class 5"),
    "deep": (_nested(2000), "levels deep"),
    "many": (_array(1, (200_000, 1), _element(14, b"") * 0 + _VALUE * 200_000), r"more than 100,000 arrays"),
    "compressed twice": (_element(15, zlib.compress(_compressed(64, 2**20)))[:-1], "compressed more than once|ends in"),
    "cut off": (b"\x0e\0\0\0", "ends in the middle"),
}


@pytest.mark.parametrize("case", _WRONG_MATS)
def test_mat_files_that_declare_more_than_they_contain(tmp_path: Path, case: str) -> None:
    content, message = _WRONG_MATS[case]
    with pytest.raises(ValueError, match=message):
        read_mat(_mat(tmp_path / "wrong.mat", content))


@pytest.mark.parametrize("packed", [True, False])
def test_valid_mat_files_are_read_as_by_scipy(tmp_path: Path, packed: bool) -> None:
    cells = np.empty((1, 3), object)
    cells[0] = [np.arange(5, dtype=np.uint8), np.zeros((0, 0)), np.array(["text"])]
    content = {"a": {"one": cells, "two": np.eye(3), "three": 1 + 2j}, "b": np.arange(7.0), "c": ["ab", "cd"]}
    scipy.io.savemat(tmp_path / "sound.mat", content, do_compression=packed)
    expected, found = scipy.io.loadmat(tmp_path / "sound.mat"), read_mat(tmp_path / "sound.mat")
    assert repr(found) == repr(expected)


# HDF5


def _huge(path: Path) -> Path:
    """Write a track file whose table declares a billion rows but stores none."""
    with h5py.File(path, "w") as file:
        file.create_dataset("metadata/songs", (10**9,), SONGS, chunks=(16,), compression="gzip")
        file.create_dataset("analysis/songs", (10**9,), ANALYSIS, chunks=(16,), compression="gzip")
    return path


def test_a_survey_names_the_files_that_declare_too_much(tmp_path: Path) -> None:
    folder = tmp_path / "msd"
    for track in TRACKS[:3]:
        write_h5(folder / f"{track[0]}.h5", [track])
    _huge(folder / "TRZZZZZ128F9318786.h5")
    _huge(folder / "TRZZZZY128F9318786.h5")
    call = ["build-data", "msd", "--metadata", str(folder), "--clips", str(folder), "--dry-run"]
    status, lines, peak = _command(*call, "--out", str(tmp_path / "out"))
    assert status == 2
    assert ".h5 files that are damaged or not from the Million Song Dataset" in lines[-1]
    for name in ("TRZZZZY128F9318786", "TRZZZZZ128F9318786"):
        declared = r"/metadata/songs declares 1,000,000,000 rows of 3,108 bytes; expected at most 10,000 of 8,192"
        assert f"{name}.h5: {declared}" in lines[-1]
    assert peak < 600


def _link(file: h5py.File, link: Any) -> None:
    del file["analysis/segments_start"]
    file["analysis/segments_start"] = link


def _replace(file: h5py.File, **settings: Any) -> None:
    del file["analysis/segments_start"]
    file.create_dataset("analysis/segments_start", **settings)


def _overstuffed(file: h5py.File) -> None:
    """Write a chunk that declares 64 bytes but stores far more."""
    _replace(file, shape=(8,), dtype="f8", chunks=(8,), compression="gzip")
    packed = zlib.compress(os.urandom(2**17))
    file["analysis/segments_start"].id.write_direct_chunk((0,), packed)  # pyright: ignore[reportAttributeAccessIssue]


_WRONG_H5: dict[str, tuple[Callable[[h5py.File], None], str]] = {
    "rows": (lambda file: _replace(file, shape=(10**9,), dtype="f8", chunks=(64,)), "declares 1,000,000,000 rows of 8"),
    "columns": (
        lambda file: _replace(file, shape=(8, 10**8), dtype="f8", chunks=(1, 64)),
        "declares 8 rows of 800,000,000",
    ),
    "chunks": (
        lambda file: _replace(file, shape=(8,), maxshape=(None,), dtype="f8", chunks=(2**25,)),
        "declares chunks of 268,435,456 bytes; expected at most 67,108,864",
    ),
    "stored": (_overstuffed, r"stores 131,\d\d\d bytes for the 64 that it declares"),
    "soft link": (lambda file: _link(file, h5py.SoftLink("/analysis/segments_timbre")), "is a link; expected"),
    "other file": (lambda file: _link(file, h5py.ExternalLink("/etc/passwd", "/")), "is a link; expected"),
    "external": (
        lambda file: _replace(file, shape=(8,), dtype="f8", external=[("/etc/passwd", 0, 64)]),
        "has its values in other files",
    ),
    "texts": (
        lambda file: _replace(file, data=["x"] * 8, dtype=h5py.string_dtype()),
        "has values of variable length",
    ),
    "group": (lambda file: (_link(file, h5py.SoftLink("/")), file.move("analysis", "other"))[0], "no dataset"),
}


@pytest.mark.parametrize("case", _WRONG_H5)
def test_track_files_that_declare_too_much_or_lead_elsewhere(tmp_path: Path, case: str) -> None:
    path = tmp_path / "song.h5"
    with h5py.File(path, "w") as file:
        file["analysis/segments_start"] = np.arange(8.0)
        file["analysis/segments_timbre"] = np.zeros((8, 12))
    change, message = _WRONG_H5[case]
    assert len(read_segments(path).starts) == 8
    with h5py.File(path, "a") as file:
        change(file)
    with pytest.raises(InputError, match=message) as caught:
        read_segments(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_virtual_dataset(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "source.h5", "w") as file:
        file["x"] = np.arange(8.0)
    with h5py.File(tmp_path / "song.h5", "w") as file:
        layout = h5py.VirtualLayout(shape=(8,), dtype="f8")
        layout[:] = h5py.VirtualSource(tmp_path / "source.h5", "x", shape=(8,))
        file.create_virtual_dataset("analysis/segments_start", layout)
        file["analysis/segments_timbre"] = np.zeros((8, 12))
    with pytest.raises(InputError, match="has its values in other files"):
        read_segments(tmp_path / "song.h5")
