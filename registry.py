"""The registry that finds features, sources, regressors, metrics and beat trackers by name.

A registry collects the entries of one kind. Modules of the packages it names register theirs when they are imported,
which happens when the registry is first asked; other packages add entries through an entry-point group. So a new
feature, source, regressor or metric is one file, and no list elsewhere names it. This module imports nothing heavy.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, Protocol, TypeVar

from .errors import InputError


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """Return a sentence that suggests the known name most like another, or ``""`` if none is alike."""
    found = get_close_matches(name.lower(), [each.lower() for each in known], n=1)
    return f" Did you mean {found[0]!r}?" if found else ""


class Named(Protocol):
    """Object that can be registered, with a name and a one-line title."""

    @property
    def name(self) -> str:
        """Name as typed."""
        ...

    @property
    def title(self) -> str:
        """Name as tables print it."""
        ...


T = TypeVar("T", bound=Named)


class Registry(Generic[T]):
    """Entries of one kind by name.

    Parameters
    ----------
    kind : str
        Name of the kind in messages, such as ``"feature"``.
    packages : sequence of str
        Packages whose modules register entries when they are imported.
    group : str, optional
        Entry-point group in which other packages name entries.
    expected : str
        What an entry point of the group should name, for messages.
    accepts : callable
        Whether an object can be an entry.
    """

    def __init__(
        self,
        kind: str,
        *,
        packages: Sequence[str] = (),
        group: str | None = None,
        expected: str = "an object",
        accepts: Callable[[Any], bool] = lambda entry: True,
    ) -> None:
        self.kind = kind
        self._packages = packages
        self._group = group
        self._expected = expected
        self._accepts = accepts
        self._entries: dict[str, T] = {}
        self._discovered = False

    def register(self, entry: T) -> T:
        """Add an entry and return it, so that this can decorate a class instance's factory.

        Raises
        ------
        InputError
            If another entry has its name.
        """
        if self._entries.setdefault(entry.name, entry) is not entry:
            raise InputError(f"two {self.kind}s are called {entry.name!r}; expected each name once.")
        return entry

    def unregister(self, name: str) -> None:
        """Remove an entry."""
        del self._entries[name]

    def _discover(self) -> None:
        if self._discovered:
            return
        self._discovered = True
        for package in self._packages:
            for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
                importlib.import_module(f"{package}.{module.name}")

    def plugins(self) -> dict[str, EntryPoint]:
        """Entry points of other packages by name; nothing is imported."""
        return {point.name: point for point in _entry_points().select(group=self._group)} if self._group else {}

    def __iter__(self) -> Iterator[T]:
        """Iterate over the registered entries in their order, without plug-ins."""
        self._discover()
        return iter(sorted(self._entries.values(), key=lambda each: (getattr(each, "order", 100), each.name)))

    def names(self) -> list[str]:
        """Names of all entries, those of plug-ins last."""
        own = [entry.name for entry in self]
        return own + sorted(set(self.plugins()) - set(own))

    def title(self, name: str) -> str:
        """Title of an entry; the name itself where it is not registered, or is that of a plug-in."""
        self._discover()
        return self._entries[name].title if name in self._entries else name

    def __contains__(self, name: str) -> bool:
        return name in self.names()

    def __getitem__(self, name: str) -> T:
        """Return the entry of a name; one of another package is imported first.

        Raises
        ------
        InputError
            If there is none, or another package does not provide what it declares.
        """
        self._discover()
        if name not in self._entries:
            point = self.plugins().get(name)
            if point is None:
                raise InputError(
                    f"no {self.kind} is called {name!r}; expected one of {', '.join(self.names())}."
                    + did_you_mean(name, self.names())
                )
            self.register(self._load(point))
        return self._entries[name]

    def _load(self, point: EntryPoint) -> T:
        try:
            entry = point.load()
            entry = entry() if isinstance(entry, type) else entry
        except Exception as error:  # another package's import may raise anything
            raise InputError(f"the {self.kind} {point.name} of {point.value} cannot be imported ({error}).") from error
        if not self._accepts(entry) or entry.name != point.name:
            raise InputError(
                f"entry point {point.name} of the group {self._group}: expected {self._expected} called {point.name!r}."
            )
        return entry

    def all(self) -> list[T]:
        """Return every entry, those of other packages included, which are imported."""
        return [self[name] for name in self.names()]


@cache
def _entry_points() -> Any:
    """Entry points of all installed packages, whose metadata takes long to read."""
    return entry_points()
