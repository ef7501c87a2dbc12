"""Short pieces rendered by this package, with known beats, arousal and valence, and simulated annotators.

A labelled and a pre-training dataset are built. They depend on the options only, so they are the same everywhere.

Citation: this package.

Licence: CC0-1.0; no recorded music is used.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...cards.dataset import Provenance
from ...errors import InputError
from ...protocols import Source, option, shared, sources
from ..quality import QualityConfig

if TYPE_CHECKING:
    from ..corpus import LabelledCorpus, PretrainCorpus


PROVENANCE = Provenance(
    published="2026",
    creators=("The emobench developers",),
    collection="Music composed and rendered by emobench.",
    platform="Simulation",
    annotators="Simulated; no person rated this music.",
    instructions="Every simulated annotator perceives the true emotion with a delay, adds a personal bias, a bias for "
    "the clip and a slow drift, and moves only when the error has become large; some do not move.",
    biases=(
        "Every clip follows the same simple rules, which link tempo, loudness and other properties to its emotion.",
    ),
    limitations=("Scores on synthetic music say nothing about real music.",),
    personal="None.",
)


@dataclass(frozen=True, kw_only=True)
class Options:
    """Options of the synthetic datasets."""

    size: int = option(240, "Number of labelled clips.")
    pretrain_size: int = option(200, "Number of clips for pre-training.")
    quality: QualityConfig = shared(QualityConfig, "Quality filter of the pre-training set")

    def __post_init__(self) -> None:
        if self.size < 3:
            raise InputError(f"`size` {self.size}: expected at least 3 clips.")
        if self.pretrain_size < 1:
            raise InputError(f"`pretrain_size` {self.pretrain_size}: expected at least 1 clip.")


def load(options: Options, *, out: Path, seed: int) -> list[LabelledCorpus | PretrainCorpus]:
    """Plan both corpora; their audio is rendered when they are built."""
    from dataclasses import replace

    from ..synthesis import SynthesisConfig
    from ..synthesis.corpus import load, load_pretraining

    config = SynthesisConfig(seed=seed, n_clips=options.size, n_pretrain=options.pretrain_size)
    return [load(config), replace(load_pretraining(config), quality=options.quality)]


sources.register(
    Source(
        "synthetic",
        "Synthetic music with simulated annotators (default).",
        Options,
        load,
        examples=("build-data", "build-data synthetic --size 60 --pretrain-size 20 --out data/small"),
        provenance=PROVENANCE,
    )
)
