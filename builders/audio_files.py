"""Finding the audio of clips in a folder: by song id, or by artist, album and title."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePath

import polars as pl

from ..audio.decode import EXTENSIONS, probe
from ..errors import AudioError, InputError
from ..runtime.csv_files import check_not_pointer
from ..runtime.files import sha256_file
from ..runtime.isolation import CrashError, isolated
from .folds import normalised
from .tree import files_below

# A file not longer than this beyond the clip is the clip itself, not the song it was cut from.
CLIP_MARGIN = 2.0

KINDS = ("auto", "clips", "songs")

_TRACK_NUMBER = re.compile(r"^\d+[\s._-]+")


def _index(folder: Path) -> dict[str, list[Path]]:
    """Every audio file below a folder, under each name by which it may be looked up."""
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
    """Find the file of each clip.

    Parameters
    ----------
    clips : DataFrame
        ``clip_id, song_id, artist, album, title, start, duration, audio``.
    folder : Path
        Searched with all its folders for ``<song id>.*``, ``artist/album/title.*`` or any of the names
        joined in that order, without regard to case, accents, spaces and punctuation.

    Returns
    -------
    clips : DataFrame
        With ``audio`` relative to the folder.
    problems : dict
        ``missing`` for the clips without audio.

    Raises
    ------
    InputError
        If the folder does not exist or holds no audio, no clip is found in it, or two files answer to
        one clip.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected one with the audio of the clips.")
    names = _index(folder)
    if not names:
        raise InputError(f"{folder}: holds no audio; expected files that end with {', '.join(EXTENSIONS)}.")
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
            raise InputError(f"{folder}: {len(found)} files answer to clip {clip['clip_id']} ({listed}); expected one.")
        if not found:
            problems[clip["clip_id"]] = "missing"
        audio.append(found[0].relative_to(folder).as_posix() if found else None)
    if len(problems) == len(clips):
        raise InputError(
            f"{folder}: none of its audio files answers to a clip; expected names such as "
            f"{clips['song_id'][0]}.mp3 or {clips['artist'][0]}/{clips['album'][0]}/{clips['title'][0]}.mp3."
        )
    return clips.with_columns(audio=pl.Series(audio, dtype=pl.String)), problems


@dataclass(frozen=True)
class ClipSource:
    """Where the music of a clip lies: file, start in it and length, in seconds."""

    clip_id: str
    path: Path
    start: float
    duration: float


def clip_sources(clips: pl.DataFrame, folder: Path, *, kind: str) -> list[ClipSource]:
    """Where the music of each clip that names an audio file lies.

    Parameters
    ----------
    clips : DataFrame
        ``clip_id, start, duration, audio``.
    folder : Path
        The audio folder.
    kind : {"auto", "clips", "songs"}
        Whether the files are the clips themselves, so that the music begins at 0, or songs, where it
        begins at ``start``; ``auto`` tells by length.

    Raises
    ------
    InputError
        If a path leaves the folder, or the kind is unknown.
    """
    if kind not in KINDS:
        raise InputError(f"`audio_kind` {kind}: expected {', '.join(KINDS)}.")
    sources = []
    for clip in clips.filter(pl.col("audio").is_not_null()).iter_rows(named=True):
        relative = PurePath(clip["audio"])
        if relative.is_absolute() or ".." in relative.parts:
            raise InputError(f"clip {clip['clip_id']}: audio {clip['audio']!r} leaves the audio folder.")
        path = folder / relative
        start = 0.0 if kind == "clips" or (kind == "auto" and _is_clip(path, clip["duration"])) else clip["start"]
        sources.append(ClipSource(clip["clip_id"], path, start, clip["duration"]))
    return sources


def audio_duration(path: Path) -> float:
    """Length of an audio file in seconds by its header, read in a child process: decoders crash, and print.

    Raises
    ------
    AudioError
        With the reason ``missing`` or ``undecodable``.
    """
    if path.is_file():
        check_not_pointer(path)
    try:
        return isolated(probe, path).duration
    except CrashError as error:
        raise AudioError("undecodable", f"{path}: not readable as audio ({error}).") from error


def _is_clip(path: Path, duration: float) -> bool:
    try:
        return audio_duration(path) <= duration + CLIP_MARGIN
    except AudioError:
        return False


def audio_hashes(sources: list[ClipSource], sha256: Callable[[Path], str] = sha256_file) -> dict[str, str | None]:
    """SHA-256 of the audio file of each clip, computed by ``sha256``; None where it is not there."""
    known: dict[Path, str | None] = {}
    for item in sources:
        if item.path not in known:
            if item.path.is_file():
                check_not_pointer(item.path)
            known[item.path] = sha256(item.path) if item.path.is_file() else None
    return {item.clip_id: known[item.path] for item in sources}
