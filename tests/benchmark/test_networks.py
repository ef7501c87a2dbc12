"""Folds of networks: reproducible with any number of workers, cached, independent of the test part, carried over."""

from __future__ import annotations

import shutil
import threading
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from emobench.audio import cache
from emobench.benchmark import runs
from emobench.benchmark.features import tuning
from emobench.benchmark.features.network_config import NetworkConfig
from emobench.benchmark.features.tuning import FoldWork, arrays_of, network_of, tune_carried, tune_fold, tune_folds
from emobench.dbn.config import FinetuningConfig, PretrainingConfig
from emobench.dbn.domains import Domain, Examples, examples
from emobench.dbn.finetuning import finetune
from emobench.dbn.network import Layer, Network
from emobench.runtime import executor as parallel
from emobench.runtime.executor import executor

CPU = torch.device("cpu")
FINETUNING = FinetuningConfig(rate=0.1, momentum=0.5, batch=16, epochs=6, patience=6)
NETWORKS = NetworkConfig(
    pretraining=PretrainingConfig(layers=(8, 6, 4), epochs=(1, 2, 3), rate=1e-3),
    finetuning=FinetuningConfig(epochs=4, patience=4),
)

# Inputs of fine-tuning


def _network(dims: int) -> Network:
    generator = torch.Generator().manual_seed(0)
    widths = [(dims, 7), (7, 5)]
    layers = tuple(Layer(torch.randn(*shape, generator=generator), torch.zeros(shape[1])) for shape in widths)
    return Network(torch.linspace(-1, 1, dims), torch.linspace(1, 2, dims), layers)


class Folds:
    """Five folds over beats of random clips, and their results computed without executors and caches."""

    def __init__(self, **settings: Any) -> None:
        rng = np.random.default_rng(0)
        clips = [rng.normal(size=(rng.integers(8, 20), 20)).astype(np.float32) for _ in range(30)]
        self.shown: Examples = examples(Domain("rhythm"), clips)
        self.network = _network(self.shown.dims)
        self.config = replace(FINETUNING, **settings)
        matrix = self.shown.matrix()
        # Targets depend on the network itself, so that every fold learns something.
        top = self.network.activations(torch.from_numpy(matrix))[-1].numpy()[:, :2]
        targets = (top - 0.5 + 0.05 * rng.normal(size=top.shape)).astype(np.float32)
        self.parts = []
        self.works = []
        for repeat in range(5):
            dealt = rng.permutation(len(matrix))
            chosen = [np.sort(dealt[:120]), np.sort(dealt[120:170])]
            self.parts.append([(matrix[rows], targets[rows]) for rows in chosen])
            self.works.append(
                FoldWork(
                    name="rhythm",
                    key={"test": repeat, "settings": settings},
                    start=arrays_of(self.network),
                    rows=self.shown.rows,
                    window=self.shown.window,
                    firsts=(self.shown.starts[chosen[0]], self.shown.starts[chosen[1]]),
                    targets=(targets[chosen[0]], targets[chosen[1]]),
                    config=self.config,
                    repeat=repeat,
                )
            )

    def by_hand(self, repeat: int, start: Network) -> Network:
        training, verification = self.parts[repeat]
        return finetune(start, training=training, verification=verification, config=self.config, repeat=repeat).network


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A separate cache, and one thread, because the number of threads would change the rounding."""
    monkeypatch.setenv("EMOBENCH_CACHE", str(tmp_path / "cache"))
    torch.set_num_threads(1)
    return tmp_path / "cache"


def _same(arrays: cache.Arrays, network: Network) -> bool:
    expected = arrays_of(network)
    return all(np.array_equal(arrays[name], expected[name]) for name in expected)


def _tune(works: list[FoldWork], pool: Executor, *, carried: bool = False) -> list[cache.Arrays]:
    tune = tune_carried if carried else tune_folds
    return tune(works, pool=pool, device=CPU, description="folds")


# On all processors


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_folds_are_the_same_bits_on_any_number_of_workers(workers: int) -> None:
    folds = Folds()
    with executor(workers) as many:
        made = _tune(folds.works, many)
    assert len(made) == 5
    for repeat, arrays in enumerate(made):
        assert _same(arrays, folds.by_hand(repeat, folds.network))
    assert len({arrays["layer0.weight"].tobytes() for arrays in made}) == 5
    for arrays in made:
        epoch, error, seconds = arrays["facts"]
        assert epoch in range(1, 7)
        assert 0 < error < 0.1
        assert seconds > 0


def test_several_folds_run_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    folds = Folds()
    both = threading.Barrier(2, timeout=30)

    def call(function: Any, item: FoldWork, limited: bool) -> Any:
        assert not limited
        # Fails after a timeout unless another fold gets here too.
        both.wait()
        return function(item)

    monkeypatch.setattr(parallel, "isolated", call)
    with executor(2) as two:
        made = _tune(folds.works[:4], two)
    assert _same(made[3], folds.by_hand(3, folds.network))


def test_only_what_is_missing_is_computed(pool: Executor, empty_cache: Path) -> None:
    folds = Folds()
    first = _tune(folds.works, pool)
    entries = [cache.entry(tuning.KIND, work.key) for work in folds.works]
    assert all(empty_cache in entry.parents for entry in entries)
    times = [entry.stat().st_mtime_ns for entry in entries]
    entries[1].unlink()
    entries[3].write_bytes(b"cut")
    again = _tune(folds.works, pool)
    changed = [entry.stat().st_mtime_ns != before for entry, before in zip(entries, times, strict=True)]
    assert changed == [False, True, False, True, False]
    for one, other in zip(first, again, strict=True):
        assert all(np.array_equal(one[name], other[name]) for name in one if name != "facts")
        assert np.array_equal(one["facts"][:2], other["facts"][:2])


def test_finished_folds_are_kept_when_a_later_fold_fails(pool: Executor) -> None:
    folds = Folds()
    empty = folds.works[4].targets[0][:0]
    bad = replace(
        folds.works[4], firsts=(folds.works[4].firsts[0][:0], folds.works[4].firsts[1]), targets=(empty, empty)
    )
    with pytest.raises(ValueError, match="training and verification: expected at least one example each"):
        _tune([*folds.works[:4], bad], pool)
    kept = [cache.read(cache.entry(tuning.KIND, work.key)) for work in folds.works]
    assert [found is not None for found in kept] == [True, True, True, True, False]
    assert kept[2] is not None
    assert _same(kept[2], folds.by_hand(2, folds.network))


def test_nothing_is_computed_if_everything_is_cached(pool: Executor) -> None:
    folds = Folds()
    _tune(folds.works, pool)
    # No executor is needed.
    made = tune_folds(folds.works, pool=None, device=CPU, description="folds")  # pyright: ignore[reportArgumentType]
    assert _same(made[3], folds.by_hand(3, folds.network))


def test_folds_of_another_machine_are_cached_here(pool: Executor, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache of a worker on a cluster is not the local one."""
    folds = Folds()
    elsewhere = [tune_fold(work) for work in folds.works]
    entries = [cache.entry(tuning.KIND, work.key) for work in folds.works]
    for entry in entries:
        entry.unlink()
    monkeypatch.setattr(tuning, "ordered_map", lambda *_, **__: iter(elsewhere))
    _tune(folds.works, pool)
    assert all(entry.is_file() for entry in entries)


def test_a_gpu_stays_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    folds = Folds()
    asked = []

    def tune_here(work: FoldWork, device: str = "cpu") -> cache.Arrays:
        asked.append((work.repeat, device))
        return arrays_of(folds.network)

    monkeypatch.setattr(tuning, "tune_fold", tune_here)
    device = torch.device("cuda")
    tune_folds(folds.works, pool=None, device=device, description="folds")  # pyright: ignore[reportArgumentType]
    assert asked == [(repeat, "cuda") for repeat in range(5)]


def test_only_the_rows_are_sent() -> None:
    work = Folds().works[0]
    assert str(work) == "fine-tuning rhythm, repeat 0"
    # The rows of all clips, not their overlapping windows.
    assert work.rows.nbytes * 3 < len(Folds().shown) * work.rows.shape[1] * work.window * 4


def test_a_network_can_be_rebuilt_from_arrays() -> None:
    network = _network(6)
    again = network_of("rhythm", arrays_of(network), CPU)
    inputs = torch.randn(4, 6)
    for one, other in zip(network.activations(inputs), again.activations(inputs), strict=True):
        assert torch.equal(one, other)


# Weights carried over


def test_carried_over_each_fold_starts_with_the_weights_of_the_last(pool: Executor) -> None:
    folds = Folds()
    made = _tune(folds.works, pool, carried=True)
    start = folds.network
    for repeat, arrays in enumerate(made):
        start = folds.by_hand(repeat, start)
        assert _same(arrays, start)
    apart = _tune(folds.works, pool)
    assert np.array_equal(made[0]["layer0.weight"], apart[0]["layer0.weight"])
    for carried, alone in zip(made[1:], apart[1:], strict=True):
        assert not np.array_equal(carried["layer0.weight"], alone["layer0.weight"])
    again = _tune(folds.works, pool, carried=True)
    assert all(np.array_equal(one["facts"], other["facts"]) for one, other in zip(made, again, strict=True))


def test_carried_over_weights_are_cached_by_all_previous_folds(pool: Executor) -> None:
    """A different first fold changes every later one, although their own data are the same."""
    folds = Folds()
    made = _tune(folds.works, pool, carried=True)
    other = _tune([replace(folds.works[1], key={"other": 1}), *folds.works[1:]], pool, carried=True)
    assert not np.array_equal(made[4]["layer0.weight"], other[4]["layer0.weight"])


# The test part


class OneRepeat:
    """Runs on one repeat of a dataset; targets of its parts may be replaced, and only audio is cached."""

    def __init__(self, folder: Path, work: Path, monkeypatch: pytest.MonkeyPatch, pool: Executor) -> None:
        self.folder, self.work, self.monkeypatch, self.pool = folder, work, monkeypatch, pool
        self.load_task = runs.load_task
        self.number = 0

    def __call__(self, repeat: int, *, regressor: str, replaced: str | None) -> dict[str, Any]:
        """Return the choices, weights and predictions of a run."""

        def load(dataset: Any, *settings: Any) -> Any:
            task = self.load_task(dataset, *settings)
            fold = task.folds[repeat]
            targets = task.targets.copy()
            if replaced is not None:
                rows = getattr(fold, replaced)
                targets[rows] = np.random.default_rng(repeat).permutation(targets[rows]) * [-0.5, 0.3, 3, 4, 0.1]
            return replace(task, targets=targets, folds=[fold])

        self.number += 1
        own = self.work / f"cache{self.number}"
        if (self.work / "cache" / "analysis").is_dir():
            shutil.copytree(self.work / "cache" / "analysis", own / "analysis")
        with self.monkeypatch.context() as patch:
            patch.setattr(runs, "load_task", load)
            patch.setenv("EMOBENCH_CACHE", str(own))
            places = runs.Places(
                dataset=self.folder / "syn",
                out=self.work / f"results{self.number}",
                models=self.work / "models",
                pretrain_data=self.folder / "syn-pretrain",
            )
            config = runs.RunConfig(regressors=(regressor,), layers=(0, 2))
            outcome = runs.run(["rhythm"], places, config, NETWORKS, device="cpu", pool=self.pool)
        if not (self.work / "cache").is_dir():
            shutil.copytree(own / "analysis", self.work / "cache" / "analysis")
        deep = [result for result in outcome.results if result.layer is not None]
        assert len(deep) == 4
        tuned = next(result for result in deep if result.phase == "fine-tuned").model_dump()["config"]
        kept = {path.name: cache.read(path) for path in (own / tuning.KIND).rglob("*.npz")}
        assert len(kept) == 1
        training = {name: value for name, value in tuned["training"][0].items() if name != "finetuning_seconds"}
        means = ["arousal", "valence", "arousal_var", "valence_var", "covariance"]
        tables = [pl.read_parquet(path.with_suffix(".predictions.parquet")) for path in outcome.paths[: len(deep)]]
        return {
            "training": training,
            "strengths": [result.config.ridge_strength for result in deep],
            "weights": {
                (name, part): array.tobytes()
                for name, arrays in kept.items()
                for part, array in (arrays or {}).items()
                if part != "facts"
            },
            "predictions": [table.select(means).to_numpy().tobytes() for table in tables],
            "truth": [table.select(f"true_{name}" for name in means).to_numpy().tobytes() for table in tables],
            "scores": [result.scores["mean_distance"].mean for result in deep],
        }


@pytest.mark.parametrize("regressor", ["mlr", "ridge"])
def test_the_test_part_is_not_touched_before_scoring(
    with_audio: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pool: Executor, regressor: str
) -> None:
    """Shuffled and distorted test targets change no bit of choices, weights and predictions, in every repeat."""
    once = OneRepeat(with_audio, tmp_path / "once", monkeypatch, pool)
    for repeat in range(5):
        plain, bent = (once(repeat, regressor=regressor, replaced=part) for part in (None, "test"))
        for what in ("training", "strengths", "weights", "predictions"):
            assert plain[what] == bent[what], (repeat, what)
        assert plain["training"]["epochs"][0] in (1, 2, 3)
        assert list(plain["training"]["verification_distance"][0]) == ["1", "2", "3"]
        # The predictions were scored against other targets.
        assert all(one != other for one, other in zip(plain["truth"], bent["truth"], strict=True))
        assert all(one != other for one, other in zip(plain["scores"], bent["scores"], strict=True))


def test_the_other_parts_do_have_influence(
    with_audio: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pool: Executor
) -> None:
    """The quantities of the test above would reveal a part that is used."""
    once = OneRepeat(with_audio, tmp_path / "once", monkeypatch, pool)
    plain, verified, trained = (once(0, regressor="ridge", replaced=part) for part in (None, "verification", "train"))
    assert verified["training"]["verification_distance"] != plain["training"]["verification_distance"]
    assert verified["training"]["finetuning_error"] != plain["training"]["finetuning_error"]
    assert trained["weights"] != plain["weights"]
    assert trained["predictions"] != plain["predictions"]


def test_the_choice_has_the_smallest_verification_distance(
    with_audio: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pool: Executor
) -> None:
    once = OneRepeat(with_audio, tmp_path / "once", monkeypatch, pool)
    chosen = set()
    for repeat in range(5):
        training = once(repeat, regressor="mlr", replaced=None)["training"]
        (distances,) = training["verification_distance"]
        (epochs,) = training["epochs"]
        assert distances[str(epochs)] == min(distances.values())
        assert len(set(distances.values())) == 3
        chosen.add(epochs)
    assert len(chosen) > 1
