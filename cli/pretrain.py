"""Train models for learned features."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from ..runtime.files import data_folder
from .options import AsJson, Device, Features, Models, Scheduler, Seed, Workers, executor_of, network_config
from .output import print_json, remark, say


def pretrain(
    features: Features = None,
    pretrain_data: Annotated[
        str | None, typer.Option(metavar="DIR", help="Pre-training or labelled dataset, or hf://user/name@v1.0.0.")
    ] = None,
    models: Models = Path("models"),
    window: Annotated[int, typer.Option(min=1, max=16, help="Beats an input window.")] = 4,
    layers: Annotated[str | None, typer.Option(help="Hidden units, any number of layers, such as 75,50,25.")] = None,
    epochs: Annotated[str | None, typer.Option(help="Epochs to keep, such as 5,10,20,50.")] = None,
    rate: Annotated[float, typer.Option(help="Learning rate of the summed gradient.")] = 1e-5,
    schedule: Annotated[str, typer.Option(help="Of the rate: constant, linear or cosine.")] = "constant",
    batch: Annotated[int, typer.Option(help="Examples a step.")] = 100,
    steps: Annotated[int, typer.Option(help="Steps of Gibbs sampling (CD-k).")] = 1,
    persistent: Annotated[bool, typer.Option("--persistent", help="Chains that persist from batch to batch.")] = False,
    momentum: Annotated[float, typer.Option(help="Share of the last change in the next.")] = 0.0,
    weight_decay: Annotated[float, typer.Option(help="Of the squared weights, an example.")] = 0.0,
    sparsity_target: Annotated[float | None, typer.Option(help="Mean activation to draw hidden units to.")] = None,
    sparsity_cost: Annotated[float, typer.Option(help="How strongly, an example.")] = 0.1,
    threads: Annotated[int, typer.Option(min=1, help="Threads of training; they gain with large batches only.")] = 1,
    device: Device = "cpu",
    workers: Workers = None,
    scheduler: Scheduler = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Train a deep belief network for a domain: rhythm, pitch or pitch2d.

    For example:

      emobench pretrain --features rhythm

      emobench pretrain --features rhythm --features pitch --pretrain-data data/synthetic-pretrain

      torchrun --nproc-per-node 2 -m emobench pretrain --features pitch2d --batch 1000
    """
    from ..dbn.distributed import started_by_torchrun

    # Of several processes the first speaks for all.
    first = not started_by_torchrun() or os.environ.get("RANK") == "0"
    from ..benchmark.hub_datasets import locate
    from ..benchmark.pretrain import pretrain_domains

    data = locate(pretrain_data or str(data_folder() / "synthetic-pretrain"), audio=True, say=remark)
    names = [name for spec in features or [] for name in spec.split("+")]
    with executor_of(workers, scheduler) as pool:
        made = pretrain_domains(
            names,
            data.folder,
            config=network_config(
                seed,
                epochs,
                layers,
                window=window,
                rate=rate,
                schedule=schedule,
                batch=batch,
                steps=steps,
                persistent=persistent,
                momentum=momentum,
                weight_decay=weight_decay,
                sparsity_target=sparsity_target,
                sparsity_cost=sparsity_cost,
            ),
            models=models,
            device=device,
            pool=pool,
            threads=threads,
        )
    if not first:
        return
    if as_json:
        print_json(
            [{"domain": model.domain.name, "model": str(model.folder), "sha256": model.sha256} for model in made]
        )
        return
    for model in made:
        say(f"{model.domain.name}: {model.folder} ({model.config['examples']} examples)")
