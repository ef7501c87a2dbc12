"""Shared fixtures of the tests of networks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from .small_models import Run, small_config, small_pretrain


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Matrices this small are slower on several threads."""
    kept = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(kept)


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    config = small_config(epochs=(5, 10, 20, 50), layers=(5, 4, 3), held_out=0.25)
    folder = tmp_path_factory.mktemp("models") / "rhythm"
    return Run(folder, config, small_pretrain(folder, config))
