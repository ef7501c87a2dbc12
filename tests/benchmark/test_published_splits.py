"""Published splits: what test clips share with training is counted, stated everywhere and verified, not refused."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import emobench as eb
import numpy as np
import polars as pl
import pytest
import soundfile
from emobench.benchmark.report.tables import tables
from emobench.benchmark.results.checks import Report
from emobench.benchmark.results.store import ResultStore
from emobench.benchmark.scoring.leakage import shared_with_training
from emobench.builders import labelled_dataset as labelled
from emobench.builders.build import build_dataset
from emobench.builders.folds import FoldConfig
from emobench.builders.labelled_dataset import LabelledConfig
from emobench.builders.synthesis import render_excerpt
from emobench.cards.tables import to_rich
from emobench.cli.main import app
from emobench.errors import InputError
from rich.console import Console
from typer.testing import CliRunner

# Artist, album and part of each clip. Shared with training or verification are c8 (artist and album), c9 (artist), and
# not c10 and c11: nobody in particular, and no album.
CLIPS = {
    "c000": ("Björk", "Homogenic", "train"),
    "c001": ("Nina", "Live", "train"),
    "c002": ("Various Artists", "Hits", "train"),
    "c003": ("Unknown", "", "train"),
    "c004": ("Moby", "Play", "train"),
    "c005": ("Nick", "", "verification"),
    "c006": ("Air", "Moon", "verification"),
    "c007": ("Eels", "Souljacker", "verification"),
    "c008": ("bjork", "HOMOGENIC!", "test"),
    "c009": ("Nick", "", "test"),
    "c010": ("Various Artists", "Hits", "test"),
    "c011": ("unknown", "", "test"),
}
SENTENCE = "Published split official: of 4 test clips, 2 share an artist and 1 an album with training or verification."

Build = Callable[..., Path]


@pytest.fixture
def build(make_corpus: Any, tmp_path: Path, pool: Executor) -> Build:
    """Build the clips with a published split, or with folds that are drawn."""

    def built(split: str | None = "official", audio: Path | None = None) -> Path:
        corpus = make_corpus([1] * len(CLIPS))
        names = pl.DataFrame(
            [(clip, *names[:2]) for clip, names in CLIPS.items()], ["clip_id", "artist", "album"], orient="row"
        )
        clips = corpus.clips.drop("artist", "album").join(names, on="clip_id").select(corpus.clips.columns)
        if audio:
            clips = clips.with_columns(audio=pl.col("clip_id") + ".wav")
        parts = {clip: part for clip, (_, _, part) in CLIPS.items()} if split else None
        corpus = replace(
            corpus, clips=clips, parts=parts, settings={"split": split} if split else {}, audio_folder=audio
        )
        out = tmp_path / "data" / (split or "drawn")
        config = LabelledConfig(folds=FoldConfig(repeats=1 if split else 5), min_beats=0)
        labelled.build(corpus, out, name=out.name, version="1.0.0", config=config, pool=pool)
        return out

    return built


def test_counts(build: Build) -> None:
    shared = shared_with_training(labelled.load(build()))
    assert shared is not None
    assert shared.model_dump() == {"test_clips": 4, "artist": 2, "album": 1, "recording": None}
    compared = shared_with_training(labelled.load(build()), [("c000", "c010"), ("c001", "c005"), ("c010", "c004")])
    assert compared is not None and compared.recording == 1
    assert shared_with_training(labelled.load(build(None))) is None


def test_unknown_names_are_not_counted_as_zero(build: Build) -> None:
    dataset = labelled.load(build())
    for columns, expected in (
        ({"album": pl.lit("")}, (2, None)),
        ({"artist": pl.lit(None, pl.String)}, (None, None)),
        ({"artist": pl.col("clip_id")}, (0, 0)),
    ):
        shared = shared_with_training(replace(dataset, clips=dataset.clips.with_columns(**columns)))
        assert shared is not None and (shared.artist, shared.album) == expected


def test_every_table_states_it_and_entries_are_ranked(build: Build, tmp_path: Path) -> None:
    folder, out = build(), tmp_path / "results"
    ran = CliRunner().invoke(app, ["run", "-f", "constant", "--dataset", str(folder), "--out", str(out)])
    assert ran.exit_code == 0, ran.output
    shown = " ".join(ran.stdout.split())
    assert f"{SENTENCE} Shared recordings are not known. Compare with the split artists" in shown
    assert "folds are by album" not in ran.output
    (path,) = out.glob("*/constant-*.json")
    stored = json.loads(path.read_text())["leakage"]
    assert stored["shared_with_training"] == {"test_clips": 4, "artist": 2, "album": 1, "recording": None}
    assert stored["found"] == []
    store = ResultStore(out)
    for table in tables(store.results, None):
        assert any(note.startswith(SENTENCE) for note in table.notes), table.title
    board = eb.leaderboard(out)
    assert SENTENCE in board.to_html(tmp_path / "page.html").read_text(encoding="utf-8")
    compared = CliRunner().invoke(app, ["compare", "constant", "oracle", "--results", str(out)])
    assert SENTENCE in " ".join(compared.stdout.split())
    shown = CliRunner().invoke(app, ["leaderboard", "--results", str(out), "--json"])
    rows = [row for part in json.loads(shown.stdout) for row in part["rows"] if row["features"] == "constant"]
    assert [row["rank"] for row in rows] == [1] and SENTENCE in shown.stdout


def test_predictions_made_elsewhere_state_it_too(build: Build, tmp_path: Path) -> None:
    folder = build()
    targets = labelled.load(folder).targets.select("clip_id", "time", "arousal", "valence")
    result = eb.evaluate(folder, targets, name="perfect", out=tmp_path / "results")
    assert any(note.startswith(SENTENCE) for table in tables([result]) for note in table.notes)


def test_verify_counts_again(build: Build, tmp_path: Path) -> None:
    folder, out = build(), tmp_path / "results"
    (result,) = eb.run(folder, "constant", out=out)[:1]
    assert cast("Report", eb.verify(result, datasets=[folder])).ok
    store = ResultStore(out)
    (read,) = [each for each in store.results if each.features == "constant"]
    for changed in (None, {"artist": 1}):
        shared = read.leakage.shared_with_training
        assert shared is not None
        lying = shared.model_copy(update=changed) if changed else None
        leakage = read.leakage.model_copy(update={"shared_with_training": lying})
        store.write(read.path, read.model_copy(update={"leakage": leakage}), read.predictions)
        report = cast("Report", eb.verify(read.path, datasets=[folder]))
        failures = [line for check in report.checks for line in check.failures]
        assert not report.ok and len(failures) == 1
        assert failures[0].startswith("leakage.shared_with_training: is ")


def test_one_recording_in_two_parts(build: Build, tmp_path: Path) -> None:
    """A drawn split that separates two copies of a recording is refused, a published one is marked."""
    music = tmp_path / "music"
    music.mkdir()
    for place, clip in enumerate(CLIPS):
        # The test clip c009 is the training clip c004 again.
        seed = 4 if clip == "c009" else place
        sound = render_excerpt(
            tempo=90 + 7 * seed, style="rock", drums=True, duration=5.2, seed=seed, sample_rate=22050
        ).audio
        soundfile.write(music / f"{clip}.wav", sound, 22050)
    (result,) = [each for each in eb.run(build(audio=music), "chroma", out=None) if each.features == "chroma"]
    shared = result.leakage.shared_with_training
    assert shared is not None and shared.recording == 1 and result.leakage.found == ()
    with pytest.raises(
        InputError, match=r"one recording under two ids on both sides of a fold: c004 and c009\. To keep"
    ):
        eb.run(build(None, audio=music), "chroma", out=None)


def _names(path: Path, key: str, artist: str, album: str | None) -> dict[str, tuple[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    return {row[key].strip(): (row[artist].strip(), row[album].strip() if album else "") for row in rows}


def test_published_corpora(real_data: Path, tmp_path: Path, pool: Executor) -> None:
    """By the names as published 65 songs of emoMusic and 68 of PMEmo share an artist, and 30 an album.

    emoMusic has two more where titles are removed from the artists. Of PMEmo's, "Various Artists" are nobody, which is
    one song and its album, and two songs of Prince have no album.
    """
    expected = {"emomusic": (125, 67, None), "pmemo": (115, 67, 27)}
    for corpus, counts in expected.items():
        out = tmp_path / corpus
        build_dataset(corpus, annotations=real_data / corpus, labels="static", split="official", out=out, pool=pool)
        (result,) = eb.run(out, "constant", out=None)
        shared = result.leakage.shared_with_training
        assert shared is not None
        assert (shared.test_clips, shared.artist, shared.album) == counts
        assert result.scores["pearson_arousal_per_song"].mean is None
        assert result.scores["ccc_valence_per_song"].mean is None
    named = _names(next((real_data / "pmemo").glob("*metadata*.csv")), "musicId", "artist", "album")
    parts = dict(labelled.load(tmp_path / "pmemo").folds.select("clip_id", "split").iter_rows())
    for column, count in ((0, 68), (1, 30)):
        others = {named[song][: column + 1] for song, part in parts.items() if part != "test"}
        assert sum(part == "test" and named[song][: column + 1] in others for song, part in parts.items()) == count


def test_scores_by_axis(tmp_path: Path, make_corpus: Any, pool: Executor) -> None:
    """Each number of the table against its formula."""
    corpus = make_corpus([1] * 40, seconds=3)
    labelled.build(corpus, tmp_path / "d", name="d", version="1.0.0", config=LabelledConfig(), pool=pool)
    targets = (
        labelled.load(tmp_path / "d")
        .targets.group_by("clip_id", maintain_order=True)
        .agg(pl.col("arousal", "valence").mean())
    )
    generator = np.random.default_rng(3)
    noisy = targets.with_columns(pl.col("arousal") + generator.normal(0, 0.1, 40), pl.col("valence") * 0.5)
    result = eb.evaluate(tmp_path / "d", noisy, name="noisy", task="clip", out=tmp_path / "results")
    table = next(each for each in tables([result]) if each.title.startswith("Scores by axis"))
    assert table.columns[2:6] == ("R²", "RMSE", "CCC", "r")
    for row, axis in zip(table.rows, ("arousal", "valence"), strict=True):
        scores = []
        for _, own in result.predictions.group_by("repeat"):
            x, y = own[f"true_{axis}"].to_numpy(), own[axis].to_numpy()
            error = np.mean((x - y) ** 2)
            ccc = 2 * np.mean((x - x.mean()) * (y - y.mean())) / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)
            scores.append((1 - error / x.var(), np.sqrt(error), ccc, np.corrcoef(x, y)[0, 1]))
        assert row[0] == axis.title()
        assert [cell.partition(" ")[0].replace("−", "-") for cell in row[2:6]] == [
            f"{m:.3f}" for m in np.mean(scores, axis=0)
        ]
    table = replace(table, rows=[(row[0], "a name of thirty-six letters, [ridge]", *row[2:]) for row in table.rows])
    narrow = io.StringIO()
    Console(width=80, file=narrow).print(to_rich(table))
    assert all(cell in narrow.getvalue() for cell in table.rows[0][2:6])
    assert "Columns left out for lack of space: R² 95" in narrow.getvalue()
    for name in ("r2", "ccc", "pearson"):
        assert result.scores[f"{name}_arousal_per_song"].mean is None
    assert result.scores["rmse_arousal_per_song"].mean is not None
