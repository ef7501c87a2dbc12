"""HTTP client for huggingface_hub with a timeout for every request and bounded waits for rate limits.

By itself, huggingface_hub sends most requests without a timeout, and waits for as long as ``Retry-After`` says.
"""

from __future__ import annotations

import os
import re
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from functools import lru_cache, partial
from typing import Any

import huggingface_hub
from huggingface_hub import errors
from huggingface_hub.utils._http import default_client_factory

from ..errors import EmobenchError, EmobenchWarning
from ..runtime.progress import bars_wanted

# httpx or httpx2, depending on the release of huggingface_hub.
HTTP_ERROR: type[Exception] = next(base for base in errors.HfHubHTTPError.__bases__ if base is not OSError)
TIMEOUT_ERROR: type[Exception] = sys.modules[HTTP_ERROR.__module__.split(".")[0]].TimeoutException

CONNECT_SECONDS = 10.0
# Between two parts of an answer or an upload, not for all of it. Long enough for the Hub to commit many files, and for
# the last bytes of an upload to leave the buffer of a slow connection.
READ_SECONDS = 60.0

RATE_LIMITED = 429
# Longest total wait of a request for the rate limit, and first wait if the answer does not say how long.
LONGEST_WAIT = 120.0
FIRST_WAIT = 2.0

_RESET = re.compile(r"\br\s*=\s*0\s*;\s*t\s*=\s*(\d+)")

AGAIN = "Rerun the command later; files that have already arrived are not sent again."


class NoAnswerError(EmobenchError):
    """A server that does not answer."""


class RateLimitError(EmobenchError):
    """A server that asks for a longer wait than a command should make by itself."""


def no_answer(endpoint: str, seconds: float | None = None) -> NoAnswerError:
    """Return the error of a server that does not answer, with the seconds that :func:`read_seconds` allowed it."""
    waited = "" if seconds is None else f" (waited {seconds:g} s; HF_HUB_DOWNLOAD_TIMEOUT sets this)"
    return NoAnswerError(
        f"{endpoint}: does not answer{waited}. Rerun the command to resume; files that have already arrived are not "
        "sent again."
    )


def rate_limited(endpoint: str, seconds: float | None) -> RateLimitError:
    """Return the error of a rate limit that lasts too long to wait for."""
    when = "in a few minutes" if seconds is None else f"in {_duration(seconds)}"
    return RateLimitError(
        f"{endpoint}: the rate limit is reached (HTTP {RATE_LIMITED}); rerun the command {when}. Files that have "
        "already arrived are not sent again."
    )


def read_seconds() -> float:
    """Return the seconds to wait for the next bytes: ``HF_HUB_DOWNLOAD_TIMEOUT``, or :data:`READ_SECONDS`."""
    text = os.environ.get("HF_HUB_DOWNLOAD_TIMEOUT", "")
    # huggingface_hub reads it as an integer, and 0 as unset.
    return float(text) if text.isdecimal() and int(text) else READ_SECONDS


@lru_cache(maxsize=1)
def install() -> None:
    """Make huggingface_hub use this client for all its requests in this process."""
    huggingface_hub.set_client_factory(_client)


class _Last:
    """Latest request, for messages about its answer."""

    request = ""


def last_request() -> str:
    """Return method and path of the latest request, without the query, which may be signed."""
    return _Last.request


def _client() -> Any:
    client: Any = default_client_factory()
    client.send = partial(_send, client.send)
    return client


def _send(send: Callable[..., Any], request: Any, **options: Any) -> Any:
    """Send a request with a timeout, and repeat it after the wait that a rate limit asks for."""
    _Last.request = f"{request.method} {request.url.path}"
    endpoint = f"{request.url.scheme}://{request.url.netloc.decode()}"
    given = request.extensions.get("timeout") or {}
    # For downloads, huggingface_hub sets a timeout itself, and retries and resumes.
    ours = given.get("read") is None
    if ours:
        timeout = {"connect": CONNECT_SECONDS, "read": read_seconds(), "write": read_seconds(), "pool": None}
        request.extensions = {**request.extensions, "timeout": timeout}
    waited, wait = 0.0, FIRST_WAIT
    while True:
        try:
            response = send(request, **options)
        except TIMEOUT_ERROR as error:
            if not ours:
                raise
            raise no_answer(endpoint, read_seconds()) from error
        if response.status_code != RATE_LIMITED:
            return response
        asked = retry_after(response.headers)
        wait = wait * 2 if asked is None else asked
        if waited + wait > LONGEST_WAIT:
            response.close()
            raise rate_limited(endpoint, asked)
        if not _repeatable(request):
            # An upload from a file: huggingface_hub rewinds the file, waits and sends it again.
            return response
        response.close()
        if bars_wanted():
            warnings.warn(f"{endpoint}: the rate limit is reached; waiting {wait:g} s.", EmobenchWarning, stacklevel=2)
        time.sleep(wait)
        waited += wait


def _repeatable(request: Any) -> bool:
    """Whether the request's body is in memory."""
    try:
        return request.content is not None
    except RuntimeError:
        return False


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds to wait according to the headers of an answer with status 429; None if they do not say.

    ``Retry-After`` gives seconds or a date (RFC 9110); the Hub's ``RateLimit`` has the form ``"api";r=0;t=55``.
    """
    text = headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return float(text)
    if text:
        try:
            return max(parsedate_to_datetime(text).timestamp() - time.time(), 0.0)
        except ValueError:
            pass
    match = _RESET.search(headers.get("RateLimit", ""))
    # One second more, because the value is rounded down.
    return float(match[1]) + 1 if match else None


def _duration(seconds: float) -> str:
    minutes = -(-seconds // 60)
    return f"{seconds:.0f} seconds" if seconds < 120 else f"{minutes:.0f} minutes"
