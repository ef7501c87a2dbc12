"""The program: its commands, each in a module of its own."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from .. import __version__
from .build_data import app as build_data
from .cache import app as cache
from .check import check
from .command import SETTINGS, Commands, command, settle
from .compare import compare
from .evaluate import evaluate
from .leaderboard import leaderboard
from .listing import list_things
from .pretrain import pretrain
from .publish import app as publish
from .reproduce import reproduce
from .run import run
from .verify import verify

app = typer.Typer(
    name="emobench",
    cls=Commands,
    help="A benchmark for music emotion recognition: datasets, learned features, leaderboards.",
    epilog="Start with 'emobench build-data', then 'emobench run --features rhythm+pitch'.",
    context_settings=SETTINGS,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"emobench {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool,
        typer.Option("--version", "-V", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print only warnings, errors and requested data.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Print package versions and the cache folder.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    settle(quiet=quiet, verbose=verbose, debug=debug)


command(app, "check")(check)
command(app, "pretrain", address_space=4)(pretrain)
command(app, "run", address_space=4)(run)
command(app, "evaluate")(evaluate)
command(app, "leaderboard")(leaderboard)
command(app, "compare")(compare)
command(app, "verify")(verify)
command(app, "reproduce", address_space=4)(reproduce)
command(app, "list", address_space=1)(list_things)
app.add_typer(build_data, name="build-data")
app.add_typer(publish, name="publish")
app.add_typer(cache, name="cache")


def main() -> None:
    """Run the command line."""
    # All products run on one thread; OpenBLAS would reserve memory for a thread of each processor all the same.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    app()
