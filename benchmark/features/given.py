"""Values of a feature as a table: what ``extract`` returns, and ``run`` takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from ...errors import InputError
from ...protocols import features as registry
from .columns import Columns, TaskFeature
from .spec import Entry, wrapped

if TYPE_CHECKING:
    from .extraction import Extraction


@dataclass(frozen=True)
class FeatureTable:
    """Values of a feature at the rate of the targets.

    Attributes
    ----------
    name : str
        Name of the feature.
    index : DataFrame
        ``clip_id, time`` of each row.
    values : ndarray of float32, shape (n, d)
        Values.
    """

    name: str
    index: pl.DataFrame
    values: np.ndarray

    def __repr__(self) -> str:
        return f"FeatureTable({self.name!r}, {self.values.shape[0]} rows, {self.values.shape[1]} columns)"


class GivenFeature(TaskFeature):
    """A table of values as a feature."""

    origin = "values given to run"

    def __init__(self, table: FeatureTable) -> None:
        self.name, self.title = table.name, registry.title(table.name)
        self.table = table

    def columns(self, extraction: Extraction, entry: Entry) -> Columns:
        """Look up the row of each target by clip and time."""
        task = extraction.task
        keys = list(zip((task.clips[clip] for clip in task.clip_index), task.times.tolist(), strict=True))
        rows = {key: row for row, key in enumerate(self.table.index.select("clip_id", "time").iter_rows())}
        lacking = [key for key in keys if key not in rows]
        if lacking:
            clip, time = lacking[0]
            raise InputError(f"feature {self.name}: has no row for clip {clip} at {time:g} s; expected one per target.")
        values = np.asarray(self.table.values, np.float64)[[rows[key] for key in keys]]
        names = [f"x{place}" for place in range(1, values.shape[1] + 1)]
        return Columns(lambda fold: values, "values given to run", pooled=True, names=names)


def named_features(features: Any) -> tuple[list[str], dict[str, TaskFeature]]:
    """Return the specs of features, and by name those that are objects.

    Parameters
    ----------
    features : str, object or sequence of these
        Features as for :func:`emobench.run`.

    Raises
    ------
    InputError
        If there is none, or two have the same name.
    """
    if isinstance(features, (str, FeatureTable)) or not isinstance(features, Sequence):
        features = [features]
    asked: Sequence[Any] = features
    specs: list[str] = []
    own: dict[str, TaskFeature] = {}
    if not asked:
        raise InputError("`features`: expected at least one, such as mfcc or rhythm+pitch.")
    for feature in asked:
        if isinstance(feature, str):
            specs.append(feature)
            continue
        made = GivenFeature(feature) if isinstance(feature, FeatureTable) else wrapped(feature)
        if made.name in own or made.name in specs:
            raise InputError(f"`features`: two are called {made.name!r}; expected each name once.")
        own[made.name] = made
        specs.append(made.name)
    return specs, own
