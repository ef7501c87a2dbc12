"""Download of one preview over HTTP: a signed request, its redirects, and a check that the body is audio.

The request is ``GET <base>/{7digital id}?country=..``, signed by two-legged OAuth 1.0a (RFC 5849) with HMAC-SHA1 in the
query. Keys and signed URLs never appear in messages, logs or files; messages name the kind of failure only.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from logging import getLogger, root
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

import requests
import urllib3
from requests_oauthlib import OAuth1

from ....audio.mpeg import walk
from ....errors import AudioError, EmobenchError, InputError
from ....runtime.downloads import retry_after, whole_number
from ....runtime.files import replacing

_REDIRECTS = 5
_CHUNK = 65536

# Text by which an XML response refuses a request, with any status.
_REFUSAL = b'<error code="1001"'

# Packages that log signatures and URLs.
_LOGGING = ("urllib3", "oauthlib", "requests_oauthlib")

OK, NOT_FOUND, UNAUTHORIZED, TOO_MANY = 200, 404, 401, 429


class RefusedError(EmobenchError):
    """The keys are not accepted."""


class FailedError(Exception):
    """A request that did not return a clip. The message is the kind of failure and contains no URL.

    Parameters
    ----------
    kind : str
        Kind of failure.
    again : bool
        Whether to try again.
    after : float, optional
        Seconds to wait, if the server asks for it.
    """

    def __init__(self, kind: str, *, again: bool = True, after: float | None = None) -> None:
        super().__init__(kind)
        self.again, self.after = again, after


@dataclass(frozen=True)
class Credentials:
    """Keys of 7digital's API, hidden in the representation."""

    key: str
    secret: str

    def __repr__(self) -> str:
        return "Credentials(…)"


class _Session(requests.Session):
    """A session that ignores redirects: requests would parse, and fail at, even those that it does not follow."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


@dataclass(frozen=True)
class DownloadConfig:
    """Settings of the download.

    Attributes
    ----------
    clip_url : str
        URL of the clip endpoint.
    country : str
        Country of the catalogue, two letters.
    per_day : int
        Maximum number of requests in any 24 hours; by default that of the terms.
    connections : int
        Number of simultaneous downloads.
    attempts : int
        Maximum number of requests per clip.
    backoff : float
        Wait before the second attempt in seconds; it doubles each time, with a jitter of 50 %.
    timeout, time_limit : float
        Maximum time without data, and maximum duration of a download, in seconds.
    size_limit : int
        Maximum size of a clip in bytes.
    seed : int
        Seed of the jitter.
    """

    clip_url: str = "https://previews.7digital.com/clip"
    country: str = "US"
    per_day: int = 4000
    connections: int = 4
    attempts: int = 5
    backoff: float = 1.0
    timeout: float = 20.0
    time_limit: float = 120.0
    size_limit: int = 20_000_000
    seed: int = 0

    def __post_init__(self) -> None:
        if not _is_plain(self.clip_url):
            raise InputError(f"`clip_url` {self.clip_url}: expected a URL such as https://previews.7digital.com/clip.")
        if not (len(self.country) == 2 and self.country.isascii() and self.country.isalpha()):
            raise InputError(f"`country` {self.country}: expected two letters, such as US.")
        if self.per_day < 1:
            raise InputError(f"`per_day` {self.per_day}: expected at least 1.")

    @property
    def catalogue(self) -> str:
        """URL of the endpoint with the country."""
        return f"{self.clip_url.rstrip('/')}?country={self.country.upper()}"


def _is_plain(url: str) -> bool:
    """Whether a string is a URL to which an id can be appended."""
    try:
        origin(url)
    except ValueError:
        return False
    parts = urlsplit(url)
    return not (parts.username or parts.query or parts.fragment)


class Client:
    """Client of the preview server, for use from several threads.

    Parameters
    ----------
    config : DownloadConfig
        Settings of the download.
    credentials : Credentials
        Keys that sign requests to the server of ``clip_url``, and no others.
    """

    def __init__(self, config: DownloadConfig, credentials: Credentials) -> None:
        self._config, self._credentials = config, credentials
        self._base = config.clip_url.rstrip("/")
        self._local = threading.local()

    def fetch(self, clip: str, path: Path) -> bool:
        """Download a clip to ``path``; returns False if there is no such clip.

        Raises
        ------
        RefusedError
            If the keys are not accepted.
        FailedError
            If the download fails, or the response is not audio.
        """
        until = time.monotonic() + self._config.time_limit
        try:
            with self._response(clip) as response:
                if response.status_code == NOT_FOUND:
                    return False
                _check_status(response)
                self._keep(response, path, until)
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            # The messages of these errors contain the signed URL.
            raise FailedError(type(error).__name__) from None
        return True

    @contextmanager
    def _response(self, clip: str) -> Iterator[requests.Response]:
        """Send a request, and follow its redirects to the last response."""
        url = f"{self._base}/{clip}?{urlencode({'country': self._config.country})}"
        for _ in range(_REDIRECTS + 1):
            ours = origin(url) == origin(self._base)
            response = self._session().get(
                url if ours else _unsigned(url),
                auth=self._signature() if ours else None,
                headers={"Accept-Encoding": "identity"},
                allow_redirects=False,
                stream=True,
                timeout=self._config.timeout,
            )
            if not response.is_redirect:
                break
            response.close()
            try:
                url = _unsigned(urljoin(url, response.headers["Location"]))
                origin(url)
            except ValueError:
                raise FailedError("redirect to an invalid URL", again=False) from None
        else:
            raise FailedError("too many redirects", again=False)
        with response:
            yield response

    def _session(self) -> requests.Session:
        if not hasattr(self._local, "session"):
            self._local.session = _Session()
            # Do not send keys of a .netrc file.
            self._local.session.trust_env = False
        return self._local.session

    def _signature(self) -> OAuth1:
        return OAuth1(self._credentials.key, self._credentials.secret, signature_type="query")

    def _keep(self, response: requests.Response, path: Path, until: float) -> None:
        """Write the body to a temporary file, and rename it to ``path`` if it is audio."""
        promised = response.headers.get("Content-Length")
        if (whole_number(promised) or 0) > self._config.size_limit:
            raise FailedError(f"more than {self._config.size_limit} bytes", again=False)
        with replacing(path) as temporary:
            size = 0
            with temporary.open("wb") as file:
                while chunk := response.raw.read1(_CHUNK):
                    size += len(chunk)
                    if size > self._config.size_limit:
                        raise FailedError(f"more than {self._config.size_limit} bytes", again=False)
                    if time.monotonic() > until:
                        raise FailedError(f"took longer than {self._config.time_limit:g} s")
                    file.write(chunk)
            _check_audio(temporary, whole=bool(promised))


def _check_status(response: requests.Response) -> None:
    status = response.status_code
    if status == UNAUTHORIZED or (status != OK and _REFUSAL in response.raw.read(_CHUNK)):
        raise RefusedError("7digital does not accept these keys.")
    if status != OK:
        again = status == TOO_MANY or status >= 500
        raise FailedError(f"HTTP status {status}", again=again, after=retry_after(response.headers) if again else None)


def _check_audio(path: Path, *, whole: bool) -> None:
    """Raise FailedError unless a file is MPEG audio. A ``whole`` file that is truncated is so on the server."""
    with path.open("rb") as file:
        if _REFUSAL in file.read(_CHUNK):
            raise RefusedError("7digital does not accept these keys.")
    try:
        walk(path)
    except AudioError as error:
        if error.reason == "undecodable":
            raise FailedError("a response that is not MPEG audio") from None
        if error.reason == "truncated" and not whole:
            raise FailedError("a truncated response") from None


def origin(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port of a URL; raises ValueError if it is invalid."""
    parts = urlsplit(url)
    ports = {"http": 80, "https": 443}
    if parts.scheme not in ports or not parts.hostname:
        raise ValueError("not an HTTP URL")
    return parts.scheme, parts.hostname, parts.port or ports[parts.scheme]


def _unsigned(url: str) -> str:
    """Remove the parts of a signature that a server may have copied into a URL."""
    parts = urlsplit(url)
    query = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if not pair[0].startswith("oauth_")]
    return urlunsplit(parts._replace(query=urlencode(query), fragment=""))


@contextmanager
def unlogged() -> Iterator[None]:
    """Disable the loggers that would log keys and signed URLs."""
    names = [name for name in root.manager.loggerDict if name.split(".")[0] in _LOGGING]
    before = {name: getLogger(name).disabled for name in names}
    for name in names:
        getLogger(name).disabled = True
    try:
        yield
    finally:
        for name, disabled in before.items():
            getLogger(name).disabled = disabled
