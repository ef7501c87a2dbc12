"""Small networks, and a dataset with music for them."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any

from emobench.benchmark.features.network_config import network_config
from emobench.builders import labelled_dataset as labelled
from emobench.builders.labelled_dataset import LabelledConfig
from emobench.builders.synthesis import SynthesisConfig
from emobench.builders.synthesis import corpus as synthetic
from emobench.dbn.config import ContrastiveConfig

SMALL = replace(
    network_config(layers=(6, 5), epochs=(1,)),
    contrastive=ContrastiveConfig(steps=20, layers=(12, 6)),
)


def of_seed(seed: int) -> dict[str, Any]:
    """Return the settings of :data:`SMALL` with another seed."""
    names = ("contrastive", "pretraining", "finetuning", "encoder_finetuning")
    return {name: replace(getattr(SMALL, name), seed=seed) for name in names}


def build(folder: Path, pool: Executor) -> Path:
    """Build a dataset of 12 clips."""
    made = synthetic.load(SynthesisConfig(n_clips=12, clip_seconds=8, seed=3))
    labelled.build(made, folder, name="tiny", version="1.0.0", config=LabelledConfig(), pool=pool)
    return folder
