"""A feature that worker processes import."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from emobench.protocols import Feature


class Levels(Feature):
    """Levels of seconds and the id of the process, in batches; fails while the file ``refused`` exists."""

    name, revision, batch_size, parallel, align, sample_rate = "levels", "1", 4, True, "end", 8000

    def __init__(self, refused: Path) -> None:
        self.refused = refused

    def prepare(self) -> None:
        """Note the process that loads the model."""
        self.process = os.getpid()

    def __call__(self, samples: Any) -> Any:
        """Return the times and levels of several clips."""
        if self.refused.exists() and self.refused.read_text() == str(len(samples)):
            raise ValueError("refused")
        results = []
        for each in samples:
            count = len(each) // 8000
            levels = np.abs(each[: count * 8000].reshape(count, -1)).mean(axis=1)
            results.append((np.arange(1, count + 1), np.column_stack([levels, np.full(count, self.process % 65536)])))
        return results
