"""Templates of this folder, filled with plain data."""

from __future__ import annotations

from functools import lru_cache

import jinja2


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
    return environment


def fill(template: str, **values: object) -> str:
    """Fill the template of this name; an unknown value is an error."""
    return _environment().get_template(template).render(**values)


def yaml_text(text: str) -> str:
    """Text as a double-quoted scalar of YAML 1.1 or 1.2, whatever is in it.

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
