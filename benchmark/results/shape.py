"""The form of a result, as ``result.schema.json`` has it (JSON Schema, draft 2020-12)."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...runtime.files import read_json

if TYPE_CHECKING:
    from jsonschema import ValidationError
    from jsonschema.protocols import Validator

# Longest part of a wrong value that is shown.
_SHOWN = 60


def misfits(result: Any, *, whole: bool) -> list[str]:
    """What of a result is not as the schema says.

    Parameters
    ----------
    result : any JSON
        As it was read.
    whole : bool
        All of the schema; else only what tables show.

    Returns
    -------
    list of str
        A line for each wrong field, ``field: value; what is expected``.
    """
    errors = sorted(_validator(whole).iter_errors(result), key=lambda error: len(error.absolute_path))
    return list(dict.fromkeys(map(_line, errors)))


@cache
def _validator(whole: bool) -> Validator:
    # Heavy, and needed only once results are read.
    from jsonschema import Draft202012Validator

    schema = read_json(Path(__file__).with_name("result.schema.json"), "JSON Schema")
    return Draft202012Validator(schema if whole else {"$ref": "#/$defs/shown", "$defs": schema["$defs"]})


def _line(error: ValidationError) -> str:
    where = ".".join(str(part) for part in error.absolute_path)
    value: Any = error.instance
    wanted: Any = error.validator_value
    if error.validator == "additionalProperties" and isinstance(value, dict):
        known = error.schema.get("properties", {}) if isinstance(error.schema, dict) else {}
        unknown = sorted(set(value) - set(known))
        return f"{where or 'result'}: holds {', '.join(map(repr, unknown))}, which the schema does not know"
    if error.validator == "required" and isinstance(value, dict):
        lacking = [name for name in wanted if name not in value]
        return f"{where or 'result'}: lacks {', '.join(lacking)}"
    text = repr(value)
    text = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    wanted = " or ".join(map(str, wanted)) if isinstance(wanted, list) else wanted
    return f"{where or 'result'}: is {text}; expected {error.validator} {wanted}"
