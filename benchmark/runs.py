"""A run: every row of some SPECs on a labelled dataset, computed where it is not finished yet."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from threadpoolctl import threadpool_limits

from ..builders.labelled_dataset import load
from ..errors import InputError
from ..runtime.progress import progress
from ..runtime.text import visible
from .features.baselines import FAMILIES
from .features.extraction import Features, Places, UnavailableError
from .features.spec import domains_of, is_file, rows_of
from .results import store as results
from .results.seals import signature_of
from .scoring import leakage
from .scoring.scorer import CONSTANT, ORACLE, RunConfig, Scorer
from .scoring.task import load_task

if TYPE_CHECKING:
    from ..dbn.network import Model
    from .features.networks import NetworkConfig

LEAKS = (
    "--carry-over keeps fine-tuned weights from fold to fold: clips that are tested in a later fold were trained on in "
    "an earlier one, so these scores leak; their rows are marked so."
)


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
        Features, as :mod:`emobench.benchmark.features.spec` reads them.
    places : Places
        Dataset, results, models, audio and pre-training data, models that were trained elsewhere.
    config : RunConfig
        Settings.
    networks : NetworkConfig
        Settings of networks.
    device : str
        ``cpu``, ``cuda`` or ``auto``.
    pool : Executor
        Of :func:`emobench.runtime.executor.executor`, for the audio and the folds.
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
        print(visible(f"emobench: warning: leakage allowed: {line}; the rows are marked so."), file=sys.stderr)
    scorer = Scorer(task, config, features, leaks)
    outcome = Outcome(remarks=leaks.remarks())
    wanted = list(dict.fromkeys([*rows, CONSTANT, ORACLE]))
    unavailable: list[InputError] = []
    # The number of threads would change the rounding.
    with threadpool_limits(1):
        for row in progress(wanted, "rows", "row", leave=False):
            try:
                parts = [] if row == ORACLE else features.parts(row)
            except UnavailableError as error:
                unavailable.append(error)
                outcome.notes.append(str(error))
                continue
            decided = scorer.decided(row, parts)
            name = results.result_name(row, leaks.of(row.parts), signature_of(decided))
            path = results.results_folder(places.out, task) / name
            result = None if force else results.finished(path)
            if result is not None and not (
                places.dataset_origin.items() <= result["dataset"].items() and results.is_latest(path, result)
            ):
                result = scorer.renewed(result, path)
            if result is None:
                result = scorer.compute(row, parts, decided, path)
                outcome.computed += 1
            outcome.results.append(result)
            outcome.paths.append(path)
    if unavailable and len(unavailable) == len(rows):
        raise unavailable[0]
    if overfitted := _overfitted(outcome.results):
        print(visible(f"emobench: warning: {overfitted}"), file=sys.stderr)
    outcome.pretrained_on = features.pretrained_on(part for row in rows for part in row.parts)
    outcome.models = sorted({path for row in rows if row.layer is not None for path in features.weights(row)})
    return outcome


def _overfitted(results: Sequence[dict[str, Any]]) -> str | None:
    """Name the entries that least squares overfits, the worst first; None where there are none.

    Those are entries with as many coefficients as different training rows or more, and those whose R² falls below −1:
    their squared error is more than twice that of predicting the mean of the test part.
    """
    found = []
    for result in results:
        r2 = min(result["scores"][f"r2_{axis}"]["mean"] or 0.0 for axis in ("arousal", "valence"))
        rows = result["config"].get("different_rows") or 0
        # Without dimensions nothing is fitted but the training mean.
        fitted = result["regressor"] == "mlr" and result["dims"] > 0 and rows > 0
        if fitted and (r2 < -1 or result["dims"] + 1 >= rows > 1):
            found.append((r2, result))
    if not found:
        return None
    r2, worst = min(found, key=lambda each: each[0])
    layer = "" if worst["layer"] is None else f", layer {worst['layer']}, {worst['phase']}"
    more = f" and {len(found) - 1} more entries" if len(found) > 1 else ""
    return (
        f"least squares (mlr) overfits {worst['features']}{layer}{more}: R² {r2:.2f} with {worst['dims']} dimensions "
        f"and {worst['config']['different_rows']} different training rows. Try the regressor ridge."
    )


def _trained(
    specs: Sequence[str], places: Places, config: RunConfig, networks: NetworkConfig, device: str
) -> Mapping[str, Model]:
    """The models that were trained elsewhere, checked."""
    if not places.trained:
        return {}
    from .features.external_models import trained_models
    from .features.networks import choose_device

    return trained_models(
        places.trained,
        domains_of(specs),
        analysis=networks.analysis,
        window=networks.pretraining.window,
        control=any(phase.startswith("random") for phase in config.phases),
        device=choose_device(device),
    )
