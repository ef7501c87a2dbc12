"""Templates of this folder, filled with plain data."""

from __future__ import annotations

from functools import lru_cache

import jinja2

from ..runtime.text import visible


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("emobench.cards"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["yaml"] = yaml_text
    environment.filters["markdown"] = markdown
    return environment


def fill(template: str, **values: object) -> str:
    """Fill the template of this name; an unknown value is an error."""
    return _environment().get_template(template).render(**values)


_MARKDOWN = {"&": "&amp;", "<": "&lt;", ">": "&gt;"} | {sign: f"\\{sign}" for sign in "\\|`*_[]#~$"}


def markdown(text: str) -> str:
    r"""Escape text so that Markdown shows it as it is, on one line, also in a cell of a table.

    Control characters, such as ESC, are shown as escapes (``\x1b``): a terminal would obey them.
    """
    return "".join(_MARKDOWN.get(letter, letter) for letter in one_line(text))


def one_line(text: str) -> str:
    """Text without line breaks, repeated spaces and signs that turn its direction; control characters as escapes."""
    return visible(" ".join(text.split()))


def yaml_text(text: str) -> str:
    """Text as a double-quoted scalar of YAML 1.1 or 1.2, whatever is in it; also a string literal of Python.

    JSON would not do: its surrogate pairs are two broken characters in YAML, and what YAML calls a line
    break or unprintable may stand in it as it is.
    """
    return '"' + "".join(_escaped(letter) for letter in text) + '"'


def _escaped(letter: str) -> str:
    if letter in '"\\':
        return f"\\{letter}"
    if "\ud800" <= letter <= "\udfff":
        # A byte of a file name that is no UTF-8; no text file can hold it.
        return "\ufffd"
    return letter if letter.isprintable() else f"\\U{ord(letter):08x}"
