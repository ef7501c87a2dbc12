"""Training of networks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..benchmark.features.network_config import network_config
from ..benchmark.hub_datasets import locate
from ..runtime.devices import check_device
from ..runtime.executor import executor, processors

if TYPE_CHECKING:
    from ..dbn.model import Model

Location = str | Path


def pretrain(
    features: Sequence[str] | str,
    pretrain_data: Location,
    *,
    models: Location = "models",
    device: str = "cpu",
    threads: int = 1,
    workers: int | None = None,
    scheduler: str | None = None,
    seed: int = 0,
    **settings: Any,
) -> list[Model]:
    """Train the networks of some domains, unless they are trained already.

    Parameters
    ----------
    features : str or sequence of str
        Domains: ``rhythm``, ``pitch``, ``pitch2d`` or ``texture``; or ``contrastive``.
    pretrain_data : str or Path
        Pre-training dataset, or a labelled one, whose labels are not used.
    models : str or Path
        Folder of models.
    device : str
        ``cpu``, ``cuda`` or ``auto``.
    threads : int
        Threads of the training.
    workers, scheduler
        As for :func:`run`.
    seed : int
        Seed of everything random.
    **settings
        Fields of :class:`emobench.dbn.config.PretrainingConfig`, and ``updates`` of a contrastive encoder.

    Returns
    -------
    list of Model
        One per domain.

    Raises
    ------
    InputError
        If there is no such domain, dataset or setting, or a value is invalid.
    """
    from ..benchmark.pretrain import pretrain_domains

    check_device(device)
    names = [features] if isinstance(features, str) else list(features)
    found = locate(str(pretrain_data), audio=True)
    with executor(workers or processors(), scheduler) as pool:
        return pretrain_domains(
            names,
            found.folder,
            config=network_config(seed=seed, **settings),
            models=Path(models),
            device=device,
            pool=pool,
            threads=threads,
        )
