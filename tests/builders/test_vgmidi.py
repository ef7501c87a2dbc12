"""VGMIDI: traces of measures, what is odd in the annotations, wrong folders, and the real repository."""

from __future__ import annotations

import json
import re
import warnings
from collections import Counter
from concurrent.futures import Executor
from hashlib import sha256
from pathlib import Path

import numpy as np
import polars as pl
import pretty_midi
import pytest
import soundfile
from emobench.builders import labelled_dataset
from emobench.builders.build import build_dataset, default_folder, survey
from emobench.builders.readers import vgmidi
from emobench.builders.targets import TargetConfig, target_table
from emobench.cli.main import app
from emobench.errors import InputError
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from .midi_files import control, note, pin, repository, tune, write_midi


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return repository(tmp_path / "clone", monkeypatch)


@pytest.fixture(autouse=True)
def own_pins():
    yield
    vgmidi.pins.cache_clear()


def test_measures_are_spread_evenly() -> None:
    np.testing.assert_allclose(vgmidi.per_second(np.array([0.0, 1.0]), 3.0, 3), [0, 0.5, 1])
    np.testing.assert_allclose(vgmidi.per_second(np.array([0.0, 1.0]), 3.2, 2), [0, 0.4])
    # Two measures a second.
    np.testing.assert_allclose(vgmidi.per_second(np.array([1.0, 0, -1, 1]), 2.0, 2), [0.5, 0])


@given(st.lists(st.integers(-100, 100), min_size=1, max_size=80), st.floats(1, 400))
def test_means_over_seconds(values: list[int], duration: float) -> None:
    """Compare with a sum over 2,000 points of the step function per second."""
    trace, seconds = np.array(values) / 100, min(int(duration), 60)
    found = vgmidi.per_second(trace, duration, seconds)
    points = (np.arange(seconds * 2000) + 0.5) / 2000
    steps = trace[np.minimum((points * len(trace) / duration).astype(int), len(trace) - 1)]
    np.testing.assert_allclose(found, steps.reshape(seconds, 2000).mean(axis=1), atol=2e-2 * len(trace) / duration)
    assert trace.min() <= found.min() <= found.max() <= trace.max()


def test_what_is_odd_is_handled_and_counted(clone: Path) -> None:
    corpus = vgmidi.load(clone)
    assert corpus.clips.select("clip_id", "artist", "album", "title", "duration").rows() == [
        ("1-piece0", "Series 0", "Game 0", "Title of Series 0", 8.0),
        ("2-piece0", "Series 1", "Game 1", "Title of Series 1", 8.0),
        ("2-piece1", "Series 2", "Game 2", "Title of Series 2", 10.0),
        ("2-piece2", "Series 3", "Game 3", "Title of Series 3", 8.0),
    ]
    counts = dict(corpus.annotations.group_by("clip_id").agg(pl.col("trace").n_unique()).rows())
    assert counts == {"1-piece0": 12, "2-piece0": 3, "2-piece1": 3, "2-piece2": 3}
    ids = corpus.annotations.filter(clip_id="1-piece0")["annotator_id"].unique(maintain_order=True).to_list()
    assert ids == [f"1-piece0_{number}" for number in (*range(1, 11), 12, 14)]
    notes = corpus.about.notes
    for sentence in (
        "0 of 4 pieces are longer than 60 seconds",
        "In 1 piece it differs",
        "`2-piece1`. Six",
        "1 trace with one value more or less",
        "1 trace with another number of values is left out",
        "1 trace is constant in arousal and valence; it is kept",
        "1 trace is an exact copy",
        "3 traces belong to pieces that the files do not describe (`1-piece7`)",
        "1 MIDI file of the repository is not annotated",
        "| age | 21-25 | 20 |",
        "| age | other answers | 1 |",
        "| country | US | 21 |",
    ):
        assert sentence in notes, f"{sentence}\n{notes}"


def test_values_of_seconds(clone: Path) -> None:
    annotations = vgmidi.load(clone).annotations
    one = annotations.filter(annotator_id="1-piece0_3")
    assert one["time"].to_list() == list(range(1, 9))
    assert one["arousal"].to_list() == [-0.5, -0.5, -0.25, -0.25, 0.25, 0.25, 0.5, 0.5]
    assert one["valence"].to_list() == pytest.approx([0.15] * 8, abs=1e-9)
    # Five values in eight seconds: the first lasts 1.6 s.
    odd = annotations.filter(annotator_id="1-piece0_12")["arousal"].to_list()
    assert odd[:2] == pytest.approx([0.0, 0.4 * 0.1], abs=1e-9)
    # Four measures over the ten seconds of the file, not over the 8.5 of the recording.
    stretched = annotations.filter(annotator_id="2-piece1_1")["arousal"].to_list()
    assert stretched == [-0.5, -0.5, -0.375, -0.25, -0.25, 0.25, 0.25, 0.375, 0.5, 0.5]
    cut = vgmidi.load(clone, max_duration=3.5)
    assert set(cut.clips["duration"]) == {3.0}
    assert cut.annotations["time"].max() == 3


def test_builds_a_dataset_without_facts_about_persons(clone: Path, tmp_path: Path, pool: Executor) -> None:
    [built] = build_dataset("vgmidi", folder=clone, out=tmp_path / "vgmidi", pool=pool)
    dataset = labelled_dataset.load(built.folder)
    assert dataset.clips["excluded"].null_count() == 4
    # The tracker may take half notes for beats.
    for count, beats in zip(dataset.clips["n_beats"], [16, 16, 20, 16], strict=True):
        assert min(abs(count - beats), abs(count - beats / 2)) <= 4
    for clip, seconds in dataset.clips.select("clip_id", "duration").rows():
        info = soundfile.info(built.folder / "audio" / f"{clip}.flac")
        assert (info.frames, info.samplerate, info.channels) == (seconds * 48_000, 48_000, 1)
    source = dataset.manifest.source
    assert source["commit"] == vgmidi.COMMIT
    assert len(dataset.manifest.config.source["rendering"]["soundfont_sha256"]) == 64
    annotations = dataset.annotations
    assert annotations.columns == ["clip_id", "trace", "annotator_id", "time", "arousal", "valence"]
    assert all(re.fullmatch(r"[12]-piece\d+_\d+", name) for name in annotations["annotator_id"].unique())
    for path in (path for path in built.folder.rglob("*") if path.suffix in (".md", ".json", ".parquet")):
        assert b"secret of" not in path.read_bytes()
    [again] = build_dataset("vgmidi", folder=clone, out=tmp_path / "second" / "vgmidi", pool=pool)
    assert again.manifest.plain() == built.manifest.plain()
    for path in built.folder.glob("audio/*.flac"):
        assert path.read_bytes() == (again.folder / "audio" / path.name).read_bytes()


def test_folds_by_series(clone: Path, tmp_path: Path, pool: Executor) -> None:
    assert default_folder("vgmidi", tmp_path, folder=clone, split="artists").name == "vgmidi-artists"
    [built] = build_dataset("vgmidi", folder=clone, split="artists", out=tmp_path / "a", pool=pool)
    dataset = labelled_dataset.load(built.folder)
    assert dataset.split == "artists"
    assert not dataset.published_split
    assert dataset.folds["album"].unique().sort().to_list() == [f"series{number}/" for number in range(4)]
    assert "Whole series" in (built.folder / "README.md").read_text(encoding="utf-8")


def _refused(folder: Path, message: str) -> None:
    ran = CliRunner().invoke(app, ["build-data", "vgmidi", "--folder", str(folder), "--dry-run"])
    assert ran.exit_code == 2
    assert len(ran.output.strip().splitlines()) == 1 or "Usage" not in ran.output
    with pytest.raises(InputError, match=message) as caught:
        survey("vgmidi", folder=folder, out=folder.parent / "out")
    assert "\n" not in str(caught.value)
    assert "expected the clone of github.com/lucasnfe/vgmidi at commit 1e62f0af8c86" in str(caught.value) or (
        "Git LFS" in str(caught.value)
    )


def test_wrong_folders(clone: Path, tmp_path: Path) -> None:
    _refused(tmp_path / "nowhere", "nowhere: no such folder")
    other = tmp_path / "deam"
    other.mkdir()
    (other / "metadata_2014.csv").touch()
    _refused(
        other, "deam: contains none of the files of VGMIDI, .*It looks like .* another corpus; use the source deam"
    )
    _refused(clone / "labelled", "contains none of the files")
    next(clone.glob("labelled/midi/Series 1*")).unlink()
    (clone / "labelled/annotations/vgmidi_raw_2.json").unlink()
    _refused(clone, r"lacks 2 of the 6 files of VGMIDI: labelled/annotations/vgmidi_raw_2\.json, .*Clone it again")


def test_changed_files(clone: Path) -> None:
    tune(next(clone.glob("labelled/midi/Series 1*")), 9)
    _refused(clone, r"1 file differs from the pinned commit \(by SHA-256\): labelled/midi/Series 1.*git checkout")


def test_git_lfs_pointers(clone: Path) -> None:
    path = clone / "labelled/annotations/vgmidi_raw_1.json"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", encoding="utf-8")
    _refused(clone, r"vgmidi_raw_1\.json: is a Git LFS pointer")


def test_a_silent_piece_is_excluded(
    clone: Path, tmp_path: Path, pool: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = [message for beat in range(16) for message in note(beat * 480)]
    write_midi(next(clone.glob("labelled/midi/Series 3*")), [control(7, 0), *notes])
    pin(clone, monkeypatch)
    [built] = build_dataset("vgmidi", folder=clone, out=tmp_path / "a", pool=pool)
    assert built.manifest.excluded == {"2-piece2": "silent"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "`folder`: required by the source vgmidi without `download`"),
        ({"folder": ".", "max_duration": 0}, "`max_duration` 0: expected 1 to 3600 seconds"),
        ({"folder": ".", "max_duration": float("nan")}, "`max_duration` nan: expected 1 to 3600 seconds"),
        ({"folder": ".", "split": "games"}, "`split` games: expected albums or artists"),
    ],
)
def test_wrong_options(options: dict, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        survey("vgmidi", **options, out=tmp_path / "a")


@pytest.fixture(scope="module")
def real_folder(real_data: Path) -> Path:
    return real_data / "vgmidi"


def test_the_real_repository(real_folder: Path) -> None:
    corpus = vgmidi.load(real_folder)
    clips, annotations = corpus.clips, corpus.annotations
    assert (len(clips), clips["artist"].n_unique(), clips.select("artist", "album").n_unique()) == (200, 13, 30)
    assert Counter(clip[0] for clip in clips["clip_id"]) == {"1": 95, "2": 105}
    assert annotations.select("clip_id", "trace").n_unique() == 5976
    for sentence in (
        "3 traces with one value more or less",
        "0 traces with another number of values are",
        "110 traces are constant",
        "4 traces are exact copies",
        "125 traces belong to pieces that the files do not describe",
        "4 MIDI files of the repository are not annotated",
    ):
        assert sentence in corpus.about.notes
    targets = target_table(annotations, TargetConfig())
    assert len(targets) == clips["duration"].sum()
    assert targets["n"].min() == 28
    determinant = targets["arousal_var"] * targets["valence_var"] - targets["covariance"] ** 2
    assert (determinant > 0).all()


def test_targets_of_a_real_piece(real_folder: Path) -> None:
    """Compute the mean of a second from the raw file, measure by measure."""
    content = json.loads((real_folder / "labelled/annotations/vgmidi_raw_2.json").read_text(encoding="utf-8"))
    targets = target_table(vgmidi.load(real_folder).annotations.filter(clip_id="2-piece10"), TargetConfig())
    piece = content["pieces"]["piece10"]
    traces = [each for name, each in content["annotations"].items() if name.startswith("piece10_")]
    measure = piece["duration"] / piece["measures"]
    checked = 0
    for second in range(1, 61):
        first, last = int((second - 1) / measure), int(second / measure - 1e-9)
        if first == last:
            checked += 1
            row = targets.row(second - 1, named=True)
            for axis in ("arousal", "valence"):
                values = np.array([each[axis][first] for each in traces]) / 2
                assert row[axis] == pytest.approx(values.mean(), abs=1e-8)
                assert row[f"{axis}_var"] == pytest.approx(values.var(ddof=1), abs=1e-8)
    assert checked > 30


def test_pinned_durations(real_folder: Path) -> None:
    for name, pinned in list(vgmidi.pins().items())[::9]:
        assert sha256((real_folder / name).read_bytes()).hexdigest() == pinned.sha256
        if name.endswith(".mid"):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # tempo changes in later tracks
                end = pretty_midi.PrettyMIDI(str(real_folder / name)).get_end_time()
            assert end <= pinned.seconds + 1e-3
