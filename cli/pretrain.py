"""Train models for learned features."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from ..runtime.files import data_folder
from ..runtime.progress import status
from .command import settle
from .options import AsJson, Device, Features, Models, Scheduler, Seed, Workers, whole_numbers
from .output import print_json, say


def pretrain(
    features: Features = None,
    pretrain_data: Annotated[
        str | None, typer.Option(metavar="DIR", help="Pre-training or labelled dataset, or hf://user/name@v1.0.0.")
    ] = None,
    models: Models = Path("models"),
    window: Annotated[int, typer.Option(min=1, max=16, help="Beats per input window.")] = 4,
    layers: Annotated[str | None, typer.Option(help="Hidden units of each layer, such as 75,50,25.")] = None,
    epochs: Annotated[str | None, typer.Option(help="Epochs whose networks are kept, such as 5,10,20,50.")] = None,
    rate: Annotated[float, typer.Option(help="Learning rate of the summed gradient.")] = 1e-5,
    schedule: Annotated[str, typer.Option(help="Learning rate schedule: constant, linear or cosine.")] = "constant",
    batch: Annotated[int, typer.Option(help="Examples per batch.")] = 100,
    steps: Annotated[int, typer.Option(help="Steps of Gibbs sampling per update (CD-k).")] = 1,
    persistent: Annotated[bool, typer.Option("--persistent", help="Keep chains across batches (PCD).")] = False,
    momentum: Annotated[float, typer.Option(help="Momentum coefficient.")] = 0.0,
    weight_decay: Annotated[float, typer.Option(help="L2 penalty on the weights, per example.")] = 0.0,
    sparsity_target: Annotated[float | None, typer.Option(help="Target mean activation of the hidden units.")] = None,
    sparsity_cost: Annotated[float, typer.Option(help="Weight of the sparsity penalty, per example.")] = 0.1,
    updates: Annotated[int | None, typer.Option(min=1, help="Updates of a contrastive encoder. Default: 800.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Training threads; more help with large batches only.")] = 1,
    device: Device = "cpu",
    workers: Workers = None,
    scheduler: Scheduler = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Train a deep belief network for a domain (rhythm, pitch, pitch2d or texture), or a contrastive encoder.

    For example:

      emobench pretrain --features rhythm

      emobench pretrain --features rhythm --features pitch --pretrain-data data/synthetic-pretrain

      emobench pretrain --features contrastive --window 8 --pretrain-data data/synthetic-pretrain

      torchrun --nproc-per-node 2 -m emobench pretrain --features pitch2d --batch 1000
    """
    from ..dbn.distributed import started_by_torchrun

    # Only the first of several processes prints.
    first = not started_by_torchrun() or os.environ.get("RANK") == "0"
    settle(quiet=not first)
    status("starting")
    from ..api.training import pretrain as train

    made = train(
        [name for spec in features or [] for name in spec.split("+")],
        pretrain_data or data_folder() / "synthetic-pretrain",
        models=models,
        device=device,
        threads=threads,
        workers=workers,
        scheduler=scheduler,
        seed=seed,
        window=window,
        layers=whole_numbers(layers, "layers"),
        epochs=whole_numbers(epochs, "epochs"),
        rate=rate,
        schedule=schedule,
        batch=batch,
        steps=steps,
        persistent=persistent,
        momentum=momentum,
        weight_decay=weight_decay,
        sparsity_target=sparsity_target,
        sparsity_cost=sparsity_cost,
        updates=updates,
    )
    if not first:
        return
    if as_json:
        print_json([{"domain": model.name, "model": str(model.folder), "sha256": model.sha256} for model in made])
        return
    for model in made:
        say(f"{model.name}: {model.folder} ({model.config['examples']} examples)")
