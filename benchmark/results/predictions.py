"""Predictions of a result, read from the file beside it and checked."""

from __future__ import annotations

import io
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import numpy.typing as npt
import polars as pl

from ...builders.targets import PARAMETERS
from ...errors import EmobenchError
from ...runtime.files import digest
from ...runtime.sizes import check_parquet
from ..scoring.gaussians import LARGEST, indefinite
from ..scoring.metrics.kl_divergence import kl_divergences
from ..scoring.metrics.mean_distance import mean_distances
from ..scoring.pairs import contributions
from ..scoring.significance import RepeatPredictions
from .model import Result, predictions_path

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

KEYS = ("repeat", "clip_id", "time")
TRUE = tuple(f"true_{name}" for name in PARAMETERS)
COLUMNS = {
    "repeat": pl.Int32,
    "clip_id": pl.String,
    "time": pl.Float64,
    **dict.fromkeys((*PARAMETERS, *TRUE), pl.Float64),
}

# Scores that are means over seconds, so that every album contributes a part.
BY_SECOND = {"mean_distance": mean_distances, "kl_divergence": kl_divergences}


class PredictionsError(EmobenchError):
    """Predictions that cannot be used; the message is the reason, to follow the name of a file or an entry."""


def read_table(result: Result) -> tuple[pl.DataFrame | None, list[str]]:
    """Read the predictions beside a result.

    Returns
    -------
    predictions : DataFrame or None
        None if they cannot be scored.
    damage : list of str
        One line for each problem.
    """
    path = predictions_path(result.path)
    try:
        content = path.read_bytes()
    except OSError as error:
        return None, [f"{path.name}: cannot be read ({error.strerror})"]
    damage = []
    if sha256(content).hexdigest() != result.files.predictions:
        damage.append(f"{path.name}: has another SHA-256 than the result records (files.predictions)")
    try:
        check_parquet(path)
        table = pl.read_parquet(io.BytesIO(content))
    except EmobenchError as error:
        return None, [*damage, str(error).removeprefix(f"{path.parent}/")]
    except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        return None, [*damage, f"{path.name}: cannot be read as Parquet ({str(error).strip().splitlines()[0]})"]
    if wrong := _invalid(table):
        return None, [*damage, f"{path.name}: {wrong}"]
    return table, damage


def _invalid(table: pl.DataFrame) -> str | None:
    """Say why a table cannot be scored."""
    if dict(table.schema) != COLUMNS or table.columns != list(COLUMNS):
        missing = [name for name in COLUMNS if name not in table.columns]
        foreign = [f"{name} ({kind})" for name, kind in table.schema.items() if COLUMNS.get(name) != kind]
        return f"has wrong columns; expected {', '.join(COLUMNS)}; missing {missing}, unexpected {foreign}"
    if table.is_empty():
        return "has no rows"
    unknown = {name for columns in (PARAMETERS, TRUE) for name in columns[2:]}
    for name, kind in COLUMNS.items():
        # Variances and covariance may be null: not every dataset gives them.
        wrong = ~table[name].is_finite().fill_null(name in unknown) if kind == pl.Float64 else table[name].is_null()
        if wrong.any():
            row = int(wrong.arg_max() or 0)
            return f"row {row + 1}: {name} is {table[name][row]}; expected a finite value"
        if name in PARAMETERS and (wrong := (table[name].abs() > LARGEST).fill_null(False)).any():
            row = int(wrong.arg_max() or 0)
            expected = "a number on the scale of the targets, whose means are from -0.5 to 0.5"
            return f"row {row + 1}: {name} is {table[name][row]}; expected {expected}"
    for name, columns in (("true", TRUE), ("predicted", PARAMETERS)):
        wrong = indefinite(table.select(columns).to_numpy())
        if wrong.any():
            return f"row {int(np.argmax(wrong)) + 1}: the {name} covariance is not positive definite"
    return None


@dataclass(frozen=True)
class TestPredictions:
    """Test seconds of all repeats of an entry.

    Attributes
    ----------
    repeats, clips, albums : ndarray of int, shape (n,)
        Repeat (from 0), clip and album of each second. Clips are numbered as in the result's ``albums``.
    times : ndarray, shape (n,)
        Time of each second in its clip.
    true, predicted : ndarray, shape (n, 5)
        Targets and predictions.
    layout : tuple
        Equal for entries that were tested on the same seconds of the same clips and albums, in any order.
    seeds : int
        Number of seeds, whose repeats follow each other (:func:`.seeds.stacked`).
    """

    # Not a test class.
    __test__ = False

    repeats: IntArray
    clips: IntArray
    albums: IntArray
    times: FloatArray
    true: FloatArray
    predicted: FloatArray
    layout: tuple[object, ...]
    seeds: int = 1

    @classmethod
    def of(cls, result: Result, table: pl.DataFrame) -> TestPredictions:
        """Arrange a result's predictions as arrays.

        Raises
        ------
        PredictionsError
            If a clip is not one of the result's, or the predictions do not give the means that it records.
        """
        clips = table["clip_id"].replace_strict(
            pl.Series(list(result.albums), dtype=pl.String), pl.Series(range(len(result.albums))), default=None
        )
        if clips.null_count():
            foreign = table["clip_id"].filter(clips.is_null())[0]
            raise PredictionsError(f"its predictions cannot be scored (clip {foreign} is not one of the result's)")
        numbers = clips.to_numpy().astype(np.intp)
        albums = np.fromiter(result.albums.values(), np.intp)
        seconds = table.select(pl.col("repeat").cast(pl.Int64), "clip_id", "time").hash_rows()
        found = cls(
            repeats=table["repeat"].rank("dense").to_numpy().astype(np.intp) - 1,
            clips=numbers,
            albums=albums[numbers],
            times=table["time"].to_numpy(),
            true=table.select(TRUE).to_numpy(),
            predicted=table.select(PARAMETERS).to_numpy(),
            # A sum, which may wrap around, does not depend on the order of the rows.
            layout=(len(table), int(seconds.to_numpy().sum()), digest(result.albums)),
        )
        found._check_means(result)
        return found

    def _check_means(self, result: Result) -> None:
        seconds = self.album_sums(np.ones(len(self.albums)))
        for name, sums in self.scores().items():
            recorded, mean = result.scores[name].mean, float(contributions(sums[None], seconds).sum())
            if recorded is None and np.isnan(mean):
                continue
            if recorded is None or not abs(recorded - mean) <= 1e-9:
                raise PredictionsError(
                    f"its predictions give a {name} of {mean:.6g}, not {recorded}; see 'emobench verify'"
                )

    def by_repeat(self) -> list[RepeatPredictions]:
        """Return the predictions of each repeat."""
        parts = []
        for repeat in range(1 + int(self.repeats.max())):
            own = self.repeats == repeat
            _, first, clips = np.unique(self.clips[own], return_index=True, return_inverse=True)
            parts.append(RepeatPredictions(self.true[own], self.predicted[own], clips, self.albums[own][first]))
        return parts

    def album_sums(self, values: FloatArray) -> FloatArray:
        """Sum values of shape (n,) over the albums of each repeat, shape (n_repeats, n_albums); a mean over seeds."""
        shape = (1 + int(self.repeats.max()), 1 + int(self.albums.max()))
        place = self.repeats * shape[1] + self.albums
        sums = np.bincount(place, values, minlength=shape[0] * shape[1])
        return sums.reshape(self.seeds, -1, shape[1]).mean(axis=0)

    def scores(self) -> dict[str, FloatArray]:
        """Return the album sums of each score of :data:`BY_SECOND`, shape (n_repeats, n_albums)."""
        return {name: self.album_sums(score(self.true, self.predicted)) for name, score in BY_SECOND.items()}
