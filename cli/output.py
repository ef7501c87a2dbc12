"""Output of the commands: lines, JSON and tables."""

from __future__ import annotations

import re
import sys
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import typer

from ..runtime.files import WRITE_ERRORS
from ..runtime.progress import clear_status
from ..runtime.text import counted, printable_json, visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ..builders.build import Built
    from ..cards.tables import Table


# Number of excluded clips of one reason that are listed one by one.
_NAMED = 10


class State:
    """State of the current command."""

    debug = False
    quiet = False
    interrupted = False
    flags: ClassVar[dict[str, str]] = {}

    @classmethod
    def reset(cls) -> None:
        """Forget the options of an earlier call in the same process."""
        cls.debug = cls.quiet = cls.interrupted = False
        cls.flags = {}


@contextmanager
def _naming_output() -> Iterator[None]:
    """Name standard output in errors of printing, such as a full disk; remove the status line first."""
    clear_status()
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno in WRITE_ERRORS:
            error.filename = "standard output"
        raise


def tell(text: str, *, err: bool = False) -> None:
    """Print a line, also when quiet; control characters in names from data are shown as escapes."""
    with _naming_output():
        typer.echo(visible(text), err=err)


def with_flags(text: str) -> str:
    """Replace the names of parameters, written in backquotes, by the options of the current command."""
    return re.sub(r"`([a-z_]+(?:=False)?)`", lambda found: State.flags.get(found[1], found[0]), text)


def say(text: str) -> None:
    """Print a line, unless quiet."""
    if not State.quiet:
        tell(text)


def remark(text: str) -> None:
    """Print a line to standard error, unless quiet."""
    if not State.quiet:
        tell(text, err=True)


def print_text(text: str) -> None:
    """Print text that ends with a line break, such as a rendered table."""
    with _naming_output():
        typer.echo(text, nl=False)


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
            console.print(to_rich(replace(table, notes=[with_flags(note) for note in table.notes])))


def _counts(counts: Mapping[str, Any]) -> list[str]:
    """Say counts, whose names begin with a plural or a participle: ``1 clip with audio``, ``2 kept``."""
    return [
        " ".join([counted(value, first.removesuffix("s"), first), *rest])
        for name, value in counts.items()
        if isinstance(value, int)
        for first, *rest in [name.split()]
    ]


def tell_found(found: list[dict[str, Any]], as_json: bool) -> None:
    """Print what a source contains and what would be built."""
    if as_json:
        print_json(found)
        return
    for each in found:
        counts = ", ".join(_counts(each["counts"]))
        say(f"would build {each['folder']} ({each['kind']}; {counts})")
        for name, value in each["source"].items():
            lines = (
                [f"{part or '(none)'}: {number}" for part, number in value.items()]
                if isinstance(value, dict)
                else [str(value)]
            )
            for line in lines:
                say(f"  {name}: {line}")
        _tell_remarks(each["remarks"])


def _tell_remarks(remarks: Sequence[str]) -> None:
    for text in remarks:
        say(f"  note: {text}")


def _tell_excluded(excluded: Mapping[str, str]) -> None:
    """Print a line for each excluded clip, or for a reason that many share."""
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
    """Print which datasets were built, and what was left out of them."""
    if as_json:
        print_json(
            [{"folder": str(each.folder), "built": each.fresh, "manifest": each.manifest.plain()} for each in built]
        )
        return
    for each in built:
        manifest = each.manifest
        state = "built" if each.fresh else "up to date:"
        counts = ", ".join(_counts(manifest.counts))
        say(f"{state} {each.folder} ({manifest.name} {manifest.version}; {counts})")
        _tell_remarks(manifest.remarks)
        _tell_excluded(manifest.excluded)
        sample, kept = manifest.config.dataset.get("sample"), manifest.counts.get("kept", 0)
        if sample and kept < sample:
            say(f"  {kept} clips pass the quality filter; a sample of {sample} was requested")
        for reason, count in manifest.counts.get("rejected", {}).items():
            say(f"  rejected: {count} {reason}")
        if each.tally:
            say(f"  {each.tally.summary()}")
