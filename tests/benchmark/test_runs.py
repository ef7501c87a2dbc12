"""Runs on small corpora, from labels alone and from audio, through every kind of row."""

from __future__ import annotations

import json
from concurrent.futures import Executor
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import polars as pl
import pytest
from emobench.benchmark import features, runs, spec
from emobench.benchmark.leaderboard import load_tables, rendered
from emobench.benchmark.networks import NetworkConfig
from emobench.benchmark.task import load_task
from emobench.builders import labelled, pretraining, synthetic
from emobench.builders.labelled import LabelledConfig
from emobench.builders.pretraining import PretrainConfig
from emobench.builders.synthesis import SynthesisConfig
from emobench.dbn.finetuning import FinetuningConfig
from emobench.dbn.pretraining import PretrainingConfig
from emobench.errors import InputError
from emobench.parallel import executor

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


@pytest.fixture(scope="module")
def with_audio(tmp_path_factory: pytest.TempPathFactory, pool: Executor) -> Path:
    folder = tmp_path_factory.mktemp("audio")
    settings = SynthesisConfig(n_clips=12, clip_seconds=8, n_pretrain=4, pretrain_seconds=31)
    labelled.build(
        synthetic.load(settings), folder / "syn", name="syn", version="1.0.0", config=LabelledConfig(), pool=pool
    )
    pretraining.build(
        synthetic.load_pretraining(settings),
        folder / "syn-pretrain",
        name="syn-pretrain",
        version="1.0.0",
        config=PretrainConfig(),
        pool=pool,
    )
    return folder


def _run(specs: list[str], dataset: Path, out: Path, **options: Any) -> runs.Outcome:
    places = Places(dataset=dataset, out=out / "results", models=out / "models", **options.pop("places", {}))
    config = runs.RunConfig(**options.pop("config", {}))
    with executor(1) as pool:
        return runs.run(specs, places, config, NETWORKS, device="cpu", pool=pool, **options)


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
    by_name = {result["features"]: result for result in outcome.results}
    assert list(by_name) == ["constant", "file:mine.csv", "oracle"]
    vectors = dict((row[0], row[1:]) for row in pl.read_csv(path).iter_rows())
    matrix = np.array([vectors[task.clips[song]] for song in task.songs])
    for name, table in (("constant", np.zeros((len(matrix), 0))), ("file:mine.csv", matrix)):
        expected = []
        for fold in task.folds:
            design = np.column_stack([np.ones(len(table)), table])
            weights = np.linalg.lstsq(design[fold.train], task.targets[fold.train], rcond=None)[0]
            error = (design @ weights - task.targets)[fold.test]
            expected.append(np.sqrt(error[:, 0] ** 2 + error[:, 1] ** 2).mean())
        score = by_name[name]["scores"]["mean_distance"]
        assert score["per_repeat"] == pytest.approx(expected, abs=1e-12)
        assert score["mean"] == pytest.approx(np.mean(expected), abs=1e-12)
        assert score["std"] == pytest.approx(np.std(expected, ddof=1), abs=1e-12)
        assert score["ci95"][0] < score["mean"] < score["ci95"][1]
    predictions = pl.read_parquet(outcome.paths[1].with_suffix(".parquet"))
    names = ["arousal", "valence", "arousal_var", "valence_var", "covariance"]
    assert predictions.columns == ["repeat", "clip_id", "time", *names, *(f"true_{name}" for name in names)]
    assert len(predictions) == sum(len(fold.test) for fold in task.folds)
    determinant = predictions["arousal_var"] * predictions["valence_var"] - predictions["covariance"] ** 2
    assert determinant.min() > 0  # pyright: ignore[reportOperatorIssue]


def test_the_oracle_beats_the_constant(labels_only: Path, tmp_path: Path) -> None:
    outcome = _run(["constant"], labels_only, tmp_path)
    constant, oracle = (result["scores"]["mean_distance"]["mean"] for result in outcome.results)
    assert oracle < constant


def test_finished_rows_are_not_computed_again(labels_only: Path, tmp_path: Path) -> None:
    first = _run(["constant"], labels_only, tmp_path)
    assert first.computed == 2
    times = [path.stat().st_mtime_ns for path in first.paths]
    second = _run(["constant"], labels_only, tmp_path)
    assert second.computed == 0
    assert second.results == first.results
    assert [path.stat().st_mtime_ns for path in second.paths] == times
    first.paths[0].with_suffix(".parquet").write_bytes(b"cut")
    assert _run(["constant"], labels_only, tmp_path).computed == 1
    forced = _run(["constant"], labels_only, tmp_path, force=True)
    assert forced.computed == 2
    assert [r["scores"] for r in forced.results] == [r["scores"] for r in first.results]
    assert [r["signature"] for r in forced.results] == [r["signature"] for r in first.results]


def test_signature_follows_what_decides_the_numbers(labels_only: Path, tmp_path: Path) -> None:
    path = _feature_file(tmp_path / "mine.csv", labels_only)
    signatures = {_run([f"file:{path}"], labels_only, tmp_path).results[0]["signature"]}
    signatures.add(_run([f"file:{path}"], labels_only, tmp_path, config={"regressor": "ridge"}).results[0]["signature"])
    path.write_text(path.read_text().replace("x0", "y0"))
    signatures.add(_run([f"file:{path}"], labels_only, tmp_path).results[0]["signature"])
    assert len(signatures) == 3


def test_ridge_keeps_many_noise_features_at_bay(labels_only: Path, tmp_path: Path) -> None:
    path = _feature_file(tmp_path / "noise.csv", labels_only, dims=8)
    mlr = _run([f"file:{path}"], labels_only, tmp_path).results[0]
    ridge = _run([f"file:{path}"], labels_only, tmp_path, config={"regressor": "ridge"}).results[0]
    assert ridge["scores"]["mean_distance"]["mean"] < mlr["scores"]["mean_distance"]["mean"]
    assert len(ridge["config"]["ridge_strength"]) == 5


def test_audio_features_need_audio(labels_only: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"was built without audio, so its only features come from file:PATH"):
        _run(["mfcc"], labels_only, tmp_path)


def test_wrong_features(labels_only: Path, tmp_path: Path) -> None:
    for names, message in {
        "loudness": "no feature is called 'loudness'; expected mfcc",
        "mfcc+": "no feature is called ''",
        "mfcc+mfcc": "names a feature twice",
        "file:x.txt": r"must end in \.csv or \.parquet",
        "file:none.csv": r"none\.csv: no such feature file",
    }.items():
        with pytest.raises(InputError, match=message):
            _run([names], labels_only, tmp_path)


def test_every_row_from_audio(with_audio: Path, tmp_path: Path) -> None:
    specs = ["mfcc", "chroma", "spectral_shape", "spectral_contrast", "ent", "rhythm", "mfcc+rhythm+pitch2d"]
    config = {"phases": ("pre-trained", "fine-tuned", "random", "random-fine-tuned")}
    places = {"pretrain_data": with_audio / "syn-pretrain"}
    outcome = _run(specs, with_audio / "syn", tmp_path, config=config, places=places)
    assert len(outcome.notes) == 1
    assert outcome.notes[0].startswith("ent: Echo Nest timbre cannot be computed from audio")
    assert len(outcome.results) == 4 + 12 + 12 + 2
    dims = {(r["features"], r["layer"], r["phase"]): r["dims"] for r in outcome.results}
    assert dims["mfcc", None, None] == 20
    assert dims["rhythm", 1, "fine-tuned"] == 6
    assert dims["mfcc+rhythm+pitch2d", 0, "random"] == 20 + 8 + 8
    tuned = next(r for r in outcome.results if (r["features"], r["layer"], r["phase"]) == ("rhythm", 0, "fine-tuned"))
    assert (tmp_path / "models" / tuned["model"][0]["path"]).is_file()
    assert set(tuned["config"]["training"][0]["epochs"]) <= {1, 2}
    assert tuned["cost"]["seconds_per_clip"] > 0
    assert outcome.pretrained_on == str(with_audio / "syn-pretrain")
    again = _run(specs, with_audio / "syn", tmp_path, config=config, places=places)
    assert again.computed == 0
    other = _run(["rhythm"], with_audio / "syn", tmp_path / "other", config=config, places=places)
    assert [r["scores"] for r in other.results if r["layer"] is not None] == [
        r["scores"] for r in outcome.results if r["features"] == "rhythm"
    ]
    tables, problems = load_tables(tmp_path / "results")
    assert problems == []
    assert [table.title for table in tables] == [
        "Emotion regression from standard features: syn@1.0.0 (synthetic)",
        "Emotion regression from deep belief networks: syn@1.0.0 (synthetic)",
    ]
    shown = rendered(tables, "markdown")
    assert "| Layer 2 | Rhythm, random weights |" in shown
    assert "ENT has no row" in shown
    assert "Synthetic music and ratings" in shown


def test_without_a_pretraining_set_the_labelled_clips_serve(with_audio: Path, tmp_path: Path) -> None:
    outcome = _run(["rhythm"], with_audio / "syn", tmp_path, config={"layers": (0,), "phases": ("pre-trained",)})
    assert outcome.pretrained_on == "the dataset's own clips without their labels"
    result = outcome.results[0]
    assert result["config"]["pretrained_on"] == "the dataset's own clips without their labels"
    model = json.loads((tmp_path / "models" / result["model"][0]["path"]).with_name("config.json").read_text())
    assert model["data"] == "the labelled clips without their labels"


def test_ent_alone_without_files_is_an_error(with_audio: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ent: .* has no s0001\.h5 for clip s0001"):
        _run(["ent"], with_audio / "syn", tmp_path)


def test_wrong_audio_folder(with_audio: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no such audio file, and \d+ others are missing; name their folder"):
        _run(["mfcc"], with_audio / "syn", tmp_path, places={"audio": tmp_path})


def test_test_targets_never_decide(with_audio: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shuffle the targets of the test part: choice, weights and predictions stay the same."""
    options: dict[str, Any] = {"config": {"layers": (2,)}, "places": {"pretrain_data": with_audio / "syn-pretrain"}}
    plain = _run(["rhythm"], with_audio / "syn", tmp_path / "plain", **options)

    def only_first_repeat(task: Any, *, shuffle: bool) -> Any:
        targets = task.targets.copy()
        if shuffle:
            targets[task.folds[0].test] = targets[task.folds[0].test][::-1]
        return type(task)(**{**task.__dict__, "targets": targets, "folds": task.folds[:1]})

    original = runs.load_task
    monkeypatch.setenv("EMOBENCH_CACHE", str(tmp_path / "cache"))
    found = []
    for shuffle in (False, True):
        monkeypatch.setattr(
            runs, "load_task", lambda dataset, shuffle=shuffle: only_first_repeat(original(dataset), shuffle=shuffle)
        )
        outcome = _run(["rhythm"], with_audio / "syn", tmp_path / str(shuffle), **options)
        predicted = [
            pl.read_parquet(path.with_suffix(".parquet")).select("arousal", "valence", "arousal_var").to_numpy()
            for path in outcome.paths[:2]
        ]
        trained = outcome.results[1]["config"]["training"][0]
        found.append((predicted, trained["epochs"], trained["finetuning_epoch"], trained["finetuning_error"]))
    assert found[0][1:] == found[1][1:]
    for one, other in zip(found[0][0], found[1][0], strict=True):
        assert np.array_equal(one, other)
    assert plain.results[1]["config"]["training"][0]["epochs"][0] == found[0][1][0]


def test_echo_nest_timbre_from_companions(labels_only: Path, tmp_path: Path) -> None:
    task = load_task(labelled.load(labels_only))
    generator = np.random.default_rng(2)
    for clip in task.clips:
        with h5py.File(tmp_path / f"{clip}.h5", "w") as file:
            file["analysis/segments_start"] = np.arange(0, 8, 0.25)
            file["analysis/segments_timbre"] = generator.normal(size=(32, 12))
    outcome = _run(["ent"], labels_only, tmp_path, places={"audio": tmp_path})
    assert outcome.notes == []
    assert (outcome.results[0]["features"], outcome.results[0]["dims"]) == ("ent", 12)
    signature = outcome.results[0]["signature"]
    with h5py.File(tmp_path / f"{task.clips[0]}.h5", "a") as file:
        timbre = np.asarray(file["analysis/segments_timbre"])
        del file["analysis/segments_timbre"]
        file["analysis/segments_timbre"] = timbre + 1.0
    again = _run(["ent"], labels_only, tmp_path, places={"audio": tmp_path})
    assert again.results[0]["signature"] != signature


def test_a_feature_of_another_package(with_audio: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "loud_package.py").write_text(
        "import numpy as np\n"
        "def level(samples, rate):\n"
        "    frames = samples[: len(samples) // 1000 * 1000].reshape(-1, 1000)\n"
        "    return np.arange(len(frames)) * 1000 / rate, np.abs(frames).mean(axis=1, keepdims=True)\n"
        "def wrong(samples, rate):\n"
        "    return np.arange(3), np.zeros((2, 1))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    points = {
        name: EntryPoint(name=name, value=f"loud_package:{name}", group=spec.ENTRY_POINTS)
        for name in ("level", "wrong", "absent")
    }
    for module in (spec, features):
        monkeypatch.setattr(module, "registered", lambda: points)
    outcome = _run(["level+mfcc"], with_audio / "syn", tmp_path)
    assert outcome.results[0]["dims"] == 21
    with pytest.raises(InputError, match=r"feature wrong, clip s0001: values: 2 vectors for 3 times"):
        _run(["wrong"], with_audio / "syn", tmp_path)
    with pytest.raises(InputError, match=r"feature absent: loud_package:absent cannot be imported"):
        _run(["absent"], with_audio / "syn", tmp_path)
