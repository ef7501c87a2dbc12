"""Published numbers beside ours."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..runtime.files import data_folder
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
    network_config,
)
from .output import print_tables, remark


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
    """Compute every row of a table of the paper, and show each beside the paper's own number.

    table1 counts the pre-training examples of each domain; table2 scores the standard features, table3 the networks,
    as 'emobench run' does: rows that are finished are not computed again.

    For example:

      emobench reproduce table1 --pretrain-data data/msd

      emobench reproduce table2

      emobench reproduce table3 --dataset data/moodswings --pretrain-data data/msd --format markdown
    """
    from ..benchmark import reproduction
    from ..benchmark.hub_datasets import find_places
    from ..benchmark.report.leaderboard import check_format, rendered
    from ..runtime.executor import executor, processors

    form = "json" if as_json else form
    check_format(form)
    reproduction.check_table(table)
    places = find_places(
        dataset or str(data_folder() / "synthetic"),
        pretrain_data,
        data=data_folder(),
        audio_too=audio is None,
        say=remark,
        out=out,
        models=models,
        audio=audio,
        msd=msd,
    )
    with executor(workers or processors(), scheduler) as pool:
        made = reproduction.reproduce(
            table, places, network_config(seed, None, None), device=device, pool=pool, allow_leakage=allow_leakage
        )
    if form == "rich":
        print_tables([made])
    else:
        typer.echo(rendered([made], form), nl=False)
