"""Reader of MoodSwings Turk, see :mod:`emobench.builders.sources.moodswings`.

The file contains a 1x1 struct ``msLiteTurk`` of 1x240 cells, one entry per clip. ``time``, ``valence``, ``arousal`` and
``userid`` are (15 R) x 1: R blocks of 15 seconds, each by one worker, on the game's board from -200 to 200. Some cells
are stored as unsigned integers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ...errors import InputError
from ...runtime.csv_files import check_not_pointer
from ...runtime.files import sha256_file
from ..audio_files import find_audio
from ..corpus import About, LabelledCorpus, annotation_table
from .mat_file import read_mat

FIELDS = ("artist", "album", "song", "songid", "userid", "time", "valence", "arousal")
SECONDS = 15
BOARD = 200.0

# Width of the board, by which ratings are divided.
SCALE = 2 * BOARD

ABOUT = About(
    title="MoodSwings Turk",
    summary=(
        "Arousal and valence of 15-second clips of popular music, rated every second by workers of Amazon's "
        "Mechanical Turk."
    ),
    license="other",
    citation="""@inproceedings{speck2011comparative,
  author    = {Speck, Jacquelin A. and Schmidt, Erik M. and Morton, Brandon G. and Kim, Youngmoo E.},
  title     = {A Comparative Study of Collaborative vs. Traditional Musical Mood Annotation},
  booktitle = {Proceedings of the 12th International Society for Music Information Retrieval Conference},
  year      = {2011}
}""",
    terms="The labels were published by their authors for research; cite them. The music is not part of the dataset.",
)


def read_labels(path: Path) -> list[dict[str, Any]]:
    """Read and check ``msLiteTurk.mat``.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    list of dict
        One item per clip: ``artist``, ``album``, ``song``, ``songid`` (str), ``times`` (15,), ``users`` (R,), and
        ``arousal`` and ``valence`` (R, 15) on the scale of the board.

    Raises
    ------
    InputError
        If the file does not have the format that the module's docstring describes; the message names the clip and the
        field.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected msLiteTurk.mat of the MoodSwings Turk dataset.")
    check_not_pointer(path)
    try:
        content = read_mat(path)
    except Exception as error:  # scipy may raise anything for other files
        raise InputError(f"{path}: not a MATLAB file ({error}); expected msLiteTurk.mat.") from error
    if "msLiteTurk" not in content:
        raise InputError(f"{path}: has no variable 'msLiteTurk'; expected msLiteTurk.mat as published.")
    struct = content["msLiteTurk"]
    if struct.dtype.names is None or struct.size != 1:
        raise InputError(f"{path}: 'msLiteTurk' is not a 1x1 struct; expected msLiteTurk.mat as published.")
    lacking = [name for name in FIELDS if name not in struct.dtype.names]
    if lacking:
        raise InputError(f"{path}: 'msLiteTurk' lacks the field {', '.join(lacking)}.")
    cells = {name: struct.ravel()[0][name].ravel() for name in FIELDS}
    counts = {name: len(column) for name, column in cells.items()}
    if len(set(counts.values())) > 1:
        raise InputError(f"{path}: the fields differ in their number of clips: {counts}.")
    if not counts["songid"]:
        raise InputError(f"{path}: contains no clips; expected msLiteTurk.mat as published.")
    clips = [_read_clip(path, row, {name: cells[name][row] for name in FIELDS}) for row in range(counts["songid"])]
    seen: set[str] = set()
    for row, clip in enumerate(clips):
        if clip["songid"] in seen:
            raise InputError(f"{path}: clip {row + 1}: duplicate song id {clip['songid']}; expected one clip per song.")
        seen.add(clip["songid"])
    return clips


def _read_clip(path: Path, row: int, cell: dict[str, npt.NDArray]) -> dict[str, Any]:
    where = f"{path}: clip {row + 1}"
    try:
        song_id = str(int(cell["songid"].item()))
        names = {name: str(cell[name].item()) for name in ("artist", "album", "song")}
    except (ValueError, TypeError) as error:
        raise InputError(f"{where}: songid, artist, album or song is not a single value ({error}).") from error
    where = f"{where} (song {song_id})"
    columns: dict[str, npt.NDArray[np.float64]] = {}
    for name in ("userid", "time", "valence", "arousal"):
        try:
            columns[name] = cell[name].ravel().astype(np.float64)
        except (ValueError, TypeError) as error:
            raise InputError(f"{where}: {name} is not numeric.") from error
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise InputError(f"{where}: the fields differ in length: {lengths}.")
    length = lengths["time"]
    if length == 0 or length % SECONDS:
        raise InputError(f"{where}: {length} rows; expected whole traces of {SECONDS} rows each.")
    blocks = {name: column.reshape(-1, SECONDS) for name, column in columns.items()}
    times = blocks["time"][0]
    if not np.array_equal(times, times[0] + np.arange(SECONDS)):
        raise InputError(f"{where}: time is {times.tolist()}; expected {SECONDS} consecutive seconds.")
    for trace in range(len(blocks["time"])):
        if not np.array_equal(blocks["time"][trace], times) or len(set(blocks["userid"][trace])) != 1:
            raise InputError(
                f"{where}, trace {trace + 1}: expected {SECONDS} rows of one worker with the times of the first trace."
            )
    for axis in ("valence", "arousal"):
        wrong = np.argwhere(~(np.abs(blocks[axis]) <= BOARD))
        if len(wrong):
            trace, second = wrong[0]
            raise InputError(
                f"{where}, trace {trace + 1}, second {times[second]:g}: {axis} {blocks[axis][trace, second]:g}; "
                f"expected a number from {-BOARD:g} to {BOARD:g}."
            )
    return {
        **names,
        "songid": song_id,
        "times": times,
        "users": blocks["userid"][:, 0],
        "arousal": blocks["arousal"],
        "valence": blocks["valence"],
    }


def load(labels: Path, audio: Path | None = None, *, audio_kind: str = "auto") -> LabelledCorpus:
    """Read the labels and find the audio of each clip.

    Parameters
    ----------
    labels : Path
        ``msLiteTurk.mat``.
    audio : Path, optional
        Folder of full songs or of clips, named by song id or by artist, album and song.
    audio_kind : {"auto", "clips", "songs"}
        Whether the audio files are the 15-second clips or full songs; ``auto`` decides by length.

    Returns
    -------
    LabelledCorpus
        Clips start one second before their first label, because the label at second ``t`` applies to the music in
        ``(t - 1, t]``.

    Raises
    ------
    InputError
        If the file is invalid, or the folder or all clips' audio are missing.
    """
    entries = read_labels(labels)
    clips = pl.DataFrame(
        {
            "clip_id": [entry["songid"] for entry in entries],
            "song_id": [entry["songid"] for entry in entries],
            "artist": [entry["artist"] for entry in entries],
            "album": [entry["album"] for entry in entries],
            "title": [entry["song"] for entry in entries],
            "start": [float(entry["times"][0] - 1) for entry in entries],
            "duration": [float(SECONDS)] * len(entries),
            "audio": pl.Series([None] * len(entries), dtype=pl.String),
        }
    )
    problems: dict[str, str] = {}
    if audio is not None:
        clips, problems = find_audio(clips, audio)
    return LabelledCorpus(
        clips=clips,
        annotations=annotation_table(
            (entry["songid"], trace, str(int(user)), entry["times"] - entry["times"][0] + 1, *ratings / SCALE)
            for entry in entries
            for trace, user in enumerate(entry["users"])
            for ratings in [np.array([entry["arousal"][trace], entry["valence"][trace]])]
        ),
        about=ABOUT,
        source={"type": "moodswings", "file": labels.name, "sha256": sha256_file(labels)},
        audio_folder=audio,
        problems=problems,
        settings={"scale": SCALE, "audio_kind": audio_kind},
    )
