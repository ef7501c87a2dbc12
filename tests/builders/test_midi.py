"""Folders of MIDI files for pre-training: names, verdicts on broken and silent files, and wrong folders."""

from __future__ import annotations

from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from emobench.builders.build import build_dataset, survey
from emobench.cli.main import app
from emobench.errors import InputError
from typer.testing import CliRunner

from .midi_files import note, tune, write_midi


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "songs"
    tune(place / "Band/Album/One.mid", 30)
    tune(place / "Band/Album/Two.MIDI", 30, pitch=48)
    tune(place / "Band/short.mid", 4)
    write_midi(place / "silent.mid", [*note(0, velocity=1), *note(30_000, velocity=1)])
    (place / "broken.mid").write_bytes(b"MThd\x00\x00")
    (place / "text.mid").write_text("not MIDI", encoding="utf-8")
    (place / "notes.txt").touch()
    return place


def _clips(folder: Path) -> pl.DataFrame:
    return pl.read_parquet(folder / "clips/*.parquet")


def test_builds_a_dataset(folder: Path, tmp_path: Path, pool: Executor) -> None:
    options: dict[str, Any] = {"folder": folder, "max_duration": 12, "min_duration": 5}
    [built] = build_dataset("midi", **options, out=tmp_path / "a", pool=pool)
    clips = {clip["track_id"]: clip for clip in _clips(built.folder).iter_rows(named=True)}
    one = clips["Band/Album/One.mid"]
    assert (one["artist"], one["album"], one["title"], one["audio"]) == (
        "Band",
        "Album",
        "One",
        "Band/Album/One.mid.flac",
    )
    assert (one["sample_rate"], one["channels"], one["duration"]) == (48_000, 1, 12.0)
    assert {name: clip["rejected"] for name, clip in clips.items()} == {
        "Band/Album/One.mid": None,
        "Band/Album/Two.MIDI": None,
        "Band/short.mid": "too_short",
        "broken.mid": "undecodable",
        "silent.mid": "silent",
        "text.mid": "undecodable",
    }
    assert (clips["Band/short.mid"]["artist"], clips["Band/short.mid"]["album"]) == ("", "Band")
    assert (clips["text.mid"]["artist"], clips["text.mid"]["album"]) == ("", "")
    assert built.manifest.config.source["rendering"]["soundfont"] == "TimGM6mb.sf2"
    moved: dict[str, Any] = options | {"folder": folder.rename(tmp_path / "elsewhere")}
    [again] = build_dataset("midi", **moved, out=tmp_path / "b" / "a", pool=pool)
    assert again.manifest.plain() == built.manifest.plain()
    [other] = build_dataset("midi", **moved, out=tmp_path / "a", pool=pool)
    assert not other.fresh


def test_another_content_is_another_dataset(folder: Path, tmp_path: Path, pool: Executor) -> None:
    options: dict[str, Any] = {"folder": folder, "max_duration": 6, "min_duration": 5}
    build_dataset("midi", **options, out=tmp_path / "a", pool=pool)
    tune(folder / "Band/Album/One.mid", 30, pitch=40)
    with pytest.raises(InputError, match=r"exists with other content \(different source\)"):
        build_dataset("midi", **options, out=tmp_path / "a", pool=pool)


def test_wrong_folders(folder: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    (folder / "Band/short.mid").write_text("version https://git-lfs.github.com/spec/v1\noid\n", encoding="utf-8")
    for place, message in (
        (tmp_path / "nowhere", "nowhere: no such folder; expected a folder with MIDI files"),
        (empty, r"empty: contains no MIDI files; expected files that end with \.mid or \.midi"),
        (folder, r"1 file is a Git LFS pointer instead of MIDI, such as Band/short\.mid; run 'git lfs pull'"),
    ):
        with pytest.raises(InputError, match=message):
            survey("midi", folder=place, out=tmp_path / "a")
    ran = CliRunner().invoke(app, ["build-data", "midi", "--folder", str(folder), "--max-duration", "0"])
    assert ran.exit_code == 2
    assert "--max-duration 0: expected 1 to 3600 seconds" in ran.output
