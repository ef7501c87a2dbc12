"""Echo Nest timbre: the analysis file of each clip, and the part of it that belongs to the clip."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ....baselines.ent import read_segments, timbre_per_second
from ....errors import InputError
from ....protocols import features
from ....runtime.files import digest, sha256_file
from ....runtime.progress import progress
from ....runtime.text import few
from ..columns import Columns, TaskFeature, UnavailableError

if TYPE_CHECKING:
    from ...scoring.task import Task
    from ..extraction import Extraction
    from ..spec import Entry

FloatArray = npt.NDArray[np.float64]

# Seconds by which a clip may outlast its song: files of one recording differ in their silence at the end.
_ALLOWED = 1.0


class EchoNestTimbre(TaskFeature):
    """Timbre of Echo Nest segments, averaged over each second."""

    name, title, order, needs_audio = "ent", "ENT", 5, True
    origin = "track files of the Million Song Dataset (.h5)"
    metadata = MappingProxyType({"licence": "that of the Million Song Dataset, for research", "group": "hand-crafted"})

    def columns(self, extraction: Extraction, entry: Entry) -> Columns:
        """Read the analysis files of all clips."""
        found = extraction.once(
            self.name, lambda: echo_nest(extraction.task, extraction.audio_folder, extraction.places.msd)
        )
        hashed = digest(found.hashes)
        beside = len(found.hashes) - found.by_track
        files = {"by_track_id": found.by_track, "beside_audio": beside, "sha256": hashed}
        return Columns(lambda fold: found.values, ["ent", hashed], analysis_files=lambda: files)


@dataclass(frozen=True)
class EchoNest:
    """Echo Nest timbre of a task.

    Attributes
    ----------
    values : ndarray, shape (n_rows, 12)
    hashes : dict
        SHA-256 of the file of each clip.
    by_track : int
        Clips whose file was found by their track id in a folder of the Million Song Dataset; that of the
        others lay beside their audio.
    """

    values: FloatArray
    hashes: dict[str, str]
    by_track: int


def track_of(clip: Mapping[str, Any]) -> str | None:
    """Track id of the Million Song Dataset that a clip carries as its ``song_id``, or else its ``clip_id``."""
    from ....builders.readers.msd.ids import TRACK_ID

    return next((name for name in (clip["song_id"], clip["clip_id"]) if re.fullmatch(TRACK_ID, name or "")), None)


def find_track(folder: Path, track: str) -> Path | None:
    """Find the file of a track in a folder of the Million Song Dataset, ``TRABC….h5`` or ``A/B/C/TRABC….h5``.

    Raises
    ------
    InputError
        If there are both.
    """
    name = f"{track}.h5"
    found = [path for path in (folder / name, folder / track[2] / track[3] / track[4] / name) if path.is_file()]
    if len(found) > 1:
        raise InputError(f"`msd`: {found[0]} and {found[1]}: two files for track {track}; expected one.")
    return found[0] if found else None


def echo_nest(task: Task, beside: Path | None, msd: Path | None) -> EchoNest:
    """Read the Echo Nest timbre of all clips, aligned by their ``start`` in the song.

    Parameters
    ----------
    task : Task
        Clips and seconds.
    beside : Path, optional
        Folder of the audio, with ``<clip_id>.h5``, ``<song_id>.h5`` or ``<audio's name>.h5``.
    msd : Path, optional
        Folder of the Million Song Dataset, whose files go before those beside the audio.

    Returns
    -------
    EchoNest

    Raises
    ------
    UnavailableError
        If clips have no such file; it says which.
    InputError
        If the folder does not exist, a track has two files, a file cannot be read, is another track's, or ends
        before the clip does.
    """
    if msd is not None and not msd.is_dir():
        raise InputError(f"`msd` {msd}: no such folder; expected one with track files such as A/B/C/TRABC….h5.")
    rows = {row["clip_id"]: row for row in task.dataset.clips.iter_rows(named=True)}
    tracks = {clip: track_of(rows[clip]) for clip in task.clips} if msd else {}
    by_track = {clip: path for clip, track in tracks.items() if msd and track and (path := find_track(msd, track))}
    paths = {clip: by_track.get(clip) or _find_beside(rows[clip], beside) for clip in task.clips}
    lacking = [clip for clip, path in paths.items() if path is None]
    if lacking:
        raise UnavailableError(_missing(lacking, task, beside, msd, sum(map(bool, tracks.values()))))
    values, hashes = [], {}
    bar = progress(paths.items(), "features: ent", "clip", leave=False)
    for (clip, path), seconds in zip(bar, task.seconds, strict=True):
        assert path is not None
        segments = read_segments(path)
        expected = tracks[clip] if clip in by_track else None
        if expected and segments.track_id not in (None, expected):
            raise InputError(f"{path}: holds track {segments.track_id}; expected that of its name.")
        start = rows[clip]["start"]
        if segments.duration is not None and start + seconds[-1] > segments.duration + _ALLOWED:
            raise InputError(
                f"{path}: a song of {segments.duration:.1f} s; clip {clip} is said to lie from {start:g} to "
                f"{start + seconds[-1]:g} s in it. Correct the clip's start or song_id."
            )
        values.append(timbre_per_second(segments, offset=start, seconds=seconds))
        hashes[clip] = sha256_file(path)
    return EchoNest(np.concatenate(values), hashes, len(by_track))


def _find_beside(clip: Mapping[str, Any], folder: Path | None) -> Path | None:
    if folder is None:
        return None
    names = [clip["clip_id"], clip["song_id"], *([str(Path(clip["audio"]).with_suffix(""))] if clip["audio"] else [])]
    return next((path for name in names if (path := folder / f"{name}.h5").is_file()), None)


def _missing(lacking: list[str], task: Task, beside: Path | None, msd: Path | None, carrying: int) -> str:
    """Say what is missing, where it was looked for, and what to do."""
    places = [f"beside the audio in {beside} ({lacking[-1]}.h5)"] if beside else []
    if msd:
        places.append(f"in {msd} (TRABC….h5 or A/B/C/TRABC….h5; {carrying} clips carry a track id)")
    looked = f", neither {' nor '.join(places)}" if len(places) == 2 else f" {places[0]}" if places else ""
    return (
        "ent: Echo Nest timbre cannot be computed from audio; it is read from MSD track files, and "
        f"{len(lacking)} of {len(task.clips)} clips have none{looked}: {few(lacking)}. "
        "Name a folder of the Million Song Dataset with `msd`."
    )


features.register(EchoNestTimbre())
