"""Text from data, made safe to show: names of clips, features and files may hold anything."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

# Signs that turn the direction of all text that follows them, which a name must not do to the rest of a line.
_TURNS = {*range(0x202A, 0x202F), *range(0x2066, 0x206A)}

# What JSON leaves as it is though a terminal may obey it: DEL and the C1 control characters.
_CONTROLS_IN_JSON = re.compile("[\x7f-\x9f]")


def visible(text: str) -> str:
    r"""Show control characters as escapes such as ``\x1b``, so that no terminal obeys them.

    Line breaks and tabs are escaped too, so that one line stays one line. Signs that turn the direction of the text
    are removed, and bytes of a file name that are not UTF-8 become the replacement character.
    """
    return "".join(map(_visible, text))


def _visible(letter: str) -> str:
    if letter.isprintable():
        return letter
    code = ord(letter)
    if code in _TURNS:
        return ""
    if 0xD800 <= code <= 0xDFFF:
        return "\ufffd"
    return f"\\x{code:02x}" if unicodedata.category(letter) == "Cc" else letter


def printable_json(text: str) -> str:
    """Escape in JSON text what :func:`json.dumps` leaves of control characters; the value stays the same."""
    return _CONTROLS_IN_JSON.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def few(names: Iterable[str], most: int = 5) -> str:
    """List the first names, followed by the number of the others."""
    listed = list(names)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more


def escaped(path: str) -> str:
    """Show the bytes of a path that are not UTF-8 as escapes; other paths are returned unchanged."""
    return path.encode(errors="surrogateescape").decode(errors="backslashreplace")
