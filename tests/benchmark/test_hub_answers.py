"""A Hub that does not answer, limits the rate of requests, gives unexpected answers, or has moved tags."""

from __future__ import annotations

import hashlib
import re
import socket
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from emobench.cards import hub_client
from emobench.cards.hub_client import RateLimitError, retry_after

Tiny = Callable[..., Path]


def _line(ran: Any, status: int) -> str:
    """Return the single line of an error."""
    assert ran.status == status, ran.err
    assert ran.err.startswith("emobench: ")
    assert len(ran.err.splitlines()) == 1, ran.err
    assert "Traceback" not in ran.err
    assert ran.out == ""
    return ran.err


def test_a_server_that_never_answers(ann: Any, tiny: Tiny) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=50) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        short = {"HF_ENDPOINT": endpoint, "HF_HUB_DOWNLOAD_TIMEOUT": "1", "HF_HUB_ETAG_TIMEOUT": "1"}
        commands = [
            ("publish", "dataset", tiny(), "ann/silent"),
            ("run", "-f", "constant", "--dataset", "hf://ann/silent"),
            ("run", "-f", "constant", "--dataset", "hf://ann/silent@v1.0.0"),
        ]
        for command in commands:
            process = ann.alone(*command, **short)
            try:
                out, err = process.communicate(timeout=60)
            finally:
                process.kill()
            assert (process.returncode, out) == (1, ""), err
            assert err.startswith(f"emobench: {endpoint}: does not answer"), err
            assert "Rerun the command to resume" in err
            assert len(err.splitlines()) == 1


@pytest.mark.parametrize("stuck", ["/refs$", "/preupload/", "/storage/", "/commit/main$", "/tag/"])
def test_a_server_that_stops_answering(ann: Any, tiny: Tiny, stuck: str) -> None:
    name, folder, released = f"ann/stuck{stuck.strip('/$')[:3]}", tiny(seed=20 + len(stuck)), threading.Event()

    def hold(method: str, path: str) -> None:
        if re.search(stuck, path):
            released.wait(30)

    ann.hub.before = hold
    started = time.monotonic()
    ran = ann.run("publish", "dataset", folder, name, HF_HUB_DOWNLOAD_TIMEOUT="1")
    assert time.monotonic() - started < 20
    released.set()
    ann.hub.before = None
    assert "does not answer (waited 1 s; HF_HUB_DOWNLOAD_TIMEOUT sets this)" in _line(ran, 1)
    time.sleep(0.2)
    again = ann.run("publish", "dataset", folder, name)
    assert again.status == 0, again.err
    repo = ann.hub.repos["dataset", name]
    assert repo.tags == {"v1.0.0": repo.branches["main"]}


def test_a_slow_server_and_a_slow_upload_are_waited_for(ann: Any, tiny: Tiny) -> None:
    ann.hub.before = lambda method, path: time.sleep(0.4)
    started = time.monotonic()
    ran = ann.run("publish", "dataset", tiny(seed=30), "ann/slow", HF_HUB_DOWNLOAD_TIMEOUT="1")
    assert ran.status == 0, ran.err
    assert time.monotonic() - started > 2
    ann.hub.before = None
    content = b"x" * 1000 * 6
    sha = hashlib.sha256(content).hexdigest()
    status = ann.python(
        "import os, time, huggingface_hub\n"
        "from emobench.cards import hub_client\n"
        "hub_client.install()\n"
        "os.environ['HF_HUB_DOWNLOAD_TIMEOUT'] = '1'\n"
        "def pieces():\n"
        "    for _ in range(6):\n"
        "        time.sleep(0.4)\n"
        "        yield b'x' * 1000\n"
        f"answer = huggingface_hub.get_session().put('{ann.hub.endpoint}/storage/{sha}', content=pieces())\n"
        "value = answer.status_code\n"
    )
    assert status == 200
    assert ann.hub.objects[sha] == content


@pytest.mark.parametrize(
    ("method", "pattern"), [("GET", "/refs$"), ("POST", "/preupload/"), ("POST", "/commit/"), ("PUT", "/storage/")]
)
def test_a_rate_limit_is_waited_for(ann: Any, tiny: Tiny, failure: Any, method: str, pattern: str) -> None:
    name = f"ann/limited{pattern.strip('/$')[:3]}"
    ann.hub.failures.append(failure(method, pattern, 429, headers={"Retry-After": "1"}))
    ran = ann.run("publish", "dataset", tiny(seed=40 + len(pattern)), name)
    assert ran.status == 0, ran.err
    assert ann.hub.failures[0].times == 0


@pytest.mark.parametrize("pattern", ["/refs$", "/commit/"])
def test_a_rate_limit_that_lasts(ann: Any, tiny: Tiny, failure: Any, pattern: str) -> None:
    ann.hub.failures.append(
        failure("GET" if "refs" in pattern else "POST", pattern, 429, headers={"Retry-After": "3600"})
    )
    started = time.monotonic()
    line = _line(ann.run("publish", "dataset", tiny(), f"ann/lasting{len(pattern)}"), 1)
    assert time.monotonic() - started < 20
    assert f"{ann.hub.endpoint}: the rate limit is reached (HTTP 429); rerun the command in 60 minutes." in line
    assert "failure of its own" not in line


def test_a_rate_limit_while_reading(ann: Any, tiny: Tiny, failure: Any) -> None:
    assert ann.run("publish", "dataset", tiny(), "ann/limitedread").status == 0
    headers = {"RateLimit": '"resolvers";r=0;t=600'}
    ann.hub.failures.append(failure("GET", "/resolve/", 429, headers=headers))
    line = _line(ann.run("run", "-f", "constant", "--dataset", "hf://ann/limitedread@main"), 1)
    assert "the rate limit is reached (HTTP 429); rerun the command in 11 minutes" in line


def test_waiting_times() -> None:
    assert retry_after({"Retry-After": "7"}) == 7
    assert retry_after({"RateLimit": '"api";r=0;t=55'}) == 56
    assert retry_after({"RateLimit": '"api";r=3;t=55'}) is None
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    assert 85 < (retry_after({"Retry-After": later}) or 0) <= 90
    assert retry_after({"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"}) == 0
    for nonsense in ("soon", "-5", "1e9", ""):
        assert retry_after({"Retry-After": nonsense}) is None


def test_waits_are_bounded_without_a_header(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    hub_client.install()
    waited: list[float] = []
    monkeypatch.setattr(hub_client.time, "sleep", waited.append)
    asked = threading.Event()

    def answer(listener: socket.socket) -> None:
        while not asked.is_set():
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=answer, args=(listener,), daemon=True).start()
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(RateLimitError, match=rf"{address}: the rate limit is reached .* in a few minutes"):
            huggingface_hub.get_session().get(f"{address}/api/x")
        asked.set()
        with socket.create_connection(listener.getsockname()):
            pass
    assert len(waited) >= 3
    assert waited == sorted(waited)
    assert sum(waited) <= hub_client.LONGEST_WAIT


@pytest.mark.parametrize(
    ("pattern", "field", "message"),
    [
        ("^/api/datasets/ann/[^/]+$", "sha", "no sha in it"),
        ("^/api/datasets/ann/[^/]+$", "private", "no private in it"),
        ("/refs", "tags", "no tags in it"),
        ("/refs", "targetCommit", "no targetCommit in it"),
        ("/refs", "[]", ""),
        ("/tree/", "oid", "no oid in it"),
        ("/tree/", "path", "no path in it"),
        ("/api/repos/create", "url", "no url in it"),
        ("/preupload/", "uploadMode", ""),
        ("/objects/batch", "objects", ""),
        ("/commit/main", "commitOid", "no commitOid in it"),
        ("/validate-yaml", "[]", ""),
    ],
)
def test_an_answer_that_lacks_a_field(ann: Any, tiny: Tiny, pattern: str, field: str, message: str) -> None:
    name = f"ann/lacks{hashlib.sha1((pattern + field).encode()).hexdigest()[:6]}"
    ann.hub.lacking = (pattern, field)
    line = _line(ann.run("publish", "dataset", tiny(seed=50), name), 1)
    assert f"emobench: {ann.hub.endpoint}: the answer to " in line
    assert "was not understood (" in line
    assert message in line
    ann.hub.lacking = None
    assert ann.run("publish", "dataset", tiny(seed=50), name).status == 0


@pytest.mark.parametrize(
    ("pattern", "field"), [("/whoami", "name"), ("/discussions", "count"), ("/commit/", "pullRequestUrl")]
)
def test_an_answer_about_proposals_that_lacks_a_field(ann: Any, tiny: Tiny, pattern: str, field: str) -> None:
    assert ann.run("publish", "dataset", tiny(), "ann/lackspr").status == 0
    ann.hub.lacking = (pattern, field)
    command = ("publish", "dataset", tiny(version="1.1.0", seed=1), "ann/lackspr", "--create-pr")
    line = _line(ann.run(*command), 1)
    assert f"was not understood (no {field} in it)" in line


@pytest.mark.parametrize("field", ["X-Repo-Commit", "ETag"])
def test_a_download_that_lacks_a_header(ann: Any, tiny: Tiny, field: str) -> None:
    if ("dataset", "ann/headers") not in ann.hub.repos:
        assert ann.run("publish", "dataset", tiny(seed=51), "ann/headers").status == 0
    ann.hub.lacking = ("/resolve/", field)
    line = _line(ann.run("run", "-f", "constant", "--dataset", "hf://ann/headers@main"), 1)
    assert f"emobench: {ann.hub.endpoint}: the answer to HEAD /datasets/ann/headers/resolve/main/manifest.json" in line
    assert "was not understood" in line


def test_a_moved_tag_is_reported_to_readers(ann: Any, tiny: Tiny) -> None:
    assert ann.run("publish", "dataset", tiny(seed=60), "ann/moved").status == 0
    named = ("run", "-f", "constant", "--dataset", "hf://ann/moved@v1.0.0", "--json", "--out", "moved")
    first = ann.run(*named)
    assert (first.status, first.err) == (0, "")
    repo = ann.hub.repos["dataset", "ann/moved"]
    old = repo.tags["v1.0.0"]
    repo.tags["v1.0.0"] = new = ann.hub.add(repo, {"LICENSE": b"another one"})
    ran = ann.run(*named)
    assert ran.status == 0, ran.err
    assert ran.err.startswith("emobench: warning: hf://ann/moved@v1.0.0: the tag v1.0.0 has been moved from commit ")
    assert old in ran.err
    assert new in ran.err
    assert len(ran.err.splitlines()) == 1
    assert f'"commit": "{new}"' in ran.out
    # A branch may move.
    assert ann.run("run", "-f", "constant", "--dataset", "hf://ann/moved@main").status == 0
    ann.hub.add(repo, {"LICENSE": b"a third one"})
    assert ann.run("run", "-f", "constant", "--dataset", "hf://ann/moved@main").err == ""


def test_a_moved_tag_is_reported_to_its_publisher(ann: Any, tiny: Tiny) -> None:
    folder = tiny(seed=61)
    assert ann.run("publish", "dataset", folder, "ann/movedtag").status == 0
    repo = ann.hub.repos["dataset", "ann/movedtag"]
    old = repo.tags["v1.0.0"]
    repo.tags["v1.0.0"] = new = ann.hub.add(repo, {"LICENSE": b"another one"})
    ran = ann.run("publish", "dataset", folder, "ann/movedtag")
    assert ran.status == 0
    assert f"warning: the tag v1.0.0 has been moved from commit {old[:12]} to {new[:12]}" in ran.out
    # On other content it is refused, even if no tag is requested.
    repo.tags["v1.0.0"] = ann.hub.add(repo, {"manifest.json": b"{}"})
    for options in ((), ("--no-tag",), ("--create-pr",)):
        line = _line(ann.run("publish", "dataset", folder, "ann/movedtag", *options), 2)
        assert "v1.0.0 exists with other content (manifest.json differs)" in line or "contains the dataset" in line
