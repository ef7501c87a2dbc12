"""Publishing to public repositories, and proposals, which are made only once."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Tiny = Callable[..., Path]
BOB = {"HF_TOKEN": "hf_" + "bob" * 8}


def _public(ann: Any, tiny: Tiny, name: str) -> Any:
    """Create a public repository with a first version."""
    assert ann.run("publish", "dataset", tiny(), name, "--public").status == 0
    ann.asked()
    return ann.hub.repos["dataset", name]


def _refused(ran: Any, name: str) -> None:
    assert ran.status == 2, ran.err
    assert ran.err.startswith(f"emobench: {name}: this ")
    assert "repository is public" in ran.err
    assert "pass --public to confirm" in ran.err
    assert len(ran.err.splitlines()) == 1
    assert ran.out == ""


def test_nothing_is_sent_to_a_public_repository_by_default(ann: Any, tiny: Tiny) -> None:
    repo = _public(ann, tiny, "ann/seen")
    before = dict(repo.branches), dict(repo.tags)
    for options in ((), ("--no-tag",)):
        _refused(ann.run("publish", "dataset", tiny(version="1.1.0", seed=1), "ann/seen", *options), "ann/seen")
    assert ann.asked("POST", "PUT") == []
    assert (repo.branches, repo.tags, repo.pulls) == (*before, {})
    # A public version may still be looked up.
    assert ann.run("publish", "dataset", tiny(), "ann/seen").out.startswith("already there")
    assert ann.run("publish", "dataset", tiny(version="1.1.0", seed=1), "ann/seen", "--public").status == 0


def test_a_repository_that_was_created_public_in_between(ann: Any, tiny: Tiny) -> None:
    create = "import huggingface_hub as h\nvalue = str(h.create_repo('ann/race', repo_type='dataset', private=False))"
    ann.python(create)
    made = ann.hub.repos.pop(("dataset", "ann/race"))

    def sneak(method: str, path: str) -> None:
        if (method, path) == ("POST", "/api/repos/create"):
            ann.hub.before = None
            ann.hub.repos["dataset", "ann/race"] = made

    ann.hub.before = sneak
    _refused(ann.run("publish", "dataset", tiny(), "ann/race"), "ann/race")
    assert len(made.commits) == 1


def test_a_dry_run_says_that_a_repository_is_public(ann: Any, tiny: Tiny) -> None:
    _public(ann, tiny, "ann/dryseen")
    command = ("publish", "dataset", tiny(version="1.1.0", seed=1), "ann/dryseen", "--dry-run")
    for token in ({}, {"HF_TOKEN": ""}):
        ran = ann.run(*command, **token)
        assert ran.status == 0
        assert ran.err.startswith("would be refused: ann/dryseen: this dataset repository is public")
        assert len(ran.err.splitlines()) == 1
        assert ran.out.startswith("would go to the dataset ann/dryseen")
    (listed,) = json.loads(ann.run(*command, "--json").out)
    assert "is public" in listed["refused"]
    ran = ann.run(*command, "--public")
    assert (ran.status, ran.err) == (0, "")
    assert ann.asked("POST", "PUT") == []
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}"
    process = ann.alone(*command, HF_ENDPOINT=nobody)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0
    assert out.startswith("would go to")
    assert err.startswith(f"whether ann/dryseen is public could not be looked up: {nobody}: cannot be reached")


def test_a_public_space_of_a_private_board(ann: Any, ran: Path) -> None:
    ann.python(
        "import huggingface_hub as h\nh.create_repo('ann/shown', repo_type='space', space_sdk='static')\nvalue=1"
    )
    ann.asked()
    outcome = ann.run("publish", "leaderboard", "ann/hidden", "--results", ran, "--space", "ann/shown")
    _refused(outcome, "ann/shown")
    # Detected before the results are sent.
    assert ("dataset", "ann/hidden") not in ann.hub.repos
    assert ann.asked("POST", "PUT") == []


@pytest.fixture
def bob(ann: Any) -> dict[str, str]:
    """The environment of another user."""
    ann.hub.tokens[BOB["HF_TOKEN"]] = "bob"
    return BOB


def test_the_same_proposal_is_made_once(ann: Any, tiny: Tiny, bob: dict[str, str]) -> None:
    repo = _public(ann, tiny, "ann/once")
    command = ("publish", "dataset", tiny(version="1.1.0", seed=1), "ann/once", "--create-pr", "--public")
    # There are proposals of others, and others of bob, before and after this one.
    assert ann.run("publish", "dataset", tiny(version="1.2.0", seed=2), *command[3:], **bob).status == 0
    assert ann.run(*command, **bob).out.startswith("proposed")
    for seed in (3, 4, 5):
        assert ann.run("publish", "dataset", tiny(version=f"1.{seed}.0", seed=seed), *command[3:], **bob).status == 0
    assert ann.run(*command).out.startswith("proposed")
    assert len(repo.pulls) == 6
    ann.asked()
    again = ann.run(*command, **bob)
    assert again.status == 0, again.err
    address = f"{ann.hub.endpoint}/datasets/ann/once/discussions/2"
    assert again.out.startswith(f"nothing was sent: an open pull request has the same content, {address} ")
    assert ann.asked("POST", "PUT") == []
    assert len(repo.pulls) == 6
    (message,) = json.loads(ann.run(*command, "--json", **bob).out)
    assert (message["state"], message["pull_request"], message["commit"]) == ("pending", address, repo.pulls[2])
    # Once it is closed, the same content may be proposed again.
    repo.proposed[2]["status"] = "closed"
    assert ann.run(*command, **bob).out.startswith("proposed")
    assert len(repo.pulls) == 7


def test_a_proposal_whose_answer_was_lost(ann: Any, tiny: Tiny, failure: Any) -> None:
    repo = _public(ann, tiny, "ann/lostpr")
    command = ("publish", "dataset", tiny(version="1.1.0", seed=1), "ann/lostpr", "--create-pr", "--public")
    ann.hub.failures.append(failure("POST", "/commit/main", 500, late=True))
    assert ann.run(*command).status == 1
    assert ann.run(*command).out.startswith("nothing was sent: an open pull request has the same content")
    assert len(repo.pulls) == 1


def test_entries_that_are_proposed_already(ann: Any, ran: Path, tmp_path: Path) -> None:
    shutil.copytree(ran, tmp_path / "results")
    for path in (tmp_path / "results").glob("*/good*"):
        path.unlink()
    first = ann.run("publish", "leaderboard", "ann/rows", "--results", tmp_path / "results", "--public", "--space", "")
    assert first.status == 0, first.err
    # A proposal to a public repository is deliberate: it is reported, not refused.
    command = ("publish", "leaderboard", "ann/rows", "--results", ran, "--create-pr")
    proposed = ann.run(*command)
    assert proposed.out.startswith("proposed")
    assert "ann/rows is public: everyone can see this pull request." in proposed.out
    assert ann.run(*command).out.startswith("nothing was sent: an open pull request has the same content")
    assert len(ann.hub.repos["dataset", "ann/rows"].pulls) == 1
