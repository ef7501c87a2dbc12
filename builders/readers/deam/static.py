"""Standard deviations from whole-song ratings, for labels of DEAM that are published without one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ....runtime.text import counted, few
from .axes import Agreement, averages, compare_years, corrected, disagree, worker_averages
from .files import read_static
from .ratings import Ratings, Tables, lacks_spread, with_static


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
        return dict(rated), _unknown(lacking)
    before = len(problems)
    static = read_static(paths, problems)
    needed = {song for song in lacking if song in static}
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
            "expected ratings of the same songs. Remove the file to build the dataset without its variances"
        )
    if len(problems) > before:
        return dict(rated), []
    static = corrected(static, years)
    filled = {song: with_static(each, static[song]) if song in needed else each for song, each in rated.items()}
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
    return filled, remarks + _unknown([song for song, each in filled.items() if lacks_spread(each)])


def _listed(years: Sequence[Agreement]) -> str:
    return ", ".join(map(str, years))


def _unknown(songs: Sequence[str]) -> list[str]:
    if not songs:
        return []
    return [
        f"{counted(len(songs), 'song')} with labels without a known standard deviation ({few(songs)}); the variances "
        "of these targets are null."
    ]
