"""``emobench check``: what it finds in datasets, alone and together, and what it leaves alone."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any

import emobench as eb
import numpy as np
import polars as pl
import pytest
from emobench.benchmark.check.checking import check
from emobench.benchmark.check.findings import Findings
from emobench.builders import labelled_dataset as labelled
from emobench.builders.labelled_dataset import LabelledConfig, LabelledDataset
from emobench.cli.main import app
from emobench.errors import InputError
from typer.testing import CliRunner

Make = Callable[..., LabelledDataset]


@pytest.fixture(scope="module")
def make(make_corpus: Any, tmp_path_factory: pytest.TempPathFactory, pool: Executor) -> Make:
    """Build a dataset of 24 clips, each of an album of its own, without audio; a seed gives other ratings."""

    def made(name: str, seed: int, change: Callable[[pl.DataFrame], pl.DataFrame] | None = None) -> LabelledDataset:
        corpus = make_corpus([1] * 24, seed=seed)
        corpus = replace(
            corpus,
            clips=corpus.clips.with_columns(title="Song " + pl.col("clip_id")),
            annotations=corpus.annotations if change is None else change(corpus.annotations),
            source={"type": f"test {name}"},
        )
        out = tmp_path_factory.mktemp("check") / name
        labelled.build(corpus, out, name=name, version="1.0.0", config=LabelledConfig(), pool=pool)
        return labelled.load(out)

    return made


def _kinds(found: Findings) -> list[str]:
    return [finding.kind for finding in found]


def _foreign(dataset: LabelledDataset) -> LabelledDataset:
    """Give the clips other artists."""
    return replace(dataset, clips=dataset.clips.with_columns(artist="Another " + pl.col("artist")))


def test_nothing(make: Make, pool: Executor) -> None:
    one, other = make("one", 1), _foreign(make("other", 2))
    found = check([one, other], pool)
    assert not found and len(found) == 0
    assert found.notes == ("one@1.0.0 and other@1.0.0 have no song in common",)
    assert found.not_checked == tuple(
        f"recordings of {name}@1.0.0 by sound: the dataset has no audio" for name in ("one", "other")
    )
    assert repr(found) == "Findings(one@1.0.0, other@1.0.0: nothing found)"
    assert found.table().shape == (0, 6)


def test_exchanged_axes_of_the_same_songs(make: Make, pool: Executor) -> None:
    one = make("one", 1)
    exchanged = make("other", 1, lambda table: table.rename({"arousal": "valence", "valence": "arousal"}))
    found = check([one, exchanged], pool)
    assert _kinds(found)[:2] == ["songs", "axes"] and set(_kinds(found)[2:]) <= {"splits"}
    (axes,) = [finding for finding in found if finding.kind == "axes"]
    assert axes.datasets == ("one@1.0.0", "other@1.0.0")
    assert len(axes.clips) == 24
    assert "arousal with valence 1.00, valence with arousal 1.00" in axes.measured
    # An independent rating with the axes in order is no finding.
    noisy = make("other", 1, lambda table: table.with_columns(pl.col("arousal", "valence") * 0.8))
    assert "axes" not in _kinds(check([one, noisy], pool))


def test_a_part_of_a_corpus_with_exchanged_axes(make_corpus: Any, tmp_path: Path, pool: Executor) -> None:
    def built(name: str, change: pl.Expr, noise: float) -> LabelledDataset:
        corpus = make_corpus([1] * 120, seed=3)
        generator = np.random.default_rng(0)
        table = corpus.annotations.join(
            pl.DataFrame({"clip_id": corpus.clips["clip_id"], "noise": generator.normal(0, noise, len(corpus.clips))}),
            on="clip_id",
        )
        table = table.with_columns((pl.col("arousal", "valence") + pl.col("noise")).clip(-0.5, 0.5)).with_columns(
            arousal=pl.when(change).then("valence").otherwise("arousal"),
            valence=pl.when(change).then("arousal").otherwise("valence"),
        )
        corpus = replace(
            corpus,
            clips=corpus.clips.with_columns(title="Song " + pl.col("clip_id")),
            annotations=table.drop("noise"),
        )
        labelled.build(corpus, tmp_path / name, name=name, version="1.0.0", config=LabelledConfig(), pool=pool)
        return labelled.load(tmp_path / name)

    year = (pl.col("clip_id") >= "c030") & (pl.col("clip_id") < "c075")
    one, other = built("one", pl.lit(False), 0), built("other", year, 0.05)
    (found,) = [finding for finding in check([one, other], pool) if finding.kind == "axes"]
    named = [first.clip_id for first, _ in found.clips]
    # At the ends of the run, a clip more or less may fit to both.
    assert set(named) >= {f"c{number:03}" for number in range(33, 72)}
    assert len(named) <= 51 and named == sorted(named)
    right = built("right", pl.lit(False), 0.05)
    assert not [finding for finding in check([one, right], pool) if finding.kind == "axes"]


def test_an_inverted_axis(make: Make, pool: Executor) -> None:
    inverted = make("other", 1, lambda table: table.with_columns(-pl.col("valence")))
    found = [each for each in check([make("one", 1), inverted], pool) if each.kind in ("axes", "scale")]
    assert [each.kind for each in found] == ["axes"]
    assert found[0].what == "valence is inverted in one@1.0.0 or in other@1.0.0"


def test_other_scales(make: Make, pool: Executor) -> None:
    # 1 to 9 read as 0 to 10: (x - 5) / 10 instead of (x - 5) / 8.
    narrow = make("other", 1, lambda table: table.with_columns(pl.col("arousal") * 0.8))
    found = [each for each in check([make("one", 1), narrow], pool) if each.kind == "scale"]
    assert len(found) == 1 and found[0].what.startswith("arousal is on different scales")
    assert "0.800 times the spread" in found[0].measured
    shifted = make("other", 1, lambda table: table.with_columns((pl.col("valence") - 0.1).clip(-0.5, 0.5)))
    (moved,) = [each for each in check([make("one", 1), shifted], pool) if each.kind == "scale"]
    assert moved.what.startswith("valence") and "a mean that is -0." in moved.measured


def test_too_few_clips_for_axes(make: Make, pool: Executor) -> None:
    one = make("one", 1)
    other = make("other", 1, lambda table: table.rename({"arousal": "valence", "valence": "arousal"}))
    names = other.clips["artist"].to_list()
    other = replace(other, clips=other.clips.with_columns(artist=pl.Series(names[:9] + [f"X{n}" for n in names[9:]])))
    found = check([one, other], pool)
    assert "axes" not in _kinds(found)
    assert "axes of one@1.0.0 and other@1.0.0: 9 rated clips in common; 10 are needed" in found.not_checked


def test_one_song_on_two_albums(make: Make, pool: Executor) -> None:
    dataset = make("one", 1)
    clips = dataset.clips.with_row_index("row").with_columns(
        artist=pl.when(pl.col("row") == 7).then(pl.lit("ARTIST, 3")).otherwise("artist"),
        title=pl.when(pl.col("row") == 7).then(pl.lit("song c003!")).otherwise("title"),
    )
    found = check([replace(dataset, clips=clips.drop("row"))], pool)
    assert _kinds(found) == ["songs"]
    assert [[clip.clip_id for clip in group] for group in found[0].clips] == [["c003", "c007"]]
    assert "`group` FILE" in found[0].fix and "c003,c003 / c007,c003" in found[0].fix
    # The folds keep them together once they have one key.
    keys = pl.when(pl.col("clip_id") == "c007").then(pl.lit("artist3/album3")).otherwise("album")
    repaired = dataset.folds.with_columns(album=keys)
    sides = repaired.filter(pl.col("clip_id") == "c003").select("repeat", side="split")
    moved = pl.when(pl.col("clip_id") == "c007").then("side").otherwise("split")
    repaired = repaired.join(sides, on="repeat").with_columns(split=moved).drop("side")
    assert not check([replace(dataset, clips=clips.drop("row"), folds=repaired)], pool)


def test_ids_count_only_in_a_shared_numbering(make: Make, pool: Executor) -> None:
    def sourced(dataset: LabelledDataset, kind: str) -> LabelledDataset:
        manifest = dataset.manifest.model_copy(update={"source": {"type": kind}})
        return replace(_foreign(dataset) if kind != "deam" else dataset, manifest=manifest)

    one, other = make("one", 1), make("other", 2)
    songs = [each for each in check([sourced(one, "deam"), sourced(other, "emomusic")], pool) if each.kind == "songs"]
    assert len(songs) == 1 and "24 pairs by id, in a shared numbering" in songs[0].measured
    assert not check([sourced(one, "deam"), sourced(other, "pmemo")], pool)


def test_similar_targets(make: Make, pool: Executor) -> None:
    dataset = make("one", 1)
    rows = dict(dataset.targets.group_by("clip_id", maintain_order=True))
    copied = rows[("c002",)].with_columns(clip_id=pl.lit("c005"), arousal=pl.col("arousal") + 1e-4)
    targets = pl.concat([rows[key] if key != ("c005",) else copied for key in rows])
    found = check([replace(dataset, targets=targets)], pool)
    similar = [finding for finding in found if finding.kind == "targets"]
    assert [[clip.clip_id for clip in group] for finding in similar for group in finding.clips] == [["c002", "c005"]]
    # Constant curves and curves of a few seconds may well be equal.
    flat = targets.with_columns(arousal=pl.lit(0.1), valence=pl.lit(-0.2))
    assert "targets" not in _kinds(check([replace(dataset, targets=flat)], pool))
    short = targets.filter(pl.col("time") <= 4)
    assert "targets" not in _kinds(check([replace(dataset, targets=short)], pool))
    # Across datasets of different songs.
    other = _foreign(make("other", 2))
    foreign = replace(other, targets=pl.concat([rows[("c002",)].with_columns(clip_id=pl.lit("c009"))]))
    (across,) = check([dataset, foreign], pool)
    assert across.kind == "targets" and across.datasets == ("one@1.0.0", "other@1.0.0")


def test_ratings_and_targets_with_exchanged_axes(make: Make, pool: Executor) -> None:
    dataset = make("one", 1)
    exchanged = dataset.targets.rename({"arousal": "valence", "valence": "arousal"})
    (found,) = check([replace(dataset, targets=exchanged)], pool)
    assert found.kind == "axes" and "in the annotations or in the targets" in found.what


def test_albums_and_doubled_clips(make: Make, pool: Executor) -> None:
    dataset = make("one", 1)
    clips = dataset.clips.with_columns(
        artist=pl.when(pl.col("clip_id") == "c001").then(pl.lit("Artist 0")).otherwise("artist"),
        album=pl.when(pl.col("clip_id") == "c001").then(pl.lit("Album 0")).otherwise("album"),
    )
    (found,) = check([replace(dataset, clips=clips)], pool)
    assert found.kind == "splits" and "artist0/album0" in found.measured
    manifest = dataset.manifest.model_copy(deep=True)
    manifest.config.source["split"] = "official"
    published = check([replace(dataset, clips=clips, manifest=manifest)], pool)
    assert not published
    assert published.notes == ("the published split official of one@1.0.0 has 1 album and 1 artist in several parts",)
    doubled = pl.concat([dataset.folds, dataset.folds.head(1)])
    (twice,) = check([replace(dataset, folds=doubled)], pool)
    assert twice.measured == "1 (c000); expected none"


def test_wrong_datasets(make: Make, pool: Executor, tmp_path: Path) -> None:
    dataset = make("one", 1)
    with pytest.raises(InputError, match=r"named twice; expected different datasets\.$"):
        check([dataset, dataset], pool)
    with pytest.raises(InputError, match="at least one dataset"):
        check([], pool)
    for arguments, message in (
        (["check", tmp_path / "none"], "no dataset there"),
        (["check", dataset.folder, dataset.folder], "named twice"),
        (["check"], "Missing argument"),
        (["check", dataset.folder, "--workers", "0"], "greater than or equal to 1"),
    ):
        ran = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert ran.exit_code == 2
        assert message in ran.stderr.replace("\n", " ")


def test_the_command(make: Make) -> None:
    one = make("one", 1)
    other = make("other", 1, lambda table: table.rename({"arousal": "valence", "valence": "arousal"}))
    ran = CliRunner().invoke(app, ["check", str(one.folder), str(other.folder), "--json", "--workers", "1"])
    assert ran.exit_code == 1
    record = json.loads(ran.stdout)
    assert {finding["kind"] for finding in record["findings"]} >= {"songs", "axes"}
    assert record["findings"][0]["clips"][0] == [
        {"dataset": "one@1.0.0", "clip_id": "c000"},
        {"dataset": "other@1.0.0", "clip_id": "c000"},
    ]
    ran = CliRunner().invoke(app, ["check", str(one.folder), str(other.folder)], env={"COLUMNS": "80"})
    assert ran.exit_code == 1
    assert "To correct this: " in ran.stdout and "`" not in ran.stdout
    ran = CliRunner().invoke(app, ["check", str(one.folder), "--workers", "1"])
    assert ran.exit_code == 0
    assert ran.stdout.splitlines()[0] == "one@1.0.0: nothing found."
    assert eb.check(one).datasets == eb.check(one.folder).datasets == ("one@1.0.0",)


def _table(folder: Path, clips: list[tuple[str, str, str]], labels: list[tuple[Any, ...]]) -> LabelledDataset:
    """Build a dataset from tables of clips (id, artist, title) and of mean ratings on 1 to 9, from two annotators."""
    folder.mkdir()
    with (folder / "clips.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["clip_id", "audio", "artist", "album", "title", "duration"])
        writer.writerows((clip, "", artist, f"Album of {clip}", title, 45) for clip, artist, title in clips)
    with (folder / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["clip_id", "annotator_id", "arousal", "valence"])
        for clip, arousal, valence in labels:
            writer.writerows(
                (clip, who, float(arousal) + d, float(valence) + d) for who, d in (("a", 0.1), ("b", -0.1))
            )
    eb.build_dataset(
        "table", clips=folder / "clips.csv", labels=folder / "labels.csv", scale=(1, 9), out=folder / "built", workers=1
    )
    return eb.load_dataset(folder / "built")


def test_the_exchanged_axes_of_deam(real_data: Path, tmp_path: Path, pool: Executor) -> None:
    """DEAM's file of static ratings, as published, against emoMusic's."""
    static = pl.read_csv(real_data / "deam" / "song_level" / "static_1_2000_excerpt.csv")
    static = static.rename(str.strip)
    own = pl.read_csv(real_data / "emomusic" / "static_annotations.csv")
    # The songs have the same names here; the ids have nothing to do with it.
    deam = _table(
        tmp_path / "deam",
        [(f"d{song}", f"Artist {song}", f"Title {song}") for song in static["song_id"]],
        [(f"d{song}", arousal, valence) for song, valence, _, arousal, _ in static.iter_rows()],
    )
    emomusic = _table(
        tmp_path / "emomusic",
        [(str(song), f"Artist {song}", f"Title {song}") for song in own["song_id"]],
        [
            (str(song), row["mean_arousal"], row["mean_valence"])
            for song, row in zip(own["song_id"], own.to_dicts(), strict=True)
        ],
    )
    found = check([deam, emomusic], pool)
    (axes,) = [finding for finding in found if finding.kind in ("axes", "scale")]
    assert axes.kind == "axes" and len(axes.clips) == len(static) == 38
    assert "arousal with valence 1.00, valence with arousal 1.00" in axes.measured


def test_emomusic_in_deam(real_data: Path, tmp_path: Path, pool: Executor) -> None:
    for name, labels in (("emomusic", "static"), ("deam", "dynamic")):
        folder = real_data / name
        eb.build_dataset(name, annotations=folder, split="official", labels=labels, out=tmp_path / name, workers=1)
    emomusic, deam = (eb.load_dataset(tmp_path / name) for name in ("emomusic", "deam"))
    found = check([emomusic, deam], pool)
    # Counted from the lists of ids.
    test, train = (set((real_data / "splits" / name).read_text().split()) for name in ("emomusic.test", "deam.train"))
    both = {clip for clip in test if clip in train}
    splits = {finding.datasets: finding for finding in found if finding.kind == "splits"}
    ours = splits["emomusic@1.0.0", "deam@1.0.0"]
    assert len(both) == 82 and len(test) == 125
    assert {one.clip_id for one, _ in ours.clips} == both
    assert ours.what == "82 of 125 test clips of emomusic@1.0.0 are in the training part of deam@1.0.0"
    (songs,) = [finding for finding in found if finding.kind == "songs"]
    assert songs.what.startswith("744 of 744 clips of emomusic@1.0.0")
    # The reader of DEAM corrects the axes, and dynamic ratings are in order.
    assert not [finding for finding in found if finding.kind in ("axes", "scale")]
