"""Features that other packages register in the entry-point group ``emobench.features``."""

from __future__ import annotations

import time
from collections.abc import Sequence
from importlib.metadata import EntryPoint

import numpy as np
import numpy.typing as npt

from ...audio.decode import decode
from ...audio.seconds import mean_per_second, seconds_without_frame
from ...builders.audio_files import ClipSource
from ...errors import InputError
from ...runtime.progress import progress
from ...runtime.text import few
from .baselines import Computed

FloatArray = npt.NDArray[np.float64]


def compute(
    point: EntryPoint, sources: Sequence[ClipSource], seconds: Sequence[FloatArray], sample_rate: int
) -> Computed:
    """Compute a registered feature for all clips of a task.

    The feature is called for every clip on every run: nothing tells whether its code has changed.

    Parameters
    ----------
    point : EntryPoint
        Names a function from ``(samples, sample_rate)`` to ``(times, values)``, arrays of shape ``(n,)`` and
        ``(n, d)``. ``times`` are frame centres in seconds from the start of the clip. A function whose attribute
        ``sparse`` is true may leave seconds without a frame; the last value then holds.
    sources : sequence of ClipSource
        Audio of each clip.
    seconds : sequence of ndarray
        Ends of the seconds wanted of each clip.
    sample_rate : int
        Sample rate of the audio in hertz.

    Returns
    -------
    Computed

    Raises
    ------
    InputError
        If the feature cannot be imported, raises an error, or returns arrays that do not fit the clip.
    """
    try:
        function = point.load()
    except Exception as error:  # another package may raise anything when it is imported
        raise InputError(f"feature {point.name}: {point.value} cannot be imported ({error}).") from error
    found: list[FloatArray] = []
    costs: list[float] = []
    bar = progress(sources, f"features: {point.name}", "clip")
    for source, wanted in zip(bar, seconds, strict=True):
        began = time.process_time()
        samples = decode(source.path, sample_rate=sample_rate, start=source.start, duration=source.duration)
        try:
            times, values = function(samples, sample_rate)
            found.append(_per_second(np.asarray(times), np.asarray(values), wanted, getattr(function, "sparse", False)))
        except Exception as error:  # another package may raise anything
            raise InputError(f"feature {point.name}, clip {source.clip_id}: {error}") from error
        costs.append(time.process_time() - began)
    widths = sorted({part.shape[1] for part in found})
    if len(widths) > 1:
        raise InputError(f"feature {point.name}: returned {few(map(str, widths))} dimensions; expected one number.")
    # The first clip also pays for imports and for loading a model.
    return Computed(np.concatenate(found), float(np.median(costs)))


def _per_second(times: npt.NDArray, values: npt.NDArray, seconds: FloatArray, sparse: bool) -> FloatArray:
    """Check the frames of a clip and average them over each second; raise ValueError where they do not fit."""
    if values.ndim != 2 or times.ndim != 1 or len(times) != len(values) or not len(times):
        raise ValueError(
            f"returned times of shape {times.shape} and values of shape {values.shape}; expected (n,) and (n, d)"
        )
    if not np.isfinite(times).all() or (np.diff(times) < 0).any():
        raise ValueError("returned times that do not increase; expected frame centres in order, in seconds")
    largest = np.finfo(np.float32).max
    if not (np.abs(values) <= largest).all():
        frame, column = np.argwhere(~(np.abs(values) <= largest))[0]
        raise ValueError(
            f"value {column + 1} of frame {frame + 1} is {values[frame, column]}; expected a finite float32 number"
        )
    lacking = seconds_without_frame(times, seconds)
    if len(lacking) and not sparse:
        raise ValueError(
            f"returned no frame for {len(lacking)} of {len(seconds)} seconds "
            f"({few(f'{second:g}' for second in lacking)}); expected one in every second (t - 1, t], "
            "or a feature that sets sparse = True to hold its last value"
        )
    return mean_per_second(values, times, seconds)
