"""Jinja templates of this package, and escaping of text from data."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from ..runtime.text import visible

if TYPE_CHECKING:
    import jinja2


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    import jinja2

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
    """Render a template; an undefined variable is an error."""
    return _environment().get_template(template).render(**values)


_MARKDOWN = {"&": "&amp;", "<": "&lt;", ">": "&gt;"} | {sign: f"\\{sign}" for sign in "\\|`*_[]#~$"}


def markdown(text: str) -> str:
    r"""Escape text so that Markdown shows it literally, on one line, also in table cells.

    Control characters, which a terminal would interpret, are shown as escapes (``\x1b``).
    """
    return "".join(_MARKDOWN.get(letter, letter) for letter in one_line(text))


def one_line(text: str) -> str:
    """Remove line breaks, repeated spaces and changes of text direction; show control characters as escapes."""
    return visible(" ".join(text.split()))


def yaml_text(text: str) -> str:
    """Quote any text as a double-quoted scalar of YAML 1.1 and 1.2, which is also a string literal of Python.

    JSON is not suitable: its surrogate pairs are two invalid characters in YAML, and it does not escape all line breaks
    and unprintable characters of YAML.
    """
    return '"' + "".join(_escaped(letter) for letter in text) + '"'


def _escaped(letter: str) -> str:
    if letter in '"\\':
        return f"\\{letter}"
    if "\ud800" <= letter <= "\udfff":
        # A byte of a file name that is not UTF-8, which no text file can contain.
        return "\ufffd"
    return letter if letter.isprintable() else f"\\U{ord(letter):08x}"
