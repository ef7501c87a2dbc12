"""Corpora in two CSV tables: valid tables, and the messages for invalid ones."""

from __future__ import annotations

import json
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import soundfile
from emobench.builders import labelled_dataset as labelled
from emobench.builders.build import build_dataset
from emobench.builders.labelled_dataset import LabelledConfig
from emobench.builders.readers import table
from emobench.builders.sources.table import parse_scale
from emobench.errors import InputError
from huggingface_hub import DatasetCard

CLIPS = """clip_id,audio,artist,album,title,start,duration
a,a.wav,"Sigur Rós, live",Ágætis byrjun,"A ""quoted"" title",0,4
b,b.wav,坂本龍一,音楽図鑑,,,4
c,c.wav,Artist,Third,,,4
"""


def _labels(clips: str = "abc", low: float = 1, high: float = 9) -> str:
    generator = np.random.default_rng(0)
    rows = [
        f"{clip},w{worker},{second},{generator.uniform(low, high):.3f},{generator.uniform(low, high):.3f}"
        for clip in clips
        for worker in range(4)
        for second in (1, 2, 3, 4)
    ]
    return "clip_id,annotator_id,time,arousal,valence\n" + "\n".join(rows) + "\n"


def _load(folder: Path, clips: str = CLIPS, labels: str | None = None, scale: str = "1,9"):
    (folder / "clips.csv").write_text(clips, encoding="utf-8")
    (folder / "labels.csv").write_text(_labels() if labels is None else labels, encoding="utf-8")
    low, high = parse_scale(scale)
    return table.load(folder / "clips.csv", folder / "labels.csv", None, low=low, high=high)


@pytest.fixture
def music(tmp_path: Path) -> Path:
    time = np.arange(4 * 22050) / 22050
    for number, name in enumerate("abc"):
        clicks = np.sin(2 * np.pi * 220 * (number + 1) * time) * np.exp(-20 * (time % 0.5))
        soundfile.write(tmp_path / f"{name}.wav", clicks, 22050)
    return tmp_path


def test_any_script_quotes_and_scale(music: Path, pool: Executor) -> None:
    corpus = _load(music)
    row = corpus.clips.row(0, named=True)
    assert (row["artist"], row["title"]) == ("Sigur Rós, live", 'A "quoted" title')
    assert corpus.clips["artist"][1] == "坂本龍一"
    raw = pl.read_csv(music / "labels.csv")
    assert corpus.annotations["arousal"].to_numpy() == pytest.approx((raw["arousal"].to_numpy() - 5) / 8, abs=1e-12)
    out = music / "out"
    labelled.build(corpus, out, name="own", version="0.1.0", config=LabelledConfig(), pool=pool)
    dataset = labelled.load(out)
    assert dataset.audio_folder() == music.resolve()
    assert set(dataset.folds["split"]) == {"train", "verification", "test"}


def test_ratings_of_whole_clips_are_at_their_ends(music: Path) -> None:
    labels = "clip_id,annotator_id,arousal,valence\n" + "".join(
        f"{clip},{worker},0.{worker},-0.{worker}\n" for clip in "abc" for worker in range(4)
    )
    corpus = _load(music, labels=labels, scale="-0.5,0.5")
    own = corpus.annotations.filter((pl.col("clip_id") == "b") & (pl.col("annotator_id") == "3"))
    assert own["time"].to_list() == [4]
    assert own["arousal"].to_list() == pytest.approx([0.3])
    assert own["valence"].to_list() == pytest.approx([-0.3])


def test_duration_comes_from_the_audio_or_the_last_rating(music: Path) -> None:
    corpus = _load(music, clips="clip_id,audio,artist,album\na,a.wav,x,1\nb,b.wav,x,2\nc,,x,3\n")
    assert corpus.clips["duration"].to_list() == [4, 4, 4]
    assert corpus.problems == {"c": "missing"}


def test_byte_order_mark(music: Path) -> None:
    assert len(_load(music, clips="\ufeff" + CLIPS).clips) == 3


WRONG_CLIPS = {
    r"clips\.csv: lacks the column album": "clip_id,audio,artist\na,a.wav,x\n",
    r"clips\.csv: has no rows": "clip_id,audio,artist,album\n",
    r"clips\.csv, row 3: duplicate clip_id a": "clip_id,audio,artist,album\na,a.wav,x,1\na,b.wav,x,2\n",
    r"clips\.csv, row 2: audio '\.\./a\.wav' is outside the audio": "clip_id,audio,artist,album\na,../a.wav,x,1\n",
    r"clips\.csv, row 2: audio '/etc/passwd' is outside": "clip_id,audio,artist,album\na,/etc/passwd,x,1\n",
    r"clips\.csv, row 2: start is 'soon'": "clip_id,audio,artist,album,start\na,a.wav,x,1,soon\n",
    r"clips\.csv, row 2: start is -1; expected at least 0": "clip_id,audio,artist,album,start\na,a.wav,x,1,-1\n",
    r"clips\.csv, row 2: duration is 0; expected at least 1": "clip_id,audio,artist,album,duration\na,a.wav,x,1,0\n",
    r"clips\.csv, row 2: artist is empty": "clip_id,audio,artist,album\na,a.wav,,1\n",
    r"clips\.csv: not readable as CSV": 'clip_id,audio,artist,album\na,"a.wav,x,1\nb,b,c,d,e,f\n',
}


@pytest.mark.parametrize("message", list(WRONG_CLIPS))
def test_wrong_clips(music: Path, message: str) -> None:
    with pytest.raises(InputError, match=message):
        _load(music, clips=WRONG_CLIPS[message])


HEAD = "clip_id,annotator_id,time,arousal,valence\n"
WRONG_LABELS = {
    r"labels\.csv: lacks the column valence": "clip_id,annotator_id,time,arousal\na,w,1,2\n",
    r"labels\.csv: has no rows": HEAD,
    r"labels\.csv, row 3: arousal is 'calm'; expected a finite number": f"{HEAD}a,w,1,2,3\na,w,2,calm,3\n",
    r"labels\.csv, row 2: valence is 'NaN'; expected a finite number": f"{HEAD}a,w,1,2,NaN\n",
    r"labels\.csv, row 2: valence is 'inf'; expected a finite number": f"{HEAD}a,w,1,2,inf\n",
    r"labels\.csv, row 2: arousal is empty": f"{HEAD}a,w,1,,3\n",
    r"labels\.csv, row 2: time 4\.5 is outside the clip a \(0 to 4 s\)": f"{HEAD}a,w,4.5,2,3\n",
    r"labels\.csv, row 2: time 0 is outside the clip a .*end of the rated second": f"{HEAD}a,w,0,2,3\n",
    r"labels\.csv, row 2: time is 'one'": f"{HEAD}a,w,one,2,3\n",
    r"labels\.csv, row 2: clip_id 'z' is not in the table of clips": f"{HEAD}z,w,1,2,3\n",
    r"labels\.csv, row 2: arousal 11 is outside the scale 1,9; pass": f"{HEAD}a,w,1,11,3\n",
    r"labels\.csv, row 3: annotator_id is empty": f"{HEAD}a,w,1,2,3\na,,1,2,3\n",
    r"labels\.csv, rows 2 and 4: clip 'a' and annotator 'w' appear twice for time 1; expected one rating\. Remove": (
        f"{HEAD}a,w,1,2,3\na,v,1,2,3\na,w,1.0,4,5\n"
    ),
    r"labels\.csv, rows 3 and 4: clip 'a' and annotator 'w' appear twice for the whole clip; .*change annotator_id": (
        f"{HEAD}b,w,,2,3\na,w,,2,3\na,w,,2,3\n"
    ),
    r"labels\.csv, row 3: time is empty; expected a time in every row, for ratings over time, or in none": (
        f"{HEAD}a,w,1,2,3\nb,w,,2,3\n"
    ),
    r"labels\.csv, row 3: time is 1\.0; expected a time in every row": f"{HEAD}a,w,,2,3\nb,w,1,2,3\n",
}


@pytest.mark.parametrize("message", list(WRONG_LABELS))
def test_wrong_labels(music: Path, message: str) -> None:
    with pytest.raises(InputError, match=message):
        _load(music, labels=WRONG_LABELS[message])


def test_repeated_ratings_without_a_column_for_the_time(music: Path) -> None:
    labels = "clip_id,annotator_id,arousal,valence\na,w,1,2\na,v,1,2\na,w,1,2\n"
    with pytest.raises(InputError, match=r"rows 2 and 4: .* appear twice for the whole clip"):
        _load(music, labels=labels)


def test_ratings_that_repeat_nothing(music: Path) -> None:
    # Two ratings within a second, one time in two clips, equal values, and a second pass under another id.
    labels = f"{HEAD}a,w,0.5,2,3\na,w,1,2,3\nb,w,0.5,2,3\na,w-2,0.5,2,3\nc,w,1,2,3\n"
    corpus = _load(music, labels=labels)
    assert corpus.annotations.group_by("clip_id", "trace", maintain_order=True).len().rows() == [
        ("a", 0, 2),
        ("a", 1, 1),
        ("b", 0, 1),
        ("c", 0, 1),
    ]


@pytest.mark.parametrize("scale", ["9,1", "1", "1,2,3", "low,high", "1,inf"])
def test_wrong_scale(scale: str) -> None:
    with pytest.raises(InputError, match="`scale`"):
        parse_scale(scale)


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"clips\.csv: no such file"):
        table.load(tmp_path / "clips.csv", tmp_path / "labels.csv", None)
    (tmp_path / "clips.csv").write_text(CLIPS, encoding="utf-8")
    with pytest.raises(InputError, match=r"labels\.csv: no such file"):
        table.load(tmp_path / "clips.csv", tmp_path / "labels.csv", None)
    with pytest.raises(InputError, match="nowhere: no such folder"):
        table.load(tmp_path / "clips.csv", tmp_path / "labels.csv", tmp_path / "nowhere")


def test_one_album_only(music: Path, pool: Executor) -> None:
    clips = "clip_id,audio,artist,album,duration\n" + "".join(f"{c},{c}.wav,x,one,4\n" for c in "abc")
    corpus = _load(music, clips=clips)
    out = music / "out"
    with pytest.raises(InputError, match="3 usable clips on 1 album: folds need at least 3"):
        labelled.build(corpus, out, name="own", version="1.0.0", config=LabelledConfig(), pool=pool)
    assert not out.exists()


def test_no_clip_with_audio(music: Path, pool: Executor) -> None:
    corpus = _load(music, clips=CLIPS.replace(".wav", ".mp3"))
    with pytest.raises(
        InputError, match=r"no clip is usable: 3 missing in .*; name the folder of the audio in `audio`"
    ):
        labelled.build(corpus, music / "out", name="own", version="1.0.0", config=LabelledConfig(), pool=pool)


def test_a_clip_without_ratings(music: Path, pool: Executor) -> None:
    corpus = _load(music, labels=_labels("ab"))
    with pytest.raises(InputError, match="clip c: has no ratings"):
        labelled.build(corpus, music / "out", name="own", version="1.0.0", config=LabelledConfig(), pool=pool)
    assert not (music / "out").exists()


def test_tables_of_a_spreadsheet_and_absolute_paths(music: Path) -> None:
    plain = CLIPS.replace("Rós, live", "Rós")
    expected = _load(music, plain)
    clips = plain.replace(",a.wav", f",{music.resolve() / 'a.wav'}").replace(",", ";")
    header, body = clips.split("\n", 1)
    corpus = _load(music, f"{header.upper()}\n;;;;;\n{body}", _labels().replace(",", "\t"))
    assert corpus.clips.equals(expected.clips)
    assert corpus.annotations.equals(expected.annotations)


def test_an_absolute_path_outside_the_audio_folder(music: Path) -> None:
    with pytest.raises(InputError, match=r"row 2: audio '/etc/a\.wav' is outside the audio folder"):
        _load(music, CLIPS.replace(",a.wav", ",/etc/a.wav"))


def test_audio_that_is_a_pointer(music: Path) -> None:
    (music / "a.wav").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    with pytest.raises(InputError, match=r"a\.wav: is a Git LFS pointer, not the file itself; run 'git lfs pull'"):
        _load(music, CLIPS.replace(",4\n", ",\n"))


def test_the_card_takes_title_licence_terms_and_citation(music: Path, tmp_path: Path, pool: Executor) -> None:
    _load(music)
    (tmp_path / "corpus.bib").write_text("@article{me2026, title = {Mine}}\n")
    given: dict[str, Any] = {"clips": music / "clips.csv", "labels": music / "labels.csv", "scale": "1,9"}
    about: dict[str, Any] = {
        "title": "Mine",
        "license": "cc-by-4.0",
        "terms": "Ask me.",
        "citation": tmp_path / "corpus.bib",
        "annotators": "Ten *students*.",
        "instructions": "Rate what you hear.",
        "biases": "Only pop.",
        "errors": "Clip b is noisy.",
    }
    [built] = build_dataset("table", **given, **about, out=tmp_path / "mine", pool=pool)
    card = DatasetCard((built.folder / "README.md").read_text())
    assert card.data.to_dict()["license"] == "cc-by-4.0"
    texts = "# Mine", "Ask me.", "@article{me2026, title = {Mine}}", "Ten \\*students\\*.", "**Known bias.** Only pop."
    for text in texts:
        assert text in card.text
    described = json.loads((built.folder / "croissant.json").read_text())
    assert described["license"] == "cc-by-4.0"
    assert described["rai:annotatorDemographics"] == "Ten *students*."
    assert described["rai:dataAnnotationProtocol"] == "Rate what you hear."
    assert (described["rai:dataBiases"], described["rai:dataLimitations"]) == (["Only pop."], ["Clip b is noisy."])
    assert not build_dataset("table", **given, **about, out=tmp_path / "mine", pool=pool)[0].fresh
    about["title"] = "Yours"
    with pytest.raises(InputError, match="exists with other content"):
        build_dataset("table", **given, **about, out=tmp_path / "mine", pool=pool)
    with pytest.raises(InputError, match="`license` CC BY: expected an identifier of the Hub"):
        build_dataset("table", **given, license="CC BY", out=tmp_path / "other", pool=pool)
    with pytest.raises(InputError, match="cannot be read"):
        build_dataset("table", **given, citation=tmp_path / "none.bib", out=tmp_path / "other", pool=pool)
