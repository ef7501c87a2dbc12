"""Pre-train on generated clips: python pretrain_driver.py FOLDER SETTINGS (fields of PretrainingConfig, as JSON)."""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from emobench.dbn import trainer
from emobench.dbn.config import PretrainingConfig
from emobench.dbn.distributed import process_group
from emobench.dbn.domains import Domain
from emobench.dbn.pretraining import pretrain


def clips() -> list[np.ndarray]:
    """Make clips whose bands follow one hidden switch."""
    rng = np.random.default_rng(0)
    switches = [np.where(rng.random((60, 1)) < 0.5, -1.0, 1.0) for _ in range(60)]
    return [(5 + 3 * (switch + 0.2 * rng.normal(size=(60, 6)))).astype(np.float32) for switch in switches]


if __name__ == "__main__":
    # Write a checkpoint after every epoch, however short.
    trainer._SECONDS_BETWEEN_CHECKPOINTS = -1.0
    torch.set_num_threads(1)
    config = PretrainingConfig(**{"window": 2, "held_out": 0.1, **json.loads(sys.argv[2])})
    device = torch.device("cpu")
    with process_group(device) as group:
        pretrain(
            clips(), Domain("rhythm", 2), config, folder=Path(sys.argv[1]), provenance={}, device=device, group=group
        )
