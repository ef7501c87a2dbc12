"""emobench: a benchmark for music emotion recognition.

Datasets with album-aware folds, features learned with deep belief networks from beat-synchronous,
harmonic/percussive-separated audio, and their scores beside standard features, as in Schmidt and Kim, "Learning Rhythm
and Melody Features with Deep Belief Networks", ISMIR 2013.

A first session::

    import emobench as eb

    eb.build_dataset("synthetic", size=40, out="data/small")  # or use your own corpus: source "table"
    ds = eb.load_dataset("data/small")
    ds.clips, ds.targets, ds.folds                            # polars DataFrames
    X = eb.extract(ds, "chroma")                              # X.values (n, d), X.index (clip_id, time)

    results = eb.run(ds, ["mfcc", "chroma"], regressors=["ridge"])
    results.table()                                           # one row per entry
    results["mfcc|ridge"].predictions                         # what was predicted for every second
    eb.compare(results["mfcc|ridge"], results["chroma|ridge"])
    eb.leaderboard("results").to_html("leaderboard.html")

A model that was trained elsewhere is scored on the same folds with ``eb.evaluate(ds, predictions, name="mine")``;
metrics alone are in ``eb.metrics``.

Your own features are functions or objects: see :class:`emobench.Feature`. Every function is documented:
``help(emobench.run)``. The command line, ``emobench --help``, calls the same functions.

Names are imported when they are first used, so ``import emobench`` is quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .errors import EmobenchError, EmobenchWarning, InputError

if TYPE_CHECKING:
    from .api.checking import check
    from .api.datasets import build_dataset, load_dataset
    from .api.listing import available
    from .api.results import compare, leaderboard, publish, verify
    from .api.running import FeatureTable, Results, evaluate, extract, reproduce, run
    from .api.training import pretrain
    from .benchmark.scoring import metrics
    from .protocols import Feature

__version__ = "0.1.0"

_MODULES = {
    "api.checking": ("check",),
    "api.datasets": ("build_dataset", "load_dataset"),
    "api.listing": ("available",),
    "api.results": ("compare", "leaderboard", "publish", "verify"),
    "api.running": ("FeatureTable", "Results", "evaluate", "extract", "reproduce", "run"),
    "api.training": ("pretrain",),
    "protocols": ("Feature",),
}

__all__ = [
    "EmobenchError",
    "EmobenchWarning",
    "Feature",
    "FeatureTable",
    "InputError",
    "Results",
    "__version__",
    "available",
    "build_dataset",
    "check",
    "compare",
    "evaluate",
    "extract",
    "leaderboard",
    "load_dataset",
    "metrics",
    "pretrain",
    "publish",
    "reproduce",
    "run",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name == "metrics":
        value: Any = importlib.import_module(".benchmark.scoring.metrics", __name__)
    else:
        module = next((module for module, names in _MODULES.items() if name in names), None)
        if module is None:
            raise AttributeError(f"module 'emobench' has no attribute {name!r}")
        value = getattr(importlib.import_module(f".{module}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
