"""Download of files over HTTP that resumes after interruptions, on top of pooch.

Pooch checks the hash of a file and renames it when it is complete, but starts again after an interruption. Its
downloader is therefore replaced by :class:`_Resuming`, which keeps the bytes that have arrived in ``<name>.part`` and
asks for the rest (RFC 9110, section 14). ``<name>.part.json`` has the version of the file on the server, so that parts
of two versions are never joined.
"""

from __future__ import annotations

import re
import time
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from logging import getLogger
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..errors import EmobenchError
from .cache_content import size_shown
from .files import read_json, sha256_file, write_json
from .progress import progress, status

if TYPE_CHECKING:
    from collections.abc import Mapping

    import requests

# Seconds without data after which a connection counts as lost, and the number of failures in a row without any new
# data, after which the download gives up. The wait between them doubles each time.
TIMEOUT = 60.0
ATTEMPTS = 5
BACKOFF = 1.0

# Longest wait that a server may ask for, in seconds.
LONGEST_WAIT = 120.0

_CHUNK = 2**16
_OK, _PARTIAL, _TOO_MANY, _UNSATISFIABLE = 200, 206, 429, 416

# First bytes of archives by the ending of their names.
_MAGIC = {".zip": b"PK", ".gz": b"\x1f\x8b"}


@dataclass(frozen=True)
class Remote:
    """A file on a server.

    Attributes
    ----------
    url : str
        URL of the file.
    name : str
        Name of the local file.
    instead : str
        What to do if it cannot be downloaded, as the end of a sentence.
    checksum : str or None
        Published checksum, such as ``sha1:f0df…``; another file is refused.
    """

    url: str
    name: str
    instead: str
    checksum: str | None = None

    @property
    def host(self) -> str:
        """Name of the server."""
        return urlsplit(self.url).netloc


class _LostError(Exception):
    """A failure after which the download is tried again; ``after`` is the wait in seconds that the server wants."""

    def __init__(self, reason: str, after: float | None = None) -> None:
        super().__init__(reason)
        self.after = after


def size_of(remote: Remote) -> int | None:
    """Ask the server for the size of a file; None if it does not say.

    Raises
    ------
    EmobenchError
        If the server cannot be reached.
    """
    import requests

    status(f"asking {remote.host} for the size of {remote.name}")
    try:
        with requests.head(remote.url, allow_redirects=True, timeout=TIMEOUT, headers=_IDENTITY) as response:
            return whole_number(response.headers.get("Content-Length")) if response.status_code == _OK else None
    except (requests.ConnectionError, requests.Timeout) as error:
        raise EmobenchError(
            f"{remote.url}: {remote.host} cannot be reached ({_kind(error)}); {remote.instead}."
        ) from error
    except requests.RequestException:
        return None


def fetch(remote: Remote, folder: Path) -> tuple[Path, str]:
    """Download a file, or continue its download, unless it is there.

    Parameters
    ----------
    remote : Remote
        The file.
    folder : Path
        Folder of the local file.

    Returns
    -------
    path : Path
        The complete file, which has the published checksum, if there is one.
    checksum : str
        This checksum, or else the SHA-256 of the file, as ``sha256:…``.

    Raises
    ------
    EmobenchError
        If the file cannot be downloaded or is not the published one. What has arrived is kept where it can be used.
    """
    import pooch

    pooch.get_logger().setLevel("WARNING")
    path = folder / remote.name
    if path.exists():
        status(f"checking {remote.name}")
    downloader = _Resuming(remote, folder)
    try:
        pooch.retrieve(remote.url, remote.checksum, remote.name, folder, downloader=downloader)
    except ValueError as error:
        downloader.forget()
        raise EmobenchError(
            f"{remote.url}: the file that the server sent does not have the published checksum {remote.checksum} and "
            f"was deleted. Rerun the command; if this persists, {remote.instead}."
        ) from error
    downloader.forget()
    if remote.checksum is None:
        status(f"checking {remote.name}")
    return path, remote.checksum or f"sha256:{sha256_file(path)}"


_IDENTITY = {"Accept-Encoding": "identity"}


class _Resuming:
    """Downloader for pooch that continues an interrupted download."""

    def __init__(self, remote: Remote, folder: Path) -> None:
        self._remote = remote
        self._path = folder / remote.name
        self._part = folder / f"{remote.name}.part"
        self._note = folder / f"{remote.name}.part.json"

    def __call__(self, fname: str, action: Any, pooch: Any = None, *, check_only: bool | None = None) -> None:
        """Download; ``fname`` is the URL and ``action`` the path of the file, by the names of pooch's protocol."""
        url, target = fname, Path(action)
        # Pooch's empty temporary file would remain if this process were killed. Another one, to which the whole part
        # was linked, remains if it was killed while pooch computed its hash.
        target.unlink(missing_ok=True)
        for stray in self._part.parent.glob("tmp*"):
            if self._part.exists() and stray.samefile(self._part):
                stray.unlink()
        if self._path.exists():
            getLogger("emobench").info(f"{self._path}: does not have the published checksum; downloading it again")
        lost = 0
        while True:
            before = self._size()
            try:
                self._receive(url)
                break
            except _LostError as error:
                lost = 1 if self._size() > before else lost + 1
                self._wait(error, lost)
        self._check_kind()
        status(f"checking {self._remote.name}")
        try:
            # The part stays until the hash, which takes minutes for large files, is checked.
            target.hardlink_to(self._part)
        except OSError:
            # Some file systems have no links.
            self._part.replace(target)

    def forget(self) -> None:
        """Delete the part, which is not needed any more or is not the published file."""
        self._part.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def _size(self) -> int:
        return self._part.stat().st_size if self._part.exists() else 0

    def _wait(self, error: _LostError, lost: int) -> None:
        """Wait until the next attempt, or give up."""
        wait = BACKOFF * 2 ** (lost - 1) if error.after is None else error.after
        if lost >= ATTEMPTS or wait > LONGEST_WAIT:
            again = f" The server asks to wait for {wait:.0f} s." if wait > LONGEST_WAIT else ""
            raise self._failed(
                f"{error}.{again} {size_shown(self._size())} are kept; rerun the command later to continue"
            ) from error
        getLogger("emobench").info(
            f"{self._remote.name}: {error} at {size_shown(self._size())}; trying again in {wait:.0f} s"
        )
        time.sleep(wait)

    def _receive(self, url: str) -> None:
        """Receive what is missing of the file."""
        import requests
        import urllib3

        try:
            with requests.get(url, headers=self._headers(), stream=True, timeout=TIMEOUT) as response:
                if not self._has_all(response):
                    self._write(response, self._begin(response))
        except (requests.ConnectionError, requests.Timeout, urllib3.exceptions.HTTPError) as error:
            raise _LostError(_kind(error)) from error
        except requests.RequestException as error:
            raise self._failed(f"{type(error).__name__}") from error

    def _headers(self) -> dict[str, str]:
        """Return the headers of a request for the rest of the file, if the part can be continued."""
        have, version = self._size(), self._version()
        # Without its version, only a checksum can tell that the file is still the same.
        if not have or not (version or self._remote.checksum):
            return _IDENTITY
        return _IDENTITY | {"Range": f"bytes={have}-"} | ({"If-Range": version} if version else {})

    def _version(self) -> str:
        with suppress(EmobenchError):
            note = read_json(self._note, "note on a partial download")
            return str(note.get("version", "")) if note.get("url") == self._remote.url else ""
        return ""

    def _has_all(self, response: requests.Response) -> bool:
        """Whether the part is the whole file, of the same version since ``If-Range`` was asked for."""
        whole = f"bytes */{self._size()}"
        return response.status_code == _UNSATISFIABLE and response.headers.get("Content-Range") == whole

    def _begin(self, response: requests.Response) -> int | None:
        """Prepare the part for a response; returns the size of the whole file, if known."""
        headers, have = response.headers, self._size()
        self._check_status(response)
        if response.status_code == _PARTIAL:
            found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", headers.get("Content-Range", ""))
            version = self._version()
            if found and int(found[1]) == have and (not version or _version_of(headers) in ("", version)):
                return int(found[2]) if found[2] != "*" else None
            self._part.unlink(missing_ok=True)
            raise _LostError("the server sent another part of the file than was asked for")
        # The server sends the whole file: nothing had arrived, the file has changed, or it cannot send parts.
        self._part.unlink(missing_ok=True)
        write_json(self._note, {"url": self._remote.url, "version": _version_of(headers)})
        return whole_number(headers.get("Content-Length"))

    def _check_status(self, response: requests.Response) -> None:
        code = response.status_code
        if code == _UNSATISFIABLE:
            # The part is longer than the file.
            self._part.unlink(missing_ok=True)
            raise _LostError("the server has no further part of the file")
        if code == _TOO_MANY or code >= 500:
            raise _LostError(f"the server answered with status {code}", retry_after(response.headers))
        if code not in (_OK, _PARTIAL):
            raise self._failed(f"the server answered with status {code} ({response.reason})")
        if response.headers.get("Content-Type", "").startswith("text/html"):
            raise self._failed("the server sent a web page instead of the file, such as a form to fill in")

    def _write(self, response: requests.Response, total: int | None) -> None:
        have = self._size()
        with (
            self._part.open("ab", buffering=0) as file,
            progress(description=self._remote.name, unit="B", total=total, scale=True) as bar,
        ):
            bar.initial = bar.n = have
            while chunk := response.raw.read1(_CHUNK):
                try:
                    file.write(chunk)
                except OSError as error:
                    error.filename = str(self._part)
                    raise
                bar.update(len(chunk))
                have += len(chunk)
        if total is not None and have < total:
            raise _LostError(f"only {have:,} of the {total:,} bytes that the server announced arrived")

    def _check_kind(self) -> None:
        """Refuse a file that is not an archive, although its name says so."""
        with self._part.open("rb") as file:
            start = file.read(16)
        magic = _MAGIC.get(Path(self._remote.name).suffix, b"")
        if not start.startswith(magic):
            self.forget()
            raise self._failed(f"the server sent something that is not an archive (it begins with {start!r})")

    def _failed(self, reason: str) -> EmobenchError:
        return EmobenchError(f"{self._remote.url}: {reason}; otherwise {self._remote.instead}.")


def _version_of(headers: Mapping[str, str]) -> str:
    """Return what identifies the version of a file in ``If-Range``: a strong ETag, or else the time of its change."""
    tag = headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else headers.get("Last-Modified", "")


def _kind(error: Exception) -> str:
    """Describe a failed connection in a few words."""
    import requests
    import urllib3

    if isinstance(error, (requests.Timeout, urllib3.exceptions.TimeoutError)):
        return f"no data for {TIMEOUT:g} s"
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not accepted"
    if "NameResolutionError" in repr(error):
        return "its name cannot be resolved; is there a network?"
    return "the connection was lost" if isinstance(error, urllib3.exceptions.HTTPError) else "no connection"


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Parse a ``Retry-After`` header, a number of seconds or a date (RFC 9110, section 10.2.3), to seconds."""
    value = headers.get("Retry-After", "")
    if (seconds := whole_number(value)) is not None:
        return float(seconds)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return None


def whole_number(text: str | None) -> int | None:
    """Parse the number in a header; None if there is none, or it is unreasonably large."""
    return int(text) if text and re.fullmatch(r"\s*[0-9]{1,18}\s*", text) else None
