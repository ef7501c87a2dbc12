"""Published numbers beside ours."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..runtime.progress import status
from .options import (
    DATA,
    AllowLeakage,
    AsJson,
    Audio,
    Device,
    Features,
    Models,
    Out,
    PretrainData,
    Scheduler,
    Seed,
    TrackFiles,
    Workers,
)
from .output import print_tables, print_text


def reproduce(
    table: Annotated[str, typer.Argument(help="table1, table2 or table3 of the paper; or emomusic, pmemo or deam.")],
    dataset: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Labelled dataset, or hf://user/name@v1.0.0. Default: data/synthetic, or "
            "data/emomusic-static-official and so on.",
            rich_help_panel=DATA,
        ),
    ] = None,
    features: Features = None,
    pretrain_data: PretrainData = None,
    audio: Audio = None,
    msd: TrackFiles = None,
    out: Out = Path("results"),
    models: Models = Path("models"),
    form: Annotated[str, typer.Option("--format", help="rich, markdown, latex, csv or json.")] = "rich",
    allow_leakage: AllowLeakage = False,
    device: Device = "cpu",
    workers: Workers = None,
    scheduler: Scheduler = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:
    """Show published numbers beside your own.

    table1 counts the pre-training examples of each domain, table2 scores the standard features, and table3 the
    networks, as 'emobench run' does. Finished entries are not computed again.

    emomusic, pmemo and deam show what was published on these corpora beside the standard features with ridge
    regression, or those of --features.

    For example:

      emobench reproduce table1 --pretrain-data data/msd

      emobench reproduce table2

      emobench reproduce table3 --dataset data/moodswings --pretrain-data data/msd --format markdown

      emobench reproduce emomusic
    """
    status("starting")
    from ..api import running as api
    from ..benchmark.report.leaderboard import check_format, rendered

    form = "json" if as_json else form
    check_format(form)
    made = api.reproduce(
        table,
        dataset,
        features=features or (),
        out=out,
        models=models,
        audio=audio,
        pretrain_data=pretrain_data,
        msd=msd,
        allow_leakage=allow_leakage,
        device=device,
        workers=workers,
        scheduler=scheduler,
        seed=seed,
    )
    if form == "rich":
        print_tables([made])
    else:
        print_text(rendered([made], form))
