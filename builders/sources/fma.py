"""FMA: 30-second clips of Creative Commons music without labels, for pre-training.

Citation: M. Defferrard, K. Benzi, P. Vandergheynst and X. Bresson, "FMA: A Dataset for Music Analysis", ISMIR 2017.

Licence: metadata CC BY 4.0; each track has the licence of its artist, which the dataset lists.

Source: https://github.com/mdeff/fma (fma_metadata.zip and one of fma_small.zip, fma_medium.zip, fma_large.zip).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...protocols import REQUIRED, Source, option, shared, sources
from ..quality import QualityConfig, check_sample

if TYPE_CHECKING:
    from ..corpus import PretrainCorpus


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of FMA."""

    metadata: Path = option(REQUIRED, "File tracks.csv, or a folder with it.")
    clips: Path = option(REQUIRED, "Folder fma_small, fma_medium or fma_large.")
    sample: int = option(0, "Number of clips to draw among those that pass the quality filter; 0 takes all.")
    quality: QualityConfig = shared(QualityConfig, "Quality filter")

    def __post_init__(self) -> None:
        check_sample(self.sample)


def load(options: Options, *, out: Path, seed: int) -> PretrainCorpus:
    """Read the tracks and find their clips."""
    from dataclasses import replace

    from ..readers import fma

    return replace(fma.load(options.metadata, options.clips), quality=options.quality, sample=options.sample or None)


sources.register(
    Source(
        "fma",
        "FMA clips for pre-training (Defferrard et al. 2017).",
        Options,
        load,
        examples=("build-data fma --metadata fma_metadata/ --clips fma_small/",),
        labelled=False,
    )
)
