"""A fake of 7digital's clip endpoint that verifies signatures with oauthlib, and misbehaves on request."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from oauthlib.oauth1 import RequestValidator, SignatureOnlyEndpoint

KEY, SECRET = "keyofatest", "secretofatest"


class Validator(RequestValidator):
    """Accept one client, and each nonce once."""

    enforce_ssl = False  # pyright: ignore[reportAssignmentType]
    client_key_length = (3, 60)  # pyright: ignore[reportAssignmentType]
    nonce_length = (10, 60)  # pyright: ignore[reportAssignmentType]
    dummy_client = "nobody"  # pyright: ignore[reportAssignmentType]

    def __init__(self) -> None:
        super().__init__()
        self._seen: set[tuple[str, str]] = set()

    def validate_client_key(self, client_key: str, request: Any) -> bool:
        return client_key == KEY

    def get_client_secret(self, client_key: str, request: Any) -> str:
        return SECRET

    def validate_timestamp_and_nonce(
        self,
        client_key: str,
        timestamp: str,
        nonce: str,
        request: Any,
        request_token: Any = None,
        access_token: Any = None,
    ) -> bool:
        fresh = (timestamp, nonce) not in self._seen
        self._seen.add((timestamp, nonce))
        return fresh and abs(time.time() - int(timestamp)) < 300


class PreviewServer:
    """Responds to ``/clip/<id>``; ``behave[id]`` lists a behaviour for each request, of which the last one repeats.

    Behaviours: ``ok``, a status such as ``404`` or ``500``, ``429:2`` and ``429:date`` (with ``Retry-After``),
    ``drip``, ``slow``, ``truncated``, ``whole`` and ``cut`` (without a length), ``html``, ``refused`` (XML with
    status 200), ``reset``, ``huge``, ``empty``, ``damaged``, ``loop``, ``again`` (a redirect within the host), ``away``
    (to ``other``), ``file``, and ``to`` with an address.
    """

    def __init__(self, clip: bytes, other: PreviewServer | None = None) -> None:
        self.clip, self.other = clip, other
        self.behave: dict[str, list[str]] = {}
        self.requests: list[tuple[float, str, dict[str, list[str]], dict[str, str]]] = []
        self.refused = 0
        self.busy = self.busiest = 0
        self._lock = threading.Lock()
        self._endpoint = SignatureOnlyEndpoint(Validator())
        handler = type("Handler", (_Handler,), {"owner": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def asked(self, clip: str) -> int:
        return sum(path.endswith(f"/{clip}") for _, path, _, _ in self.requests)

    def signed(self, handler: BaseHTTPRequestHandler) -> bool:
        with self._lock:
            valid, _ = self._endpoint.validate_request(f"{self.url}{handler.path}", "GET", None, dict(handler.headers))
        return valid

    def manner(self, clip: str) -> str:
        with self._lock:
            manners = self.behave.get(clip, ["ok"])
            return manners.pop(0) if len(manners) > 1 else manners[0]


class _Handler(BaseHTTPRequestHandler):
    owner: PreviewServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        owner, parts = self.owner, urlsplit(self.path)
        query = parse_qs(parts.query)
        owner.requests.append(
            (time.time(), parts.path, query, {name.lower(): text for name, text in self.headers.items()})
        )
        owner.busy += 1
        owner.busiest = max(owner.busiest, owner.busy)
        try:
            clip = parts.path.rsplit("/", 1)[-1]
            # Other paths need no signature, as on a content delivery network.
            if parts.path.startswith("/clip/") and not owner.signed(self):
                owner.refused += 1
                self._send(401, b"no")
                return
            self._answer(clip, owner.manner(clip))
        except (BrokenPipeError, ConnectionResetError):
            pass
        finally:
            owner.busy -= 1

    def _answer(self, clip: str, manner: str) -> None:
        owner = self.owner
        answers: dict[str, Callable[[], None]] = {
            "ok": lambda: self._send(200, owner.clip, kind="audio/mpeg"),
            "damaged": lambda: self._send(200, owner.clip[:5000] + bytes(800) + owner.clip[5800:], kind="audio/mpeg"),
            "html": lambda: self._send(200, b"<html><body>Log in to the network</body></html>", kind="text/html"),
            "refused": lambda: self._send(
                200, b'<?xml version="1.0"?><response status="error"><error code="1001"><errorMessage>no</errorMessage>'
            ),
            "empty": lambda: self._send(200, b""),
            "huge": lambda: self._send(200, owner.clip * 40),
            "drip": self._drip,
            "truncated": lambda: self._send(200, owner.clip[: len(owner.clip) // 2], promised=len(owner.clip)),
            "cut": lambda: self._send(200, owner.clip[: len(owner.clip) // 2], promised=None),
            "whole": lambda: self._send(200, owner.clip, promised=None),
            "slow": lambda: (time.sleep(0.2), self._send(200, owner.clip))[1],
            "reset": self._reset,
            "loop": lambda: self._redirect(self.path),
            "again": lambda: self._redirect(f"/clip/x/{clip}?country=SE"),
            "away": lambda: self._redirect(
                f"{owner.other.url if owner.other else ''}/clip-of/{clip}?{urlsplit(self.path).query}"
            ),
            "file": lambda: self._redirect("file:///etc/passwd"),
        }
        if manner in answers:
            answers[manner]()
            return
        if manner.startswith("to "):
            self._redirect(manner[3:])
            return
        status, _, after = manner.partition(":")
        headers = (
            {"Retry-After": formatdate(time.time() + 2, usegmt=True) if after == "date" else after} if after else {}
        )
        self._send(int(status), b"<html>no</html>", headers=headers)

    def _send(
        self,
        status: int,
        body: bytes,
        *,
        kind: str = "text/html",
        promised: int | None = -1,
        headers: dict[str, str] | None = None,
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if promised is not None:
            self.send_header("Content-Length", str(len(body) if promised < 0 else promised))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if promised is None or promised > len(body):
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        self.wfile.write(body)

    def _redirect(self, address: str) -> None:
        self._send(302, b"", headers={"Location": address, "Set-Cookie": "crumb=1"})

    def _drip(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.owner.clip)))
        self.end_headers()
        for byte in self.owner.clip[:200]:
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            time.sleep(0.05)

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True
