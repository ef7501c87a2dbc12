"""Reading of the beat-synchronous features of pre-training datasets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from ..errors import InputError
from . import release


@dataclass(frozen=True)
class Segments:
    """Beat-synchronous features of a pre-training dataset; each iteration reads one file at a time.

    Attributes
    ----------
    files : list of Path
        Parquet files.
    lengths : list of int
        Number of beats of each clip.
    """

    files: list[Path]
    lengths: list[int]

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[npt.NDArray[np.float32]]:
        first = 0
        for path in self.files:
            rows = pl.read_parquet(path, columns=["features"])["features"]
            values = rows.explode().to_numpy().astype(np.float32, copy=False).reshape(len(rows), -1)
            beat = 0
            while beat < len(values):
                yield values[beat : beat + self.lengths[first]]
                beat += self.lengths[first]
                first += 1


def load_segments(folder: Path, table: str) -> Segments:
    """Open the beat-synchronous features of a pre-training dataset.

    Parameters
    ----------
    folder : Path
        Folder of the dataset; its files are checked against its manifest.
    table : {"rhythm", "pitch", "texture"}
        Table of the features.

    Returns
    -------
    Segments
        Iterable over clips: ndarrays of float32, shape (n_beats, d).

    Raises
    ------
    InputError
        If there is no such dataset, or a file is missing or was changed.
    """
    manifest = release.load_manifest(folder)
    if manifest.kind != "pretrain":
        raise InputError(f"{folder}: a {manifest.kind} dataset; expected a pre-training one.")
    release.check_files(folder, manifest)
    files = list(release.table_files(folder, table, manifest))
    if not files:
        raise InputError(
            f"{folder}: has no {table}/*.parquet, because an earlier version of emobench built it; build it again in "
            "another folder."
        )
    lengths: list[int] = []
    for path in files:
        tracks = pl.read_parquet(path, columns=["track_id"])
        lengths += tracks.group_by("track_id", maintain_order=True).len()["len"].to_list()
    return Segments(files, lengths)
