"""One preview over HTTP: a signed request, its redirects, and a body that is audio or is not kept.

``GET <base>/{7digital id}?country=..``, OAuth 1.0a (RFC 5849) with HMAC-SHA1, two-legged, in the query. Neither keys
nor signed addresses ever reach a message, a log or a file: what went wrong is told by the name of its kind.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from logging import getLogger, root
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

import requests
import urllib3
from requests_oauthlib import OAuth1

from ....audio.mpeg import walk
from ....errors import AudioError, EmobenchError
from ....runtime.files import replacing

_REDIRECTS = 5
_CHUNK = 65536

# How an answer in XML says that a request is not allowed, with any status.
_REFUSAL = b'<error code="1001"'

# Packages that log what they sign and ask for.
_TALKATIVE = ("urllib3", "oauthlib", "requests_oauthlib")

OK, NOT_FOUND, UNAUTHORIZED, TOO_MANY = 200, 404, 401, 429


class RefusedError(EmobenchError):
    """The keys are not accepted."""


class FailedError(Exception):
    """A request that did not give a clip; its text is a kind of failure, never an address.

    Parameters
    ----------
    what : str
        The kind.
    again : bool
        Whether another request may do better.
    after : float
        Seconds that the server asks to wait, if it does.
    """

    def __init__(self, what: str, *, again: bool = True, after: float | None = None) -> None:
        super().__init__(what)
        self.again, self.after = again, after


@dataclass(frozen=True)
class Credentials:
    """Keys of 7digital's interface; they show themselves to nobody."""

    key: str
    secret: str

    def __repr__(self) -> str:
        return "Credentials(…)"


class _Session(requests.Session):
    """A session that leaves redirects alone: requests would read, and fail at, those that it does not follow too."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


class Client:
    """Fetches previews; may be used from several threads.

    Parameters
    ----------
    base_url : str
        Address to which the id of a clip is added.
    country : str
        Two letters of the country whose catalogue is asked.
    credentials : Credentials
        They sign each request to the server of ``base_url``, and no other.
    timeout : float
        Seconds without an answer, or without a byte of it.
    time_limit : float
        Seconds for a clip in all.
    size_limit : int
        Bytes of a clip.
    """

    def __init__(
        self,
        base_url: str,
        country: str,
        credentials: Credentials,
        *,
        timeout: float,
        time_limit: float,
        size_limit: int,
    ) -> None:
        self._base, self._country = base_url.rstrip("/"), country
        self._credentials = credentials
        self._timeout, self._time_limit, self._size_limit = timeout, time_limit, size_limit
        self._local = threading.local()

    def fetch(self, clip: str, path: Path) -> bool:
        """Fetch a clip to ``path``; False where there is no such clip.

        Raises
        ------
        RefusedError
            If the keys are not accepted.
        FailedError
            If no clip came, or none that is audio.
        """
        until = time.monotonic() + self._time_limit
        try:
            with self._answer(clip) as answer:
                if answer.status_code == NOT_FOUND:
                    return False
                _check_status(answer)
                self._keep(answer, path, until)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            # Their texts hold the signed address.
            raise FailedError(type(error).__name__) from None
        return True

    @contextmanager
    def _answer(self, clip: str) -> Iterator[requests.Response]:
        """The last answer of a chain of redirects."""
        url = f"{self._base}/{clip}?{urlencode({'country': self._country})}"
        for _ in range(_REDIRECTS + 1):
            ours = origin(url) == origin(self._base)
            answer = self._session().get(
                url if ours else _unsigned(url),
                auth=self._signature() if ours else None,
                headers={"Accept-Encoding": "identity"},
                allow_redirects=False,
                stream=True,
                timeout=self._timeout,
            )
            if not answer.is_redirect:
                break
            answer.close()
            try:
                url = _unsigned(urljoin(url, answer.headers["Location"]))
                origin(url)
            except ValueError:
                raise FailedError("redirect to no web address", again=False) from None
        else:
            raise FailedError("too many redirects", again=False)
        with answer:
            yield answer

    def _session(self) -> requests.Session:
        if not hasattr(self._local, "session"):
            self._local.session = _Session()
            # Neither keys of a .netrc file nor cookies go anywhere.
            self._local.session.trust_env = False
        return self._local.session

    def _signature(self) -> OAuth1:
        return OAuth1(self._credentials.key, self._credentials.secret, signature_type="query")

    def _keep(self, answer: requests.Response, path: Path, until: float) -> None:
        """Write the body beside ``path``, and rename it if it is audio."""
        promised = answer.headers.get("Content-Length")
        if (_whole(promised) or 0) > self._size_limit:
            raise FailedError(f"more than {self._size_limit} bytes", again=False)
        with replacing(path) as temporary:
            size = 0
            with temporary.open("wb") as file:
                while chunk := answer.raw.read1(_CHUNK):
                    size += len(chunk)
                    if size > self._size_limit:
                        raise FailedError(f"more than {self._size_limit} bytes", again=False)
                    if time.monotonic() > until:
                        raise FailedError(f"took longer than {self._time_limit:g} s")
                    file.write(chunk)
            _check_audio(temporary, whole=bool(promised))


def _check_status(answer: requests.Response) -> None:
    status = answer.status_code
    if status == UNAUTHORIZED or (status != OK and _REFUSAL in answer.raw.read(_CHUNK)):
        raise RefusedError("7digital refuses these keys.")
    if status != OK:
        again = status == TOO_MANY or status >= 500
        raise FailedError(f"HTTP status {status}", again=again, after=_retry_after(answer) if again else None)


def _check_audio(path: Path, *, whole: bool) -> None:
    """Raise FailedError unless a file is MPEG audio; a ``whole`` one that is damaged came so from the server."""
    with path.open("rb") as file:
        if _REFUSAL in file.read(_CHUNK):
            raise RefusedError("7digital refuses these keys.")
    try:
        walk(path)
    except AudioError as error:
        if error.reason == "undecodable":
            raise FailedError("an answer that is no MPEG audio") from None
        if error.reason == "truncated" and not whole:
            raise FailedError("an answer that was cut short") from None


def _retry_after(answer: requests.Response) -> float | None:
    """Seconds of a ``Retry-After`` header, which may be a number or a date (RFC 9110, section 10.2.3)."""
    value = answer.headers.get("Retry-After", "")
    if (seconds := _whole(value)) is not None:
        return float(seconds)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return None


def _whole(text: str | None) -> int | None:
    """The number that a header gives; None where it gives none, or one beyond all reason."""
    return int(text) if text and re.fullmatch(r"\s*[0-9]{1,18}\s*", text) else None


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port of a web address; ValueError where it is none."""
    parts = urlsplit(url)
    ports = {"http": 80, "https": 443}
    if parts.scheme not in ports or not parts.hostname:
        raise ValueError("no web address")
    return parts.scheme, parts.hostname, parts.port or ports[parts.scheme]


def _unsigned(url: str) -> str:
    """An address without what a server may have copied of a signature."""
    parts = urlsplit(url)
    query = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if not pair[0].startswith("oauth_")]
    return urlunsplit(parts._replace(query=urlencode(query), fragment=""))


@contextmanager
def unlogged() -> Iterator[None]:
    """Keep the logs that hold keys and signed addresses from everyone."""
    names = [name for name in root.manager.loggerDict if name.split(".")[0] in _TALKATIVE]
    before = {name: getLogger(name).disabled for name in names}
    for name in names:
        getLogger(name).disabled = True
    try:
        yield
    finally:
        for name, disabled in before.items():
            getLogger(name).disabled = disabled
