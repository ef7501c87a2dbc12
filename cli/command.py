"""Common parts of all commands: options, errors as one line, and an exit status."""

from __future__ import annotations

import copy
import functools
import inspect
import logging
import os
import resource
import signal
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_args

import typer
from typer.core import TyperCommand, TyperGroup
from typer.models import OptionInfo

from ..errors import EmobenchError, EmobenchWarning
from ..runtime.files import WRITE_ERRORS, cache_folder
from ..runtime.progress import clear_status
from .options import OUTPUT
from .output import State, remark, tell, with_flags

# The module in which typer defines its usage errors differs between releases.
_UsageError: Any = typer.BadParameter.__mro__[1]

SETTINGS = {"help_option_names": ["-h", "--help"]}


def _flag(*names: str, text: str) -> Any:
    return Annotated[bool, typer.Option(*names, metavar="", help=text, rich_help_panel=OUTPUT)]


_COMMON = {
    "quiet": _flag("--quiet", "-q", text="Print only warnings, errors and requested data."),
    "verbose": _flag("--verbose", "-v", text="Print package versions and the cache folder."),
    "debug": _flag("--debug", text="Show the traceback of an error."),
}


def command(app: typer.Typer, name: str, *, address_space: int = 2) -> Callable[[Callable[..., None]], Callable]:
    """Register a function as a command with the options that every command has.

    Parameters
    ----------
    app : Typer
        The group.
    name : str
        Name of the command.
    address_space : int
        GiB of address space below which the libraries that the command imports abort.
    """

    def register(function: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(function)
        def run(click_context: typer.Context, quiet: bool, verbose: bool, debug: bool, **arguments: Any) -> None:
            State.flags = _flags(click_context)
            settle(quiet=quiet, verbose=verbose, debug=debug)
            _check_address_space(address_space)
            function(**arguments)

        run.__doc__ = _reflowed(inspect.getdoc(function) or "")
        own = inspect.signature(function, eval_str=True)
        for parameter in own.parameters.values():
            _name_type(parameter.annotation)
        common = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=annotation)
            for name, annotation in _COMMON.items()
        ]
        options = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own.parameters.values()]
        first = inspect.Parameter("click_context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
        run.__signature__ = inspect.Signature([first, *options, *common])  # pyright: ignore[reportAttributeAccessIssue]
        run.__annotations__ = {each.name: each.annotation for each in [first, *options, *common]}
        app.command(name, cls=Command, context_settings=SETTINGS)(run)
        return function

    return register


def _reflowed(text: str) -> str:
    """Join the lines of each paragraph, since help is shown in terminals of any width; indented lines are kept."""
    paragraphs = text.split("\n\n")
    return "\n\n".join(each if each.startswith(" ") else " ".join(each.split()) for each in paragraphs)


def _name_type(annotation: Any) -> None:
    """Give an option the placeholder that help shows for its value; a flag has none."""
    kind, *found = get_args(annotation) or (annotation,)
    info = next((each for each in found if isinstance(each, OptionInfo)), None)
    if info is not None and info.metavar is None:
        kinds = {kind, *get_args(kind)}
        names = {bool: "", int: "N", float: "X", Path: "PATH"}
        info.metavar = next((name for each, name in names.items() if each in kinds), "TEXT")


def _flags(context: typer.Context) -> dict[str, str]:
    """Return the options and arguments of a command by the names of their parameters."""
    # Every command may advise to build a dataset in another way.
    flags = {name: f"--{name}" for name in ("group", "split", "scale", "labels", "annotations", "download")}
    for parameter in context.command.params:
        if parameter.param_type_name == "argument":
            flags[str(parameter.name)] = (getattr(parameter, "metavar", None) or str(parameter.name)).upper()
        else:
            flags[str(parameter.name)] = max(parameter.opts, key=len)
            if parameter.secondary_opts:
                flags[f"{parameter.name}=False"] = parameter.secondary_opts[0]
    return flags


class _Remarks(logging.Handler):
    """Print what the library logs, such as which version of a dataset it uses."""

    def emit(self, record: logging.LogRecord) -> None:
        remark(with_flags(record.getMessage()))


def settle(*, quiet: bool = False, verbose: bool = False, debug: bool = False) -> None:
    """Apply the options that every command has, wherever on the command line they are."""
    State.quiet |= quiet
    State.debug |= debug
    if State.quiet:
        os.environ["EMOBENCH_QUIET"] = "1"
    log = logging.getLogger("emobench")
    log.setLevel(logging.INFO)
    if not any(isinstance(handler, _Remarks) for handler in log.handlers):
        log.addHandler(_Remarks())
    if verbose:
        from ..runtime.environment import package_versions

        versions = ", ".join(f"{name} {version}" for name, version in package_versions().items())
        tell(f"versions: {versions}", err=True)
        tell(f"cache: {cache_folder()}", err=True)


def _check_address_space(needed: int) -> None:
    """Refuse to start where the libraries would abort: their allocations fail without an error to report."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY and limit < needed * 2**30:
        raise EmobenchError(
            f"the address space is limited to {limit / 2**30:.2f} GiB; this command needs at least {needed} GiB. Raise "
            "the limit, as with 'ulimit -v unlimited', and rerun the command."
        )


def failure(error: BaseException) -> tuple[str, int]:
    """Describe an error in one line, and give the exit status."""
    if isinstance(error, EmobenchError):
        return with_flags(str(error)), error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return "interrupted. Finished work is kept; rerun the command to resume.", 130
    if isinstance(error, MemoryError):
        return "out of memory. Use fewer workers (--workers) and rerun the command.", 1
    assert isinstance(error, OSError)
    where = f"{error.filename}: " if error.filename else ""
    if not where and error.errno in WRITE_ERRORS:
        # Libraries write to these two places without naming them.
        where = f"{cache_folder()} or {tempfile.gettempdir()}: "
    return f"{where}{error.strerror or error}. Finished work is kept. Fix this and rerun the command.", 1


def _show_warning(message: Warning | str, category: type[Warning], *where: Any) -> None:
    if issubclass(category, EmobenchWarning):
        tell(f"emobench: warning: {with_flags(str(message))}", err=True)
    else:
        sys.stderr.write(warnings.formatwarning(message, category, where[0], where[1]))


def _interrupted(number: int, frame: Any) -> None:
    State.interrupted = True
    signal.default_int_handler(number, frame)


def _flags_settled(parameters: list[Any]) -> list[Any]:
    """Give flags, such as typer's own ``--help``, a default and no placeholder for a value."""
    for option in parameters:
        if getattr(option, "is_flag", False):
            option.metavar = option.metavar or ""
            # Typer imports pydantic to read flags that are None by default. Only pairs of flags have a third state.
            option.default = option.default if option.secondary_opts else option.default or False
    return parameters


class Command(TyperCommand):
    """A command."""

    _helping = False

    def get_params(self, ctx: typer.Context) -> list[Any]:
        """Return the parameters of the command."""
        found = _flags_settled(super().get_params(ctx))
        return [_stacked(each) for each in found] if self._helping else found

    def format_help(self, ctx: typer.Context, formatter: Any) -> None:
        """Print the help."""
        self._helping = True
        try:
            super().format_help(ctx, formatter)
        finally:
            self._helping = False


def _stacked(option: Any) -> Any:
    """Return an option as help shows it: names of a pair of flags below each other, since two columns may not fit."""
    if not option.secondary_opts:
        return option
    shown = copy.copy(option)
    shown.opts, shown.secondary_opts = ["\n".join([*option.opts, *option.secondary_opts])], []
    if option.default is not None:
        shown.default = (option.opts if option.default else option.secondary_opts)[0].lstrip("-")
    return shown


class Group(TyperGroup):
    """A group of commands."""

    def get_params(self, ctx: typer.Context) -> list[Any]:
        """Return the options of the group."""
        return _flags_settled(super().get_params(ctx))


class Commands(Group):
    """A group of commands in which every failure is one line and an exit status."""

    def main(self, *args: Any, standalone_mode: bool = True, **more: Any) -> Any:
        """Run the command line; wrong usage is one line too."""
        if not standalone_mode:
            return super().main(*args, standalone_mode=False, **more)
        State.reset()
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, _interrupted)
        try:
            status = super().main(*args, standalone_mode=False, **more)
        except _UsageError as error:
            line = error.format_message().strip()
            options = [each for param in error.ctx.command.params for each in param.opts] if error.ctx else []
            if line.startswith("Got unexpected extra argument") and "--features" in options:
                line = f"{line.rstrip('.')}; options are repeated for several values, as in -f mfcc -f chroma"
            if not line or "\n" in line:
                error.show()  # without a command, the help
            else:
                path = error.ctx.command_path if error.ctx else "emobench"
                see = f"{' See' if line.endswith('?') else '; see'} '{path} --help'."
                tell(f"emobench: {line.rstrip('.')}{see}", err=True)
            sys.exit(error.exit_code)
        except typer.Abort:
            sys.exit(1)
        sys.exit(status if isinstance(status, int) else 0)

    def invoke(self, ctx: typer.Context) -> Any:
        """Run the command that was named."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("always", EmobenchWarning)
                warnings.showwarning = _show_warning
                return super().invoke(ctx)
        except BrokenPipeError:
            # The reader of the output, such as head, has closed it; nothing more can be printed.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(1) from None
        except (Exception, KeyboardInterrupt) as error:
            known = isinstance(error, (EmobenchError, KeyboardInterrupt, MemoryError, OSError))
            # A package that is interrupted while it is imported may raise anything.
            if State.debug or not (known or State.interrupted):
                raise
            line, status = failure(KeyboardInterrupt() if State.interrupted else error)
            tell(f"emobench: {line}", err=True)
            raise typer.Exit(status) from None
        finally:
            clear_status()
