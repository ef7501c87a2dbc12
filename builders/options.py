"""Options of sources: fields of dataclasses, which become keyword arguments and command-line options."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

from ..errors import InputError
from ..protocols import Source
from ..runtime.text import escaped


@dataclass(frozen=True)
class Option:
    """An option of a source.

    Attributes
    ----------
    name : str
        Name of the keyword argument.
    type : type
        Type of its value.
    default
        Default value; ``dataclasses.MISSING`` where a value is required.
    help : str
        One sentence of help.
    metavar : str or None
        Placeholder for the value in the help.
    panel : str or None
        Title of the panel in the help; None for the source's own options.
    group : str or None
        Field of the source's options with the shared dataclass that contains this option, if any.
    """

    name: str
    type: Any
    default: Any
    help: str
    metavar: str | None = None
    panel: str | None = None
    group: str | None = None

    @property
    def required(self) -> bool:
        """Whether there is no default."""
        return self.default is MISSING


# Options of all sources of labelled datasets, applied after the corpus is read.
GROUP = Option(
    "group",
    Path | None,
    None,
    "Table (clip_id, group) of clips that are kept together in the folds, in addition to albums.",
    panel="Dataset",
)

BEATS = Option(
    "beats",
    str | None,
    None,
    "Beats of every clip: a table (clip_id, time), a folder with one text file per clip, or the name of a tracker of "
    "another package. Default: they are tracked.",
    metavar="FILE",
    panel="Dataset",
)


def options_of(source: Source) -> list[Option]:
    """List the options of a source, including those of shared dataclasses and of all labelled sources."""
    return [*_options(source.options), *([GROUP, BEATS] if source.labelled else [])]


def _options(kind: type, group: str | None = None, panel: str | None = None) -> Iterator[Option]:
    hints = get_type_hints(kind)
    for field in fields(kind):
        hint, metadata = hints[field.name], field.metadata
        if is_dataclass(hint) and isinstance(hint, type):
            yield from _options(hint, field.name, metadata.get("panel"))
        elif "help" in metadata:
            yield Option(field.name, hint, field.default, metadata["help"], metadata["metavar"], panel, group)


def make_options(source: Source, given: Mapping[str, Any]) -> Any:
    """Create the options of a source from keyword arguments.

    Parameters
    ----------
    source : Source
        The source.
    given : mapping
        Values by name. Paths may be strings.

    Raises
    ------
    InputError
        If a name is unknown, a required option is missing or a value is invalid.
    """
    known = {option.name: option for option in options_of(source)}
    if unknown := [name for name in given if name not in known]:
        raise InputError(f"the source {source.name} has no option {unknown[0]!r}; expected {', '.join(known)}.")
    own: dict[str, Any] = {}
    groups: dict[str, dict[str, Any]] = {}
    for name, option in known.items():
        if option.required and given.get(name) is None:
            raise InputError(f"`{name}`: required by the source {source.name}. {option.help}")
        if name in given:
            value = _value(option, given[name])
            place = own if option.group is None else groups.setdefault(option.group, {})
            if option not in (GROUP, BEATS):
                place[name] = value
    hints = get_type_hints(source.options)
    return source.options(**own, **{name: hints[name](**values) for name, values in groups.items()})


def _value(option: Option, value: Any) -> Any:
    if Path not in (option.type, *get_args(option.type)) or value is None:
        return value
    place = str(Path(value).resolve())
    # Decoders and manifests only accept text.
    if escaped(place) != place:
        raise InputError(f"{escaped(place)}: the path is not valid UTF-8; rename the file or folder.")
    return Path(value)
