"""A run: every entry of some SPECs on a labelled dataset, computed unless it is finished already."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from threadpoolctl import threadpool_limits

from ..builders.labelled_dataset import load
from ..errors import EmobenchWarning, InputError
from ..runtime.progress import progress, status
from .features.columns import TaskFeature, UnavailableError
from .features.extraction import Extraction, Places
from .features.spec import Entry, entries_of, parse, resolve
from .results.model import Result
from .results.store import ResultStore
from .scoring import leakage
from .scoring.scorer import ANNOTATORS, CONSTANT, ORACLE, RunConfig, Scorer
from .scoring.task import load_task

if TYPE_CHECKING:
    from ..dbn.model import Model
    from .features.network_config import NetworkConfig

LEAKS = (
    "`carry_over` keeps fine-tuned weights from fold to fold: clips that are tested in a later fold were trained on in "
    "an earlier one, so these scores leak. Their entries are marked."
)


@dataclass
class Outcome:
    """Outcome of a run.

    Attributes
    ----------
    results : list of Result
        Results in the order of their entries.
    paths : list of Path
        Their files; the predictions of each are beside it.
    models : list of Path
        Files of the weights behind them.
    computed : int
        Number of entries that were not finished before.
    notes : list of str
        Reasons why features have no entry.
    remarks : list of str
        Remarks of the check for leakage.
    pretrained_on : list of str
        Names of the data that networks were pre-trained on.
    store : ResultStore or None
        Store of the results.
    """

    results: list[Result] = field(default_factory=list)
    paths: list[Path] = field(default_factory=list)
    models: list[Path] = field(default_factory=list)
    computed: int = 0
    notes: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    pretrained_on: list[str] = field(default_factory=list)
    store: ResultStore | None = None

    def add(self, other: Outcome) -> None:
        """Add the outcome of another run in the same folder, without what both have."""
        known = {result.signature for result in self.results}
        new = [place for place, result in enumerate(other.results) if result.signature not in known]
        self.results += [other.results[place] for place in new]
        self.paths += [other.paths[place] for place in new]
        # Asked for again, references are computed by every run.
        self.computed = min(self.computed + other.computed, len(self.results))
        self.models = sorted({*self.models, *other.models})
        for own, others in (
            (self.notes, other.notes),
            (self.remarks, other.remarks),
            (self.pretrained_on, other.pretrained_on),
        ):
            own += [line for line in others if line not in own]


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
    own: Mapping[str, TaskFeature] | None = None,
    trust_remote_code: bool = False,
) -> Outcome:
    """Compute, score and write every entry of some SPECs, and the reference entries.

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
        Executor of :func:`emobench.runtime.executor.executor`, for the audio and the folds.
    force : bool
        Whether finished entries are computed again.
    allow_leakage : bool
        Whether entries that leak are computed and marked, rather than refused.
    own : mapping of str to TaskFeature, optional
        Features of this run alone, by name.
    trust_remote_code : bool
        Whether code that pretrained models bring may be executed.

    Returns
    -------
    Outcome

    Raises
    ------
    InputError
        If a SPEC, the dataset, its audio, a model or a feature file cannot be used, no SPEC gives an entry, weights
        are to be carried over although no entry is fine-tuned, track files are given although no entry reads them, or
        something leaks (:mod:`emobench.benchmark.scoring.leakage`).
    """
    entries, features, external = _plan(specs, places, config, networks, device, own)
    status("reading the dataset")
    task = load_task(load(places.dataset), config.task, config.context)
    extraction = Extraction(
        task, places, features, networks, device, pool, external, trust_remote_code=trust_remote_code
    )
    leaks = _leakage(entries, extraction)
    if not allow_leakage:
        leaks.refuse()
    for line in leaks.of(list(features)):
        warnings.warn(f"leakage allowed: {line}; the entries are marked.", EmobenchWarning, stacklevel=2)
    scorer = Scorer(task, config, extraction, leaks)
    store = ResultStore(places.out)
    outcome = Outcome(remarks=leaks.remarks(), store=store)
    # The mean of a clip's only target is that target.
    references = [CONSTANT, *([ORACLE] if task.kind == "second" else []), *ANNOTATORS]
    wanted = list(
        dict.fromkeys(
            (entry, scorer.regressor_of(entry, regressor))
            for regressor in config.regressors
            for entry in [*entries, *references]
        )
    )
    unavailable: dict[Entry, InputError] = {}
    # The number of threads would change the rounding.
    with threadpool_limits(1):
        for entry, regressor in progress(wanted, "entries", "entry", leave=False):
            try:
                columns = extraction.columns(entry)
            except UnavailableError as error:
                # Nobody asked for the references that every run adds.
                if entry not in unavailable and entry in entries:
                    outcome.notes.append(str(error))
                unavailable[entry] = error
                continue
            decided = scorer.decided(entry, regressor, columns)
            result = None if force else scorer.finished(decided, store)
            if result is None:
                result = scorer.compute(entry, regressor, columns, decided, store)
                outcome.computed += 1
            outcome.results.append(result)
            outcome.paths.append(result.path)
            outcome.models += [each.file for part in columns for each in part.models()]
            outcome.pretrained_on += [part.pretrained_on for part in columns if part.pretrained_on]
    if unavailable and set(entries) <= set(unavailable):
        raise next(iter(unavailable.values()))
    if overfitted := _overfitted(outcome.results):
        warnings.warn(overfitted, EmobenchWarning, stacklevel=2)
    outcome.models = sorted(set(outcome.models))
    outcome.pretrained_on = list(dict.fromkeys(outcome.pretrained_on))
    return outcome


def run_seeds(
    specs: Sequence[str],
    places: Places,
    config: RunConfig,
    networks: Sequence[NetworkConfig],
    *,
    own: Mapping[str, TaskFeature] | None = None,
    **options: Any,
) -> Outcome:
    """Run some SPECs with the settings of each seed; those without a network, which no seed changes, only once.

    Parameters
    ----------
    specs, places, config, own, **options
        As for :func:`run`.
    networks : sequence of NetworkConfig
        Settings of networks, which differ in their seed.

    Returns
    -------
    Outcome
        That of all runs, with the results of every seed.

    Raises
    ------
    InputError
        If seeds repeat, no SPEC has a network, or as for :func:`run`.
    """
    seeds = [each.finetuning.seed for each in networks]
    deep = [spec for spec in specs if any(feature.layered for feature in parse(spec, own).values())]
    if not seeds or len(set(seeds)) < len(seeds):
        raise InputError(f"`seeds` {','.join(map(str, seeds))}: expected different seeds, such as 0,1,2.")
    if len(seeds) > 1 and not deep:
        raise InputError("`seeds`: only networks, such as contrastive, have seeds; `features` names none of them.")
    joined = run(specs, places, config, networks[0], own=own, **options)
    for each in networks[1:]:
        joined.add(run(deep, places, config, each, own=own, **options))
    return joined


def _plan(
    specs: Sequence[str],
    places: Places,
    config: RunConfig,
    networks: NetworkConfig,
    device: str,
    own: Mapping[str, TaskFeature] | None,
) -> tuple[list[Entry], dict[str, TaskFeature], Mapping[str, Model]]:
    """Find the entries of some SPECs, the features they name, and the models that were trained elsewhere."""
    parsed = [parse(spec, own) for spec in specs]
    features = {name: feature for parts in parsed for name, feature in parts.items()}
    external = _external_models(features, places, config, networks, device)
    depths = {
        name: len(
            next(iter(external[name].networks.values())).layers if name in external else networks.pretraining.layers
        )
        for name, feature in features.items()
        if feature.layered
    }
    entries = [
        entry
        for parts in parsed
        for entry in entries_of(
            parts,
            layers=config.layers,
            phases=config.phases,
            depths=depths,
            tune_encoders=config.tune_encoders,
            carry_over=networks.carry_over,
        )
    ]
    if networks.carry_over and not any(entry.carry_over for entry in entries):
        raise InputError("`carry_over`: expected fine-tuned entries of networks; `features` and `phase` ask for none.")
    if networks.carry_over:
        warnings.warn(LEAKS, EmobenchWarning, stacklevel=3)
    if config.layers is not None and not depths:
        raise InputError("`layer`: only networks, such as rhythm or pitch, have layers; `features` names none of them.")
    if places.msd and "ent" not in features:
        raise InputError("`msd`: only the feature ent reads it; `features` does not ask for ent.")
    for reference in (CONSTANT, ORACLE, *ANNOTATORS):
        features |= {name: resolve(name) for name in reference.parts}
    return entries, features, external


def _leakage(entries: Sequence[Entry], extraction: Extraction) -> leakage.Leakage:
    """Look for leakage in the dataset, and in features whose values were computed elsewhere."""
    found = {}
    for entry in entries:
        for part in entry.parts:
            feature = extraction.features[part]
            # Other features are computed from audio: reading them for this check would extract them too early.
            if not feature.needs_audio and part not in found:
                columns = extraction.column(part, entry)
                if columns.names is not None:
                    found[part] = (list(columns.names), columns.values(extraction.task.folds[0]))
    joined = list(dict.fromkeys(tuple(part for part in entry.parts if part in found) for entry in entries))
    return leakage.examine(
        extraction.task, extraction.audible(), found, extraction.pool, extraction.sha256, joined=joined
    )


def _overfitted(results: Sequence[Result]) -> str | None:
    """Name the entries that least squares overfits, the worst first; None where there are none.

    Those are entries with at least as many coefficients as distinct training rows, and those whose R² falls below −1:
    their squared error is more than twice that of predicting the mean of the test part.
    """
    found = []
    for result in results:
        r2 = min(result.scores[f"r2_{axis}"].mean or 0.0 for axis in ("arousal", "valence"))
        dims, rows = result.dims or 0, result.config.different_rows or 0
        # Without dimensions nothing is fitted but the training mean.
        fitted = result.regressor == "mlr" and dims > 0 and rows > 0
        if fitted and (r2 < -1 or dims + 1 >= rows > 1):
            found.append((r2, result))
    if not found:
        return None
    r2, worst = min(found, key=lambda each: each[0])
    layer = "" if worst.layer is None else f", layer {worst.layer}, {worst.phase}"
    more = f" and {len(found) - 1} more entries" if len(found) > 1 else ""
    return (
        f"least squares (mlr) overfits {worst.features}{layer}{more}: R² {r2:.2f} with {worst.dims} dimensions "
        f"and {worst.config.different_rows} distinct training rows. Try the regressor ridge."
    )


def _external_models(
    features: Mapping[str, TaskFeature], places: Places, config: RunConfig, networks: NetworkConfig, device: str
) -> Mapping[str, Model]:
    """Load and check the models that were trained elsewhere."""
    if not places.trained:
        return {}
    from .features.external_models import trained_models

    return trained_models(
        places.trained,
        [name for name, feature in features.items() if feature.layered],
        analysis=networks.analysis,
        window=networks.pretraining.window,
        control=any(phase.startswith("random") for phase in config.phases),
        device=device,
    )
