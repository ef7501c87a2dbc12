"""``build-data msd --download``: from metadata and a server to a dataset."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import soundfile
from emobench.builders.release import load_manifest
from emobench.builders.synthesis import STYLES, render_excerpt
from emobench.cli.main import app
from typer.testing import CliRunner

from .msd_files import TRACKS, write_database
from .preview_server import KEY, SECRET, PreviewServer

FIRST, SECOND, THIRD, NONE = (track[0] for track in TRACKS)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PreviewServer]:
    path = tmp_path_factory.mktemp("clip") / "clip.mp3"
    sound = render_excerpt(tempo=110, style=min(STYLES), drums=True, duration=31, seed=0, sample_rate=44_100).audio
    options = {"bitrate_mode": "CONSTANT", "compression_level": 2 / 3}
    soundfile.write(path, sound, 44_100, format="MP3", subtype="MPEG_LAYER_III", **options)
    made = PreviewServer(path.read_bytes())
    yield made
    made.close()


def _run(folder: Path, server: PreviewServer, *arguments: str, keys: bool = True) -> Any:
    if not (folder / "t.db").exists():
        write_database(folder / "t.db")
    environment = {"SEVENDIGITAL_KEY": KEY, "SEVENDIGITAL_SECRET": SECRET} if keys else {}
    given = [
        "--metadata",
        folder / "t.db",
        "--download",
        "--clip-url",
        f"{server.url}/clip",
        "--out",
        folder / "data" / "msd",
    ]
    call = ["build-data", "msd", *map(str, given), "--workers", "1", *arguments]
    return CliRunner().invoke(app, call, env=environment)


def test_from_nothing_to_a_dataset(tmp_path: Path, server: PreviewServer) -> None:
    server.requests.clear()
    server.behave = {str(TRACKS[1][1]): ["404"], str(TRACKS[2][1]): ["400"]}
    survey = _run(tmp_path, server, "--dry-run", keys=False)
    assert survey.exit_code == 0, survey.output
    assert "3 clips to download at most" in survey.output
    assert not server.requests
    assert not (tmp_path / "data").exists()
    # A failed download leaves no dataset, and keeps the clips.
    broken = _run(tmp_path, server)
    assert broken.exit_code == 1
    assert "1 of 3 clips could not be downloaded (1 × HTTP status 400; 3400270)" in broken.output
    assert "downloading 3 clips, which takes less than a day" in broken.output
    assert not (tmp_path / "data" / "msd").exists()
    assert (tmp_path / "data" / "msd-clips" / "5/5/5504670.clip.mp3").is_file()
    server.behave = {}
    done = _run(tmp_path, server)
    assert done.exit_code == 0, done.output
    assert server.asked("5504670") == 1
    assert server.asked("2168257") == 1
    clips = pl.read_parquet(tmp_path / "data" / "msd" / "clips" / "*.parquet").sort("track_id")
    assert dict(clips.select("track_id", "rejected").iter_rows()) == {
        FIRST: None,
        SECOND: "missing",
        THIRD: None,
        NONE: "missing",
    }
    assert clips["audio"].to_list() == ["5/5/5504670.clip.mp3", None, "3/4/3400270.clip.mp3", None]
    assert load_manifest(tmp_path / "data" / "msd").counts["kept"] == 2
    for path in (tmp_path / "data").rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes()
    # With all clips there, nothing is requested, and no keys are needed.
    before = len(server.requests)
    again = _run(tmp_path, server, keys=False)
    assert again.exit_code == 0, again.output
    assert "up to date" in again.output
    assert len(server.requests) == before


def test_a_sample_downloads_only_the_clips_it_needs(
    tmp_path: Path, server: PreviewServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.requests.clear()
    server.behave = {}
    monkeypatch.setattr("emobench.builders.pretraining._LEAST", 1)
    done = _run(tmp_path, server, "--sample", "1", "--seed", "3")
    assert done.exit_code == 0, done.output
    assert load_manifest(tmp_path / "data" / "msd").counts["kept"] == 1
    assert len(server.requests) <= 2


def test_no_keys(tmp_path: Path, server: PreviewServer) -> None:
    done = _run(tmp_path, server, keys=False)
    assert done.exit_code == 2
    assert "SEVENDIGITAL_KEY and SEVENDIGITAL_SECRET not set" in done.output
    assert len(done.output.strip().splitlines()) == 1


def test_tracks_without_7digital_ids(tmp_path: Path, server: PreviewServer) -> None:
    nameless = [(track, 0, *names) for track, _, *names in TRACKS]
    write_database(tmp_path / "track_metadata.db", nameless)  # pyright: ignore[reportArgumentType]
    given = ["--metadata", str(tmp_path / "track_metadata.db"), "--clips", str(tmp_path / "clips"), "--download"]
    done = CliRunner().invoke(app, ["build-data", "msd", *given, "--out", str(tmp_path / "msd")])
    assert done.exit_code == 2
    assert "none of its 4 tracks has a 7digital id" in done.output
    assert len(done.output.strip().splitlines()) == 1
