"""PMEmo: the choruses of 794 popular songs, 767 of them rated every half second and as a whole by students.

Citation: K. Zhang, H. Zhang, S. Li, C. Yang and L. Sun, "The PMEmo dataset for music emotion recognition", ACM
International Conference on Multimedia Retrieval, 2018.

Licence: as stated with the data, for research; the music is commercial.

Source: https://github.com/HuiZhangDB/PMEmo (PMEmo2019.zip).
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
    """Options of PMEmo."""

    annotations: Path = option(REQUIRED, "Folder of the annotations and the metadata.")
    audio: Path | None = option(None, "Folder of the audio.")
    labels: str = option("dynamic", "Ratings of every half second (dynamic) or of whole choruses (static).")
    split: str = option(
        "albums", "Folds by albums or artists, or the published train, validation and test songs (official)."
    )

    def __post_init__(self) -> None:
        self.design()

    def design(self) -> Design:
        """Return the labels and folds that were asked for."""
        from ..readers.songs.splits import make_design

        return make_design("pmemo", self.labels, self.split)


def load(options: Options, *, out: Path, seed: int) -> LabelledCorpus:
    """Read the annotations and find the audio."""
    from ..readers import pmemo

    return pmemo.load(options.annotations, options.audio, options.design())


def dataset_name(options: Options) -> str:
    """Name the dataset after its labels and split: other ones make another dataset."""
    return options.design().dataset_name("pmemo")


sources.register(
    Source(
        "pmemo",
        "PMEmo, 767 choruses (Zhang et al. 2018).",
        Options,
        load,
        examples=(
            "build-data pmemo --annotations PMEmo2019/ --audio PMEmo2019/chorus/ --dry-run",
            "build-data pmemo --annotations PMEmo2019/ --audio PMEmo2019/chorus/ --labels static --split official",
        ),
        dataset_name=dataset_name,
    )
)
