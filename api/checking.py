"""Search for errors in datasets."""

from __future__ import annotations

from pathlib import Path

from ..benchmark.check import checking
from ..benchmark.check.findings import Findings
from ..benchmark.hub_datasets import locate
from ..builders import labelled_dataset
from ..builders.labelled_dataset import LabelledDataset
from ..runtime.executor import executor, processors

Location = str | Path


def check(*datasets: LabelledDataset | Location, workers: int | None = None, scheduler: str | None = None) -> Findings:
    """Look for errors in datasets: within each, and between each two.

    Found are duplicate recordings (by sound) and songs (by artist and title, or by id where corpora share a numbering),
    exchanged or inverted axes, different scales, targets of different recordings that are almost the same, and splits
    that overlap.

    Parameters
    ----------
    *datasets : LabelledDataset, str or Path
        Datasets; their folders; or ``hf://user/name@v1.0.0``.
    workers, scheduler
        As for :func:`run`.

    Returns
    -------
    Findings
        Sequence of findings, empty if nothing was found; each says how to correct the dataset.

    Raises
    ------
    InputError
        If there is no such dataset, or one is named twice.
    """
    loaded = [
        each if isinstance(each, LabelledDataset) else labelled_dataset.load(locate(str(each), audio=True).folder)
        for each in datasets
    ]
    with executor(workers or processors(), scheduler) as pool:
        return checking.check(loaded, pool)
