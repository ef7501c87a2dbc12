"""Score features on a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import InputError
from ..runtime.files import data_folder
from .options import (
    AllowLeakage,
    AsJson,
    Audio,
    Dataset,
    Device,
    Features,
    Models,
    Out,
    PretrainData,
    Scheduler,
    Seed,
    TrackFiles,
    Workers,
    executor_of,
    network_config,
)
from .output import State, print_json, print_tables, remark, say


def run(
    features: Features = None,
    dataset: Dataset = None,
    pretrain_data: PretrainData = None,
    audio: Audio = None,
    msd: TrackFiles = None,
    out: Out = Path("results"),
    models: Models = Path("models"),
    model: Annotated[
        list[Path] | None,
        typer.Option(help="A model that was trained elsewhere, for its domain. May be repeated, one a domain."),
    ] = None,
    regressor: Annotated[list[str] | None, typer.Option(help="mlr (the paper's) or ridge. May be repeated.")] = None,
    layer: Annotated[list[int] | None, typer.Option(help="Only this layer of networks (0, 1, 2 …).")] = None,
    phase: Annotated[list[str] | None, typer.Option(help="Only this phase: pre-trained or fine-tuned.")] = None,
    control: Annotated[bool, typer.Option("--control", help="Also rows with random weights.")] = False,
    carry_over: Annotated[
        bool,
        typer.Option("--carry-over", help="Ablation that leaks: keep fine-tuned weights from fold to fold."),
    ] = False,
    allow_leakage: AllowLeakage = False,
    window: Annotated[int, typer.Option(min=1, max=16, help="Beats an input window of networks.")] = 4,
    epochs: Annotated[str | None, typer.Option(help="Pre-training epochs to choose from, such as 5,10,20,50.")] = None,
    layers: Annotated[str | None, typer.Option(help="Hidden units, such as 75,50,25.")] = None,
    device: Device = "cpu",
    workers: Workers = None,
    scheduler: Scheduler = None,
    seed: Seed = 0,
    force: Annotated[bool, typer.Option("--force", help="Compute finished rows again.")] = False,
    as_json: AsJson = False,
) -> None:
    """Score features: extract, pre-train what is missing, fine-tune per fold, regress, print the table.

    For example:

      emobench run --features rhythm+pitch

      emobench run --features mfcc --features chroma --dataset data/moodswings

      emobench run --features file:my_features.csv --dataset data/moodswings --regressor ridge

      emobench run --features file:mine.csv --dataset hf://ann/corpus@v1.0.0

      emobench run --features rhythm --model elsewhere/rhythm-0bfac3ec9725

      emobench run --features mfcc --features ent --msd MillionSongSubset/
    """
    if not features:
        raise InputError("run: names no features; give some, such as --features mfcc or --features rhythm+pitch.")
    from dataclasses import replace

    from ..benchmark import runs
    from ..benchmark.features.spec import choose_phases, parse
    from ..benchmark.hub_datasets import find_places
    from ..benchmark.report import tables

    networks = network_config(seed, epochs, layers, window=window)
    config = runs.RunConfig(
        regressors=tuple(regressor or ["mlr"]),
        layers=tuple(layer) if layer else None,
        phases=choose_phases(phase, control=control),
    )
    places = find_places(
        dataset or str(data_folder() / "synthetic"),
        pretrain_data,
        data=data_folder(),
        audio_too=audio is None and any(each.needs_audio for spec in features for each in parse(spec).values()),
        say=remark,
        out=out,
        models=models,
        audio=audio,
        trained=tuple(model or ()),
        msd=msd,
    )
    if carry_over:
        networks = replace(networks, carry_over=True)
    with executor_of(workers, scheduler) as pool:
        outcome = runs.run(
            features,
            places,
            config,
            networks,
            device=device,
            pool=pool,
            force=force,
            allow_leakage=allow_leakage,
        )
    if as_json:
        results = [result.model_dump(by_alias=True) for result in outcome.results]
        print_json({"results": results, "notes": outcome.notes})
        return
    if not State.quiet:
        print_tables(tables.tables(outcome.results))
    for note in outcome.notes:
        say(f"no row: {note}")
    for line in outcome.remarks:
        say(line)
    for data in outcome.pretrained_on:
        say(f"pre-trained on {data}")
    for path in outcome.models:
        say(f"  {path}")
    finished = len(outcome.results) - outcome.computed
    say(f"{outcome.computed} entries computed, {finished} were finished. The predictions are beside each result:")
    for path in outcome.paths:
        say(f"  {path}")
