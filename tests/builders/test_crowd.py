"""Simulated annotators of the synthetic corpus, compared with real ones."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from emobench.builders.synthesis import (
    REAL_LABEL_STATISTICS,
    ClipPlan,
    SynthesisConfig,
    label_statistics,
    plan_labelled,
    simulate_workers,
)


@pytest.fixture(scope="module")
def config() -> SynthesisConfig:
    return SynthesisConfig(seed=5)


@pytest.fixture(scope="module")
def plans(config: SynthesisConfig) -> list[ClipPlan]:
    return plan_labelled(config)


def _columns(plans: list[ClipPlan], config: SynthesisConfig) -> dict[str, np.ndarray]:
    rows = []
    for number, plan in enumerate(plans):
        for trace in simulate_workers(plan, config):
            for second, answer in enumerate(zip(trace.arousal, trace.valence, strict=True), start=1):
                rows.append((number, trace.annotator_id, second, *answer))
    return dict(zip(("clip_id", "trace", "time", "arousal", "valence"), np.array(rows).T, strict=True))


@pytest.fixture(scope="module")
def columns(plans: list[ClipPlan], config: SynthesisConfig) -> dict[str, np.ndarray]:
    return _columns(plans, config)


def test_traces_are_in_range(plans: list[ClipPlan], config: SynthesisConfig) -> None:
    for plan in plans[:40]:
        traces = simulate_workers(plan, config)
        assert 7 <= len(traces) <= 23
        assert len({trace.annotator_id for trace in traces}) == len(traces)
        for trace in traces:
            both = np.stack([trace.arousal, trace.valence])
            assert both.shape == (2, 15)
            assert both.dtype == np.float64
            assert np.abs(both).max() <= 0.5
            assert np.array_equal(np.rint(both * 400) / 400, both)


def test_statistics_are_close_to_the_real_ones(columns: dict[str, np.ndarray]) -> None:
    ours, real = label_statistics(pl.DataFrame(columns)), REAL_LABEL_STATISTICS
    assert ours.clips == real.clips
    assert ours.traces_mean == pytest.approx(real.traces_mean, abs=0.6)
    assert ours.traces_sd == pytest.approx(real.traces_sd, abs=0.4)
    assert ours.constant_traces / ours.traces == pytest.approx(real.constant_traces / real.traces, abs=0.02)
    assert ours.worker_sd_arousal == pytest.approx(real.worker_sd_arousal, abs=0.02)
    assert ours.worker_sd_valence == pytest.approx(real.worker_sd_valence, abs=0.02)
    assert ours.eigenvalue_min > 0.0
    assert ours.eigenvalue_median == pytest.approx(real.eigenvalue_median, abs=0.005)
    assert ours.grand_mean_distance == pytest.approx(real.grand_mean_distance, abs=0.02)
    assert ours.grand_mean_kl == pytest.approx(real.grand_mean_kl, abs=0.12)
    assert ours.clip_mean_distance == pytest.approx(real.clip_mean_distance, abs=0.006)
    assert ours.movement == pytest.approx(real.movement, abs=0.015)
    assert ours.quadrant_shares == pytest.approx(real.quadrant_shares, abs=0.1)


def test_ratings_follow_the_true_emotion(plans: list[ClipPlan], columns: dict[str, np.ndarray]) -> None:
    truth = np.array([(np.mean(plan.arousal), np.mean(plan.valence)) for plan in plans])
    for axis, name in enumerate(("arousal", "valence")):
        crowd = np.bincount(columns["clip_id"].astype(int), columns[name]) / np.bincount(columns["clip_id"].astype(int))
        assert np.corrcoef(truth[:, axis], crowd)[0, 1] > 0.85


def test_constant_share_is_obeyed(plans: list[ClipPlan], config: SynthesisConfig) -> None:
    for share in (0.0, 1.0):
        changed = dataclasses.replace(config, constant_share=share)
        counted = label_statistics(pl.DataFrame(_columns(plans[:20], changed)))
        assert counted.constant_traces == pytest.approx(share * counted.traces, abs=1)


def test_label_statistics_against_plain_loops(columns: dict[str, np.ndarray]) -> None:
    few = {name: column[columns["clip_id"] < 9] for name, column in columns.items()}
    # Rows may come in any order.
    order = np.random.default_rng(0).permutation(len(few["clip_id"]))
    found = label_statistics(pl.DataFrame(few)[order])

    means, covariances, kept, ends, constant = [], [], [], [], 0
    for clip in range(9):
        mine = few["clip_id"] == clip
        size = len(np.unique(few["trace"][mine]))
        both = np.stack([few[a][mine].reshape(size, 15) for a in ("arousal", "valence")])
        kept.append(size)
        constant += sum(bool(np.all(both[:, k] == both[:, k, :1])) for k in range(size))
        mean = both.mean(axis=1).T
        means.append(mean)
        ends.append(np.linalg.norm(mean[-1] - mean[0]))
        covariances += [np.cov(both[:, :, t]) for t in range(15)]
    mean, covariance = np.concatenate(means), np.array(covariances)
    centre, shared = mean.mean(axis=0), covariance.mean(axis=0)
    inverse = np.linalg.inv(shared)
    kl = [
        0.5
        * (
            np.log(np.linalg.det(shared) / np.linalg.det(c))
            + np.trace(inverse @ c)
            - 2
            + (m - centre) @ inverse @ (m - centre)
        )
        for m, c in zip(mean, covariance, strict=True)
    ]
    quadrant = [(m.mean(axis=0) > 0).tolist() for m in means]

    assert (found.clips, found.traces, found.constant_traces) == (9, sum(kept), constant)
    assert found.traces_mean == pytest.approx(np.mean(kept))
    assert found.traces_sd == pytest.approx(np.std(kept, ddof=1))
    assert found.worker_sd_arousal == pytest.approx(np.mean(np.sqrt(covariance[:, 0, 0])))
    assert found.worker_sd_valence == pytest.approx(np.mean(np.sqrt(covariance[:, 1, 1])))
    assert found.eigenvalue_min == pytest.approx(np.linalg.eigvalsh(covariance).min())
    assert found.eigenvalue_median == pytest.approx(np.median(np.linalg.eigvalsh(covariance)[:, 0]))
    assert (found.mean_arousal, found.mean_valence) == pytest.approx(centre)
    assert (found.sd_arousal, found.sd_valence) == pytest.approx(mean.std(axis=0))
    assert found.grand_mean_distance == pytest.approx(np.mean(np.hypot(*(mean - centre).T)))
    assert found.grand_mean_kl == pytest.approx(np.mean(kl))
    assert found.clip_mean_distance == pytest.approx(np.mean([np.hypot(*(m - m.mean(axis=0)).T) for m in means]))
    assert found.movement == pytest.approx(np.mean(ends))
    wanted = [quadrant.count(q) / 9 for q in ([True, True], [True, False], [False, True], [False, False])]
    assert found.quadrant_shares == pytest.approx(wanted)


def test_invalid_annotations() -> None:
    names = ("clip_id", "trace", "time", "arousal", "valence")
    rows = pl.DataFrame([(0, 0, 1, 0.1, 0.0), (0, 0, 2, 0.2, 0.1)], names, orient="row")
    with pytest.raises(ValueError, match="two traces"):
        label_statistics(rows)
    with pytest.raises(ValueError, match="empty"):
        label_statistics(rows.clear())


def test_real_statistics_are_those_of_the_published_file(real_data: Path) -> None:
    from scipy.io import loadmat

    fields = loadmat(str(real_data / "moodswings_turk" / "msLiteTurk.mat"))["msLiteTurk"][0, 0]
    rows: list[np.ndarray] = []
    for clip in range(fields["songid"].shape[1]):
        arousal, valence = (fields[name][0, clip].astype(float).ravel() / 400 for name in ("arousal", "valence"))
        trace, second = np.divmod(np.arange(len(arousal)), 15)
        rows.append(np.stack([np.full(len(arousal), clip), trace, second, arousal, valence]))
    names = ("clip_id", "trace", "time", "arousal", "valence")
    found = label_statistics(pl.DataFrame(dict(zip(names, np.concatenate(rows, axis=1), strict=True))))
    for field in dataclasses.fields(found):
        assert getattr(found, field.name) == pytest.approx(getattr(REAL_LABEL_STATISTICS, field.name), abs=6e-5)
