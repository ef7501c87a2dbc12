"""Pre-training by itself: ``emobench pretrain``."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from pathlib import Path

from ..builders.release import load_manifest
from ..dbn.config import CONTRASTIVE
from ..dbn.distributed import process_group
from ..dbn.domains import NAMES
from ..dbn.model import Model
from ..errors import InputError
from ..runtime.devices import torch_device
from .features.models import ensure_model
from .features.network_config import NetworkConfig
from .features.networks import own_networks


def pretrain_domains(
    names: Sequence[str],
    data: Path,
    *,
    config: NetworkConfig,
    models: Path,
    device: str,
    pool: Executor,
    threads: int = 1,
) -> list[Model]:
    """Train the model of each domain, where it is not there yet.

    Parameters
    ----------
    names : sequence of str
        Domains.
    data : Path
        A pre-training dataset, or a labelled one with audio.
    config : NetworkConfig
        Settings.
    models : Path
        Folder of models.
    device : str
        ``cpu``, ``cuda`` or ``auto``.
    pool : Executor
        Of :func:`emobench.runtime.executor.executor`, for the audio.
    threads : int
        Threads of training, each on a part of every batch.

    Returns
    -------
    list of Model

    Raises
    ------
    InputError
        If a name is no domain, or the data cannot be used.
    """
    known = (*NAMES, CONTRASTIVE)
    if not names:
        raise InputError(f"`features`: names no domain; expected {', '.join(known)}.")
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InputError(f"`features` {unknown[0]}: no such domain; expected {', '.join(known)}.")
    bank, source = None, data
    if load_manifest(data).kind == "labelled":
        bank = own_networks(data, config=config, models=models, device=device, pool=pool)
        source = None
    with process_group(torch_device(device)) as group:
        found = [
            ensure_model(
                *config.of(name),
                data=source,
                own_clips=lambda: bank.analyses if bank else [],
                identity=bank.inputs(name) if bank else None,
                analysis=config.analysis,
                models=models,
                device=device,
                threads=threads,
                group=group,
            )
            for name in names
        ]
    # Reading the weights checks them.
    assert all(model.networks for model in found)
    return found
