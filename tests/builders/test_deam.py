"""DEAM: its folder as published, ratings of workers and means, folds by album or artist, and what may be wrong."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import soundfile
from emobench.builders import deam, labelled, sources
from emobench.builders.labelled import LabelledConfig
from emobench.builders.synthesis import render_excerpt
from emobench.builders.targets import TargetConfig, target_table
from emobench.cli import app
from emobench.errors import InputError
from typer.testing import CliRunner

STAMPS = [15000 + 500 * place for place in range(8)]
SAMPLES = [f"sample_{stamp}ms" for stamp in STAMPS]
AVERAGED = "annotations/annotations averaged per song"
RATERS = "annotations/annotations per each rater/dynamic (per second annotations)"
DYNAMIC = f"{AVERAGED}/dynamic (per second annotations)"
STATIC = f"{AVERAGED}/song_level/static_annotations_averaged_songs_1_2000.csv"
SONGS = ("2", "3", "1001", "1002", "2001")


def _table(path: Path, rows: list[list[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)


def _text(path: Path, text: str, encoding: str = "utf-8") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))


def _ratings(axis: str, song: str) -> np.ndarray:
    """Of five workers, eight half seconds; arousal is high where valence is low."""
    generator = np.random.default_rng([int(song), axis == "arousal"])
    level = 0.5 if axis == "arousal" else -0.4
    return np.round(np.clip(level + generator.normal(0, 0.2, (5, 8)), -1, 1), 4)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small DEAM: song 3 without names of workers, song 1002 without their rows, 2001 without deviations."""
    root = tmp_path / "DEAM"
    for axis in ("arousal", "valence"):
        means: list[list[object]] = [["song_id", *SAMPLES, "sample_19000ms"]]
        for song in SONGS:
            table = _ratings(axis, song)
            means.append([song, *table.mean(axis=0).round(6), ""])
            if song in ("1002", "2001"):
                continue
            rows: list[list[object]] = [["WorkerId", *SAMPLES]]
            rows += [[f"w{worker}", *row] for worker, row in enumerate(table)]
            if song == "3":
                rows = [row[1:] for row in rows]
            _table(root / RATERS / axis / f"{song}.csv", rows)
        _table(root / DYNAMIC / f"{axis}.csv", means)
        _table(root / DYNAMIC / f"{axis}_std.csv", [["song_id", *SAMPLES], ["1002", *[0.2] * 8]])
    static = "song_id, valence_mean, valence_std, arousal_mean, arousal_std\n"
    _text(root / STATIC, static + "".join(f"{song}, 3.1, 1.2, 7.1, 1.6\n" for song in SONGS))
    _text(
        root / "metadata/metadata_2013.csv",
        "song_id,file_name,Artist,Song title,start of the segment (min.sec),end of the segment (min.sec),Genre\n"
        '2,2.mp3,"\tThe New Mystikal Troubadours","Tonight, ""A Lonely"" Century",1.02,1.47,Blues\n'
        "3,3.mp3,坂本龍一,Intoxicated,0.1,0.55,Pop\n",
    )
    _text(
        root / "metadata/metadata_2014.csv",
        "Id,Artist,Album,Track,Genre,segment start,segment end,Unnamed\n"
        "1001,Hélène,Été,Matin,Rock,0:10,0:55,tag,another,and one more\n"
        "1002,The New Mystikal Troubadours,Known,Song,Rock,0:10,0:55\n",
        "cp1252",
    )
    _text(root / "metadata/metadata_2015.csv", "id,Filename,title,artist,album,genre\n2001,x.mp3,T,n/a,n/a,Rock\n")
    return root


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
    assert own["arousal"].to_numpy() == pytest.approx(_ratings("arousal", "2").ravel() / 2)
    assert own["valence"].to_numpy() == pytest.approx(_ratings("valence", "2").ravel() / 2)
    targets = target_table(own, TargetConfig())
    seconds = np.array([_ratings(axis, "2").reshape(5, 4, 2).mean(axis=2) / 2 for axis in ("arousal", "valence")])
    assert targets["time"].to_list() == [1, 2, 3, 4]
    assert targets["n"].to_list() == [5] * 4
    for second in range(4):
        covariance = np.cov(seconds[:, :, second])
        found = targets.row(second, named=True)
        assert found["arousal"] == pytest.approx(seconds[0, :, second].mean())
        assert (found["arousal_var"], found["covariance"]) == pytest.approx((covariance[0, 0], covariance[0, 1]))


def test_workers_are_told_by_name_or_by_row(folder: Path) -> None:
    table = _ratings("valence", "2")
    rows = [["WorkerId", *SAMPLES], *([f"w{worker}", *table[worker]] for worker in (3, 1, 4, 0))]
    _table(folder / RATERS / "valence" / "2.csv", [*rows, ["another", *table[2]]])
    annotations = deam.load(folder, None).annotations
    own = annotations.filter((pl.col("clip_id") == "2") & (pl.col("time") == 0.5))
    assert own["annotator_id"].to_list() == ["w0", "w1", "w3", "w4"]
    assert own["valence"].to_list() == pytest.approx((table[[0, 1, 3, 4], 0] / 2).tolist())
    nameless = annotations.filter((pl.col("clip_id") == "3") & (pl.col("time") == 0.5))
    assert nameless["annotator_id"].to_list() == ["3:1", "3:2", "3:3", "3:4", "3:5"]


def test_seconds_with_one_worker_are_left_out(folder: Path) -> None:
    for axis in ("arousal", "valence"):
        rows = [["", *row] for row in _ratings(axis, "2").tolist()]
        for row in rows[1:]:
            row[-2:] = ["NaN", ""]
        _table(folder / RATERS / axis / "2.csv", [["WorkerId", *SAMPLES], *rows])
    corpus = deam.load(folder, None)
    own = corpus.annotations.filter(pl.col("clip_id") == "2")
    assert own["time"].max() == 3
    assert own["trace"].n_unique() == 5
    assert corpus.clips.filter(pl.col("clip_id") == "2")["duration"].item() == 3


def test_ratings_on_a_scale_of_ten(folder: Path) -> None:
    before = deam.load(folder, None)
    for path in (folder / RATERS).rglob("*.csv"):
        header, *rows = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
        wide = [[cell if cell.startswith("w") else f"{10 * float(cell):.3f}" for cell in row] for row in rows]
        _table(path, [list(header), *(list(row) for row in wide)])
    after = deam.load(folder, None)
    for axis in ("arousal", "valence"):
        assert after.annotations[axis].to_list() == pytest.approx(before.annotations[axis].to_list(), abs=1e-9)


def test_means_have_variances_and_no_covariance(folder: Path) -> None:
    corpus = deam.load(folder, None)
    assert corpus.targets is not None
    assert corpus.targets["clip_id"].unique(maintain_order=True).to_list() == ["1002", "2001"]
    assert corpus.targets["covariance"].to_list() == [0] * 8
    assert corpus.targets["n"].to_list() == [None] * 8
    by_half_second = corpus.targets.filter(pl.col("clip_id") == "1002")
    assert by_half_second["arousal_var"].to_list() == pytest.approx([0.1**2] * 4)
    expected = _ratings("arousal", "1002").mean(axis=0).reshape(4, 2).mean(axis=1) / 2
    assert by_half_second["arousal"].to_list() == pytest.approx(expected.tolist(), abs=1e-6)
    # 1.6 of the 8 points from 1 to 9 are 0.2 of the width of 1.
    by_song = corpus.targets.filter(pl.col("clip_id") == "2001")
    assert by_song["arousal_var"].to_list() == pytest.approx([0.2**2] * 4)
    assert by_song["valence_var"].to_list() == pytest.approx([0.15**2] * 4)
    assert "2 songs carry means only" in corpus.about.notes


def test_workers_of_one_axis_each_give_means(folder: Path) -> None:
    table = _ratings("valence", "2")
    rows = [["WorkerId", *SAMPLES], *([f"other{worker}", *row] for worker, row in enumerate(table))]
    _table(folder / RATERS / "valence" / "2.csv", rows)
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
    options = sources.Options(annotations=folder, audio=audio)
    sources.build("deam", options, out, version="1.0.0", seed=0, pool=pool)
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
    # The rock of 120 beats a minute: those of the rated part, counted from its start.
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
    assert "1 by their album, 3 by their artist" in card
    assert "Whole albums are dealt" not in card
    assert "their covariance is 0 because it is not known" in card


def test_labels_that_outlast_the_audio_are_cut(folder: Path, audio: Path, pool: Executor) -> None:
    sound, rate = soundfile.read(audio / "2.ogg")
    soundfile.write(audio / "2.ogg", sound[: int(18.6 * rate)], rate)
    soundfile.write(audio / "3.ogg", sound[: int(17.5 * rate)], rate)
    corpus = deam.load(folder, audio)
    assert dict(corpus.clips.select("clip_id", "duration").iter_rows())["2"] == 3.5
    assert corpus.annotations.filter(pl.col("clip_id") == "2")["time"].max() == 3.5
    labelled.build(corpus, folder / "out", name="d", version="1.0.0", config=LabelledConfig(), pool=pool)
    assert labelled.load(folder / "out").manifest["excluded"] == {"3": "too_short"}


def test_dry_run_says_what_it_would_build(folder: Path, audio: Path, tmp_path: Path) -> None:
    place = tmp_path / "out"
    given = ["--annotations", str(folder), "--audio", str(audio), "--out", str(place)]
    ran = CliRunner().invoke(app, ["build-data", "deam", *given, "--dry-run"])
    assert ran.exit_code == 0, ran.output
    assert f"would build {place} (labelled; 5 clips, 4 artists, 5 clips with audio" in ran.output
    assert "songs_of_means: 2" in ran.output
    assert not place.exists()


@pytest.mark.parametrize("name", ["DEAM", "another"])
def test_the_same_folder_elsewhere_is_the_same_corpus(
    folder: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(folder, tmp_path / "elsewhere" / name)
    first, second = deam.load(folder, None), deam.load(tmp_path / "elsewhere" / name, None)
    assert first.source == second.source
    assert first.annotations.equals(second.annotations)
    monkeypatch.chdir(folder)
    assert deam.load(Path(), None).source == first.source


def test_metadata_beside_the_annotations_wherever_one_stands(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = deam.load(folder / "annotations", None).source
    assert first["files"] == 14
    monkeypatch.chdir(folder / "annotations")
    assert deam.load(Path(), None).source == first
    (folder / "metadata").rename(folder / "annotations" / "metadata")
    assert deam.load(Path("../annotations"), None).source == first


def _replaced(place: str, old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        text = (folder / place).read_text(encoding="utf-8")
        assert old in text
        (folder / place).write_text(text.replace(old, new), encoding="utf-8")

    return change


def _swap(folder: Path) -> None:
    first, second = (folder / DYNAMIC / f"{axis}.csv" for axis in ("arousal", "valence"))
    (folder / "kept").write_bytes(first.read_bytes())
    second.replace(first)
    (folder / "kept").replace(second)


def _copied(place: str, other: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / other).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / place, folder / other)

    return change


def _removed(place: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (shutil.rmtree if (folder / place).is_dir() else Path.unlink)(folder / place)

    return change


WRONG: dict[str, Callable[[Path], None]] = {
    r"arousal\.csv and valence\.csv: swapped": _swap,
    r"arousal\.csv: lacks the column song_id": _replaced(f"{DYNAMIC}/arousal.csv", "song_id", "x"),
    r"arousal\.csv: expected the columns sample_15000ms": _replaced(f"{DYNAMIC}/arousal.csv", "sample_", "x"),
    r"valence\.csv: 1 song_id are no number \('\.\./2001'\)": _replaced(f"{DYNAMIC}/valence.csv", "2001,", "../2001,"),
    r"arousal\.csv: 1 song_id are no number \('٢'\)": _replaced(f"{DYNAMIC}/arousal.csv", "\n2,", "\n٢,"),
    r"arousal\.csv: 1 song_id are no number \('9{40}'\)": _replaced(
        f"{DYNAMIC}/arousal.csv", "\n2,", f"\n{'9' * 5000},"
    ),
    r"arousal\.csv: column 'sample_9{20}ms': expected sample_<milliseconds>ms within three hours": _replaced(
        f"{DYNAMIC}/arousal.csv", "sample_18500ms", f"sample_{'9' * 20}ms"
    ),
    r"valence\.csv: column 'sample_9000000000ms': expected": _replaced(
        f"{DYNAMIC}/valence.csv", "sample_18500ms", "sample_9000000000ms"
    ),
    r"2\.csv: column 'sample_x': expected": _replaced(f"{RATERS}/valence/2.csv", "sample_18500ms", "sample_x"),
    r"valence\.csv: 1 songs stand more than once \(3\)": _replaced(f"{DYNAMIC}/valence.csv", "\n2,", "\n003,"),
    r"2 songs stand in one only \(2, 9\)": _replaced(f"{DYNAMIC}/valence.csv", "\n2,", "\n9,"),
    r"_std\.csv: expected numbers from 0 to 1, one a column \(row 2, sample_15000ms: 'x'\)": _replaced(
        f"{DYNAMIC}/arousal_std.csv", "1002,0.2", "1002,x"
    ),
    r"2\.csv: expected numbers from -10 to 10, .*row 2, sample_15000ms: '11'": _replaced(
        f"{RATERS}/arousal/2.csv", f"w0,{_ratings('arousal', '2')[0, 0]}", "w0,11"
    ),
    r"1 files of workers hold ratings beyond -1 to 1 \(.*/arousal/2\.csv\)": _replaced(
        f"{RATERS}/arousal/2.csv", f"w0,{_ratings('arousal', '2')[0, 0]}", "w0,1.5"
    ),
    r"2\.csv: expected .*row 2: 10 cells, and 9 columns": _replaced(f"{RATERS}/arousal/2.csv", "w0,", "w0,0.5,"),
    r"two files for 2; expected one": _copied(f"{RATERS}/arousal/2.csv", f"{RATERS}/arousal/02.csv"),
    r"two files for arousal; expected one": _copied(f"{DYNAMIC}/arousal.csv", "copy/arousal.csv"),
    r"expected the song's number as the file's name": _copied(f"{RATERS}/arousal/2.csv", f"{RATERS}/arousal/a.csv"),
    r"1 songs have files of workers for valence only \(2\)": _removed(f"{RATERS}/arousal/2.csv"),
    r"holds valence\.csv only": _removed(f"{DYNAMIC}/arousal.csv"),
    r"holds no metadata\*\.csv": _removed("metadata"),
    r"metadata_2013\.csv: lacks the column artist": _replaced("metadata/metadata_2013.csv", "Artist", "x"),
    r"metadata_2015\.csv: row 2: song id '2' is no number, or stands twice": _replaced(
        "metadata/metadata_2015.csv", "2001,", "2,"
    ),
    r"_2000\.csv: lacks the column valence_std": _replaced(STATIC, "valence_std", "x"),
    r"_2000\.csv: row 2: song 2: expected means from 1 to 9": _replaced(STATIC, "\n2, 3.1", "\n2, 0.3"),
    r"1 songs have neither two workers .* \(2001\)": _replaced(STATIC, "\n2001", "\n2002"),
}


@pytest.mark.parametrize("message", list(WRONG))
def test_wrong_annotations(folder: Path, message: str) -> None:
    WRONG[message](folder)
    with pytest.raises(InputError, match=message):
        deam.load(folder, None)


def test_swapped_files_are_told_by_the_static_annotations_too(folder: Path) -> None:
    shutil.rmtree(folder / RATERS)
    songs = range(100, 112)
    for axis, value in (("arousal", -0.4), ("valence", 0.6)):
        _table(folder / DYNAMIC / f"{axis}.csv", [["song_id", *SAMPLES], *([song, *[value] * 8] for song in songs)])
    static = "song_id, valence_mean, valence_std, arousal_mean, arousal_std\n"
    _text(folder / STATIC, static + "".join(f"{song}, 3.1, 1.2, 7.1, 1.6\n" for song in songs))
    with pytest.raises(InputError, match="swapped"):
        deam.load(folder, None)


def test_metadata_that_match_nothing(folder: Path) -> None:
    for path in (folder / "metadata").iterdir():
        path.unlink()
    _text(folder / "metadata/metadata_2013.csv", "song_id,Artist,Song title\n77,Artist,Title\n")
    with pytest.raises(InputError, match="no song of the annotations stands in the metadata"):
        deam.load(folder, None)


def test_every_problem_is_listed_at_once(folder: Path, tmp_path: Path) -> None:
    _removed("metadata")(folder)
    _replaced(f"{DYNAMIC}/arousal.csv", "\n2,", "\n77,")(folder)
    music = tmp_path / "music"
    for name in ("a/55.mp3", "b/55.ogg", "cover.jpg"):
        _text(music / name, "")
    with pytest.raises(InputError) as caught:
        deam.load(folder, music)
    message = str(caught.value)
    assert message.startswith("build-data deam: 4 problems: ")
    assert "holds no metadata*.csv" in message
    assert "2 songs stand in one only (2, 77)" in message
    assert "1 songs have more than one file (55: a/55.mp3 and b/55.ogg)" in message
    assert "none of its files answers to a song; expected names such as 2.mp3" in message


def test_missing_folders(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"2 problems: .*nowhere: no such folder.*; .*nothing: no such folder"):
        deam.load(tmp_path / "nowhere", tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"3 problems: .*neither arousal\.csv.*holds no metadata.*holds no audio"):
        deam.load(tmp_path / "empty", tmp_path / "empty")
    with pytest.raises(InputError, match="--annotations: is needed here"):
        sources.survey("deam", sources.Options(), tmp_path / "out", seed=0)
