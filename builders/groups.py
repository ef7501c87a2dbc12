"""Groups of clips that folds keep together, in addition to albums.

Clips may be related in ways that their artist and album do not show: excerpts of one recording, cover versions, or
songs of one film. A table with the columns ``clip_id`` and ``group`` names such clips.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl

from ..errors import InputError
from ..runtime.files import sha256_file
from ..runtime.text import counted
from .corpus import LabelledCorpus
from .folds import album_key, connected
from .readers.table import check_filled, read_table


def read_groups(path: Path, clips: pl.Series) -> dict[str, str]:
    """Read the group of each listed clip.

    Parameters
    ----------
    path : Path
        CSV table with the columns ``clip_id`` and ``group``.
    clips : Series
        Ids of all clips.

    Raises
    ------
    InputError
        If the table is invalid, or a clip is unknown or in two groups.
    """
    table = read_table(path, ("clip_id", "group"))
    check_filled(path, table, "clip_id", "group")
    known = set(clips)
    rows: dict[str, tuple[int, str]] = {}
    for row, clip, group in table.select("row", "clip_id", "group").iter_rows():
        if clip not in known:
            raise InputError(f"{path}, row {row}: clip_id {clip!r} is not a clip of this corpus.")
        first, other = rows.setdefault(clip, (row, group))
        if group != other:
            raise InputError(
                f"{path}, rows {first} and {row}: clip {clip!r} is in the groups {other!r} and {group!r}; expected one "
                "group per clip. Give both groups the same name, or remove a row."
            )
    return {clip: group for clip, (_, group) in rows.items()}


def keep_together(corpus: LabelledCorpus, path: Path) -> LabelledCorpus:
    """Have the folds of a corpus keep groups of clips together.

    Albums that have clips in the same group are joined: the folds treat them as one album, named after the first of
    them in alphabetical order.

    Parameters
    ----------
    corpus : LabelledCorpus
        The corpus.
    path : Path
        Table of the groups, see :func:`read_groups`.

    Raises
    ------
    InputError
        If the table is invalid, or a group contains clips of different parts of a published split.
    """
    groups = read_groups(path, corpus.clips["clip_id"])
    parts = corpus.parts or {}
    inside: dict[str, str | None] = {}
    for clip, group in groups.items():
        if inside.setdefault(group, parts.get(clip)) != parts.get(clip):
            raise InputError(
                f"{path}: group {group!r} contains clips of different parts of the published split, such as {clip!r}; "
                "remove it from the group."
            )
    albums = (corpus.clips if corpus.grouping is None else corpus.grouping).select("clip_id", "artist", "album").rows()
    keys = {clip: album_key(artist, album) for clip, artist, album in albums}
    # Keys of albums do not contain NUL, which distinguishes groups from them.
    root = connected([(keys[clip], f"\0{group}") for clip, group in groups.items()])
    first: dict[str, tuple[str, str]] = {}
    for clip, artist, album in sorted(albums, key=lambda each: keys[each[0]]):
        first.setdefault(root(keys[clip]), (artist, album))
    together = [(clip, *first[root(keys[clip])]) for clip, *_ in albums]
    sentence = (
        f"Further clips are kept together in {counted(len(set(groups.values())), 'group')} given when the dataset was "
        "built: albums with clips in the same group count as one."
    )
    return replace(
        corpus,
        grouping=pl.DataFrame(together, dict.fromkeys(("clip_id", "artist", "album"), pl.String), orient="row"),
        folds=f"{corpus.folds or 'Albums are not divided between the parts.'} {sentence}",
        source=corpus.source | {"group_sha256": sha256_file(path)},
    )
