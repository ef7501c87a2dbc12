"""Published splits of DEAM, emoMusic and PMEmo: the ids that are shipped, and the folds that are built from them."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import Executor
from pathlib import Path

import emobench
import polars as pl
import pytest
from emobench.builders import labelled_dataset as labelled
from emobench.builders.build import build_dataset

PARTS = {"train": "train", "validation": "verification", "test": "test"}
SIZES = {"deam": (1261, 271, 270), "emomusic": (495, 124, 125), "pmemo": (536, 116, 115)}
FOLDER = Path(emobench.__file__).parent / "builders" / "splits"


def _shipped(corpus: str) -> dict[str, str]:
    with (FOLDER / f"{corpus}.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len({row["clip_id"] for row in rows}) == len(rows)
    return {row["clip_id"]: row["split"] for row in rows}


@pytest.mark.parametrize("corpus", SIZES)
def test_the_shipped_ids(corpus: str) -> None:
    counts = Counter(_shipped(corpus).values())
    assert tuple(counts[part] for part in PARTS.values()) == SIZES[corpus]


@pytest.mark.parametrize("corpus", SIZES)
def test_the_ids_are_those_of_recent_papers(real_data: Path, corpus: str) -> None:
    published = {
        song: part
        for name, part in PARTS.items()
        for song in (real_data / "splits" / f"{corpus}.{name}").read_text(encoding="utf-8").split()
    }
    assert _shipped(corpus) == published


def test_test_songs_of_emomusic_in_the_training_part_of_deam() -> None:
    emomusic, deam = (_shipped(corpus) for corpus in ("emomusic", "deam"))
    assert sum(part == "test" and deam[song] == "train" for song, part in emomusic.items()) == 82


def _shared(parts: Mapping[str, str], names: Mapping[str, str]) -> int:
    """Count the test songs whose name is also that of a song in another part."""
    others = {names[song] for song, part in parts.items() if part != "test"}
    return sum(part == "test" and names[song] != "" and names[song] in others for song, part in parts.items())


@pytest.mark.parametrize("corpus", SIZES)
def test_built_folds(real_data: Path, tmp_path: Path, pool: Executor, corpus: str) -> None:
    out = tmp_path / corpus
    build_dataset(corpus, annotations=real_data / corpus, split="official", out=out, pool=pool)
    dataset = labelled.load(out)
    parts = dict(dataset.folds.select("clip_id", "split").iter_rows())
    assert parts == _shipped(corpus)
    assert dataset.folds["repeat"].unique().to_list() == [0]
    artists = dict(dataset.clips.select("clip_id", "artist").iter_rows())
    albums = dict(dataset.folds.select("clip_id", "album").iter_rows())
    if corpus == "emomusic":
        # Two more than by the names as published, because titles are removed from 14 of them.
        assert _shared(parts, artists) == _shared(parts, albums) == 67
        published = _published_artists(real_data / "emomusic" / "songs_info.csv")
        assert _shared(parts, published) == 65
        assert sum(published[song] != artist for song, artist in artists.items()) == 14
    if corpus == "pmemo":
        assert _shared(parts, artists) == 68
        assert _shared(parts, albums) == 30


def _published_artists(path: Path) -> dict[str, str]:
    with path.open(encoding="utf-8", newline="") as file:
        return {row["song_id"]: row["Artist"].strip() for row in csv.DictReader(file)}


@pytest.mark.parametrize("corpus", SIZES)
def test_folds_by_artist_divide_no_artist(real_data: Path, tmp_path: Path, pool: Executor, corpus: str) -> None:
    out = tmp_path / corpus
    build_dataset(corpus, annotations=real_data / corpus, split="artists", out=out, pool=pool)
    dataset = labelled.load(out)
    assert dataset.split == "artists"
    folds = dataset.folds.join(dataset.clips.select("clip_id", "artist"), on="clip_id").filter(pl.col("artist") != "")
    assert folds["repeat"].n_unique() == 5
    assert folds.group_by("repeat", "artist").agg(pl.col("split").n_unique())["split"].max() == 1
