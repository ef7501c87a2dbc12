"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InputError

if TYPE_CHECKING:
    from concurrent.futures import Executor
    from contextlib import AbstractContextManager

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Workers = Annotated[int | None, typer.Option("--workers", min=1, help="Processes. Default: the processors there are.")]
Scheduler = Annotated[
    str | None,
    typer.Option(
        "--scheduler",
        help="Address of a Dask cluster that does the work, such as tcp://host:8786 or tls://host:8786.",
    ),
]
Seed = Annotated[int, typer.Option("--seed", min=0, max=2**32 - 1, help="Root of all randomness.")]
Device = Annotated[str, typer.Option("--device", help="cpu, cuda or auto.")]
Models = Annotated[Path, typer.Option("--models", help="Folder of pre-trained models.")]
Dataset = Annotated[
    str | None,
    typer.Option(metavar="DIR", help="Labelled dataset, or hf://user/name@v1.0.0. Default: data/synthetic."),
]
PretrainData = Annotated[
    str | None,
    typer.Option(
        metavar="DIR",
        help="Pre-training dataset, or a labelled one without its labels; a folder or hf://user/name@v1.0.0. "
        "Default: data/NAME-pretrain if it exists.",
    ),
]
Audio = Annotated[Path | None, typer.Option(help="Folder of the clips' audio, instead of the known one.")]
TrackFiles = Annotated[
    Path | None, typer.Option(help="ent: track files of the Million Song Dataset, TRABC….h5 or A/B/C/TRABC….h5.")
]
Out = Annotated[Path, typer.Option(help="Folder of results.")]
AllowLeakage = Annotated[bool, typer.Option("--allow-leakage", help="Let rows pass that leak, and mark them for good.")]
Features = Annotated[
    list[str] | None,
    typer.Option("--features", "-f", help="Names joined by +, such as mfcc or rhythm+pitch. May be repeated."),
]


def network_config(seed: int, epochs: str | None, layers: str | None, **changes: Any) -> Any:
    """Settings of networks, from what was typed; InputError where they cannot be."""
    from ..benchmark.features.networks import NetworkConfig
    from ..dbn.finetuning import FinetuningConfig
    from ..dbn.pretraining import PretrainingConfig

    changes["seed"] = seed
    if epochs is not None:
        changes["epochs"] = _whole_numbers(epochs, "--epochs")
    if layers is not None:
        changes["layers"] = _whole_numbers(layers, "--layers")
    try:
        return NetworkConfig(pretraining=PretrainingConfig(**changes), finetuning=FinetuningConfig(seed=seed))
    except ValueError as error:
        raise InputError(str(error)) from error


def _whole_numbers(text: str, option: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"{option} {text}: expected whole numbers joined by commas.") from None


def executor_of(workers: int | None, scheduler: str | None) -> AbstractContextManager[Executor]:
    """Start the executor that the options ask for."""
    from ..runtime.executor import executor, processors

    return executor(workers or processors(), scheduler)
