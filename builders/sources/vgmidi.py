"""VGMIDI: arousal and valence of 200 piano arrangements of video game music, rated measure by measure.

The music is rendered from the repository's MIDI files, for which the extra `midi` must be installed. The artist of a
piece is its series of games, and its album the game.

Citation: L. N. Ferreira and J. Whitehead, "Learning to Generate Music With Sentiment", ISMIR 2019.

Licence: published by its authors for research; the repository states no licence.

Source: https://github.com/lucasnfe/vgmidi, at commit 1e62f0af8c86, which can be downloaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import InputError
from ...protocols import Source, option, sources
from ..downloads import DOWNLOAD, Archive, Download, require
from .midi import check_max_duration

if TYPE_CHECKING:
    from ..corpus import LabelledCorpus

SPLITS = ("albums", "artists")
TERMS = "VGMIDI: published for research; the repository states no licence (https://github.com/lucasnfe/vgmidi)."


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of VGMIDI."""

    folder: Path | None = option(None, "Folder of the cloned repository.")
    download: bool = option(False, DOWNLOAD)
    max_duration: float = option(60.0, "Longest duration of a clip in seconds.")
    split: str = option("albums", "What folds keep together: albums (games) or artists (series of games).")

    def __post_init__(self) -> None:
        require(self, "vgmidi", "folder")
        check_max_duration(self.max_duration)
        if self.split not in SPLITS:
            raise InputError(f"`split` {self.split}: expected {' or '.join(SPLITS)}.")


def archive() -> Archive:
    """Return the archive of the pinned commit, whose files the reader checks one by one."""
    from ..readers.vgmidi import COMMIT, REPOSITORY

    return Archive(f"https://codeload.github.com/{REPOSITORY}/zip/{COMMIT}", "folder", name="vgmidi.zip", stable=False)


def download(options: Options) -> Download | None:
    """List the archive unless its folder is given."""
    return Download.of("vgmidi", TERMS, options, (archive(),))


def load(options: Options, *, out: Path, seed: int) -> LabelledCorpus:
    """Read the annotations; the music is rendered when the dataset is built."""
    from ..readers import vgmidi

    # GitHub names the folder in its archives after the commit.
    folder = options.folder or archive().place("vgmidi") / f"vgmidi-{vgmidi.COMMIT}"
    return vgmidi.load(folder, max_duration=options.max_duration, split=options.split)


def dataset_name(options: Options) -> str:
    """Name the dataset after its split: another split is another dataset."""
    return "vgmidi" if options.split == "albums" else f"vgmidi-{options.split}"


sources.register(
    Source(
        "vgmidi",
        "VGMIDI (Ferreira and Whitehead 2019).",
        Options,
        load,
        examples=(
            "build-data vgmidi --download",
            "build-data vgmidi --folder vgmidi/",
            "build-data vgmidi --folder vgmidi/ --max-duration 120 --split artists",
        ),
        dataset_name=dataset_name,
        downloads=download,
    )
)
