"""Score features on a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..runtime.files import data_folder
from ..runtime.progress import status
from ..runtime.text import counted
from .options import (
    COMPUTING,
    NETWORKS,
    SCORING,
    AllowLeakage,
    AsJson,
    Audio,
    Beats,
    Dataset,
    Device,
    Features,
    Models,
    Out,
    PretrainData,
    Scheduler,
    Seed,
    Task,
    TrackFiles,
    Workers,
    whole_numbers,
)
from .output import State, print_json, print_tables, say, with_flags


def run(
    features: Features = None,
    dataset: Dataset = None,
    pretrain_data: PretrainData = None,
    audio: Audio = None,
    msd: TrackFiles = None,
    beats: Beats = None,
    regressor: Annotated[
        list[str] | None,
        typer.Option(
            help="Regressor, see 'emobench list regressors'. May be repeated. Default: mlr, as in the paper.",
            rich_help_panel=SCORING,
        ),
    ] = None,
    residual_covariance: Annotated[
        bool | None,
        typer.Option(
            "--residual-covariance/--no-residual-covariance",
            help="Add the covariance of the residuals on the verification part to the predicted covariances. Default: "
            "with all regressors except mlr and those that predict it.",
            rich_help_panel=SCORING,
        ),
    ] = None,
    task: Task = None,
    context: Annotated[
        str | None,
        typer.Option(
            metavar="N|clip",
            help="Pool features, as mean and standard deviation, over the past N seconds or the whole clip. Default: "
            "the mean of the past second; with --task clip the whole clip.",
            rich_help_panel=SCORING,
        ),
    ] = None,
    allow_leakage: AllowLeakage = False,
    force: Annotated[
        bool, typer.Option("--force", help="Compute finished entries again.", rich_help_panel=SCORING)
    ] = False,
    layer: Annotated[
        list[int] | None,
        typer.Option(metavar="N", help="Only this layer (0, 1, 2 …). May be repeated.", rich_help_panel=NETWORKS),
    ] = None,
    phase: Annotated[
        list[str] | None,
        typer.Option(
            help="Score only this phase, pre-trained or fine-tuned; may be repeated. By default both are scored, but "
            "contrastive encoders are not fine-tuned.",
            rich_help_panel=NETWORKS,
        ),
    ] = None,
    control: Annotated[
        bool,
        typer.Option("--control", help="Also score networks with random weights.", rich_help_panel=NETWORKS),
    ] = False,
    carry_over: Annotated[
        bool,
        typer.Option(
            "--carry-over",
            help="Ablation that leaks: keep fine-tuned weights from fold to fold.",
            rich_help_panel=NETWORKS,
        ),
    ] = False,
    trust_remote_code: Annotated[
        bool,
        typer.Option(
            "--trust-remote-code",
            help="Execute the code that a model of the Hugging Face Hub brings; its revision must be pinned.",
            rich_help_panel=COMPUTING,
        ),
    ] = False,
    window: Annotated[int, typer.Option(min=1, max=16, help="Beats per input window.", rich_help_panel=NETWORKS)] = 4,
    updates: Annotated[
        int | None,
        typer.Option(min=1, help="Updates of a contrastive encoder. Default: 800.", rich_help_panel=NETWORKS),
    ] = None,
    own_statistics: Annotated[
        bool,
        typer.Option(
            "--own-statistics",
            help="Normalise inputs of networks with the statistics of all clips of the dataset, without their labels, "
            "rather than those of the pre-training set.",
            rich_help_panel=NETWORKS,
        ),
    ] = False,
    layers: Annotated[
        str | None, typer.Option(help="Hidden units of each layer, such as 75,50,25.", rich_help_panel=NETWORKS)
    ] = None,
    epochs: Annotated[
        str | None,
        typer.Option(help="Pre-training epochs to choose from, such as 5,10,20,50.", rich_help_panel=NETWORKS),
    ] = None,
    models: Models = Path("models"),
    model: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DIR",
            help="A model trained elsewhere, used for its domain. May be repeated, once per domain.",
            rich_help_panel=NETWORKS,
        ),
    ] = None,
    device: Device = "cpu",
    workers: Workers = None,
    scheduler: Scheduler = None,
    seed: Seed = 0,
    seeds: Annotated[
        str | None,
        typer.Option(
            metavar="N,N",
            help="Train networks from each of these seeds, such as 0,1,2, rather than from --seed. The results of "
            "several seeds are shown as one entry: their mean, lowest and highest score.",
            rich_help_panel=NETWORKS,
        ),
    ] = None,
    out: Out = Path("results"),
    as_json: AsJson = False,
) -> None:
    """Score features: extract them, train missing networks, fit regressors on each fold, and print the scores.

    Finished entries are not computed again.

    For example:

      emobench run --features rhythm+pitch

      emobench run --features mfcc --features chroma --dataset data/moodswings

      emobench run --features file:my_features.csv --dataset data/moodswings --regressor ridge

      emobench run --features file:mine.csv --dataset hf://ann/corpus@v1.0.0

      emobench run --features contrastive --seeds 0,1,2

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
        residual_covariance=residual_covariance,
        task=task,
        context=int(context) if context and context.isdecimal() else context,
        out=out,
        models=models,
        model=model or [],
        audio=audio,
        pretrain_data=pretrain_data,
        msd=msd,
        beats=beats,
        layer=layer,
        phase=phase,
        control=control,
        carry_over=carry_over,
        allow_leakage=allow_leakage,
        trust_remote_code=trust_remote_code,
        window=window,
        updates=updates,
        own_statistics=own_statistics,
        layers=whole_numbers(layers, "layers"),
        epochs=whole_numbers(epochs, "epochs"),
        device=device,
        workers=workers,
        scheduler=scheduler,
        seed=seed,
        seeds=whole_numbers(seeds, "seeds"),
        force=force,
    )
    outcome = results.outcome
    if as_json:
        print_json(
            {
                "results": [result.model_dump(by_alias=True) for result in outcome.results],
                "seed_groups": [group.record() for group in results.seed_groups()],
                "notes": outcome.notes,
            }
        )
        return
    if not State.quiet:
        print_tables([*tables.tables(results), *results.controls()])
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
    say(f"Computed {counted(outcome.computed, 'entry', 'entries')}, reused {finished}. The results are:")
    for path in outcome.paths:
        say(f"  {path}")
