"""DEAM: its folder as published, ratings of workers and means, and folds by album or artist."""

from __future__ import annotations

import csv
import shutil
from concurrent.futures import Executor
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import soundfile
from emobench.builders import labelled_dataset as labelled
from emobench.builders.build import build_dataset
from emobench.builders.labelled_dataset import LabelledConfig
from emobench.builders.readers import deam
from emobench.builders.synthesis import render_excerpt
from emobench.builders.targets import TargetConfig, target_table
from emobench.cli.main import app
from emobench.errors import InputError
from typer.testing import CliRunner

from .deam_folder import DYNAMIC, RATERS, SAMPLES, SONGS, STATIC, ratings, write_folder, write_table


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "DEAM")


@pytest.fixture
def audio(tmp_path: Path) -> Path:
    place = tmp_path / "MEMD_audio"
    place.mkdir()
    sound = render_excerpt(tempo=120, style="rock", drums=True, duration=19, seed=1, sample_rate=8000).audio
    for song in SONGS:
        soundfile.write(place / f"{song}.ogg", sound, 8000)
    return place


def test_ratings_of_workers(folder: Path) -> None:
    corpus = deam.load(folder, None)
    own = corpus.annotations.filter(pl.col("clip_id") == "2")
    assert own["annotator_id"].unique(maintain_order=True).to_list() == ["w0", "w1", "w2", "w3", "w4"]
    assert own.filter(pl.col("trace") == 0)["time"].to_list() == [0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4]
    assert own["arousal"].to_numpy() == pytest.approx(ratings("arousal", "2").ravel() / 2)
    assert own["valence"].to_numpy() == pytest.approx(ratings("valence", "2").ravel() / 2)
    targets = target_table(own, TargetConfig())
    seconds = np.array([ratings(axis, "2").reshape(5, 4, 2).mean(axis=2) / 2 for axis in ("arousal", "valence")])
    assert targets["time"].to_list() == [1, 2, 3, 4]
    assert targets["n"].to_list() == [5] * 4
    for second in range(4):
        covariance = np.cov(seconds[:, :, second])
        found = targets.row(second, named=True)
        assert found["arousal"] == pytest.approx(seconds[0, :, second].mean())
        assert (found["arousal_var"], found["covariance"]) == pytest.approx((covariance[0, 0], covariance[0, 1]))


def test_workers_are_matched_by_name_or_by_row(folder: Path) -> None:
    table = ratings("valence", "2")
    rows = [["WorkerId", *SAMPLES], *([f"w{worker}", *table[worker]] for worker in (3, 1, 4, 0))]
    write_table(folder / RATERS / "valence" / "2.csv", [*rows, ["another", *table[2]]])
    annotations = deam.load(folder, None).annotations
    own = annotations.filter((pl.col("clip_id") == "2") & (pl.col("time") == 0.5))
    assert own["annotator_id"].to_list() == ["w0", "w1", "w3", "w4"]
    assert own["valence"].to_list() == pytest.approx((table[[0, 1, 3, 4], 0] / 2).tolist())
    nameless = annotations.filter((pl.col("clip_id") == "3") & (pl.col("time") == 0.5))
    assert nameless["annotator_id"].to_list() == ["3:1", "3:2", "3:3", "3:4", "3:5"]


def test_seconds_with_one_worker_are_left_out(folder: Path) -> None:
    for axis in ("arousal", "valence"):
        rows = [["", *row] for row in ratings(axis, "2").tolist()]
        for row in rows[1:]:
            row[-2:] = ["NaN", ""]
        write_table(folder / RATERS / axis / "2.csv", [["WorkerId", *SAMPLES], *rows])
    corpus = deam.load(folder, None)
    own = corpus.annotations.filter(pl.col("clip_id") == "2")
    assert own["time"].max() == 3
    assert own["trace"].n_unique() == 5
    assert corpus.clips.filter(pl.col("clip_id") == "2")["duration"].item() == 3


@pytest.mark.parametrize(("song", "files"), [("2", f"{RATERS}/*/2.csv"), ("1002", f"{DYNAMIC}/*[el].csv")])
@pytest.mark.parametrize(
    ("left_out", "seconds"), [([8], 3), ([7, 8], 3), ([2, 4, 6, 8], 3), ([2, 3, 4, 5, 6, 7, 8], 0)]
)
def test_half_a_second_at_the_end_is_dropped(
    folder: Path, song: str, files: str, left_out: list[int], seconds: int
) -> None:
    for path in folder.glob(files):
        rows = csv.reader(path.read_text(encoding="utf-8").splitlines())
        write_table(path, [[cell for place, cell in enumerate(row) if place not in left_out] for row in rows])
    if not seconds:
        with pytest.raises(InputError, match="songs with neither two workers"):
            deam.load(folder, None)
        return
    corpus = deam.load(folder, None)
    duration = dict(corpus.clips.select("clip_id", "duration").iter_rows())[song]
    own = corpus.annotations.filter(pl.col("clip_id") == song)
    assert duration == seconds
    assert own["time"].to_numpy().max() <= duration
    targets = corpus.targets if song == "1002" else target_table(own, TargetConfig())
    assert targets is not None
    assert targets.filter(pl.col("clip_id") == song)["time"].to_numpy().max() == duration


def test_ratings_on_a_scale_of_ten(folder: Path) -> None:
    before = deam.load(folder, None)
    for path in (folder / RATERS).rglob("*.csv"):
        header, *rows = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
        wide = [[cell if cell.startswith("w") else f"{10 * float(cell):.3f}" for cell in row] for row in rows]
        write_table(path, [list(header), *(list(row) for row in wide)])
    after = deam.load(folder, None)
    for axis in ("arousal", "valence"):
        assert after.annotations[axis].to_list() == pytest.approx(before.annotations[axis].to_list(), abs=1e-9)


def test_means_have_variances_and_no_covariance(folder: Path) -> None:
    corpus = deam.load(folder, None)
    assert corpus.targets is not None
    assert corpus.targets["clip_id"].unique(maintain_order=True).to_list() == ["1002", "2001"]
    assert corpus.targets["covariance"].to_list() == [None] * 8
    assert corpus.targets["n"].to_list() == [None] * 8
    by_half_second = corpus.targets.filter(pl.col("clip_id") == "1002")
    assert by_half_second["arousal_var"].to_list() == pytest.approx([0.1**2] * 4)
    expected = ratings("arousal", "1002").mean(axis=0).reshape(4, 2).mean(axis=1) / 2
    assert by_half_second["arousal"].to_list() == pytest.approx(expected.tolist(), abs=1e-6)
    # 1.6 on a scale from 1 to 9 is 0.2 on a scale of width 1.
    by_song = corpus.targets.filter(pl.col("clip_id") == "2001")
    assert by_song["arousal_var"].to_list() == pytest.approx([0.2**2] * 4)
    assert by_song["valence_var"].to_list() == pytest.approx([0.15**2] * 4)
    assert "2 songs have means only" in corpus.about.notes


def test_unknown_variances_are_null(folder: Path, audio: Path, tmp_path: Path, pool: Executor) -> None:
    (folder / STATIC).unlink()
    std = folder / DYNAMIC / "valence_std.csv"
    rows = [["song_id", *SAMPLES], ["1002", *[0.2] * 4, "", *[0.2] * 3], ["2001", *[0.4] * 8]]
    write_table(std, rows)
    out = tmp_path / "deam"
    [built] = build_dataset("deam", annotations=folder, audio=audio, out=out, pool=pool)
    dataset = labelled.load(out)
    spreads = {
        song: dataset.targets.filter(pl.col("clip_id") == song).select("arousal_var", "valence_var", "covariance")
        for song in ("1002", "2001")
    }
    assert spreads["1002"]["arousal_var"].to_list() == pytest.approx([0.01] * 4)
    # The first half of the third second has no deviation.
    assert spreads["1002"]["valence_var"].is_null().to_list() == [False, False, True, False]
    assert spreads["2001"]["arousal_var"].to_list() == [None] * 4
    assert spreads["2001"]["valence_var"].to_list() == pytest.approx([0.04] * 4)
    assert [each["covariance"].null_count() for each in spreads.values()] == [4, 4]
    assert dataset.targets.select("arousal", "valence").null_count().row(0) == (0, 0)
    assert dataset.targets.select(pl.col(pl.Float64).is_nan().any()).row(0) == (False,) * 6
    assert dataset.beats.filter(pl.col("clip_id") == "2001")["arousal"].is_finite().all()
    note = (
        "2 songs with labels without a known standard deviation (1002, 2001); the variances of these targets are null."
    )
    assert built.manifest.remarks == [note]
    card = (out / "README.md").read_text(encoding="utf-8")
    assert note in card
    assert "`arousal_var` in 1 clip, `valence_var` in 1 clip, `covariance` in 2 clips." in card
    assert "nan" not in card.lower().replace("finance", "")


def test_a_corpus_without_variances(folder: Path, tmp_path: Path, pool: Executor) -> None:
    shutil.rmtree(folder / RATERS)
    for name in ("arousal_std.csv", "valence_std.csv"):
        (folder / DYNAMIC / name).unlink()
    (folder / STATIC).unlink()
    out = tmp_path / "deam"
    build_dataset("deam", annotations=folder, out=out, pool=pool)
    targets = labelled.load(out).targets
    assert targets.select("arousal_var", "valence_var", "covariance").null_count().row(0) == (20, 20, 20)
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "`arousal_var` in 5 clips, `valence_var` in 5 clips, `covariance` in 5 clips." in card
    assert "| `covariance` |" not in card


def test_workers_of_one_axis_each_give_means(folder: Path) -> None:
    table = ratings("valence", "2")
    rows = [["WorkerId", *SAMPLES], *([f"other{worker}", *row] for worker, row in enumerate(table))]
    write_table(folder / RATERS / "valence" / "2.csv", rows)
    targets = deam.load(folder, None).targets
    assert targets is not None
    own = targets.filter(pl.col("clip_id") == "2")
    assert own["n"].to_list() == [5] * 4
    variances = (table / 2).var(axis=0, ddof=1).reshape(4, 2).mean(axis=1)
    assert own["valence_var"].to_list() == pytest.approx(variances.tolist())


def test_metadata_of_three_years(folder: Path) -> None:
    clips = deam.load(folder / "annotations", None).clips
    names = {row["clip_id"]: (row["artist"], row["album"], row["title"]) for row in clips.iter_rows(named=True)}
    assert names == {
        "2": ("The New Mystikal Troubadours", "", 'Tonight, "A Lonely" Century'),
        "3": ("坂本龍一", "", "Intoxicated"),
        "1001": ("Hélène", "Été", "Matin"),
        "1002": ("The New Mystikal Troubadours", "Known", "Song"),
        "2001": ("", "", "T"),
    }


def test_builds_a_dataset(folder: Path, audio: Path, tmp_path: Path, pool: Executor) -> None:
    (audio / "3.ogg").unlink()
    out = tmp_path / "deam"
    build_dataset("deam", annotations=folder, audio=audio, out=out, pool=pool)
    dataset = labelled.load(out)
    assert dict(dataset.clips.select("clip_id", "excluded").iter_rows()) == {
        "2": None,
        "3": "missing",
        "1001": None,
        "1002": None,
        "2001": None,
    }
    assert set(dataset.clips["start"]) == {15.0}
    assert set(dataset.clips["duration"]) == {4.0}
    # Beats of the rated part, at 120 beats per minute, from its start.
    beats = dataset.beats.filter(pl.col("clip_id") == "2")["time"].to_numpy()
    assert beats.min() >= 0
    assert beats.max() <= 4
    assert np.median(np.diff(beats)) == pytest.approx(0.5, abs=0.05)
    assert dataset.targets["clip_id"].unique(maintain_order=True).to_list() == list(SONGS)
    assert dataset.targets.schema["n"] == pl.Int32
    together = dataset.folds.filter(pl.col("clip_id").is_in(["2", "1002"]))
    assert together["album"].unique().to_list() == ["thenewmystikaltroubadours/"]
    albums = dict(dataset.folds.filter(pl.col("repeat") == 0).select("clip_id", "album").iter_rows())
    assert (albums["1001"], albums["2001"]) == ("helene/ete", "song2001/")
    card = (out / "README.md").read_text(encoding="utf-8")
    assert "Songs grouped by album: 1; by artist, because an album of the artist is unknown: 3;" in card
    assert "Whole albums are assigned" not in card
    assert "Their covariance is null because it is not published" in card
    assert "Null, because the source does not provide it: `covariance` in 2 clips." in card
    assert "20 seconds have a target. A second has 5 ratings." in card


def test_labels_that_outlast_the_audio_are_cut(folder: Path, audio: Path, pool: Executor) -> None:
    sound, rate = soundfile.read(audio / "2.ogg")
    soundfile.write(audio / "2.ogg", sound[: int(18.6 * rate)], rate)
    soundfile.write(audio / "3.ogg", sound[: int(17.5 * rate)], rate)
    corpus = deam.load(folder, audio)
    assert dict(corpus.clips.select("clip_id", "duration").iter_rows())["2"] == 3
    assert corpus.annotations.filter(pl.col("clip_id") == "2")["time"].max() == 3
    labelled.build(corpus, folder / "out", name="d", version="1.0.0", config=LabelledConfig(), pool=pool)
    assert labelled.load(folder / "out").manifest.excluded == {"3": "too_short"}


def test_dry_run(folder: Path, audio: Path, tmp_path: Path) -> None:
    place = tmp_path / "out"
    given = ["--annotations", str(folder), "--audio", str(audio), "--out", str(place)]
    ran = CliRunner().invoke(app, ["build-data", "deam", *given, "--dry-run"])
    assert ran.exit_code == 0, ran.output
    assert f"would build {place} (labelled; 5 clips, 4 artists, 5 clips with audio" in ran.output
    assert "songs_of_means: 2" in ran.output
    assert not place.exists()


def test_decoders_print_nothing_for_a_damaged_file(
    folder: Path, audio: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    broken = next(audio.glob("1001.*"))
    broken.unlink()
    broken.with_suffix(".mp3").write_bytes(b"\xff\xfb\x90\x00" + bytes(200))
    assert deam.load(folder, audio).problems == {"1001": "undecodable"}
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["DEAM", "another"])
def test_the_location_of_the_folder_does_not_matter(
    folder: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(folder, tmp_path / "elsewhere" / name)
    first, second = deam.load(folder, None), deam.load(tmp_path / "elsewhere" / name, None)
    assert first.source == second.source
    assert first.annotations.equals(second.annotations)
    monkeypatch.chdir(folder)
    assert deam.load(Path(), None).source == first.source


def test_metadata_beside_or_among_the_annotations(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = deam.load(folder / "annotations", None).source
    assert first["files"] == 14
    monkeypatch.chdir(folder / "annotations")
    assert deam.load(Path(), None).source == first
    (folder / "metadata").rename(folder / "annotations" / "metadata")
    assert deam.load(Path("../annotations"), None).source == first
