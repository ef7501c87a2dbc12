"""Escaping of text from data: names of clips, features and files may contain any characters."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

# Characters that change the direction of the text that follows them, and so of the rest of the line.
_DIRECTIONS = {*range(0x202A, 0x202F), *range(0x2066, 0x206A)}

# Control characters that JSON does not escape but a terminal may interpret: DEL and C1.
_CONTROLS_IN_JSON = re.compile("[\x7f-\x9f]")


def visible(text: str) -> str:
    r"""Replace control characters by escapes such as ``\x1b``, so that no terminal interprets them.

    Line breaks and tabs are escaped too, so that the text stays on one line. Characters that change the direction of
    text are removed, and bytes of a file name that are not UTF-8 become the replacement character.
    """
    return "".join(map(_visible, text))


def _visible(letter: str) -> str:
    if letter.isprintable():
        return letter
    code = ord(letter)
    if code in _DIRECTIONS:
        return ""
    if 0xD800 <= code <= 0xDFFF:
        return "\ufffd"
    return f"\\x{code:02x}" if unicodedata.category(letter) == "Cc" else letter


def printable_json(text: str) -> str:
    """Escape the control characters that :func:`json.dumps` leaves in JSON text; the value is unchanged."""
    return _CONTROLS_IN_JSON.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def few(names: Iterable[str], most: int = 5) -> str:
    """List the first names, followed by the number of the others."""
    listed = list(names)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun, in the plural unless it is 1: ``1 clip``, ``2 clips``."""
    return f"{number} {noun}" if number == 1 else f"{number} {plural or f'{noun}s'}"


def escaped(path: str) -> str:
    """Show the bytes of a path that are not UTF-8 as escapes; other paths are returned unchanged."""
    return path.encode(errors="surrogateescape").decode(errors="backslashreplace")
