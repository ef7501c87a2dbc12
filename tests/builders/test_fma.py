"""FMA: tracks.csv with its three header rows, the layout of its clips, and errors."""

from __future__ import annotations

import csv
import json
from concurrent.futures import Executor
from pathlib import Path

import polars as pl
import pytest
import soundfile
from emobench.builders import segments
from emobench.builders.build import build_dataset, survey
from emobench.builders.readers import fma
from emobench.builders.synthesis import render_excerpt
from emobench.cli.main import app
from emobench.errors import InputError
from typer.testing import CliRunner

HEADER = [
    ["", "album", "album", "artist", "artist", "set", "set", "track", "track", "track"],
    ["", "information", "title", "id", "name", "split", "subset", "duration", "license", "title"],
    ["track_id"] + [""] * 9,
]
BY, NC_ND = "Attribution", "Attribution-Noncommercial-No Derivative Works 3.0 United States"
TRACKS = {
    "2": ("音楽図鑑", "坂本龍一", "small", BY, 'A "quoted" title'),
    "5": ("Ágætis, byrjun", "Sigur Rós", "small", NC_ND, "two\nlines"),
    "1010": ("", "Şivan Perwer", "medium", "FMA-Limited: Download Only", "Low | high"),
    "99999": ("Album", "Artist", "large", "", "Title"),
}


def _write(folder: Path, tracks: dict[str, tuple[str, ...]] | list | None = None, header: list | None = None) -> Path:
    rows = list((TRACKS if tracks is None else tracks).items()) if not isinstance(tracks, list) else tracks
    path = folder / "fma_metadata" / "tracks.csv"
    path.parent.mkdir(exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerows(HEADER if header is None else header)
        for number, (album, artist, subset, licence, title) in rows:
            writer.writerow([number, "<p>About,\n\nit</p>", album, 7, artist, "training", subset, 200, licence, title])
    return path.parent


def _clip(folder: Path, name: str) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"")


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    for name in ("000/000002.mp3", "000/000005.mp3"):
        _clip(tmp_path / "fma_small", name)
    return tmp_path / "fma_small"


def test_reads_two_level_columns_in_any_script(tmp_path: Path, clips: Path) -> None:
    corpus = fma.load(_write(tmp_path), clips)
    assert corpus.clips.rows(named=True) == [
        {
            "track_id": "2",
            "artist": "坂本龍一",
            "album": "音楽図鑑",
            "title": 'A "quoted" title',
            "seven_digital_id": None,
            "audio": "000/000002.mp3",
        },
        {
            "track_id": "5",
            "artist": "Sigur Rós",
            "album": "Ágætis, byrjun",
            "title": "two\nlines",
            "seven_digital_id": None,
            "audio": "000/000005.mp3",
        },
    ]
    assert corpus.clips.schema["seven_digital_id"] == pl.String
    assert corpus.source["subset"] == "small"


def test_tracks_of_the_subset_without_a_clip_are_missing(tmp_path: Path, clips: Path) -> None:
    _clip(clips, "001/001010.mp3")
    (clips / "000/000005.mp3").unlink()
    corpus = fma.load(_write(tmp_path) / "tracks.csv", tmp_path)
    audio = dict(corpus.clips.select("track_id", "audio").iter_rows())
    assert audio == {"2": "fma_small/000/000002.mp3", "5": None, "1010": "fma_small/001/001010.mp3"}


def test_licences_are_counted(tmp_path: Path, clips: Path) -> None:
    _clip(clips, "099/099999.mp3")
    corpus = fma.load(_write(tmp_path), clips)
    assert corpus.source["licences"] == {"": 1, BY: 1, NC_ND: 1, "FMA-Limited: Download Only": 1}
    assert corpus.source["redistributable"] == 2
    assert "| (none stated) | 1 | no |" in corpus.about.notes
    assert f"| {NC_ND} | 1 | yes |" in corpus.about.notes


def test_special_characters_of_a_licence_are_escaped(tmp_path: Path, clips: Path) -> None:
    tracks = {**TRACKS, "5": ("B", "A", "small", "a|b`c\n<script>", "T")}
    notes = fma.load(_write(tmp_path, tracks), clips).about.notes
    assert r"| a\|b\`c &lt;script&gt; | 1 | no |" in notes.splitlines()
    assert "<script>" not in notes


@pytest.mark.parametrize(
    ("licence", "allowed"),
    [
        ("Creative Commons Attribution-ShareAlike 4.0 International", True),
        ("CC BY-NC 3.0", True),
        ("CC0 1.0 Universal", True),
        ("Public Domain Mark 1.0", True),
        ("Free Art License", True),
        ("Attribution", True),
        ("Attribution-NonCommercial", True),
        ("Attribution-NoDerivs", True),
        ("Attribution-Noncommercial-Share Alike 3.0 United States", True),
        ("Attribution-Noncommercial-No Derivative Works 2.0 UK: England & Wales", True),
        ("Attribution-NonCommercial-NoDerivatives (aka Music Sharing) 3.0 International", True),
        ("Creative Commons Attribution-NonCommercial-NoDerivatives 4.0", True),
        ("Creative Commons Attribution 4.0 International License", True),
        ("http://creativecommons.org/licenses/by-nc-nd/3.0/us/", True),
        ("https://creativecommons.org/publicdomain/zero/1.0/", True),
        ("https://creativecommons.org/licenses/sampling+/1.0/", False),
        ("https://creativecommons.org.example.org/licenses/by/4.0/", False),
        ("Non-Attribution custom", False),
        ("Attribution custom", False),
        ("No Attribution Allowed, All rights reserved", False),
        ("Attribution required, no redistribution", False),
        ("Noncommercial Sampling Plus 1.0", False),
        ("Creative Commons Sampling Plus 1.0", False),
        ("Orphan Work", False),
        ("All Rights Reserved", False),
        ("an unknown licence", False),
    ],
)
def test_which_licences_allow_redistribution(licence: str, allowed: bool) -> None:
    assert fma.allows_redistribution(licence) is allowed


def test_builds_a_dataset_that_lists_missing_and_broken_clips(tmp_path: Path, pool: Executor) -> None:
    clips = tmp_path / "fma_large"
    sound = render_excerpt(tempo=120, style="rock", drums=True, duration=30, seed=1).audio
    for name in ("000/000002.mp3", "001/001010.mp3"):
        _clip(clips, name)
    soundfile.write(clips / "000/000002.mp3", sound, 22050, format="MP3", bitrate_mode="CONSTANT", compression_level=0)
    tracks = {number: TRACKS[number] for number in ("2", "5", "1010")}
    [built] = build_dataset("fma", metadata=_write(tmp_path, tracks), clips=clips, out=tmp_path / "fma", pool=pool)
    assert built.manifest.kind == "pretrain"
    table = pl.read_parquet(tmp_path / "fma" / "clips" / "*.parquet")
    assert table["rejected"].to_list() == [None, "missing", "undecodable"]
    assert built.manifest.source["licences"] == {BY: 1, NC_ND: 1, "FMA-Limited: Download Only": 1}
    card = (tmp_path / "fma" / "README.md").read_text(encoding="utf-8")
    assert "FMA-Limited: Download Only" in card
    assert "- config_name: licences" in card
    assert "less than 128 kbit/s (unless lossless), 22,050 Hz, 30 s (with a tolerance of 0.1 s)" in card
    assert pl.read_parquet(tmp_path / "fma" / "licences" / "*.parquet").rows() == [
        ("2", BY, True),
        ("5", NC_ND, True),
        ("1010", "FMA-Limited: Download Only", False),
    ]
    assert len(segments.load_segments(tmp_path / "fma", "rhythm")) == 1


def test_dry_run(tmp_path: Path, clips: Path) -> None:
    place = tmp_path / "out"
    given = ["build-data", "fma", "--metadata", str(_write(tmp_path)), "--clips", str(clips), "--out", str(place)]
    ran = CliRunner().invoke(app, [*given, "--dry-run"])
    assert ran.exit_code == 0
    assert f"would build {place} (pre-training; 2 clips, 2 artists, 2 clips with audio)" in ran.output
    assert f"licences: {NC_ND}: 1" in ran.output
    as_json = CliRunner().invoke(app, [*given, "--dry-run", "--json"])
    assert json.loads(as_json.output)[0]["counts"]["clips with audio"] == 2
    assert not place.exists()


def _wrong_tracks(tmp_path: Path, clips: Path, tracks: list) -> str:
    with pytest.raises(InputError) as caught:
        fma.load(_write(tmp_path, tracks), clips)
    return str(caught.value)


def test_every_problem_is_listed_at_once(tmp_path: Path, clips: Path) -> None:
    for name in ("000/000777.mp3", "copy/000/000002.mp3", "001/000005.mp3", "song.mp3"):
        _clip(clips, name)
    message = _wrong_tracks(tmp_path, clips, [*TRACKS.items(), ("2", TRACKS["5"]), ("../2", TRACKS["5"])])
    assert message.startswith("build-data fma: 5 problems: ")
    assert "invalid track_id: '../2'; expected numbers of up to six digits" in message
    assert "duplicate track_id: 2;" in message
    assert "files not named like 000/000002.mp3: 001/000005.mp3, song.mp3" in message
    assert "tracks with more than one clip: 2: 000/000002.mp3 and copy/000/000002.mp3" in message
    assert "clips of tracks that " in message
    assert "tracks.csv does not contain: 777" in message
    assert "\n" not in message


@pytest.mark.parametrize("number", ["/etc/passwd", "../../2", "1234567", "2.5", "-2", "", "٣"])
def test_track_ids_that_are_not_numbers_are_refused(tmp_path: Path, clips: Path, number: str) -> None:
    assert "expected numbers of up to six digits" in _wrong_tracks(
        tmp_path, clips, [*TRACKS.items(), (number, TRACKS["2"])]
    )


def test_wrong_tables(tmp_path: Path, clips: Path) -> None:
    wrong = [
        ([["track_id", "title"], ["2", "x"]], "expected three header rows"),
        ([row[:-2] for row in HEADER], r"header lacks the columns \(track, title\); \(track, license\)"),
        ([*HEADER[:2], ["2"] + [""] * 9], "expected three header rows"),
    ]
    for header, message in wrong:
        with pytest.raises(InputError, match=message):
            fma.load(_write(tmp_path, header=header), clips)
    with pytest.raises(InputError, match="has no tracks"):
        fma.load(_write(tmp_path, tracks={}), clips)
    (tmp_path / "fma_metadata" / "tracks.csv").write_bytes(b"\xff\xfe\x00,\n")
    with pytest.raises(InputError, match="is encoded in UTF-16"):
        fma.load(tmp_path / "fma_metadata", clips)
    with (_write(tmp_path) / "tracks.csv").open("ab") as file:
        file.write(b"7,\xff\xfe,,,,,,,,\n")
    with pytest.raises(InputError, match="byte 0xff is not UTF-8; the file is probably encoded in Latin-1"):
        fma.load(tmp_path / "fma_metadata", clips)
    (tmp_path / "fma_metadata" / "tracks.csv").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid x\n")
    with pytest.raises(InputError, match=r"1 problem: .*tracks\.csv: is a Git LFS pointer"):
        fma.load(tmp_path / "fma_metadata", clips)


def test_tracks_separated_by_semicolons(tmp_path: Path, clips: Path) -> None:
    before = fma.load(_write(tmp_path), clips)
    path = tmp_path / "fma_metadata" / "tracks.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter=";").writerows(rows)
    assert fma.load(tmp_path / "fma_metadata", clips).clips.equals(before.clips)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "7,i,al,7,Smith, John,training,small,200,FMA-Limited: Download Only,t",
            "expected 10 cells per row, as in the header, but found 11 in the row ending in line 17.",
        ),
        ("7,0", "expected 10 cells per row, as in the header, but found 2 in the row ending in line 17."),
        ('7,i,al,7,a,training,small,200,Attribution,"t', "not readable as CSV (unexpected end of data)"),
        ('7,i,al,7,a,training,small,200,"Attribution,t', "not readable as CSV (unexpected end of data)"),
    ],
)
def test_rows_of_another_length(tmp_path: Path, clips: Path, line: str, message: str) -> None:
    path = _write(tmp_path) / "tracks.csv"
    before = path.read_text(encoding="utf-8")
    path.write_text(f"{before}{line}\n8,i,al,7,a,training,small,200,Attribution,t\n", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        fma.load(path, clips)
    assert message in str(caught.value)
    path.write_text(f"{before}\n\n", encoding="utf-8")
    assert len(fma.load(path, clips).clips) == 2


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"2 problems: .*nowhere: no such folder.*; .*nothing: no such folder"):
        fma.load(tmp_path / "nowhere", tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"2 problems: .*contains 0 files named tracks\.csv; .*; .*contains no clips"):
        fma.load(tmp_path / "empty", tmp_path / "empty")
    _write(tmp_path)
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "tracks.csv").write_text("x", encoding="utf-8")
    with pytest.raises(InputError, match=r"contains 2 files named tracks\.csv \("):
        fma.load(tmp_path, tmp_path / "empty")
    with pytest.raises(InputError, match="`metadata`: required by the source fma"):
        survey("fma", out=tmp_path / "out")


def test_a_table_of_the_real_size(tmp_path: Path, clips: Path) -> None:
    rows = [(str(number), TRACKS["5"]) for number in range(1, 106_575)]
    corpus = fma.load(_write(tmp_path, rows), clips)
    assert len(corpus.clips) == 106_574
    assert corpus.source["redistributable"] == 106_574
