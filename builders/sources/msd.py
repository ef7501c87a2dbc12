"""Million Song Dataset: its tracks with their 7digital previews, the pre-training music of the paper.

Citation: T. Bertin-Mahieux, D. P. W. Ellis, B. Whitman and P. Lamere, "The Million Song Dataset", ISMIR 2011.

Licence: metadata for research (http://millionsongdataset.com/faq); the previews belong to 7digital and must not be
passed on.

Source: http://millionsongdataset.com/pages/getting-dataset (track_metadata.db, msd_summary_file.h5, unique_tracks.txt
or per-track .h5 files). The previews at https://previews.7digital.com require keys, which are read from the environment
variables SEVENDIGITAL_KEY and SEVENDIGITAL_SECRET.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...cards.dataset import Provenance
from ...errors import InputError
from ...protocols import REQUIRED, Source, option, shared, sources
from ..quality import QualityConfig, check_sample

if TYPE_CHECKING:
    from ..corpus import PretrainCorpus
    from ..readers.msd.sevendigital import DownloadConfig

# Size of the paper's sample of the clips that pass its filter (Schmidt and Kim 2013, section 3.1).
PAPER_SAMPLE = 50_000


PROVENANCE = Provenance(
    url="http://millionsongdataset.com",
    published="2011",
    creators=("Thierry Bertin-Mahieux", "Daniel P. W. Ellis", "Brian Whitman", "Paul Lamere"),
    collection="Tracks of contemporary popular music chosen by the authors from the catalogue of The Echo Nest; this "
    "dataset uses those with a preview at 7digital that passes the quality filter.",
    biases=("The music is mostly Western popular music from before 2011.",),
    limitations=("Which previews 7digital offers depends on the country and the time of the request.",),
    personal="Names of artists, as the catalogue states them.",
)


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of the Million Song Dataset."""

    metadata: Path = option(REQUIRED, "File or folder of the metadata.")
    clips: Path | None = option(None, "Folder of the clips; with a download, the default is data/<name>-clips.")
    sample: int = option(PAPER_SAMPLE, "Number of clips to draw among those that pass the quality filter; 0 takes all.")
    download: bool = option(False, "Download missing clips from 7digital.")
    clip_url: str = option("https://previews.7digital.com/clip", "URL of 7digital's clip endpoint.")
    country: str = option("US", "Country of the catalogue, two letters.")
    per_day: int = option(4000, "Maximum number of requests in 24 hours; 7digital's terms allow 4000.")
    quality: QualityConfig = shared(QualityConfig, "Quality filter")

    def __post_init__(self) -> None:
        check_sample(self.sample)
        if self.clips is None and not self.download:
            raise InputError("`clips`: required without `download`; pass the folder of the clips.")
        if self.download:
            self.download_config()

    def download_config(self) -> DownloadConfig:
        """Return the settings of the download."""
        from ..readers.msd.sevendigital import DownloadConfig

        return DownloadConfig(clip_url=self.clip_url, country=self.country, per_day=self.per_day)


def load(options: Options, *, out: Path, seed: int) -> PretrainCorpus:
    """Read the tracks and find their clips, or prepare their download."""
    from dataclasses import replace

    from ..readers.msd.reading import load as read
    from ..readers.msd.sevendigital import Download

    clips = options.clips or out.with_name(f"{out.name}-clips")
    download = Download(clips, options.download_config()) if options.download else None
    corpus = read(options.metadata, clips, download)
    return replace(corpus, quality=options.quality, sample=options.sample or None)


sources.register(
    Source(
        "msd",
        "Million Song Dataset with 7digital previews, for pre-training (Bertin-Mahieux et al. 2011).",
        Options,
        load,
        examples=(
            "build-data msd --metadata track_metadata.db --clips previews/ --sample 50000",
            "build-data msd --metadata track_metadata.db --download",
        ),
        labelled=False,
        provenance=PROVENANCE,
        collections=("msd",),
    )
)
