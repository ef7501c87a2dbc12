"""emoMusic (1000 Songs): 744 excerpts of free music, rated every half second and as a whole by crowd workers.

Citation: M. Soleymani, M. N. Caro, E. M. Schmidt, C.-Y. Sha and Y.-H. Yang, "1000 songs for emotional analysis of
music", ACM International Workshop on Crowdsourcing for Multimedia, 2013.

Licence: as stated with the data, for research; the songs have Creative Commons licences of their artists.

Source: https://cvml.unige.ch/databases/emoMusic/ (annotations.tar.gz, clips_45sec.tar.gz).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...protocols import REQUIRED, Source, option, sources

if TYPE_CHECKING:
    from ..corpus import LabelledCorpus
    from ..readers.songs.splits import Design


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of emoMusic."""

    annotations: Path = option(REQUIRED, "Folder of the annotations and the metadata.")
    audio: Path | None = option(None, "Folder of the audio.")
    labels: str = option("dynamic", "Ratings of every half second (dynamic) or of whole excerpts (static).")
    split: str = option(
        "albums", "Folds by albums or artists, or the published train, validation and test songs (official)."
    )

    def __post_init__(self) -> None:
        self.design()

    def design(self) -> Design:
        """Return the labels and folds that were asked for."""
        from ..readers.songs.splits import make_design

        return make_design("emomusic", self.labels, self.split)


def load(options: Options, *, out: Path, seed: int) -> LabelledCorpus:
    """Read the annotations and find the audio."""
    from ..readers import emomusic

    return emomusic.load(options.annotations, options.audio, options.design())


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
            "build-data emomusic --annotations emomusic/ --audio clips_45seconds/ --dry-run",
            "build-data emomusic --annotations emomusic/ --audio clips_45seconds/ --labels static --split official",
        ),
        dataset_name=dataset_name,
    )
)
