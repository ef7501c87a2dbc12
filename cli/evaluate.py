"""Score predictions that were made elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..runtime.files import data_folder
from .options import SCORING, AsJson, Dataset, Out, Task
from .output import State, print_json, print_tables, say


def evaluate(
    predictions: Annotated[
        Path,
        typer.Argument(
            metavar="PREDICTIONS",
            help="Parquet or CSV file with the columns clip_id, time, arousal, valence, and optionally repeat, "
            "arousal_var, valence_var, covariance.",
        ),
    ],
    name: Annotated[str, typer.Option(help="Name of the entry.")],
    dataset: Dataset = None,
    task: Task = None,
    out: Out = Path("results"),
    seed: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="Seed of the bootstrap intervals.", rich_help_panel=SCORING)
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Score a model that was trained elsewhere on the folds of a dataset.

    The file has one prediction for every test second of every repeat, as listed in the dataset's tables folds and
    targets. Without the column repeat, the same predictions are used in every repeat. The result is marked as external,
    since nobody can check that the model has not seen the test clips.

    For example:

      emobench evaluate predictions.parquet --dataset data/moodswings --name my-model

      emobench evaluate per_clip.csv --dataset data/moodswings --name my-model --task clip
    """
    from ..api.running import evaluate as evaluated
    from ..benchmark.report.tables import tables

    result = evaluated(dataset or data_folder() / "synthetic", predictions, name=name, task=task, out=out, seed=seed)
    if as_json:
        print_json(result.model_dump(by_alias=True))
        return
    if not State.quiet:
        print_tables(tables([result]))
    if result.scores["kl_divergence"].mean is None:
        say("KL divergence needs the columns arousal_var, valence_var and covariance, in predictions and targets.")
    say(f"The result is {result.path}; the predictions are beside it.")
