"""How to correct what was found."""

from __future__ import annotations

from collections.abc import Sequence

from ...runtime.text import few
from .corpora import Corpus


def keep_together(corpus: Corpus, groups: Sequence[Sequence[str]]) -> str:
    """Advise to keep groups of clips together in the folds of a dataset."""
    rows = few((f"{clip},{group[0]}" for group in groups for clip in group), 4).replace(", ", " / ")
    if corpus.dataset.published_split:
        return (
            f"the split {corpus.dataset.split} is published as it is: report beside it one that keeps them together, "
            f"built with `split` albums and `group` FILE, a table with the columns clip_id,group and the rows {rows}"
        )
    return (
        f"keep them together: build again with `group` FILE, a table with the columns clip_id,group and the rows "
        f"{rows}; or give them one artist and album, or keep one clip of each"
    )


def leave_out(one: str, other: str) -> str:
    """Advise not to train on one dataset and test on another."""
    return f"when training on {one} and testing on {other}, or the other way round, leave these clips out of training"
