"""Published numbers beside ours."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..runtime.files import data_folder
from ..runtime.progress import status
from .options import (
    AllowLeakage,
    AsJson,
    Audio,
    Dataset,
    Device,
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
    table: Annotated[str, typer.Argument(help="table1, table2 or table3.")],
    dataset: Dataset = None,
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
    """Compute a table of the paper and show each number beside the published one.

    table1 counts the pre-training examples of each domain, table2 scores the standard features, and table3 the
    networks, as 'emobench run' does. Finished entries are not computed again.

    For example:

      emobench reproduce table1 --pretrain-data data/msd

      emobench reproduce table2

      emobench reproduce table3 --dataset data/moodswings --pretrain-data data/msd --format markdown
    """
    status("starting")
    from ..api import running as api
    from ..benchmark.report.leaderboard import check_format, rendered

    form = "json" if as_json else form
    check_format(form)
    made = api.reproduce(
        table,
        dataset or data_folder() / "synthetic",
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
