"""Published splits of DEAM: the evaluation songs of MediaEval 2015 as test part.

The task "Emotion in Music" of MediaEval 2015 (Aljanaki, Yang and Soleymani, "Emotion in Music Task at MediaEval 2015",
MediaEval Workshop 2015) used the 431 of the 1,744 excerpts of 2013 and 2014 with the best annotations for development,
and 58 whole songs for evaluation, which have the ids 2001 to 2058 in DEAM. DEAM does not list the 431, so
``mediaeval2015`` needs a list of them. ``evaluation2015`` trains on all other songs instead.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from ....errors import InputError
from ....runtime.csv_files import find_separator
from ....runtime.text import few
from ...corpus import reading_csv
from ..songs.tables import song_id

OFFICIAL = "mediaeval2015"
NAMES = (OFFICIAL, "evaluation2015")

EVALUATION = tuple(str(number) for number in range(2001, 2059))
DEVELOPMENT_SONGS = 431

_DESCRIPTIONS = {
    OFFICIAL: "The official split of the task Emotion in Music at MediaEval 2015, with one repeat: its {development} "
    "development songs, from a list given when the dataset was built, are divided into training and verification "
    "parts, and its {evaluation} evaluation songs are the test part.",
    "evaluation2015": "The {evaluation} evaluation songs of MediaEval 2015 are the test part of the only repeat. This "
    "is not the official split of that task: all {development} other songs are divided into training and verification "
    "parts, whereas the task used 431 of them, which DEAM does not list.",
}


@dataclass(frozen=True)
class SplitConfig:
    """A published split.

    Attributes
    ----------
    name : str
        One of :data:`NAMES`.
    development : Path, optional
        List of the official development songs, one per line; required for ``mediaeval2015``.
    """

    name: str
    development: Path | None = None

    def __post_init__(self) -> None:
        if self.name != OFFICIAL and self.development is not None:
            raise InputError(f"`development` {self.development}: can only be used with `split` {OFFICIAL}.")
        if self.name not in NAMES:
            raise InputError(f"`split` {self.name}: expected {' or '.join(NAMES)}.")
        if self.name == OFFICIAL and self.development is None:
            raise InputError(
                f"`split` {OFFICIAL}: requires `development`, a file with the ids of the {DEVELOPMENT_SONGS} "
                "development songs, one per line, because DEAM does not list them. Without that file, use the split "
                "evaluation2015, which has the same test part and trains on all other songs."
            )

    def songs(self, annotated: Collection[str], problems: list[str], remarks: list[str]) -> list[str]:
        """List the annotated songs that the split uses; adds problems to the list."""
        del remarks  # A song that the split lacks is a problem.
        lacking = sorted(set(EVALUATION) - set(annotated), key=int)
        if lacking:
            problems.append(f"`split` {self.name}: evaluation songs (2001 to 2058) without annotations: {few(lacking)}")
        if self.development is None:
            return sorted(annotated, key=int)
        return sorted({*EVALUATION, *_read_list(self.development, annotated, problems)} & set(annotated), key=int)

    def parts(self, songs: Collection[str]) -> dict[str, str]:
        """Return the part of each evaluation song; the other parts are drawn."""
        return {song: "test" for song in EVALUATION if song in songs}

    def describe(self, songs: Collection[str]) -> str:
        """Describe the split for the card."""
        tested = [song in EVALUATION for song in songs]
        return _DESCRIPTIONS[self.name].format(development=len(tested) - sum(tested), evaluation=sum(tested))


def _read_list(path: Path, annotated: Collection[str], problems: list[str]) -> list[str]:
    """Read song ids from the first column of a text or CSV file; the first line may be a header."""
    cells = None
    with reading_csv(path, problems):
        separator = find_separator(path)
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file, delimiter=separator, skipinitialspace=True)
            cells = [(lines.line_num, row[0].strip()) for row in lines if any(cell.strip() for cell in row)]
    if cells is None:
        return []
    found = [song_id(cell) for _, cell in cells]
    wrong = [f"line {number}: {cell!r}" for (number, cell), song in zip(cells, found, strict=True) if song is None]
    if wrong and wrong[0].startswith("line 1:") and found[0] is None:
        del wrong[0]
    if wrong:
        problems.append(f"{path}: expected one song id per line ({few(wrong, 3)})")
        return []
    songs = [song for song in found if song is not None]
    doubled = [song for song, count in Counter(songs).items() if count > 1]
    strange = [song for song in dict.fromkeys(songs) if song not in annotated or song in EVALUATION]
    if doubled:
        problems.append(f"{path}: duplicate songs: {few(doubled)}")
    if strange:
        problems.append(f"{path}: songs without annotations, or from the evaluation part: {few(strange)}")
    if len(set(songs)) != DEVELOPMENT_SONGS:
        problems.append(
            f"{path}: lists {len(set(songs))} songs; expected the {DEVELOPMENT_SONGS} of the official development set"
        )
    return songs
