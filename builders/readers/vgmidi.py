"""Reader of VGMIDI, see :mod:`emobench.builders.sources.vgmidi`.

Two JSON files contain ``pieces`` (``midi``, ``name``, ``duration`` in seconds, number of ``measures``) and
``annotations`` named ``<piece>_<number>``, each with one arousal and one valence value per measure in [-1, 1], and with
facts about the annotator. The duration is that of the recording which the annotators heard, in the first file rounded
down to seconds. The repository is read at one commit, whose files ``vgmidi_files.csv`` lists with their SHA-256; for
MIDI files also with their duration in seconds until the last event.
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ...audio.midi import renderer
from ...cards.dataset import About
from ...cards.render import markdown
from ...errors import InputError
from ...runtime.csv_files import check_not_pointer
from ...runtime.files import digest, sha256_file
from ...runtime.progress import progress
from ...runtime.text import counted, few
from ..corpus import LabelledCorpus, annotation_table
from ..folds import by_artist
from .midi import Rendering, rendered
from .songs.finding import other_corpus

REPOSITORY = "lucasnfe/vgmidi"
COMMIT = "1e62f0af8c866ded8e665cefad06dc02c35cb739"

_PINS = Path(__file__).with_name("vgmidi_files.csv")
_MIDI = "labelled/midi/"
_ANNOTATIONS = ("labelled/annotations/vgmidi_raw_1.json", "labelled/annotations/vgmidi_raw_2.json")
_EXPECTED = f"expected the clone of github.com/{REPOSITORY} at commit {COMMIT[:12]}"

# Durations that differ by less are the same, since those of the first file are rounded down to seconds.
_ROUNDING = 1.0

# Values are from -1 to 1, targets from -0.5 to 0.5.
_SCALE = 2.0

# Categories of annotators with fewer traces are counted together.
_FEW = 10

ABOUT = About(
    title="VGMIDI",
    summary=(
        "Arousal and valence of piano arrangements of video game music, rated measure by measure by workers of "
        "Amazon's Mechanical Turk. The music is rendered from MIDI files."
    ),
    license="other",
    citation="""@inproceedings{ferreira2019learning,
  author    = {Ferreira, Lucas N. and Whitehead, Jim},
  title     = {Learning to Generate Music With Sentiment},
  booktitle = {Proceedings of the 20th International Society for Music Information Retrieval Conference},
  year      = {2019}
}""",
    terms=(
        "The annotations and MIDI files were published by their authors for research; the repository states no "
        "licence. Cite the paper. The compositions belong to their publishers."
    ),
)


@dataclass(frozen=True)
class Pin:
    """SHA-256 of a file at the commit, and the duration of a MIDI file in seconds (0 for other files)."""

    sha256: str
    seconds: float


@dataclass(frozen=True)
class Piece:
    """An annotated piece.

    Attributes
    ----------
    clip_id : str
        Number of the annotation file and name of the piece in it, such as ``1-piece0``.
    midi, title : str
        Name of the MIDI file and title of the piece.
    stated, seconds : float
        Durations of the annotated recording and of the MIDI file, in seconds.
    measures : int
        Number of values of a trace.
    """

    clip_id: str
    midi: str
    title: str
    stated: float
    seconds: float
    measures: int

    @property
    def stretched(self) -> bool:
        """Whether the recording was evidently played at another tempo than the MIDI file states."""
        return abs(self.stated - self.seconds) >= _ROUNDING

    @property
    def duration(self) -> float:
        """Duration in seconds over which the values of a trace are spread."""
        return self.seconds if self.stretched else self.stated

    def names(self) -> tuple[str, str]:
        """Return series and game, from the file name ``<series>_<console>_<game>_<title>.mid``."""
        series, _, game, _ = self.midi.split("_", 3)
        return series, game


@dataclass
class _Counts:
    """What was found in the annotations, for the card."""

    undescribed: dict[str, int] = field(default_factory=dict)
    doubled: int = 0
    odd: int = 0
    dropped: int = 0
    constant: int = 0
    people: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in _PEOPLE})


_PEOPLE = ("age", "gender", "country")


@cache
def pins() -> dict[str, Pin]:
    """Return the files that are used, by path in the repository."""
    with _PINS.open(encoding="utf-8", newline="") as file:
        return {row["path"]: Pin(row["sha256"], float(row["seconds"] or 0)) for row in csv.DictReader(file)}


def check_files(folder: Path) -> None:
    """Check that all files that are used are those of the commit.

    Raises
    ------
    InputError
        If the folder is another one, or a file is missing, a Git LFS pointer, or has other content.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; {_EXPECTED}.")
    missing = [path for path in pins() if not (folder / path).is_file()]
    if len(missing) == len(pins()):
        hint = other_corpus(folder, "vgmidi")
        raise InputError(
            f"{folder}: contains none of the files of VGMIDI, such as {_ANNOTATIONS[0]}; {_EXPECTED}{hint}."
        )
    if missing:
        raise InputError(
            f"{folder}: lacks {len(missing)} of the {len(pins())} files of VGMIDI: {few(missing, 2)}; {_EXPECTED}. "
            "Clone it again."
        )
    other = []
    for path, pin in progress(list(pins().items()), "checking files", "file", leave=False):
        check_not_pointer(folder / path)
        if sha256_file(folder / path) != pin.sha256:
            other.append(path)
    if other:
        raise InputError(
            f"{folder}: {counted(len(other), 'file differs', 'files differ')} from the pinned commit (by SHA-256): "
            f"{few(other, 2)}; {_EXPECTED}. Run 'git checkout {COMMIT[:12]}' there."
        )


def load(folder: Path, *, max_duration: float = 60.0, split: str = "albums") -> LabelledCorpus:
    """Read the annotations; the music is rendered when the dataset is built.

    Parameters
    ----------
    folder : Path
        Clone of the repository.
    max_duration : float
        Longest duration of a clip in seconds; clips begin with the piece and end with a whole second.
    split : {"albums", "artists"}
        Whether folds keep games or series together.

    Raises
    ------
    InputError
        If the folder is not the pinned repository, or the extra ``midi`` is not installed.
    """
    check_files(folder)
    description = renderer()
    found = _Counts()
    pieces: list[Piece] = []
    traces: list[tuple[str, int, str, npt.NDArray, npt.NDArray, npt.NDArray]] = []
    for number, path in enumerate(_ANNOTATIONS, 1):
        content = json.loads((folder / path).read_text(encoding="utf-8"))
        records = _by_piece(content["annotations"])
        for name in sorted(set(records) - set(content["pieces"]), key=_natural):
            found.undescribed[f"{number}-{name}"] = len(records[name])
        for name in sorted(content["pieces"], key=_natural):
            piece = _piece(f"{number}-{name}", content["pieces"][name])
            pieces.append(piece)
            traces += _traces(piece, number, records[name], max_duration, found)
    clips = _clips(pieces, max_duration)
    unannotated = len(list((folder / _MIDI).glob("*.mid"))) - len(pieces)
    return LabelledCorpus(
        clips=clips,
        annotations=annotation_table(traces),
        about=replace(ABOUT, notes=_notes(pieces, found, unannotated, max_duration)),
        source={
            "type": "vgmidi",
            "repository": REPOSITORY,
            "commit": COMMIT,
            "files_sha256": digest({path: pin.sha256 for path, pin in pins().items()}),
        },
        settings={"max_duration": max_duration, "rendering": description}
        | ({"split": split} if split != "albums" else {}),
        render=rendered(
            [
                Rendering(str((folder / _MIDI / piece.midi).resolve()), audio, seconds, exactly=True)
                for piece, audio, seconds in zip(pieces, clips["audio"], clips["duration"], strict=True)
            ]
        ),
        grouping=by_artist(clips) if split == "artists" else None,
        folds="Whole series of games are assigned to the parts, so that none is in two of them."
        if split == "artists"
        else "",
    )


def _natural(name: str) -> tuple[int, ...]:
    """Return the numbers in a name, by which names are sorted."""
    return tuple(map(int, re.findall(r"\d+", name)))


def _by_piece(annotations: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Group annotations by piece, in order of their numbers."""
    grouped: dict[str, dict[str, Any]] = {}
    for name in sorted(annotations, key=_natural):
        grouped.setdefault(name.rsplit("_", 1)[0], {})[name] = annotations[name]
    return grouped


def _piece(clip_id: str, facts: dict[str, Any]) -> Piece:
    seconds = pins()[_MIDI + facts["midi"]].seconds
    return Piece(clip_id, facts["midi"], facts["name"], float(facts["duration"]), seconds, int(facts["measures"]))


def _clips(pieces: list[Piece], max_duration: float) -> pl.DataFrame:
    names = [piece.names() for piece in pieces]
    return pl.DataFrame(
        {
            "clip_id": [piece.clip_id for piece in pieces],
            "song_id": [piece.midi.removesuffix(".mid") for piece in pieces],
            "artist": [series for series, _ in names],
            "album": [game for _, game in names],
            "title": [piece.title for piece in pieces],
            "start": [0.0] * len(pieces),
            "duration": [float(_whole_seconds(piece, max_duration)) for piece in pieces],
            "audio": [f"{piece.clip_id}.flac" for piece in pieces],
        }
    )


def _whole_seconds(piece: Piece, max_duration: float) -> int:
    return int(min(piece.duration, max_duration))


def _traces(
    piece: Piece, number: int, records: dict[str, Any], max_duration: float, found: _Counts
) -> Iterator[tuple[str, int, str, npt.NDArray, npt.NDArray, npt.NDArray]]:
    """Yield the rows of a piece for :func:`annotation_table`, and count what is odd."""
    seconds = _whole_seconds(piece, max_duration)
    times = np.arange(1.0, seconds + 1)
    seen: set[str] = set()
    for trace, (name, record) in enumerate(records.items()):
        # The same person cannot have given the same values twice, with the same comments: a submission stored twice.
        content = json.dumps(record, sort_keys=True)
        if content in seen:
            found.doubled += 1
            continue
        seen.add(content)
        lengths = {len(record["arousal"]), len(record["valence"])}
        if len(lengths) > 1 or abs(max(lengths) - piece.measures) > 1:
            found.dropped += 1
            continue
        found.odd += lengths != {piece.measures}
        found.constant += len(set(record["arousal"])) == 1 and len(set(record["valence"])) == 1
        for fact in _PEOPLE:
            found.people[fact][str(record.get(fact) or "not stated")] += 1
        arousal, valence = (
            per_second(np.array(record[axis], float), piece.duration, seconds) / _SCALE
            for axis in ("arousal", "valence")
        )
        yield piece.clip_id, trace, f"{number}-{name}", times, arousal, valence


def per_second(values: npt.NDArray[np.float64], duration: float, seconds: int) -> npt.NDArray[np.float64]:
    """Average a piecewise constant function over each second.

    Parameters
    ----------
    values : ndarray, shape (n,)
        Values of the n equal parts of the duration.
    duration : float
        Duration in seconds.
    seconds : int
        Number of seconds, at most the duration.

    Returns
    -------
    ndarray of float64, shape (seconds,)
        Item ``t`` is the mean over the second from ``t`` to ``t + 1``.
    """
    width = duration / len(values)
    integral = np.concatenate([[0.0], np.cumsum(values) * width])
    means = np.diff(np.interp(np.arange(seconds + 1), np.arange(len(values) + 1) * width, integral))
    # Rounding would otherwise make constant traces vary, and leave the scale.
    return np.clip(np.round(means, 9), values.min(), values.max())


def _notes(pieces: list[Piece], found: _Counts, unannotated: int, max_duration: float) -> str:
    stretched = [piece for piece in pieces if piece.stretched]
    cut = sum(piece.duration > max_duration for piece in pieces)
    lines = [
        "## Annotations",
        "",
        "A trace has one value per measure. Values are spread evenly over the duration of the piece, averaged within "
        "each second, and divided by 2. The original files do not identify annotators, who rated two pieces each, so "
        "`annotator_id` is the key of a trace in these files, preceded by the number of the file.",
        "",
        f"- {cut} of {len(pieces)} pieces are longer than {max_duration:g} seconds and cut there.",
        f"- The duration is that of the annotated recording. In {counted(len(stretched), 'piece')} it differs from "
        f"that of the MIDI file by a second or more, and the values are spread over the MIDI file instead, where a "
        f"measure lasts that much longer: {_listed(piece.clip_id for piece in stretched)}. Six of these "
        "files state no tempo and are rendered at 120 beats per minute, as the MIDI standard prescribes; they were "
        "recorded at 125.",
        f"- {counted(found.odd, 'trace')} with one value more or less than the piece has measures {_are(found.odd)} "
        f"spread over the same duration. {counted(found.dropped, 'trace')} with another number of values "
        f"{_are(found.dropped)} left out.",
        f"- {counted(found.constant, 'trace')} {_are(found.constant)} constant in arousal and valence; "
        f"{'it is' if found.constant == 1 else 'they are'} kept.",
        f"- {counted(found.doubled, 'trace is an exact copy', 'traces are exact copies')} of another one of the same "
        f"piece and annotator and left out.",
        f"- {counted(sum(found.undescribed.values()), 'trace belongs', 'traces belong')} to pieces that the files do "
        f"not describe ({_listed(found.undescribed)}) and {_are(sum(found.undescribed.values()))} left out.",
        f"- {counted(unannotated, 'MIDI file')} of the repository {_are(unannotated)} not annotated and not used.",
        "",
        "## Annotators",
        "",
        "Numbers of traces by what their annotators stated. Nothing about single annotators is published, and answers "
        f"with fewer than {_FEW} traces are counted together.",
        "",
        "| question | answer | traces |",
        "| --- | --- | ---: |",
    ]
    for fact, counts in found.people.items():
        common = sorted((item for item in counts.items() if item[1] >= _FEW), key=lambda item: (-item[1], item[0]))
        rare = sum(counts.values()) - sum(count for _, count in common)
        rows = [*((markdown(answer), count) for answer, count in common), *([("other answers", rare)] if rare else [])]
        lines += [f"| {fact} | {answer} | {count:,} |" for answer, count in rows]
    return "\n".join(lines)


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"
