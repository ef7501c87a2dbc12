"""The commands that lay results beside others: two of them, or ours beside the paper's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import EmobenchError
from .options import (
    AllowLeakage,
    AsJson,
    Audio,
    Dataset,
    Device,
    Models,
    Out,
    PretrainData,
    Quiet,
    Scheduler,
    Seed,
    TrackFiles,
    Verbose,
    Workers,
    network_config,
)
from .output import data_folder, print_json, print_tables, remark, say, settle


def compare(
    first: Annotated[
        str, typer.Argument(metavar="A", help="A result's file, or what its name or signature begins with.")
    ],
    second: Annotated[str, typer.Argument(metavar="B", help="Another.")],
    results: Annotated[Path, typer.Option(help="Folder of results.")] = Path("results"),
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Lay two results side by side: scores, paired difference, and every difference in how they were made.

    Exit status 1, after the differences, where the scores cannot be compared: other data, folds or clips.

    For example:

      emobench compare mfcc chroma

      emobench compare 3f2a 90bc --json

      emobench compare results/d@1.0.0/mfcc-3f2a6c0e91d2.json elsewhere/mfcc-90bc1d7e55aa.json
    """
    settle(quiet=quiet, verbose=verbose)
    from ..benchmark.report.compare import compare as lay_side_by_side
    from ..benchmark.report.compare import comparison_table, find_result

    found = lay_side_by_side(find_result(first, results), find_result(second, results))
    if as_json:
        print_json(found.record())
    else:
        print_tables([comparison_table(found)])
        for what in ("configuration", "data", "versions"):
            own = [each for each in found.differences if each.what == what]
            say(f"{what}: {'the same' if not own else ''}".rstrip())
            for each in own:
                say(f"  {each.key}: {each.first} | {each.second}")
    if found.apart is not None:
        raise EmobenchError(f"these scores cannot be compared: {found.apart}.")


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
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Compute every row of a table of the paper, and show each beside the paper's own number.

    table1 counts the pre-training examples of each domain; table2 scores the standard features, table3 the networks,
    as 'emobench run' does: rows that are finished are not computed again.

    For example:

      emobench reproduce table1 --pretrain-data data/msd

      emobench reproduce table2

      emobench reproduce table3 --dataset data/moodswings --pretrain-data data/msd --format markdown
    """
    settle(quiet=quiet, verbose=verbose, address_space=4)
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
