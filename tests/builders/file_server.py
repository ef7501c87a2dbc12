"""A loopback server of files that misbehaves on request and counts what it sends, and archives to serve."""

from __future__ import annotations

import io
import re
import tarfile
import threading
import time
import zipfile
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Request:
    """A request and the answer to it."""

    method: str
    path: str
    range: str | None
    if_range: str | None
    status: int = 0
    sent: int = 0


@dataclass
class FileServer:
    """Serve ``files`` by path.

    ``manners`` has, by path, one manner per GET request; the last one stays. Without one the file is sent.

    - ``drop:N``: send N bytes of what was asked for, and close the connection
    - ``stall:N``: send N bytes and nothing more, until the client hangs up
    - ``more:N``, ``less:N``: announce N bytes more or less than the file has
    - ``shift``: send the part that begins one byte later than was asked for
    - ``whole``: ignore ``Range``
    - ``chunked``, ``chunked-drop:N``: without a size, ``Range`` or version, as GitHub sends archives
    - ``html``: a web page instead of the file, with status 200
    - ``slow``: 64 kB at a time with pauses
    - ``404``, ``429:2`` (with Retry-After), …: a status
    """

    files: dict[str, bytes]
    etags: dict[str, str] = field(default_factory=dict)
    manners: dict[str, list[str]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    heads: bool = True

    def __post_init__(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"owner": self}))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def gets(self, path: str = "") -> list[Request]:
        return [each for each in self.requests if each.method == "GET" and each.path.endswith(path)]

    def manner(self, path: str) -> str:
        manners = self.manners.get(path, [])
        return manners.pop(0) if len(manners) > 1 else manners[0] if manners else ""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: FileServer

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        if self._noted().path in self.owner.files and self.owner.heads:
            self._begin(200, {"Content-Length": str(len(self.owner.files[self.path]))})
        else:
            self._begin(404 if self.owner.heads else 405, {"Content-Length": "0"})

    def do_GET(self) -> None:
        noted, manner, body = self._noted(), self.owner.manner(self.path), self.owner.files.get(self.path)
        kind, _, value = manner.partition(":")
        if kind.isdigit() or body is None:
            headers = {"Retry-After": value} if value else {}
            self._begin(int(kind or 404), {"Content-Length": "2", **headers})
            self.wfile.write(b"no")
            return
        if kind == "html":
            body = b"<!DOCTYPE html><title>Please sign in</title>"
            self._begin(200, {"Content-Length": str(len(body)), "Content-Type": "text/html; charset=utf-8"})
            self.wfile.write(body)
            return
        if kind.startswith("chunked"):
            self._chunked(body, int(value) if value else None)
            return
        status, part, headers = 200, body, {}
        etag = self.owner.etags.get(self.path, "")
        match = re.fullmatch(r"bytes=(\d+)-", noted.range or "")
        if match and kind != "whole" and noted.if_range in (None, etag):
            start, size = int(match[1]) + (kind == "shift"), len(body)
            if start >= size:
                self._begin(416, {"Content-Range": f"bytes */{size}", "Content-Length": "0"})
                return
            status, part = 206, body[start:]
            headers["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
        if etag:
            headers["ETag"] = etag
        lie = {"more": 1, "less": -1}.get(kind, 0) * int(value or 0)
        self._begin(status, {"Content-Length": str(len(part) + lie), **headers})
        self._send(part, kind, int(value or 0), lie)

    def _send(self, part: bytes, kind: str, value: int, lie: int) -> None:
        part = part[:value] if kind in ("drop", "stall") else part[: len(part) + min(lie, 0)]
        self._noted_last.sent += len(part)
        try:
            if kind == "slow":
                for start in range(0, len(part), 2**16):
                    self.wfile.write(part[start : start + 2**16])
                    time.sleep(0.05)
            else:
                self.wfile.write(part)
            self.wfile.flush()
            if kind == "stall":
                self.connection.settimeout(20)
                self.connection.recv(1)
        except OSError:
            pass
        self.close_connection |= kind in ("drop", "stall", "more", "less")

    def _chunked(self, body: bytes, most: int | None) -> None:
        self._begin(200, {"Transfer-Encoding": "chunked"})
        for start in range(0, len(body if most is None else body[:most]), 1000):
            chunk = body[start : start + 1000]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        if most is None:
            self.wfile.write(b"0\r\n\r\n")
        self.close_connection = True

    def _noted(self) -> Request:
        self._noted_last = Request(self.command, self.path, self.headers["Range"], self.headers["If-Range"])
        self.owner.requests.append(self._noted_last)
        return self._noted_last

    def _begin(self, status: int, headers: dict[str, str]) -> None:
        self._noted_last.status = status
        self.send_response(status)
        for name, value in ({"Content-Type": "application/octet-stream"} | headers).items():
            self.send_header(name, value)
        self.end_headers()


def zipped(members: dict[str, bytes], kind: int = zipfile.ZIP_STORED) -> bytes:
    with zipfile.ZipFile(made := io.BytesIO(), "w", kind) as file:
        for name, content in members.items():
            file.writestr(zipfile.ZipInfo(name), content, compress_type=kind)
    return made.getvalue()


def tarred(files: dict[str, bytes]) -> bytes:
    with tarfile.open(fileobj=(made := io.BytesIO()), mode="w:gz") as file:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return made.getvalue()
