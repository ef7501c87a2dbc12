"""DEAM: 1,802 excerpts and songs of free music, rated every half second by workers of Mechanical Turk.

Citation: A. Aljanaki, Y.-H. Yang and M. Soleymani, "Developing a benchmark for emotional analysis of music", PLOS ONE
12(3), 2017.

Licence: as stated with the data, for research; the songs have Creative Commons licences of their artists.

Source: https://cvml.unige.ch/databases/DEAM/ (DEAM_Annotations.zip, metadata.zip, DEAM_audio.zip).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...protocols import REQUIRED, Source, option, sources

if TYPE_CHECKING:
    from ..corpus import LabelledCorpus
    from ..readers.deam.split import SplitConfig


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of DEAM."""

    annotations: Path = option(REQUIRED, "Folder of the annotations and the metadata.")
    audio: Path | None = option(None, "Folder of the audio.")
    split: str | None = option(
        None,
        "Published test part instead of repeated folds: mediaeval2015 (needs a list of the development songs) or "
        "evaluation2015 (trains on all other songs).",
    )
    development: Path | None = option(
        None, "List of the development songs of MediaEval 2015, one id per line, for the split mediaeval2015."
    )

    def __post_init__(self) -> None:
        if self.split is not None or self.development is not None:
            self.split_config()

    def split_config(self) -> SplitConfig | None:
        """Return the published split, or None where folds are drawn."""
        from ..readers.deam.split import SplitConfig

        if self.split is None and self.development is None:
            return None
        return SplitConfig(self.split or "", self.development)


def load(options: Options, *, out: Path, seed: int) -> LabelledCorpus:
    """Read the annotations and find the audio."""
    from ..readers import deam

    return deam.load(options.annotations, options.audio, options.split_config())


def dataset_name(options: Options) -> str:
    """Name the dataset after its split: another split is another dataset."""
    return f"deam-{options.split}" if options.split else "deam"


sources.register(
    Source(
        "deam",
        "DEAM (Aljanaki et al. 2017).",
        Options,
        load,
        examples=(
            "build-data deam --annotations DEAM/ --audio MEMD_audio/ --dry-run",
            "build-data deam --annotations DEAM/ --audio MEMD_audio/ --split mediaeval2015 --development ids.txt",
        ),
        dataset_name=dataset_name,
    )
)
