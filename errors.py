"""The errors that a user may see; each carries one line that says what is wrong and what to do."""

from __future__ import annotations


class EmobenchError(Exception):
    """Something failed; the command ends with exit status 1."""

    exit_code = 1


class InputError(EmobenchError):
    """Wrong usage or bad input: file, row or value, what was expected, what to do. Exit status 2."""

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
