"""What is available: features, sources, regressors, metrics, datasets, models and results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..benchmark.report.listing import listing
from ..runtime.files import data_folder

if TYPE_CHECKING:
    from ..cards.tables import Table

Location = str | Path


def available(what: str, *, results: Location = "results", models: Location = "models") -> Table:
    """List what is available.

    Parameters
    ----------
    what : {"features", "sources", "regressors", "metrics", "datasets", "models", "results"}
        Kind of thing to list.
    results, models : str or Path
        Folders of results and of models.

    Returns
    -------
    Table
        Its ``records`` hold every entry as a dict; its ``notes`` name files that could not be read.

    Raises
    ------
    InputError
        If there is no such kind.
    """
    return listing(what, data=data_folder(), models=Path(models), results=Path(results))
