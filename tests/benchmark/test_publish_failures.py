"""Releases that fail, each with one line, and rerunning the command."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Tiny = Callable[..., Path]


def _line(ran: Any, status: int) -> str:
    """Return the single line of an error."""
    assert ran.status == status, ran.err
    assert ran.err.startswith("emobench: ")
    assert len(ran.err.splitlines()) == 1, ran.err
    assert ran.out == ""
    return ran.err


def _released(ann: Any, name: str, folder: Path) -> None:
    """Rerun the command; it succeeds, with the complete release under its tag."""
    ran = ann.run("publish", "dataset", folder, name)
    assert ran.status == 0, ran.err
    repo = ann.hub.repos["dataset", name]
    for path in folder.rglob("*"):
        if path.is_file():
            inside = path.relative_to(folder).as_posix()
            assert ann.hub.content("dataset", name, "v1.0.0", inside) == path.read_bytes()
    assert repo.tags["v1.0.0"] == repo.branches["main"]


def test_stale_parent(ann: Any, tiny: Tiny) -> None:
    folder = tiny()

    def sneak(method: str, path: str) -> None:
        if (method, path) == ("POST", "/api/datasets/ann/stale/commit/main"):
            ann.hub.before = None
            ann.hub.add(ann.hub.repos["dataset", "ann/stale"], {"README.md": b"somebody was quicker"})

    ann.hub.before = sneak
    line = _line(ann.run("publish", "dataset", folder, "ann/stale"), 1)
    assert "another commit arrived in the meantime, so nothing was changed" in line
    repo = ann.hub.repos["dataset", "ann/stale"]
    assert repo.messages[repo.branches["main"]] == "by hand"
    assert repo.tags == {}
    _released(ann, "ann/stale", folder)
    assert repo.parents[repo.branches["main"]] is not None


def test_server_error_in_the_middle_of_an_upload(ann: Any, tiny: Tiny, failure: Any) -> None:
    folder = tiny(seed=11)
    ann.hub.failures.append(failure("PUT", "/storage/", 507))
    line = _line(ann.run("publish", "dataset", folder, "ann/middle"), 1)
    assert "the Hub failed with status 507" in line
    assert "Rerun the command later" in line
    repo = ann.hub.repos["dataset", "ann/middle"]
    assert len(repo.commits) == 1
    assert repo.tags == {}
    arrived = set(ann.hub.objects)
    ann.asked("PUT")
    _released(ann, "ann/middle", folder)
    sent = {path.removeprefix("/storage/") for path in ann.asked("PUT")}
    assert len(sent) >= 1
    assert not sent & arrived


def test_a_temporary_error_is_retried(ann: Any, tiny: Tiny, failure: Any) -> None:
    ann.hub.failures.append(failure("PUT", "/storage/", 503))
    _released(ann, "ann/passing", tiny(seed=12))
    assert ann.hub.failures[0].times == 0


@pytest.mark.parametrize(
    ("pattern", "late", "again"),
    [
        ("/commit/main", False, "released"),
        ("/commit/main", True, "already there, now tagged"),
        ("/tag/", False, "already there, now tagged"),
        ("/tag/", True, "already there, complete and unchanged"),
    ],
)
def test_an_answer_that_does_not_come(ann: Any, tiny: Tiny, failure: Any, pattern: str, late: bool, again: str) -> None:
    name = f"ann/lost{'-'.join(map(str, (pattern.strip('/')[:3], late)))}"
    ann.hub.failures.append(failure("POST", pattern, 500, late=late))
    assert "the Hub failed with status 500" in _line(ann.run("publish", "dataset", tiny(), name), 1)
    ran = ann.run("publish", "dataset", tiny(), name)
    assert ran.out.startswith(again), ran.err
    repo = ann.hub.repos["dataset", name]
    assert len(repo.commits) == 2
    assert repo.tags == {"v1.0.0": repo.branches["main"]}


def test_killed_in_the_middle(ann: Any, tiny: Tiny) -> None:
    folder = tiny(seed=13)
    first, gone = threading.Event(), threading.Event()

    def hold(method: str, path: str) -> None:
        # The first large file arrives; the others wait until the sender has been killed.
        if method == "PUT":
            if first.is_set():
                gone.wait(30)
            first.set()

    ann.hub.before = hold
    process = ann.alone("publish", "dataset", folder, "ann/killed")
    limit = time.monotonic() + 60
    while not any(path.startswith("/storage/") for _, path in list(ann.hub.log)) and time.monotonic() < limit:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    gone.set()
    ann.hub.before = None
    assert process.returncode == -signal.SIGKILL
    assert len(ann.hub.repos["dataset", "ann/killed"].commits) == 1
    _released(ann, "ann/killed", folder)


def test_tokens(ann: Any, tiny: Tiny) -> None:
    wrong = "hf_" + "wrong" * 5
    line = _line(ann.run("publish", "dataset", tiny(), "ann/tokens", HF_TOKEN=wrong), 2)
    assert "does not accept the token" in line
    assert "Set HF_TOKEN" in line
    assert wrong not in line
    line = _line(ann.run("publish", "dataset", tiny(), "ann/tokens", HF_TOKEN="hf_tökén"), 2)
    assert "HF_TOKEN: contains characters that no token has" in line
    assert "ö" not in line
    line = _line(ann.run("publish", "dataset", tiny(), "ann/tokens", HF_TOKEN=""), 2)
    assert "writing to the Hub needs a token and there is none. Set HF_TOKEN" in line
    assert ("dataset", "ann/tokens") not in ann.hub.repos


def test_repositories_of_others(ann: Any, tiny: Tiny) -> None:
    ann.hub.tokens["hf_" + "bob" * 8] = "bob"
    bob = {"HF_TOKEN": "hf_" + "bob" * 8}
    assert ann.run("publish", "dataset", tiny(), "bob/open", "--public", **bob).status == 0
    assert ann.run("publish", "dataset", tiny(), "bob/closed", **bob).status == 0
    # Neither a public nor a private repository of another user, nor a new one under their name.
    for name in ("bob/open", "bob/closed", "bob/new"):
        before = dict(ann.hub.repos)
        line = _line(ann.run("publish", "dataset", tiny(version="1.1.0", seed=1), name, "--public"), 2)
        assert f"datasets/{name}: forbidden" in line
        assert "Name a repository of your own" in line
        assert ann.hub.repos == before
    # Anyone may open a proposal to the public one.
    ran = ann.run("publish", "dataset", tiny(version="1.1.0", seed=1), "bob/open", "--create-pr", "--public")
    assert ran.out.startswith("proposed"), ran.err


def test_a_card_that_the_hub_refuses(ann: Any, tiny: Tiny, failure: Any) -> None:
    ann.hub.failures.append(failure("POST", "/api/validate-yaml", 400))
    line = _line(ann.run("publish", "dataset", tiny(), "ann/card"), 2)
    assert "datasets/ann/card: the Hub refuses it: Invalid metadata in README.md" in line
    assert len(ann.hub.repos["dataset", "ann/card"].commits) == 1


def test_offline(ann: Any, tiny: Tiny) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}"
    process = ann.alone("publish", "dataset", tiny(), "ann/offline", HF_ENDPOINT=nobody)
    out, err = process.communicate()
    assert (process.returncode, out) == (1, "")
    assert err.startswith(f"emobench: {nobody}: cannot be reached")
    assert "is this machine offline?" in err
    assert len(err.splitlines()) == 1
    process = ann.alone("publish", "dataset", tiny(), "ann/offline", HF_HUB_OFFLINE="1")
    assert "HF_HUB_OFFLINE is set" in process.communicate()[1]
    assert process.returncode == 1
