"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import InputError

OUTPUT = "Output"
DATA = "Data"
SCORING = "Features and scoring"
NETWORKS = "Networks"
COMPUTING = "Computing"

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.", rich_help_panel=OUTPUT)]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers", min=1, help="Number of processes. Default: one per processor.", rich_help_panel=COMPUTING
    ),
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        "--scheduler",
        help="Address of a Dask cluster that does the work, such as tcp://host:8786 or tls://host:8786.",
        rich_help_panel=COMPUTING,
    ),
]
Seed = Annotated[
    int, typer.Option("--seed", min=0, max=2**32 - 1, help="Seed of everything random.", rich_help_panel=COMPUTING)
]
Task = Annotated[
    str | None,
    typer.Option(
        "--task",
        metavar="second|clip",
        help="Predict every second, or every clip once. Default: second, or clip if ratings are one per clip.",
        rich_help_panel=SCORING,
    ),
]
Device = Annotated[
    str, typer.Option("--device", help="Device of the networks: cpu, cuda or auto.", rich_help_panel=COMPUTING)
]
Models = Annotated[Path, typer.Option("--models", help="Folder of pre-trained models.", rich_help_panel=NETWORKS)]
Dataset = Annotated[
    str | None,
    typer.Option(
        metavar="DIR",
        help="Labelled dataset, or hf://user/name@v1.0.0. Default: data/synthetic.",
        rich_help_panel=DATA,
    ),
]
PretrainData = Annotated[
    str | None,
    typer.Option(
        metavar="DIR",
        help="Dataset to pre-train networks on: a folder or hf://user/name@v1.0.0. Labels are not used. "
        "Default: data/NAME-pretrain if it exists, else the clips of the dataset, test clips included.",
        rich_help_panel=DATA,
    ),
]
Audio = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Folder of the clips' audio, if it has been moved.", rich_help_panel=DATA),
]
TrackFiles = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Million Song track files for the feature ent: TRABC….h5 or A/B/C/TRABC….h5.",
        rich_help_panel=DATA,
    ),
]
Beats = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Beats of every clip for the networks: a table (clip_id, time), a folder with one text file per clip, or "
        "the name of a tracker of another package. Default: those the dataset was built with, else they are tracked.",
        rich_help_panel=DATA,
    ),
]
Out = Annotated[Path, typer.Option(metavar="DIR", help="Folder of results.", rich_help_panel=OUTPUT)]
ResultsFolder = Annotated[Path, typer.Option("--results", metavar="DIR", help="Folder of results.")]
AllowLeakage = Annotated[
    bool, typer.Option("--allow-leakage", help="Compute and mark entries that leak.", rich_help_panel=SCORING)
]
Features = Annotated[
    list[str] | None,
    typer.Option(
        "--features",
        "-f",
        metavar="SPEC",
        help="Names joined by +, such as mfcc or rhythm+pitch; see 'emobench list'. May be repeated.",
        rich_help_panel=SCORING,
    ),
]


def whole_numbers(text: str | None, parameter: str) -> tuple[int, ...] | None:
    """Read whole numbers joined by commas; None stays None."""
    try:
        return None if text is None else tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"`{parameter}` {text}: expected whole numbers joined by commas.") from None
