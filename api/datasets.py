"""Datasets: loading and building."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..benchmark.hub_datasets import locate
from ..benchmark.scoring.annotators import reference_scores
from ..builders import build, labelled_dataset
from ..builders.build import Built
from ..builders.labelled_dataset import LabelledDataset
from ..runtime.executor import executor, processors
from ..runtime.files import data_folder

Location = str | Path


def load_dataset(dataset: Location) -> LabelledDataset:
    """Load a labelled dataset.

    Parameters
    ----------
    dataset : str or Path
        Folder, or ``hf://user/name@v1.0.0``.

    Returns
    -------
    LabelledDataset
        Its tables are polars DataFrames: ``clips``, ``annotations``, ``targets``, ``folds`` and
        ``beats``.

    Raises
    ------
    InputError
        If there is no labelled dataset, or a file differs from its manifest.
    """
    return labelled_dataset.load(locate(str(dataset)).folder)


def build_dataset(
    source: str,
    *,
    out: Location | None = None,
    version: str = "1.0.0",
    seed: int = 0,
    workers: int | None = None,
    scheduler: str | None = None,
    **options: Any,
) -> list[Built]:
    """Build the datasets of a source.

    Parameters
    ----------
    source : str
        Name of a source, such as ``"table"``; ``emobench list sources`` names all.
    out : str or Path, optional
        Folder of the dataset; by default the name of the source in the folder of datasets.
    version : str
        Version of the dataset.
    seed : int
        Seed of everything random.
    workers, scheduler
        As for :func:`run`.
    **options
        Options of the source, as ``emobench build-data SOURCE --help`` lists them.

    Returns
    -------
    list of Built
        One, or a labelled and a pre-training dataset.

    Raises
    ------
    InputError
        If there is no such source or option, the source's files are missing or wrong, or the folder has other content.
    """
    place = out or build.default_folder(source, data_folder(), **options)
    with executor(workers or processors(), scheduler) as pool:
        return build.build_dataset(
            source, out=place, version=version, seed=seed, pool=pool, references=reference_scores, **options
        )
