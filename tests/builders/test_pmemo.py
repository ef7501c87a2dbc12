"""PMEmo: its files as published, the copy that mixes two scales, folds, and problems in one line each."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import soundfile
from emobench.builders import labelled_dataset as labelled
from emobench.builders.build import build_dataset
from emobench.builders.readers import pmemo
from emobench.builders.readers.songs.splits import Design
from emobench.errors import InputError

from .deam_folder import write_text
from .song_folders import PMEMO, copy_of_pmemo, level, spread, write_emomusic, write_pmemo

STATIC = Design("static")
COPY = "annotations/music2emo_static_annotations.csv"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_pmemo(tmp_path / "PMEmo2019")


def _target(folder: Path, song: str, design: Design) -> dict[str, float]:
    targets = pmemo.load(folder, None, design).targets
    assert targets is not None
    return targets.filter(pl.col("clip_id") == song).row(0, named=True)


def test_dynamic_labels(folder: Path) -> None:
    corpus = pmemo.load(folder, None)
    assert corpus.clips["clip_id"].to_list() == list(PMEMO)
    assert set(corpus.clips.select("start", "duration").iter_rows()) == {(15.0, 4.0)}
    own = corpus.annotations.filter(pl.col("clip_id") == "4")
    assert own["time"].to_list() == [0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4]
    # 0 to 1 becomes -0.5 to 0.5, and -1 to 1 as well.
    assert own["arousal"].to_list() == pytest.approx([level("4", "arousal") / 2 + 0.01 * k for k in range(8)], abs=1e-4)
    first = _target(folder, "4", Design())
    assert first["time"] == 1
    assert first["valence"] == pytest.approx(level("4", "valence") / 2 + 0.005, abs=1e-4)
    assert (first["n"], first["covariance"]) == (None, None)


def test_deviations_that_are_too_large_for_the_scale_are_halved(folder: Path) -> None:
    first = _target(folder, "4", Design())
    # A deviation on -1 to 1 is half as large on a scale of width 1.
    assert first["arousal_var"] == pytest.approx((spread("4", "arousal") / 2) ** 2)
    corpus = pmemo.load(folder, None)
    assert "80 of the standard deviations exceed the largest one" in " ".join(corpus.remarks)
    assert corpus.remarks[-1] in corpus.about.notes
    path = folder / "annotations" / "dynamic_annotations_std.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    write_text(path, "\n".join([lines[0], *(",".join([*line.split(",")[:2], "0.2,0.1"]) for line in lines[1:])]))
    first = _target(folder, "4", Design())
    assert (first["arousal_var"], first["valence_var"]) == pytest.approx((0.04, 0.01))
    assert "halved" not in " ".join(pmemo.load(folder, None).remarks)
    # A single one is an error, not another scale.
    write_text(path, path.read_text(encoding="utf-8").replace("\n4,16.5,0.2,", "\n4,16.5,0.7,"))
    with pytest.raises(
        InputError, match=r"_std\.csv: standard deviations .* can have: song 4, frameTime 16\.5, arousal\."
    ):
        pmemo.load(folder, None)


def test_static_labels(folder: Path) -> None:
    corpus = pmemo.load(folder, None, STATIC)
    assert set(corpus.clips.select("start", "duration").iter_rows()) == {(0.0, 19.1)}
    assert corpus.targets is not None
    assert corpus.targets["time"].to_list() == corpus.annotations["time"].to_list() == [19.1] * 5
    row = _target(folder, "138", STATIC)
    expected = (level("138", "arousal") / 2, level("138", "valence") / 2)
    assert (row["arousal"], row["valence"]) == pytest.approx(expected, abs=1e-4)
    assert (row["arousal_var"], row["valence_var"]) == pytest.approx((0.2**2, 0.15**2))
    assert (row["n"], row["covariance"]) == (None, None)
    assert "divide by n, the number of ratings" in corpus.about.notes


def test_the_copy_that_mixes_two_scales(folder: Path) -> None:
    for name in ("static_annotations.csv", "static_annotations_std.csv"):
        (folder / "annotations" / name).unlink()
    write_text(folder / COPY, copy_of_pmemo())
    first = _target(folder, "1", STATIC)
    assert 1 + 8 * (first["valence"] + 0.5) == pytest.approx(5.6)
    assert 1 + 8 * (first["arousal"] + 0.5) == pytest.approx(4.2)
    # 0.160 on 0 to 1 is 1.28 on 1 to 9.
    assert 8 * np.sqrt(first["valence_var"]) == pytest.approx(1.28, abs=0.001)
    assert 8 * np.sqrt(first["arousal_var"]) == pytest.approx(1.249, abs=0.001)
    remarks = " ".join(pmemo.load(folder, None, STATIC).remarks)
    assert (
        "music2emo_static_annotations.csv mixes two scales: means on 1 to 9, standard deviations on 0 to 1" in remarks
    )


@pytest.mark.parametrize("name", ["music2emo_static_annotations.csv", "static_annotations.csv"])
@pytest.mark.parametrize(
    "text", ["1,5.6,1.28,4.2,1.249\n4,3.3,1.2,3.1,1.2\n", "1,0.575,0.16,0.4,0.156125\n4,0.2875,0.15,0.2625,0.15\n"]
)
def test_copies_on_one_scale(folder: Path, name: str, text: str) -> None:
    for each in ("static_annotations.csv", "static_annotations_std.csv"):
        (folder / "annotations" / each).unlink()
    write_text(folder / "annotations" / name, copy_of_pmemo(text))
    first = _target(folder, "1", STATIC)
    assert (first["arousal"], first["valence"]) == pytest.approx((-0.1, 0.075))
    assert (first["arousal_var"], first["valence_var"]) == pytest.approx((0.156125**2, 0.16**2), rel=1e-3)
    assert "mixes" not in " ".join(pmemo.load(folder, None, STATIC).remarks)


def test_a_copy_adds_the_deviations_that_are_missing(folder: Path) -> None:
    (folder / "annotations" / "static_annotations_std.csv").unlink()
    assert _target(folder, "1", STATIC)["arousal_var"] is None
    remarks = pmemo.load(folder, None, STATIC).remarks
    assert "5 songs with labels without a known standard deviation" in " ".join(remarks)
    means = [[5 + 4 * level(song, axis) for axis in ("valence", "arousal")] for song in PMEMO]
    rows = [f"{song},{v:.4f},0.1,{a:.4f},0.12\n" for song, (v, a) in zip(PMEMO, means, strict=True)]
    write_text(folder / COPY, copy_of_pmemo("".join(rows)))
    first = _target(folder, "1", STATIC)
    assert (first["arousal_var"], first["valence_var"]) == pytest.approx((0.12**2, 0.1**2))
    write_text(folder / COPY, copy_of_pmemo("".join(rows[:-1]) + "184,9,0.1,9,0.12\n"))
    with pytest.raises(InputError, match=r"different means of 184; expected copies of the same ratings\. Remove one"):
        pmemo.load(folder, None, STATIC)


def test_albums_artists_and_the_official_split(folder: Path, tmp_path: Path, pool: Executor) -> None:
    by_album, by_artist = (pmemo.load(folder, None, design).grouping for design in (Design(), Design(by_artist=True)))
    assert by_album is not None
    assert by_artist is not None
    assert by_album["album"].to_list() == ["Album, 0", "Album, 0", "Album, 1", "Album, 1", "Album, 2"]
    assert set(by_artist["album"]) == {""}
    assert by_artist["artist"].to_list() == ["artista", "artistb", "artista", "artistb", "artista"]
    out = tmp_path / "out"
    [built] = build_dataset("pmemo", annotations=folder, labels="static", split="official", out=out, pool=pool)
    folds = labelled.load(out).folds
    # Song 183 is not in the published split.
    parts = {"1": "train", "4": "train", "138": "test", "184": "verification"}
    assert dict(folds.select("clip_id", "split").iter_rows()) == parts
    assert "1 song left out, not in the official split: 183." in (built.manifest.remarks or [])


def test_labels_that_outlast_the_audio(folder: Path, tmp_path: Path) -> None:
    audio = tmp_path / "chorus"
    audio.mkdir()
    for song, seconds in (("1", 19.0), ("4", 18.6), ("138", 15.6), ("183", 17.0)):
        soundfile.write(audio / f"{song}.wav", np.zeros(int(800 * seconds)), 800)
    path = folder / "annotations" / "dynamic_annotations.csv"
    # Song 138 has one second of labels, more than half of which is after the end of its audio.
    write_text(path, re.sub(r"138,1(6\.5|[7-9]).*\n", "", path.read_text(encoding="utf-8")))
    corpus = pmemo.load(folder, audio)
    durations = dict(corpus.clips.select("clip_id", "duration").iter_rows())
    assert durations == {"1": 4, "4": 3, "138": 1, "183": 4, "184": 4}
    assert corpus.problems == {"138": "too_short", "184": "missing"}
    static = pmemo.load(folder, audio, STATIC)
    assert dict(static.clips.select("clip_id", "duration").iter_rows()) == {
        "1": 19,
        "4": 18.6,
        "138": 19.1,
        "183": 19.1,
        "184": 19.1,
    }
    assert static.problems == {"138": "too_short", "183": "too_short", "184": "missing"}


def _text(place: str, pattern: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        text = (folder / place).read_bytes().decode()
        assert re.search(pattern, text)
        write_text(folder / place, re.sub(pattern, new, text, count=1))

    return change


_DYNAMIC = "annotations/dynamic_annotations.csv"
_STATIC = "annotations/static_annotations.csv"
_POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"

DYNAMIC_WRONG: dict[str, Callable[[Path], None]] = {
    r"contains no dynamic_annotations\.csv\.": lambda folder: (folder / _DYNAMIC).unlink(),
    r"contains no metadata\.csv\.": lambda folder: (folder / "metadata.csv").unlink(),
    r"dynamic_annotations\.csv: row 2: song 1: expected numbers from 0 to 1 \(arousal '1\.2', ": _text(
        _DYNAMIC, r"\n1,15\.5,[^,]*", "\n1,15.5,1.2"
    ),
    r"dynamic_annotations\.csv: row 3: frameTime '15\.7'; expected multiples of 0\.5 s": _text(
        _DYNAMIC, r"\n1,16\.0", "\n1,15.7"
    ),
    r"row 3: song 1 and frameTime 15\.5 appear twice": _text(_DYNAMIC, r"\n1,16\.0", "\n1,15.5"),
    r"row 2: song id '\.\./1' is not a number": _text(_DYNAMIC, r"\n1,15", "\n../1,15"),
    r"dynamic_annotations\.csv: row 41: song 184: expected numbers .*valence ''": _text(_DYNAMIC, r",[^,]*\n$", ""),
    r"dynamic_annotations\.csv: lacks the column valence": _text(_DYNAMIC, "Valence", "x"),
    r"1 song that the metadata do not contain \(999\)": _text(_DYNAMIC, r"\n1,15\.5", "\n999,15.5"),
    r"dynamic_annotations\.csv and dynamic_annotations_std\.csv: songs that only one of them contains: 184[.;]": _text(
        _DYNAMIC, r"(?s)\n184,.*", "\n"
    ),
    r"dynamic_annotations\.csv: is a Git LFS pointer": _text(_DYNAMIC, r"(?s).*", _POINTER),
}

STATIC_WRONG: dict[str, Callable[[Path], None]] = {
    r"contains no static_annotations\.csv\.": lambda folder: (folder / _STATIC).unlink(),
    r"static_annotations\.csv: row 2: song 1: expected means from 0 to 1 \(arousal_mean '1\.4'\)": _text(
        _STATIC, r"\n1,[^,]*", "\n1,1.4"
    ),
    r"_std\.csv: row 3: song 4: expected deviations from 0 to 1 \(valence_std '-0\.1'\)": _text(
        "annotations/static_annotations_std.csv", r"\n4,0\.2,0\.15", "\n4,0.2,-0.1"
    ),
    r"static_annotations\.csv and static_annotations_std\.csv: songs that only one of them contains: 4": _text(
        "annotations/static_annotations_std.csv", r"\n4,.*", ""
    ),
    r"static_annotations_std\.csv: standard deviations that exceed .*: songs 4; expected both on one scale": _text(
        "annotations/static_annotations_std.csv", r"\n4,0\.2", "\n4,0.6"
    ),
    r"metadata\.csv: row 2: duration '32 s'; expected seconds": _text("metadata.csv", "19.1", "32 s"),
    r"static_annotations\.csv: is a Git LFS pointer": _text(_STATIC, r"(?s).*", _POINTER),
}


@pytest.mark.parametrize("message", DYNAMIC_WRONG)
def test_wrong_dynamic_annotations(folder: Path, message: str) -> None:
    DYNAMIC_WRONG[message](folder)
    with pytest.raises(InputError, match=message):
        pmemo.load(folder, None)


@pytest.mark.parametrize("message", STATIC_WRONG)
def test_wrong_static_annotations(folder: Path, message: str) -> None:
    STATIC_WRONG[message](folder)
    with pytest.raises(InputError, match=message):
        pmemo.load(folder, None, STATIC)


def test_ratings_of_another_corpus(folder: Path, tmp_path: Path) -> None:
    emomusic = write_emomusic(tmp_path / "emomusic")
    with pytest.raises(
        InputError, match=r"contains no dynamic_annotations.* It looks like .*; use the source emomusic"
    ):
        pmemo.load(emomusic, None)
    # Ids of both corpora overlap.
    (emomusic / "annotations" / "static_annotations.csv").replace(folder / _STATIC)
    with pytest.raises(InputError, match=r"songs that the metadata do not contain \(2, 3, 5, 82, 834\)"):
        pmemo.load(folder, None, STATIC)


@pytest.mark.parametrize("design", [Design(), STATIC])
def test_files_as_people_save_them(folder: Path, design: Design) -> None:
    before = pmemo.load(folder, None, design)
    for path in folder.rglob("*.csv"):
        with path.open(encoding="utf-8", newline="") as file:
            rows = [[f" {cell} " for cell in row] for row in csv.reader(file)]
        with path.open("w", encoding="utf-8-sig", newline="") as file:
            csv.writer(file, delimiter=";", lineterminator="\r\n").writerows(rows)
    after = pmemo.load(folder, None, design)
    assert after.clips.equals(before.clips)
    assert after.annotations.equals(before.annotations)
    assert after.targets is not None
    assert before.targets is not None
    assert after.targets.equals(before.targets)


def test_the_published_files(real_data: Path) -> None:
    dynamic = pmemo.load(real_data / "pmemo", None)
    static = pmemo.load(real_data / "pmemo", None, STATIC)
    assert dynamic.clips["clip_id"].to_list() == static.clips["clip_id"].to_list()
    assert len(static.clips) == 767
    assert set(dynamic.clips["start"]) == {15.0}
    assert dynamic.targets is not None
    assert static.targets is not None
    first = static.targets.row(0, named=True)
    assert (first["clip_id"], first["time"]) == ("1", 32.1)
    assert (first["arousal"], first["valence"]) == pytest.approx((0.4 - 0.5, 0.575 - 0.5))
    assert 8 * np.sqrt(first["valence_var"]) == pytest.approx(1.28, abs=0.001)
    second = dynamic.targets.row(0, named=True)
    assert second["arousal"] == pytest.approx((0.4376625 + 0.437775) / 2 - 0.5)
    # The deviations of half seconds and of whole songs agree once those are halved.
    spreads = [
        table.group_by("clip_id").agg(pl.col("arousal_var", "valence_var").mean().sqrt()).sort("clip_id")
        for table in (dynamic.targets, static.targets)
    ]
    for axis in ("arousal_var", "valence_var"):
        half_seconds, whole = (each[axis].to_numpy() for each in spreads)
        assert np.median(half_seconds / whole) == pytest.approx(1, abs=0.05)
        assert np.corrcoef(half_seconds, whole)[0, 1] > 0.9
