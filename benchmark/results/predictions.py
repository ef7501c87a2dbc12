"""Predictions read back: the test seconds of a row, with the album of each."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ...builders.targets import PARAMETERS
from ...errors import EmobenchError
from ...runtime.files import digest
from ...runtime.sizes import check_parquet
from ..scoring.metrics import kl_divergences, mean_distances, validate
from ..scoring.pairs import contributions
from ..scoring.significance import RepeatPredictions

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

# Scores that are means over seconds, so that every album adds its part.
BY_SECOND = {"mean_distance": mean_distances, "kl_divergence": kl_divergences}


class StoredError(EmobenchError):
    """Predictions that cannot be used; the message says why in half a line."""


@dataclass(frozen=True)
class Stored:
    """Test seconds of all repeats of a row.

    Attributes
    ----------
    repeats, clips, albums : ndarray of int, shape (n,)
        Repeat (from 0), clip and album of each second; clips and albums by the numbers of the result.
    times : ndarray, shape (n,)
        Time of each second in its clip.
    true, predicted : ndarray, shape (n, 5)
        Targets and predictions.
    layout : tuple
        Equal for rows that were tested on the same seconds of the same clips and albums, in any order.
    """

    repeats: IntArray
    clips: IntArray
    albums: IntArray
    times: FloatArray
    true: FloatArray
    predicted: FloatArray
    layout: tuple[object, ...]

    def by_repeat(self) -> list[RepeatPredictions]:
        """Each repeat by itself."""
        parts = []
        for repeat in range(1 + int(self.repeats.max())):
            own = self.repeats == repeat
            clips, first, songs = np.unique(self.clips[own], return_index=True, return_inverse=True)
            albums = self.albums[own][first]
            assert len(albums) == len(clips)
            parts.append(RepeatPredictions(self.true[own], self.predicted[own], songs, albums))
        return parts

    def album_sums(self, values: FloatArray) -> FloatArray:
        """Sums of a value a second over the albums of each repeat, shape (n_repeats, n_albums)."""
        shape = (1 + int(self.repeats.max()), 1 + int(self.albums.max()))
        place = self.repeats * shape[1] + self.albums
        sums = np.bincount(place, values, minlength=shape[0] * shape[1])
        return sums.reshape(shape).astype(np.float64, copy=False)

    def scores(self) -> dict[str, FloatArray]:
        """Sums of each score of :data:`BY_SECOND`, shape (n_repeats, n_albums)."""
        return {name: self.album_sums(score(self.true, self.predicted)) for name, score in BY_SECOND.items()}


def check_means(result: Mapping[str, Any], stored: Stored) -> dict[str, FloatArray]:
    """Raise StoredError unless the predictions give the means that a result says; their :meth:`Stored.scores`."""
    seconds, scores = stored.album_sums(np.ones(len(stored.albums))), stored.scores()
    for name, sums in scores.items():
        said, found = result["scores"][name]["mean"], float(contributions(sums[None], seconds).sum())
        if said is None and np.isnan(found):
            continue
        if said is None or not abs(said - found) <= 1e-9:
            raise StoredError(f"its predictions give a {name} of {found:.6g}, not {said}; emobench verify says more")
    return scores


def read_stored(result: dict[str, Any], path: Path) -> Stored:
    """Read the predictions of a result.

    Parameters
    ----------
    result : dict
        The result.
    path : Path
        Where it lies; its predictions are beside it.

    Returns
    -------
    Stored

    Raises
    ------
    StoredError
        If they are missing, are not those that the result was made from, or cannot be scored; or if the result
        does not say which clips share an album.
    """
    albums = result.get("albums")
    if not isinstance(albums, dict) or not albums:
        raise StoredError("the result does not say which clips share an album; compute it again with run --force")
    place = path.with_suffix(".parquet")
    try:
        content = place.read_bytes()
    except OSError as error:
        raise StoredError(f"its predictions cannot be read ({error.strerror})") from error
    if sha256(content).hexdigest() != result.get("predictions_sha256"):
        raise StoredError("its predictions are damaged or another row's (their SHA-256 is not the result's)")
    try:
        check_parquet(place)
        table = pl.read_parquet(io.BytesIO(content))
        ids = pl.Series(list(albums), dtype=pl.String)
        seconds = table.select(pl.col("repeat").cast(pl.Int64), "clip_id", pl.col("time").cast(pl.Float64)).hash_rows()
        table = table.select(
            pl.col("repeat").rank("dense").cast(pl.Int64) - 1,
            pl.col("clip_id").replace_strict(ids, pl.Series(range(len(ids)))),
            pl.col("time").cast(pl.Float64),
            *(pl.col(name).cast(pl.Float64) for part in PARAMETERS for name in (part, f"true_{part}")),
        )
        clips = table["clip_id"].to_numpy().astype(np.intp)
        true = table.select(f"true_{name}" for name in PARAMETERS).to_numpy()
        predicted = table.select(PARAMETERS).to_numpy()
        validate(true, predicted)
        owner = np.fromiter(albums.values(), np.intp)
        if owner.min() < 0:
            raise ValueError(f"album {owner.min()}; expected numbers from 0")
    except (EmobenchError, pl.exceptions.PolarsError, ValueError, TypeError) as error:
        first = str(error).splitlines()[0]
        raise StoredError(f"its predictions cannot be scored ({first})") from error
    return Stored(
        repeats=table["repeat"].to_numpy().astype(np.intp),
        clips=clips,
        albums=owner[clips],
        times=table["time"].to_numpy(),
        true=true,
        predicted=predicted,
        # A sum, which may wrap around, does not depend on the order of the rows.
        layout=(len(table), int(seconds.to_numpy().sum()), digest(albums)),
    )
