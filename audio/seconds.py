"""Averages of frames or beats over seconds, the rate of the annotations."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def _owner(times: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """End of the second to which each time belongs."""
    # Frame times are multiples of hop / sample_rate; without rounding, errors could move them past a full second.
    return np.maximum(np.ceil(np.round(times, 9)), 1.0)


def seconds_without_frame(
    times: npt.NDArray[np.floating], seconds: npt.NDArray[np.floating]
) -> npt.NDArray[np.floating]:
    """Return the seconds that contain no time.

    Parameters
    ----------
    times : ndarray, shape (n,)
        Times in seconds from the start of the clip.
    seconds : ndarray, shape (m,)
        Ends of the requested seconds, as for :func:`mean_per_second`.

    Returns
    -------
    ndarray, shape (k,)
        The elements of ``seconds`` that :func:`mean_per_second` would fill with the value of another second.
    """
    return seconds[~np.isin(seconds, _owner(times))]


def mean_per_second(
    values: npt.NDArray[np.floating], times: npt.NDArray[np.floating], seconds: npt.NDArray[np.floating]
) -> npt.NDArray[np.float64]:
    """Average values over the past second.

    Parameters
    ----------
    values : ndarray, shape (n, d)
        One vector per frame or beat.
    times : ndarray, shape (n,)
        Their times in seconds, increasing.
    seconds : ndarray, shape (m,)
        Ends of the requested seconds, increasing. Second ``t`` contains ``t - 1 < time <= t``; time 0 belongs to the
        first second.

    Returns
    -------
    ndarray of float64, shape (m, d)
        Means over the past second (Schmidt and Kim 2013, section 6: features are aggregated "over the past
        1-second"). A second without a value repeats the previous one; the first value fills a gap at the start.

    Raises
    ------
    ValueError
        If there are no values, or the lengths differ.
    """
    if len(values) == 0 or len(values) != len(times):
        raise ValueError(f"values: {len(values)} vectors for {len(times)} times; expected equal numbers, at least 1")
    heard, first, counts = np.unique(_owner(times), return_index=True, return_counts=True)
    means = np.add.reduceat(values, first, axis=0, dtype=np.float64) / counts[:, None]
    last = np.searchsorted(heard, seconds, side="right") - 1
    return np.where(last[:, None] < 0, values[0], means[last])
