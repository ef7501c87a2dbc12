"""Build datasets: a group of commands, one per source, made from the registry of sources."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable
from dataclasses import MISSING, asdict
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Any

import typer

from ..builders.options import Option, options_of
from ..protocols import Source, sources
from ..runtime.files import data_folder
from ..runtime.progress import status
from .command import SETTINGS, Group, command
from .options import OUTPUT
from .output import tell_built, tell_found

DEFAULT = "synthetic"
_DATASET, _COMPUTATION = "Dataset", "Computation"

# Options of every command, which may also stand between the group and the source.
_COMMON = {"-q", "--quiet", "-v", "--verbose", "--debug"}


def _option(kind: Any, default: Any, flag: str, text: str, panel: str, **more: Any) -> tuple[Any, Any]:
    return Annotated[kind, typer.Option(flag, help=text, rich_help_panel=panel, **more)], default


# Options of every source: type and default by the name of the parameter.
_SHARED = {
    "out": _option(Path | None, None, "--out", "Folder of the dataset. Default: data/<name>.", _DATASET),
    "version": _option(str, "1.0.0", "--version", "Version of the dataset.", _DATASET, metavar="X.Y.Z"),
    "seed": _option(int, 0, "--seed", "Seed of everything random.", _DATASET, min=0, max=2**32 - 1),
    "workers": _option(
        int | None, None, "--workers", "Number of processes. Default: one per processor.", _COMPUTATION, min=1
    ),
    "scheduler": _option(
        str | None,
        None,
        "--scheduler",
        "Address of a Dask cluster that does the work, such as tcp://host:8786 or tls://host:8786.",
        _COMPUTATION,
    ),
    "dry_run": _option(bool, False, "--dry-run", "Report what was found without building anything.", OUTPUT),
    "as_json": _option(bool, False, "--json", "Print JSON for machines.", OUTPUT),
}


class SourceCommands(Group):
    """A group with a command for each registered source; without a source it runs the default one."""

    def list_commands(self, ctx: Any) -> list[str]:
        """List the sources, the default first."""
        return sorted(sources.names(), key=lambda name: name != DEFAULT)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Make the command of a source."""
        return _command(sources[cmd_name])

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Insert the default source where none is named."""
        common = list(takewhile(_COMMON.__contains__, args))
        rest = args[len(common) :]
        if not rest or (rest[0].startswith("-") and rest[0] not in SETTINGS["help_option_names"]):
            rest = [DEFAULT, *rest]
        return super().parse_args(ctx, [rest[0], *common, *rest[1:]])


app = typer.Typer(
    cls=SourceCommands,
    context_settings=SETTINGS,
    subcommand_metavar="[SOURCE]",
    help=(
        "Build a dataset from a source.\n\nWithout a source, the synthetic labelled and pre-training datasets are "
        "built; options of the source synthetic may follow directly. 'emobench build-data SOURCE --help' lists the "
        "options of a source.\n\nFor example:\n\n  emobench build-data\n\n"
        "  emobench build-data table --clips clips.csv --labels labels.csv --audio music/ --scale 1,9\n\n"
        "  emobench build-data deam --help"
    ),
)


def _command(source: Source) -> Any:
    """Make the command of a source from its options."""
    group = typer.Typer(add_completion=False)
    command(group, source.name, address_space=3)(_function(source))
    made: Any = typer.main.get_command(group)
    made.short_help = source.title
    return made


def _function(source: Source) -> Callable[..., None]:
    own = options_of(source)
    parameters = {option.name: (_annotation(option), option.default) for option in own} | _SHARED

    def build(**values: Any) -> None:
        shared = {name: values.pop(name) for name in _SHARED}
        _run(source.name, {name: value for name, value in values.items() if value is not None}, **shared)

    signature = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            annotation=annotation,
            default=inspect.Parameter.empty if default is MISSING else default,
        )
        for name, (annotation, default) in parameters.items()
    ]
    build.__signature__ = inspect.Signature(signature)  # pyright: ignore[reportFunctionMemberAccess]
    build.__doc__ = _help(source)
    return build


def _annotation(option: Option) -> Any:
    # What typer cannot read, the options of the source read from text.
    simple = {bool, int, float, str, Path, Path | None, str | None, int | None, float | None}
    kind = option.type if option.type in simple else str
    flag = "--" + option.name.replace("_", "-")
    return Annotated[
        kind,
        typer.Option(flag, help=option.help, metavar=option.metavar, rich_help_panel=option.panel or "Source"),
    ]


def _help(source: Source) -> str:
    about = sys.modules[source.options.__module__].__doc__ or source.title
    # Typer keeps the line breaks of some paragraphs.
    about = "\n\n".join(" ".join(part.split()) for part in re.sub("`+", "", about).split("\n\n"))
    examples = "".join(f"\n\n  emobench {example}" for example in source.examples)
    return about + (f"\n\nFor example:{examples}" if examples else "")


def _run(
    source: str,
    options: dict[str, Any],
    *,
    out: Path | None,
    version: str,
    seed: int,
    workers: int | None,
    scheduler: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    status("starting")
    from ..api import datasets as api
    from ..builders.build import default_folder, survey

    place = out or default_folder(source, data_folder(), **options)
    if dry_run:
        found = survey(source, out=place, seed=seed, **options)
        tell_found([asdict(each) | {"folder": str(each.folder)} for each in found], as_json)
        return
    built = api.build_dataset(
        source, out=place, version=version, seed=seed, workers=workers, scheduler=scheduler, **options
    )
    tell_built(built, as_json)
