"""Whole-song ratings of DEAM, also as standard deviations of labels that are published without one."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from ..songs.corpus import unknown_spread
from ..songs.ratings import Ratings, Tables, lacks_spread, with_static
from ..songs.tables import read_static
from .axes import Agreement, averages, compare_years, corrected, disagree, worker_averages


def fill_spreads(
    rated: Mapping[str, Ratings], tables: Tables, paths: Sequence[Path], problems: list[str]
) -> tuple[dict[str, Ratings], list[str]]:
    """Fill in unknown variances from the whole-song ratings, after checking and correcting their axes.

    Parameters
    ----------
    rated : mapping
        Ratings of the songs.
    tables : Tables
        The dynamic labels.
    paths : sequence of Path
        Files of whole-song ratings. They are not read if all variances are known.
    problems : list of str
        List to which problems are added.

    Returns
    -------
    rated : dict
        Ratings of the songs, with variances as far as known.
    remarks : list of str
        Sentences about what was corrected and what could not be checked.
    """
    lacking = [song for song, each in rated.items() if lacks_spread(each)]
    if not lacking or not paths:
        return dict(rated), unknown_spread(lacking)
    before = len(problems)
    static, remarks = checked_static(tables, paths, set(lacking), problems)
    if len(problems) > before:
        return dict(rated), []
    known = {song for song in lacking if song in static}
    filled = {song: with_static(each, static[song]) if song in known else each for song, each in rated.items()}
    return filled, remarks + unknown_spread([song for song, each in filled.items() if lacks_spread(each)])


def checked_static(
    tables: Tables, paths: Sequence[Path], songs: Collection[str] | None, problems: list[str]
) -> tuple[dict[str, Mapping[str, float]], list[str]]:
    """Read the whole-song ratings, and check and correct their axes.

    Parameters
    ----------
    tables : Tables
        The dynamic labels.
    paths : sequence of Path
        Files of whole-song ratings.
    songs : collection of str, optional
        Songs whose ratings are used; by default all of them.
    problems : list of str
        List to which problems are added.

    Returns
    -------
    static : dict
        Ratings on 1 to 9 by song.
    remarks : list of str
        Sentences about what was corrected and what could not be checked.
    """
    static = read_static(paths, problems)
    needed = set(static) if songs is None else {song for song in songs if song in static}
    workers = worker_averages(tables.workers)
    dynamic = {axis: workers.get(axis, {}) | levels for axis, levels in averages(tables.means).items()} or workers
    years = compare_years(dynamic, static)
    files = " and ".join(map(str, paths))
    if needed and disagree(years):
        problems.append(
            f"{files}: in most years, the whole-song ratings agree with the other axis of the dynamic labels "
            f"({_listed([year for year in years if year.exchanged])}); arousal.csv and valence.csv are probably "
            "swapped. Exchange their names"
        )
    used = [year for year in years if needed & set(year.songs)]
    unclear = [year for year in used if year.unclear]
    if unclear:
        problems.append(
            f"{files}: the whole-song ratings agree with neither axis of the dynamic labels of {_listed(unclear)}; "
            "expected ratings of the same songs"
            + ("" if songs is None else ". Remove the file to build the dataset without its variances")
        )
    remarks = [
        f"In the static annotations, arousal and valence were exchanged in {year}; corrected."
        for year in used
        if year.exchanged
    ]
    remarks += [
        f"The static annotations contain only {len(year.songs)} of the songs of {year.year}, too few to check whether "
        "the axes are exchanged; used as labelled."
        for year in used
        if year.few
    ]
    return corrected(static, years), remarks


def _listed(years: Sequence[Agreement]) -> str:
    return ", ".join(map(str, years))
