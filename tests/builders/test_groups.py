"""Groups of clips: folds keep them together like albums, and invalid tables are refused."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from emobench.builders import labelled_dataset as labelled
from emobench.builders.build import build_dataset, default_folder, survey
from emobench.builders.corpus import LabelledCorpus
from emobench.builders.folds import FoldConfig, fold_table
from emobench.builders.groups import keep_together
from emobench.builders.readers import table
from emobench.cli.main import app
from emobench.errors import InputError
from typer.testing import CliRunner

# Twelve clips on eight albums: two albums have three clips each.
ALBUMS = dict(zip("abcdefghijkl", "AAABBBCDEFGH", strict=True))


@pytest.fixture
def given(tmp_path: Path) -> dict[str, Any]:
    clips = "".join(f"{clip},,Artist,{album},2\n" for clip, album in ALBUMS.items())
    (tmp_path / "clips.csv").write_text(f"clip_id,audio,artist,album,duration\n{clips}")
    rows = [
        f"{clip},{worker},{second},0.{number % 5},-0.{worker}\n"
        for number, clip in enumerate(ALBUMS)
        for worker in (1, 2, 3)
        for second in (1, 2)
    ]
    (tmp_path / "labels.csv").write_text(f"clip_id,annotator_id,time,arousal,valence\n{''.join(rows)}")
    return {"clips": tmp_path / "clips.csv", "labels": tmp_path / "labels.csv"}


def _write(folder: Path, rows: str) -> Path:
    (folder / "groups.csv").write_text(rows)
    return folder / "groups.csv"


def _corpus(given: dict[str, Any]) -> LabelledCorpus:
    return table.load(given["clips"], given["labels"], None)


def test_folds_keep_albums_and_groups_together(given: dict[str, Any], tmp_path: Path, pool: Executor) -> None:
    # Group x joins albums A and C, z joins E and F, and y has a single clip.
    path = _write(tmp_path, "Clip_ID;group\na;x\ng;x\nb;x\ni;z\nj;z\nh;y\n")
    out = tmp_path / "mine"
    build_dataset("table", **given, group=path, out=out, pool=pool)
    dataset = labelled.load(out)
    joined = [set("abcg"), set("def"), set("h"), set("ij"), set("k"), set("l")]
    for (_,), repeat in dataset.folds.group_by("repeat"):
        by_album = repeat.group_by("album").agg("clip_id", pl.col("split").n_unique())
        assert by_album["split"].to_list() == [1] * 6
        assert sorted(map(sorted, by_album["clip_id"])) == sorted(map(sorted, joined))
    assert dataset.manifest.counts["albums"] == 6
    assert dataset.manifest.source["group_sha256"]
    card = (out / "README.md").read_text()
    assert "Further clips are kept together in 3 groups given when the dataset was built" in card
    # The albums of the clips themselves are unchanged.
    assert dict(dataset.clips.select("clip_id", "album").iter_rows()) == ALBUMS


def test_without_groups_that_join_albums_the_folds_are_the_same(given: dict[str, Any], tmp_path: Path) -> None:
    corpus = _corpus(given)
    grouped = keep_together(corpus, _write(tmp_path, "clip_id,group\na,x\nb,x\nk,y\n"))
    assert grouped.grouping is not None
    assert fold_table(grouped.grouping, FoldConfig()).equals(fold_table(corpus.clips, FoldConfig()))


def test_another_table_of_groups_is_another_dataset(given: dict[str, Any], tmp_path: Path, pool: Executor) -> None:
    path = _write(tmp_path, "clip_id,group\na,x\ng,x\n")
    build_dataset("table", **given, group=path, out=tmp_path / "mine", pool=pool)
    [built] = build_dataset("table", **given, group=str(path), out=tmp_path / "mine", pool=pool)
    assert not built.fresh
    with pytest.raises(InputError, match="exists with other content"):
        build_dataset("table", **given, out=tmp_path / "mine", pool=pool)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("clip_id,group\na,x\nz,x\n", r"groups\.csv, row 3: clip_id 'z' is not a clip of this corpus"),
        ("clip_id,group\na,x\nb,y\na,y\n", r"groups\.csv, rows 2 and 4: clip 'a' is in the groups 'x' and 'y'"),
        ("clip_id,cover\na,x\n", r"groups\.csv: lacks the column group"),
        ("clip_id,group\na,\n", r"groups\.csv, row 2: group is empty"),
        ("clip_id,group\n", r"groups\.csv: has no rows"),
        ("version https://git-lfs.github.com/spec/v1\n", r"groups\.csv: is a Git LFS pointer"),
    ],
)
def test_wrong_tables(given: dict[str, Any], tmp_path: Path, rows: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        survey("table", **given, group=_write(tmp_path, rows), out=tmp_path / "mine")


def test_a_group_across_a_published_test_part(given: dict[str, Any], tmp_path: Path) -> None:
    corpus = replace(_corpus(given), parts=dict.fromkeys("al", "test"))
    keep_together(corpus, _write(tmp_path, "clip_id,group\na,x\nl,x\nb,y\nc,y\n"))
    with pytest.raises(
        InputError, match="group 'x' contains clips of different parts of the published split, such as 'b'"
    ):
        keep_together(corpus, _write(tmp_path, "clip_id,group\na,x\nl,x\nb,x\n"))


def test_only_labelled_sources_have_groups(given: dict[str, Any], tmp_path: Path) -> None:
    assert default_folder("table", tmp_path, **given, group="groups.csv") == tmp_path / "table"
    with pytest.raises(InputError, match="the source fma has no option 'group'"):
        survey("fma", metadata=tmp_path, clips=tmp_path, group="x", out=tmp_path / "fma")


def test_the_option(given: dict[str, Any], tmp_path: Path) -> None:
    call = ["build-data", "table", "--clips", str(given["clips"]), "--labels", str(given["labels"]), "--dry-run"]
    ran = CliRunner().invoke(app, [*call, "--group", str(_write(tmp_path, "clip_id,group\nz,x\n"))])
    assert ran.exit_code == 2
    assert "row 2: clip_id 'z' is not a clip of this corpus" in ran.output
    ran = CliRunner().invoke(app, [*call, "--group", str(_write(tmp_path, "clip_id,group\na,x\n"))])
    assert ran.exit_code == 0, ran.output
    assert "group_sha256: " in ran.output
