"""Audio of numbered songs: files named after a song id, in any subfolder."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ....audio.decode import EXTENSIONS
from ....errors import AudioError
from ....runtime.progress import progress
from ....runtime.text import few
from ...audio_files import audio_duration
from ...tree import files_below
from .tables import song_id


@dataclass(frozen=True)
class Audio:
    """Audio files of songs.

    Attributes
    ----------
    folder : Path, optional
        Folder of the audio; None for a dataset without audio.
    files : mapping
        Song to path in the folder.
    """

    folder: Path | None = None
    files: Mapping[str, str] = field(default_factory=dict)

    def durations(self, songs: Collection[str], *, exact: bool = False) -> tuple[dict[str, float], dict[str, str]]:
        """Read the durations of songs in seconds; returns these, and the unusable songs with the reason.

        They are read from the headers or, if ``exact``, by decoding the files.
        """
        seconds: dict[str, float] = {}
        unusable: dict[str, str] = {}
        if self.folder is None:
            return seconds, unusable
        for song in progress(songs, "reading audio", "file", leave=False):
            try:
                if song in self.files:
                    seconds[song] = audio_duration(self.folder / self.files[song], exact=exact)
                else:
                    unusable[song] = "missing"
            except AudioError as error:
                unusable[song] = error.reason
        return seconds, unusable


def find_audio(folder: Path | None, problems: list[str]) -> Audio:
    """Find the audio of each song in a folder and its subfolders."""
    if folder is None:
        return Audio()
    if not folder.is_dir():
        problems.append(f"{folder}: no such folder; expected the folder of the audio, such as 2.mp3")
        return Audio(folder)
    before = len(problems)
    found: dict[str, list[str]] = {}
    for path in files_below(folder, EXTENSIONS, problems):
        song = song_id(Path(path).stem)
        if song is not None:
            found.setdefault(song, []).append(path)
    doubled = [f"{song}: {' and '.join(sorted(paths))}" for song, paths in sorted(found.items()) if len(paths) > 1]
    if doubled:
        problems.append(f"{folder}: songs with more than one file: {few(doubled)}")
    if not found and len(problems) == before:
        problems.append(f"{folder}: contains no audio named after a song id, such as 2.mp3")
    return Audio(folder, {song: paths[0] for song, paths in found.items()})


def check_ids(
    annotations: Path, songs: Collection[str], audio: Audio, metadata: Collection[str], problems: list[str]
) -> None:
    """Check that audio and metadata belong to the annotated songs."""
    first = min(songs, key=int, default="")
    if audio.files and songs and not set(audio.files) & set(songs):
        problems.append(f"{audio.folder}: none of its files is named after a song id, such as {first}.mp3")
    if metadata and songs and not set(metadata) & set(songs):
        problems.append(f"{annotations}: the metadata contain none of the annotated songs")
