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

from ...cards.dataset import Provenance
from ...errors import InputError
from ...protocols import Source, option, sources
from ..downloads import DOWNLOAD, Archive, Download, require
from .midi import check_max_duration

if TYPE_CHECKING:
    from ..corpus import LabelledCorpus

SPLITS = ("albums", "artists")
TERMS = "VGMIDI: published for research; the repository states no licence (https://github.com/lucasnfe/vgmidi)."


PROVENANCE = Provenance(
    url="https://github.com/lucasnfe/vgmidi",
    published="2019",
    creators=("Lucas N. Ferreira", "Jim Whitehead"),
    collection="Piano arrangements of the music of video games, published as MIDI. This dataset uses the 200 pieces "
    "that were annotated and described.",
    platform="Amazon Mechanical Turk",
    annotators="About 30 crowd workers per piece; the card counts what they stated about age, gender and country.",
    instructions="Workers used a web tool that plays the music and gave one value of arousal and one of valence per "
    "measure; they rated two pieces each, and described what they heard in words.",
    biases=(
        "All music is solo piano of one genre.",
        "Almost all workers state that they are from the United States.",
    ),
    limitations=(
        "The music is rendered from MIDI by emobench, with another sound than that which the workers heard.",
        "Values are given per measure and spread evenly over the duration of a piece.",
        "Some traces are constant, and some were left out; the card counts them.",
    ),
    personal="The published files state the age, gender, country and musicianship of every annotator. This dataset "
    "contains only counts of the first three, in its card.",
)


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
        provenance=PROVENANCE,
    )
)
