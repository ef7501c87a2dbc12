"""MoodSwings Turk: the published file, a small file of the same format, and invalid files."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import scipy.io
import soundfile
from emobench.builders import labelled_dataset as labelled
from emobench.builders.labelled_dataset import LabelledConfig
from emobench.builders.readers import moodswings
from emobench.errors import InputError

Cells = dict[str, list[Any]]


def _cells(n_clips: int = 6, workers: int = 4) -> Cells:
    generator = np.random.default_rng(0)
    cells: Cells = {name: [] for name in (*moodswings.FIELDS, "round")}
    for clip in range(n_clips):
        length = 15 * workers
        cells["artist"].append(f"artist_{clip}")
        cells["album"].append(f"Album_{clip}")
        cells["song"].append(f"0{clip + 1}-Some_Song_{clip}")
        cells["songid"].append(np.array([[100 + clip]], np.uint16))
        cells["userid"].append(np.repeat(np.arange(workers), 15).astype(np.int32)[:, None])
        cells["round"].append(np.full((length, 1), 7, np.uint8))
        cells["time"].append(np.tile(np.arange(40, 55), workers).astype(np.uint8)[:, None])
        cells["valence"].append(generator.integers(-200, 201, (length, 1)).astype(np.int16))
        cells["arousal"].append(generator.integers(0, 201, (length, 1)).astype(np.uint8))
    return cells


def _write(path: Path, cells: Cells, name: str = "msLiteTurk") -> Path:
    def row(values: list[Any]) -> np.ndarray:
        out = np.empty((1, len(values)), dtype=object)
        for place, value in enumerate(values):
            out[0, place] = value
        return out

    scipy.io.savemat(path, {name: {field: row(values) for field, values in cells.items()}})
    return path


@pytest.fixture
def mat(tmp_path: Path) -> Callable[[Cells], Path]:
    return lambda cells: _write(tmp_path / "labels.mat", cells)


def test_small_file(mat: Callable[[Cells], Path]) -> None:
    cells = _cells()
    corpus = moodswings.load(mat(cells))
    assert corpus.clips["clip_id"].to_list() == [str(number) for number in range(100, 106)]
    assert corpus.clips["start"].to_list() == [39.0] * 6
    assert len(corpus.annotations) == 6 * 4 * 15
    row = corpus.annotations.filter(pl.col("clip_id") == "102").row(17, named=True)
    assert (row["trace"], row["annotator_id"], row["time"]) == (1, "1", 3.0)
    # Stored unsigned: must not wrap around when it is divided.
    assert row["arousal"] == int(cells["arousal"][2][17, 0]) / 400
    assert row["valence"] == int(cells["valence"][2][17, 0]) / 400


def test_published_file(real_data: Path, tmp_path: Path, pool: Executor) -> None:
    path = real_data / "moodswings_turk" / "msLiteTurk.mat"
    corpus = moodswings.load(path)
    out = tmp_path / "moodswings"
    labelled.build(corpus, out, name="moodswings", version="1.0.0", config=LabelledConfig(), pool=pool)
    dataset = labelled.load(out)
    assert dataset.manifest.counts == {
        "clips": 240,
        "excluded": 0,
        "traces": 4064,
        "annotations": 60960,
        "targets": 3600,
        "beats": 0,
        "albums": 199,
        "repeats": 5,
    }
    assert dataset.clips["n_annotators"].sum() == 4064
    struct = scipy.io.loadmat(path)["msLiteTurk"][0, 0]
    found = {
        (row[0], row[1]): np.array(row[2:])
        for row in dataset.targets.select(
            "clip_id", "time", "arousal", "valence", "arousal_var", "valence_var", "covariance"
        ).iter_rows()
    }
    for clip in range(240):
        song = str(int(struct["songid"][0, clip].item()))
        traces = [struct[axis][0, clip].astype(float).reshape(-1, 15) / 400 for axis in ("arousal", "valence")]
        for second in range(15):
            points = np.array([axis[:, second] for axis in traces])
            covariance = np.cov(points, ddof=1)
            expected = [*points.mean(axis=1), covariance[0, 0], covariance[1, 1], covariance[0, 1]]
            assert found[song, second + 1.0] == pytest.approx(expected, abs=1e-12)


def _song(path: Path, seconds: float, rate: int = 8000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    time = np.arange(int(seconds * rate)) / rate
    clicks = (np.sin(2 * np.pi * 440 * time) * np.exp(-30 * (time % 0.5))).astype(np.float32)
    soundfile.write(path, clicks, rate)


def test_audio_by_song_id_and_by_names(mat: Callable[[Cells], Path], tmp_path: Path, pool: Executor) -> None:
    music = tmp_path / "music"
    _song(music / "100.wav", 15.2)
    _song(music / "Artist 1" / "album_1" / "02 Some Song 1.wav", 60)
    _song(music / "artist_2 - Album 2 - 03-some song 2.wav", 60)
    _song(music / "ARTIST_3" / "Some song 3.wav", 15)
    corpus = moodswings.load(mat(_cells()), music)
    assert corpus.clips["audio"].to_list()[:4] == [
        "100.wav",
        "Artist 1/album_1/02 Some Song 1.wav",
        "artist_2 - Album 2 - 03-some song 2.wav",
        "ARTIST_3/Some song 3.wav",
    ]
    assert corpus.problems == {"104": "missing", "105": "missing"}
    out = tmp_path / "dataset"
    labelled.build(corpus, out, name="x", version="1.0.0", config=LabelledConfig(), pool=pool)
    dataset = labelled.load(out)
    starts = {item.clip_id: item.start for item in dataset.sources(music)}
    assert starts == {"100": 0.0, "101": 39.0, "102": 39.0, "103": 0.0}
    assert dataset.manifest.excluded == {"104": "missing", "105": "missing"}
    assert set(dataset.folds["clip_id"]) == {"100", "101", "102", "103"}
    beats = dataset.beats.filter(pl.col("clip_id") == "101")
    assert np.diff(beats["time"]) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(("kind", "start"), [("clips", 0.0), ("songs", 39.0)])
def test_kind_of_audio_can_be_forced(
    mat: Callable[[Cells], Path], tmp_path: Path, kind: str, start: float, pool: Executor
) -> None:
    for number in range(100, 106):
        _song(tmp_path / "music" / f"{number}.wav", 56)
    corpus = moodswings.load(mat(_cells()), tmp_path / "music", audio_kind=kind)
    labelled.build(corpus, tmp_path / "out", name="x", version="1.0.0", config=LabelledConfig(), pool=pool)
    dataset = labelled.load(tmp_path / "out")
    assert {item.start for item in dataset.sources(tmp_path / "music")} == {start}


def test_audio_that_cannot_be_used_excludes_the_clip(
    mat: Callable[[Cells], Path], tmp_path: Path, pool: Executor
) -> None:
    music = tmp_path / "music"
    _song(music / "100.wav", 15)
    _song(music / "101.wav", 15)
    _song(music / "102.wav", 15)
    (music / "103.wav").write_text("no audio at all")
    soundfile.write(music / "104.wav", np.zeros(15 * 8000), 8000)
    _song(music / "105.wav", 9)
    corpus = moodswings.load(mat(_cells()), music)
    out = tmp_path / "out"
    labelled.build(corpus, out, name="x", version="1.0.0", config=LabelledConfig(), pool=pool)
    assert labelled.load(out).manifest.excluded == {"103": "undecodable", "104": "silent", "105": "too_short"}
    assert "| `silent` | 104 |" in (out / "README.md").read_text()


def test_too_few_beats_excludes_the_clip(mat: Callable[[Cells], Path], tmp_path: Path, pool: Executor) -> None:
    music = tmp_path / "music"
    for number in range(100, 105):
        _song(music / f"{number}.wav", 15)
    rate = 8000
    lonely = np.zeros(15 * rate, np.float32)
    lonely[7 * rate : 7 * rate + 400] = np.hanning(400) * np.sin(np.arange(400))
    soundfile.write(music / "105.wav", lonely, rate)
    corpus = moodswings.load(mat(_cells()), music)
    config = LabelledConfig(min_beats=25)
    labelled.build(corpus, tmp_path / "out", name="x", version="1.0.0", config=config, pool=pool)
    dataset = labelled.load(tmp_path / "out")
    assert dataset.manifest.excluded == {"105": "too_few_beats"}
    assert "105" not in set(dataset.folds["clip_id"])


def test_wrong_audio_folders(mat: Callable[[Cells], Path], tmp_path: Path) -> None:
    path = mat(_cells())
    with pytest.raises(InputError, match="no such folder"):
        moodswings.load(path, tmp_path / "nowhere")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match="contains no audio"):
        moodswings.load(path, empty)
    _song(empty / "unknown.wav", 15)
    with pytest.raises(InputError, match="none of its audio files matches a clip"):
        moodswings.load(path, empty)
    _song(empty / "100.wav", 15)
    _song(empty / "again" / "100.flac", 15)
    with pytest.raises(InputError, match=r"2 files match clip 100: .*100\.wav"):
        moodswings.load(path, empty)


def _without(cells: Cells, field: str) -> Cells:
    return {name: values for name, values in cells.items() if name != field}


def _changed(field: str, change: Callable[[Any], Any], clip: int = 2) -> Cells:
    cells = _cells()
    cells[field][clip] = change(cells[field][clip])
    return cells


def _beyond(values: np.ndarray) -> np.ndarray:
    values = values.astype(np.int16)
    values[20, 0] = 201
    return values


WRONG = {
    "lacks the field arousal": _without(_cells(), "arousal"),
    r"clip 3 \(song 102\): 59 rows; expected whole traces of 15": {
        name: [
            value[:-1] if clip == 2 and np.ndim(value) == 2 and len(value) > 1 else value
            for clip, value in enumerate(values)
        ]
        for name, values in _cells().items()
    },
    r"clip 3 \(song 102\): the fields differ in length": _changed("valence", lambda values: values[:-15]),
    r"clip 3 \(song 102\), trace 2, second 45: valence 201; expected a number from -200 to 200": _changed(
        "valence", _beyond
    ),
    r"arousal nan; expected": _changed("arousal", lambda values: np.where(values == values[0], np.nan, values)),
    "clip 4: duplicate song id 102": _changed("songid", lambda _: np.array([[102]], np.uint16), clip=3),
    "expected 15 consecutive seconds": _changed("time", lambda values: values * 2),
    "trace 1: expected 15 rows of one worker": _changed("userid", lambda values: np.roll(values, 1)),
    "contains no clips": {name: [] for name in _cells()},
    "the fields differ in their number of clips": {**_cells(), "song": ["one"]},
}


@pytest.mark.parametrize("message", list(WRONG))
def test_wrong_files(mat: Callable[[Cells], Path], message: str) -> None:
    with pytest.raises(InputError, match=message):
        moodswings.load(mat(WRONG[message]))


def test_other_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        moodswings.load(tmp_path / "none.mat")
    text = tmp_path / "text.mat"
    text.write_text("clip_id,arousal\n1,2\n")
    with pytest.raises(InputError, match="not a MATLAB file"):
        moodswings.load(text)
    with pytest.raises(InputError, match="has no variable 'msLiteTurk'"):
        moodswings.load(_write(tmp_path / "other.mat", _cells(), "other"))
    scipy.io.savemat(tmp_path / "flat.mat", {"msLiteTurk": np.zeros((2, 2))})
    with pytest.raises(InputError, match="is not a 1x1 struct"):
        moodswings.load(tmp_path / "flat.mat")
    whole = _write(tmp_path / "whole.mat", _cells()).read_bytes()
    (tmp_path / "cut.mat").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="not a MATLAB file"):
        moodswings.load(tmp_path / "cut.mat")
