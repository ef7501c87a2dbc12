"""Repositories of the Hugging Face Hub: state, commits, tags and downloads, through huggingface_hub.

Every failure becomes an error of one line without any token.
"""

from __future__ import annotations

import glob
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from logging import CRITICAL
from pathlib import Path
from typing import TYPE_CHECKING, Any

import huggingface_hub
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, constants, errors
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import disable_progress_bars, logging

from ..errors import InputError
from ..runtime.progress import bars_wanted
from .hub_client import HTTP_ERROR, install
from .hub_errors import Question, explained, not_understood
from .hub_files import Upload

if TYPE_CHECKING:
    from huggingface_hub import CommitInfo

KINDS = {"model": "", "dataset": "datasets/", "space": "spaces/"}

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_VERSION = re.compile(r"v(\d+)\.(\d+)\.(\d+)")


def check_name(repo: str) -> None:
    """Raise InputError unless ``repo`` is a valid repository name, ``user/name``."""
    if not _NAME.fullmatch(repo) or len(repo) > 96 or "--" in repo or ".." in repo or repo.endswith((".git", ".", "-")):
        raise InputError(f"{repo}: not a repository name; expected user/name, such as ann/moodswings.")


def stored_token() -> str | None:
    """Return the token from ``HF_TOKEN`` or ``hf auth login``."""
    return huggingface_hub.get_token()


@dataclass(frozen=True)
class State:
    """State of a repository on the Hub.

    Attributes
    ----------
    commit : str
        Latest commit of ``main``.
    private : bool
        Whether the repository is private.
    """

    commit: str
    private: bool


@dataclass(frozen=True)
class Proposal:
    """An open pull request.

    Attributes
    ----------
    number : int
        Number of the pull request; its revision is ``refs/pr/<number>``.
    title, url : str
        Title and address.
    """

    number: int
    title: str
    url: str


class Repository:
    """A repository of the Hub.

    Parameters
    ----------
    name : str
        ``user/name``.
    kind : {"dataset", "model", "space"}
        Type of the repository.
    write : bool
        Whether it will be written to, which needs a token.

    Raises
    ------
    InputError
        If the name is invalid, or a token is needed and there is none.
    """

    def __init__(self, name: str, kind: str, *, write: bool = False) -> None:
        check_name(name)
        token = stored_token()
        if write and token is None:
            raise InputError(
                f"{name}: writing to the Hub needs a token and there is none. Set HF_TOKEN or run 'hf auth login'."
            )
        if token is not None and not (token.isascii() and token.isprintable()):
            raise InputError(
                "HF_TOKEN: contains characters that no token has; expected a token of the Hub, such as hf_AbC…."
            )
        self.name = name
        self.kind = kind
        install()
        self.api = HfApi(token=token or False)
        self._offline = False
        # Warnings of huggingface_hub may contain signed addresses.
        logging.set_verbosity(CRITICAL)
        if not bars_wanted():
            disable_progress_bars()

    @property
    def url(self) -> str:
        """Web address of the repository."""
        return f"{self.api.endpoint}/{KINDS[self.kind]}{self.name}"

    def state(self) -> State | None:
        """Return the latest commit and the visibility; None if the repository does not exist."""
        with self._told():
            try:
                found = self.api.repo_info(self.name, repo_type=self.kind)
            except errors.RepositoryNotFoundError as error:
                if error.response.status_code != 404:
                    raise
                return None
        if found.sha is None or found.private is None:
            raise not_understood(self.api.endpoint, f"no {'sha' if found.sha is None else 'private'} in it")
        return State(found.sha, bool(found.private))

    def commit_of(self, revision: str) -> str:
        """Return the commit of a branch, a tag or a pull request."""
        with self._told(revision=revision):
            found = self.api.repo_info(self.name, repo_type=self.kind, revision=revision).sha
        if found is None:
            raise not_understood(self.api.endpoint, "no sha in it")
        return found

    def head(self) -> str | None:
        """Return the latest commit of ``main``; None if the repository does not exist."""
        found = self.state()
        return found.commit if found else None

    def create(self, *, private: bool, sdk: str | None = None) -> None:
        """Create the repository unless it exists."""
        with self._told():
            self.api.create_repo(self.name, repo_type=self.kind, private=private, exist_ok=True, space_sdk=sdk)

    def tags(self) -> dict[str, str]:
        """Map each tag to its commit."""
        with self._told():
            refs = self.api.list_repo_refs(self.name, repo_type=self.kind)
        return {tag.name: tag.target_commit for tag in refs.tags}

    def own_proposals(self) -> list[Proposal]:
        """Open pull requests of the user to whom the token belongs."""
        with self._told():
            user = self.api.whoami().get("name")
            if user is None:
                raise not_understood(self.api.endpoint, "no name in it")
            found = self.api.get_repo_discussions(
                self.name,
                author=user,
                discussion_type="pull_request",
                discussion_status="open",
                repo_type=self.kind,
            )
            # Filter again, because a server may not support all of these filters.
            return [
                Proposal(each.num, each.title, each.url)
                for each in found
                if each.is_pull_request and each.status == "open" and each.author == user
            ]

    def newest_version(self) -> str:
        """Return the newest tag of the form ``vX.Y.Z``; InputError if there is none."""
        versions = [tag for tag in self.tags() if _VERSION.fullmatch(tag)]
        if not versions:
            raise InputError(
                f"{self.name}: has no version yet (no tag vX.Y.Z). Name a revision, as in hf://user/name@main."
            )
        return max(versions, key=lambda tag: tuple(int(part) for part in tag[1:].split(".")))

    def files(self, commit: str) -> dict[str, str]:
        """Map each path at a commit to its hash: SHA-256 for large files, SHA-1 of the blob for small ones."""
        with self._told():
            tree = self.api.list_repo_tree(self.name, recursive=True, revision=commit, repo_type=self.kind)
            return {
                item.path: item.lfs.sha256 if item.lfs else item.blob_id for item in tree if isinstance(item, RepoFile)
            }

    def commit(
        self,
        uploads: Sequence[Upload],
        deleted: Iterable[str],
        *,
        message: str,
        parent: str | None,
        create_pr: bool = False,
    ) -> tuple[CommitInfo, list[str]]:
        """Commit all changes or none; return the commit and the Hub's remarks on the card.

        Raises
        ------
        StaleParentError
            If ``main`` is no longer at ``parent``.
        """
        operations: list[Any] = [CommitOperationDelete(path) for path in deleted]
        operations += [
            CommitOperationAdd(upload.path, upload.source if isinstance(upload.source, bytes) else str(upload.source))
            for upload in uploads
        ]
        with self._told(), warnings.catch_warnings(record=True) as remarks:
            warnings.simplefilter("always")
            made = self.api.create_commit(
                self.name,
                operations,
                commit_message=message,
                repo_type=self.kind,
                parent_commit=parent,
                create_pr=create_pr,
            )
        said = [remark for remark in remarks if remark.category is UserWarning]
        return made, [" ".join(str(remark.message).split()) for remark in said]

    def tag(self, name: str, commit: str) -> None:
        """Tag a commit. An existing tag must be on the same commit."""
        with self._told():
            try:
                self.api.create_tag(self.name, tag=name, revision=commit, repo_type=self.kind)
            except errors.HfHubHTTPError as error:
                if error.response.status_code != 409:
                    raise
        found = self.tags().get(name)
        if found != commit:
            raise InputError(f"{self.name}: tag {name} is on commit {str(found)[:12]}, not on {commit[:12]}.")

    def download(self, path: str, revision: str) -> tuple[Path, str]:
        """Download a file to the cache, or find it there if the Hub is unreachable; return its path and commit.

        Raises
        ------
        InputError
            If the repository, the revision or the file does not exist.
        """
        with self._told(path, revision):
            # Ask without the library's retries first, so that a machine that is offline does not wait for them.
            why = self._out_of_reach(revision)
            self._offline = why is not None
            try:
                found = Path(
                    self.api.hf_hub_download(
                        self.name, path, repo_type=self.kind, revision=revision, local_files_only=self._offline
                    )
                )
            except errors.LocalEntryNotFoundError as error:
                if why is None:
                    raise
                raise error from why
        commit = _commit_of(found, path)
        if commit is None:
            raise not_understood(self.api.endpoint, "X-Repo-Commit is not a commit id")
        return found, commit

    def resolved_before(self, path: str, revision: str) -> str | None:
        """Return the commit of a revision when this machine last downloaded a file from it; None if it never did."""
        found = huggingface_hub.try_to_load_from_cache(self.name, path, revision=revision, repo_type=self.kind)
        return _commit_of(Path(found), path) if isinstance(found, str) else None

    def _out_of_reach(self, revision: str) -> Exception | None:
        """Return the error that keeps the Hub from answering about a revision; None if it answers."""
        try:
            self.api.repo_info(self.name, repo_type=self.kind, revision=revision, timeout=constants.HF_HUB_ETAG_TIMEOUT)
        except errors.HfHubHTTPError as error:
            if error.response.status_code < 500:
                raise
            return error
        except (HTTP_ERROR, errors.OfflineModeIsEnabled) as error:
            return error
        return None

    def snapshot(
        self, commit: str, names: Iterable[str], folders: Iterable[str] = (), patterns: Iterable[str] = ()
    ) -> Path:
        """Download files and whole folders of a commit to the cache; return the folder that contains them."""
        patterns = [
            *patterns,
            *(glob.escape(name) for name in names),
            *(f"{glob.escape(folder)}/*" for folder in folders),
        ]
        with self._told("its files", commit):
            return Path(
                self.api.snapshot_download(
                    self.name,
                    repo_type=self.kind,
                    revision=commit,
                    allow_patterns=patterns,
                    local_files_only=self._offline,
                )
            )

    @contextmanager
    def _told(self, path: str = "it", revision: str = "main") -> Iterator[None]:
        """Turn the errors of huggingface_hub into errors of one line."""
        try:
            yield
        except Exception as error:
            question = Question(
                f"{KINDS[self.kind]}{self.name}", self.api.endpoint, self.url, bool(self.api.token), path, revision
            )
            line = explained(error, question)
            if line is None or line is error:
                raise
            raise line from error


def _commit_of(place: Path, path: str) -> str | None:
    """Return the commit of a file in the cache, from its path ``snapshots/<commit>/<path>``."""
    commit = place.parts[-1 - len(Path(path).parts)]
    return commit if _COMMIT.fullmatch(commit) else None
