"""A run: every row of some SPECs on a labelled dataset, computed where it is not finished yet."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from ..baselines.frames import FrameConfig
from ..builders.labelled import load
from ..builders.release import MANIFEST
from ..environment import decoder_version, package_versions, peak_memory_mb, processor_name
from ..errors import EmobenchError, InputError
from ..files import plain, sha256_file
from ..isolation import peak_rss_mb
from ..parallel import bars_wanted
from . import leakage, results
from .baseline_features import FAMILIES
from .features import Features, Part, Places, UnavailableError
from .metrics import repaired
from .regression import REGRESSORS, fit_mlr, fit_ridge
from .seals import signature_of
from .spec import Row, domains_of, is_file, rows_of
from .task import Task, load_task

if TYPE_CHECKING:
    from ..dbn.network import Model
    from .networks import NetworkConfig

FloatArray = npt.NDArray[np.float64]

LEAKS = (
    "--carry-over keeps fine-tuned weights from fold to fold: clips that are tested in a later fold were trained on in "
    "an earlier one, so these scores leak; their rows are marked so."
)

# Rows that stand beside the features: the training mean, and the mean of each clip's own targets.
CONSTANT = Row(("constant",))
ORACLE = Row(("oracle",))


@dataclass(frozen=True)
class RunConfig:
    """Settings of a run.

    Attributes
    ----------
    regressor : {"mlr", "ridge"}
        Multiple linear regression, or ridge with its strength chosen on the verification part.
    layers : tuple of int or None
        Of the rows with networks; None for all there are.
    phases : tuple of str
        Of these rows.
    frames : FrameConfig
        Of the standard features.
    bootstrap_seed : int
        Of the intervals.
    """

    regressor: str = "mlr"
    layers: tuple[int, ...] | None = None
    phases: tuple[str, ...] = ("pre-trained", "fine-tuned")
    frames: FrameConfig = field(default_factory=FrameConfig)
    bootstrap_seed: int = 0

    def __post_init__(self) -> None:
        if self.regressor not in REGRESSORS:
            raise InputError(f"--regressor {self.regressor}: expected {' or '.join(REGRESSORS)}.")


@dataclass
class Outcome:
    """What a run did.

    Attributes
    ----------
    results : list of dict
        In the order of their rows.
    paths : list of Path
        Where they lie; the predictions of each are beside it, ending in ``.parquet``.
    models : list of Path
        Weights that they were made with.
    computed : int
        Rows that were not finished before.
    notes : list of str
        What had no row, and why.
    remarks : list of str
        What the check for leakage has to tell though it let the rows pass.
    pretrained_on : str or None
        What the networks were pre-trained on.
    """

    results: list[dict[str, Any]] = field(default_factory=list)
    paths: list[Path] = field(default_factory=list)
    models: list[Path] = field(default_factory=list)
    computed: int = 0
    notes: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    pretrained_on: str | None = None


def run(
    specs: Sequence[str],
    places: Places,
    config: RunConfig,
    networks: NetworkConfig,
    *,
    device: str,
    pool: Executor,
    force: bool = False,
    allow_leakage: bool = False,
) -> Outcome:
    """Compute, score and write every row of some SPECs; the constant and oracle rows always.

    Parameters
    ----------
    specs : sequence of str
        Features, as :mod:`emobench.benchmark.spec` reads them.
    places : Places
        Dataset, results, models, audio and pre-training data, models that were trained elsewhere.
    config : RunConfig
        Settings.
    networks : NetworkConfig
        Settings of networks.
    device : str
        ``cpu``, ``cuda`` or ``auto``.
    pool : Executor
        Of :func:`emobench.parallel.executor`, for the audio and the folds.
    force : bool
        Compute finished rows again.
    allow_leakage : bool
        Let rows pass that leak, and mark them for good.

    Returns
    -------
    Outcome

    Raises
    ------
    InputError
        If a SPEC, the dataset, its audio, a model or a feature file cannot be used, no SPEC gives a row,
        weights shall be carried over and no row is fine-tuned, track files are given and no row reads them, or
        something leaks (:mod:`.leakage`).
    """
    trained = _trained(specs, places, config, networks, device)
    own = len(networks.pretraining.layers)
    depths = {
        name: len(next(iter(trained[name].networks.values())).layers) if name in trained else own
        for name in domains_of(specs)
    }
    rows = [
        row
        for spec in specs
        for row in rows_of(
            spec, layers=config.layers, phases=config.phases, depths=depths, carry_over=networks.carry_over
        )
    ]
    if networks.carry_over and not any(row.carry_over for row in rows):
        raise InputError("--carry-over: expected fine-tuned rows of networks; --features and --phase ask for none.")
    if networks.carry_over:
        print(f"emobench: warning: {LEAKS}", file=sys.stderr)
    if places.msd and not any("ent" in row.parts for row in rows):
        raise InputError("--msd: is read by ent alone; --features does not ask for it.")
    task = load_task(load(places.dataset))
    families = sorted({part for row in rows for part in row.parts if part in FAMILIES})
    features = Features(task, places, families, config.frames, networks, device, pool, trained)
    files = {part: features.columns(part) for row in rows for part in row.parts if is_file(part)}
    joined = list(dict.fromkeys(tuple(part for part in row.parts if is_file(part)) for row in rows))
    leaks = leakage.examine(task, features.audible(), files, pool, joined=joined)
    if not allow_leakage:
        leaks.refuse()
    for line in leaks.of(list(files)):
        print(f"emobench: warning: leakage allowed: {line}; the rows are marked so.", file=sys.stderr)
    scorer = _Scorer(task, config, features, leaks)
    outcome = Outcome(remarks=leaks.remarks())
    wanted = list(dict.fromkeys([*rows, CONSTANT, ORACLE]))
    unavailable: list[InputError] = []
    # The number of threads would change the rounding.
    with threadpool_limits(1):
        for row in tqdm(wanted, desc="rows", unit="row", disable=not bars_wanted(), leave=False):
            try:
                parts = [] if row == ORACLE else features.parts(row)
            except UnavailableError as error:
                unavailable.append(error)
                outcome.notes.append(str(error))
                continue
            signature = scorer.signature(row, parts)
            path = results.results_folder(places.out, task) / results.result_name(row, leaks.of(row.parts), signature)
            result = None if force else results.finished(path)
            if result is not None and not places.dataset_origin.items() <= result["dataset"].items():
                result = scorer.with_origin(result, path)
            if result is None:
                result = scorer.compute(row, parts, signature, path)
                outcome.computed += 1
            outcome.results.append(result)
            outcome.paths.append(path)
    if unavailable and len(unavailable) == len(rows):
        raise unavailable[0]
    outcome.pretrained_on = features.pretrained_on(part for row in rows for part in row.parts)
    outcome.models = sorted({path for row in rows if row.layer is not None for path in features.weights(row)})
    return outcome


def _trained(
    specs: Sequence[str], places: Places, config: RunConfig, networks: NetworkConfig, device: str
) -> Mapping[str, Model]:
    """The models that were trained elsewhere, checked."""
    if not places.trained:
        return {}
    from .networks import choose_device
    from .trained import trained_models

    return trained_models(
        places.trained,
        domains_of(specs),
        analysis=networks.analysis,
        window=networks.pretraining.window,
        control=any(phase.startswith("random") for phase in config.phases),
        device=choose_device(device),
    )


class _Scorer:
    """Regression and scores of rows."""

    def __init__(self, task: Task, config: RunConfig, features: Features, leaks: leakage.Leakage) -> None:
        self.task = task
        self.config = config
        self.features = features
        self.leaks = leaks

    def signature(self, row: Row, parts: Sequence[Part]) -> str:
        """Short hash over everything that decides a row's numbers."""
        return signature_of(self._decided(row, parts))

    def _decided(self, row: Row, parts: Sequence[Part]) -> dict[str, Any]:
        return plain(
            {
                # Only where it is so, for good: every table marks such a row.
                **({"carry_over": True} if row.carry_over else {}),
                **({"leakage": leaks} if (leaks := self.leaks.of(row.parts)) else {}),
                "schema": results.SCHEMA,
                "manifest": sha256_file(self.task.dataset.folder / MANIFEST),
                "row": [row.features, row.layer, row.phase],
                "parts": [part.identity for part in parts],
                "regressor": self._regressor(row),
                "bootstrap_seed": self.config.bootstrap_seed,
                "versions": package_versions(),
                "decoder": decoder_version(),
            }
        )

    def _processor(self, row: Row) -> str:
        """What a row was computed on; networks may have trained on a GPU."""
        if row.layer is None or self.features.device == "cpu":
            return processor_name()
        import torch

        return processor_name() + (f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else "")

    def _regressor(self, row: Row) -> str:
        """Regressor of a row; those without features are the same under any."""
        return "mlr" if row in (CONSTANT, ORACLE) else self.config.regressor

    def compute(self, row: Row, parts: Sequence[Part], signature: str, path: Path) -> dict[str, Any]:
        """Regress, score and write a row."""
        began = time.perf_counter()
        predictions, dims, strengths, share = self._predict(row, parts)
        train_seconds = time.perf_counter() - began
        records = [record for part in parts if (record := part.training())]
        costs = [part.seconds_per_clip() for part in parts]
        dataset = self.task.dataset
        result = {
            "schema": results.SCHEMA,
            "signature": signature,
            "dataset": {
                "name": dataset.name,
                "version": dataset.version,
                "manifest_sha256": sha256_file(dataset.folder / MANIFEST),
                "folds_sha256": dataset.manifest["files"]["folds/train-00000.parquet"]["sha256"],
                "synthetic": bool(dataset.manifest.get("synthetic")),
                **({"split": split} if (split := dataset.split) else {}),
                **self.features.places.dataset_origin,
            },
            "features": row.features,
            "layer": row.layer,
            "phase": row.phase,
            "dims": dims,
            "regressor": self._regressor(row),
            "n_clips": len(self.task.clips),
            "excluded": dataset.manifest["excluded"],
            "albums": dict(zip(self.task.clips, self.task.albums.tolist(), strict=True)),
            "scores": results.score(self.task, predictions, seed=self.config.bootstrap_seed),
            "covariance_repaired": share,
            "targets_repaired": self.task.targets_repaired,
            "cost": {
                "seconds_per_clip": None if None in costs else sum(cost for cost in costs if cost is not None),
                "train_seconds": train_seconds + sum(part.train_seconds() for part in parts),
                "peak_rss_mb": max(peak_memory_mb(), peak_rss_mb()),
                "processor": self._processor(row),
            },
            "leakage": {
                "found": self.leaks.of(row.parts),
                "artists_on_both_sides": list(self.leaks.artists),
                "not_checked": list(self.leaks.not_checked),
            },
            "config": plain(
                {
                    **self._decided(row, parts),
                    "run": self.config,
                    "networks": self.features.network_config if row.layer is not None else None,
                    "pretrained_on": self.features.pretrained_on(row.parts),
                    "training": records,
                    "analysis_files": self.features.analysis_files(row),
                    "ridge_strength": strengths if self._regressor(row) == "ridge" else None,
                }
            ),
            "model": self.features.models(row),
            "environment": {**package_versions(), "libsndfile": decoder_version()},
        }
        return results.write_result(path, result, results.prediction_table(self.task, predictions))

    def with_origin(self, result: dict[str, Any], path: Path) -> dict[str, Any]:
        """A finished row, which now also says from where on the Hub the same dataset came."""
        dataset = {**result["dataset"], **self.features.places.dataset_origin}
        return results.write_result(path, {**result, "dataset": dataset}, pl.read_parquet(path.with_suffix(".parquet")))

    def _predict(
        self, row: Row, parts: Sequence[Part]
    ) -> tuple[list[results.Predictions], int, list[float | None], float]:
        """Predictions of each repeat, width of the features, ridge strengths, share of repaired covariances."""
        targets = self.task.targets
        predictions, strengths, shares, dims = [], [], [], 0
        for fold in self.task.folds:
            if row == ORACLE:
                values = _clip_means(self.task)[fold.test]
            else:
                features = np.hstack([part.values(fold) for part in parts])
                dims = features.shape[1]
                if not np.isfinite(features).all():
                    raise EmobenchError(f"{row.features}: features hold numbers that are not finite.")
                if self._regressor(row) == "ridge":
                    verification = (features[fold.verification], targets[fold.verification])
                    fitted = fit_ridge(features[fold.train], targets[fold.train], verification)
                else:
                    fitted = fit_mlr(features[fold.train], targets[fold.train])
                strengths.append(fitted.strength)
                values = fitted(features[fold.test])
            values, share = repaired(values)
            shares.append(share)
            predictions.append(results.Predictions(fold.repeat, fold.test, values))
        return predictions, dims, strengths, float(np.mean(shares))


def _clip_means(task: Task) -> FloatArray:
    """Each row's clip's own mean targets, shape (n_rows, 5)."""
    counts = np.bincount(task.songs, minlength=len(task.clips))
    means = np.column_stack([np.bincount(task.songs, column) / counts for column in task.targets.T])
    return means[task.songs]
