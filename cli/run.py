"""Score features on a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..runtime.files import data_folder
from ..runtime.progress import status
from .command import with_flags
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
    whole_numbers,
)
from .output import State, print_json, print_tables, say


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
    status("starting")
    from ..api import running as api
    from ..benchmark.report import tables

    results = api.run(
        dataset or data_folder() / "synthetic",
        features or [],
        regressors=regressor or ["mlr"],
        out=out,
        models=models,
        model=model or [],
        audio=audio,
        pretrain_data=pretrain_data,
        msd=msd,
        layer=layer,
        phase=phase,
        control=control,
        carry_over=carry_over,
        allow_leakage=allow_leakage,
        window=window,
        layers=whole_numbers(layers, "layers"),
        epochs=whole_numbers(epochs, "epochs"),
        device=device,
        workers=workers,
        scheduler=scheduler,
        seed=seed,
        force=force,
    )
    outcome = results.outcome
    if as_json:
        print_json({"results": [result.model_dump(by_alias=True) for result in results], "notes": outcome.notes})
        return
    if not State.quiet:
        print_tables(tables.tables(outcome.results))
        if summary := results.summary():
            say(summary)
    for note in outcome.notes:
        say(with_flags(f"no entry: {note}"))
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
