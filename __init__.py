"""emobench: a benchmark for music emotion recognition.

Datasets with album-aware folds, features learned with deep belief networks from beat-synchronous,
harmonic/percussive-separated audio, and their scores beside standard features, as in Schmidt and Kim, "Learning Rhythm
and Melody Features with Deep Belief Networks", ISMIR 2013.

A first session::

    import emobench as eb

    eb.build_dataset("synthetic", size=40, pretrain_size=20)  # or use your own corpus: source "table"
    ds = eb.load_dataset("data/synthetic")
    ds.clips, ds.targets, ds.folds                            # polars DataFrames
    X = eb.extract(ds, "chroma")                              # X.values (n, d), X.index (clip_id, time)

    results = eb.run(ds, ["mfcc", "chroma"], regressors=["ridge"])
    results.table()                                           # one row per entry
    results["mfcc|ridge"].predictions                         # what was predicted for every second
    eb.compare(results["mfcc|ridge"], results["chroma|ridge"])
    eb.leaderboard("results")

Your own features are functions or objects: see :class:`emobench.Feature`. Every function is documented:
``help(emobench.run)``. The command line, ``emobench --help``, calls the same functions.

Names are imported when they are first used, so ``import emobench`` is quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .errors import EmobenchError, EmobenchWarning, InputError

if TYPE_CHECKING:
    from .api import (
        FeatureTable,
        Results,
        build_dataset,
        compare,
        extract,
        leaderboard,
        load_dataset,
        pretrain,
        reproduce,
        run,
        verify,
    )
    from .benchmark.scoring import metrics
    from .protocols import Feature

__version__ = "0.1.0"

__all__ = [
    "EmobenchError",
    "EmobenchWarning",
    "Feature",
    "FeatureTable",
    "InputError",
    "Results",
    "__version__",
    "build_dataset",
    "compare",
    "extract",
    "leaderboard",
    "load_dataset",
    "metrics",
    "pretrain",
    "reproduce",
    "run",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'emobench' has no attribute {name!r}")
    if name == "metrics":
        value: Any = importlib.import_module(".benchmark.scoring.metrics", __name__)
    else:
        value = getattr(importlib.import_module(".protocols" if name == "Feature" else ".api", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
