"""DEAM with the evaluation songs of MediaEval 2015 as the test part, from its files to the measures of the task."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import emobench
import numpy as np
import polars as pl
import pytest
from emobench.benchmark.report.mediaeval import per_song_table
from emobench.benchmark.results.model import Result
from emobench.builders import labelled_dataset as labelled
from emobench.cli.main import app
from typer.testing import CliRunner

from .made import plain

DEVELOPMENT = [*range(2, 402), *range(1001, 1032)]
OTHERS = [*range(500, 520)]
EVALUATION = [*range(2001, 2059)]
SONGS = [*DEVELOPMENT, *OTHERS, *EVALUATION]
SAMPLES = [f"sample_{15000 + 500 * place}ms" for place in range(8)]


def _write(path: Path, rows: list[list[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Songs whose means vary, features that follow them, and a list of development songs with a header."""
    root = tmp_path_factory.mktemp("deam")
    (root / "DEAM").mkdir()
    generator = np.random.default_rng(0)
    features: list[list[object]] = [["clip_id", "time", "a", "v"]]
    steps = generator.normal(0, 0.08, (2, len(SONGS), 8)).cumsum(axis=2) + generator.uniform(
        -0.4, 0.4, (2, len(SONGS), 1)
    )
    for axis, values in zip(("arousal", "valence"), steps.clip(-1, 1), strict=True):
        rows = [[song, *each.round(6)] for song, each in zip(SONGS, values, strict=True)]
        _write(root / "DEAM" / f"{axis}.csv", [["song_id", *SAMPLES], *rows])
        _write(root / "DEAM" / f"{axis}_std.csv", [["song_id", *SAMPLES], *([song, *[0.2] * 8] for song in SONGS)])
    noisy = steps.reshape(2, -1, 4, 2).mean(axis=3) + generator.normal(0, 0.1, (2, len(SONGS), 4))
    for song, both in zip(SONGS, noisy.transpose(1, 2, 0), strict=True):
        features += [[song, second + 1, *values] for second, values in enumerate(both)]
    _write(root / "features.csv", features)
    artists = [[song, f"Artist {song // 4}", f"Song {song}"] for song in SONGS]
    _write(root / "DEAM" / "metadata.csv", [["song_id", "Artist", "Song title"], *artists])
    _write(root / "list.csv", [["song_id", "title"], *([song, "any"] for song in DEVELOPMENT)])
    return root


def _build(place: Path, *arguments: str) -> str:
    call = ["build-data", "deam", "--annotations", str(place / "DEAM"), *arguments]
    ran = CliRunner().invoke(app, call)
    assert "Traceback" not in ran.output
    assert ran.exit_code == (0 if "built" in ran.output else 2)
    return ran.output


def _parts(folder: Path) -> dict[str, set[int]]:
    folds = labelled.load(folder).folds
    assert folds["repeat"].unique().to_list() == [0]
    return {str(name): set(rows["clip_id"].cast(pl.Int64)) for (name,), rows in folds.group_by("split")}


def test_the_official_split(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOBENCH_DATA", str(tmp_path))
    _build(place, "--split", "mediaeval2015", "--development", str(place / "list.csv"))
    parts = _parts(tmp_path / "deam-mediaeval2015")
    assert parts["test"] == set(EVALUATION)
    assert parts["train"] | parts["verification"] == set(DEVELOPMENT)
    # Five to two, as closely as possible with four songs per artist.
    assert abs(len(parts["train"]) - 431 * 5 / 7) <= 4
    assert not {song // 4 for song in parts["train"]} & {song // 4 for song in parts["verification"]}
    card = (tmp_path / "deam-mediaeval2015" / "README.md").read_text(encoding="utf-8")
    assert "its 431 development songs, from a list" in card
    assert "Whole albums" not in card
    assert "| groups in the folds |" in card


def test_a_list_with_quotes(place: Path, tmp_path: Path) -> None:
    lines = [f' "{song}", "A title, with a comma"' for song in DEVELOPMENT]
    (tmp_path / "quoted.csv").write_text("\n".join(lines))
    given = ("--split", "mediaeval2015", "--development", str(tmp_path / "quoted.csv"), "--out", str(tmp_path / "d"))
    _build(place, *given)
    parts = _parts(tmp_path / "d")
    assert parts["train"] | parts["verification"] == set(DEVELOPMENT)


def test_the_split_without_a_list_is_not_the_official_one(place: Path, tmp_path: Path) -> None:
    _build(place, "--split", "evaluation2015", "--out", str(tmp_path / "d"))
    parts = _parts(tmp_path / "d")
    assert parts["test"] == set(EVALUATION)
    assert parts["train"] | parts["verification"] == {*DEVELOPMENT, *OTHERS}
    assert "not the official split of that task: all 451 other songs" in (tmp_path / "d" / "README.md").read_text()


def test_another_list_is_another_dataset(place: Path, tmp_path: Path) -> None:
    given = ("--split", "mediaeval2015", "--out", str(tmp_path / "d"), "--development")
    _build(place, *given, str(place / "list.csv"))
    swapped = [*DEVELOPMENT[1:], OTHERS[0]]
    (tmp_path / "other.txt").write_text("\n".join(f"{song:04}" for song in swapped))
    assert "exists with other content (different source)" in _build(place, *given, str(tmp_path / "other.txt"))


WRONG = {
    "nothing.txt: no such file": None,
    "expected one song id per line (line 2: 'x', line 3: '-5')": "song_id\nx\n-5\n7\n",
    "duplicate songs: 2.": "\n".join(map(str, [*DEVELOPMENT, 2])),
    "songs without annotations, or from the evaluation part: 2001.": "\n".join(map(str, [*DEVELOPMENT[1:], 2001])),
    "songs without annotations, or from the evaluation part: 1999.": "\n".join(map(str, [*DEVELOPMENT[1:], 1999])),
    "lists 430 songs; expected the 431": "\n".join(map(str, DEVELOPMENT[1:])),
    "lists 0 songs; expected the 431": "",
}


@pytest.mark.parametrize("message", WRONG)
def test_wrong_lists(place: Path, tmp_path: Path, message: str) -> None:
    text = WRONG[message]
    path = tmp_path / ("nothing.txt" if text is None else "list.txt")
    if text is not None:
        path.write_text(text)
    out = _build(place, "--split", "mediaeval2015", "--development", str(path), "--out", str(tmp_path / "d"))
    assert message in out
    assert out.count("\n") == 1
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--split", "mediaeval2015"], "requires --development"),
        (["--split", "mediaeval2014"], "expected albums, artists, official, mediaeval2015 or evaluation2015"),
        (["--development", "list.csv"], "can only be used with --split mediaeval2015"),
    ],
)
def test_options_that_do_not_fit(place: Path, given: list[str], message: str) -> None:
    assert message in _build(place, *given)


def test_missing_evaluation_songs(place: Path, tmp_path: Path) -> None:
    (tmp_path / "DEAM").mkdir()
    for path in (place / "DEAM").iterdir():
        kept = [line for line in path.read_text().splitlines() if not line.startswith(("2001,", "2058,"))]
        (tmp_path / "DEAM" / path.name).write_text("\n".join(kept))
    message = "evaluation songs (2001 to 2058) without annotations: 2001, 2058."
    assert message in _build(tmp_path, "--split", "evaluation2015")


def test_results_of_one_repeat(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMOBENCH_DATA", str(tmp_path / "data"))
    _build(place, "--split", "mediaeval2015", "--development", str(place / "list.csv"))
    results = tmp_path / "results"
    given = ["--dataset", str(tmp_path / "data" / "deam-mediaeval2015"), "--out", str(results)]
    ran = CliRunner().invoke(app, ["run", "--features", f"file:{place / 'features.csv'}", *given])
    assert ran.exit_code == 0, ran.output
    assert "±" not in ran.output.replace("hence no ±", "")
    assert "MediaEval 2015, Emotion in Music" in ran.output
    (path,) = results.glob("*/features-*.json")
    predictions = pl.read_parquet(path.with_suffix(".predictions.parquet"))
    assert predictions["clip_id"].n_unique() == 58
    # Both measures as the task defines them, on its scale, computed from the predictions.
    expected = []
    for measure in ("rmse", "r"):
        for axis in ("arousal", "valence"):
            values = []
            for _, song in predictions.group_by("clip_id"):
                x, y = 2 * song[f"true_{axis}"].to_numpy(), 2 * song[axis].to_numpy()
                values.append(np.sqrt(((x - y) ** 2).mean()) if measure == "rmse" else np.corrcoef(x, y)[0, 1])
            expected.append(f"{np.mean(values):.3f}")
    shown = CliRunner().invoke(app, ["leaderboard", "--results", str(results), "--format", "markdown"]).output
    assert "| file:features.csv | 1 |" in shown
    rows = [line.strip("| ").split(" | ") for line in shown.partition("Emotion in Music")[2].splitlines()[2:7]]
    assert rows[0] == ["Feature Type", "RMSE Arousal", "RMSE Valence", "r Arousal", "r Valence"]
    assert rows[2] == ["file:features.csv", *expected]
    assert [row[0] for row in rows[3:]] == ["oracle (clip mean)", "constant (training mean)"]
    assert rows[4][3:] == ["–", "–"]
    checked = CliRunner().invoke(app, ["verify", "--all", str(results)])
    assert checked.exit_code == 0, checked.output


@pytest.mark.parametrize("split", ["mediaeval2015", "evaluation2015"])
def test_published_numbers_of_the_task(place: Path, tmp_path: Path, split: str) -> None:
    given = ["--development", str(place / "list.csv")] if split == "mediaeval2015" else []
    _build(place, "--split", split, *given, "--out", str(tmp_path / "d"))
    table = emobench.reproduce("deam", tmp_path / "d", features=f"file:{place / 'features.csv'}", out=tmp_path / "r")
    assert table.rows[0] == ("CNN and RNN (Malik et al.) [1], published", "0.202", "0.268", "–", "–")
    assert [row[0] for row in table.rows[1:]] == [
        "file:features.csv [ridge]",
        "oracle (clip mean)",
        "constant (training mean)",
    ]
    (path,) = (tmp_path / "r").glob("*/features-*.predictions.parquet")
    songs = pl.read_parquet(path).with_columns(error=2 * (pl.col("valence") - pl.col("true_valence")))
    expected = songs.group_by("clip_id").agg(rmse=(pl.col("error") ** 2).mean().sqrt())["rmse"].to_numpy().mean()
    assert table.records[1]["rmse_valence"] == pytest.approx(expected, rel=1e-9)
    assert table.rows[1][2] == f"{expected:.3f}"
    assert any("SMC 2017" in note and "Split mediaeval2015" in note for note in table.notes)
    assert any("not comparable with those of its participants" in note for note in table.notes) == (
        split == "evaluation2015"
    )


@pytest.mark.parametrize(
    ("split", "excluded", "said"),
    [
        ("mediaeval2015", {}, []),
        ("evaluation2015", {}, ["are not the 431"]),
        ("mediaeval2015", {"2": "missing", "2001": "silent"}, ["2 songs of the split are excluded"]),
    ],
)
def test_limits_of_the_comparison_are_stated(split: str, excluded: dict[str, str], said: list[str]) -> None:
    score = {"mean": 0.25, "std": None, "per_repeat": [0.25], "ci95": None}
    names = [f"{name}_{axis}_per_song" for name in ("rmse", "pearson") for axis in ("arousal", "valence")]
    scores = dict.fromkeys(("mean_distance", "kl_divergence", *names), score)
    whole = plain(dataset=plain()["dataset"] | {"split": split}, scores=scores, excluded=excluded)
    result = Result.model_validate_json(json.dumps(whole))
    table = per_song_table([result], ["MFCC"], name="d", slug="d")
    assert table.rows == [("MFCC", "0.500", "0.500", "0.250", "0.250")]
    assert len(table.notes) == 2 + len(said)
    assert all(text in note for text, note in zip(said, table.notes[2:], strict=True))
