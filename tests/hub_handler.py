"""Answers of the small Hub of the tests to single requests."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from hub_store import Entry, Failure, Repo, card_problems, without

if TYPE_CHECKING:
    from hub_server import HubServer


class _Answer(Exception):  # noqa: N818
    """Ends a request early: status, JSON, error code."""

    def __init__(self, status: int, message: str, code: str = "", headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.headers = status, message, code, headers or {}


PAGE = 2
_PREFIX = {"": "model", "datasets/": "dataset", "spaces/": "space"}
_NAME = r"(?P<name>[^/]+/[^/]+)"
_ROUTES = [
    ("GET", r"/api/whoami-v2", "whoami"),
    ("POST", r"/api/repos/create", "create"),
    ("POST", r"/api/validate-yaml", "validate"),
    ("POST", rf"/api/(?P<kind>\w+)s/{_NAME}/preupload/(?P<rev>[^/]+)", "preupload"),
    ("POST", rf"/api/(?P<kind>\w+)s/{_NAME}/commit/(?P<rev>[^/]+)", "commit"),
    ("POST", rf"/api/(?P<kind>\w+)s/{_NAME}/tag/(?P<rev>[^/]+)", "tag"),
    ("POST", rf"/api/(?P<kind>\w+)s/{_NAME}/paths-info/(?P<rev>[^/]+)", "paths_info"),
    ("GET", rf"/api/(?P<kind>\w+)s/{_NAME}/refs", "refs"),
    ("GET", rf"/api/(?P<kind>\w+)s/{_NAME}/discussions", "discussions"),
    ("GET", rf"/api/(?P<kind>\w+)s/{_NAME}/tree/(?P<rev>[^/]+)(?:/(?P<path>.+))?", "tree"),
    ("GET", rf"/api/(?P<kind>\w+)s/{_NAME}(?:/revision/(?P<rev>[^/]+))?", "info"),
    ("POST", rf"/(?P<prefix>datasets/|spaces/|){_NAME}\.git/info/lfs/objects/batch", "batch"),
    ("PUT", r"/storage/(?P<sha>[0-9a-f]{64})", "put"),
    ("POST", r"/verify/(?P<sha>[0-9a-f]{64})", "verify"),
    ("GET", rf"/(?P<prefix>datasets/|spaces/|){_NAME}/resolve/(?P<rev>[^/]+)/(?P<path>.+)", "resolve"),
]


class Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    protocol_version = "HTTP/1.1"
    # The whole answer at once: small pieces would each wait for an acknowledgement.
    wbufsize = -1
    disable_nagle_algorithm = True
    server: HubServer
    failure: Failure | None = None

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._handle("GET")

    def do_HEAD(self) -> None:
        self._handle("GET")

    def do_POST(self) -> None:
        self._handle("POST")

    def do_PUT(self) -> None:
        self._handle("PUT")

    def _handle(self, method: str) -> None:
        if self.headers.get("Transfer-Encoding") == "chunked":
            self.body = b""
            while size := int(self.rfile.readline().strip() or b"0", 16):
                self.body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.path)
        self.query = parse_qs(url.query)
        if self.server.before is not None:
            self.server.before(method, url.path)
        try:
            with self.server.lock:
                self.server.log.append((self.command, unquote(url.path)))
                self.failure = next((each for each in self.server.failures if each.meets(method, url.path)), None)
                if self.failure is not None:
                    self.failure.times -= 1
                    if not self.failure.late:
                        raise _Answer(self.failure.status, "out of order", headers=self.failure.headers)
                self._route(method, url.path)
        except _Answer as answer:
            headers = {"X-Error-Code": answer.code, "X-Error-Message": answer.message, **answer.headers}
            self._send(answer.status, {"error": answer.message}, {k: v for k, v in headers.items() if v})

    def _route(self, method: str, path: str) -> None:
        for expected, pattern, name in _ROUTES:
            match = re.fullmatch(pattern, path)
            if match and method == expected:
                parts = {key: unquote(value) for key, value in match.groupdict().items() if value is not None}
                if "prefix" in parts:
                    parts["kind"] = _PREFIX[parts.pop("prefix")]
                getattr(self, f"_{name}")(**parts)
                return
        raise _Answer(404, "no such route")

    def _send(self, status: int, content: Any, headers: dict[str, str] | None = None) -> None:
        if self.failure is not None and self.failure.late:
            status, content = self.failure.status, {"error": "lost"}
        lacking = self.server.lacking
        if lacking is not None and re.search(lacking[0], self.path):
            content = without(content, lacking[1])
            headers = {name: value for name, value in (headers or {}).items() if name != lacking[1]}
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header(
            "Content-Type", "application/octet-stream" if isinstance(content, bytes) else "application/json"
        )
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            body = data if self.server.altered is None else self.server.altered(unquote(self.path), data)
            self.wfile.write(body)
            self.close_connection = self.close_connection or len(body) < len(data)

    def _user(self) -> str | None:
        bearer = self.headers.get("Authorization")
        if bearer is None:
            return None
        user = self.server.tokens.get(bearer.removeprefix("Bearer "))
        if user is None:
            raise _Answer(401, "Invalid credentials in Authorization header")
        return user

    def _repo(self, kind: str, name: str, *, write: bool = False) -> Repo:
        user = self._user()
        repo = self.server.repos.get((kind, name))
        own = user is not None and name.startswith(f"{user}/")
        if repo is None or (repo.private and not own):
            raise _Answer(404 if user else 401, "Repository not found", "RepoNotFound")
        if write and not own:
            raise _Answer(403, "You don't have the rights to write to this repository")
        return repo

    def _files(self, repo: Repo, revision: str) -> tuple[str, dict[str, Entry]]:
        commit = repo.resolve(revision)
        if commit is None:
            raise _Answer(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return commit, repo.commits[commit]

    def _whoami(self) -> None:
        user = self._user()
        if user is None:
            raise _Answer(401, "Invalid username or password.")
        self._send(200, {"type": "user", "name": user, "orgs": [], "auth": {}})

    def _create(self) -> None:
        asked = json.loads(self.body)
        user = self._user()
        if user is None:
            raise _Answer(401, "Invalid username or password.")
        owner, kind = asked.get("organization") or user, asked.get("type", "model")
        if owner != user:
            raise _Answer(403, "You don't have the rights to create a repository under this namespace")
        name = f"{owner}/{asked['name']}"
        address = {"url": f"{self.server.endpoint}/{ {v: k for k, v in _PREFIX.items()}[kind] }{name}"}
        if (kind, name) in self.server.repos:
            self._send(409, {"error": "You already created this repo", **address})
            return
        repo = Repo(kind, name, asked.get("visibility") == "private", asked.get("sdk"))
        self.server.repos[kind, name] = repo
        self.server.add(repo, {".gitattributes": b"*.parquet filter=lfs diff=lfs merge=lfs -text\n"}, "initial commit")
        self._send(200, address)

    def _validate(self) -> None:
        asked = json.loads(self.body)
        problems = card_problems(asked["content"], asked["repoType"])
        errors = [{"message": problem} for problem in problems]
        self._send(400 if errors else 200, {"errors": errors, "warnings": []})

    def _preupload(self, kind: str, name: str, rev: str) -> None:
        _, files = self._files(self._repo(kind, name, write=not self.query.get("create_pr")), rev)
        answer = []
        for file in json.loads(self.body)["files"]:
            text = b"\0" not in base64.b64decode(file["sample"]) and file["path"].endswith(
                (".md", ".json", ".html", ".csv")
            )
            entry = files.get(file["path"])
            known = {"oid": entry.sha256 or entry.oid} if entry else {}
            answer.append(
                {"path": file["path"], "uploadMode": "regular" if text else "lfs", "shouldIgnore": False, **known}
            )
        self._send(200, {"files": answer})

    def _batch(self, kind: str, name: str) -> None:
        self._repo(kind, name)
        found = []
        for item in json.loads(self.body)["objects"]:
            sha = item["oid"]
            actions = {"upload": {"href": f"{self.server.endpoint}/storage/{sha}"}}
            actions["verify"] = {"href": f"{self.server.endpoint}/verify/{sha}"}
            found.append({**item, **({} if sha in self.server.objects else {"actions": actions})})
        self._send(200, {"transfer": "basic", "objects": found})

    def _put(self, sha: str) -> None:
        if hashlib.sha256(self.body).hexdigest() != sha:
            raise _Answer(400, "other content than announced")
        self.server.objects[sha] = self.body
        self._send(200, {})

    def _verify(self, sha: str) -> None:
        asked = json.loads(self.body)
        content = self.server.objects.get(sha, b"")
        if (asked["oid"], asked["size"]) != (sha, len(content)):
            raise _Answer(422, "not what was uploaded")
        self._send(200, {})

    def _commit(self, kind: str, name: str, rev: str) -> None:
        proposed = bool(self.query.get("create_pr"))
        repo = self._repo(kind, name, write=not proposed)
        if self._user() is None:
            raise _Answer(401, "Invalid username or password.")
        lines = [json.loads(line) for line in self.body.splitlines()]
        header = next(line["value"] for line in lines if line["key"] == "header")
        head, files = self._files(repo, header.get("parentCommit", rev) if proposed else rev)
        if not proposed and header.get("parentCommit", head) != head:
            raise _Answer(412, "A commit has happened since. Please refresh and try again.")
        files = dict(files)
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = self.server.keep(base64.b64decode(value["content"]))
            elif line["key"] == "lfsFile":
                if value["oid"] not in self.server.objects:
                    raise _Answer(400, f"{value['path']}: the large file was never uploaded")
                files[value["path"]] = self.server.keep_large(value["oid"], value["size"])
            elif line["key"] == "deletedFile":
                del files[value["path"]]
        oid = repo.commit(files, head, header["summary"])
        answer = {"success": True, "commitOid": oid, "commitUrl": f"{self.server.endpoint}/{name}/commit/{oid}"}
        if proposed:
            number = len(repo.pulls) + 1
            repo.pulls[number] = oid
            repo.proposed[number] = {"title": header["summary"], "author": self._user(), "status": "open"}
            prefix = {v: k for k, v in _PREFIX.items()}[kind]
            answer["pullRequestUrl"] = f"{self.server.endpoint}/{prefix}{name}/discussions/{number}"
        else:
            repo.branches[rev] = oid
        self._send(200, answer)

    def _tag(self, kind: str, name: str, rev: str) -> None:
        repo = self._repo(kind, name, write=True)
        commit, _ = self._files(repo, rev)
        tag = json.loads(self.body)["tag"]
        if tag in repo.tags:
            raise _Answer(409, f"Tag {tag} exists already")
        repo.tags[tag] = commit
        self._send(200, {})

    def _refs(self, kind: str, name: str) -> None:
        repo = self._repo(kind, name)
        branches = [{"name": k, "ref": f"refs/heads/{k}", "targetCommit": v} for k, v in repo.branches.items()]
        tags = [{"name": k, "ref": f"refs/tags/{k}", "targetCommit": v} for k, v in repo.tags.items()]
        pulls = [{"name": f"{k}", "ref": f"refs/pr/{k}", "targetCommit": v} for k, v in repo.pulls.items()]
        self._send(200, {"branches": branches, "converts": [], "tags": tags, "pullRequests": pulls})

    def _discussions(self, kind: str, name: str) -> None:
        found = self._repo(kind, name).discussions(self.query)
        # Small pages, so that clients have to request more than one.
        start = int(self.query.get("p", ["0"])[0]) * PAGE
        self._send(200, {"count": len(found), "start": start, "discussions": found[start : start + PAGE]})

    def _info(self, kind: str, name: str, rev: str = "main") -> None:
        repo = self._repo(kind, name)
        commit, files = self._files(repo, rev)
        siblings = [{"rfilename": path} for path in sorted(files)]
        info = {"_id": "1", "id": name, "sha": commit, "private": repo.private, "disabled": False}
        self._send(200, {**info, "gated": False, "tags": [], "downloads": 0, "siblings": siblings})

    def _tree(self, kind: str, name: str, rev: str, path: str = "") -> None:
        _, files = self._files(self._repo(kind, name), rev)
        recursive = self.query.get("recursive", ["false"])[0].lower() in ("true", "1")
        prefix = f"{path}/" if path else ""
        inside = [item for item in sorted(files) if item.startswith(prefix)]
        if path and not inside:
            raise _Answer(404, f"{path} does not exist", "EntryNotFound")
        folders = {item[: place.start()] for item in inside for place in re.finditer("/", item)}
        shown = [folder for folder in sorted(folders) if folder.startswith(prefix)]
        if not recursive:
            inside = [item for item in inside if "/" not in item[len(prefix) :]]
            shown = [folder for folder in shown if "/" not in folder[len(prefix) :]]
        tree = [{"type": "directory", "path": folder, "oid": "0" * 40, "size": 0} for folder in shown]
        self._send(200, [*tree, *(files[item].item(item) for item in inside)])

    def _paths_info(self, kind: str, name: str, rev: str) -> None:
        _, files = self._files(self._repo(kind, name), rev)
        asked = json.loads(self.body)["paths"] if self.body[:1] == b"{" else parse_qs(self.body.decode())["paths"]
        self._send(200, [files[path].item(path) for path in asked if path in files])

    def _resolve(self, kind: str, name: str, rev: str, path: str) -> None:
        commit, files = self._files(self._repo(kind, name), rev)
        if path not in files:
            raise _Answer(404, "Entry not found", "EntryNotFound")
        entry = files[path]
        headers = {"ETag": f'"{entry.sha256 or entry.oid}"', "X-Repo-Commit": commit}
        self._send(200, self.server.objects[entry.sha256 or entry.oid], headers)
