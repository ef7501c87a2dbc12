"""Storage of the small Hub of the tests: repositories with their commits, and the check of cards."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import Any

import yaml

LICENSES = {"apache-2.0", "cc0-1.0", "cc-by-4.0", "mit", "other", "unknown"}
SIZES = {"n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M"}
COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}


@dataclass(frozen=True)
class Entry:
    """A file at a commit: the SHA-1 of its blob, its size, and its SHA-256 if it is large."""

    oid: str
    size: int
    sha256: str | None = None

    def item(self, path: str) -> dict[str, Any]:
        """Return the entry as it appears in listings."""
        large = {"lfs": {"oid": self.sha256, "size": self.size, "pointerSize": 130}} if self.sha256 else {}
        return {"type": "file", "path": path, "oid": self.oid, "size": self.size, **large}


@dataclass
class Repo:
    """A repository: commits by id, and the references to them."""

    kind: str
    name: str
    private: bool
    sdk: str | None = None
    commits: dict[str, dict[str, Entry]] = field(default_factory=dict)
    parents: dict[str, str | None] = field(default_factory=dict)
    messages: dict[str, str] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    pulls: dict[int, str] = field(default_factory=dict)
    proposed: dict[int, dict[str, Any]] = field(default_factory=dict)

    def resolve(self, revision: str) -> str | None:
        """Return the commit of a branch, tag, pull request or commit id."""
        if revision.startswith("refs/pr/"):
            return self.pulls.get(int(revision.removeprefix("refs/pr/")))
        found = self.branches.get(revision) or self.tags.get(revision)
        return found or (revision if revision in self.commits else None)

    def discussions(self, query: dict[str, list[str]]) -> list[dict[str, Any]]:
        """Return pull requests, newest first, filtered as on the Hub."""
        shown = []
        for number, facts in sorted(self.proposed.items(), reverse=True):
            if all(facts[key] == query.get(key, [facts[key]])[0] for key in ("author", "status")):
                about = {"repo": {"name": self.name, "type": self.kind}, "isPullRequest": True, "num": number}
                author = {"name": facts["author"]}
                shown.append({**about, **facts, "author": author, "createdAt": "2026-01-01T00:00:00.000Z"})
        return shown

    def commit(self, files: dict[str, Entry], parent: str | None, message: str) -> str:
        """Store a commit; its id is a hash of its content."""
        whole = json.dumps([{path: vars(entry) for path, entry in sorted(files.items())}, parent, message])
        oid = hashlib.sha1(f"{len(self.commits)} {whole}".encode()).hexdigest()
        self.commits[oid], self.parents[oid], self.messages[oid] = files, parent, message
        return oid


@dataclass
class Failure:
    """A wrong answer that is given to a number of matching requests.

    ``late``: the request is carried out all the same, and only its answer is lost.
    """

    method: str
    pattern: str
    status: int
    times: int = 1
    late: bool = False
    headers: dict[str, str] = field(default_factory=dict)

    def meets(self, method: str, path: str) -> bool:
        """Return whether this answer is given to a request."""
        return self.times > 0 and self.method == method and re.search(self.pattern, path) is not None


def without(content: Any, name: str) -> Any:
    """Return JSON without a field, at any depth; ``[]`` replaces the whole value."""
    if name == "[]":
        return []
    if isinstance(content, dict):
        return {key: without(value, name) for key, value in content.items() if key != name}
    return [without(each, name) for each in content] if isinstance(content, list) else content


def card_problems(content: str, kind: str) -> list[str]:
    """Return the problems that the Hub would find in the YAML of a card, by its documented rules."""
    match = re.match(r"\s*---\r?\n(.*?)\r?\n---", content, re.DOTALL)
    if match is None:
        return ["the card has no metadata"]
    try:
        data = yaml.safe_load(match[1])
    except yaml.YAMLError as error:
        return [f"not YAML: {error}"]
    problems = []
    if kind == "space":
        if data.get("sdk") not in ("static", "gradio", "docker"):
            problems.append('"sdk" must be one of [static, gradio, docker]')
        problems += [f'"{name}" must be a colour' for name in ("colorFrom", "colorTo") if data.get(name) not in COLOURS]
        return problems
    if data.get("license") not in LICENSES:
        problems.append(f'"license" must be one of {sorted(LICENSES)}')
    if not set(data.get("size_categories", [])) <= SIZES:
        problems.append(f'"size_categories" must be among {sorted(SIZES)}')
    for config in data.get("configs", []):
        if not isinstance(config.get("config_name"), str) or not config.get("data_files"):
            problems.append('"configs" must each have config_name and data_files')
    return problems
