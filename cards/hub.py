"""Repositories of the Hub, through huggingface_hub: what is there, commits, tags, downloads.

Whatever fails becomes one line for the user; no line ever holds a token.
"""

from __future__ import annotations

import glob
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from logging import CRITICAL
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import huggingface_hub
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, errors
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import disable_progress_bars, logging

from ..errors import EmobenchError, InputError
from ..parallel import bars_wanted
from .hub_files import Upload

if TYPE_CHECKING:
    from huggingface_hub import CommitInfo

KINDS = {"model": "", "dataset": "datasets/", "space": "spaces/"}

# What huggingface_hub's own errors and those of a broken connection have in common.
_HTTP_ERROR = cast("type[Exception]", errors.HfHubHTTPError.__bases__[0])

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_VERSION = re.compile(r"v(\d+)\.(\d+)\.(\d+)")

AGAIN = "Run the same command again later; what has arrived is not sent twice."


class StaleParentError(EmobenchError):
    """Another commit came in between."""


def check_name(repo: str) -> None:
    """Raise InputError unless ``repo`` has the form ``user/name`` that the Hub takes."""
    if not _NAME.fullmatch(repo) or len(repo) > 96 or "--" in repo or ".." in repo or repo.endswith((".git", ".", "-")):
        raise InputError(f"{repo}: no name of a repository; expected user/name, such as ann/moodswings.")


def stored_token() -> str | None:
    """The token of ``HF_TOKEN``, else that which ``hf auth login`` keeps."""
    return huggingface_hub.get_token()


class Repository:
    """A repository of the Hub.

    Parameters
    ----------
    name : str
        ``user/name``.
    kind : {"dataset", "model", "space"}
        Its type.
    write : bool
        Whether it will be written to, for which a token is needed.

    Raises
    ------
    InputError
        If the name cannot be one, or no token is at hand and one is needed.
    """

    def __init__(self, name: str, kind: str, *, write: bool = False) -> None:
        check_name(name)
        token = stored_token()
        if write and token is None:
            raise InputError(
                f"{name}: writing to the Hub needs a token and there is none; set HF_TOKEN, or run 'hf auth login'."
            )
        if token is not None and not (token.isascii() and token.isprintable()):
            raise InputError("HF_TOKEN: holds letters that no token has; expected one of the Hub, such as hf_AbC….")
        self.name = name
        self.kind = kind
        self.api = HfApi(token=token or False)
        self._offline = False
        # Its warnings name addresses that may be signed; failures are told here.
        logging.set_verbosity(CRITICAL)
        if not bars_wanted():
            disable_progress_bars()

    @property
    def url(self) -> str:
        """Where people look at it."""
        return f"{self.api.endpoint}/{KINDS[self.kind]}{self.name}"

    def head(self) -> str | None:
        """The latest commit of ``main``; None where there is no such repository."""
        with self._told():
            try:
                return self.api.repo_info(self.name, repo_type=self.kind).sha
            except errors.RepositoryNotFoundError as error:
                if error.response.status_code != 404:
                    raise
                return None

    def create(self, *, private: bool, sdk: str | None = None) -> None:
        """Create it, where it is not there."""
        with self._told():
            self.api.create_repo(self.name, repo_type=self.kind, private=private, exist_ok=True, space_sdk=sdk)

    def tags(self) -> dict[str, str]:
        """Each tag and its commit."""
        with self._told():
            refs = self.api.list_repo_refs(self.name, repo_type=self.kind)
        return {tag.name: tag.target_commit for tag in refs.tags}

    def newest_version(self) -> str:
        """The tag ``vX.Y.Z`` with the highest numbers; InputError where there is none."""
        versions = [tag for tag in self.tags() if _VERSION.fullmatch(tag)]
        if not versions:
            raise InputError(
                f"{self.name}: has no version yet (no tag vX.Y.Z); name a revision, as hf://user/name@main."
            )
        return max(versions, key=lambda tag: tuple(int(part) for part in tag[1:].split(".")))

    def files(self, commit: str) -> dict[str, str]:
        """Each path at a commit and its hash: SHA-256 for a large file, the blob's SHA-1 for a small one."""
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
        """Make one commit of all changes, or none; and what the Hub remarks on the card.

        Raises
        ------
        StaleParentError
            If ``main`` is not at ``parent`` any more.
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
        """Tag a commit; a tag that is there already must be on that very commit."""
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
        """Fetch one file into the cache, or find it there where the Hub is out of reach; its place and commit.

        Raises
        ------
        InputError
            If the repository, the revision or the file does not exist.
        """
        with self._told(path, revision):
            # Asked for first without the library's retries, so that a machine that is offline need not wait for them.
            self._offline = self._out_of_reach(revision)
            found = Path(
                self.api.hf_hub_download(
                    self.name, path, repo_type=self.kind, revision=revision, local_files_only=self._offline
                )
            )
        # As the cache of the Hub is laid out: snapshots/<commit>/<path>.
        commit = found.parts[-1 - len(Path(path).parts)]
        assert _COMMIT.fullmatch(commit), found
        return found, commit

    def _out_of_reach(self, revision: str) -> bool:
        try:
            self.api.repo_info(self.name, repo_type=self.kind, revision=revision)
        except errors.HfHubHTTPError as error:
            if error.response.status_code < 500:
                raise
            return True
        except (_HTTP_ERROR, errors.OfflineModeIsEnabled):
            return True
        return False

    def snapshot(self, commit: str, names: Iterable[str], folders: Iterable[str] = ()) -> Path:
        """Fetch files, and whole folders, of a commit into the cache; the folder that they are in."""
        patterns = [*(glob.escape(name) for name in names), *(f"{glob.escape(folder)}/*" for folder in folders)]
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
        """Tell in one line what huggingface_hub could not do."""
        try:
            yield
        except RuntimeError as error:
            # An upload in a thread.
            cause = error.__cause__
            if not isinstance(cause, (_HTTP_ERROR, OSError)):
                raise
            raise self._line(cause, path, revision) from error
        except (_HTTP_ERROR, OSError, ValueError) as error:
            raise self._line(error, path, revision) from error

    def _line(self, error: BaseException, path: str, revision: str) -> EmobenchError:
        name = f"{KINDS[self.kind]}{self.name}"
        if isinstance(error, errors.HfHubHTTPError):
            return self._refused(error, path, revision)
        if isinstance(error, errors.LocalEntryNotFoundError):
            return EmobenchError(
                f"{name}@{revision}: {self.api.endpoint} cannot be reached and the cache of this "
                f"machine does not hold {path}; go online once, or check HF_ENDPOINT and HF_HUB_OFFLINE."
            )
        if isinstance(error, errors.OfflineModeIsEnabled):
            return EmobenchError(f"{name}: HF_HUB_OFFLINE is set, so nothing can be sent or looked up; unset it.")
        if isinstance(error, _HTTP_ERROR):
            return EmobenchError(
                f"{self.api.endpoint}: cannot be reached ({_first_line(error)}); is this machine offline? {AGAIN}"
            )
        if isinstance(error, ValueError):
            return InputError(f"{name}: the Hub refuses it: {' '.join(str(error).split())}")
        return EmobenchError(f"{name}: {_first_line(error)}. {AGAIN}")

    def _refused(self, error: errors.HfHubHTTPError, path: str, revision: str) -> EmobenchError:
        """What the Hub answered, in one line."""
        name = f"{KINDS[self.kind]}{self.name}"
        status = error.response.status_code
        said = " ".join((error.server_message or error.response.headers.get("X-Error-Message") or "").split())
        said = f" ({said})" if said else ""
        if status == 412:
            return StaleParentError(
                f"{name}: another commit came in while this one was on its way, so nothing was changed; look at it, "
                "and run the same command again."
            )
        if isinstance(error, errors.RevisionNotFoundError):
            line = f"{name}: has no revision {revision}; look at its tags on {self.url}."
        elif isinstance(error, errors.EntryNotFoundError):
            line = f"{name}@{revision}: holds no {path}, so it was not published by emobench."
        elif status == 401 and self.api.token:
            line = (
                f"{self.api.endpoint}: does not accept the token{said}; set HF_TOKEN to a valid one, or run "
                "'hf auth login'."
            )
        elif status in (401, 404):
            line = (
                f"{name}: there is no such repository, or it is private and needs a token (HF_TOKEN) that may read it."
            )
        elif status == 403:
            line = (
                f"{name}: forbidden{said}; name a repository of your own or of an organisation that you may write "
                "to, and use a token that may write."
            )
        elif status == 400:
            line = f"{name}: the Hub refuses it{said or f': {_first_line(error)}'}"
        else:
            return EmobenchError(f"{name}: the Hub answered {status}{said}, a failure of its own. {AGAIN}")
        return InputError(line)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
