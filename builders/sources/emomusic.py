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
    )
)
