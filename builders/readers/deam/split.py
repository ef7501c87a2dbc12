"""Folds of DEAM that are given, not dealt: the evaluation songs of MediaEval 2015, and what is learned from.

The task "Emotion in Music" of MediaEval 2015 (Aljanaki, Yang and Soleymani, "Emotion in Music Task at MediaEval 2015",
MediaEval Workshop 2015) chose 431 of the 1,744 excerpts of 2013 and 2014 for development, those with the best
annotations, and tested on 58 whole songs, which DEAM numbers from 2001 to 2058. No file of DEAM says which the 431 are,
so that split needs a list of them; without one, all excerpts can be learned from, and that is another split.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from ....errors import InputError
from ....runtime.csv_files import find_separator, not_utf8
from ....runtime.text import few
from ...corpus import as_problem
from .files import song_id

OFFICIAL = "mediaeval2015"
NAMES = (OFFICIAL, "evaluation2015")

EVALUATION = tuple(str(number) for number in range(2001, 2059))
DEVELOPMENT_SONGS = 431

_TOLD = {
    OFFICIAL: "The official split of the task Emotion in Music at MediaEval 2015: its {development} development songs, "
    "as the list names them, are dealt to training and verification, and its {evaluation} evaluation songs are the "
    "test part of the one repeat.",
    "evaluation2015": "The {evaluation} evaluation songs of MediaEval 2015 are the test part of the one repeat. This "
    "is not the task's official split: all {development} other songs are dealt to training and verification, where the "
    "task had 431 of them, which DEAM does not list.",
}


@dataclass(frozen=True)
class SplitConfig:
    """Which songs are tested, and which are learned from.

    Attributes
    ----------
    name : str
        One of :data:`NAMES`.
    development : Path, optional
        List of the official development songs, one a line, which ``mediaeval2015`` needs.
    """

    name: str
    development: Path | None = None

    def __post_init__(self) -> None:
        if self.name != OFFICIAL and self.development is not None:
            raise InputError(f"`development` {self.development}: goes with `split` {OFFICIAL} only.")
        if self.name not in NAMES:
            raise InputError(f"`split` {self.name}: expected {' or '.join(NAMES)}.")
        if self.name == OFFICIAL and self.development is None:
            raise InputError(
                f"`split` {OFFICIAL}: needs `development`, a file with the song ids of its {DEVELOPMENT_SONGS} "
                "development songs, one a line, because no file of DEAM lists them; or use the split evaluation2015, "
                "which tests the same songs and learns from all others."
            )

    def songs(self, annotated: Collection[str], problems: list[str]) -> list[str]:
        """The songs of both parts, of those that are annotated; adds what is wrong to the problems."""
        lacking = sorted(set(EVALUATION) - set(annotated), key=int)
        if lacking:
            problems.append(
                f"`split` {self.name}: {len(lacking)} of the {len(EVALUATION)} evaluation songs (2001 to 2058) have no "
                f"annotations ({few(lacking)})"
            )
        if self.development is None:
            return sorted(annotated, key=int)
        return sorted({*EVALUATION, *_read_list(self.development, annotated, problems)} & set(annotated), key=int)

    def told(self, songs: Iterable[str]) -> str:
        """What it is, for the card."""
        tested = [song in EVALUATION for song in songs]
        return _TOLD[self.name].format(development=len(tested) - sum(tested), evaluation=sum(tested))


def _read_list(path: Path, annotated: Collection[str], problems: list[str]) -> list[str]:
    """Song ids of a text or CSV file: what stands first in each line; the first line may be a header."""
    try:
        separator = find_separator(path)
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file, delimiter=separator, skipinitialspace=True)
            cells = [(lines.line_num, row[0].strip()) for row in lines if any(cell.strip() for cell in row)]
    except InputError as error:
        problems.append(as_problem(error))
        return []
    except UnicodeDecodeError as error:
        problems.append(as_problem(not_utf8(path, error)))
        return []
    except (OSError, csv.Error) as error:
        problems.append(f"{path}: not readable as a list of song ids ({error})")
        return []
    found = [song_id(cell) for _, cell in cells]
    wrong = [f"line {number}: {cell!r}" for (number, cell), song in zip(cells, found, strict=True) if song is None]
    if wrong and wrong[0].startswith("line 1:") and found[0] is None:
        del wrong[0]
    if wrong:
        problems.append(f"{path}: expected a song id a line ({few(wrong, 3)})")
        return []
    songs = [song for song in found if song is not None]
    doubled = [song for song, count in Counter(songs).items() if count > 1]
    strange = [song for song in dict.fromkeys(songs) if song not in annotated or song in EVALUATION]
    if doubled:
        problems.append(f"{path}: {len(doubled)} songs stand more than once ({few(doubled)})")
    if strange:
        problems.append(f"{path}: {len(strange)} songs have no annotations, or are of the evaluation ({few(strange)})")
    if len(set(songs)) != DEVELOPMENT_SONGS:
        problems.append(
            f"{path}: names {len(set(songs))} songs; expected the {DEVELOPMENT_SONGS} of the official development set"
        )
    return songs
