"""Echo Nest timbre in a run: files by track id and beside the audio, position of clips in songs, missing files."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import polars as pl
import pytest
from emobench.benchmark.features.families.echo_nest import UnavailableError, echo_nest, find_track, track_of
from emobench.benchmark.scoring.task import Task, load_task
from emobench.builders import labelled_dataset as labelled
from emobench.builders.folds import FoldConfig
from emobench.builders.labelled_dataset import LabelledConfig
from emobench.cli.main import app
from emobench.errors import InputError
from typer.testing import CliRunner

CLIPS = 12
SECONDS = 5
# The table of the real files, without the columns that are not used.
ANALYSIS = np.dtype([("analysis_sample_rate", "<i4"), ("duration", "<f8"), ("tempo", "<f8"), ("track_id", "S32")])


def _track(number: int) -> str:
    return f"TR{'ABCDEFGHIJKLMNO'[number]}QXYZ128F{number:07X}"


def _write(path: Path, number: int, *, track: str | None = None, duration: float = 200.0) -> Path:
    """Write a song whose first coefficient is 1000 times its number plus the start of each 0.5 s segment."""
    path.parent.mkdir(parents=True, exist_ok=True)
    starts = np.arange(0, duration, 0.5)
    timbre = np.random.default_rng(number).normal(size=(len(starts), 12))
    timbre[:, 0] = 1000 * number + starts
    row = np.zeros(1, ANALYSIS)
    row[0] = (22050, duration, 120.0, (track or _track(number)).encode())
    with h5py.File(path, "w") as file:
        file.create_dataset("analysis/songs", data=row, compression="gzip", chunks=True)
        file.create_dataset("analysis/segments_start", data=starts, compression="gzip")
        file.create_dataset("analysis/segments_timbre", data=timbre, compression="gzip")
    return path


def _corpus(make_corpus: Any) -> Any:
    """Make a corpus: even clips have their track as song_id, odd ones as clip_id; each starts 10 s after the last."""
    corpus = make_corpus([1] * CLIPS, seconds=SECONDS)
    names = {f"c{number:03}": _track(number) if number % 2 else f"c{number:03}" for number in range(CLIPS)}
    songs = [f"song {number}" if number % 2 else _track(number) for number in range(CLIPS)]
    clips = corpus.clips.with_columns(
        pl.col("clip_id").replace(names),
        song_id=pl.Series(songs),
        start=pl.Series([10.0 * number for number in range(CLIPS)]),
    )
    return replace(corpus, clips=clips, annotations=corpus.annotations.with_columns(pl.col("clip_id").replace(names)))


@pytest.fixture(scope="module")
def dataset(make_corpus: Any, tmp_path_factory: pytest.TempPathFactory, pool: Executor) -> Path:
    out = tmp_path_factory.mktemp("ent") / "tracks"
    config = LabelledConfig(folds=FoldConfig(repeats=2))
    labelled.build(_corpus(make_corpus), out, name="tracks", version="1.0.0", config=config, pool=pool)
    return out


@pytest.fixture(scope="module")
def task(dataset: Path) -> Task:
    return load_task(labelled.load(dataset))


@pytest.fixture
def msd(tmp_path: Path) -> Path:
    """Track files, half of them in one folder and the others in folders by the letters of their ids."""
    folder = tmp_path / "msd"
    for number in range(CLIPS):
        track = _track(number)
        flat = number < CLIPS // 2
        _write(folder / f"{track}.h5" if flat else folder / track[2] / track[3] / track[4] / f"{track}.h5", number)
    return folder


def _run(dataset: Path, folder: Path, *options: str) -> Any:
    given = ["run", "--dataset", str(dataset), "--out", str(folder / "results"), "--workers", "1", *options]
    return CliRunner().invoke(app, given)


def test_the_track_of_a_clip() -> None:
    track = "TRAAAAW128F429D538"
    assert track_of({"song_id": track, "clip_id": "TRBHLBZ128F9300586"}) == track
    assert track_of({"song_id": "7", "clip_id": track}) == track
    for wrong in ("TRAAAAW128F429D53", f"{track}0", track.lower(), "TRAAA1W128F429D538", f"../{track}", f"{track}\n"):
        assert track_of({"song_id": wrong, "clip_id": "x"}) is None


def test_seconds_of_the_clip_in_its_song(task: Task, msd: Path) -> None:
    found = echo_nest(task, None, msd)
    assert (found.values.shape, found.by_track) == ((CLIPS * SECONDS, 12), CLIPS)
    # Segments of half a second at t and t + 0.5 cover the second that starts at t.
    numbers = [int((track_of(row) or "")[-7:], 16) for row in task.dataset.clips.iter_rows(named=True)]
    expected = [1000 * number + 10 * number + second + 0.25 for number in numbers for second in range(SECONDS)]
    np.testing.assert_allclose(found.values[:, 0], expected)


def test_files_beside_the_audio_supply_missing_tracks(task: Task, msd: Path, tmp_path: Path) -> None:
    whole = echo_nest(task, None, msd)
    beside = tmp_path / "audio"
    beside.mkdir()
    (msd / f"{_track(2)}.h5").rename(beside / "c002.h5")
    (msd / f"{_track(3)}.h5").rename(beside / f"{_track(3)}.h5")
    # Other content: the folder that was named takes precedence.
    _write(beside / "c004.h5", 11)
    mixed = echo_nest(task, beside, msd)
    np.testing.assert_array_equal(mixed.values, whole.values)
    assert mixed.by_track == CLIPS - 2
    assert mixed.hashes == whole.hashes


def test_result_signature_and_config(dataset: Path, msd: Path, tmp_path: Path) -> None:
    def score(folder: Path) -> dict[str, Any]:
        ran = _run(dataset, tmp_path, "--features", "ent", "--msd", str(folder), "--json")
        assert ran.exit_code == 0, ran.output
        assert str(folder) not in ran.stdout
        return json.loads(ran.stdout)["results"][0]

    first = score(msd)
    assert (first["features"], first["dims"]) == ("ent", 12)
    files = first["config"]["analysis_files"]
    assert (files["by_track_id"], files["beside_audio"], len(files["sha256"])) == (CLIPS, 0, 64)
    assert score(shutil.copytree(msd, tmp_path / "elsewhere"))["signature"] == first["signature"]
    with h5py.File(msd / f"{_track(0)}.h5", "a") as file:
        file["analysis/segments_timbre"][0, 0] += 1.0  # pyright: ignore[reportIndexIssue, reportOperatorIssue]
    changed = score(msd)
    assert changed["signature"] != first["signature"]
    assert changed["config"]["analysis_files"]["sha256"] != files["sha256"]


def test_clips_without_a_file_are_counted_and_named(dataset: Path, task: Task, msd: Path, tmp_path: Path) -> None:
    for number in (1, 4):
        (msd / f"{_track(number)}.h5").unlink()
    named = f"{_track(1)}, c004"
    with pytest.raises(UnavailableError, match=rf"2 of 12 clips have none in .*12 clips carry.*: {named}\. Name"):
        echo_nest(task, None, msd)
    with pytest.raises(UnavailableError, match=rf"none, neither beside .* \(c004\.h5\) nor in .*: {named}\."):
        echo_nest(task, tmp_path, msd)
    with pytest.raises(UnavailableError, match=r"12 of 12 clips have none: c000, .* and 7 more\. Name .* `msd`"):
        echo_nest(task, None, None)
    alone = _run(dataset, tmp_path, "--features", "ent", "--msd", str(msd))
    assert (alone.exit_code, len(alone.stderr.splitlines())) == (2, 1)
    others = _run(dataset, tmp_path, "--features", "ent", "--features", "constant", "--msd", str(msd))
    assert others.exit_code == 0
    assert "no entry: ent: Echo Nest timbre cannot be computed" in others.output.replace("\n", " ")


def test_two_files_for_one_track(task: Task, msd: Path) -> None:
    flat = msd / f"{_track(0)}.h5"
    nested = msd.joinpath(*_track(0)[2:5]) / flat.name
    assert find_track(msd, _track(0)) == flat
    nested.parent.mkdir(parents=True)
    shutil.copy(flat, nested)
    with pytest.raises(InputError, match=rf"two files for track {_track(0)}; expected one"):
        echo_nest(task, None, msd)


def test_wrong_track_files(task: Task, msd: Path) -> None:
    path = msd / f"{_track(4)}.h5"
    _write(path, 4, track=_track(5))
    with pytest.raises(InputError, match=rf"{path.name}: holds track {_track(5)}; expected that of its name"):
        echo_nest(task, None, msd)
    # Clip 4 spans 40 to 45 s; a second of difference is allowed.
    echo_nest(task, None, _write(path, 4, duration=44.1).parent)
    _write(path, 4, duration=43.9)
    with pytest.raises(InputError, match=r"a song of 43\.9 s; clip c004 is said to lie from 40 to 45 s"):
        echo_nest(task, None, msd)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(InputError, match=rf"{path.name}: not a readable Echo Nest analysis"):
        echo_nest(task, None, msd)


def test_wrong_use(dataset: Path, msd: Path, tmp_path: Path) -> None:
    for options, message in (
        (["--features", "ent", "--msd", str(tmp_path / "none")], "none: no such folder"),
        (["--features", "ent", "--msd", str(msd / f"{_track(0)}.h5")], "no such folder"),
        (["--features", "constant", "--msd", str(msd)], "--msd: only the feature ent reads it"),
    ):
        ran = _run(dataset, tmp_path, *options)
        assert ran.exit_code == 2
        assert message in ran.stderr
        assert len(ran.stderr.splitlines()) == 1


def test_real_track_files(real_data: Path, make_corpus: Any, tmp_path: Path, pool: Executor) -> None:
    folder = real_data / "msd" / "h5"
    if not folder.is_dir():
        pytest.skip("no real MSD track files here")
    tracks = sorted(path.stem for path in folder.glob("*.h5") if path.stem != "TRAAAAW128F429D538")[:CLIPS]
    corpus = make_corpus([1] * CLIPS, seconds=SECONDS)
    starts = pl.Series([60.0] * CLIPS)

    def built(songs: list[str], name: str) -> Task:
        clips = corpus.clips.with_columns(song_id=pl.Series(songs), start=starts)
        out = tmp_path / name
        given = replace(corpus, clips=clips)
        labelled.build(given, out, name=name, version="1.0.0", config=LabelledConfig(), pool=pool)
        return load_task(labelled.load(out))

    found = echo_nest(built(tracks, "sound"), None, folder)
    assert found.by_track == CLIPS
    with h5py.File(folder / f"{tracks[0]}.h5") as file:
        begins: Any = file["analysis/segments_start"]
        timbre: Any = file["analysis/segments_timbre"]
        owner = np.searchsorted(begins[:], 61 + (np.arange(100_000) + 0.5) / 100_000, side="right") - 1
        np.testing.assert_allclose(found.values[1], timbre[:][owner].mean(axis=0), atol=1e-2)
    with pytest.raises(InputError, match=r"TRAAAAW128F429D538\.h5: not a readable Echo Nest analysis"):
        echo_nest(built(["TRAAAAW128F429D538", *tracks[1:]], "damaged"), None, folder)
