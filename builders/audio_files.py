"""Find the audio files of clips in a folder by song id, or by artist, album and title."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePath

import polars as pl

from ..audio.decode import EXTENSIONS, measure, probe
from ..errors import AudioError, InputError
from ..runtime.csv_files import check_not_pointer
from ..runtime.files import sha256_file
from ..runtime.isolation import CrashError, isolated
from ..runtime.progress import progress
from .folds import normalised
from .tree import files_below

# Seconds by which a file may be longer than the clip and still count as the clip itself instead of the whole song.
CLIP_MARGIN = 2.0

KINDS = ("auto", "clips", "songs")

_TRACK_NUMBER = re.compile(r"^\d+[\s._-]+")


def _index(folder: Path) -> dict[str, list[Path]]:
    """List the audio files in a folder under each name by which a clip may refer to them."""
    names: dict[str, list[Path]] = {}
    problems: list[str] = []
    for path in (folder / below for below in files_below(folder, EXTENSIONS, problems)):
        if not path.is_file():
            continue
        relative = path.relative_to(folder)
        parts = [normalised(part) for part in (*relative.parts[:-1], relative.stem)]
        keys = {"".join(parts[-depth:]) for depth in range(1, min(len(parts), 3) + 1)}
        for key in keys:
            names.setdefault(key, []).append(path)
    if problems:
        raise InputError(f"{problems[0]}.")
    return names


def find_audio(clips: pl.DataFrame, folder: Path) -> tuple[pl.DataFrame, dict[str, str]]:
    """Find the audio file of each clip.

    Parameters
    ----------
    clips : DataFrame
        ``clip_id, song_id, artist, album, title, start, duration, audio``.
    folder : Path
        Folder that is searched, with its subfolders, for ``<song id>.*``, ``artist/album/title.*`` and similar names.
        Case, accents, spaces and punctuation are ignored.

    Returns
    -------
    clips : DataFrame
        The clips, with ``audio`` relative to the folder.
    problems : dict
        Clip id of each clip without audio to ``missing``.

    Raises
    ------
    InputError
        If the folder does not exist or contains no audio, no clip is found in it, or two files match one clip.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected the folder with the audio of the clips.")
    names = _index(folder)
    if not names:
        raise InputError(f"{folder}: contains no audio; expected files that end with {', '.join(EXTENSIONS)}.")
    audio: list[str | None] = []
    problems: dict[str, str] = {}
    for clip in clips.iter_rows(named=True):
        wanted = [
            normalised(clip["song_id"]),
            normalised(clip["artist"]) + normalised(clip["album"]) + normalised(clip["title"]),
            normalised(clip["artist"]) + normalised(clip["title"]),
            normalised(clip["artist"]) + normalised(_TRACK_NUMBER.sub("", clip["title"])),
        ]
        found = next((names[key] for key in wanted if key in names), [])
        if len(found) > 1:
            listed = ", ".join(path.relative_to(folder).as_posix() for path in found[:3])
            raise InputError(f"{folder}: {len(found)} files match clip {clip['clip_id']}: {listed}; expected one.")
        if not found:
            problems[clip["clip_id"]] = "missing"
        audio.append(found[0].relative_to(folder).as_posix() if found else None)
    if len(problems) == len(clips):
        raise InputError(
            f"{folder}: none of its audio files matches a clip; expected names such as "
            f"{clips['song_id'][0]}.mp3 or {clips['artist'][0]}/{clips['album'][0]}/{clips['title'][0]}.mp3."
        )
    return clips.with_columns(audio=pl.Series(audio, dtype=pl.String)), problems


@dataclass(frozen=True)
class ClipSource:
    """Audio file of a clip, with the clip's start in the file and its duration in seconds.

    ``beats`` are the times of its beats, if they are given; otherwise they are tracked.
    """

    clip_id: str
    path: Path
    start: float
    duration: float
    beats: tuple[float, ...] | None = None


def clip_sources(clips: pl.DataFrame, folder: Path, *, kind: str) -> list[ClipSource]:
    """List the audio of the clips that have an audio file.

    Parameters
    ----------
    clips : DataFrame
        ``clip_id, start, duration, audio``.
    folder : Path
        The audio folder.
    kind : {"auto", "clips", "songs"}
        Whether the files are the clips themselves, which start at 0, or songs, in which clips start at ``start``;
        ``auto`` decides by length.

    Raises
    ------
    InputError
        If a path is outside the folder, or the kind is unknown.
    """
    if kind not in KINDS:
        raise InputError(f"`audio_kind` {kind}: expected {', '.join(KINDS)}.")
    sources = []
    for clip in clips.filter(pl.col("audio").is_not_null()).iter_rows(named=True):
        relative = PurePath(clip["audio"])
        if relative.is_absolute() or ".." in relative.parts:
            raise InputError(f"clip {clip['clip_id']}: audio {clip['audio']!r} is outside the audio folder.")
        path = folder / relative
        start = 0.0 if kind == "clips" or (kind == "auto" and _is_clip(path, clip["duration"])) else clip["start"]
        sources.append(ClipSource(clip["clip_id"], path, start, clip["duration"]))
    return sources


def audio_duration(path: Path, *, exact: bool = False) -> float:
    """Read the duration of an audio file in seconds, from its header or, if ``exact``, by decoding it.

    It is read in a child process, because decoders may crash or print.

    Raises
    ------
    AudioError
        If the file is ``missing`` or ``undecodable``.
    """
    if path.is_file():
        check_not_pointer(path)
    try:
        return isolated(measure, path) if exact else isolated(probe, path).duration
    except CrashError as error:
        raise AudioError("undecodable", f"{path}: not readable as audio ({error}).") from error


def _is_clip(path: Path, duration: float) -> bool:
    try:
        return audio_duration(path) <= duration + CLIP_MARGIN
    except AudioError:
        return False


def audio_hashes(sources: list[ClipSource], sha256: Callable[[Path], str] = sha256_file) -> dict[str, str | None]:
    """Compute the SHA-256 of the audio file of each clip by ``sha256``; None if it is missing."""
    known: dict[Path, str | None] = {}
    for item in progress(sources, "hashing audio", "file", leave=False):
        if item.path not in known:
            if item.path.is_file():
                check_not_pointer(item.path)
            known[item.path] = sha256(item.path) if item.path.is_file() else None
    return {item.clip_id: known[item.path] for item in sources}
