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

from ...cards.dataset import Provenance
from ...protocols import REQUIRED, Source, option, sources

if TYPE_CHECKING:
    from ..corpus import LabelledCorpus
    from ..readers.songs.splits import Design


PROVENANCE = Provenance(
    url="https://github.com/HuiZhangDB/PMEmo",
    published="2018",
    creators=("Kejun Zhang", "Hui Zhang", "Simeng Li", "Changyuan Yang", "Lingyun Sun"),
    collection="794 songs from the charts Billboard Hot 100, iTunes Top 100 and UK Top 40 of 2016 and 2017, without "
    "duplicates. Students of music chose the chorus of each song.",
    platform="Experiment in a laboratory of Zhejiang University",
    annotators="457 people: mostly Chinese students of other subjects than music, also students of music and native "
    "speakers of English; at least ten per chorus. Their age and gender are not part of this dataset.",
    instructions="Listeners rated arousal and valence continuously while they listened, and then the whole chorus on "
    "scales from 1 to 9. Their skin conductance was recorded at the same time; it is not part of this dataset.",
    biases=(
        "The songs are recent hits of Western charts; few of them are calm.",
        "Most listeners come from one university and one country.",
        "Continuous ratings lag behind the music by the reaction time of the listeners.",
    ),
    limitations=(
        "Single ratings are not published, so the covariance of arousal and valence is unknown.",
        "Some published deviations of continuous ratings are on another scale than the means; they are corrected.",
        "Whether the published deviations of continuous ratings divide by n or n - 1 is not stated.",
    ),
    personal="Nothing about single annotators is published.",
)


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
        provenance=PROVENANCE,
    )
)
