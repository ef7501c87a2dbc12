"""emoMusic: its files as published, dynamic and static labels, folds, and problems in one line each."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import soundfile
from emobench.audio.decode import decode
from emobench.builders import labelled_dataset as labelled
from emobench.builders.build import build_dataset, default_folder
from emobench.builders.labelled_dataset import LabelledConfig
from emobench.builders.readers import emomusic
from emobench.builders.readers.songs.splits import Design
from emobench.builders.synthesis import render_excerpt
from emobench.cli.main import app
from emobench.errors import InputError
from typer.testing import CliRunner

from .deam_folder import write_text
from .song_folders import EMOMUSIC, level, write_emomusic, write_pmemo

STATIC = Design("static")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_emomusic(tmp_path / "emoMusic")


def test_dynamic_labels(folder: Path) -> None:
    corpus = emomusic.load(folder, None)
    assert corpus.clips["clip_id"].to_list() == list(EMOMUSIC)
    assert set(corpus.clips.select("start", "duration").iter_rows()) == {(15.0, 4.0)}
    own = corpus.annotations.filter(pl.col("clip_id") == "2")
    assert own["annotator_id"].unique().to_list() == ["mean"]
    # The ninth half second begins where the clip ends.
    assert own["time"].to_list() == [0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4]
    assert own["arousal"].to_list() == pytest.approx([(level("2", "arousal") + 0.01 * k) / 2 for k in range(8)])
    assert corpus.targets is not None
    targets = corpus.targets.filter(pl.col("clip_id") == "2")
    assert targets["time"].to_list() == [1, 2, 3, 4]
    assert targets["valence"].to_list() == pytest.approx(
        [(level("2", "valence") + 0.01 * (2 * k + 0.5)) / 2 for k in range(4)]
    )
    assert targets["arousal_var"].to_list() == pytest.approx([0.125**2] * 4)
    assert targets.select("n", "covariance").null_count().row(0) == (4, 4)


def test_static_labels(folder: Path) -> None:
    corpus = emomusic.load(folder, None, STATIC)
    assert set(corpus.clips.select("start", "duration").iter_rows()) == {(0.0, 45.0)}
    assert corpus.targets is not None
    assert corpus.targets["clip_id"].to_list() == list(EMOMUSIC)
    assert corpus.targets["time"].to_list() == corpus.annotations["time"].to_list() == [45.0] * 6
    row = corpus.targets.row(by_predicate=pl.col("clip_id") == "3", named=True)
    # 1 to 9 becomes -0.5 to 0.5, and -1 to 1 as well.
    assert (row["arousal"], row["valence"]) == pytest.approx((level("3", "arousal") / 2, level("3", "valence") / 2))
    assert (row["arousal_var"], row["valence_var"]) == pytest.approx((0.2**2, 0.15**2))
    assert (row["n"], row["covariance"]) == (None, None)
    assert corpus.annotations.select("clip_id", "arousal").equals(corpus.targets.select("clip_id", "arousal"))
    assert "divide by n − 1, so the variances are unbiased" in corpus.about.notes


def test_metadata_are_cleaned_and_artists_count_as_albums(folder: Path) -> None:
    corpus = emomusic.load(folder, None)
    names = corpus.clips.select("artist", "album", "title").rows()
    assert names == [(f"Artist {'ABC'[place % 3]}", "", f"Title, {song}") for place, song in enumerate(EMOMUSIC)]
    assert corpus.grouping is not None
    assert corpus.grouping["artist"].to_list() == ["artista", "artistb", "artistc"] * 2
    assert set(corpus.grouping["album"]) == {""}
    assert "all songs of an artist count as" in " ".join(corpus.about.notes.split())


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({}, "emomusic"),
        ({"labels": "static"}, "emomusic-static"),
        ({"split": "artists"}, "emomusic-artists"),
        ({"labels": "static", "split": "official"}, "emomusic-static-official"),
    ],
)
def test_names_and_settings(folder: Path, tmp_path: Path, pool: Executor, options: dict[str, Any], name: str) -> None:
    assert default_folder("emomusic", tmp_path, annotations=folder, **options).name == name
    if options.get("split") == "official" or not options:
        [built] = build_dataset("emomusic", out=tmp_path / name, pool=pool, annotations=folder, **options)
        settings = built.manifest.config.source
        assert {key: settings.get(key) for key in ("labels", "split")} == {"labels": None, "split": None} | options
        assert labelled.load(tmp_path / name).static == bool(options)


def test_the_official_split(folder: Path, tmp_path: Path, pool: Executor) -> None:
    text = (folder / "annotations" / "static_annotations.csv").read_text(encoding="utf-8")
    write_text(folder / "annotations" / "static_annotations.csv", text + "1,5,1,5,1\n")
    info = (folder / "annotations" / "songs_info.csv").read_text(encoding="utf-8")
    write_text(folder / "annotations" / "songs_info.csv", info + info.splitlines()[-1].replace("834", "1", 1) + "\n")
    out = tmp_path / "out"
    [built] = build_dataset("emomusic", annotations=folder, labels="static", split="official", out=out, pool=pool)
    folds = labelled.load(out).folds
    assert dict(folds.select("clip_id", "split").iter_rows()) == {
        "2": "train",
        "3": "test",
        "4": "train",
        "5": "verification",
        "82": "verification",
        "834": "train",
    }
    assert folds["repeat"].unique().to_list() == [0]
    assert built.manifest.remarks == [
        "The files contain 7 of the 744 songs of emoMusic; the download may be incomplete.",
        "738 songs of the official split without annotations: 7, 8, 10, 12, 13 and 733 more.",
        "1 song left out, not in the official split: 1.",
    ]
    card = " ".join((out / "README.md").read_text(encoding="utf-8").split())
    assert "The published split of 6 songs (3 for training, 2 for verification (validation), 1 for test)" in card
    assert "jukemir" in card
    assert all(remark in card for remark in built.manifest.remarks)


def test_audio_by_id(folder: Path, tmp_path: Path, pool: Executor) -> None:
    sound = render_excerpt(tempo=120, style="rock", drums=True, duration=46, seed=1, sample_rate=8000).audio
    audio = tmp_path / "clips_45seconds"
    (audio / "more").mkdir(parents=True)
    for name, seconds in (("2", 45), ("more/0834", 44.5), ("3", 30), ("4", 45), ("82", 45), ("999", 1)):
        soundfile.write(audio / f"{name}.ogg", sound[: int(8000 * seconds)], 8000)
    corpus = emomusic.load(folder, audio, STATIC)
    assert dict(corpus.clips.select("clip_id", "duration").iter_rows()) == {
        "2": 45,
        "3": 45,
        "4": 45,
        "5": 45,
        "82": 45,
        "834": 44.5,
    }
    assert corpus.problems == {"3": "too_short", "5": "missing"}
    assert corpus.targets is not None
    assert corpus.targets["time"].to_list() == corpus.clips["duration"].to_list()
    labelled.build(corpus, tmp_path / "out", name="e", version="1.0.0", config=LabelledConfig(), pool=pool)
    dataset = labelled.load(tmp_path / "out")
    assert dict(dataset.clips.select("clip_id", "excluded").iter_rows()) == {
        "2": None,
        "3": "too_short",
        "4": None,
        "5": "missing",
        "82": None,
        "834": None,
    }
    dynamic = emomusic.load(folder, audio)
    assert dynamic.problems == {"5": "missing"}
    assert dict(dynamic.clips.select("clip_id", "audio").iter_rows())["834"] == "more/0834.ogg"


def _text(place: str, pattern: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "annotations" / place
        text = path.read_text(encoding="utf-8")
        assert re.search(pattern, text)
        write_text(path, re.sub(pattern, new, text, count=1))

    return change


def _removed(*places: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        for place in places:
            (folder / "annotations" / place).unlink()

    return change


DYNAMIC_WRONG: dict[str, Callable[[Path], None]] = {
    r"contains no valence_cont_average\.csv\.": _removed("valence_cont_average.csv"),
    r"contains no arousal_cont_std\.csv\.": _removed("arousal_cont_std.csv"),
    r"contains no songs_info\.csv\.": _removed("songs_info.csv"),
    r"arousal_cont_average\.csv: expected numbers from -1 to 1, .*\(row 2, sample_15500ms: '1\.5'\)": _text(
        "arousal_cont_average.csv", r"\n2,([^,]*),[^,]*", r"\n2,\1,1.5"
    ),
    r"valence_cont_std\.csv: expected numbers from 0 to 1": _text("valence_cont_std.csv", r"\n2,0", r"\n2,-0"),
    r"songs that only one of them contains: 2, 9[.;]": _text("valence_cont_average.csv", r"\n2,", r"\n9,"),
    r"average\.csv and valence_cont_std\.csv: songs that only one of them contains: 834[.;]": _text(
        "valence_cont_std.csv", r"\n834,.*", ""
    ),
    r"1 song that the metadata do not contain \(3\); expected files of one corpus": _text(
        "songs_info.csv", r"\n3,.*", ""
    ),
    r"songs_info\.csv: lacks the column artist": _text("songs_info.csv", "Artist", "x"),
    r"arousal_cont_average\.csv: is a Git LFS pointer, not the file itself": _text(
        "arousal_cont_average.csv", r"(?s).*", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    ),
}

STATIC_WRONG: dict[str, Callable[[Path], None]] = {
    r"contains no static_annotations\.csv\.": _removed("static_annotations.csv"),
    r"row 3: song 3: expected means from 1 to 9, deviations from 0 to 8 \(arousal_mean '9\.5'\)": _text(
        "static_annotations.csv", r"\n3,[^,]*", "\n3,9.5"
    ),
    r"row 2: song 2: .*\(valence_std 'x'\)": _text("static_annotations.csv", r"(\n2,.*),1\.2", r"\1,x"),
    r"row 3: song_id '2' is not a number, or a duplicate": _text("static_annotations.csv", r"\n3,", "\n2,"),
    r"static_annotations\.csv: expected one cell per column \(row 2: 6 cells, but 5 columns\)": _text(
        "static_annotations.csv", r"(\n2,\d)\.", r"\1,"
    ),
    r"static_annotations\.csv: lacks the column valence_std": _text("static_annotations.csv", "std_valence", "x"),
}


@pytest.mark.parametrize("message", DYNAMIC_WRONG)
def test_wrong_dynamic_annotations(folder: Path, message: str) -> None:
    DYNAMIC_WRONG[message](folder)
    with pytest.raises(InputError, match=message):
        emomusic.load(folder, None)


@pytest.mark.parametrize("message", STATIC_WRONG)
def test_wrong_static_annotations(folder: Path, message: str) -> None:
    STATIC_WRONG[message](folder)
    with pytest.raises(InputError, match=message):
        emomusic.load(folder, None, STATIC)


def test_files_that_the_labels_do_not_need_are_not_read(folder: Path) -> None:
    _removed("arousal_cont_average.csv", "arousal_cont_std.csv")(folder)
    _text("valence_cont_average.csv", "(?s).*", "x")(folder)
    assert len(emomusic.load(folder, None, STATIC).clips) == 6


def test_without_deviations_variances_are_null(folder: Path) -> None:
    _removed("arousal_cont_std.csv", "valence_cont_std.csv")(folder)
    corpus = emomusic.load(folder, None)
    assert corpus.targets is not None
    assert corpus.targets.select("arousal_var", "valence_var").null_count().row(0) == (24, 24)
    assert "6 songs with labels without a known standard deviation" in " ".join(corpus.remarks)


@pytest.mark.parametrize("design", [Design(), STATIC])
def test_files_as_people_save_them(folder: Path, design: Design) -> None:
    before = emomusic.load(folder, None, design)
    for path in folder.rglob("*.csv"):
        with path.open(encoding="utf-8", newline="") as file:
            rows = [[f"  {cell.strip()} " for cell in row] for row in csv.reader(file, skipinitialspace=True)]
        with path.open("w", encoding="utf-8-sig", newline="") as file:
            csv.writer(file, delimiter=";", lineterminator="\r\n").writerows(rows)
    after = emomusic.load(folder, None, design)
    assert after.clips.equals(before.clips)
    assert after.annotations.equals(before.annotations)


def test_folders_of_other_corpora(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"contains no arousal_cont.* It looks like .*; use the source pmemo\.$"):
        emomusic.load(write_pmemo(tmp_path / "PMEmo"), None)
    with pytest.raises(InputError, match=r"nowhere: no such folder; expected the annotations of emoMusic\.$"):
        emomusic.load(tmp_path / "nowhere", None)
    (tmp_path / "music").mkdir()
    soundfile.write(tmp_path / "music" / "77.wav", np.zeros(800), 8000)
    with pytest.raises(InputError, match=r"music: none of its files is named after a song id, such as 2\.mp3\.$"):
        emomusic.load(folder, tmp_path / "music")


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("labels", "both", "--labels both: expected dynamic or static"),
        ("split", "mediaeval2015", "--split mediaeval2015: expected albums, artists or official"),
    ],
)
def test_wrong_options(folder: Path, option: str, value: str, message: str) -> None:
    ran = CliRunner().invoke(app, ["build-data", "emomusic", "--annotations", str(folder), f"--{option}", value])
    assert ran.exit_code == 2
    assert message in ran.output


def test_the_published_files(real_data: Path) -> None:
    dynamic = emomusic.load(real_data / "emomusic", None)
    assert len(dynamic.clips) == 744
    assert set(dynamic.clips.select("start", "duration").iter_rows()) == {(15.0, 30.0)}
    assert dynamic.targets is not None
    assert len(dynamic.targets) == 744 * 30
    assert dynamic.targets["arousal"][0] == pytest.approx(
        np.mean(_row(real_data / "emomusic" / "arousal_cont_average.csv")[1:3]) / 2
    )
    static = emomusic.load(real_data / "emomusic", real_data / "emomusic" / "audio", STATIC)
    assert len(static.clips) == 744
    assert list(static.problems.values()) == ["missing"] * 734
    assert static.targets is not None
    row = static.targets.row(0, named=True)
    # Song 2 has 3.1 ± 0.99443 and 3 ± 0.66667.
    assert (row["clip_id"], row["arousal"], row["valence"]) == ("2", pytest.approx(-0.2375), pytest.approx(-0.25))
    assert 8 * np.sqrt([row["arousal_var"], row["valence_var"]]) == pytest.approx([0.99443, 0.66667])
    # The headers of the files announce a frame more than they have, so a clip of that duration would be truncated.
    path = real_data / "emomusic" / "audio" / "2.mp3"
    samples = decode(path, sample_rate=44_100, duration=row["time"])
    assert len(samples) == round(44_100 * row["time"]) == soundfile.info(path).frames - 576
    artists = dict(static.clips.select("clip_id", "artist").iter_rows())
    assert (artists["2"], artists["5"]) == ("The New Mystikal Troubadours", "My Bubba & Mi")


def _row(path: Path) -> list[float]:
    return [float(cell) for cell in path.read_text(encoding="utf-8").splitlines()[1].split(",")]
