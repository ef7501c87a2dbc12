"""What a check of a result found."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes
    ----------
    name : str
        What it was.
    failures : list of str
        A line for everything that is wrong.
    notes : list of str
        What was found well, or could not be checked and why.
    done : bool
        Whether it could be checked.
    required : bool
        Whether a result is not verified without it.
    """

    name: str
    failures: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    done: bool = True
    required: bool = False

    @property
    def state(self) -> str:
        """``failed``, ``ok`` or ``not checked``."""
        return "failed" if self.failures else "ok" if self.done else "not checked"


@dataclass(frozen=True)
class Report:
    """What was found out about a result.

    Attributes
    ----------
    path : Path
        The file.
    checks : list of Check
        In the order in which they were made.
    result : dict or None
        As it was read, where its form is right.
    """

    path: Path
    checks: list[Check]
    result: dict[str, Any] | None = None

    @property
    def failed(self) -> bool:
        """Whether any check failed."""
        return any(check.failures for check in self.checks)

    @property
    def missing(self) -> list[str]:
        """Reasons why the result cannot be called verified though no check failed."""
        return [note for check in self.checks if check.required and not check.done for note in check.notes]

    @property
    def ok(self) -> bool:
        """Whether no check failed and every required one was made."""
        return not self.failed and not self.missing

    @property
    def state(self) -> str:
        """``verified``, ``not verified`` or ``failed``."""
        return "failed" if self.failed else "not verified" if self.missing else "verified"

    def record(self) -> dict[str, Any]:
        """Return the report as plain data."""
        checks = [
            {"name": check.name, "state": check.state, "failures": check.failures, "notes": check.notes}
            for check in self.checks
        ]
        return {"path": str(self.path), "ok": self.ok, "state": self.state, "checks": checks}


def short(value: object) -> str:
    """A value for a message: its beginning where it is long."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}…"
