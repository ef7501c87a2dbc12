"""Extraction and scoring of features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
import polars as pl

from ..benchmark import runs
from ..benchmark.evaluation import evaluate as evaluated
from ..benchmark.features.extraction import Extraction
from ..benchmark.features.given import FeatureTable, named_features
from ..benchmark.features.network_config import NetworkConfig, network_config
from ..benchmark.features.spec import Entry, choose_phases, parse, wrapped
from ..benchmark.hub_datasets import find_places
from ..benchmark.results.model import Result
from ..benchmark.run_results import Results
from ..benchmark.scoring.scorer import RunConfig
from ..benchmark.scoring.task import load_task
from ..builders import labelled_dataset
from ..builders.labelled_dataset import LabelledDataset
from ..errors import InputError
from ..runtime.devices import check_device
from ..runtime.executor import executor, processors
from ..runtime.files import data_folder, temporary_folder

if TYPE_CHECKING:
    from ..cards.tables import Table

Location = str | Path
T = TypeVar("T")


def extract(
    dataset: LabelledDataset | Location,
    feature: Any,
    *,
    task: str | None = None,
    context: int | str | None = None,
    audio: Location | None = None,
    trust_remote_code: bool = False,
    device: str = "cpu",
    workers: int | None = None,
    scheduler: str | None = None,
) -> FeatureTable:
    """Extract a feature for all clips of a dataset that are in its folds.

    Parameters
    ----------
    dataset : LabelledDataset, str or Path
        Dataset, or its folder or address.
    feature : str or object
        Name of a feature that needs no training, such as ``"chroma"``, or an object as for :func:`run`.
    task, context
        As for :func:`run`.
    audio : str or Path, optional
        Folder of the clips' audio, if it is not where the dataset was built.
    trust_remote_code, device, workers, scheduler
        As for :func:`run`.

    Returns
    -------
    FeatureTable

    Raises
    ------
    InputError
        If the feature is unknown, depends on the fold, or cannot be computed.
    """
    check_device(device)
    features = parse(feature) if isinstance(feature, str) else {(own := wrapped(feature)).name: own}
    places = find_places(dataset, audio=audio)
    rows = load_task(labelled_dataset.load(places.dataset), task, context)
    if references := [name for name, each in features.items() if getattr(each, "reference", False)]:
        raise InputError(f"{references[0]}: is predicted from ratings and has no values to extract.")
    if any(each.layered for each in features.values()):
        raise InputError(f"{feature}: is trained for each fold and cannot be extracted alone; use run.")
    entry = Entry(tuple(features))
    with executor(workers or processors(), scheduler) as pool:
        extraction = Extraction(
            rows, places, features, NetworkConfig(), device, pool, trust_remote_code=trust_remote_code
        )
        found = extraction.columns(entry)
        if any(columns.per_fold for columns in found):
            raise InputError(f"{feature}: depends on the fold and cannot be extracted alone; use run.")
        parts = [columns.values(rows.folds[0]) for columns in found]
    index = pl.DataFrame(
        [pl.Series("clip_id", [rows.clips[clip] for clip in rows.clip_index]), pl.Series("time", rows.times)]
    )
    return FeatureTable(entry.features, index, np.hstack(parts).astype(np.float32))


def _several(given: T | Sequence[T]) -> tuple[T, ...]:
    """Return one value, or several, as a tuple."""
    several = isinstance(given, Sequence) and not isinstance(given, str)
    return tuple(cast("Sequence[T]", given)) if several else (cast("T", given),)


def run(
    dataset: LabelledDataset | Location,
    features: str | Any | Sequence[str | Any],
    *,
    regressors: str | Sequence[str] = "mlr",
    residual_covariance: bool | None = None,
    task: str | None = None,
    context: int | str | None = None,
    out: Location | None = "results",
    models: Location = "models",
    model: Sequence[Location] = (),
    audio: Location | None = None,
    pretrain_data: Location | None = None,
    msd: Location | None = None,
    beats: Location | None = None,
    layer: int | Sequence[int] | None = None,
    phase: str | Sequence[str] | None = None,
    control: bool = False,
    carry_over: bool = False,
    allow_leakage: bool = False,
    trust_remote_code: bool = False,
    window: int = 4,
    updates: int | None = None,
    own_statistics: bool = False,
    layers: int | Sequence[int] | None = None,
    epochs: int | Sequence[int] | None = None,
    device: str = "cpu",
    workers: int | None = None,
    scheduler: str | None = None,
    seed: int = 0,
    seeds: int | Sequence[int] | None = None,
    force: bool = False,
) -> Results:
    """Score features on the folds of a dataset: extract, train what is missing, regress, write results.

    Parameters
    ----------
    dataset : LabelledDataset, str or Path
        Dataset, or its folder or address.
    features : str, object, or sequence of these
        Names joined by ``+``, such as ``"mfcc"`` or ``"rhythm+pitch"``; objects as described in
        :class:`emobench.Feature`; tables that :func:`extract` returns. Each makes its own entries.
    regressors : str or sequence of str
        Names of regressors; each makes its own entries.
    residual_covariance : bool, optional
        Whether the covariance of the residuals on the verification part is added to the predicted covariances. By
        default with all regressors except ``mlr``, whose numbers are the paper's, and those that predict this part.
        Nothing is added where covariances are unknown.
    task : {"second", "clip"}, optional
        Whether every second or every clip is predicted. By default every clip if ratings are one per clip, else every
        second.
    context : int or "clip", optional
        Seconds over which features are pooled, as mean and standard deviation, or the whole clip. By default features
        are averaged over the past second, and for the task of clips pooled over the clip.
    out : str, Path or None
        Folder of results. If None, results are kept in a temporary folder until Python exits.
    models : str or Path
        Folder of trained models.
    model : sequence of str or Path
        Models that were trained elsewhere, one per domain.
    audio : str or Path, optional
        Folder of the clips' audio, if it is not where the dataset was built.
    pretrain_data : str or Path, optional
        Dataset to pre-train networks on. By default the dataset's name with ``-pretrain``, if it exists.
    msd : str or Path, optional
        Track files of the Million Song Dataset, for the feature ``ent``.
    beats : str or Path, optional
        Beats of every clip, for features of networks: a CSV file (``clip_id,time``), a folder with one text file per
        clip, or the name of a tracker in the entry-point group ``emobench.beats``. By default those that the dataset
        was built with, else they are tracked.
    layer, phase : int or str, or sequence of these, optional
        Layers and phases of networks to score; by default all layers, pre-trained and fine-tuned. A contrastive encoder
        is fine-tuned only if a phase is given, and has its control beside it.
    control : bool
        Whether networks with random weights are scored too.
    carry_over : bool
        Whether fine-tuned weights are kept from fold to fold: an ablation that leaks.
    allow_leakage : bool
        Whether entries that leak are computed and marked, rather than refused.
    trust_remote_code : bool
        Whether code that models of the Hugging Face Hub bring may be executed; their revision must be pinned.
    window : int
        Beats per input window of networks.
    updates : int, optional
        Updates of a contrastive encoder that is trained here.
    own_statistics : bool
        Whether inputs of networks are normalised with the statistics of the dataset's own clips, test clips included,
        rather than those of the pre-training set. Labels are not used.
    layers, epochs : int or sequence of int, optional
        Hidden units of each layer, and pre-training epochs to choose from.
    device : str
        ``cpu``, ``cuda`` or ``auto``.
    workers : int, optional
        Number of processes; by default one per processor.
    scheduler : str, optional
        Address of a Dask cluster that does the work.
    seed : int
        Seed of everything random.
    seeds : int or sequence of int, optional
        Seeds from which networks are trained, rather than from ``seed``. The results of several seeds form one entry,
        with their mean, lowest and highest score, and the results of the seeds as its ``members``.
    force : bool
        Whether finished entries are computed again.

    Returns
    -------
    Results

    Raises
    ------
    InputError
        If a feature, the dataset or a setting cannot be used, two features have one name, or something leaks.
    """
    check_device(device)
    specs, own = named_features(features)
    needs_audio = any(each.needs_audio for spec in specs for each in parse(spec, own).values())
    places = find_places(
        dataset,
        out=temporary_folder() if out is None else out,
        models=models,
        audio=audio,
        pretrain_data=pretrain_data,
        audio_too=audio is None and needs_audio,
        trained=model,
        msd=msd,
        beats=beats,
    )
    config = RunConfig(
        regressors=_several(regressors),
        residual_covariance=residual_covariance,
        task=task,
        context=context,
        layers=None if layer is None else _several(layer),
        phases=choose_phases(None if phase is None else _several(phase), control=control),
        tune_encoders=phase is not None,
    )
    networks = [
        replace(
            network_config(
                seed=each,
                layers=layers,
                epochs=epochs,
                window=window,
                updates=updates,
            ),
            carry_over=carry_over,
            own_statistics=own_statistics,
        )
        for each in ([seed] if seeds is None else _several(seeds))
    ]
    with executor(workers or processors(), scheduler) as pool:
        outcome = runs.run_seeds(
            specs,
            places,
            config,
            networks,
            device=device,
            pool=pool,
            force=force,
            allow_leakage=allow_leakage,
            own=own,
            trust_remote_code=trust_remote_code,
        )
    return Results(outcome)


def evaluate(
    dataset: LabelledDataset | Location,
    predictions: pl.DataFrame | Location | Any,
    *,
    name: str,
    task: str | None = None,
    out: Location | None = "results",
    seed: int = 0,
) -> Result:
    """Score predictions that were made elsewhere on the folds of a dataset.

    Parameters
    ----------
    dataset : LabelledDataset, str or Path
        Dataset, or its folder or address.
    predictions : DataFrame, str or Path
        One row per test second (or test clip) of every repeat, with the columns ``repeat``, ``clip_id``, ``time``,
        ``arousal`` and ``valence``, and optionally ``arousal_var``, ``valence_var`` and ``covariance``. Without
        ``repeat``, the same predictions are used in every repeat; rows of other clips are ignored. A polars or pandas
        DataFrame, or a Parquet or CSV file.
    name : str
        Name of the entry.
    task : {"second", "clip"}, optional
        As for :func:`run`. Predictions of clips need no ``time``.
    out : str, Path or None
        Folder of results. If None, the result is kept in a temporary folder until Python exits.
    seed : int
        Seed of the bootstrap.

    Returns
    -------
    Result
        A result like any other, marked as external: that the predictions were made without the test data cannot be
        checked.

    Raises
    ------
    InputError
        If the predictions are incomplete or have wrong values, or the name is that of a feature.
    """
    if hasattr(dataset, "columns") or isinstance(predictions, LabelledDataset):
        raise InputError("evaluate: expected the dataset first and the predictions second; they are exchanged.")
    places = find_places(dataset, out=temporary_folder() if out is None else out)
    if isinstance(predictions, (str, Path)):
        table: pl.DataFrame | Path = Path(predictions)
    elif isinstance(predictions, pl.DataFrame):
        table = predictions
    elif hasattr(predictions, "__dataframe__") or hasattr(predictions, "__arrow_c_stream__"):
        table = pl.from_dataframe(predictions)
    else:
        raise InputError(
            f"`predictions`: expected a DataFrame or the path of a file, not {type(predictions).__name__}."
        )
    return evaluated(table, places, name=name, task_kind=task, seed=seed)


def reproduce(
    table: str,
    dataset: LabelledDataset | Location | None = None,
    *,
    features: str | Sequence[str] = (),
    out: Location = "results",
    models: Location = "models",
    audio: Location | None = None,
    pretrain_data: Location | None = None,
    msd: Location | None = None,
    allow_leakage: bool = False,
    device: str = "cpu",
    workers: int | None = None,
    scheduler: str | None = None,
    seed: int = 0,
) -> Table:
    """Show published numbers beside computed ones: a table of the paper, or what was published on a corpus.

    Parameters
    ----------
    table : {"table1", "table2", "table3", "emomusic", "pmemo", "deam"}
        Table of the paper, or corpus.
    dataset : LabelledDataset, str or Path, optional
        Dataset, or its folder or address. Default: ``synthetic`` for a table of the paper, and for a corpus its static
        labels with the published split, such as ``emomusic-static-official``, in the folder of datasets.
    features : str or sequence of str
        Features whose scores are shown beside those published on a corpus; by default the standard ones, alone and
        joined.
    out, models, audio, pretrain_data, msd, allow_leakage, device, workers, scheduler, seed
        As for :func:`run`.

    Returns
    -------
    Table

    Raises
    ------
    InputError
        If there is no such table or dataset, or a feature cannot be used.
    """
    from ..benchmark import corpora, reproduction

    check_device(device)
    corpus = table in corpora.CORPORA
    if not corpus:
        reproduction.check_table(table)
        if features:
            raise InputError(f"`features`: the features of {table} are those of the paper; leave `features` out.")
    default = corpora.default_name(table) if corpus else "synthetic"
    places = find_places(
        data_folder() / default if dataset is None else dataset,
        out=out,
        models=models,
        audio=audio,
        pretrain_data=pretrain_data,
        audio_too=audio is None,
        msd=msd,
    )
    networks = network_config(seed=seed)
    with executor(workers or processors(), scheduler) as pool:
        if corpus:
            own = _several(features)
            return corpora.reproduce(
                table, places, networks, features=own, device=device, pool=pool, allow_leakage=allow_leakage
            )
        return reproduction.reproduce(table, places, networks, device=device, pool=pool, allow_leakage=allow_leakage)
