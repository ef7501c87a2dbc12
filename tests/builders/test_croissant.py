"""``croissant.json`` of datasets: valid and readable for mlcroissant, true to the files, the same bytes every time."""

from __future__ import annotations

import json
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import mlcroissant
import polars as pl
import pytest
from emobench.builders import labelled_dataset, release
from emobench.builders.build import build_dataset
from emobench.builders.labelled_dataset import LabelledConfig
from emobench.errors import InputError
from emobench.protocols import sources
from emobench.runtime.executor import executor
from emobench.runtime.files import sha256_file

# rdflib, which mlcroissant uses, has not replaced some of its own deprecated classes.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def _checked(folder: Path) -> mlcroissant.Dataset:
    """Validate a dataset's description with mlcroissant, and compare its files with those in the folder."""
    made = mlcroissant.Dataset(folder / "croissant.json")
    assert not made.metadata.ctx.issues.errors
    manifest = json.loads((folder / "manifest.json").read_text())
    described = {each.id: each.sha256 for each in made.metadata.file_objects}
    assert described == {name: entry["sha256"] for name, entry in manifest["files"].items() if name != "croissant.json"}
    assert described == {name: sha256_file(folder / name) for name in described}
    assert manifest["files"]["croissant.json"] == {"sha256": sha256_file(folder / "croissant.json")}
    return made


def _records(made: mlcroissant.Dataset, table: str) -> list[dict[str, Any]]:
    return [
        {
            name.partition("/")[2]: value.decode() if isinstance(value, bytes) else value
            for name, value in record.items()
        }
        for record in made.records(table)
    ]


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("croissant") / "tiny"
    with executor(1) as pool:
        build_dataset("synthetic", out=out, pool=pool, size=6, pretrain_size=3)
    return out


def test_labelled_dataset(synthetic: Path) -> None:
    made = _checked(synthetic)
    assert {each.id for each in made.metadata.record_sets} == {"clips", "annotations", "targets", "beats", "folds"}
    assert not made.metadata.ctx.issues.warnings
    for table in ("clips", "targets", "folds"):
        expected = pl.read_parquet(synthetic / table / "*.parquet")
        found = _records(made, table)
        assert len(found) == len(expected)
        for name in expected.columns:
            values = pl.Series([record[name] for record in found], dtype=expected[name].dtype, strict=False)
            assert (
                values.fill_nan(None).to_list() == expected[name].to_list()
                if values.dtype.is_float()
                else (values.to_list() == expected[name].to_list())
            )


def test_pretraining_dataset(synthetic: Path) -> None:
    folder = synthetic.with_name("tiny-pretrain")
    made = _checked(folder)
    found = _records(made, "rhythm")
    expected = pl.read_parquet(folder / "rhythm" / "*.parquet")
    assert [list(record["features"]) for record in found] == expected["features"].to_list()
    content = json.loads((folder / "croissant.json").read_text())
    assert "rai:annotatorDemographics" not in content and "rai:annotationsPerItem" not in content


def test_same_bytes(synthetic: Path, tmp_path: Path, pool: Executor) -> None:
    build_dataset("synthetic", out=tmp_path / "tiny", pool=pool, size=6, pretrain_size=3)
    for name in ("tiny", "tiny-pretrain"):
        again = (tmp_path / name / "croissant.json").read_bytes()
        assert again == (synthetic.parent / name / "croissant.json").read_bytes()


def test_several_files_of_a_table_are_one_record_set(make_corpus: Any, tmp_path: Path) -> None:
    """Without audio: no table of beats. mlcroissant reads the rows of all files."""
    corpus = make_corpus([1] * 6)
    folder = tmp_path / "tiny"
    with executor(1) as pool:
        labelled_dataset.build(corpus, folder, name="tiny", version="1.0.0", config=LabelledConfig(), pool=pool)
    targets = pl.read_parquet(folder / "targets" / "*.parquet")
    for number in (0, 1):
        release.write_table(folder, "targets", targets[number * 7 :][: 7 if number == 0 else None], number)
    manifest = release.load_manifest(folder)
    recipe = release.recipe(
        name="tiny", version="1.0.0", kind="labelled", source=manifest.source, config=manifest.config
    )
    release.write_manifest(folder, recipe, corpus.about, counts=manifest.counts)
    made = _checked(folder)
    assert "beats" not in {each.id for each in made.metadata.record_sets}
    found = _records(made, "targets")
    assert sorted((record["clip_id"], record["time"], record["arousal"]) for record in found) == sorted(
        targets.select("clip_id", "time", "arousal").iter_rows()
    )


def test_changed_files_are_noticed(make_corpus: Any, tmp_path: Path, pool: Executor) -> None:
    folder = tmp_path / "tiny"
    labelled_dataset.build(
        make_corpus([1] * 6), folder, name="tiny", version="1.0.0", config=LabelledConfig(), pool=pool
    )
    path = folder / "folds" / "train-00000.parquet"
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(Exception, match=r"Download\(folds/train-00000\.parquet\)") as raised:
        _records(mlcroissant.Dataset(folder / "croissant.json"), "folds")
    assert "is not identical" in str(raised.value.__cause__)
    (folder / "croissant.json").write_text("{}")
    with pytest.raises(InputError, match=r"croissant\.json: changed after it was built"):
        labelled_dataset.load(folder)


@pytest.mark.parametrize("name", sources.names())
def test_every_source_states_its_origin(name: str) -> None:
    source = sources[name]
    if name in {"table", "audio", "midi"}:
        # Files of the user, whose origin emobench cannot know.
        assert source.provenance is None
        return
    origin = source.provenance
    assert origin.creators and origin.collection and origin.biases and origin.limitations
    assert bool(origin.annotators) == bool(origin.instructions) == source.labelled
