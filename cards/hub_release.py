"""Release to the Hub: one commit on the parent that was inspected, then a tag on that commit.

Each step first checks by content whether it is already done, so the command can be repeated: after a failure it
resumes, and after a success it does nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ..errors import EmobenchError, InputError
from .hub import Proposal, Repository, State
from .hub_files import Forbidden, Upload, refuse_secrets


@dataclass(frozen=True)
class Release:
    """Content of a release.

    Attributes
    ----------
    repo, kind : str
        ``user/name``, and ``dataset``, ``model`` or ``space``.
    uploads : sequence of Upload
        Files.
    message : str
        Commit message.
    forbidden : sequence of Forbidden
        Texts that the files must not contain.
    marker : str
        Prefix of paths by which repositories of this kind of release are recognised. Others are not changed.
    parent : str or None
        Commit from which the release was made, if it includes content of the repository.
    tag : str or None
        Tag of the commit.
    reserved : str or None
        Tag that must not exist with other content, even if it is not requested.
    private : bool
        Whether to create a private repository and refuse a public one.
    sdk : str or None
        SDK of a Space.
    owned : frozenset of str
        Folders from which other files are deleted.
    create_pr : bool
        Whether to create a pull request instead of a commit.
    """

    repo: str
    kind: str
    uploads: Sequence[Upload]
    message: str
    forbidden: Sequence[Forbidden]
    marker: str
    parent: str | None = None
    tag: str | None = None
    reserved: str | None = None
    private: bool = True
    sdk: str | None = None
    owned: frozenset[str] = frozenset()
    create_pr: bool = False


@dataclass(frozen=True)
class Released:
    """Outcome of a release.

    Attributes
    ----------
    repo, kind, url : str
        Name, kind and URL of the repository.
    state : {"released", "tagged", "same", "proposed", "pending"}
        New commit; new tag on an existing commit; nothing to do; new pull request; or existing pull request with the
        same content.
    commit : str
        Commit of the release.
    tag : str or None
        Tag of the commit.
    pull_request : str or None
        URL of the pull request.
    sent : list of str
        Files that the commit added or changed.
    deleted : list of str
        Files that the commit deleted.
    remarks : list of str
        Remarks of the Hub.
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
    """List path, size and SHA-256 of each file after checking its content; no request is made."""
    refuse_secrets(release.uploads, release.forbidden)
    return [{"path": each.path, "size": each.size, "sha256": each.sha256} for each in release.uploads]


def exposure(release: Release) -> str | None:
    """Return why a release must not be sent to an existing repository, or None if it may be sent.

    One request is made. Without a token, private repositories appear not to exist.
    """
    if not release.private or release.create_pr:
        return None
    repository = Repository(release.repo, release.kind)
    try:
        state = repository.state()
    except InputError:
        # A repository that is not visible with this token is not public.
        return None
    return None if state is None or state.private else _exposed(release)


def _exposed(release: Release) -> str:
    return (
        f"{release.repo}: this {release.kind} repository is public, and everything sent to it becomes public; "
        "pass `private=False` to confirm, or make the repository private first."
    )


@dataclass(frozen=True)
class Plan:
    """Remaining steps of a release.

    Attributes
    ----------
    release : Release
        The release.
    repository : Repository
        Repository on the Hub.
    state : State or None
        State of the repository; None if it does not exist yet.
    changed, surplus : list of str
        Files to send and files to delete.
    tagged : str or None
        Commit of the tag, if it exists with the same content.
    proposal : Proposal or None
        Open pull request with the same content.
    """

    release: Release
    repository: Repository
    state: State | None
    changed: list[str]
    surplus: list[str]
    tagged: str | None = None
    proposal: Proposal | None = None


def plan(release: Release) -> Plan:
    """Determine the remaining steps of a release; nothing is sent.

    Raises
    ------
    InputError
        If the content must not be published or would become public unintentionally, the tag exists with other content,
        the repository of a pull request does not exist, or the token is missing, invalid or lacks permissions.
    EmobenchError
        If the Hub cannot be reached or fails.
    """
    repository = Repository(release.repo, release.kind, write=True)
    refuse_secrets(release.uploads, release.forbidden)
    state = repository.state()
    if state is None:
        if release.create_pr:
            raise InputError(f"{release.repo}: no such {release.kind} repository; a pull request requires one.")
        return Plan(release, repository, None, [upload.path for upload in release.uploads], [])
    name = release.tag or release.reserved
    tagged = repository.tags().get(name) if name else None
    if tagged is not None:
        there = repository.files(tagged)
        changed, surplus = differences(release, there)
        if changed or surplus:
            raise InputError(_conflict(release, changed, surplus, there))
        if release.tag:
            return Plan(release, repository, state, [], [], tagged)
    there = repository.files(state.commit)
    _refuse_other_use(release, there)
    changed, surplus = differences(release, there)
    proposal = None
    if changed or surplus:
        if release.create_pr:
            proposal = _same_proposal(repository, release)
        # Pull requests to public repositories are intentional, so they get a remark instead of an error.
        if release.private and not state.private and not release.create_pr:
            raise InputError(f"{_exposed(release)} Nothing was sent.")
    return Plan(release, repository, state, changed, surplus, None, proposal)


def _same_proposal(repository: Repository, release: Release) -> Proposal | None:
    """Find an open pull request of this user that already has the content of a release."""
    for proposal in repository.own_proposals():
        changed, surplus = differences(release, repository.files(f"refs/pr/{proposal.number}"))
        if not changed and not surplus:
            return proposal
    return None


def publish(release: Release) -> Released:
    """Publish a release.

    Raises
    ------
    InputError
        As in :func:`plan`.
    EmobenchError
        If the Hub cannot be reached or fails, or another commit was made in the meantime.
    """
    return carry_out(plan(release))


def carry_out(planned: Plan) -> Released:
    """Carry out the remaining steps of a release.

    Raises
    ------
    EmobenchError
        If the Hub cannot be reached or fails, or another commit was made in the meantime.
    """
    release, repository, state = planned.release, planned.repository, planned.state
    common = (release.repo, release.kind, repository.url)
    if planned.tagged is not None:
        assert release.tag is not None
        return Released(*common, "same", planned.tagged, release.tag, remarks=_moved(planned, planned.tagged))
    if planned.proposal is not None:
        # The branch of the pull request may have changed since it was inspected.
        commit = repository.commit_of(f"refs/pr/{planned.proposal.number}")
        return Released(*common, "pending", commit, pull_request=planned.proposal.url)
    if state is None:
        repository.create(private=release.private, sdk=release.sdk)
        state = repository.state()
        if state is None:
            raise EmobenchError(f"{release.repo}: was created, but cannot be found yet; rerun the command.")
        if release.private and not state.private:
            raise InputError(f"{_exposed(release)} Nothing was sent.")
    if not planned.changed and not planned.surplus:
        return _tagged(repository, release, Released(*common, "same", state.commit))
    by_path = {upload.path: upload for upload in release.uploads}
    made, remarks = repository.commit(
        [by_path[path] for path in planned.changed],
        planned.surplus,
        message=release.message,
        parent=release.parent or state.commit,
        create_pr=release.create_pr,
    )
    if release.create_pr and not state.private:
        remarks.append(f"{release.repo} is public: everyone can see this pull request.")
    if not release.create_pr:
        _refuse_lost(repository, release, made.oid)
    done = Released(
        *common,
        "proposed" if release.create_pr else "released",
        made.oid,
        pull_request=made.pr_url,
        sent=planned.changed,
        deleted=planned.surplus,
        remarks=remarks,
    )
    return done if release.create_pr else _tagged(repository, release, done)


def _moved(planned: Plan, commit: str) -> list[str]:
    """Return a remark if a tag is on another commit than when this machine last resolved it."""
    release = planned.release
    assert release.tag is not None
    before = planned.repository.resolved_before(release.marker, release.tag)
    if before is None or before == commit:
        return []
    return [
        f"warning: the tag {release.tag} has been moved from commit {before[:12]} to {commit[:12]}, which contains the "
        "same files of this release."
    ]


def _refuse_other_use(release: Release, there: Iterable[str]) -> None:
    """Raise InputError if a repository contains something other than releases of this kind."""
    content = set(there) - {".gitattributes", "README.md"}
    if content and not any(path.startswith(release.marker) for path in content):
        raise InputError(
            f"{release.repo}: contains other files ({min(content)}, but no {release.marker}); choose another one."
        )


def _refuse_lost(repository: Repository, release: Release, commit: str) -> None:
    """Raise EmobenchError unless a commit contains all files sent, since a ``.gitignore`` may exclude some."""
    changed, _ = differences(release, repository.files(commit))
    if changed:
        raise EmobenchError(
            f"{release.repo}: commit {commit[:12]} does not contain {changed[0]} as sent; check whether a .gitignore "
            "in the repository excludes it, and rerun the command."
        )


def _tagged(repository: Repository, release: Release, done: Released) -> Released:
    """Tag the commit of a release, if a tag is requested."""
    if release.tag is None or release.create_pr:
        return done
    repository.tag(release.tag, done.commit)
    state = "tagged" if done.state == "same" else done.state
    return Released(**{**vars(done), "state": state, "tag": release.tag})


def differences(release: Release, there: dict[str, str]) -> tuple[list[str], list[str]]:
    """Compare a release with a commit.

    Parameters
    ----------
    release : Release
        The release.
    there : dict
        Path to hash of the files in the commit, from :meth:`.hub.Repository.files`.

    Returns
    -------
    changed : list of str
        Files of the release that differ or are missing.
    surplus : list of str
        Further files in the folders that the release owns.
    """
    paths = {upload.path for upload in release.uploads}
    changed = [
        upload.path
        for upload in release.uploads
        if (found := there.get(upload.path)) is None or found != (upload.sha256 if len(found) == 64 else upload.git_oid)
    ]
    surplus = [path for path in there if path not in paths and path.split("/")[0] in release.owned and "/" in path]
    return changed, sorted(surplus)


def _conflict(release: Release, changed: Sequence[str], surplus: Sequence[str], there: dict[str, str]) -> str:
    found = [f"{path} {'differs' if path in there else 'is missing there'}" for path in changed]
    found += [f"{path} exists only there" for path in surplus]
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    return (
        f"{release.repo}: {release.tag or release.reserved} exists with other content ({found[0]}{more}) and is not "
        "overwritten; publish the new content as a new version."
    )
