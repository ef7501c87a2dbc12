"""Show or delete what was computed before; fetch weights of pretrained models."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from ..errors import InputError
from ..runtime import cache_content
from ..runtime.cache_content import size_shown
from ..runtime.files import cache_folder
from ..runtime.text import counted
from .command import SETTINGS, Group, command
from .options import AsJson
from .output import print_json, print_tables, say, tell

app = typer.Typer(
    cls=Group,
    help="Show, fill or delete the cache: everything that can be computed or downloaded again.",
    context_settings=SETTINGS,
    no_args_is_help=True,
)


def info(as_json: AsJson = False) -> None:
    """Show where the cache is, how large it is, and what it holds.

    The environment variable EMOBENCH_CACHE names another folder.

    For example:

      emobench cache info

      emobench cache info --json
    """
    folder, kinds = cache_folder(), cache_content.content()
    size, files = sum(kind.size for kind in kinds), sum(kind.files for kind in kinds)
    if as_json:
        kept = [asdict(kind) for kind in kinds]
        print_json({"folder": str(folder), "size": size, "files": files, "kinds": kept})
        return
    if not kinds:
        tell(f"{folder}: the cache is empty.")
        return
    from ..cards.tables import Table

    title = f"{folder}: {size_shown(size)} in {counted(files, 'file')}"
    rows = [[kind.name, kind.title, str(kind.files), size_shown(kind.size)] for kind in kinds]
    columns = ("Folder", "Content", "Files", "Size")
    print_tables([Table(title=title, slug="cache", columns=columns, rows=rows, text_columns=2)])


def clear(yes: Annotated[bool, typer.Option("--yes", "-y", help="Delete without asking.")] = False) -> None:
    """Delete the cache. Results, models and datasets are kept; features are computed again when they are needed.

    Only files that emobench wrote are deleted.

    For example:

      emobench cache clear

      emobench cache clear --yes
    """
    folder, size = cache_folder(), sum(kind.size for kind in cache_content.content())
    if size and not yes:
        if not sys.stdin.isatty():
            raise InputError("cache clear: cannot ask for confirmation without a terminal; use `yes`.")
        typer.confirm(f"Delete {size_shown(size)} in {folder}?", abort=True, err=True)
    deleted = cache_content.clear()
    if not deleted:
        say(f"{folder}: the cache is empty.")
        return
    files = sum(kind.files for kind in deleted)
    freed = size_shown(sum(kind.size for kind in deleted))
    say(f"{folder}: deleted {counted(files, 'file')}, {freed}.")


def fetch(
    what: Annotated[str, typer.Argument(metavar="WHAT", help="musicnn.")],
    source: Annotated[
        Path | None,
        typer.Option(
            "--from", metavar="PATH", help="Use this wheel, or a folder with its content, instead of downloading."
        ),
    ] = None,
) -> None:
    """Fetch the weights of a pretrained model, so that later runs need no network.

    musicnn is downloaded with pip from PyPI, or from its URL where there is no pip. On a machine without a network,
    --from names its wheel, which 'pip download musicnn==0.1.0 --no-deps' fetches elsewhere.

    For example:

      emobench cache fetch musicnn

      emobench cache fetch musicnn --from musicnn-0.1.0-py3-none-any.whl
    """
    from ..pretrained.musicnn_weights import fetch

    if what != "musicnn":
        raise InputError(f"`what` {what}: expected musicnn.")
    for file in fetch(source):
        say(f"{file}: {size_shown(file.stat().st_size)}.")


command(app, "info", address_space=1)(info)
command(app, "fetch", address_space=1)(fetch)
command(app, "clear", address_space=1)(clear)
