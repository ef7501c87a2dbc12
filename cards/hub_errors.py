"""Explanations of failures of the Hub and of the connection to it, in one line and without tokens."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType

from huggingface_hub import errors

from ..errors import EmobenchError, InputError
from .hub_client import (
    AGAIN,
    HTTP_ERROR,
    RATE_LIMITED,
    TIMEOUT_ERROR,
    last_request,
    no_answer,
    rate_limited,
    retry_after,
)


class StaleParentError(EmobenchError):
    """Another commit was made in between."""


@dataclass(frozen=True)
class Question:
    """Request to the Hub, for messages.

    Attributes
    ----------
    name : str
        Repository with the prefix of its type.
    endpoint, url : str
        Addresses of the Hub and of the repository.
    token : bool
        Whether a token was sent.
    path, revision : str
        File and revision.
    """

    name: str
    endpoint: str
    url: str
    token: bool
    path: str
    revision: str


def explained(error: Exception, question: Question) -> EmobenchError | None:
    """Return the error for users that explains one of huggingface_hub; None if it is another kind of error.

    Parameters
    ----------
    error : Exception
        Error to explain.
    question : Question
        Request that failed.
    """
    if isinstance(error, RuntimeError) and error.__cause__ is not None:
        # An upload in a thread.
        error = error.__cause__ if isinstance(error.__cause__, Exception) else error
    if isinstance(error, EmobenchError):
        return error
    if isinstance(error, errors.HfHubHTTPError):
        return _refused(error, question)
    if isinstance(error, (HTTP_ERROR, OSError)):
        return _unreachable(error, question)
    if isinstance(error, errors.HFValidationError) or str(error).startswith("Invalid metadata in README.md"):
        return InputError(f"{question.name}: the Hub refuses it: {' '.join(str(error).split())}")
    if isinstance(error, (KeyError, TypeError, AttributeError, IndexError, ValueError)) and _raised_inside(error):
        return not_understood(question.endpoint, _missing(error))
    return None


def not_understood(endpoint: str, what: str) -> EmobenchError:
    """Return the error of an answer that lacks something, with the request that it answers."""
    return EmobenchError(
        f"{endpoint}: the answer to {last_request()} was not understood ({what}); check that HF_ENDPOINT is a "
        "Hugging Face Hub, and that huggingface_hub is up to date."
    )


def _missing(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"no {error.args[0]} in it"
    if isinstance(error, json.JSONDecodeError):
        return "it is not JSON"
    return first_line(error)


def _raised_inside(error: Exception) -> bool:
    """Whether an error comes from code of huggingface_hub, and so from what the server sent."""
    return any(name.split(".")[0] == "huggingface_hub" for name in _modules(error.__traceback__))


def _modules(traceback: TracebackType | None) -> Iterator[str]:
    while traceback is not None:
        yield str(traceback.tb_frame.f_globals.get("__name__"))
        traceback = traceback.tb_next


def _unreachable(error: BaseException, question: Question) -> EmobenchError:
    """Explain a connection that failed, or a file of this machine."""
    cause = error.__cause__
    if isinstance(error, TIMEOUT_ERROR) or isinstance(cause, TIMEOUT_ERROR):
        return no_answer(question.endpoint)
    for each in (error, cause):
        if isinstance(each, errors.FileMetadataError):
            return not_understood(question.endpoint, first_line(each))
    if isinstance(error, errors.LocalEntryNotFoundError):
        return EmobenchError(
            f"{question.name}@{question.revision}: {question.endpoint} cannot be reached and the cache of this "
            f"machine does not have {question.path}. Go online once, or check HF_ENDPOINT and HF_HUB_OFFLINE."
        )
    if isinstance(error, errors.OfflineModeIsEnabled):
        return EmobenchError(f"{question.name}: HF_HUB_OFFLINE is set, so the Hub cannot be used; unset it.")
    if isinstance(error, HTTP_ERROR):
        return EmobenchError(
            f"{question.endpoint}: cannot be reached ({first_line(error)}); is this machine offline? {AGAIN}"
        )
    return EmobenchError(f"{question.name}: {first_line(error)}. {AGAIN}")


def _refused(error: errors.HfHubHTTPError, question: Question) -> EmobenchError:
    """Explain a status of 400 or more."""
    name, status = question.name, error.response.status_code
    said = " ".join((error.server_message or error.response.headers.get("X-Error-Message") or "").split())
    said = f" ({said})" if said else ""
    if status == RATE_LIMITED:
        return rate_limited(question.endpoint, retry_after(error.response.headers))
    if status == 412:
        return StaleParentError(
            f"{name}: another commit arrived in the meantime, so nothing was changed. Check it and rerun the command."
        )
    if isinstance(error, errors.RevisionNotFoundError):
        line = f"{name}: has no revision {question.revision}; its tags are listed at {question.url}."
    elif isinstance(error, errors.EntryNotFoundError):
        line = f"{name}@{question.revision}: has no {question.path}, so it was not published by emobench."
    elif status == 401 and question.token:
        line = (
            f"{question.endpoint}: does not accept the token{said}. Set HF_TOKEN to a valid token or run "
            "'hf auth login'."
        )
    elif status in (401, 404):
        line = f"{name}: no such repository, or it is private and needs a token (HF_TOKEN) that can read it."
    elif status == 403:
        line = (
            f"{name}: forbidden{said}. Name a repository of your own or of an organisation where you have write "
            "access, and use a token with write access."
        )
    elif status == 400:
        line = f"{name}: the Hub refuses it{said or f': {first_line(error)}'}"
    else:
        return EmobenchError(f"{name}: the Hub failed with status {status}{said}. {AGAIN}")
    return InputError(line)


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, or its type if it has none."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
