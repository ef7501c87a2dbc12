"""Rows as sequences of consecutive seconds, for regressors that smooth over time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Groups = npt.NDArray[np.intp]


def by_length(groups: Groups) -> Iterator[Groups]:
    """Yield the rows of all sequences of one length, shape (n_sequences, length).

    Parameters
    ----------
    groups : ndarray of int, shape (n_rows,)
        Sequence of each row; the rows of a sequence follow one another in the order of time.
    """
    starts = np.flatnonzero(np.diff(groups, prepend=groups[:1] - 1))
    lengths = np.diff(starts, append=len(groups))
    for length in np.unique(lengths):
        yield starts[lengths == length][:, None] + np.arange(length)
