"""Data of the panels of the leaderboard page, which its scripts read as JSON (``readEntry`` in ``static/drawings.js``).

Packed numbers are base64 of little-endian 16-bit integers: means and distances in units of 1e-3, standard deviations
and correlations in units of 1e-4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Trajectory:
    """Targets or predictions of a clip, one per second.

    Attributes
    ----------
    means : str
        Packed arousal and valence.
    spreads : str
        Packed standard deviations of arousal and valence, and their correlation; all 0 where unknown.
    """

    means: str
    spreads: str


@dataclass
class Clip:
    """Clip with its targets.

    Attributes
    ----------
    id, artist, title : str
        Id, artist and title; the latter two may be empty.
    mean : tuple of float
        Mean arousal and valence of the targets.
    times : int or None
        Index of the times of the trajectory; None if no panel shows the clip second by second.
    target : Trajectory or None
        Targets at these times.
    """

    id: str
    artist: str
    title: str
    mean: tuple[float, float]
    times: int | None = None
    target: Trajectory | None = None


@dataclass(frozen=True)
class SecondErrors:
    """Mean distance by second of the clip.

    Attributes
    ----------
    times : int
        Index of the times.
    distance : str
        Packed mean distances.
    width : float or None
        Width of the bins in seconds; None for single seconds.
    """

    times: int
    distance: str
    width: float | None


@dataclass(frozen=True)
class QuadrantError:
    """Number of test seconds whose target is in a quadrant, and their mean distance; None without any."""

    seconds: int
    distance: float | None


@dataclass(frozen=True)
class Panel:
    """Predictions of an entry.

    Attributes
    ----------
    tested : int
        Number of tested clips.
    set : int
        Index of the set of clips in the plot of all clips.
    points : str
        Packed mean arousal, valence and distance of the predictions of these clips.
    shown : sequence of int
        Indices in the set of the clips shown second by second, sorted by distance.
    best, worst : int
        Numbers of the best and the worst clips among those.
    paths : sequence of Trajectory
        Predictions of those.
    second : SecondErrors
        Errors by second.
    quadrant : sequence of QuadrantError
        Errors by quadrant, anticlockwise from high arousal and positive valence.
    coverage : sequence of float or None
        Shares of the ratings in the ellipses that contain 10 %, 20 % … 90 % of the predicted distributions; None where
        covariances are unknown.
    """

    tested: int
    set: int
    points: str
    shown: Sequence[int]
    best: int
    worst: int
    paths: Sequence[Trajectory]
    second: SecondErrors
    quadrant: Sequence[QuadrantError]
    coverage: Sequence[float] | None = None


@dataclass
class Panels:
    """Data of the panels of a section.

    Attributes
    ----------
    clips : list of Clip
        Clips.
    sets : list of list of int
        Sets of clips, as indices.
    times : list of list of float
        Times in seconds.
    entries : dict
        Panel of each entry by signature, or the reason why its predictions cannot be shown.
    """

    clips: list[Clip] = field(default_factory=list)
    sets: list[list[int]] = field(default_factory=list)
    times: list[list[float]] = field(default_factory=list)
    entries: dict[str, Panel | str] = field(default_factory=dict)
