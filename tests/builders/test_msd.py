"""Clips of the Million Song Dataset in every layout, the sample, and the command."""

from __future__ import annotations

import itertools
import json
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import soundfile
from emobench.builders import pretraining
from emobench.builders.corpus import PretrainCorpus
from emobench.builders.manifest import Manifest, check_files, load_manifest
from emobench.builders.quality import QualityConfig
from emobench.builders.readers.msd import reading as msd
from emobench.builders.segments import load_segments
from emobench.builders.synthesis import STYLES, render_excerpt
from emobench.cards.dataset import About
from emobench.cli.main import app
from emobench.errors import InputError
from typer.testing import CliRunner

from .msd_files import TRACKS, write_database, write_h5

FIRST, SECOND, THIRD, _ = (track[0] for track in TRACKS)
LAYOUTS = {
    "track": f"{FIRST}.mp3",
    "track in folders": f"A/A/A/{FIRST}.mp3",
    "7digital": "5504670.clip.mp3",
    "7digital in folders": "5/5/5504670.clip.mp3",
    "capitals": f"A/{FIRST}.MP3",
}


def _clips(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return folder


@pytest.mark.parametrize("name", LAYOUTS.values(), ids=LAYOUTS)
def test_every_layout(tmp_path: Path, name: str) -> None:
    corpus = msd.load(write_database(tmp_path / "t.db"), _clips(tmp_path / "clips", name, "3/4/3400270.clip.mp3"))
    found = dict(corpus.clips.select("track_id", "audio").iter_rows())
    assert found == {FIRST: name, SECOND: None, THIRD: "3/4/3400270.clip.mp3", TRACKS[3][0]: None}
    assert corpus.found == {"with a 7digital id": 3, "clips without a track": 0}


def test_one_clip_of_two_tracks_and_clips_of_none(tmp_path: Path) -> None:
    tracks = [TRACKS[0], (SECOND, TRACKS[0][1], "A", "B", "C"), *TRACKS[2:]]
    clips = _clips(tmp_path / "clips", "5504670.clip.mp3", "77.clip.mp3", "TRZZZZZ128F0000000.mp3")
    corpus = msd.load(write_database(tmp_path / "t.db", tracks), clips)
    assert corpus.clips["audio"].to_list() == ["5504670.clip.mp3", "5504670.clip.mp3", None, None]
    assert corpus.found == {"with a 7digital id": 3, "clips without a track": 2}


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        ([], ["contains no clips"]),
        (["readme.txt"], ["contains no clips"]),
        (
            ["song.mp3", "x/03 - 音楽.mp3", "5504670.clip.mp3"],
            ["files named neither", ": song.mp3, x/03 - 音楽.mp3"],
        ),
        (["1٣.clip.mp3"], ["files named neither"]),
        (["77.clip.mp3"], ["none of its 1 clips (such as 77.clip.mp3) belongs to one of the 4 tracks"]),
        (
            [f"{FIRST}.mp3", "5/5/5504670.clip.mp3"],
            [f"more than one clip: {FIRST}: 5/5/5504670.clip.mp3 and {FIRST}.mp3"],
        ),
        (["a/5504670.clip.mp3", "b/5504670.clip.mp3"], ["tracks with more than one clip"]),
    ],
    ids=str,
)
def test_wrong_folders(tmp_path: Path, names: list[str], wanted: list[str]) -> None:
    clips = _clips(tmp_path / "clips", *names)
    clips.mkdir(exist_ok=True)
    with pytest.raises(InputError) as caught:
        msd.load(write_database(tmp_path / "t.db"), clips)
    for part in wanted:
        assert part in str(caught.value)


def test_every_problem_at_once(tmp_path: Path) -> None:
    path = write_database(tmp_path / "t.db", [("TRX", 1, "a", "b", "c"), *TRACKS, TRACKS[0]])
    with pytest.raises(InputError, match="3 problems") as caught:
        msd.load(path, tmp_path / "nowhere")
    for part in ("invalid track ids", "duplicate track ids", "nowhere: no such folder"):
        assert part in str(caught.value)


def test_a_duplicate_track_is_one_problem(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        write_h5(tmp_path / folder / f"{FIRST}.h5", TRACKS[:1])
    with pytest.raises(InputError, match=r"1 problem: .* duplicate track ids"):
        msd.load(tmp_path, _clips(tmp_path / "clips", f"{FIRST}.mp3"))


# The sample


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> PretrainCorpus:
    """Make 120 tracks of six seconds: every third without audio, some silent, some truncated."""
    folder = tmp_path_factory.mktemp("music")
    styles = itertools.cycle(sorted(STYLES))
    sounds = [
        render_excerpt(tempo=tempo, style=next(styles), drums=True, duration=6, seed=1, sample_rate=22_050).audio
        for tempo in (90, 120, 150)
    ]
    names, files = [f"T{number:03}" for number in range(120)], []
    for number, name in enumerate(names):
        sound = sounds[number % 3 - 1] * (1e-5 if number % 5 == 0 else 1.0) + 1e-7 * number
        files.append(None if number % 3 == 0 else f"{name}.flac")
        if files[-1]:
            soundfile.write(folder / f"{name}.flac", sound[: 22_050 * (2 if number % 7 == 0 else 6)], 22_050)
    clips = pl.DataFrame(
        {"track_id": names, "artist": "A", "album": "B", "title": names, "seven_digital_id": None, "audio": files},
        schema_overrides={"seven_digital_id": pl.String},
    )
    return PretrainCorpus(clips, About("T", "T.", "cc0-1.0", "@misc{t}", "None."), {"type": "test"}, folder)


QUALITY = QualityConfig(min_duration=5.0)


def _built(corpus: PretrainCorpus, out: Path, pool: Executor, sample: int | None, seed: int = 0) -> Manifest:
    config = pretraining.PretrainConfig(quality=QUALITY, sample=sample, seed=seed)
    pretraining.build(corpus, out, name="t", version="1.0.0", config=config, pool=pool)
    check_files(out, load_manifest(out))
    return load_manifest(out)


def _table(out: Path, name: str = "clips") -> pl.DataFrame:
    return pl.read_parquet(sorted((out / name).glob("*.parquet")))


def test_a_sample_equals_a_sample_of_the_filtered_tracks(
    tmp_path: Path, music: PretrainCorpus, pool: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = _built(music, tmp_path / "all", pool, None)
    passing = set(_table(tmp_path / "all").filter("kept")["track_id"])
    assert everything.counts["clips"] == 120
    assert len(passing) == everything.counts["kept"]
    # Sorted ids in the order of numpy's permutation.
    ids = np.array(sorted(music.clips["track_id"]))
    ranked = ids[np.random.default_rng(5).permutation(120)].tolist()
    wanted = [track for track in ranked if track in passing][:20]
    # A few at a time, so that several rounds are needed.
    monkeypatch.setattr(pretraining, "_LEAST", 7)
    monkeypatch.setattr(pretraining, "_MORE", 0.5)
    shuffled = music.clips.sample(fraction=1.0, shuffle=True, seed=3)
    corpus = PretrainCorpus(shuffled, music.about, music.source, music.audio_folder)
    manifest = _built(corpus, tmp_path / "few", pool, 20, seed=5)
    clips = _table(tmp_path / "few")
    assert clips.filter("kept")["track_id"].to_list() == wanted
    assert clips["track_id"].to_list() == ranked[: ranked.index(wanted[-1]) + 1]
    assert manifest.counts["clips"] == len(clips)
    assert manifest.counts["not examined"] == 120 - len(clips)
    # Every track up to there has the same verdict as in the whole.
    both = clips.join(_table(tmp_path / "all"), on="track_id", suffix="_all")
    assert both["rejected"].equals(both["rejected_all"].alias("rejected"))
    assert manifest.counts["rejected"] == dict(
        both["rejected"].drop_nulls().value_counts().sort("rejected").iter_rows()
    )
    assert set(manifest.counts["rejected"]) == {"missing", "silent", "too_short"}
    for name in ("rhythm", "pitch"):
        assert _table(tmp_path / "few", name)["track_id"].unique(maintain_order=True).to_list() == wanted
        rows = _table(tmp_path / "all", name).filter(pl.col("track_id") == wanted[7])["features"]
        assert _table(tmp_path / "few", name).filter(pl.col("track_id") == wanted[7])["features"].equals(rows)
    assert len(load_segments(tmp_path / "few", "pitch")) == 20
    # A single round gives the same bytes.
    monkeypatch.undo()
    monkeypatch.setenv("EMOBENCH_CACHE", str(tmp_path / "cache"))
    assert _built(music, tmp_path / "again", pool, 20, seed=5) == manifest
    # Building again does nothing.
    config = pretraining.PretrainConfig(quality=QUALITY, sample=20, seed=5)
    assert pretraining.build(music, tmp_path / "few", name="t", version="1.0.0", config=config, pool=pool) is None


@pytest.mark.slow
def test_a_smaller_sample_is_the_beginning_of_a_larger_one(
    tmp_path: Path, music: PretrainCorpus, pool: Executor
) -> None:
    for sample in (5, 25):
        _built(music, tmp_path / str(sample), pool, sample)
    few, many = (_table(tmp_path / str(sample)) for sample in (5, 25))
    assert few.equals(many.head(len(few)))
    _built(music, tmp_path / "other", pool, 25, seed=1)
    assert not _table(tmp_path / "other")["track_id"].equals(many["track_id"])


def test_a_changed_clip_is_noticed(tmp_path: Path, music: PretrainCorpus, pool: Executor) -> None:
    assert music.audio_folder
    _built(music, tmp_path / "out", pool, 5)
    track = _table(tmp_path / "out").filter("kept")["track_id"][0]
    path = music.audio_folder / f"{track}.flac"
    content = path.read_bytes()
    try:
        samples, rate = soundfile.read(path)
        soundfile.write(path, samples * 0.5, rate)
        with pytest.raises(InputError, match="exists with other content"):
            _built(music, tmp_path / "out", pool, 5)
    finally:
        path.write_bytes(content)


def test_fewer_clips_pass_than_the_sample_needs(tmp_path: Path, music: PretrainCorpus, pool: Executor) -> None:
    manifest = _built(music, tmp_path / "out", pool, 1000)
    counts = manifest.counts
    assert counts["clips"] == 120
    assert counts["kept"] == 120 - sum(counts["rejected"].values()) < 1000
    card = (tmp_path / "out" / "README.md").read_text()
    assert f"only {counts['kept']} pass" in card
    for name in ("duration", "bit_rate", "tempo"):
        assert f"plots/{name}.png" in card
        assert (tmp_path / "out" / "plots" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert f"plots/{name}.png" in manifest.files


# The command


@pytest.fixture
def previews(tmp_path: Path) -> Path:
    sound = render_excerpt(tempo=110, style=min(STYLES), drums=True, duration=31, seed=0, sample_rate=44_100).audio
    folder = _clips(tmp_path / "previews", "5/5/x")
    options = {"bitrate_mode": "CONSTANT", "compression_level": 2 / 3}
    for number, name in enumerate(("5/5/5504670.clip.mp3", "2168257.clip.mp3", f"{THIRD}.mp3")):
        part = (sound * (1 - 0.1 * number))[: 44_100 * (31 if number < 2 else 20)]
        soundfile.write(folder / name, part, 44_100, format="MP3", subtype="MPEG_LAYER_III", **options)
    (folder / "5/5/x").unlink()
    return folder


def _run(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["build-data", "msd", *map(str, arguments)])


def test_the_command(tmp_path: Path, previews: Path) -> None:
    database = write_database(tmp_path / "track_metadata.db")
    given = ("--metadata", database, "--clips", previews, "--out", tmp_path / "msd", "--workers", 1)
    survey = _run(*given, "--dry-run")
    assert survey.exit_code == 0, survey.output
    assert "4 clips" in survey.output
    assert "3 clips with audio" in survey.output
    assert not (tmp_path / "msd").exists()
    done = _run(*given)
    assert done.exit_code == 0, done.output
    assert "2 clips pass the quality filter; a sample of 50000 was requested" in done.output
    assert "rejected: 1 missing" in done.output
    assert "rejected: 1 too_short" in done.output
    clips = {row["track_id"]: row for row in _table(tmp_path / "msd").iter_rows(named=True)}
    assert clips[SECOND]["artist"] == "坂本龍一"
    assert clips[SECOND]["album"] == "音楽図鑑, 完璧盤"
    assert clips[SECOND]["kept"]
    assert clips[FIRST]["audio"] == "5/5/5504670.clip.mp3"
    assert clips[FIRST]["seven_digital_id"] == "5504670"
    assert clips[TRACKS[3][0]]["rejected"] == "missing"
    looser = _run(
        *given[:4], "--out", tmp_path / "loose", "--min-duration", 15, "--sample", 0, "--json", "--workers", 1
    )
    manifest = json.loads(looser.output)[0]["manifest"]
    assert manifest["counts"]["kept"] == 3
    assert manifest["config"]["dataset"]["quality"]["min_duration"] == 15
    assert manifest["config"]["dataset"]["sample"] is None


GIVEN = ("--metadata", "x", "--clips", "y")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "Missing option '--metadata'"),
        (["--metadata", "x"], "--clips: required without --download; pass the folder of the clips"),
        (["--metadata", "x", "--clips", "y"], "2 problems"),
        ([*GIVEN, "--min-bit-rate", "128"], "--min-bit-rate 128: expected bits per second, such as 128000"),
        ([*GIVEN, "--min-sample-rate", "-1"], "--min-sample-rate -1: expected hertz"),
        ([*GIVEN, "--min-duration", "nan"], "--min-duration nan: expected seconds"),
        ([*GIVEN, "--silence-db", "3"], "--silence-db 3: expected decibels"),
        ([*GIVEN, "--sample", "-5"], "--sample -5"),
    ],
    ids=str,
)
def test_wrong_options(arguments: list[str], line: str) -> None:
    done = _run(*arguments)
    assert done.exit_code == 2
    assert line in done.output
    assert len(done.output.strip().splitlines()) == 1
