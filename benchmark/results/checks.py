"""Outcome of the verification of a result."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from pydantic import JsonValue

from .model import Result

Level = Literal["scores", "regression", "features"]
LEVELS: tuple[Level, ...] = get_args(Level)


@dataclass(frozen=True)
class Check:
    """Outcome of one check.

    Attributes
    ----------
    name : str
        Name of the check.
    failures : list of str
        One line for each problem.
    notes : list of str
        What was confirmed, or why the check was not possible.
    done : bool
        Whether the check was possible.
    required : bool
        Whether a result cannot be called verified without it.
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


@dataclass(frozen=True, repr=False)
class Report:
    """Outcome of the verification of one result.

    Attributes
    ----------
    path : Path
        File of the result.
    checks : list of Check
        Checks in the order in which they were made.
    result : Result or None
        The result, if its fields are valid.
    wanted : {"scores", "regression", "features"}
        Level that was asked for.
    unchecked : list of str
        One line for each property that is not shown at the level that was reached.
    """

    path: Path
    checks: list[Check]
    result: Result | None = None
    wanted: Level = "regression"
    unchecked: list[str] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        """Whether any check failed."""
        return any(check.failures for check in self.checks)

    @property
    def missing(self) -> list[str]:
        """Reasons why the result is not verified although no check failed."""
        return [note for check in self.checks if check.required and not check.done for note in check.notes]

    @property
    def level(self) -> Level | None:
        """Highest level that was reached; None if a check failed, or the dataset is missing."""
        if self.failed or any(check.required and not check.done and check.name not in LEVELS for check in self.checks):
            return None
        reached: Level = "scores"
        for level in LEVELS[1:]:
            if not any(check.name == level and check.done for check in self.checks):
                break
            reached = level
        return reached

    @property
    def ok(self) -> bool:
        """Whether the level that was asked for was reached."""
        return self.level is not None and LEVELS.index(self.level) >= LEVELS.index(self.wanted)

    @property
    def state(self) -> str:
        """``verified``, ``not verified`` or ``failed``."""
        return "failed" if self.failed else "verified" if self.ok else "not verified"

    def __repr__(self) -> str:
        lines = [f"{check.name}: {line}" for check in self.checks for line in check.failures] or self.missing
        reached = f"{self.state} to {self.level}" if self.ok else f"{self.state} to {self.wanted}"
        return f"Report({str(self.path)!r}, {'; '.join([self.state if self.failed else reached, *lines])})"

    def record(self) -> dict[str, JsonValue]:
        """Return the report as plain data."""
        checks: list[JsonValue] = [
            {"name": check.name, "state": check.state, "failures": [*check.failures], "notes": [*check.notes]}
            for check in self.checks
        ]
        return {
            "path": str(self.path),
            "ok": self.ok,
            "state": self.state,
            "level": self.level,
            "wanted": self.wanted,
            "unchecked": [*self.unchecked],
            "checks": checks,
        }


def short(value: object) -> str:
    """Return a value for a message, shortened if it is long."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}…"
