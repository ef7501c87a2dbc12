"""A release to the Hub: one commit on the parent that was looked at, then a tag on that very commit.

Each step finds out first whether it is done already, by content, so the same command may be run any number of
times: after a failure in the middle it goes on, after a success it does nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ..errors import EmobenchError, InputError
from .hub import Repository
from .hub_files import Forbidden, Upload, refuse_secrets


@dataclass(frozen=True)
class Release:
    """What shall be in a repository.

    Attributes
    ----------
    repo, kind : str
        ``user/name``, and ``dataset``, ``model`` or ``space``.
    uploads : sequence of Upload
        Files.
    message : str
        Of the commit.
    forbidden : sequence of Forbidden
        What must not be in them.
    marker : str
        How a path begins that tells a repository of this use; one that holds other things is left alone.
    parent : str or None
        Commit that the release was made from, where what is there is part of it.
    tag : str or None
        Of the commit.
    private : bool
        Of a repository that is created.
    sdk : str or None
        Of a Space.
    owned : frozenset of str
        Folders in which nothing else may stay.
    create_pr : bool
        Propose the commit instead of making it.
    """

    repo: str
    kind: str
    uploads: Sequence[Upload]
    message: str
    forbidden: Sequence[Forbidden]
    marker: str
    parent: str | None = None
    tag: str | None = None
    private: bool = True
    sdk: str | None = None
    owned: frozenset[str] = frozenset()
    create_pr: bool = False


@dataclass(frozen=True)
class Released:
    """What a release did.

    Attributes
    ----------
    repo, kind, url : str
        Of the repository.
    state : {"released", "tagged", "same", "proposed"}
        A new commit; a tag on a commit that was there; nothing, as all was there; a pull request.
    commit : str
        Where the release is.
    tag : str or None
        On that commit.
    pull_request : str or None
        Its address.
    sent : list of str
        Files that the commit changed.
    deleted : list of str
        Files that it took away.
    remarks : list of str
        What the Hub remarked.
    """

    repo: str
    kind: str
    url: str
    state: str
    commit: str
    tag: str | None = None
    pull_request: str | None = None
    sent: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def listing(release: Release) -> list[dict[str, str | int]]:
    """What would go, without asking anyone: path, size and SHA-256 of each file; its content is checked."""
    refuse_secrets(release.uploads, release.forbidden)
    return [{"path": each.path, "size": each.size, "sha256": each.sha256} for each in release.uploads]


def publish(release: Release) -> Released:
    """Bring a repository to what a release says.

    Raises
    ------
    InputError
        If something must not be published, the tag exists with other content, there is no repository to propose
        to, or a token is missing, wrong or not enough.
    EmobenchError
        If the Hub is out of reach, fails, or another commit came in between.
    """
    repository = Repository(release.repo, release.kind, write=True)
    refuse_secrets(release.uploads, release.forbidden)
    head = repository.head()
    if head is None:
        if release.create_pr:
            raise InputError(f"{release.repo}: there is no such {release.kind} repository to propose to.")
        repository.create(private=release.private, sdk=release.sdk)
        head = repository.head()
    tagged = repository.tags().get(release.tag) if release.tag else None
    if tagged is not None:
        there = repository.files(tagged)
        changed, astray = differences(release, there)
        if changed or astray:
            raise InputError(_conflict(release, changed, astray, there))
        return Released(release.repo, release.kind, repository.url, "same", tagged, release.tag)
    there = repository.files(head) if head else {}
    _refuse_other_use(release, there)
    changed, astray = differences(release, there)
    if not changed and not astray:
        assert head is not None
        return _tagged(repository, release, Released(release.repo, release.kind, repository.url, "same", head))
    by_path = {upload.path: upload for upload in release.uploads}
    made, remarks = repository.commit(
        [by_path[path] for path in changed],
        astray,
        message=release.message,
        parent=release.parent or head,
        create_pr=release.create_pr,
    )
    if not release.create_pr:
        _refuse_lost(repository, release, made.oid)
    done = Released(
        release.repo,
        release.kind,
        repository.url,
        "proposed" if release.create_pr else "released",
        made.oid,
        pull_request=made.pr_url,
        sent=changed,
        deleted=astray,
        remarks=remarks,
    )
    return done if release.create_pr else _tagged(repository, release, done)


def _refuse_other_use(release: Release, there: Iterable[str]) -> None:
    """Raise InputError where a repository holds something that is no release of this kind."""
    held = set(there) - {".gitattributes", "README.md"}
    if held and not any(path.startswith(release.marker) for path in held):
        raise InputError(
            f"{release.repo}: holds something else ({min(held)}, and no {release.marker}); name another repository."
        )


def _refuse_lost(repository: Repository, release: Release, commit: str) -> None:
    """Raise EmobenchError unless a commit holds what was sent: a ``.gitignore`` there may have kept files out."""
    changed, _ = differences(release, repository.files(commit))
    if changed:
        raise EmobenchError(
            f"{release.repo}: commit {commit[:12]} does not hold {changed[0]} as it was sent; look for rules there "
            "that keep it out (.gitignore), and run the same command again."
        )


def _tagged(repository: Repository, release: Release, done: Released) -> Released:
    """Tag what is released, where a tag is asked for."""
    if release.tag is None or release.create_pr:
        return done
    repository.tag(release.tag, done.commit)
    state = "tagged" if done.state == "same" else done.state
    return Released(**{**vars(done), "state": state, "tag": release.tag})


def differences(release: Release, there: dict[str, str]) -> tuple[list[str], list[str]]:
    """Files of a release that are not so at a commit, and files of its folders that are only there.

    Parameters
    ----------
    release : Release
        What shall be.
    there : dict
        Path to hash, as :meth:`.hub.Repository.files` gives them.
    """
    paths = {upload.path for upload in release.uploads}
    changed = [
        upload.path
        for upload in release.uploads
        if (found := there.get(upload.path)) is None or found != (upload.sha256 if len(found) == 64 else upload.git_oid)
    ]
    astray = [path for path in there if path not in paths and path.split("/")[0] in release.owned and "/" in path]
    return changed, sorted(astray)


def _conflict(release: Release, changed: Sequence[str], astray: Sequence[str], there: dict[str, str]) -> str:
    found = [f"{path} {'differs' if path in there else 'is not in it'}" for path in changed]
    found += [f"{path} is only in it" for path in astray]
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    return (
        f"{release.repo}: {release.tag} exists with other content ({found[0]}{more}) and is never overwritten; build "
        "it under a new version."
    )
