"""A small Hub on loopback: repositories, commits, tags and pull requests over the HTTP interface of huggingface_hub.

Contents are stored by hash: large files (everything that is not text) by SHA-256 as in LFS, small ones by the SHA-1 of
their git blob. A commit on a stale parent is answered with 412, an existing tag with 409. Tests inspect
:class:`HubServer` and make it fail; the programs that talk to it run in separate processes.
"""

from __future__ import annotations

import hashlib
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from hub_handler import Handler
from hub_store import Entry, Failure, Repo


class HubServer(ThreadingHTTPServer):
    """The Hub.

    Attributes
    ----------
    tokens : dict
        Token to the user's name.
    repos : dict
        (kind, name) to repository.
    objects : dict
        Hash to content.
    log : list of (str, str)
        Method and path of every request.
    failures : list of Failure
        Failures to produce.
    before : callable or None
        Called with method and path before each request is answered.
    lacking : (str, str) or None
        Pattern of a path, and the field or header to omit from its answers.
    altered : callable or None
        Called with the path and the body of each answer; returns the body to send under the same headers. After a
        shorter one the connection is closed.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.lock = threading.RLock()
        self.tokens: dict[str, str] = {}
        self.repos: dict[tuple[str, str], Repo] = {}
        self.objects: dict[str, bytes] = {}
        self.log: list[tuple[str, str]] = []
        self.failures: list[Failure] = []
        self.before: Callable[[str, str], None] | None = None
        self.lacking: tuple[str, str] | None = None
        self.altered: Callable[[str, bytes], bytes] | None = None

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def add(self, repo: Repo, changes: dict[str, bytes], message: str = "by hand") -> str:
        """Commit to ``main`` as somebody else."""
        head = repo.branches.get("main")
        files = dict(repo.commits[head]) if head else {}
        files |= {path: self.keep(content) for path, content in changes.items()}
        repo.branches["main"] = repo.commit(files, head, message)
        return repo.branches["main"]

    def keep(self, content: bytes) -> Entry:
        """Store a small file."""
        oid = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        self.objects[oid] = content
        return Entry(oid, len(content))

    def keep_large(self, sha256: str, size: int) -> Entry:
        """Return the entry of a large file that was uploaded."""
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()
        return Entry(hashlib.sha1(b"blob %d\0" % len(pointer) + pointer).hexdigest(), size, sha256)

    def content(self, kind: str, name: str, revision: str, path: str) -> bytes:
        """Return the bytes of a file."""
        repo = self.repos[kind, name]
        entry = repo.commits[str(repo.resolve(revision))][path]
        return self.objects[entry.sha256 or entry.oid]


@contextmanager
def serving() -> Iterator[HubServer]:
    """Serve a Hub while the block runs."""
    server = HubServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
