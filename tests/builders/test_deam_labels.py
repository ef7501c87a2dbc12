"""DEAM: static labels, and folds by album, by artist or of published splits."""

from __future__ import annotations

from concurrent.futures import Executor
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from emobench.builders.build import build_dataset, default_folder
from emobench.builders.readers import deam, emomusic
from emobench.builders.readers.songs.splits import Design
from emobench.errors import InputError

from .deam_folder import STATIC, write_folder, write_text
from .test_deam_static import copy_real, make_levels, static_lines, write_dynamic

HEADER = "song_id, valence_mean, valence_std, arousal_mean, arousal_std\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "DEAM")


def test_static_labels(folder: Path) -> None:
    corpus = deam.load(folder, None, Design("static"))
    # The clip is the whole excerpt, which takes 45 seconds; song 2001 is a whole song whose labels end at 19 s.
    spans = {song: (start, seconds) for song, start, seconds in corpus.clips[["clip_id", "start", "duration"]].rows()}
    assert spans == {"2": (0, 45), "3": (0, 45), "1001": (0, 45), "1002": (0, 45), "2001": (0, 19)}
    assert corpus.targets is not None
    assert corpus.targets["time"].to_list() == corpus.annotations["time"].to_list() == [45, 45, 45, 45, 19]
    for row in corpus.targets.iter_rows(named=True):
        assert (row["arousal"], row["valence"]) == pytest.approx(((7.1 - 5) / 8, (3.1 - 5) / 8))
        assert (row["arousal_var"], row["valence_var"]) == pytest.approx((0.2**2, 0.15**2))
        assert (row["n"], row["covariance"]) == (None, None)
    assert "divide by n, the number of ratings" in corpus.about.notes


def test_exchanged_axes_of_static_labels_are_corrected(tmp_path: Path) -> None:
    levels = make_levels(range(1, 21))
    write_dynamic(tmp_path, levels)
    write_text(tmp_path / STATIC, HEADER + static_lines(levels, exchanged=True, noise=0))
    write_text(tmp_path / "metadata_2013.csv", "song_id,Artist,Song title\n2,Somebody,Title\n")
    corpus = deam.load(tmp_path, None, Design("static"))
    assert corpus.targets is not None
    found = {int(row["clip_id"]): (row["arousal"], row["valence"]) for row in corpus.targets.iter_rows(named=True)}
    for song, level in levels.items():
        assert found[song] == pytest.approx((level[0] / 2, level[1] / 2), abs=0.001)
    assert "exchanged in 2013 (20 songs;" in corpus.remarks[0]
    assert corpus.remarks[0] in corpus.about.notes


def test_songs_without_static_ratings_are_left_out(folder: Path) -> None:
    text = (folder / STATIC).read_text(encoding="utf-8")
    write_text(folder / STATIC, text.replace("1001, 3.1, 1.2, 7.1, 1.6\n", ""))
    corpus = deam.load(folder, None, Design("static"))
    assert corpus.clips["clip_id"].to_list() == ["2", "3", "1002", "2001"]
    assert "1 song with dynamic labels but without static ones, left out: 1001." in corpus.remarks
    (folder / STATIC).unlink()
    with pytest.raises(InputError, match=r"contains no static_annotations_averaged_songs_\*\.csv"):
        deam.load(folder, None, Design("static"))


def test_a_whole_song_of_unknown_duration(folder: Path) -> None:
    text = (folder / STATIC).read_text(encoding="utf-8")
    write_text(folder / STATIC, text + "2002, 3.1, 1.2, 7.1, 1.6\n")
    with pytest.raises(InputError, match=r"duration is not known without their audio: 2002; give .* `audio`\.$"):
        deam.load(folder, None, Design("static"))


def test_the_official_split(folder: Path, tmp_path: Path, pool: Executor) -> None:
    # None of its songs is in the test part.
    with pytest.raises(InputError, match="no usable clip is in the test part of the published split"):
        build_dataset("deam", annotations=folder, split="official", out=tmp_path / "out", pool=pool)
    assert not (tmp_path / "out").exists()


def test_folds_by_artist(folder: Path) -> None:
    albums, artists = (deam.load(folder, None, design).grouping for design in (Design(), Design(by_artist=True)))
    assert albums is not None
    assert artists is not None
    # One song of the artist has a known album, another has none.
    assert dict(albums.select("clip_id", "album").iter_rows())["1001"] == "Été"
    assert set(artists["album"]) == {""}
    assert artists["artist"].to_list() == [
        "thenewmystikaltroubadours",
        "坂本龍一",
        "helene",
        "thenewmystikaltroubadours",
        "song 2001",
    ]


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({}, "deam"),
        ({"split": "artists"}, "deam-artists"),
        ({"labels": "static"}, "deam-static"),
        ({"labels": "static", "split": "official"}, "deam-static-official"),
        ({"labels": "static", "split": "evaluation2015"}, "deam-static-evaluation2015"),
    ],
)
def test_names(folder: Path, tmp_path: Path, options: dict[str, str], name: str) -> None:
    assert default_folder("deam", tmp_path, annotations=folder, **options).name == name


def test_static_labels_are_those_of_emomusic(real_data: Path, tmp_path: Path) -> None:
    ours = deam.load(copy_real(real_data, tmp_path / "DEAM"), None, Design("static"))
    theirs = emomusic.load(real_data / "emomusic", None, Design("static"))
    assert ours.targets is not None
    assert theirs.targets is not None
    both = ours.targets.join(theirs.targets, on="clip_id", suffix="_emomusic")
    assert (len(ours.clips), len(both)) == (45, 38)
    for axis in ("arousal", "valence"):
        assert both[axis].to_numpy() == pytest.approx(both[f"{axis}_emomusic"].to_numpy(), abs=0.001)
        # One divides by n, the other by n - 1, for ten raters in most songs; deviations are rounded to 0.01 of 8.
        ratio = both[f"{axis}_var"].to_numpy() / both[f"{axis}_var_emomusic"].to_numpy()
        assert np.median(ratio) == pytest.approx(0.9, abs=0.01)
    assert (ours.clips.filter(pl.col("clip_id").str.len_chars() == 4)["duration"] > 45).all()
