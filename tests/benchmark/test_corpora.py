"""Published numbers on emoMusic, PMEmo and DEAM beside ours."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import emobench as eb
import numpy as np
import polars as pl
import pytest
import soundfile
from emobench.benchmark import corpora
from emobench.benchmark.scoring.task import load_task
from emobench.builders.synthesis import render_excerpt
from emobench.cards.tables import Table
from emobench.cli.main import app
from emobench.errors import InputError
from typer.testing import CliRunner

SPLITS = Path(eb.__file__).parent / "builders" / "splits"
SIZES = {"train": 24, "verification": 8, "test": 12}


def songs_of(corpus: str, sizes: dict[str, int] = SIZES) -> list[str]:
    """Return the first songs of each part of the published split."""
    with (SPLITS / f"{corpus}.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [
        row["clip_id"]
        for part, size in sizes.items()
        for row in [each for each in rows if each["split"] == part][:size]
    ]


def write_songs(root: Path, songs: list[str]) -> pl.DataFrame:
    """Write ratings of whole songs and metadata as emoMusic publishes them; return the ratings from -0.5 to 0.5."""
    generator = np.random.default_rng(5)
    levels = generator.uniform(2, 8, (len(songs), 2)).round(3)
    static = [f"{song},{a},1.2,{v},1.1" for song, (a, v) in zip(songs, levels, strict=True)]
    info = [
        f"{song},{song}.mp3,Artist {place // 3},Title {song},0.48,1.33,Blues,development"
        for place, song in enumerate(songs)
    ]
    root.mkdir(parents=True)
    (root / "static_annotations.csv").write_text(
        "\n".join(["song_id,mean_arousal,std_arousal,mean_valence,std_valence", *static, ""])
    )
    segment = "start of the segment (min.sec),end of the segment (min.sec)"
    header = f"song_id,file_name,Artist,Song title,{segment},Genre,Mediaeval 2013 set"
    (root / "songs_info.csv").write_text("\n".join([header, *info, ""]))
    return pl.DataFrame({"clip_id": songs, "a": (levels[:, 0] - 5) / 8, "v": (levels[:, 1] - 5) / 8})


@pytest.fixture
def emomusic(tmp_path: Path) -> Path:
    """A folder with emoMusic's static labels of some songs, ``data/emomusic-static-official`` and features of them."""
    songs = songs_of("emomusic")
    ratings = write_songs(tmp_path / "emomusic", songs)
    noise = np.random.default_rng(6).normal(0, 0.1, (2, len(songs)))
    ratings.with_columns(pl.col("a") + noise[0], pl.col("v") + noise[1]).write_csv(tmp_path / "noisy.csv")
    build(tmp_path, "emomusic-static-official", labels="static", split="official")
    return tmp_path


def build(folder: Path, name: str, **options: Any) -> None:
    eb.build_dataset("emomusic", annotations=folder / "emomusic", out=folder / "data" / name, **options)


def reproduced(folder: Path, name: str = "emomusic", dataset: str = "emomusic-static-official") -> Table:
    return eb.reproduce(
        name, folder / "data" / dataset, features=f"file:{folder / 'noisy.csv'}", out=folder / "results"
    )


def test_published_numbers() -> None:
    """Copied from the README of Music2Emo, Papers with Code (in per cent) and the abstract of Malik et al."""
    found = corpora.published()
    of = {name: {row.method: row for row in getattr(found, name).rows} for name in corpora.CORPORA}
    music2emo = {"emomusic": (0.5957, 0.7489), "pmemo": (0.5360, 0.7772), "deam": (0.5131, 0.6025)}
    for name, (valence, arousal) in music2emo.items():
        (row,) = [each for method, each in of[name].items() if method.startswith("Music2Emo")]
        assert (row.r2_valence, row.r2_arousal) == (valence, arousal)
    assert (of["emomusic"]["Jukebox"].r2_arousal, of["emomusic"]["Jukebox"].r2_valence) == (0.721, 0.617)
    assert (of["emomusic"]["CLMR"].r2_arousal, of["emomusic"]["CLMR"].r2_valence) == (0.678, 0.458)
    (malik,) = found.deam.dynamic
    assert (malik.rmse_arousal, malik.rmse_valence) == (0.202, 0.268)
    used = {
        row.source for name in corpora.CORPORA for row in (*getattr(found, name).rows, *getattr(found, name).dynamic)
    }
    assert used == set(found.sources)


def test_ours_beside_the_published(emomusic: Path) -> None:
    table = reproduced(emomusic)
    assert "Published numbers on emoMusic beside emomusic-static-official@1.0.0" in table.title
    assert [row[0] for row in table.rows] == ["published"] * 3 + ["ours"] * 2
    assert table.rows[0] == ("published", "Music2Emo, trained on emoMusic alone [1]", "0.749", "–", "0.596", "–")
    # R² of the test part, from the stored predictions.
    (path,) = (emomusic / "results").glob("*/noisy*.predictions.parquet")
    predictions = pl.read_parquet(path)
    assert len(predictions) == SIZES["test"]
    ours = table.records[3]
    for axis in ("arousal", "valence"):
        x, y = predictions[f"true_{axis}"].to_numpy(), predictions[axis].to_numpy()
        expected = 1 - np.sum((x - y) ** 2) / np.sum((x - x.mean()) ** 2)
        assert ours[f"r2_{axis}"] == pytest.approx(expected, abs=1e-9)
    assert table.rows[3][:2] == ("ours", "file:noisy.csv [ridge]")
    assert table.rows[3][2] == f"{ours['r2_arousal']:.3f}"
    notes = " ".join(table.notes)
    assert "[1] J. Kang and D. Herremans" in notes and "[2] R. Castellon" in notes
    assert "Split official" in notes and "Published split official: of 12 test clips, " in notes
    assert "Not comparable" not in notes


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"labels": "static"}, "are those of the split albums, not of official"),
        ({"labels": "static", "split": "artists"}, "are those of the split artists, not of official"),
    ],
)
def test_other_splits_are_not_comparable(emomusic: Path, options: dict[str, str], said: str) -> None:
    build(emomusic, "other", **options)
    (line,) = [note for note in reproduced(emomusic, dataset="other").notes if note.startswith("Not comparable")]
    assert said in line


def test_command(emomusic: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default dataset is found by its name."""
    monkeypatch.chdir(emomusic)
    ran = CliRunner().invoke(app, ["reproduce", "emomusic", "-f", "constant", "--json"])
    assert ran.exit_code == 0, ran.output
    (shown,) = json.loads(ran.stdout)
    assert [row["origin"] for row in shown["rows"]] == ["published"] * 3 + ["ours"]
    assert shown["rows"][0]["split"] == "official" and shown["rows"][0]["citation"].startswith("J. Kang")
    for form, piece in (
        ("markdown", "| published | Music2Emo"),
        ("latex", r"\toprule"),
        ("csv", "published,Music2Emo"),
    ):
        ran = CliRunner().invoke(app, ["reproduce", "emomusic", "-f", "constant", "--format", form])
        assert ran.exit_code == 0 and piece in ran.stdout.replace('"', ""), ran.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pmemo"], "data/pmemo-static-official: no dataset there; build it with 'emobench build-data pmemo --annotat"),
        (["deam"], "build it with 'emobench build-data deam --download --labels static --split official'"),
        (["pmemo", "--dataset", "data/emomusic-static-official"], "built from the source emomusic; expected pmemo"),
        (["emomusic"], "has no audio on this machine"),
        (["emomusic", "-f", "file:nothing.csv"], "nothing.csv"),
    ],
)
def test_wrong_datasets(emomusic: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str) -> None:
    monkeypatch.chdir(emomusic)
    ran = CliRunner().invoke(app, ["reproduce", *arguments])
    assert ran.exit_code == 2, ran.output
    assert message in ran.stderr and ran.stderr.strip().count("\n") == 0
    assert not (emomusic / "results").exists()


def test_standard_features(tmp_path: Path) -> None:
    """Without features, the standard ones are extracted, alone and joined."""
    songs = songs_of("emomusic", {"train": 6, "verification": 2, "test": 4})
    write_songs(tmp_path / "emomusic", songs)
    music = tmp_path / "music"
    music.mkdir()
    for place, song in enumerate(songs):
        sound = render_excerpt(
            tempo=90 + 5 * place, style="rock", drums=True, duration=46, seed=place, sample_rate=8000
        )
        soundfile.write(music / f"{song}.ogg", sound.audio, 8000)
    eb.build_dataset(
        "emomusic",
        annotations=tmp_path / "emomusic",
        audio=music,
        labels="static",
        split="official",
        out=tmp_path / "d",
    )
    table = eb.reproduce("emomusic", tmp_path / "d", out=tmp_path / "results")
    methods = {record["method"] for record in table.records if record["origin"] == "ours"}
    names = ["mfcc", "chroma", "spectral_shape", "spectral_contrast"]
    assert methods == {*(f"{name}|ridge" for name in names), "+".join(names) + "|ridge", "constant"}
    assert any("recording" in note for note in table.notes if note.startswith("Published split"))


def test_ratings_over_time_are_not_ratings_of_songs(real_data: Path, tmp_path: Path) -> None:
    eb.build_dataset("emomusic", annotations=real_data / "emomusic", split="official", out=tmp_path / "d")
    table = eb.reproduce("emomusic", tmp_path / "d", features="constant", out=tmp_path / "results")
    # Deviations are published for each half second; those of the songs' means do not follow from them.
    assert load_task(eb.load_dataset(tmp_path / "d"), "clip").known.tolist() == [True, True, False, False, False]
    assert any("clips are rated by the means of their ratings over time" in note for note in table.notes)


def test_unknown_names() -> None:
    with pytest.raises(InputError, match=r"^reproduce vgmidi: nothing of this name to reproduce; expected table1,"):
        eb.reproduce("vgmidi")
