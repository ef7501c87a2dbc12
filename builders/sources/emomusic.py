"""emoMusic (1000 Songs): 744 excerpts of free music, rated every half second and as a whole by crowd workers.

Citation: M. Soleymani, M. N. Caro, E. M. Schmidt, C.-Y. Sha and Y.-H. Yang, "1000 songs for emotional analysis of
music", ACM International Workshop on Crowdsourcing for Multimedia, 2013.

Licence: as stated with the data, for research; the songs have Creative Commons licences of their artists.

Source: https://cvml.unige.ch/databases/emoMusic/ (annotations.tar.gz, clips_45sec.tar.gz), which can
be downloaded unless the authors ask for a form to be filled in.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...cards.dataset import Provenance
from ...protocols import Source, option, sources
from ..downloads import DOWNLOAD, Archive, Download, require

if TYPE_CHECKING:
    from ..corpus import LabelledCorpus
    from ..readers.songs.splits import Design

_SERVER = "https://cvml.unige.ch/databases/emoMusic"
ANNOTATIONS = Archive(f"{_SERVER}/annotations.tar.gz", "annotations")
AUDIO = Archive(f"{_SERVER}/clips_45sec.tar.gz", "audio")
TERMS = (
    f"emoMusic: for research, under the terms stated with it; the songs have licences of their artists ({_SERVER}/)."
)


PROVENANCE = Provenance(
    url=f"{_SERVER}/",
    published="2013",
    creators=("Mohammad Soleymani", "Micheal N. Caro", "Erik M. Schmidt", "Cheng-Ya Sha", "Yi-Hsuan Yang"),
    collection="1,000 songs of the Free Music Archive, of which 744 remain without duplicates. An excerpt of 45 "
    "seconds begins at a random time of each song.",
    platform="Amazon Mechanical Turk",
    annotators="At least ten crowd workers per excerpt, who passed a procedure of two stages that filters out poor "
    "work; their age, gender and country are not part of this dataset.",
    instructions="Workers rated arousal and valence continuously while they listened, and then the whole excerpt on "
    "scales from 1 to 9. The first 15 seconds of the continuous ratings were not published, because they are unstable.",
    biases=(
        "The music is that of one archive of free music, with its genres and its quality of recording.",
        "Continuous ratings lag behind the music by the reaction time of the workers.",
    ),
    limitations=(
        "Single ratings are not published, so the covariance of arousal and valence is unknown.",
        "Whether the published deviations of continuous ratings divide by n or n - 1 is not stated.",
        "The songs are those of DEAM from 2013, so the two corpora are not independent.",
    ),
    personal="Nothing about single annotators is published.",
)


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of emoMusic."""

    annotations: Path | None = option(None, "Folder of the annotations and the metadata.")
    audio: Path | None = option(None, "Folder of the audio.")
    download: bool = option(False, DOWNLOAD)
    labels: str = option("dynamic", "Ratings of every half second (dynamic) or of whole excerpts (static).")
    split: str = option(
        "albums", "Folds by albums or artists, or the published train, validation and test songs (official)."
    )

    def __post_init__(self) -> None:
        require(self, "emomusic", "annotations")
        self.design()

    def design(self) -> Design:
        """Return the labels and folds that were asked for."""
        from ..readers.songs.splits import make_design

        return make_design("emomusic", self.labels, self.split)


def download(options: Options) -> Download | None:
    """List the archives that are not given as folders."""
    return Download.of("emomusic", TERMS, options, (ANNOTATIONS, AUDIO))


def load(options: Options, *, out: Path, seed: int) -> LabelledCorpus:
    """Read the annotations and find the audio."""
    from ..readers import emomusic

    annotations = options.annotations or ANNOTATIONS.place("emomusic")
    audio = options.audio or (AUDIO.place("emomusic") if options.download else None)
    return emomusic.load(annotations, audio, options.design())


def dataset_name(options: Options) -> str:
    """Name the dataset after its labels and split: other ones make another dataset."""
    return options.design().dataset_name("emomusic")


sources.register(
    Source(
        "emomusic",
        "emoMusic, 744 excerpts (Soleymani et al. 2013).",
        Options,
        load,
        examples=(
            "build-data emomusic --download",
            "build-data emomusic --annotations emomusic/ --audio clips_45seconds/ --dry-run",
            "build-data emomusic --annotations emomusic/ --audio clips_45seconds/ --labels static --split official",
        ),
        dataset_name=dataset_name,
        downloads=download,
        provenance=PROVENANCE,
        collections=("fma",),
    )
)
