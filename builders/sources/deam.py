"""DEAM: 1,802 excerpts and songs of free music, rated every half second by workers of Mechanical Turk.

Citation: A. Aljanaki, Y.-H. Yang and M. Soleymani, "Developing a benchmark for emotional analysis of music", PLOS ONE
12(3), 2017.

Licence: as stated with the data, for research; the songs have Creative Commons licences of their artists.

Source: https://cvml.unige.ch/databases/DEAM/ (DEAM_Annotations.zip, metadata.zip, DEAM_audio.zip), which
can be downloaded.
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

MEDIAEVAL = ("mediaeval2015", "evaluation2015")

# No checksums are published. These are of downloads by others, as public repositories state them.
_SERVER = "https://cvml.unige.ch/databases/DEAM"
ANNOTATIONS = Archive(
    f"{_SERVER}/DEAM_Annotations.zip",
    "annotations",
    sha256="809b0feb4ba6196c1eda9b2b7b33b892b11fa71457cfceb0d47e832ed1a5f15f",
    size="4.7 MB",
)
METADATA = Archive(
    f"{_SERVER}/metadata.zip",
    "annotations",
    sha256="3d1d5ab42e852803a770f2cfbd685c6b464e1ebe76f26b0e10954597902b90f8",
    size="0.3 MB",
)
AUDIO = Archive(
    f"{_SERVER}/DEAM_audio.zip",
    "audio",
    sha256="e2814325f573ade8caebc697f0efcfdf7207142b737d72558a416117ca591353",
    size="1.3 GB",
)
TERMS = f"DEAM: for research, under the terms stated with it; the songs have licences of their artists ({_SERVER}/)."


PROVENANCE = Provenance(
    url=f"{_SERVER}/",
    published="2017",
    creators=("Anna Aljanaki", "Yi-Hsuan Yang", "Mohammad Soleymani"),
    collection="1,744 excerpts of 45 seconds from the Free Music Archive, and 58 whole songs from Jamendo and "
    "MedleyDB, chosen for the task Emotion in Music of MediaEval in 2013, 2014 and 2015.",
    platform="Amazon Mechanical Turk",
    annotators="Crowd workers; their age, gender and country are not part of this dataset.",
    instructions="Workers rated arousal and valence continuously while they listened, and then the whole excerpt or "
    "song on scales from 1 to 9. The first 15 seconds of the continuous ratings were not published.",
    biases=(
        "The ratings of different years were collected with different numbers of workers and kinds of songs, so their "
        "means and spreads are not the same.",
        "Continuous ratings lag behind the music by the reaction time of the workers, and start near the centre.",
    ),
    limitations=(
        "Arousal and valence are exchanged in the published static means of 2013; this is detected and corrected.",
        "Spreads are unknown where neither the ratings of single workers nor deviations were published.",
        "The songs of 2013 are those of emoMusic, so the two corpora are not independent.",
    ),
    personal="Annotators are identified by the codes of the published files, if at all.",
)


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of DEAM."""

    annotations: Path | None = option(None, "Folder of the annotations and the metadata.")
    audio: Path | None = option(None, "Folder of the audio.")
    download: bool = option(False, DOWNLOAD)
    labels: str = option("dynamic", "Ratings of every half second (dynamic) or of whole songs (static).")
    split: str = option(
        "albums",
        "Folds by albums or artists, or a published split instead: official (train, validation and test songs of "
        "recent papers), mediaeval2015 (needs a list of the development songs) or evaluation2015 (trains on all other "
        "songs).",
    )
    development: Path | None = option(
        None, "List of the development songs of MediaEval 2015, one id per line, for the split mediaeval2015."
    )

    def __post_init__(self) -> None:
        require(self, "deam", "annotations")
        self.design()

    def design(self) -> Design:
        """Return the labels and folds that were asked for."""
        from ..readers.songs.splits import Design, make_design

        if self.split not in MEDIAEVAL and self.development is None:
            return make_design("deam", self.labels, self.split, MEDIAEVAL)
        from ..readers.deam.split import SplitConfig

        return Design(self.labels, split=SplitConfig(self.split, self.development))


def download(options: Options) -> Download | None:
    """List the archives that are not given as folders."""
    return Download.of("deam", TERMS, options, (ANNOTATIONS, METADATA, AUDIO))


def load(options: Options, *, out: Path, seed: int) -> LabelledCorpus:
    """Read the annotations and find the audio."""
    from ..readers import deam

    # The metadata are found in the folder `metadata` beside the annotations.
    annotations = options.annotations or ANNOTATIONS.place("deam")
    audio = options.audio or (AUDIO.place("deam") if options.download else None)
    return deam.load(annotations, audio, options.design())


def dataset_name(options: Options) -> str:
    """Name the dataset after its labels and split: other ones make another dataset."""
    return options.design().dataset_name("deam")


sources.register(
    Source(
        "deam",
        "DEAM (Aljanaki et al. 2017).",
        Options,
        load,
        examples=(
            "build-data deam --download",
            "build-data deam --annotations DEAM/ --audio MEMD_audio/ --dry-run",
            "build-data deam --annotations DEAM/ --audio MEMD_audio/ --labels static --split official",
            "build-data deam --annotations DEAM/ --audio MEMD_audio/ --split mediaeval2015 --development ids.txt",
        ),
        dataset_name=dataset_name,
        downloads=download,
        provenance=PROVENANCE,
        collections=("fma", "jamendo", "medleydb"),
    )
)
