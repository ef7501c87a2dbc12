"""FMA: 30-second clips of Creative Commons music without labels, for pre-training.

Citation: M. Defferrard, K. Benzi, P. Vandergheynst and X. Bresson, "FMA: A Dataset for Music Analysis", ISMIR 2017.

Licence: metadata CC BY 4.0; each track has the licence of its artist, which the dataset lists.

Source: https://github.com/mdeff/fma (fma_metadata.zip and one of fma_small.zip, fma_medium.zip, fma_large.zip), which
can be downloaded.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...cards.dataset import Provenance
from ...errors import InputError
from ...protocols import Source, option, shared, sources
from ..downloads import DOWNLOAD, Archive, Download, require
from ..quality import QualityConfig, check_sample

if TYPE_CHECKING:
    from ..corpus import PretrainCorpus

_SERVER = "https://os.unil.cloud.switch.ch/fma"
METADATA = Archive(
    f"{_SERVER}/fma_metadata.zip", "metadata", "sha1:f0df49ffe5f2a6008d7dc83c6915b31835dfe733", size="342 MiB"
)
CLIPS = {
    "small": Archive(
        f"{_SERVER}/fma_small.zip", "clips", "sha1:ade154f733639d52e35e32f5593efe5be76c6d70", size="7.2 GiB"
    ),
    "medium": Archive(
        f"{_SERVER}/fma_medium.zip", "clips", "sha1:c67b69ea232021025fca9231fc1c7c1a063ab50b", size="22 GiB"
    ),
    "large": Archive(
        f"{_SERVER}/fma_large.zip", "clips", "sha1:497109f4dd721066b5ce5e5f250ec604dc78939e", size="93 GiB"
    ),
}
TERMS = (
    "FMA: metadata under CC BY 4.0, each track under the licence that its artist chose (https://github.com/mdeff/fma)."
)


PROVENANCE = Provenance(
    url="https://github.com/mdeff/fma",
    published="2017",
    creators=("Michaël Defferrard", "Kirell Benzi", "Pierre Vandergheynst", "Xavier Bresson"),
    collection="Clips of 30 seconds from the tracks of the Free Music Archive, a library of music that artists publish "
    "under licences of their choice.",
    biases=(
        "The music is that of one archive of free music. Except in the subset small, which is balanced by genre, "
        "experimental, electronic and rock music are the most frequent.",
    ),
    limitations=("Tracks whose clip was not in the folder are listed as missing.",),
    personal="Names of artists, as they published them.",
)


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of FMA."""

    metadata: Path | None = option(None, "File tracks.csv, or a folder with it.")
    clips: Path | None = option(None, "Folder fma_small, fma_medium or fma_large.")
    download: bool = option(False, DOWNLOAD)
    subset: str | None = option(None, "Subset to download: small (the default), medium or large.")
    sample: int = option(0, "Number of clips to draw among those that pass the quality filter; 0 takes all.")
    quality: QualityConfig = shared(QualityConfig, "Quality filter")

    def __post_init__(self) -> None:
        check_sample(self.sample)
        require(self, "fma", "metadata", "clips")
        if self.subset is not None and self.subset not in CLIPS:
            raise InputError(f"`subset` {self.subset}: expected {', '.join(CLIPS)}.")
        if self.subset is not None and not self.downloads_clips:
            raise InputError(
                f"`subset` {self.subset}: applies only to downloads; pass `download` and leave out `clips`."
            )

    @property
    def downloads_clips(self) -> bool:
        """Whether the clips are downloaded."""
        return self.download and self.clips is None

    @property
    def archive(self) -> Archive:
        """Archive of the clips."""
        return CLIPS[self.subset or "small"]


def download(options: Options) -> Download | None:
    """List the archives that are not given as folders."""
    return Download.of("fma", TERMS, options, (METADATA, options.archive))


def load(options: Options, *, out: Path, seed: int) -> PretrainCorpus:
    """Read the tracks and find their clips."""
    from dataclasses import replace

    from ..readers import fma

    metadata = options.metadata or METADATA.place("fma")
    clips = options.clips or options.archive.place("fma")
    return replace(fma.load(metadata, clips), quality=options.quality, sample=options.sample or None)


sources.register(
    Source(
        "fma",
        "FMA clips for pre-training (Defferrard et al. 2017).",
        Options,
        load,
        examples=(
            "build-data fma --download --subset small",
            "build-data fma --metadata fma_metadata/ --clips fma_small/",
        ),
        labelled=False,
        downloads=download,
        provenance=PROVENANCE,
        collections=("fma",),
    )
)
