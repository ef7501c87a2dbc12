"""Deviations of whole songs, for the labels of DEAM that are published without a deviation of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ....runtime.text import few
from .axes import Agreement, averages, compare_years, corrected, disagree, worker_averages
from .files import read_static
from .ratings import Ratings, Tables, lacks_spread, with_static


def fill_spreads(
    rated: Mapping[str, Ratings], tables: Tables, paths: Sequence[Path], problems: list[str]
) -> tuple[dict[str, Ratings], list[str]]:
    """Take unknown variances from the whole-song ratings, whose axes are checked and corrected first.

    Parameters
    ----------
    rated : mapping
        Ratings of the songs.
    tables : Tables
        The dynamic labels.
    paths : sequence of Path
        The files of whole-song ratings, which are not read where every variance is known without them.
    problems : list of str
        Takes what is wrong with these files.

    Returns
    -------
    rated : dict
        Ratings of the songs, with variances where these are known.
    remarks : list of str
        What was corrected, and what could not be checked.
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
            f"{files}: whole-song ratings that agree with the other axis of the dynamic labels in most years "
            f"({_listed([year for year in years if year.exchanged])}); arousal.csv and valence.csv are probably "
            "swapped; give each its own name"
        )
    used = [year for year in years if needed & set(year.songs)]
    unclear = [year for year in used if year.unclear]
    if unclear:
        problems.append(
            f"{files}: whole-song ratings that agree with neither axis of the dynamic labels of {_listed(unclear)}; "
            "expected ratings of the same songs. Remove the file to build without the variances that it gives"
        )
    if len(problems) > before:
        return dict(rated), []
    static = corrected(static, years)
    filled = {song: with_static(each, static[song]) if song in needed else each for song, each in rated.items()}
    remarks = [
        f"the static annotations have arousal and valence exchanged in {year}; corrected."
        for year in used
        if year.exchanged
    ]
    remarks += [
        f"the static annotations have only {len(year.songs)} of the songs of {year.year}, too few to check which axis "
        "is which; used as labelled."
        for year in used
        if year.few
    ]
    return filled, remarks + _unknown([song for song, each in filled.items() if lacks_spread(each)])


def _listed(years: Sequence[Agreement]) -> str:
    return ", ".join(map(str, years))


def _unknown(songs: Sequence[str]) -> list[str]:
    if not songs:
        return []
    count = "1 song has" if len(songs) == 1 else f"{len(songs)} songs have"
    return [
        f"{count} no known deviation of some or all labels ({few(songs)}); the variances of their targets are null."
    ]
