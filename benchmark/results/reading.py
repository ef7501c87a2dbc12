"""Results read from files, with one message for each invalid field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ...errors import InputError
from .config import SCHEMA
from .model import Result

# Bytes of a result's JSON. One of a thousand clips and a hundred repeats has less than 200 kB.
MAX_BYTES = 2**26

# Longest part of an invalid value that a message shows.
_SHOWN = 60


class InvalidResultError(InputError):
    """A result whose fields are invalid; ``lines`` holds one message for each."""

    def __init__(self, path: Path, lines: list[str]) -> None:
        super().__init__(f"{path}: not a valid result ({lines[0]}).")
        self.lines = lines


def load(path: Path) -> Result:
    """Read and validate a result.

    Raises
    ------
    InvalidResultError
        If a field is invalid.
    InputError
        If the file is not a result of this schema.
    """
    try:
        if (size := path.stat().st_size) > MAX_BYTES:
            raise InputError(f"{path}: has {size:,} bytes; expected at most {MAX_BYTES:,}.")
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a readable result ({getattr(error, 'strerror', None) or error}).") from error
    try:
        return Result.model_validate_json(text).at(path, text)
    except ValidationError as error:
        errors = error.errors(include_url=False)
    if errors[0]["type"] == "json_invalid":
        raise InputError(f"{path}: not a readable result ({errors[0]['msg']}).")
    if errors[0]["loc"] == () and errors[0]["type"] == "model_type":
        raise InputError(f"{path}: not a result; expected a JSON object, not {_short(errors[0]['input'])}.")
    if schema := [each for each in errors if each["loc"] == ("schema",)]:
        found = schema[0]["input"]
        if schema[0]["type"] == "missing":
            raise InputError(f"{path}: is not a result of emobench; expected a file that 'emobench run' wrote.")
        if type(found) is int and found < SCHEMA:
            raise InputError(
                f"{path}: was written by an older emobench (schema {found}). Run the same 'emobench run' again to "
                "recreate it."
            )
        raise InputError(f"{path}: has schema {_short(found)}; this emobench reads schema {SCHEMA}.")
    # Results had seals before they stored features.
    if any(each["loc"] == ("seals",) for each in errors):
        raise InputError(
            f"{path}: was written by an older emobench, without the features that the regressor saw. Run the same "
            "'emobench run' again to recreate it."
        )
    raise InvalidResultError(path, list(dict.fromkeys(map(_line, errors))))


def _line(error: Any) -> str:
    """Name a field, its value and what was expected."""
    where = ".".join(str(part) for part in error["loc"]) or "result"
    if error["type"] == "missing":
        return f"{where}: is missing"
    if error["type"] == "extra_forbidden":
        return f"{where}: is not a field of a result"
    expected = error["msg"].removeprefix("Value error, ")
    if error["loc"] == ():
        return expected
    _, should, expected = expected.rpartition(" should ") if " should " in expected else ("", "", expected)
    return f"{where}: is {_short(error['input'])}; {'should ' if should else ''}{expected}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
