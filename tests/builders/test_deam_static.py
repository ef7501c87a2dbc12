"""Whole-song ratings of DEAM: exchanged axes in some years are corrected, reported or refused."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from emobench.builders.readers import deam
from emobench.builders.readers.deam.axes import compare_years
from emobench.cli.main import app
from emobench.errors import InputError
from typer.testing import CliRunner

from .deam_folder import DYNAMIC, SAMPLES, STATIC, write_table, write_text

HEADER = "song_id, valence_mean, valence_std, arousal_mean, arousal_std\n"
# Deviations of 1.2 and 1.6 of eight points are 0.15 and 0.2 of the width of 1.
AROUSAL_STD, VALENCE_STD = 1.6, 1.2

Levels = dict[int, tuple[float, float]]


def make_levels(songs: range) -> Levels:
    """Arousal and valence of each song on -1 to 1."""
    return {song: tuple(np.random.default_rng(song).uniform(-0.8, 0.8, 2).round(3).tolist()) for song in songs}


def write_dynamic(folder: Path, levels: Levels) -> None:
    for axis, name in enumerate(("arousal", "valence")):
        rows = [[song, *[level[axis]] * 8] for song, level in levels.items()]
        write_table(folder / DYNAMIC / f"{name}.csv", [["song_id", *SAMPLES], *rows])


def static_lines(levels: Levels, *, exchanged: bool, noise: float = 0.15) -> str:
    """Lines of a static file, on 1 to 9, close to the dynamic levels."""
    lines = []
    for song, level in levels.items():
        shift = np.random.default_rng([song, 1]).uniform(-noise, noise, 2)
        means = np.clip(5 + 4 * (np.array(level) + shift), 1, 9).round(2)
        arousal, valence = (means[0], AROUSAL_STD), (means[1], VALENCE_STD)
        first, second = (arousal, valence) if exchanged else (valence, arousal)
        lines.append(f"{song}, {first[0]}, {first[1]}, {second[0]}, {second[1]}\n")
    return "".join(lines)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "DEAM"
    write_text(root / "metadata/metadata_2013.csv", "song_id,Artist,Song title\n2,Somebody,Title\n")
    return root


def _variances(folder: Path) -> dict[int, tuple[float | None, float | None]]:
    targets = deam.load(folder, None).targets
    assert targets is not None
    rows = targets.unique("clip_id").select("clip_id", "arousal_var", "valence_var").iter_rows()
    return {int(song): (arousal, valence) for song, arousal, valence in rows}


RIGHT = (pytest.approx(0.2**2), pytest.approx(0.15**2))


@pytest.mark.parametrize("year", [2013, 2014, 2015])
def test_exchanged_axes_of_any_year_are_corrected(folder: Path, year: int) -> None:
    years = {
        2013: make_levels(range(1, 13)),
        2014: make_levels(range(1001, 1013)),
        2015: make_levels(range(2001, 2013)),
    }
    write_dynamic(folder, {song: level for levels in years.values() for song, level in levels.items()})
    write_text(
        folder / STATIC,
        HEADER + "".join(static_lines(levels, exchanged=each == year) for each, levels in years.items()),
    )
    assert set(_variances(folder)) == {song for levels in years.values() for song in levels}
    assert all(found == RIGHT for found in _variances(folder).values())
    corpus = deam.load(folder, None)
    note = next(remark for remark in corpus.remarks if "exchanged" in remark)
    assert note.startswith(f"In the static annotations, arousal and valence were exchanged in {year} (12 songs; mean")
    assert note in corpus.about.notes


def test_no_remark_without_exchanged_axes(folder: Path) -> None:
    levels = make_levels(range(1, 40))
    write_dynamic(folder, levels)
    write_text(folder / STATIC, HEADER + static_lines(levels, exchanged=False))
    assert all(found == RIGHT for found in _variances(folder).values())
    assert deam.load(folder, None).remarks == ()


def test_too_few_songs_are_used_as_labelled_and_reported(folder: Path) -> None:
    levels = make_levels(range(1, 10))
    write_dynamic(folder, levels)
    write_text(folder / STATIC, HEADER + static_lines(levels, exchanged=True))
    assert all(found == RIGHT[::-1] for found in _variances(folder).values())
    assert deam.load(folder, None).remarks == (
        "The static annotations contain only 9 of the songs of 2013, too few to check whether the axes are exchanged; "
        "used as labelled.",
    )


def test_the_note_is_printed(folder: Path, tmp_path: Path) -> None:
    levels = make_levels(range(1, 21))
    write_dynamic(folder, levels)
    write_text(folder / STATIC, HEADER + static_lines(levels, exchanged=True))
    rows = [f"{song},Artist {song},Title\n" for song in levels]
    write_text(folder / "metadata/metadata_2013.csv", "song_id,Artist,Song title\n" + "".join(rows))
    given = ["build-data", "deam", "--annotations", str(folder), "--out", str(tmp_path / "out")]
    for more in (["--dry-run"], [], []):
        ran = CliRunner().invoke(app, [*given, *more])
        assert ran.exit_code == 0, ran.output
        assert "  note: In the static annotations, arousal and valence were exchanged in 2013 (20 songs;" in ran.output
    assert "exchanged in 2013 (20 songs;" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    quiet = CliRunner().invoke(app, [*given, "--json"])
    assert '"remarks": [' in quiet.output


def test_dynamic_files_that_are_swapped_are_refused(folder: Path) -> None:
    years = [make_levels(range(1, 13)), make_levels(range(1001, 1013)), make_levels(range(2001, 2013))]
    levels = {song: level for each in years for song, level in each.items()}
    write_dynamic(folder, {song: (level[1], level[0]) for song, level in levels.items()})
    # As published, 2013 exchanged: swapped dynamic files agree with that year only.
    write_text(
        folder / STATIC,
        HEADER
        + static_lines(years[0], exchanged=True)
        + "".join(static_lines(each, exchanged=False) for each in years[1:]),
    )
    with pytest.raises(InputError, match=r"most years, .* \(2014 \(12 songs; .*, 2015 .*are probably swapped"):
        deam.load(folder, None)


def test_ratings_of_other_songs_are_refused(folder: Path) -> None:
    levels = make_levels(range(1, 41))
    write_dynamic(folder, levels)
    others = dict(zip(levels, make_levels(range(501, 541)).values(), strict=True))
    write_text(folder / STATIC, HEADER + static_lines(others, exchanged=False))
    with pytest.raises(
        InputError, match=r"songs_1_2000\.csv: .*agree with neither axis of .* 2013 \(40 songs; .*Remove"
    ):
        deam.load(folder, None)


@pytest.mark.parametrize("text", [HEADER, "song_id, valence_mean\n1, 2\n", None])
def test_a_file_that_is_not_needed_is_not_read(folder: Path, text: str | None) -> None:
    levels = make_levels(range(1, 41))
    write_dynamic(folder, levels)
    for axis, spread in (("arousal", 0.4), ("valence", 0.3)):
        rows = [[song, *[spread] * 8] for song in levels]
        write_table(folder / DYNAMIC / f"{axis}_std.csv", [["song_id", *SAMPLES], *rows])
    others = dict(zip(levels, make_levels(range(501, 541)).values(), strict=True))
    write_text(folder / STATIC, HEADER + static_lines(others, exchanged=True) if text is None else text)
    assert all(found == RIGHT for found in _variances(folder).values())
    assert deam.load(folder, None).remarks == ()


def _emomusic(real_data: Path) -> dict[str, dict[str, float]]:
    with (real_data / "emomusic" / "static_annotations.csv").open(encoding="utf-8") as file:
        return {row["song_id"]: {name: float(row[name]) for name in row} for row in csv.DictReader(file)}


def copy_real(real_data: Path, folder: Path) -> Path:
    shutil.copytree(real_data / "deam", folder)
    for path in (folder / "song_level").iterdir():
        name = path.name.replace("_excerpt", "").replace("static_", "static_annotations_averaged_songs_")
        path.rename(path.with_name(name))
    return folder


def test_the_published_files(real_data: Path, tmp_path: Path) -> None:
    corpus = deam.load(copy_real(real_data, tmp_path / "DEAM"), None)
    assert corpus.targets is not None
    # emoMusic publishes the same ratings of 2013 under the right names; its deviations divide by n - 1, ten raters or
    # more, and are given with more digits.
    published = _emomusic(real_data)
    spreads = corpus.targets.drop_nulls(["arousal_var", "valence_var"]).unique("clip_id")
    compared = [row for row in spreads.iter_rows(named=True) if row["clip_id"] in published]
    assert len(compared) == 38
    for row in compared:
        for axis in ("arousal", "valence"):
            assert 8 * np.sqrt(row[f"{axis}_var"]) == pytest.approx(
                published[row["clip_id"]][f"std_{axis}"], rel=0.08, abs=0.01
            )
    song = spreads.row(by_predicate=pl.col("clip_id") == "2", named=True)
    assert (song["arousal_var"], song["valence_var"]) == pytest.approx((0.0138, 0.0062), abs=1e-4)
    assert sum("exchanged in 2013 (38 songs;" in remark for remark in corpus.remarks) == 1


def test_agreement_on_all_songs_of_2013(real_data: Path) -> None:
    folder = next((real_data / "deam").glob("dynamic*"))
    dynamic: dict[str, dict[str, float]] = {}
    for axis in ("arousal", "valence"):
        with (folder / f"{axis}.csv").open(encoding="utf-8") as file:
            rows = list(csv.reader(file))[1:]
        dynamic[axis] = {row[0]: float(np.mean([float(cell) for cell in row[1:] if cell])) for row in rows}
    published = _emomusic(real_data)
    for exchanged in (False, True):
        names = ("valence", "arousal") if exchanged else ("arousal", "valence")
        static = {
            song: {
                f"{axis}_{what}": row[f"{what}_{name}"]
                for axis, name in zip(("arousal", "valence"), names, strict=True)
                for what in ("mean", "std")
            }
            for song, row in published.items()
        }
        [year] = compare_years(dynamic, static)
        assert len(year.songs) == 744
        assert (year.exchanged, year.unclear) == (exchanged, False)
        near, far = (year.other, year.named) if exchanged else (year.named, year.other)
        assert (near, far) == pytest.approx((0.103, 0.229), abs=0.001)
