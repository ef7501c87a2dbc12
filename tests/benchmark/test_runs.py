"""Runs on small corpora, from labels alone and from audio, for every kind of entry."""

from __future__ import annotations

import json
import warnings
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from emobench.benchmark import runs
from emobench.benchmark.features.network_config import NetworkConfig
from emobench.benchmark.report.leaderboard import load, rendered
from emobench.benchmark.report.listing import listing
from emobench.benchmark.scoring.task import load_task
from emobench.builders import labelled_dataset as labelled
from emobench.builders.labelled_dataset import LabelledConfig
from emobench.builders.synthesis import SynthesisConfig
from emobench.builders.synthesis import corpus as synthetic
from emobench.cli.main import app
from emobench.dbn.config import FinetuningConfig, PretrainingConfig
from emobench.errors import EmobenchWarning, InputError
from emobench.runtime.executor import executor
from typer.testing import CliRunner

NETWORKS = NetworkConfig(
    pretraining=PretrainingConfig(layers=(8, 6, 4), epochs=(1, 2), rate=1e-4),
    finetuning=FinetuningConfig(epochs=3, patience=2),
)

Places = runs.Places


@pytest.fixture(scope="module")
def labels_only(make_corpus: Any, tmp_path_factory: pytest.TempPathFactory, pool: Executor) -> Path:
    out = tmp_path_factory.mktemp("labels") / "tiny"
    corpus = make_corpus([1] * 14 + [2] * 4)
    labelled.build(corpus, out, name="tiny", version="1.0.0", config=LabelledConfig(), pool=pool)
    return out


def _run(specs: list[str], dataset: Path, out: Path, **options: Any) -> Any:
    places = Places(dataset=dataset, out=out / "results", models=out / "models", **options.pop("places", {}))
    config = runs.RunConfig(**options.pop("config", {}))
    networks = replace(NETWORKS, carry_over=options.pop("carry_over", False))
    with executor(1) as pool:
        return runs.run(specs, places, config, networks, device="cpu", pool=pool, **options)


def _feature_file(path: Path, dataset: Path, dims: int = 3) -> Path:
    task = load_task(labelled.load(dataset))
    values = np.random.default_rng(1).normal(size=(len(task.clips), dims))
    columns = {f"x{place}": values[:, place] for place in range(dims)}
    pl.DataFrame({"clip_id": task.clips, **columns}).write_csv(path)
    return path


def test_scores_and_predictions_by_hand(labels_only: Path, tmp_path: Path) -> None:
    path = _feature_file(tmp_path / "mine.csv", labels_only)
    outcome = _run(["constant", f"file:{path}"], labels_only, tmp_path)
    task = load_task(labelled.load(labels_only))
    by_name = {result.features: result for result in outcome.results}
    assert list(by_name) == ["constant", "file:mine.csv", "oracle", "human", "ceiling"]
    vectors = dict((row[0], row[1:]) for row in pl.read_csv(path).iter_rows())
    matrix = np.array([vectors[task.clips[song]] for song in task.clip_index], np.float32).astype(float)
    for name, table in (("constant", np.zeros((len(matrix), 0))), ("file:mine.csv", matrix)):
        expected = []
        for fold in task.folds:
            design = np.column_stack([np.ones(len(table)), table])
            weights = np.linalg.lstsq(design[fold.train], task.targets[fold.train], rcond=None)[0]
            error = (design @ weights - task.targets)[fold.test]
            expected.append(np.sqrt(error[:, 0] ** 2 + error[:, 1] ** 2).mean())
        score = by_name[name].scores["mean_distance"]
        assert score.per_repeat == pytest.approx(expected, abs=1e-12)
        assert score.mean == pytest.approx(np.mean(expected), abs=1e-12)
        assert score.std == pytest.approx(np.std(expected, ddof=1), abs=1e-12)
        assert score.ci95[0] < score.mean < score.ci95[1]
    predictions = pl.read_parquet(outcome.paths[1].with_suffix(".predictions.parquet"))
    names = ["arousal", "valence", "arousal_var", "valence_var", "covariance"]
    assert predictions.columns == ["repeat", "clip_id", "time", *names, *(f"true_{name}" for name in names)]
    assert len(predictions) == sum(len(fold.test) for fold in task.folds)
    determinant = predictions["arousal_var"] * predictions["valence_var"] - predictions["covariance"] ** 2
    assert determinant.min() > 0  # pyright: ignore[reportOperatorIssue]


def test_the_oracle_beats_the_constant(labels_only: Path, tmp_path: Path) -> None:
    outcome = _run(["constant"], labels_only, tmp_path)
    constant, oracle, human, ceiling = (result.scores["mean_distance"].mean for result in outcome.results)
    assert oracle < constant
    # The annotators agree, but not perfectly; the mean of all is closer to the population than that of half of them.
    assert ceiling < human < constant


def test_finished_entries_are_not_computed_again(labels_only: Path, tmp_path: Path) -> None:
    first = _run(["constant"], labels_only, tmp_path)
    assert first.computed == 4
    times = [path.stat().st_mtime_ns for path in first.paths]
    second = _run(["constant"], labels_only, tmp_path)
    assert second.computed == 0
    assert second.results == first.results
    assert [path.stat().st_mtime_ns for path in second.paths] == times
    first.paths[0].with_suffix(".predictions.parquet").write_bytes(b"cut")
    assert _run(["constant"], labels_only, tmp_path).computed == 1
    forced = _run(["constant"], labels_only, tmp_path, force=True)
    assert forced.computed == 4
    assert [r.scores for r in forced.results] == [r.scores for r in first.results]
    assert [r.signature for r in forced.results] == [r.signature for r in first.results]


def test_signature_depends_on_everything_that_determines_the_scores(labels_only: Path, tmp_path: Path) -> None:
    path = _feature_file(tmp_path / "mine.csv", labels_only)
    signatures = {_run([f"file:{path}"], labels_only, tmp_path).results[0].signature}
    signatures.add(
        _run([f"file:{path}"], labels_only, tmp_path, config={"regressors": ("ridge",)}).results[0].signature
    )
    path.write_text(path.read_text().replace("x0", "y0"))
    signatures.add(_run([f"file:{path}"], labels_only, tmp_path).results[0].signature)
    assert len(signatures) == 3


def test_ridge_handles_many_noise_features(labels_only: Path, tmp_path: Path) -> None:
    path = _feature_file(tmp_path / "noise.csv", labels_only, dims=8)
    mlr = _run([f"file:{path}"], labels_only, tmp_path).results[0]
    ridge = _run([f"file:{path}"], labels_only, tmp_path, config={"regressors": ("ridge",)}).results[0]
    assert ridge.scores["mean_distance"].mean < mlr.scores["mean_distance"].mean
    assert len(ridge.config.ridge_strength) == 5


@pytest.mark.parametrize(
    ("dims", "regressor", "warns"), [(40, "mlr", True), (3, "mlr", True), (1, "mlr", False), (40, "ridge", False)]
)
def test_least_squares_that_overfits_is_named(
    labels_only: Path, tmp_path: Path, recwarn: pytest.WarningsRecorder, dims: int, regressor: str, warns: bool
) -> None:
    # 11 training clips, each with one vector: 40 dimensions fit them exactly, 3 of noise make R² less than −1.
    path = _feature_file(tmp_path / "noise.csv", labels_only, dims=dims)
    warnings.simplefilter("always")
    for _ in range(2):  # also if the entry was finished before
        outcome = _run([f"file:{path}"], labels_only, tmp_path, config={"regressors": (regressor,)})
        lines = [str(each.message) for each in recwarn.list if each.category is EmobenchWarning]
        recwarn.clear()
        r2 = min(outcome.results[0].scores[f"r2_{axis}"].mean for axis in ("arousal", "valence"))
        assert (r2 < -1) == (dims == 3)
        assert len(lines) == warns
        if warns:
            assert lines[0] == (
                f"least squares (mlr) overfits file:noise.csv: R² {r2:.2f} with {dims} dimensions "
                "and 11 distinct training rows. Try the regressor ridge."
            )


def test_audio_features_need_audio(labels_only: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no audio on this machine, so features can come only from files"):
        _run(["mfcc"], labels_only, tmp_path)


def test_wrong_features(labels_only: Path, tmp_path: Path) -> None:
    for names, message in {
        "loudness": "no feature is called 'loudness'; expected one of mfcc",
        "mfcc+": "no feature is called ''",
        "mfcc+mfcc": "names a feature twice",
        "file:x.txt": r"expected a file that ends in \.csv or \.parquet",
        "file:none.csv": r"none\.csv: no such feature file",
    }.items():
        with pytest.raises(InputError, match=message):
            _run([names], labels_only, tmp_path)


def test_every_entry_from_audio(with_audio: Path, tmp_path: Path) -> None:
    specs = ["mfcc", "chroma", "spectral_shape", "spectral_contrast", "ent", "rhythm", "mfcc+rhythm+pitch2d"]
    config = {"phases": ("pre-trained", "fine-tuned", "random", "random-fine-tuned")}
    places = {"pretrain_data": with_audio / "syn-pretrain"}
    outcome = _run(specs, with_audio / "syn", tmp_path, config=config, places=places)
    assert len(outcome.notes) == 1
    assert outcome.notes[0].startswith("ent: Echo Nest timbre cannot be computed from audio")
    assert len(outcome.results) == 4 + 12 + 12 + 4
    dims = {(r.features, r.layer, r.phase): r.dims for r in outcome.results}
    assert dims["mfcc", None, None] == 20
    assert dims["rhythm", 1, "fine-tuned"] == 6
    assert dims["mfcc+rhythm+pitch2d", 0, "random"] == 20 + 8 + 8
    tuned = next(r for r in outcome.results if (r.features, r.layer, r.phase) == ("rhythm", 0, "fine-tuned"))
    assert (tmp_path / "models" / tuned.model[0].path).is_file()
    assert set(tuned.config.training[0]["epochs"]) <= {1, 2}
    assert tuned.cost.seconds_per_clip > 0
    assert outcome.pretrained_on == ["syn-pretrain@1.0.0"]
    again = _run(specs, with_audio / "syn", tmp_path, config=config, places=places)
    assert again.computed == 0
    other = _run(["rhythm"], with_audio / "syn", tmp_path / "other", config=config, places=places)
    assert [r.scores for r in other.results if r.layer is not None] == [
        r.scores for r in outcome.results if r.features == "rhythm"
    ]
    board = load(tmp_path / "results")
    tables, problems = board.tables, board.store.problems
    assert problems == []
    assert [table.title for table in tables] == [
        "Emotion regression from standard features: syn@1.0.0 (synthetic)",
        "Emotion regression from deep belief networks: syn@1.0.0 (synthetic)",
        "Ranks, intervals and cost: syn@1.0.0 (synthetic)",
        "Best of each group: syn@1.0.0 (synthetic)",
        "What training brings: syn@1.0.0 (synthetic)",
    ]
    shown = rendered(tables, "markdown")
    assert "| Layer 2 | Rhythm, random weights |" in shown
    assert "ENT" not in shown
    assert "Synthetic music and ratings" in shown


def test_without_a_pretraining_set_the_labelled_clips_are_used(with_audio: Path, tmp_path: Path) -> None:
    outcome = _run(["rhythm"], with_audio / "syn", tmp_path, config={"layers": (0,), "phases": ("pre-trained",)})
    assert outcome.pretrained_on == ["the dataset's own clips without their labels"]
    result = outcome.results[0]
    assert result.config.pretrained_on == "the dataset's own clips without their labels"
    model = json.loads((tmp_path / "models" / result.model[0].path).with_name("config.json").read_text())
    assert model["data"] == "the labelled clips without their labels"


def test_pre_training_on_a_labelled_dataset(with_audio: Path, tmp_path: Path, pool: Executor) -> None:
    config = {"layers": (0,), "phases": ("pre-trained", "random")}
    own = _run(["rhythm"], with_audio / "syn", tmp_path, config=config)
    named = _run(
        ["rhythm"], with_audio / "syn", tmp_path / "named", config=config, places={"pretrain_data": with_audio / "syn"}
    )
    # The dataset itself gives the same network, whether named or not.
    assert [r.scores for r in named.results] == [r.scores for r in own.results]
    assert named.pretrained_on == ["syn@1.0.0 without its labels"]
    for outcome in (own, named):
        assert [result.config.pretrained_clips for result in outcome.results] == [12, 0, 0, 0, 0, 0]
        assert {result.n_clips for result in outcome.results} == {12}
    note = "Pre-trained on 12 of the 12 clips of this dataset, test clips included, without their labels: Rhythm."
    tables = load(tmp_path / "named" / "results").tables
    assert note in tables[1].notes
    assert note not in tables[0].notes

    # Another labelled dataset, with six of the clips.
    corpus = synthetic.load(SynthesisConfig(n_clips=12, clip_seconds=8, n_pretrain=4, pretrain_seconds=31))
    audio = {path.stem: path.name for path in (with_audio / "syn" / "audio").iterdir()}
    kept = own.results[0].albums.keys() & set(corpus.clips["clip_id"].head(6))
    half = replace(
        corpus,
        clips=corpus.clips.head(6).with_columns(audio=pl.col("clip_id").replace_strict(audio)),
        annotations=corpus.annotations.filter(pl.col("clip_id").is_in(corpus.clips["clip_id"].head(6).to_list())),
        audio_folder=with_audio / "syn" / "audio",
        render=None,
    )
    labelled.build(half, tmp_path / "half", name="half", version="1.0.0", config=LabelledConfig(), pool=pool)
    places = {"pretrain_data": tmp_path / "half"}
    outcome = _run(["rhythm"], with_audio / "syn", tmp_path / "on-half", config=config, places=places)
    assert outcome.results[0].config.pretrained_clips == len(kept) > 0
    assert outcome.results[0].model != own.results[0].model
    on_set = _run(
        ["rhythm"],
        with_audio / "syn",
        tmp_path / "set",
        config=config,
        places={"pretrain_data": with_audio / "syn-pretrain"},
    )
    assert on_set.results[0].config.pretrained_clips == 0


def test_given_beats_replace_those_of_the_dataset(with_audio: Path, tmp_path: Path) -> None:
    config = {"layers": (0,), "phases": ("random",)}
    beats = labelled.load(with_audio / "syn").beats.select("clip_id", "time")
    shifted = beats.with_columns(pl.col("time") + 0.2).filter(pl.col("time") < 8)
    results = {}
    for name, table in {"same": beats, "shifted": shifted}.items():
        table.write_csv(tmp_path / f"{name}.csv")
        places = {"beats": tmp_path / f"{name}.csv"}
        results[name] = _run(["rhythm"], with_audio / "syn", tmp_path / name, config=config, places=places).results[0]
    own = _run(["rhythm"], with_audio / "syn", tmp_path / "own", config=config).results[0]
    assert results["same"].scores == own.scores
    assert results["shifted"].scores["mean_distance"].mean != own.scores["mean_distance"].mean
    assert len({own.signature, results["same"].signature, results["shifted"].signature}) == 3


def test_pre_training_on_labels_alone(with_audio: Path, labels_only: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="tiny: was built without audio; pre-training needs some"):
        _run(["rhythm"], with_audio / "syn", tmp_path, places={"pretrain_data": labels_only})


def test_wrong_audio_folder(with_audio: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no such audio file, and \d+ more are missing\. Name the folder"):
        _run(["mfcc"], with_audio / "syn", tmp_path, places={"audio": tmp_path})


# Weights carried over


def test_carried_over_entries_are_marked_permanently(
    with_audio: Path, tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    warnings.simplefilter("always")
    options: dict[str, Any] = {"places": {"pretrain_data": with_audio / "syn-pretrain"}}
    settings = {"layers": (0, 2), "phases": ("pre-trained", "fine-tuned", "random-fine-tuned")}
    apart = _run(["rhythm"], with_audio / "syn", tmp_path, config=settings, **options)
    assert not [each for each in recwarn.list if "leak" in str(each.message)]
    recwarn.clear()
    carried = _run(["rhythm"], with_audio / "syn", tmp_path, config=settings, carry_over=True, **options)
    warning, _overfits = (str(each.message) for each in recwarn.list if each.category is EmobenchWarning)
    assert warning.startswith("`carry_over` keeps fine-tuned weights from fold to fold")
    assert "clips that are tested in a later fold were trained on in an earlier one" in warning

    # Pre-trained entries are the same as before; each of the others is an additional one.
    assert carried.computed == 4
    assert len({path.name for path in (*apart.paths, *carried.paths)}) == 6 + 4 + 4
    for phase in ("fine-tuned", "random-fine-tuned"):
        one, other = ({r.layer: r for r in outcome.results if r.phase == phase} for outcome in (apart, carried))
        for layer in (0, 2):
            assert one[layer].signature != other[layer].signature
            assert one[layer].config.carry_over is False
            assert other[layer].config.carry_over is True
            assert other[layer].config.networks["carry_over"] is True
            # The first fold starts as usual, the others from other weights.
            first, *rest = zip(*(r[layer].scores["mean_distance"].per_repeat for r in (one, other)), strict=True)
            assert first[0] == first[1]
            assert any(alone != kept for alone, kept in rest)
    names = [path.name.rsplit("-", 1)[0] for path in carried.paths]
    assert names[:6] == [
        "rhythm-layer0-pre-trained",
        "rhythm-layer2-pre-trained",
        "rhythm-layer0-fine-tuned-carried-over",
        "rhythm-layer2-fine-tuned-carried-over",
        "rhythm-layer0-random-fine-tuned-carried-over",
        "rhythm-layer2-random-fine-tuned-carried-over",
    ]

    # Every table shows them beside the others, never instead of them.
    board = load(tmp_path / "results")
    found, problems = board.tables, board.store.problems
    assert problems == []
    mark = "carried over (leaks)"
    for form in ("rich", "markdown", "latex", "csv", "json"):
        assert mark in rendered(found, form), form
    networks = [table for table in found if table.title.startswith("Emotion regression from deep belief networks")]
    rows = [line for line in rendered(networks, "markdown").splitlines() if line.startswith("| Layer 0 |")]
    assert [line.split("|")[2].strip() for line in rows] == [
        "Rhythm",
        f"Rhythm, fine-tuned, {mark}",
        "Rhythm, random weights",
        f"Rhythm, random weights, fine-tuned, {mark}",
    ]
    assert rows[1].split("|")[3].strip() == "–"
    assert "not run" not in rows[0]
    late = "clips tested in a later fold were used for training in an earlier one"
    assert any(late in note for table in networks for note in table.notes)
    (deep,) = (table for table in found if "networks" in table.title)
    phases = [record["phase"] for record in deep.records if record["layer"] == 0]
    assert phases == [
        "pre-trained",
        "fine-tuned",
        f"fine-tuned, {mark}",
        "random-fine-tuned",
        f"random-fine-tuned, {mark}",
    ]
    listed = listing("results", data=tmp_path, models=tmp_path, results=tmp_path / "results")
    assert sum(mark in record["phase"] for record in listed.records if record["phase"]) == 4
    only_apart = load(_without(tmp_path, "carried-over")).tables
    assert "leaks" not in rendered(only_apart, "markdown")


def _without(folder: Path, mark: str) -> Path:
    for path in (folder / "results").rglob(f"*{mark}*"):
        path.unlink()
    return folder / "results"


def test_carry_over_without_a_fine_tuned_entry(with_audio: Path, tmp_path: Path) -> None:
    message = "`carry_over`: expected fine-tuned entries of networks"
    with pytest.raises(InputError, match=message):
        _run(["mfcc"], with_audio / "syn", tmp_path, carry_over=True)
    with pytest.raises(InputError, match=message):
        _run(["rhythm"], with_audio / "syn", tmp_path, carry_over=True, config={"phases": ("pre-trained", "random")})


def test_carry_over_on_the_command_line(with_audio: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    options = ["--layers", "5,4", "--epochs", "1", "--layer", "1", "--phase", "fine-tuned", "--workers", "2"]
    data = ["--dataset", str(with_audio / "syn"), "--pretrain-data", str(with_audio / "syn-pretrain")]
    ran = CliRunner().invoke(app, ["run", "--features", "rhythm", "--carry-over", *options, *data])
    assert ran.exit_code == 0, ran.stderr
    assert ran.stderr.count("emobench: warning: --carry-over") == 1
    assert "carried over (leaks)" in ran.stdout
    assert len(list((tmp_path / "results").rglob("rhythm-layer1-fine-tuned-carried-over-*.json"))) == 1
    wrong = CliRunner().invoke(app, ["run", "--features", "rhythm", "--carry-over", "--phase", "random", *data])
    assert wrong.exit_code == 2
    assert wrong.stderr.startswith("emobench: --carry-over: expected fine-tuned entries")
    assert len(wrong.stderr.splitlines()) == 1
