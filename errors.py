"""Errors and warnings for users: one line that says what is wrong, what was expected and what to do.

Messages write the names of parameters in backquotes, as in "`epochs` 0: expected a positive number." The command line
replaces them by its options ("--epochs 0: …"); nothing else in the package knows these.
"""

from __future__ import annotations

import re


class EmobenchWarning(UserWarning):
    """Something that the user should know although the work goes on."""


class EmobenchError(Exception):
    """A failure that is not the caller's fault. The command line exits with status 1."""

    exit_code = 1

    @property
    def parameter(self) -> str | None:
        """Python name of the first parameter that the message mentions, or None."""
        found = re.search(r"`([a-z_]+)`", str(self))
        return found[1] if found else None


class InputError(EmobenchError):
    """Wrong usage or bad input. The command line exits with status 2."""

    exit_code = 2


class AudioError(EmobenchError):
    """An audio file cannot be used.

    Parameters
    ----------
    reason : str
        The name of the rule it failed, as in the ``rejected`` and ``excluded`` columns.
    message : str
        One line for people.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(reason, message)
        self.reason = reason
        self.message = message

    def __str__(self) -> str:
        return self.message
