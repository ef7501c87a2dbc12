"""Leakage: what makes a run fail, what marks its entries, and what is not a leak."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import soundfile
from emobench.benchmark.scoring.leakage import Leakage, examine
from emobench.benchmark.scoring.task import Task, load_task
from emobench.builders import labelled_dataset as labelled
from emobench.builders.labelled_dataset import LabelledConfig
from emobench.builders.manifest import Settings
from emobench.cli.main import app
from emobench.errors import InputError
from typer.testing import CliRunner

Columns = tuple[list[str], np.ndarray]


@pytest.fixture(scope="module")
def task(make_corpus: Any, tmp_path_factory: pytest.TempPathFactory, pool: Executor) -> Task:
    out = tmp_path_factory.mktemp("leakage") / "tiny"
    corpus = make_corpus([1] * 18 + [2] * 6, seconds=6)
    labelled.build(corpus, out, name="tiny", version="1.0.0", config=LabelledConfig(), pool=pool)
    return load_task(labelled.load(out))


@pytest.fixture
def look(task: Task, pool: Executor) -> Callable[..., Leakage]:
    """Return a function that examines the task with other tables or features."""

    def examined(
        *, files: dict[str, Columns] | None = None, joined: list[tuple[str, ...]] | None = None, **tables: pl.DataFrame
    ) -> Leakage:
        changed = replace(task, dataset=replace(task.dataset, **tables)) if tables else task
        return examine(changed, [], files or {}, pool, joined=joined or [])

    return examined


def _noise(task: Task, width: int = 3) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(len(task.clip_index), width))


def test_nothing_leaks(look: Any, task: Task) -> None:
    found = look(files={"file:mine.csv": (["x", "y", "z"], _noise(task))})
    assert found.of(["file:mine.csv", "mfcc"]) == []
    assert found.not_checked == ("audio: none available",)
    found.refuse()


@pytest.mark.parametrize("value", [3e38, -3e38, 1e-300])
def test_constant_columns_do_not_leak_however_large(look: Any, task: Task, value: float) -> None:
    constant = np.full((len(task.clip_index), 2), value)
    assert look(files={"file:mine.csv": (["x", "y"], constant)}).of(["file:mine.csv"]) == []


def test_an_album_on_both_sides(look: Any, task: Task) -> None:
    folds = task.dataset.folds
    album = folds.group_by("album").len().filter(pl.col("len") > 5).sort("album")["album"][0]
    one = folds.filter(pl.col("album") == album)["clip_id"][0]
    moved = folds.with_columns(
        split=pl.when(pl.col("clip_id") == one)
        .then(pl.when(pl.col("split") == "test").then(pl.lit("train")).otherwise(pl.lit("test")))
        .otherwise(pl.col("split"))
    )
    found = look(folds=moved)
    assert found.of([]) == [f"albums on both sides of a fold: {album}"]
    with pytest.raises(
        InputError, match=rf"^leakage: albums on both sides of a fold: {album}\. To keep clips together in folds, build"
    ):
        found.refuse()


def test_an_album_whose_names_are_spelt_in_two_ways(look: Any, task: Task) -> None:
    # Two albums of the folds are one by the names in the clips.
    folds = task.dataset.folds.filter(pl.col("repeat") == 0)
    first, second = (folds.filter(pl.col("split") == part)["clip_id"][0] for part in ("train", "test"))
    names = {first: ("Sigur Rós", "Ágætis byrjun"), second: ("sigur ros", "Ágætis  Byrjun!")}
    clips = task.dataset.clips.with_columns(
        artist=pl.col("clip_id").replace_strict({c: n[0] for c, n in names.items()}, default=pl.col("artist")),
        album=pl.col("clip_id").replace_strict({c: n[1] for c, n in names.items()}, default=pl.col("album")),
    )
    (line,) = look(clips=clips).of([])
    assert line == "albums on both sides of a fold: sigurros/agætisbyrjun"


def test_a_clip_that_occurs_twice(look: Any, task: Task) -> None:
    folds = task.dataset.folds
    twice = folds.filter((pl.col("repeat") == 1) & (pl.col("clip_id") == "c003"))
    assert "clips that occur twice in a repeat: c003" in look(folds=pl.concat([folds, twice])).of([])


def test_artists_are_counted_and_fail_if_folds_are_by_artist(look: Any, task: Task) -> None:
    clips = task.dataset.clips.with_columns(
        artist=pl.when(pl.int_range(pl.len()) < 12).then(pl.lit("One")).otherwise(pl.lit("Various Artists"))
    )
    found = look(clips=clips)
    assert found.of([]) == []
    expected = []
    for _, rows in task.dataset.folds.sort("repeat").group_by("repeat", maintain_order=True):
        own = rows.filter(pl.col("clip_id").is_in(clips.filter(pl.col("artist") == "One")["clip_id"].implode()))
        tested = (own["split"] == "test").sum()
        expected.append(int(0 < tested < len(own)))
    assert list(found.artists) == expected
    assert sum(expected) > 0
    assert "artists with clips both in the test part and outside it" in found.remarks()[-1]
    manifest = task.dataset.manifest
    manifest = manifest.model_copy(update={"config": Settings(source={"split": "artists"})})
    by_artist = look(clips=clips, manifest=manifest)
    assert by_artist.of([]) == ["artists on both sides of a fold, though the folds are by artist: one"]


@pytest.mark.parametrize("lag", [0, 2, -1])
def test_a_column_that_follows_a_target(look: Any, task: Task, lag: int) -> None:
    values = _noise(task)
    here = np.arange(len(values))
    there = np.clip(here + lag, 0, len(values) - 1)
    same = task.clip_index[here] == task.clip_index[there]
    values[same, 1] = 3 - 2 * task.targets[there[same], 0]
    (line,) = look(files={"file:/home/me/mine.csv": (["x", "y", "z"], values)}).of(["file:/home/me/mine.csv"])
    at = f" {abs(lag)} s {'later' if lag > 0 else 'earlier'}" if lag else ""
    assert line == f"file:mine.csv contains targets: column y is arousal{at}"


def test_a_column_that_holds_the_clips_mean(look: Any, task: Task) -> None:
    values = _noise(task)
    means = np.array([task.targets[task.clip_index == song, 1].mean() for song in range(len(task.clips))])
    values[:, 2] = means[task.clip_index]
    (line,) = look(files={"file:mine.csv": (["x", "y", "z"], values)}).of(["file:mine.csv"])
    assert line == "file:mine.csv contains targets: column z is valence of the clip's mean"


def test_columns_that_reveal_a_target_together(look: Any, task: Task) -> None:
    values = _noise(task)
    # Neither column alone follows the target; their difference does.
    values[:, 0] = 5 * values[:, 1] + task.targets[:, 0]
    (line,) = look(files={"file:mine.csv": (["x", "y", "z"], values)}).of(["file:mine.csv"])
    assert line.startswith("file:mine.csv predicts arousal of held-out clips almost perfectly")
    assert "it probably contains targets" in line


def test_files_that_reveal_a_target_together(look: Any, task: Task) -> None:
    noise = _noise(task)
    noise[:, 0] = 5 * noise[:, 1] + task.targets[:, 0]
    names = ("file:/home/me/one.csv", "file:two.csv")
    files = {names[0]: (["x"], noise[:, :1]), names[1]: (["y", "z"], noise[:, 1:])}
    assert look(files=files).of(names) == []
    found = look(files=files, joined=[names])
    (line,) = found.of(names)
    assert line.startswith("file:one.csv+file:two.csv predicts arousal of held-out clips almost perfectly")
    assert "mainly by column file:two.csv y, file:one.csv x" in line
    assert found.of(names[:1]) == found.of([names[1], "mfcc"]) == []
    with pytest.raises(InputError, match=r"^leakage: file:one\.csv\+file:two\.csv predicts"):
        found.refuse()


def test_a_column_of_the_table_that_is_scored_otherwise(task: Task, pool: Executor) -> None:
    # With few annotators, covariances are repaired before they are scored.
    changed = task.raw_targets.copy()
    changed[::3, 2] = 0.0
    repaired = replace(task, raw_targets=changed, targets_repaired=0.3)
    values = _noise(task)
    values[:, 1] = 7 * changed[:, 2]
    (line,) = examine(repaired, [], {"file:a.csv": (["x", "y", "z"], values)}, pool).of(["file:a.csv"])
    assert line == "file:a.csv contains targets: column y is arousal_var"


def test_a_good_feature_is_not_a_leak(look: Any, task: Task) -> None:
    values = _noise(task)
    values[:, 0] = task.targets[:, 0] + np.random.default_rng(1).normal(0, 0.03, len(values))
    assert look(files={"file:mine.csv": (["x", "y", "z"], values)}).of(["file:mine.csv"]) == []
    constant = np.ones((len(values), 2))
    assert look(files={"file:mine.csv": (["x", "y"], constant)}).of(["file:mine.csv"]) == []


def test_one_recording_under_two_ids(with_audio: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    music = tmp_path / "music"
    music.mkdir()
    sounds = [soundfile.read(path) for path in sorted((with_audio / "syn" / "audio").glob("*.flac"))]
    for number, (sound, rate) in enumerate(sounds):
        soundfile.write(music / f"c{number}.wav", sound, rate)
    # A clip of another album is the first one again, encoded and quieter.
    sound, rate = sounds[0]
    soundfile.write(music / "twin.mp3", 0.5 * sound, rate, format="MP3")
    names = [*(f"c{number}.wav" for number in range(len(sounds))), "twin.mp3"]
    clips = "".join(f"{name[:-4]},{name},Artist {name},Album {name},,,8\n" for name in names)
    (tmp_path / "clips.csv").write_text("clip_id,audio,artist,album,title,start,duration\n" + clips)
    generator = np.random.default_rng(0)
    labels = "".join(
        f"{name[:-4]},w{worker},{second},{a:.3f},{v:.3f}\n"
        for name in names
        for worker in range(5)
        for second, a, v in zip(range(1, 9), *generator.uniform(-0.4, 0.4, (2, 8)), strict=True)
    )
    (tmp_path / "labels.csv").write_text("clip_id,annotator_id,time,arousal,valence\n" + labels)
    monkeypatch.chdir(tmp_path)
    table = ["--clips", "clips.csv", "--labels", "labels.csv", "--audio", "music"]
    built = CliRunner().invoke(app, ["build-data", "table", *table, "--workers", "1"])
    assert built.exit_code == 0, built.output
    command = ["run", "--features", "spectral_shape", "--dataset", "data/table", "--workers", "1"]
    refused = CliRunner().invoke(app, command)
    assert refused.exit_code == 2, refused.output
    assert (
        "leakage: one recording under two ids on both sides of a fold: c0 and twin. To keep clips together in folds, "
        in refused.stderr
    )
    assert "with --group FILE" in refused.stderr
    assert not (tmp_path / "results").exists()
    allowed = CliRunner().invoke(app, [*command, "--allow-leakage"])
    assert allowed.exit_code == 0, allowed.output
    assert "one recording under two ids" in allowed.stderr
    assert "[leakage allowed]" in allowed.stdout
    (path,) = (tmp_path / "results").glob("*/spectral_shape-leakage-allowed-*.json")
    result = json.loads(path.read_text())
    assert result["config"]["leakage"] == result["leakage"]["found"]
    # The mark is permanent: the entry is not ranked, and a later run without the option fails again.
    board = CliRunner().invoke(app, ["leaderboard", "--json"])
    rows = [row for part in json.loads(board.stdout) for row in part["rows"] if "spectral_shape" in row["features"]]
    assert [row["rank"] for row in rows] == [None]
    assert rows[0]["no_rank"] == "leakage was allowed"
    assert CliRunner().invoke(app, command).exit_code == 2
