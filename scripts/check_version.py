"""Check that a tag such as v1.0.0 names the version of the package, and that the changelog dates that version."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def problems(tag: str, root: Path = ROOT) -> list[str]:
    """Compare a tag with the places that state the version.

    Parameters
    ----------
    tag : str
        The tag, such as ``v1.0.0``.
    root : Path
        The checkout.

    Returns
    -------
    list of str
        What differs, one line each.
    """
    version = tag.removeprefix("v")
    places = {
        "__init__.py": r'^__version__ = "(.+)"$',
        "CITATION.cff": r"^version: (.+)$",
        "CHANGELOG.md": r"^## (\S+) \([0-9]{4}-[0-9]{2}-[0-9]{2}\)$",
    }
    found = {
        name: match[1] if (match := re.search(pattern, (root / name).read_text(), flags=re.MULTILINE)) else None
        for name, pattern in places.items()
    }
    return [f"{name}: states {stated}; expected {version}" for name, stated in found.items() if stated != version]


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: check_version.py TAG")
    sys.exit("\n".join(problems(sys.argv[1])) or None)
