"""Contrastive encoders in runs: entries beside random weights, models, statistics, and the table of differences."""

from __future__ import annotations

import json
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from emobench.api.listing import available
from emobench.audio import cache
from emobench.benchmark import runs
from emobench.benchmark.features import networks, tuning
from emobench.benchmark.features.spec import choose_phases
from emobench.benchmark.pretrain import pretrain_domains
from emobench.benchmark.report.compare import compare
from emobench.benchmark.report.controls import control_tables
from emobench.benchmark.report.listing import draw_models
from emobench.benchmark.results.beside import features_path
from emobench.benchmark.results.store import ResultStore
from emobench.benchmark.results.verify import verify
from emobench.benchmark.results.verify_data import Datasets
from emobench.builders import labelled_dataset as labelled
from emobench.builders.labelled_dataset import LabelledConfig
from emobench.builders.synthesis import SynthesisConfig
from emobench.builders.synthesis import corpus as synthetic
from emobench.errors import InputError

from .encoders import SMALL, build, of_seed


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory, pool: Executor) -> Path:
    return build(tmp_path_factory.mktemp("contrastive") / "tiny", pool)


def _run(dataset: Path, pool: Executor, *specs: str, phase: str | None = None, **changes: Any) -> runs.Outcome:
    folder = dataset.parent
    config = runs.RunConfig(
        phases=choose_phases([phase] if phase else None, control=False),
        tune_encoders=phase is not None,
        regressors=("ridge",),
    )
    out = changes.pop("out", folder / "results")
    places = runs.Places(dataset=dataset, out=out, models=folder / "models", trained=changes.pop("trained", ()))
    return runs.run(list(specs), places, config, replace(SMALL, **changes), device="cpu", pool=pool)


def _named(outcome: runs.Outcome) -> dict[str, Any]:
    return {result.name: result for result in outcome.results if not result.reference}


def test_an_encoder_is_always_beside_random_weights(dataset: Path, pool: Executor) -> None:
    outcome = _run(dataset, pool, "contrastive", "chroma+contrastive")
    found = _named(outcome)
    assert list(found) == [
        f"{spec}/0/{phase}|ridge"
        for spec in ("contrastive", "chroma+contrastive")
        for phase in ("pre-trained", "random")
    ]
    trained, control = list(found.values())[:2]
    assert (trained.dims, control.dims) == (6, 6)
    assert trained.scores["mean_distance"].mean != control.scores["mean_distance"].mean
    assert trained.config.pretrained_clips == 12
    assert control.config.pretrained_clips == 0
    (weights,) = trained.model
    assert weights.path.startswith("contrastive-")
    assert _run(dataset, pool, "contrastive").computed == 0


def test_joined_with_every_layer_of_a_network(dataset: Path, pool: Executor) -> None:
    found = _named(_run(dataset, pool, "rhythm+contrastive"))
    assert list(found) == [
        f"rhythm+contrastive/{layer}/{phase}|ridge" for phase in ("pre-trained", "random") for layer in (0, 1)
    ]
    assert [result.dims for result in found.values()] == [12, 11, 12, 11]


def test_the_table_of_differences_equals_the_comparison(dataset: Path, pool: Executor) -> None:
    outcome = _run(dataset, pool, "contrastive", "texture", phase="pre-trained")
    assert outcome.store
    # Texture was run without its control.
    (table,) = control_tables(outcome.results, outcome.store)
    (row,) = table.rows
    trained, control = (_named(outcome)[f"contrastive/0/{phase}|ridge"] for phase in ("pre-trained", "random"))
    expected = compare(control, trained, outcome.store).scores["mean_distance"]
    assert expected.difference is not None
    assert expected.ci95 is not None
    assert float(row[5].replace("\N{MINUS SIGN}", "-")) == pytest.approx(expected.difference, abs=6e-4)
    low, high = (float(part.replace("\N{MINUS SIGN}", "-")) for part in row[6].split(" to "))
    assert (low, high) == pytest.approx(expected.ci95, abs=6e-4)
    assert float(row[7]) == pytest.approx(expected.p, abs=1e-4)


def test_statistics_of_the_dataset(dataset: Path, pool: Executor, tmp_path: Path) -> None:
    other = tmp_path / "other"
    made = synthetic.load(SynthesisConfig(n_clips=8, clip_seconds=8, seed=4))
    labelled.build(made, other, name="other", version="1.0.0", config=LabelledConfig(), pool=pool)
    (model,) = pretrain_domains(["contrastive"], other, config=SMALL, models=tmp_path, device="cpu", pool=pool)
    given, own = (
        _named(_run(dataset, pool, "contrastive", trained=(model.folder,), own_statistics=each))
        for each in (False, True)
    )
    for name, result in given.items():
        assert result.scores["mean_distance"].mean != own[name].scores["mean_distance"].mean
        assert result.signature != own[name].signature
    # Statistics of the dataset itself are those that its own model has.
    mine = [_named(_run(dataset, pool, "contrastive", own_statistics=each)) for each in (False, True)]
    for name, result in mine[0].items():
        assert mine[1][name].scores["mean_distance"].mean == pytest.approx(result.scores["mean_distance"].mean)


def test_plots_and_lists_of_models(dataset: Path, pool: Executor, tmp_path: Path) -> None:
    made = pretrain_domains(["contrastive", "texture"], dataset, config=SMALL, models=tmp_path, device="cpu", pool=pool)
    assert [model.name for model in made] == ["contrastive", "texture"]
    drawn = draw_models(tmp_path, tmp_path / "plots")
    assert drawn.problems == []
    names = [[path.name.rpartition("-")[2] for path in paths] for paths in drawn.pictures.values()]
    assert names == [["curves.png"], ["curves.png", "rows.png"]]
    assert all(path.read_bytes().startswith(b"\x89PNG") for paths in drawn.pictures.values() for path in paths)
    listed = available("models", models=tmp_path).records
    assert [(record["domain"], record["layers"]) for record in listed] == [("contrastive", "12-6"), ("texture", "6-5")]


# Fine-tuning


def test_fine_tuned_beside_fine_tuned_random_weights(dataset: Path, pool: Executor, tmp_path: Path) -> None:
    outcome = _run(dataset, pool, "contrastive", phase="fine-tuned", out=tmp_path)
    found = _named(outcome)
    assert list(found) == [f"contrastive/0/{phase}|ridge" for phase in ("fine-tuned", "random-fine-tuned")]
    tuned, control = found.values()
    # Features differ from fold to fold, and from those before fine-tuning.
    for result in (tuned, control):
        stored = pl.read_parquet(features_path(result.path))
        assert stored["repeat"].n_unique() == 5
        assert result.dims == 6
        assert result.config.parts[0]["finetuning"]["rate"] == SMALL.encoder_finetuning.rate
        record = result.config.training[0]
        assert len(record["finetuning_epoch"]) == 5
        assert any(record["finetuning_epoch"])
        assert result.feature_metadata["contrastive"]["labels_used"] == "targets of the training part"
        # Refitted from what is stored.
        report = verify(result.path, Datasets([dataset], dataset.parent, only=True), dataset.parent / "models")
        assert report.level == "regression"
    assert tuned.config.pretrained_clips == 12
    assert control.config.pretrained_clips == 0
    before = _named(_run(dataset, pool, "contrastive"))["contrastive/0/pre-trained|ridge"]
    assert before.scores["mean_distance"].mean != tuned.scores["mean_distance"].mean
    (table,) = control_tables(outcome.results, ResultStore(tmp_path))
    assert [row[2] for row in table.rows] == ["fine-tuned"]
    assert _run(dataset, pool, "contrastive", phase="fine-tuned", out=tmp_path).computed == 0


def test_fine_tuning_resumes_with_the_folds_that_are_done(
    dataset: Path, pool: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def tune(works: Any, **options: Any) -> Any:
        asked.append(works)
        return tuning.tune_folds(works, **options)

    monkeypatch.setattr(networks, "tune_folds", tune)
    whole = _named(_run(dataset, pool, "contrastive", phase="fine-tuned", out=tmp_path / "whole", **of_seed(5)))
    entries = [cache.entry(tuning.KIND, work.key) for work in asked[0]]
    assert len(set(entries)) == 5
    # As after an interruption in the third fold.
    for path in entries[2:]:
        path.unlink()
    before = [path.stat().st_mtime_ns for path in entries[:2]]
    again = _named(_run(dataset, pool, "contrastive", phase="fine-tuned", out=tmp_path / "again", **of_seed(5)))
    assert [path.stat().st_mtime_ns for path in entries[:2]] == before
    assert all(path.is_file() for path in entries)
    assert {name: result.files for name, result in again.items()} == {
        name: result.files for name, result in whole.items()
    }


def test_joined_fine_tuned(dataset: Path, pool: Executor) -> None:
    found = _named(_run(dataset, pool, "rhythm+contrastive", phase="fine-tuned"))
    assert list(found) == [
        f"rhythm+contrastive/{layer}/{phase}|ridge" for phase in ("fine-tuned", "random-fine-tuned") for layer in (0, 1)
    ]
    assert [result.dims for result in found.values()] == [12, 11, 12, 11]


# Wrong input


def test_models_that_do_not_fit(dataset: Path, pool: Executor, tmp_path: Path) -> None:
    (model,) = pretrain_domains(["contrastive"], dataset, config=SMALL, models=tmp_path, device="cpu", pool=pool)
    with pytest.raises(
        InputError, match=r"is a model of contrastive, which `features` does not name; expected .*texture"
    ):
        _run(dataset, pool, "texture", trained=(model.folder,))
    with pytest.raises(InputError, match=r"is a model of contrastive, like .*; expected one model per domain"):
        _run(dataset, pool, "contrastive", trained=(model.folder, model.folder))
    wide = replace(SMALL.pretraining, window=8)
    with pytest.raises(InputError, match=r"window: was trained on 4 beats; expected the 8"):
        _run(dataset, pool, "contrastive", trained=(model.folder,), pretraining=wide)
    path = model.folder / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | {"texture": config["texture"] | {"floor_db": -60.0}}))
    with pytest.raises(InputError, match=r"normalisation: was trained on texture with .*-60"):
        _run(dataset, pool, "contrastive", trained=(model.folder,))
    path.write_text(json.dumps(config | {"kind": "transformer"}))
    with pytest.raises(InputError, match=r"is a model of 'transformer'; expected one of rhythm, .*, contrastive"):
        _run(dataset, pool, "contrastive", trained=(model.folder,))


def test_unknown_names_of_pre_training(dataset: Path, pool: Executor, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"mfcc: no such domain; expected .*, texture, contrastive"):
        pretrain_domains(["mfcc"], dataset, config=SMALL, models=tmp_path, device="cpu", pool=pool)


def test_windows_of_texture_are_those_of_the_analysis(dataset: Path, pool: Executor) -> None:
    from emobench.benchmark.features.clip_examples import clip_examples
    from emobench.benchmark.features.networks import own_networks
    from emobench.benchmark.scoring.task import load_task
    from emobench.dbn.domains import Domain

    networks = own_networks(dataset, config=SMALL, models=dataset.parent, device="cpu", pool=pool)
    shown = clip_examples(Domain("texture", 4), networks.analyses, load_task(labelled.load(dataset)))
    clip = networks.analyses[0]
    np.testing.assert_array_equal(shown.data.matrix()[0], clip.texture[:4].ravel())
    assert shown.times[0] == clip.beats[3]
