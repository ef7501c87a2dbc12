"""What the commands share at the terminal: what is said and how, and failures as one line and an exit status."""

from __future__ import annotations

import os
import resource
import signal
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

from ..errors import EmobenchError
from ..runtime.files import WRITE_ERRORS, cache_folder
from ..runtime.text import printable_json, visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ..builders.sources import Built
    from ..cards.tables import Table


# So many excluded clips of one reason are told one by one.
_NAMED = 10


# What typer raises at what was typed wrongly; where it lies differs from release to release.
_UsageError: Any = typer.BadParameter.__mro__[1]


class State:
    """Settings of this call."""

    debug = False
    quiet = False
    interrupted = False


def _failure(error: BaseException) -> tuple[str, int]:
    """The line and the exit status of what went wrong."""
    if isinstance(error, EmobenchError):
        return str(error), error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return "interrupted; the same command goes on where this one stopped.", 130
    if isinstance(error, MemoryError):
        return "out of memory; try fewer --workers.", 1
    assert isinstance(error, OSError)
    where = f"{error.filename}: " if error.filename else ""
    if not where and error.errno in WRITE_ERRORS:
        # Libraries write to these two without saying where.
        where = f"{cache_folder()} or {tempfile.gettempdir()}: "
    return f"{where}{error.strerror or error}. What was finished is kept. Fix this and rerun the command.", 1


@contextmanager
def _naming_output() -> Iterator[None]:
    """Have a failure to print, as to a file on a full disk, name standard output."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno in WRITE_ERRORS:
            error.filename = "standard output"
        raise


def _check_address_space(needed: int) -> None:
    """Refuse to start where the libraries would abort: their allocations fail without an error to report."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < needed * 2**30:
        raise EmobenchError(
            f"the address space is limited to {limit / 2**30:.2f} GiB; this command needs at least {needed} GiB. Raise "
            "the limit, as with 'ulimit -v unlimited', and rerun the command."
        )


def _interrupted(number: int, frame: Any) -> None:
    State.interrupted = True
    signal.default_int_handler(number, frame)


class Commands(TyperGroup):
    """The commands, every failure of which is one line and an exit status."""

    def main(self, *args: Any, standalone_mode: bool = True, **more: Any) -> Any:
        """Run the command line; what was typed wrongly is one line too."""
        if not standalone_mode:
            return super().main(*args, standalone_mode=False, **more)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, _interrupted)
        try:
            status = super().main(*args, standalone_mode=False, **more)
        except _UsageError as error:
            line = error.format_message().strip()
            if not line or "\n" in line:
                # No command: the help is what is said.
                error.show()
            else:
                command = error.ctx.command_path if error.ctx else "emobench"
                tell(f"emobench: {line.rstrip('.')}; see '{command} --help'.", err=True)
            sys.exit(error.exit_code)
        except typer.Abort:
            sys.exit(1)
        sys.exit(status if isinstance(status, int) else 0)

    def invoke(self, ctx: typer.Context) -> Any:
        """Run the command that was named."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # Whoever read the output, such as head, has seen enough; nothing more can be said there.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(1) from None
        except (Exception, KeyboardInterrupt) as error:
            known = isinstance(error, (EmobenchError, KeyboardInterrupt, MemoryError, OSError))
            # A package that is interrupted while it is imported may raise anything.
            if State.debug or not (known or State.interrupted):
                raise
            line, status = _failure(KeyboardInterrupt() if State.interrupted else error)
            tell(f"emobench: {line}", err=True)
            raise typer.Exit(status) from None


def data_folder() -> Path:
    """Folder of datasets."""
    return Path(os.environ.get("EMOBENCH_DATA", "data"))


def settle(*, quiet: bool, verbose: bool, address_space: int = 2) -> None:
    """Take the settings of this call; tell versions and cache where asked to.

    Parameters
    ----------
    quiet, verbose : bool
        The options of this name.
    address_space : int
        GiB of address space below which the libraries that the command uses have been seen to abort.

    Raises
    ------
    EmobenchError
        If this process may have less.
    """
    _check_address_space(address_space)
    State.quiet = quiet
    if quiet:
        os.environ["EMOBENCH_QUIET"] = "1"
    if verbose:
        from ..runtime.environment import package_versions

        versions = ", ".join(f"{name} {version}" for name, version in package_versions().items())
        tell(f"versions: {versions}", err=True)
        tell(f"cache: {cache_folder()}", err=True)


def tell(text: str, *, err: bool = False) -> None:
    """Print a line, also when quiet; control characters in names from data are shown as escapes."""
    with _naming_output():
        typer.echo(visible(text), err=err)


def say(text: str) -> None:
    """Print a line, unless quiet."""
    if not State.quiet:
        tell(text)


def remark(text: str) -> None:
    """Print a line to standard error, unless quiet."""
    if not State.quiet:
        tell(text, err=True)


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    import json

    with _naming_output():
        typer.echo(printable_json(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)))


def print_tables(tables: Sequence[Table]) -> None:
    """Print tables."""
    from rich.console import Console

    from ..cards.tables import to_rich

    # A pipe or file gets whole rows; a terminal is as wide as it is.
    console = Console(width=None if sys.stdout.isatty() else 132)
    with _naming_output():
        for table in tables:
            console.print(to_rich(table))


def tell_found(found: list[dict[str, Any]], as_json: bool) -> None:
    """Tell what a source holds and would become."""
    if as_json:
        print_json(found)
        return
    for each in found:
        counts = ", ".join(f"{value} {name}" for name, value in each["counts"].items())
        say(f"would build {each['folder']} ({each['kind']}; {counts})")
        for name, value in each["source"].items():
            lines = (
                [f"{part or '(none)'}: {number}" for part, number in value.items()]
                if isinstance(value, dict)
                else [str(value)]
            )
            for line in lines:
                say(f"  {name}: {line}")
        _tell_remarks(each)


def _tell_remarks(dataset: Mapping[str, Any]) -> None:
    for text in dataset.get("remarks", ()):
        say(f"  note: {text}")


def _tell_excluded(excluded: Mapping[str, str]) -> None:
    """A line for each clip, or for a reason that many share."""
    by_reason: dict[str, list[str]] = {}
    for clip, reason in excluded.items():
        by_reason.setdefault(reason, []).append(clip)
    for reason, clips in by_reason.items():
        if len(clips) > _NAMED:
            say(f"  excluded: {len(clips)} clips: {reason} ({', '.join(clips[:_NAMED])} …; the card names all)")
        else:
            for clip in clips:
                say(f"  excluded: clip {clip}: {reason}")


def tell_built(built: list[Built], as_json: bool) -> None:
    """Tell which datasets were built, and what was left out of them."""
    if as_json:
        print_json([{"folder": str(each.folder), "built": each.fresh, "manifest": each.manifest} for each in built])
        return
    for each in built:
        manifest = each.manifest
        state = "built" if each.fresh else "is there already, whole and the same:"
        counts = ", ".join(f"{value} {name}" for name, value in manifest["counts"].items() if isinstance(value, int))
        say(f"{state} {each.folder} ({manifest['name']} {manifest['version']}; {counts})")
        _tell_remarks(manifest)
        _tell_excluded(manifest.get("excluded", {}))
        sample, kept = manifest["config"].get("dataset", {}).get("sample"), manifest["counts"].get("kept", 0)
        if sample and kept < sample:
            say(f"  {kept} clips pass the quality filter, of {sample} that were to be drawn")
        for reason, count in manifest["counts"].get("rejected", {}).items():
            say(f"  rejected: {count} {reason}")
        if each.tally:
            say(f"  {each.tally.summary()}")
