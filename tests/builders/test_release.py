"""Datasets on disk: all or nothing, identical bytes, detected changes, readable by ``datasets``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from emobench.builders import labelled_dataset as labelled
from emobench.builders import release
from emobench.builders.folds import FoldConfig
from emobench.builders.labelled_dataset import LabelledConfig
from emobench.cli.main import app
from emobench.errors import InputError
from emobench.runtime.executor import executor
from typer.testing import CliRunner

COLUMNS = {
    "clips": {
        "clip_id": "String",
        "song_id": "String",
        "artist": "String",
        "album": "String",
        "title": "String",
        "start": "Float64",
        "duration": "Float64",
        "audio": "String",
        "n_annotators": "Int32",
        "n_beats": "Int32",
        "excluded": "String",
    },
    "annotations": {
        "clip_id": "String",
        "trace": "Int32",
        "annotator_id": "String",
        "time": "Float64",
        "arousal": "Float64",
        "valence": "Float64",
    },
    "targets": {
        "clip_id": "String",
        "time": "Float64",
        "n": "Int32",
        "arousal": "Float64",
        "valence": "Float64",
        "arousal_var": "Float64",
        "valence_var": "Float64",
        "covariance": "Float64",
    },
    "beats": {"clip_id": "String", "beat": "Int32", "time": "Float64", "arousal": "Float64", "valence": "Float64"},
    "folds": {"repeat": "Int32", "clip_id": "String", "album": "String", "split": "String"},
}


def _build(corpus: Any, out: Path, **settings: Any) -> bool:
    options = {"name": "tiny", "version": "1.0.0", "config": LabelledConfig()} | settings
    with executor(1) as pool:
        return labelled.build(corpus, out, pool=pool, **options)


@pytest.fixture
def corpus(make_corpus: Any) -> Any:
    return make_corpus([1] * 8 + [2] * 3)


def _bytes(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_schema(corpus: Any, tmp_path: Path) -> None:
    _build(corpus, tmp_path / "tiny")
    for table, columns in COLUMNS.items():
        found = release.read_table(tmp_path / "tiny", table)
        assert {name: str(kind) for name, kind in found.schema.items()} == columns
    manifest = json.loads((tmp_path / "tiny" / "manifest.json").read_text())
    for name, entry in manifest["files"].items():
        if name.endswith(".parquet"):
            assert entry["rows"] == len(pl.read_parquet(tmp_path / "tiny" / name))
    assert {"name", "version", "source", "config", "packages", "files"} <= set(manifest)


def test_same_bytes_and_no_second_build(corpus: Any, tmp_path: Path) -> None:
    assert _build(corpus, tmp_path / "one")
    assert _build(corpus, tmp_path / "two")
    assert _bytes(tmp_path / "one") == _bytes(tmp_path / "two")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "one").rglob("*")}
    assert not _build(corpus, tmp_path / "one")
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "one").rglob("*")}


def test_datasets_reads_every_config_offline(corpus: Any, tmp_path: Path) -> None:
    _build(corpus, tmp_path / "tiny")
    script = (
        "import datasets, json, sys\n"
        "names = datasets.get_dataset_config_names(sys.argv[1])\n"
        "loaded = {n: datasets.load_dataset(sys.argv[1], n, split='train') for n in names}\n"
        "types = {n: {c: f.dtype for c, f in each.features.items()} for n, each in loaded.items()}\n"
        "print(json.dumps([{n: each.num_rows for n, each in loaded.items()}, types]))\n"
    )
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")}
    ran = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "tiny")],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    # `datasets` cannot load a table without rows, and without audio there are no beats.
    expected = {name: len(release.read_table(tmp_path / "tiny", name)) for name in COLUMNS if name != "beats"}
    rows, types = json.loads(ran.stdout.splitlines()[-1])
    assert rows == expected
    assert types == {name: {column: kind.lower() for column, kind in COLUMNS[name].items()} for name in expected}


def test_other_content_is_never_overwritten(corpus: Any, make_corpus: Any, tmp_path: Path) -> None:
    out = tmp_path / "tiny"
    _build(corpus, out)
    before = _bytes(out)
    with pytest.raises(InputError, match=r"tiny 1\.0\.0 exists with other content .different config"):
        _build(corpus, out, config=LabelledConfig(folds=FoldConfig(seed=1)))
    with pytest.raises(InputError, match=r"exists with other content .different source"):
        _build(make_corpus([1] * 9, seed=5), out)
    with pytest.raises(InputError, match=r"contains tiny 1\.0\.0, which is not overwritten; write tiny 1\.1\.0 to"):
        _build(corpus, out, version="1.1.0")
    assert _bytes(out) == before
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("keep")
    with pytest.raises(InputError, match="exists but is not a dataset"):
        _build(corpus, tmp_path / "notes")
    assert (tmp_path / "notes" / "mine.txt").read_text() == "keep"


@pytest.mark.parametrize("version", ["1", "1.0", "v1.0.0", "1.0.0-rc1", "../1.0.0"])
def test_wrong_version(corpus: Any, tmp_path: Path, version: str) -> None:
    with pytest.raises(InputError, match="`version`"):
        _build(corpus, tmp_path / "tiny", version=version)


@pytest.mark.parametrize("name", ["targets/train-00000.parquet", "folds/train-00000.parquet", "README.md"])
def test_changed_and_missing_files_are_detected(corpus: Any, tmp_path: Path, name: str) -> None:
    out = tmp_path / "tiny"
    _build(corpus, out)
    with (out / name).open("ab") as handle:
        handle.write(b" ")
    with pytest.raises(InputError, match=f"{name}: changed after it was built"):
        labelled.load(out)
    (out / name).unlink()
    with pytest.raises(InputError, match=f"{name}: missing, although the manifest lists it"):
        labelled.load(out)


def test_wrong_folders(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no dataset there"):
        labelled.load(tmp_path)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(InputError, match="not a readable manifest"):
        labelled.load(tmp_path)
    (tmp_path / "manifest.json").write_text('{"schema": 99, "files": {}}')
    with pytest.raises(InputError, match="schema 99; this emobench reads schema 1"):
        labelled.load(tmp_path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *((field, value) for field in ("name", "version") for value in ("../../x", "/tmp/x", "..", "", None, 1, "a/b")),
        ("name", ".hidden"),
        ("name", "a\n"),
        ("version", "1.0.0/../../x"),
    ],
)
def test_names_and_versions_that_are_paths_are_refused(corpus: Any, tmp_path: Path, field: str, value: object) -> None:
    _build(corpus, tmp_path / "tiny")
    place = tmp_path / "tiny" / "manifest.json"
    place.write_text(json.dumps(json.loads(place.read_text()) | {field: value}))
    with pytest.raises(InputError, match=rf"manifest\.json: {field} is .*; expected letters, digits") as caught:
        release.load_manifest(tmp_path / "tiny")
    assert "\n" not in str(caught.value)
    ran = CliRunner().invoke(
        app, ["run", "-f", "constant", "--dataset", str(tmp_path / "tiny"), "--out", str(tmp_path / "a" / "b")]
    )
    assert ran.exit_code == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny"]


@pytest.mark.parametrize(
    "name", ["../x.parquet", "/etc/passwd", "a/../../x", "a\\..\\x", "", ".", "local.json", "manifest.json"]
)
def test_files_outside_the_folder_are_refused(corpus: Any, tmp_path: Path, name: str) -> None:
    _build(corpus, tmp_path / "tiny")
    place = tmp_path / "tiny" / "manifest.json"
    manifest = json.loads(place.read_text())
    manifest["files"][name] = {"sha256": "0" * 64}
    place.write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="is not a path of a file inside the dataset's folder"):
        release.load_manifest(tmp_path / "tiny")


def test_links_to_other_folders_are_refused(corpus: Any, tmp_path: Path) -> None:
    _build(corpus, tmp_path / "tiny")
    card = tmp_path / "tiny" / "README.md"
    card.rename(tmp_path / "elsewhere.md")
    card.symlink_to(tmp_path / "elsewhere.md")
    with pytest.raises(InputError, match=r"README\.md: a link to a file outside the dataset's folder"):
        release.load_manifest(tmp_path / "tiny")
    # A dataset may be reached through a link, and in the Hub's cache its files are links to blobs.
    card.unlink()
    (tmp_path / "elsewhere.md").rename(card)
    (tmp_path / "link").symlink_to(tmp_path / "tiny")
    release.load_manifest(tmp_path / "link")
    snapshot = tmp_path / "datasets--ann--tiny" / "snapshots" / ("a" * 40)
    shutil.copytree(tmp_path / "tiny", snapshot)
    (tmp_path / "datasets--ann--tiny" / "blobs").mkdir()
    (snapshot / "README.md").rename(tmp_path / "datasets--ann--tiny" / "blobs" / "1")
    (snapshot / "README.md").symlink_to("../../blobs/1")
    release.load_manifest(snapshot)
    (snapshot / "README.md").unlink()
    (snapshot / "README.md").symlink_to(card)
    with pytest.raises(InputError, match="a link to a file outside"):
        release.load_manifest(snapshot)


@pytest.mark.parametrize("name", ["my corpus", ".hidden", "ümlaut"])
def test_invalid_names_of_datasets(corpus: Any, tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"dataset name .*: expected letters, digits"):
        _build(corpus, tmp_path / name, name=name)
    assert not any(tmp_path.iterdir())


class _Stop(Exception):  # noqa: N818
    pass


@pytest.mark.parametrize("step", ["write_table", "write_card", "write_manifest"])
def test_an_interrupted_build_leaves_no_dataset(
    corpus: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise _Stop

    with monkeypatch.context() as patched:
        patched.setattr(release, step, stop)
        with pytest.raises(_Stop):
            _build(corpus, tmp_path / "tiny")
    assert not (tmp_path / "tiny").exists()
    assert _build(corpus, tmp_path / "tiny")
    _build(corpus, tmp_path / "fresh")
    assert _bytes(tmp_path / "tiny") == _bytes(tmp_path / "fresh")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_ratings_outside_the_scale_are_refused(corpus: Any) -> None:
    with pytest.raises(InputError, match=r"arousal 0\.7 is outside \[-0\.5, 0\.5\]"):
        replace(corpus, annotations=corpus.annotations.with_columns(arousal=pl.lit(0.7)))


def test_an_empty_corpus_is_refused(corpus: Any) -> None:
    with pytest.raises(InputError, match="the corpus is empty"):
        replace(corpus, clips=corpus.clips.head(0))
