"""Folders of audio files for pre-training: names, parts of files, verdicts, and wrong folders."""

from __future__ import annotations

import errno
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
import soundfile
from emobench.builders.build import build_dataset, survey
from emobench.builders.segments import load_segments
from emobench.builders.synthesis import render_excerpt
from emobench.cli.main import app
from emobench.errors import InputError
from typer.testing import CliRunner

RATE = 22050
SECONDS = 20


@pytest.fixture(scope="module")
def music() -> npt.NDArray[np.float32]:
    """Twenty seconds of music at the rate of the analysis, as 16-bit files have it."""
    samples = render_excerpt(tempo=120, style="rock", drums=True, duration=SECONDS, seed=1).audio
    return np.asarray(np.round(samples * 32767) / 32768, np.float32)


def _write(path: Path, samples: npt.NDArray, rate: int = RATE, **settings: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, **settings)


@pytest.fixture
def folder(tmp_path: Path, music: npt.NDArray[np.float32]) -> Path:
    place = tmp_path / "music"
    _write(place / "Band/Album/01 One.flac", music)
    _write(place / "Band/Album/01 One.wav", music / 2)
    _write(place / "Band/Two.OGG", music, format="OGG")
    _write(place / "three.mp3", np.stack([music, music], axis=1), 44100, bitrate_mode="CONSTANT", compression_level=0.4)
    _write(place / "short.wav", music[: 4 * RATE])
    _write(place / "silent.flac", np.zeros(SECONDS * RATE, np.float32))
    (place / "broken.mp3").write_bytes(b"ID3 not audio")
    (place / "empty.wav").touch()
    (place / "gone.flac").symlink_to("nowhere.flac")
    (place / "linked").symlink_to(place / "Band/Album")  # the same folder, which is searched only once
    (place / "cover.jpg").touch()
    return place


def _clips(folder: Path) -> dict[str, dict[str, Any]]:
    rows = pl.read_parquet(folder / "clips/*.parquet").iter_rows(named=True)
    return {row["track_id"]: row for row in rows}


def test_builds_a_dataset(folder: Path, tmp_path: Path, pool: Executor) -> None:
    options: dict[str, Any] = {"folder": folder, "max_duration": 12, "min_duration": 5, "min_bit_rate": 32_000}
    [built] = build_dataset("audio", **options, out=tmp_path / "a", pool=pool)
    clips = _clips(built.folder)
    assert list(clips) == sorted(clips)
    assert {name: clip["rejected"] for name, clip in clips.items()} == {
        "Band/Album/01 One.flac": None,
        "Band/Album/01 One.wav": None,
        "Band/Two.OGG": None,
        "three.mp3": None,
        "short.wav": "too_short",
        "silent.flac": "silent",
        "broken.mp3": "undecodable",
        "empty.wav": "undecodable",
        "gone.flac": "missing",
    }
    names = {name: tuple(clip[key] for key in ("artist", "album", "title")) for name, clip in clips.items()}
    assert names["Band/Album/01 One.flac"] == ("Band", "Album", "01 One")
    assert names["Band/Two.OGG"] == ("", "Band", "Two")
    assert names["three.mp3"] == ("", "", "three")
    assert clips["Band/Album/01 One.flac"]["duration"] == 12
    # Written at twice the sample rate, so it is half as long.
    assert clips["three.mp3"]["duration"] == pytest.approx(SECONDS / 2, abs=0.1)
    assert built.manifest.config.source == {"max_duration": 12.0, "start": None}
    segments = load_segments(built.folder, "rhythm")
    assert segments.lengths == [clip["n_beats"] for clip in clips.values() if clip["kept"]]
    moved: dict[str, Any] = options | {"folder": folder.rename(tmp_path / "elsewhere")}
    [again] = build_dataset("audio", **moved, out=tmp_path / "b" / "a", pool=pool)
    assert again.manifest.plain() == built.manifest.plain()
    [other] = build_dataset("audio", **moved, out=tmp_path / "a", pool=pool)
    assert not other.fresh
    with pytest.raises(InputError, match=r"exists with other content"):
        build_dataset("audio", **moved, start=0, out=tmp_path / "a", pool=pool)


@pytest.mark.parametrize(("start", "first"), [(None, 6), (3, 3), (15, 15)])
def test_a_clip_is_a_part_of_a_file(
    start: float | None, first: int, tmp_path: Path, music: npt.NDArray[np.float32], pool: Executor
) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    _write(whole / "a.flac", music)
    _write(cut / "a.flac", music[first * RATE : (first + 8) * RATE])
    options: dict[str, Any] = {"max_duration": 8, "min_duration": 1, "min_bit_rate": 0}
    build_dataset("audio", folder=whole, start=start, **options, out=tmp_path / "a", pool=pool)
    build_dataset("audio", folder=cut, start=0, **options, out=tmp_path / "b", pool=pool)
    found, expected = (_clips(tmp_path / name)["a.flac"] for name in "ab")
    assert found["duration"] == expected["duration"] == min(8, SECONDS - first)
    assert found["n_beats"] == expected["n_beats"] > 4
    for table in ("rhythm", "pitch", "texture"):
        [values], [wanted] = (list(load_segments(tmp_path / name, table)) for name in "ab")
        np.testing.assert_array_equal(values, wanted)


def test_an_mp3_that_ends_early_is_truncated(tmp_path: Path, music: npt.NDArray[np.float32], pool: Executor) -> None:
    _write(tmp_path / "music/good.mp3", music, bitrate_mode="CONSTANT", compression_level=0.4)
    content = (tmp_path / "music/good.mp3").read_bytes()
    (tmp_path / "music/cut.mp3").write_bytes(content[: len(content) // 2])
    options: dict[str, Any] = {"max_duration": 15, "min_duration": 5, "min_bit_rate": 0}
    build_dataset("audio", folder=tmp_path / "music", **options, out=tmp_path / "a", pool=pool)
    clips = _clips(tmp_path / "a")
    assert clips["good.mp3"]["rejected"] is None
    assert clips["good.mp3"]["duration"] == 15
    assert clips["cut.mp3"]["rejected"] == "truncated"


def test_draws_a_sample(tmp_path: Path, music: npt.NDArray[np.float32], pool: Executor) -> None:
    for number in range(5):
        _write(tmp_path / f"music/{number}.flac", music[: 8 * RATE] * (1 - number / 10))
    options: dict[str, Any] = {"folder": tmp_path / "music", "max_duration": 8, "min_duration": 1, "sample": 2}
    [built] = build_dataset("audio", **options, out=tmp_path / "a", pool=pool)
    assert built.manifest.counts["kept"] == 2
    assert built.manifest.counts["not examined"] == 5 - len(_clips(tmp_path / "a"))


def test_real_music(real_data: Path, tmp_path: Path, pool: Executor) -> None:
    options: dict[str, Any] = {"max_duration": 20, "min_duration": 10, "min_bit_rate": 96_000}
    build_dataset("audio", folder=real_data / "audio", **options, out=tmp_path / "a", pool=pool)
    clips = _clips(tmp_path / "a")
    assert len(clips) == len([*(real_data / "audio").glob("*.ogg"), *(real_data / "audio").glob("*.mp3")])
    assert {name: clip["rejected"] for name, clip in clips.items() if not clip["kept"]} == {
        "sorohanro_-_solo-trumpet-06.hq.ogg": "too_short"
    }
    assert all(clip["duration"] == 20 for clip in clips.values() if clip["kept"])


def test_wrong_folders(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "cover.jpg").touch()
    (folder / "short.wav").write_text("version https://git-lfs.github.com/spec/v1\noid\n", encoding="utf-8")
    for place, message in (
        (tmp_path / "nowhere", "nowhere: no such folder; expected a folder with audio files"),
        (folder / "three.mp3", "three.mp3: no such folder"),
        (tmp_path / "empty", r"empty: contains no audio files; expected files that end with \.flac, .* or \.mp3"),
        (folder, r"1 file is a Git LFS pointer instead of audio, such as short\.wav; run 'git lfs pull'"),
    ):
        with pytest.raises(InputError, match=message):
            survey("audio", folder=place, out=tmp_path / "a")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--max-duration", 0), "--max-duration 0: expected 1 to 3600 seconds"),
        (("--max-duration", 20), "--max-duration 20: shorter than --min-duration 30, so every clip would be rejected"),
        (("--start", -1), "--start -1: expected a number of seconds of at least 0, such as 30"),
        (("--start", "nan"), "--start nan: expected a number of seconds"),
        (("--sample", -1), "--sample -1: expected a number of clips"),
        (("--silence-db", 3), "--silence-db 3: expected decibels"),
    ],
)
def test_wrong_options(arguments: tuple[object, ...], message: str, tmp_path: Path) -> None:
    ran = CliRunner().invoke(
        app, ["build-data", "audio", "--folder", str(tmp_path), *map(str, arguments)], env={"COLUMNS": "200"}
    )
    assert ran.exit_code == 2
    assert message in ran.output
    assert "Traceback" not in ran.output


def test_a_file_without_permission_is_named(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Path.open

    def refused(path: Path, *arguments: Any, **settings: Any) -> Any:
        if path.name == "short.wav":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opened(path, *arguments, **settings)

    monkeypatch.setattr(Path, "open", refused)
    ran = CliRunner().invoke(
        app,
        ["build-data", "audio", "--folder", str(folder), "--out", str(tmp_path / "a"), "--dry-run"],
        env={"COLUMNS": "200"},
    )
    assert ran.exit_code == 1
    assert f"{folder / 'short.wav'}: Permission denied" in ran.output
    assert "Traceback" not in ran.output
