"""From frames or beats to seconds, the rate of the labels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def _owner(times: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """The second to which each time belongs, named by its end."""
    # A frame's time is a multiple of hop / sample_rate: rounding keeps exact seconds on their own side.
    return np.maximum(np.ceil(np.round(times, 9)), 1.0)


def seconds_without_frame(
    times: npt.NDArray[np.floating], seconds: npt.NDArray[np.floating]
) -> npt.NDArray[np.floating]:
    """Return the seconds to which no time belongs.

    Parameters
    ----------
    times : ndarray, shape (n,)
        Seconds from the start of the clip.
    seconds : ndarray, shape (m,)
        Ends of the seconds wanted, as for :func:`mean_per_second`.

    Returns
    -------
    ndarray, shape (k,)
        Those of ``seconds`` that :func:`mean_per_second` would fill with another second's value.
    """
    return seconds[~np.isin(seconds, _owner(times))]


def mean_per_second(
    values: npt.NDArray[np.floating], times: npt.NDArray[np.floating], seconds: npt.NDArray[np.floating]
) -> npt.NDArray[np.float64]:
    """Average values over the past second.

    Parameters
    ----------
    values : ndarray, shape (n, d)
        One vector a frame or beat.
    times : ndarray, shape (n,)
        When each was, in seconds, rising.
    seconds : ndarray, shape (m,)
        Ends of the seconds wanted, rising. The second ``t`` takes ``t - 1 < time <= t``; time 0
        belongs to the first.

    Returns
    -------
    ndarray of float64, shape (m, d)
        A second without a value repeats the one before; the first value fills a leading gap
        (Schmidt and Kim 2013, section 6: features are aggregated "over the past 1-second").

    Raises
    ------
    ValueError
        If there is no value at all, or the lengths differ.
    """
    if len(values) == 0 or len(values) != len(times):
        raise ValueError(f"values: {len(values)} vectors for {len(times)} times; expected as many, at least 1")
    heard, first, counts = np.unique(_owner(times), return_index=True, return_counts=True)
    means = np.add.reduceat(values, first, axis=0, dtype=np.float64) / counts[:, None]
    last = np.searchsorted(heard, seconds, side="right") - 1
    return np.where(last[:, None] < 0, values[0], means[last])
