"""How to correct what was found."""

from __future__ import annotations

from collections.abc import Sequence

from ...runtime.text import few


def keep_together(groups: Sequence[Sequence[str]]) -> str:
    """Advise to keep groups of clips together in the folds of a dataset."""
    rows = [f"{clip},{group[0]}" for group in groups for clip in group]
    return (
        f"build the dataset again with `group` FILE, a CSV table with the header clip_id,group and the rows "
        f"{few(rows, 6).replace(', ', ' / ')}; or give the clips of a group one artist and album; or remove all but one"
    )


def leave_out(one: str, other: str) -> str:
    """Advise not to train on one dataset and test on another."""
    return (
        f"leave these clips out of the training part when a model trained on {one} is tested on {other}, or the other "
        "way round; the output as JSON lists all of them"
    )
